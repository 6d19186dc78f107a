"""Weights of the paraphrase energy, fitted by ranking what people wrote above drafts, checked on other rows.

    python -m benchmarks.paraphrase_weights path/to/quora_paraphrase.dev.tsv --fit 500 700 --check 232 432 --out results
    python -m benchmarks.paraphrase_weights path/to/quora_paraphrase.dev.tsv --hold consensus --out results

A row's candidates are its source, the drafts that `textsearch.tasks.paraphrase` writes of it, and, to fit on, its
reference. Two fits, each of the logarithms of the weights, with a prior of width 1 around those in use:

- ranked: the conditional logit (McFadden, 1974): the likelihood of the reference under exp(-energy) over candidates.
- risk: the expected iBLEU of exp(-energy) over source and drafts, as in training to minimum risk (Och, 2003).

`--hold` names terms whose weights stay as they are. Fluency is left out: a language model wrote the drafts, none of
which the term charges for.

A draft agrees with itself, a reference does not: the fits leave a draft's own share out of its consensus. Since ranking
knows nothing of how far from its source a text should be, diversity is then raised, if need be, until BLEU to source
of what is chosen on the fitted rows is at most 45; and, since the encoder is not what people judged by, similarity is
raised until the mean cosine to the source is at least `--cosine`. The check chooses the candidate of lowest energy, as
the task's chains start from it, by the weights in use and by each fit, on rows that no fit saw, and compares them row
by row. No chains are run.

Candidates are appended to `paraphrase_weights.jsonl` as they come: a run that was stopped goes on from there. Prints
the tables and writes `paraphrase_weights.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.intervals import Interval, interval, mean_of, shown
from benchmarks.paraphrase import POOL, Item, Models, bleu, filed, items, surface
from objectives import Consensus
from textsearch import tasks
from textsearch.batch import concatenate
from textsearch.objective import evaluate, term_names
from textsearch.tasks.paraphrasing import build
from textsearch.tasks.settings import Paraphrasing, Weights

GROUP = 8
"""Rows whose candidates are written at once."""
FITTED = ("similarity", "word preservation", "diversity", "consensus", "brevity")
"""Terms whose weights are fitted; the others are walls, and stay."""
LEFT_OUT = ("as fluent",)
"""Terms that charge for no draft, and would charge for what people wrote."""
MOST = 45.0
"""BLEU to source that the rows which are fitted on may have."""
OTHER = "others"


@final
@dataclass(frozen=True)
class Candidate:
    """A text that may be the paraphrase of a row.

    Attributes:
        row: of the file.
        kind: source, draft or reference.
        text: in the file's form.
        terms: name -> value, weight 1; the sum of those that are not fitted as it stands.
        own: the text's own share in its consensus.
        ibleu: of the text, per cent.
        to_source: BLEU to the source, per cent.
    """

    row: int
    kind: str
    text: str
    terms: Mapping[str, float]
    own: float
    ibleu: float
    to_source: float


def candidates(models: Models, group: Sequence[Item], first: int, seed: int) -> list[Candidate]:
    """Of some rows, those from number `first` on."""
    settings = Paraphrasing(chains=POOL + 1, pool=POOL, steps=0, seed=seed)
    given = tasks.Models(causal=models.lm, masked=models.masked, encoder=models.encoder)
    sources = models.masked.vocabulary.encode([surface(item.source) for item in group]).texts()
    ready = build(sources, settings, given, numbers=range(first, first + len(group)))
    references = ready.start.vocabulary.encode([surface(item.reference) for item in group])
    batch = concatenate([ready.start, references])
    with torch.inference_mode():
        terms = evaluate(ready.objective, batch).terms.tolist()
    weights = [weight for weight, _ in ready.objective.parts]
    names = [name if name in (*FITTED, *LEFT_OUT) else OTHER for name in term_names(ready.objective)]
    agreement = next(term for _, term in ready.objective.parts if isinstance(term, Consensus))
    found: dict[tuple[int, str], Candidate] = {}
    for text, number, values in zip(batch.texts(), batch.inputs.tolist(), terms, strict=True):
        item, written = group[number], filed(text)
        sums = dict.fromkeys((*FITTED, OTHER), 0.0)
        for name, weight, value in zip(names, weights, values, strict=True):
            if name not in LEFT_OUT:
                sums[name] += value / weight if name in FITTED else value
        kind = "source" if text == sources[number] else "reference" if written == item.reference else "draft"
        score, source = bleu(written, item.reference), bleu(written, item.source)
        own = share(agreement, number, text)
        one = Candidate(first + number, kind, written, sums, own, 0.9 * score - 0.1 * source, source)
        found.setdefault((number, written), one)
    return list(found.values())


def share(agreement: Consensus, number: int, text: str) -> float:
    """Of the draws of an input, that of a text."""
    assert agreement.weights is not None
    draws, weights = agreement.draws[number], agreement.weights[number]
    assert not isinstance(draws, str) and isinstance(weights, Sequence)
    own = sum(weight for draw, weight in zip(draws, weights, strict=True) if filed(draw) == filed(text))
    return float(own / sum(weights))


@final
@dataclass(frozen=True, eq=False)
class Row:
    """The candidates of a row, in arrays.

    Attributes:
        terms: (N, 5) of those that are fitted.
        alone: (N, 5) the same without a text's own share in its consensus.
        others: (N,) the rest of the energy.
        ibleu: (N,) per cent.
        to_source: (N,) per cent.
        reference: which of them is the reference; None if none is, or its energy is not finite.
        written: (N,) bool: source and drafts.
    """

    terms: NDArray[np.float64]
    alone: NDArray[np.float64]
    others: NDArray[np.float64]
    ibleu: NDArray[np.float64]
    to_source: NDArray[np.float64]
    reference: int | None
    written: NDArray[np.bool_]

    @classmethod
    def of(cls, own: Sequence[Candidate]) -> Row:
        """Those whose energy is finite."""
        own = [one for one in own if np.isfinite(list(one.terms.values())).all()]
        terms = np.array([[one.terms[name] for name in FITTED] for one in own])
        alone = terms.copy()
        left = 1.0 - np.array([one.own for one in own])
        column = FITTED.index("consensus")
        alone[:, column] = np.where(left > 1e-6, np.minimum(terms[:, column] / np.maximum(left, 1e-6), 1.0), 1.0)
        kinds = [one.kind for one in own]
        return cls(
            terms,
            alone,
            np.array([one.terms[OTHER] for one in own]),
            np.array([one.ibleu for one in own]),
            np.array([one.to_source for one in own]),
            kinds.index("reference") if "reference" in kinds else None,
            np.array([kind != "reference" for kind in kinds]),
        )

    def chosen(self, weights: NDArray[np.float64]) -> int:
        """The source or draft of lowest energy."""
        energies = np.where(self.written, self.terms @ weights + self.others, np.inf)
        return int(energies.argmin())


def fitted(
    rows: Sequence[Row],
    start: NDArray[np.float64],
    loss: Callable[[Row, Tensor], Tensor],
    held: Sequence[str] = (),
) -> NDArray[np.float64]:
    """The weights of the least mean loss, with a prior of width 1 on their logarithms around `start`.

    Those of the terms that are `held` stay.
    """
    middle = torch.from_numpy(np.log(start))
    free = torch.tensor([name not in held for name in FITTED])
    logs = middle.clone().requires_grad_(True)
    solver = torch.optim.LBFGS([logs], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> float:
        solver.zero_grad()
        weights = torch.where(free, logs, middle).exp()
        total = torch.stack([loss(row, weights) for row in rows]).sum() + ((logs - middle) ** 2).sum() / 2
        total.backward()  # type: ignore[no-untyped-call]
        return float(total.detach())

    solver.step(step)  # type: ignore[no-untyped-call]
    found: NDArray[np.float64] = logs.detach().exp().numpy()
    return found


def ranked(row: Row, weights: Tensor) -> Tensor:
    """Minus the log-likelihood of the reference among the candidates."""
    assert row.reference is not None
    energies = torch.from_numpy(row.alone) @ weights + torch.from_numpy(row.others)
    return energies[row.reference] + torch.logsumexp(-energies, 0)


def risk(row: Row, weights: Tensor) -> Tensor:
    """Minus the expected iBLEU of what is written, in units of 10 per cent."""
    written = torch.from_numpy(row.written)
    energies = torch.from_numpy(row.alone) @ weights + torch.from_numpy(row.others)
    law = torch.softmax(-energies[written], 0)
    return -(law @ torch.from_numpy(row.ibleu)[written]) / 10.0


def far_enough(rows: Sequence[Row], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights with diversity raised by tenths until BLEU to source is at most `MOST`."""
    weights = weights.copy()
    while np.mean([row.to_source[row.chosen(weights)] for row in rows]) > MOST:
        weights[FITTED.index("diversity")] *= 1.1
    return weights


