"""Generations: what `generate` gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from textsearch.models.usage import Usage
from textsearch.sampler import Guarantee

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

    from textsearch.batch import Batch


@final
@dataclass(frozen=True)
class Acceptance:
    """How often the moves of one kind were proposed and taken, and how far they went.

    Attributes:
        proposed: how many.
        accepted: how many of them.
        changed: tokens that they changed, in all.
        squared_energy: squares of the energy's changes, summed, in squared nats.
    """

    proposed: int
    accepted: int
    changed: float = 0.0
    squared_energy: float = 0.0

    @property
    def rate(self) -> float:
        """Accepted over proposed; nan before the first proposal."""
        return self.accepted / self.proposed if self.proposed else float("nan")

    @property
    def jump(self) -> float:
        """Expected jump distance: tokens that a proposal changed on average, refused ones counting as 0."""
        return self.changed / self.proposed if self.proposed else float("nan")

    @property
    def energy_jump(self) -> float:
        """Expected squared jump of the energy, squared nats a proposal (Pasarica and Gelman, 2010)."""
        return self.squared_energy / self.proposed if self.proposed else float("nan")

    def plus(self, other: Acceptance) -> Acceptance:
        """Both together."""
        return Acceptance(
            self.proposed + other.proposed,
            self.accepted + other.accepted,
            self.changed + other.changed,
            self.squared_energy + other.squared_energy,
        )


@final
@dataclass(frozen=True, eq=False)
class Generations:
    """The texts that a run ended with, the best that it met, and how it went.

    Rows are ordered by input, then by chain: row r belongs to input `inputs[r]`.

    Attributes:
        texts: B final texts, one a chain: with an exact sampler, draws from exp(-E / T).
        energies: (B,) their energies in nats.
        best_texts: B texts, the lowest energy that each chain met.
        best_energies: (B,).
        terms: names of the energy's terms -> (B,) weighted values of the final texts.
        best_terms: the same for the best texts.
        inputs: (B,) index of the input of each row.
        sources: the inputs, as text: the first row that belongs to each.
        acceptance: kind of move -> how often proposed and taken, and how far it went.
        trace: (T, B) energies, one row a step.
        term_traces: names of the energy's terms -> (T, B) weighted values.
        length_trace: (T, B) lengths in tokens.
        recorded: name -> (T, ...) what the sampler wanted recorded: log-weights, energies of all rungs, ...
        samples: the texts kept on the way, `samples[s][row]`, if `keep_every` asked for them.
        sample_steps: the steps after which they were kept.
        warm_up: steps at the start that are not meant to count; the trace has them all the same.
        batch: the final texts as tokens, to go on from.
        guarantee: what the sampler promises of its draws.
        usage: who asked (a term of the energy, the moves) -> what models were asked.
        seconds: wall-clock time of the steps.
        interrupted: whether the run was stopped before its last step.
    """

    texts: list[str]
    energies: NDArray[np.float64]
    best_texts: list[str]
    best_energies: NDArray[np.float64]
    terms: Mapping[str, NDArray[np.float64]]
    best_terms: Mapping[str, NDArray[np.float64]]
    inputs: NDArray[np.int64]
    sources: list[str]
    acceptance: Mapping[str, Acceptance]
    trace: NDArray[np.float64]
    term_traces: Mapping[str, NDArray[np.float64]]
    length_trace: NDArray[np.int64]
    recorded: Mapping[str, NDArray[Any]]
    samples: Sequence[list[str]]
    sample_steps: Sequence[int]
    warm_up: int
    batch: Batch
    guarantee: Guarantee
    usage: Mapping[str, Usage]
    seconds: float
    interrupted: bool

    def __len__(self) -> int:
        """B, the number of chains over all inputs."""
        return len(self.texts)

    @property
    def steps(self) -> int:
        """T, the number of steps taken."""
        return len(self.trace)

    def ranked(self) -> Iterator[int]:
        """Row numbers from the best text of all to the worst, each text of an input once."""
        seen = set()
        for row in np.argsort(self.best_energies, kind="stable").tolist():
            key = (int(self.inputs[row]), self.best_texts[row])
            if key not in seen:
                seen.add(key)
                yield row

    def to_pandas(self) -> pd.DataFrame:
        """One row a chain: input, chain, texts, energies, and the terms of the best text.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install 'textsearch-sampling[pandas]'") from error
        chains = [int((self.inputs[:row] == self.inputs[row]).sum()) for row in range(len(self))]
        columns = {
            "input": self.inputs,
            "chain": chains,
            "text": self.texts,
            "energy": self.energies,
            "best_text": self.best_texts,
            "best_energy": self.best_energies,
        }
        return pd.DataFrame(columns | {f"best {name}": values for name, values in self.best_terms.items()})

    def to_records(self) -> list[dict[str, object]]:
        """The ranked best texts as plain dictionaries, ready for JSON."""
        return [
            {
                "input": int(self.inputs[row]),
                "text": self.best_texts[row],
                "energy": float(self.best_energies[row]),
                "terms": {name: float(values[row]) for name, values in self.best_terms.items()},
            }
            for row in self.ranked()
        ]

    def table(self, rows: int = 20) -> Table:
        """The ranked best texts and the acceptance rates, as a rich table."""
        from rich.table import Table
        from rich.text import Text

        taken = ", ".join(f"{kind} {count.rate:.2f}" for kind, count in self.acceptance.items() if count.proposed)
        caption = f"{len(self)} chains, {self.steps} steps in {self.seconds:.1f} s, {self.guarantee}; accepted: {taken}"
        if self.interrupted:
            caption = "interrupted; " + caption
        table = Table(caption=caption, caption_justify="left", min_width=80)
        many = len(set(self.inputs.tolist())) > 1
        if many:
            table.add_column("input")
        table.add_column("energy", justify="right")
        for name in self.best_terms:
            table.add_column(Text(name), justify="right")
        table.add_column("text", ratio=1)
        for number, row in enumerate(self.ranked()):
            if number == rows:
                break
            values = [f"{self.best_energies[row]:.2f}"]
            values += [f"{term[row]:.2f}" for term in self.best_terms.values()]
            source = [self.sources[int(self.inputs[row])]] if many else []
            table.add_row(*map(Text, (*source, *values, self.best_texts[row])))
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        yield self.table()

    def __str__(self) -> str:
        """The table as plain text."""
        from rich.console import Console

        console = Console(width=120, color_system=None, force_terminal=False)
        with console.capture() as capture:
            console.print(self.table())
        return capture.get()

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        head = "".join(f"<th>{escape(name)}</th>" for name in ("energy", *self.best_terms, "text"))
        body = "".join(
            "<tr>"
            + f"<td>{self.best_energies[row]:.2f}</td>"
            + "".join(f"<td>{term[row]:.2f}</td>" for term in self.best_terms.values())
            + f"<td style='text-align:left'>{escape(self.best_texts[row])}</td></tr>"
            for row in self.ranked()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
