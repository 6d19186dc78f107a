"""What another masked model costs the sentences: the same tasks, seeds and steps with each, judged by the same energy.

    python -m benchmarks.masked_sentences commongen.dev.jsonl heldout.txt --model path/to/one

The packaged model comes first. The energy of a text is of the causal model and of no masked one, so the best of each
input can be held against each other, in nats, whatever the tokenizers: lower is better. Keywords are those of the first
file, in which drafts of the causal model do most of the work; in sentences of the second two words are gaps, which
nothing but the proposals fills. Intervals are 95 %, by the bootstrap over inputs, and so is that of the paired
difference to the packaged model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.intervals import interval, mean_of, shown
from benchmarks.keywords import items
from textsearch import Generations
from textsearch.models import causal_lm, masked_lm
from textsearch.tasks import infill, keywords

_WORD = regex.compile(r"(?<=[ ])\p{Ll}+(?=[ ,.])")


def with_gaps(sentences: Sequence[str], count: int, seed: int) -> list[str]:
    """`count` of the sentences of at most 20 words, two words within each a gap.

    >>> with_gaps(["It is so."], 1, seed=0)
    ['It [MASK] [MASK].']
    """
    rng = np.random.default_rng(seed)
    found = []
    for sentence in sentences:
        spans = [match.span() for match in _WORD.finditer(sentence)]
        if len(spans) >= 2 and len(sentence.split()) <= 20:
            for at in sorted(rng.permutation(len(spans))[:2], reverse=True):
                begin, end = spans[at]
                sentence = f"{sentence[:begin]}[MASK]{sentence[end:]}"
            found.append(sentence)
    return found[:count]


def best(result: Generations, inputs: int) -> NDArray[np.float64]:
    """(I,) the lowest energy of each input."""
    return np.array([result.best_energies[result.inputs == number].min() for number in range(inputs)])


def texts(result: Generations, inputs: int) -> list[str]:
    """The text of each."""
    return [next(result.best_texts[row] for row in result.ranked() if result.inputs[row] == i) for i in range(inputs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keywords", type=Path, help="keyword sets, as in benchmarks.keywords")
    parser.add_argument("sentences", type=Path, help="one a line")
    parser.add_argument("--model", action="append", default=[], help="folder, once for each")
    parser.add_argument("--inputs", type=int, default=10, help="of each file")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--drafts", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sets = [item.words for item in items(args.keywords)[: args.inputs]]
    gaps = with_gaps(args.sentences.read_text(encoding="utf-8").splitlines(), args.inputs, args.seed)
    names: list[str | None] = [None, *args.model]
    lm = causal_lm()
    console = Console(width=140)
    table = Table(caption=f"nats, {args.steps} steps, {args.chains} chains", caption_justify="left")
    for column in ("task", "model", "energy", "less the packaged", "accepted", "seconds"):
        table.add_column(column, justify="left" if column in ("task", "model") else "right")
    told: dict[str, list[list[str]]] = {}
    asked = {"keywords": [", ".join(own) for own in sets], "infill": gaps}
    for task, inputs in asked.items():
        first: NDArray[np.float64] | None = None
        for name in names:
            began = time.perf_counter()
            settings: dict[str, Any] = {"chains": args.chains, "steps": args.steps, "seed": args.seed}
            settings |= {"masked": masked_lm(name), "causal": lm.forgetful()}
            result = keywords(sets, drafts=args.drafts, **settings) if task == "keywords" else infill(gaps, **settings)
            found = best(result, len(inputs))
            first = found if first is None else first
            cells = [shown(interval(len(found), mean_of(own.tolist()), args.seed), 2) for own in (found, found - first)]
            seconds = time.perf_counter() - began
            moves = result.acceptance.values()
            share = sum(own.accepted for own in moves) / sum(own.proposed for own in moves)
            table.add_row(task, name or "packaged", *cells, f"{share:.1%}", f"{seconds:.0f}")
            told.setdefault(task, []).append(texts(result, len(inputs)))
    console.print(table)
    for task, inputs in asked.items():
        for number, line in enumerate(inputs):
            console.print(line, style="bold", markup=False, soft_wrap=True)
            for name, own in zip(names, told[task], strict=True):
                console.print(f"  {name or 'packaged'}: {own[number]}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
