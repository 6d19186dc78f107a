"""Generations: what `generate` gives back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import reduce
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from textsearch.checks import mapping, whole
from textsearch.models.usage import Usage
from textsearch.result import diagnostics
from textsearch.result.columns import flat, table_of
from textsearch.result.tables import Sheet, plain
from textsearch.sampler import Guarantee

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
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
        concerned: of each input, the terms that say anything of it: their names in `terms` -> in its records.
        trace: (T, B) energies, one row a step.
        term_traces: names of the energy's terms -> (T, B) weighted values.
        length_trace: (T, B) lengths in tokens.
        recorded: name -> (T, ...) what the steps said of themselves: "accepted" (T, B), and what the sampler wanted
            recorded: log-weights, energies of all rungs, ...
        samples: the texts kept on the way, `samples[s][row]`, if `thin` asked for them.
        sample_steps: the steps after which they were kept.
        warm_up: steps at the start that are not meant to count; the trace has them all the same.
        batch: the final texts as tokens, to go on from.
        best_batch: the best texts as tokens.
        guarantee: what the sampler promises of its draws.
        usage: who asked (a term of the energy, the moves) -> what models were asked.
        seconds: wall-clock time of the steps.
        interrupted: whether the run was stopped before its last step.
        listed: what a task tells of its inputs in place of the ranked best texts: records as `to_records` gives them.
        drawn: whether the final texts are what was asked for, each as often as it was drawn, and not the best ones.
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
    concerned: Mapping[int, Mapping[str, str]]
    trace: NDArray[np.float64]
    term_traces: Mapping[str, NDArray[np.float64]]
    length_trace: NDArray[np.int64]
    recorded: Mapping[str, NDArray[Any]]
    samples: Sequence[list[str]]
    sample_steps: Sequence[int]
    warm_up: int
    batch: Batch
    best_batch: Batch
    guarantee: Guarantee
    usage: Mapping[str, Usage]
    seconds: float
    interrupted: bool
    listed: Sequence[Mapping[str, object]] = ()
    drawn: bool = False

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
        table: pd.DataFrame = table_of(self._columns(), "pandas", "to_pandas")
        return table

    def to_dataset(self) -> Any:
        """The same as a `Dataset` of datasets.

        Raises:
            ImportError: datasets is not installed.
        """
        return table_of(self._columns(), "datasets", "to_dataset")

    def to_records(self) -> list[dict[str, object]]:
        """The answers as plain dictionaries, ready for JSON: what the task has listed or drawn, or the best texts."""
        if self.listed:
            return [dict(record) for record in self.listed]
        texts, energies, terms = self._answers()
        return [
            {
                "input": int(self.inputs[row]),
                "text": texts[row],
                "energy": float(energies[row]),
                "terms": {
                    told: float(terms[name][row]) for name, told in self.concerned[int(self.inputs[row])].items()
                },
            }
            for row in self._answering()
        ]

    def summary(
        self, warm_up: int | None = None, quantities: Mapping[str, Callable[[str], float]] | None = None
    ) -> pd.DataFrame:
        """How far the draws can be trusted: one row for each input and quantity, indexed by both.

        The energy in nats, its terms where there are several, and the length in tokens have a draw a step. Where texts
        were kept (`thin`), so have, for each of them, the edits that lead from the input to it and `quantities`.
        See `textsearch.result.diagnostics.Statistics` for the columns; the last two are bulk draws a second and a
        thousand texts that models read, warm-up included.

        Args:
            warm_up: steps at the start to leave out; by default the run's own.
            quantities: name -> function of a text.

        Raises:
            ImportError: ArviZ is not installed.
            ValueError: too few chains or draws, weighted draws, or `warm_up` is no number of steps of this run.

        >>> from samplers import MetropolisHastings
        >>> from samplers.proposals import Replace
        >>> from textsearch import FunctionObjective, generate
        >>> from textsearch.testing import TableMaskedLM, letters
        >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
        >>> few_a = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
        >>> run = generate(few_a, sampler, ["aaa"], steps=120, seed=0, chains=8, warm_up=20, thin=5)
        >>> table = run.summary(quantities={"b": lambda text: text.count("b")})
        >>> table.loc[0, "draws"].to_dict()
        {'energy': 100, 'tokens': 100, 'edits (characters)': 20, 'b': 20}
        >>> bool(table.loc[(0, "energy"), "r_hat"] < 1.2)
        True
        """
        warm_up = self._counted(warm_up)
        series = {name: values[warm_up:] for name, values in self._traces().items()}
        kept = self._kept(warm_up)
        if len(kept) >= diagnostics.FEWEST_DRAWS:
            name, edits = self._edits(kept)
            series[name] = edits
        if quantities:
            mapping("quantities", quantities, "names and functions of a text", '{"letters": len}')
        for name, quantity in (quantities or {}).items():
            if name in series:
                raise ValueError(f"quantities holds {name!r}, which the summary has anyway: give yours another name")
            if not kept:
                raise ValueError(
                    f"no samples were kept after step {warm_up} to compute {name} of: generate(..., thin=10) keeps some"
                )
            series[name] = diagnostics.measured(kept, quantity)
        rows = sum(usage.rows for usage in self.usage.values())
        return diagnostics.summary(series, self.inputs, seconds=self.seconds, rows=rows)

    def to_arviz(self, warm_up: int | None = None) -> Any:
        """The run for ArviZ's plots: `InferenceData`, or `xarray.DataTree` from ArviZ 1 on.

        Variables are (chain, draw, input). `posterior` has the energy, its terms and the length in tokens;
        `sample_stats` what the sampler recorded of each chain; the attributes, acceptance rates. The steps of the
        warm-up lie in groups of their own.

        Args:
            warm_up: steps at the start that do not count; by default the run's own.

        Raises:
            ImportError: ArviZ is not installed.
            ValueError: inputs with different numbers of chains, weighted draws, or `warm_up` is no number of steps.
        """
        recorded = {name: each for name, each in self.recorded.items() if each.shape == self.trace.shape}
        rates = {f"acceptance of {kind}": count.rate for kind, count in self.acceptance.items() if count.proposed}
        return diagnostics.to_arviz(
            self._traces(),
            self.inputs,
            warm_up=self._counted(warm_up),
            sample_stats=recorded,
            attributes={"guarantee": str(self.guarantee), "seconds": self.seconds} | rates,
        )

    def plot(self, warm_up: int | None = None) -> Figure:
        """Four panels: the energies step by step, how long they remember, their distribution, and what was accepted.

        A notebook shows the figure; `run.plot().savefig("run.png")` writes it.

        Args:
            warm_up: steps at the start to leave out of all but the first panel; by default the run's own.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: weighted draws, or `warm_up` is no number of steps of this run.
        """
        from textsearch.result.plots import figure

        return figure(
            self.trace,
            self.inputs,
            {kind: (count.accepted, count.proposed) for kind, count in self.acceptance.items()},
            warm_up=self._counted(warm_up),
            rungs=self.recorded.get("rung energies"),
            temperatures=self.recorded.get("rung temperatures"),
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Keep all of it in a folder of its own; `textsearch.load` gives it back.

        Raises:
            ValueError: the folder holds something else.
            OSError: it cannot be written.
        """
        from textsearch.result.saving import ARRAYS, BATCHES, PLAIN, TABLES, Parts, write

        told = {name: getattr(self, name) for name in PLAIN} | {
            "sample_steps": [int(step) for step in self.sample_steps],
            "acceptance": {kind: astuple(count) for kind, count in self.acceptance.items()},
            "usage": {name: astuple(used) for name, used in self.usage.items()},
            "concerned": [[number, dict(names)] for number, names in self.concerned.items()],
            "guarantee": str(self.guarantee),
        }
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays |= {f"{table}.{name}": each for table in TABLES for name, each in getattr(self, table).items()}
        write(Path(folder), Parts(told, arrays, {name: getattr(self, name) for name in BATCHES}, self.samples))

    def diversity(self, warm_up: int | None = None) -> pd.DataFrame:
        """How varied the texts are: of each input, the share of different texts, and of different n-grams.

        Of the kept texts, or of the final ones where none were kept. See `textsearch.result.diagnostics.distinct_n`;
        the n-grams are of words, of characters where no text has a space.

        Args:
            warm_up: steps at the start to leave out; by default the run's own.

        Raises:
            ImportError: pandas is not installed.
        """
        samples = self._kept(self._warm_up(warm_up)) or [self.texts]
        _, words = diagnostics.cutter([text for texts in samples for text in texts])
        found = []
        for number, rows in diagnostics.rows_by_input(self.inputs):
            texts = [sample[row] for sample in samples for row in rows.tolist()]
            distinct = {f"distinct_{n}": diagnostics.distinct_n(texts, n, words) for n in (1, 2, 3)}
            found.append({"input": number, "texts": len(texts), "unique": diagnostics.unique_rate(texts)} | distinct)
        frame: pd.DataFrame = table_of(flat(found), "pandas", "diversity").set_index("input")
        return frame

    def accounting(self) -> Sheet:
        """What models were asked, and by whom: `print(run.accounting())`.

        A pass is a call of a model, a row a text that it read, a hit a text whose answer was remembered.
        """
        total = Usage(*map(sum, zip(*map(astuple, self.usage.values()), strict=True))) if self.usage else Usage()
        per_step = f"{total.rows / (len(self) * self.steps):.2f} rows a step of a chain" if self.steps else ""
        return Sheet(
            ("charged to", "passes", "rows", "tokens", "padding", "hits", "hit share"),
            tuple(_spent(name, usage) for name, usage in self.usage.items()),
            total=_spent("all", total),
            caption=per_step,
        )

    def moves(self) -> Sheet:
        """How often the moves of each kind were taken, and how far they went: `print(run.moves())`.

        Jumps are means over all proposals, refused ones counting as 0: tokens changed, and squared changes of the
        energy in squared nats.
        """
        return Sheet(
            ("move", "proposed", "accepted", "rate", "tokens a proposal", "nats² a proposal"),
            tuple(_taken(kind, count) for kind, count in self.acceptance.items()),
            total=_taken("all", _total(self.acceptance)),
            caption="a move that wrote the old text again counts as accepted",
        )

    def table(self, rows: int = 20) -> Table:
        """The answers, as a rich table: the ranked best texts, or all that were drawn.

        `moves` has the acceptance rates.
        """
        from rich.table import Table
        from rich.text import Text

        rows = whole("rows", rows)
        caption = f"{len(self)} chains, {self.steps} steps in {self.seconds:.1f} s, {self.guarantee}"
        if self.steps:
            caption += f", {_total(self.acceptance).rate:.0%} accepted"
        if self.interrupted:
            caption = "interrupted; " + caption
        table = Table(caption=caption, caption_justify="left", min_width=80)
        many = len(set(self.inputs.tolist())) > 1
        if many:
            table.add_column("input")
        table.add_column("energy", justify="right")
        texts, energies, terms = self._answers()
        for name in terms:
            table.add_column(Text(name), justify="right")
        table.add_column("text", ratio=1)
        for number, row in enumerate(self._answering()):
            if number == rows:
                break
            values = [f"{energies[row]:.2f}"]
            values += [f"{term[row]:.2f}" for term in terms.values()]
            source = [self.sources[int(self.inputs[row])]] if many else []
            table.add_row(*map(Text, (*source, *values, texts[row])))
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        yield self.table()

    def __str__(self) -> str:
        """The table as plain text."""
        return plain(self.table())

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        texts, energies, terms = self._answers()
        head = "".join(f"<th>{escape(name)}</th>" for name in ("energy", *terms, "text"))
        body = "".join(
            "<tr>"
            + f"<td>{energies[row]:.2f}</td>"
            + "".join(f"<td>{term[row]:.2f}</td>" for term in terms.values())
            + f"<td style='text-align:left'>{escape(texts[row])}</td></tr>"
            for row in self._answering()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _columns(self) -> dict[str, Sequence[Any]]:
        """Name -> a value for each chain."""
        columns: dict[str, Sequence[Any]] = {
            "input": self.inputs.tolist(),
            "chain": [int((self.inputs[:row] == self.inputs[row]).sum()) for row in range(len(self))],
            "text": self.texts,
            "energy": self.energies.tolist(),
            "best_text": self.best_texts,
            "best_energy": self.best_energies.tolist(),
        }
        return columns | {f"best {name}": values.tolist() for name, values in self.best_terms.items()}

    def _answers(self) -> tuple[list[str], NDArray[np.float64], Mapping[str, NDArray[np.float64]]]:
        """Texts, energies and terms by row, of which `_answering` says which are answers."""
        if self.drawn:
            return self.texts, self.energies, self.terms
        return self.best_texts, self.best_energies, self.best_terms

    def _answering(self) -> Iterable[int]:
        """The rows that are answers, in order: those of the ranked best texts, or all."""
        return range(len(self)) if self.drawn else self.ranked()

    def _warm_up(self, asked: int | None) -> int:
        """Steps to leave out, checked."""
        warm_up = self.warm_up if asked is None else asked
        return whole("warm_up", warm_up, 0, max(self.steps - 1, 0), remedy=f", below the {self.steps} steps taken")

    def _counted(self, asked: int | None) -> int:
        """The same, for statistics that give all draws one weight."""
        if "log weights" in self.recorded:
            raise ValueError(
                "the draws of this run are weighted (recorded['log weights']): statistics that count them alike would "
                "be wrong; use samplers.importance_summary(run)"
            )
        return self._warm_up(asked)

    def _traces(self) -> dict[str, NDArray[Any]]:
        """Name -> (T, B): the energy, its terms where there are several, and the length."""
        traces: dict[str, NDArray[Any]] = {"energy": self.trace}
        if len(self.term_traces) > 1:
            taken = {"energy", "tokens"}
            traces |= {f"{name} (term)" if name in taken else name: each for name, each in self.term_traces.items()}
        return traces | {"tokens": self.length_trace}

    def _kept(self, warm_up: int) -> list[list[str]]:
        """The samples kept after the warm-up."""
        return [texts for texts, step in zip(self.samples, self.sample_steps, strict=True) if step > warm_up]

    def _edits(self, kept: Sequence[list[str]]) -> tuple[str, NDArray[np.int64]]:
        """(S, B) edits from the input to each kept text, and what they are counted in."""
        starts = [self.sources[number] for number in self.inputs.tolist()]
        unit, cut = diagnostics.cutter([*self.sources, *(text for texts in kept for text in texts)])
        flat = [text for texts in kept for text in texts]
        edits = diagnostics.edit_distance(flat, starts * len(kept), cut)
        return f"edits ({unit})", edits.reshape(len(kept), len(self))


def _total(acceptance: Mapping[str, Acceptance]) -> Acceptance:
    return reduce(Acceptance.plus, acceptance.values(), Acceptance(0, 0))


def _taken(kind: str, count: Acceptance) -> tuple[str, ...]:
    """A row of `moves`."""
    if not count.proposed:
        return kind, "0", "0", "", "", ""
    jumps = (f"{count.jump:.3f}", f"{count.energy_jump:.3f}")
    return kind, f"{count.proposed:,}", f"{count.accepted:,}", f"{count.rate:.1%}", *jumps


def _spent(name: str, usage: Usage) -> tuple[str, ...]:
    """A row of `accounting`."""
    counts = (f"{count:,}" for count in (usage.passes, usage.rows, usage.tokens))
    padding = f"{usage.padding / usage.tokens:.0%}" if usage.tokens else ""
    asked = usage.hits + usage.rows
    return name, *counts, padding, f"{usage.hits:,}", f"{usage.hits / asked:.0%}" if asked else ""