def near_enough(rows: Sequence[Row], weights: NDArray[np.float64], cosine: float) -> NDArray[np.float64]:
    """The weights with similarity raised by tenths until the mean cosine to the source is at least `cosine`."""
    weights, column = weights.copy(), FITTED.index("similarity")
    for _ in range(100):
        if 1.0 - np.mean([row.terms[row.chosen(weights), column] for row in rows]) >= cosine:
            break
        weights[column] *= 1.1
    return weights


def gathered(file: Path, data: Sequence[Item], wanted: Sequence[int], seed: int) -> dict[int, list[Candidate]]:
    """Row -> its candidates; those that the file has are not written again."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found: dict[int, list[Candidate]] = {}
    for line in lines:
        one = Candidate(**json.loads(line))
        found.setdefault(one.row, []).append(one)
    missing = [row for row in wanted if row not in found]
    models = Models() if missing else None
    while models and missing:
        first = missing[0]
        rows = [row for row in missing[:GROUP] if row - first < GROUP and row == first + missing.index(row)]
        fresh = candidates(models, [data[row] for row in rows], first, seed)
        with file.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in fresh)
        for one in fresh:
            found.setdefault(one.row, []).append(one)
        missing = missing[len(rows) :]
        print(f"{len(missing)} rows to come", flush=True)
    return {row: found[row] for row in wanted}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--fit", type=int, nargs=2, metavar=("FIRST", "STOP"), default=(500, 700), help="rows, from 0 on"
    )
    parser.add_argument("--check", type=int, nargs=2, metavar=("FIRST", "STOP"), default=(232, 432))
    parser.add_argument("--hold", nargs="*", choices=FITTED, default=(), metavar="TERM", help="weights that stay")
    parser.add_argument("--cosine", type=float, default=0.946, help="to the source, at least, of what is chosen")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    fit, check = range(*args.fit), range(*args.check)
    if set(fit) & set(check):
        parser.error(f"--fit {args.fit} and --check {args.check} share rows: name others")
    data = items(args.file)
    if max(*fit, *check) >= len(data):
        parser.error(f"{args.file} has {len(data)} rows, --fit and --check name row {max(*fit, *check)}")
    args.out.mkdir(parents=True, exist_ok=True)
    found = gathered(args.out / "paraphrase_weights.jsonl", data, [*fit, *check], args.seed)
    learn, test = ([Row.of(found[row]) for row in rows] for rows in (fit, check))
    told = Weights()
    used = np.array([told.similarity, told.preservation, told.diversity, told.consensus, told.brevity])
    with_reference = [row for row in learn if row.reference is not None]
    by_rank, by_risk = (fitted(rows, used, loss, args.hold) for rows, loss in ((with_reference, ranked), (learn, risk)))
    weights = {
        "in use": used,
        "ranked": by_rank,
        "ranked, near enough": near_enough(learn, by_rank, args.cosine),
        "risk": by_risk,
        "risk, far enough": far_enough(learn, by_risk),
    }
    parts = {"fitted on": learn, "checked on": test}
    tables = {title: figures(rows, weights, used, args.seed) for title, rows in parts.items()}
    written = {
        "weights": {name: dict(zip(FITTED, own.tolist(), strict=True)) for name, own in weights.items()},
        **tables,
    }
    (args.out / "paraphrase_weights.json").write_text(json.dumps(written, indent=1), encoding="utf-8")
    console = Console(width=150)
    table = Table("weights", *FITTED)
    for name, own in weights.items():
        table.add_row(name, *(f"{value:.3g}" for value in own))
    console.print(table)
    for title, rows in parts.items():
        table = Table(
            "weights", "iBLEU", "BLEU to source", "iBLEU above those in use", title=f"{title} {len(rows)} rows"
        )
        for name, values in tables[title].items():
            table.add_row(name, *map(shown, values))
        console.print(table)


def figures(
    rows: Sequence[Row], weights: Mapping[str, NDArray[np.float64]], used: NDArray[np.float64], seed: int
) -> dict[str, list[Interval]]:
    """Of each set of weights: iBLEU, BLEU to source, and the first above that of those in use, paired over rows."""
    before = np.array([row.ibleu[row.chosen(used)] for row in rows])
    out = {}
    for name, own in weights.items():
        chosen = [row.chosen(own) for row in rows]
        score = np.array([row.ibleu[one] for row, one in zip(rows, chosen, strict=True)])
        source = np.array([row.to_source[one] for row, one in zip(rows, chosen, strict=True)])
        out[name] = [interval(len(rows), mean_of(values), seed) for values in (score, source, score - before)]
    oracle = np.array([row.ibleu[row.written].max() for row in rows])
    nearest = np.array([row.to_source[row.written][row.ibleu[row.written].argmax()] for row in rows])
    out["best of all, by the reference"] = [
        interval(len(rows), mean_of(values), seed) for values in (oracle, nearest, oracle - before)
    ]
    return out


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
