"""Correct sentences that correction changes: the fewer the better, beside what it mends in those that are wrong.

    python -m benchmarks.correct_unchanged --jfleg path/to/jfleg_dev --sentences path/to/heldout.txt --out results

Half of the sentences are references of JFLEG, tokenised, row n that of annotator n mod 4; half are lines of a file of
edited prose. Both are taken from the second half of their file on, so that the first may be tuned on. Answers are
appended to `unchanged.jsonl` in the folder as they come: a run that was stopped goes on from there. Prints the share
that was changed, with 95 % intervals by the bootstrap, and the changes; writes `unchanged.json`.

What people wrote is not always right: read the changed sentences before you believe the figure. `benchmarks.correct`
measures the other side, GLEU and F0.5 on sentences with mistakes.
"""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from rich.console import Console
from rich.table import Table

from benchmarks.intervals import Interval, interval, mean_of, shown
from benchmarks.jfleg import read
from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.tasks import correct


@final
@dataclass(frozen=True)
class Sentence:
    """A correct sentence and what became of it."""

    kind: str
    source: str
    text: str


def chosen(jfleg: Path | None, prose: Path | None, count: int, first: float) -> dict[str, list[str]]:
    """`count` correct sentences of each kind, from that share of the file on."""
    found: dict[str, list[str]] = {}
    if jfleg is not None:
        sources, references = read(jfleg)
        begin = int(first * len(sources))
        rows = range(begin, min(begin + count, len(sources)))
        found["JFLEG references"] = [references[row % len(references)][row] for row in rows]
    if prose is not None:
        lines = [line for line in prose.read_text(encoding="utf-8").splitlines() if line.strip()]
        begin = int(first * len(lines))
        found["edited prose"] = lines[begin : begin + count]
    return found


def edits(source: str, text: str) -> list[str]:
    """What changed, word by word.

    >>> edits("He saw a old dog", "He saw the dog")
    ['a old -> the']
    """
    old, new = source.split(), text.split()
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [f"{' '.join(old[a:b])} -> {' '.join(new[c:d])}" for kind, a, b, c, d in blocks if kind != "equal"]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jfleg", type=Path, help="beginning of the files' names, such as path/to/jfleg_dev")
    parser.add_argument("--sentences", type=Path, help="edited prose, a sentence a line")
    parser.add_argument("--count", type=int, default=250, help="sentences of each kind")
    parser.add_argument("--first", type=float, default=0.5, help="share of each file that is left out")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--strictness", type=float, default=1.0)
    parser.add_argument("--batch-inputs", type=int, default=20, help="sentences in a batch")
    parser.add_argument("--causal", help="model; by default the task's")
    parser.add_argument("--masked", help="model; by default the task's")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.jfleg is None and args.sentences is None:
        parser.error("name correct sentences: --jfleg, --sentences or both")
    for file in (args.jfleg and Path(f"{args.jfleg}.src"), args.sentences):
        if file is not None and not file.is_file():
            parser.error(f"{file}: no such file")
    groups = chosen(args.jfleg, args.sentences, args.count, args.first)
    args.out.mkdir(parents=True, exist_ok=True)
    lm, model = causal_lm(args.causal), masked_lm(args.masked)
    file = args.out / "unchanged.jsonl"
    try:
        found = corrected(groups, lm, model, file, args.steps, args.seed, args.batch_inputs, args.strictness)
    except ValueError as error:
        parser.error(str(error))
    report(found, args.out, args.seed)


def corrected(
    groups: Mapping[str, Sequence[str]],
    lm: TransformersCausalLM,
    model: TransformersMaskedLM,
    file: Path,
    steps: int,
    seed: int,
    batch_inputs: int,
    strictness: float = 1.0,
) -> list[Sentence]:
    """What becomes of the sentences of each kind; those that the file has are not corrected again.

    Raises:
        ValueError: the file holds answers to other sentences.
    """
    wanted = [(kind, source) for kind, sources in groups.items() for source in sources]
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [Sentence(**json.loads(line)) for line in lines][: len(wanted)]
    if [(one.kind, one.source) for one in found] != wanted[: len(found)]:
        raise ValueError(f"{file} holds answers to other sentences: move it away")
    while len(found) < len(wanted):
        kind = wanted[len(found)][0]
        part = [source for own, source in wanted[len(found) : len(found) + batch_inputs] if own == kind]
        result = correct(
            part,
            steps=steps,
            seed=seed,
            strictness=strictness,
            tokenised=kind == "JFLEG references",
            causal=lm,
            masked=model,
            numbers=range(len(found), len(found) + len(part)),
        )
        fresh = [Sentence(kind, source, text) for source, text in zip(part, result.best_texts, strict=True)]
        found += fresh
        with file.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in fresh)
    return found


def shares(found: Sequence[Sentence], seed: int) -> dict[str, tuple[int, Interval]]:
    """Kind of sentences -> how many there are, and how many in a hundred were changed; all of them last."""
    kinds = [*dict.fromkeys(one.kind for one in found), "all"]
    changed = {kind: [100.0 * (one.source != one.text) for one in found if kind in {one.kind, "all"}] for kind in kinds}
    return {kind: (len(values), interval(len(values), mean_of(values), seed)) for kind, values in changed.items()}


def report(found: Sequence[Sentence], out: Path, seed: int) -> None:
    """The shares, printed and written."""
    console, table = Console(width=140), Table("correct sentences", "count", "changed, per cent")
    figures = shares(found, seed)
    for kind, (count, share) in figures.items():
        table.add_row(kind, str(count), shown(share))
    written = {kind: share for kind, (_, share) in figures.items()}
    (out / "unchanged.json").write_text(json.dumps(written, indent=2), encoding="utf-8")
    for one in found:
        if one.source != one.text:
            console.print(f"{one.text}\n    {'; '.join(edits(one.source, one.text))}", markup=False)
    console.print(table)


if __name__ == "__main__":
    main()
