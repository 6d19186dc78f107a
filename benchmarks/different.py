"""What keeping the texts of an input apart costs and brings: pairwise BLEU and energy, task by task.

    python -m benchmarks.different paraphrase quora_paraphrase.dev.tsv --weights 0 20 60
    python -m benchmarks.different keywords commongen.dev.jsonl --steps 60
    python -m benchmarks.different infill sst2.dev.tsv
    python -m benchmarks.different write

Each weight is a run of the same starts and steps; 0 is the task without `different`. Pairwise BLEU is the mean over
the pairs of an input of `objectives.ngram_likeness`, in %, of the texts that the task gives; energy is the mean over
texts of what each has of its own, in nats. Brackets are 95 % intervals by the bootstrap over inputs; those in
parentheses are of the difference to the first weight.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.intervals import interval, mean_of, shown
from objectives import ngram_likeness
from textsearch import Generations, tasks

REQUESTS: tuple[dict[str, Any], ...] = (
    {"prefix": "The book"},
    {"prefix": "In the morning"},
    {"template": "The * ran to the *."},
    {"template": "She * because *."},
    {"required": ["river", "boat"]},
    {"required": ["winter"], "words": [6, 12]},
    {"rhyme": "gold"},
    {"acrostic": "SPRING"},
    {"prefix": "My brother", "forbidden": ["he", "his"]},
    {"suffix": "in the rain."},
)
"""Of `write`, for which there is no file."""


def paraphrases(path: Path, skip: int, count: int) -> list[str]:
    """The sources of a file of `benchmarks.paraphrase`, as questions are written."""
    lines = path.read_text(encoding="utf-8").splitlines()[1 + skip :]
    texts = [" ".join(line.split("\t")[0].split()) for line in lines[:count]]
    return [text.replace(" 's", "'s")[:1].upper() + text.replace(" 's", "'s")[1:] + "?" for text in texts]


def sets(path: Path, skip: int, count: int) -> list[list[str]]:
    """Sets of keywords of CommonGen's file."""
    lines = path.read_text(encoding="utf-8").splitlines()[skip:]
    return [json.loads(line)["concepts"] for line in lines[:count]]


def gaps(path: Path, skip: int, count: int) -> list[str]:
    """Sentences of 8 to 14 words with their third and their last but one word left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        words = max(line.split("\t"), key=len).split()
        if 8 <= len(words) <= 14 and words[2].isalpha() and words[-2].isalpha():
            words[2] = words[-2] = "[MASK]"
            found.append(" ".join(words))
    return found[skip : skip + count]


def requests(path: Path, skip: int, count: int) -> list[dict[str, Any]]:
    """Requests of `write`."""
    return list(REQUESTS[skip : skip + count])


INPUTS: dict[str, Callable[[Path, int, int], Sequence[Any]]] = {
    "paraphrase": paraphrases,
    "keywords": sets,
    "infill": gaps,
    "write": requests,
}


def figures(result: Generations) -> tuple[list[float], list[float]]:
    """Of each input, the mean BLEU over its pairs in %, and its mean energy."""
    alike, energies = [], []
    for number in sorted(set(result.inputs.tolist())):
        rows = np.flatnonzero(result.inputs == number)
        pairs = list(itertools.combinations([result.best_texts[row] for row in rows], 2))
        alike.append(100 * float(np.mean(ngram_likeness([x for x, _ in pairs], [y for _, y in pairs]))))
        energies.append(float(result.best_energies[rows].mean()))
    return alike, energies


def main() -> None:
    """Run one task at several weights, and print the figures and all texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=INPUTS)
    parser.add_argument("file", type=Path, nargs="?", default=Path())
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 20.0])
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--chains", type=int)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    inputs = INPUTS[said.task](said.file, said.skip, said.count)
    settings = {name: getattr(said, name) for name in ("steps", "chains") if getattr(said, name) is not None}
    plain: tuple[list[float], list[float]] | None = None
    for weight in said.weights:
        began = time.perf_counter()
        also = {"different": True, "different_weight": weight} if weight else {}
        result = getattr(tasks, said.task)(inputs, seed=said.seed, **settings, **also)
        found = figures(result)
        told = []
        for values, base in zip(found, plain or found, strict=True):
            change = np.subtract(values, base)
            told.append(
                f"{shown(interval(len(values), mean_of(values), 0))} "
                f"({shown(interval(len(values), mean_of(change), 0))})"
            )
        plain = plain or found
        print(f"\n{said.task}, weight {weight:g}: pairwise BLEU {told[0]}, energy {told[1]}, ", end="")
        print(f"{time.perf_counter() - began:.0f} s", flush=True)
        for number, source in enumerate(result.sources):
            print(f"  {source}")
            for row in np.flatnonzero(result.inputs == number):
                print(f"    {result.best_energies[row]:7.2f}  {result.best_texts[row]!r}", flush=True)


if __name__ == "__main__":
    main()
