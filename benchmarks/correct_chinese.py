"""Chinese correction: sentences mended by a noisy channel over characters, as `correct --lang zh` mends them.

    python -m benchmarks.correct_chinese ngrams data/*.tsv --masked e5-mlm-zh --half second
    python -m benchmarks.correct_chinese ngrams data/*.tsv --masked e5-mlm-zh --half first --parts

`ngrams` is a folder of `training/ngram.py --characters`, or another causal model; a file has a written and a right
sentence on each line. Choices are made on the first half of each file, and reported on the second. F1 is that of the
public evaluations: a wrong sentence counts as found if the answer is the right one letter by letter, and a right
sentence that is changed is a false alarm. "left alone" is the share of right sentences that are left as they were.
Brackets are 95 % intervals by the bootstrap over sentences. A missed sentence is a failure of the search if the right
one has the lower energy, out of reach if no exchange leads to it, and else a failure of the models. With `--parts` the
judges of the energy are weighed in each way of `PARTS`, with and without what looks alike: F1 and "left alone".
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.intervals import interval, shown
from textsearch.language.characters import CharacterVocabulary
from textsearch.language.chinese_confusions import ChineseConfusions
from textsearch.objective import evaluate
from textsearch.tasks.chinese_correction import Judges, build
from textsearch.tasks.problem import Models, Problem, solve
from textsearch.tasks.settings import Correction

GROUP = 32
"""Sentences in one run."""


PARTS = (
    (Judges(1, 0, 0), False),
    (Judges(1, 0, 0), True),
    (Judges(0, 1, 0), False),
    (Judges(0, 1, 0), True),
    (Judges(0, 0, 1), True),
    (Judges(0.6, 0.6, 0), True),
    (Judges(), True),
)
"""What the judges weigh, and whether shapes are known."""


def f1(kinds: NDArray[np.str_]) -> float:
    """Of "found", "missed", "alarm" and "right" sentences."""
    found, missed, alarm = ((kinds == kind).sum() for kind in ("found", "missed", "alarm"))
    return float(2 * found / max(2 * found + missed + alarm, 1))


def alone(kinds: NDArray[np.str_]) -> float:
    """Of the right sentences, the share that was left as it was."""
    right, alarm = ((kinds == kind).sum() for kind in ("right", "alarm"))
    return float(right / max(right + alarm, 1))


def kind_of(written: str, right: str, answer: str) -> str:
    """What came of a sentence.

    >>> kind_of("a", "b", "b"), kind_of("a", "b", "c"), kind_of("a", "a", "c"), kind_of("a", "a", "a")
    ('found', 'missed', 'alarm', 'right')
    """
    if written == right:
        return "right" if answer == right else "alarm"
    return "found" if answer == right else "missed"


def why_missed(problem: Problem, number: int, right: str, energy: float) -> str:
    """Of a missed sentence: "out of reach", "search" or "model"."""
    vocabulary = problem.start.vocabulary
    assert isinstance(vocabulary, CharacterVocabulary)
    row = problem.start.rows([number])
    if len(right) != int(row.lengths) or not set(right) <= vocabulary.number.keys():
        return "out of reach"
    tokens = torch.zeros_like(row.tokens)
    tokens[0, : len(right)] = torch.tensor([vocabulary.number[one] for one in right])
    there = float(
        evaluate(problem.objective, type(row)(tokens, row.lengths, row.editable, row.inputs, vocabulary)).energy
    )
    return "out of reach" if there == float("inf") else "search" if there < energy - 1e-6 else "model"


def answered(
    pairs: Sequence[tuple[str, str]], settings: Correction, models: Models, judges: Judges
) -> tuple[list[str], list[str]]:
    """The answers, and for the missed ones why, in groups of like length."""
    found, why = [written for written, _ in pairs], [""] * len(pairs)
    order = sorted(range(len(pairs)), key=lambda number: len(pairs[number][0]))
    for first in range(0, len(order), GROUP):
        numbers = order[first : first + GROUP]
        problem = build([pairs[number][0] for number in numbers], settings, models, numbers=numbers, judges=judges)
        result = solve(problem)
        for place, number in enumerate(numbers):
            found[number] = result.best_texts[place]
            if found[number] != pairs[number][1] != pairs[number][0]:
                why[number] = why_missed(problem, place, pairs[number][1], float(result.best_energies[place]))
    return found, why


def pairs_of(path: Path, half: str, limit: int | None = None) -> list[tuple[str, str]]:
    """(written, right) of each sentence of a half of a file."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    halves = {"first": slice(len(lines) // 2), "second": slice(len(lines) // 2, None), "all": slice(None)}
    return [(line[0], line[1]) for line in lines[halves[half]]][:limit]


def kinds_of(pairs: Sequence[tuple[str, str]], found: Sequence[str]) -> NDArray[np.str_]:
    """What came of each sentence."""
    return np.array([kind_of(*pair, own) for pair, own in zip(pairs, found, strict=True)])


def parts(path: Path, half: str, limit: int | None, settings: Correction, models: Models) -> Iterator[str]:
    """A line for each of `PARTS`: weights, whether shapes are known, F1, right sentences left alone."""
    pairs = pairs_of(path, half, limit)
    for judges, shapes in PARTS:
        own = replace(settings, confusions=None if shapes else ChineseConfusions(shapes=False))
        kinds = kinds_of(pairs, answered(pairs, own, models, judges)[0])
        weights = ", ".join(f"{weight:g}" for weight in (judges.causal, judges.words, judges.masked))
        yield f"| {path.stem} | {weights} | {'yes' if shapes else 'no'} | {f1(kinds):.3f} | {alone(kinds):.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("causal")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--masked")
    parser.add_argument("--half", choices=("first", "second", "all"), default="second")
    parser.add_argument("--strictness", type=float, nargs="+", default=[1.0])
    parser.add_argument("--steps", type=int, default=Correction.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judges", type=float, nargs=3, metavar=("CAUSAL", "WORDS", "MASKED"))
    parser.add_argument("--parts", action="store_true", help="the table of parts")
    parser.add_argument("--no-shapes", action="store_true", help="what looks alike is not known")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path, help="JSON of all answers")
    given = parser.parse_args()
    judges = Judges(*given.judges) if given.judges else Judges()
    models = Models(causal=given.causal, masked=given.masked)
    table = Table(
        "file", "strictness", "F1", "found", "missed: out of reach, models, search", "alarms", "left alone", "s"
    )
    console, answers = Console(width=140), {}
    if given.parts:
        own = Correction(lang="zh", steps=given.steps, seed=given.seed)
        for path in given.files:
            for line in parts(path, given.half, given.limit, own, models):
                print(line, flush=True)
        return
    for path in given.files:
        pairs = pairs_of(path, given.half, given.limit)
        for strictness in given.strictness:
            begun = time.perf_counter()
            settings = Correction(
                lang="zh",
                strictness=strictness,
                steps=given.steps,
                seed=given.seed,
                confusions=ChineseConfusions(shapes=False) if given.no_shapes else None,
            )
            found, why = answered(pairs, settings, models, judges)
            kinds = kinds_of(pairs, found)
            figures = [
                shown(interval(len(kinds), lambda chosen, of=of, kinds=kinds: of(kinds[chosen]), seed=0), 3)  # type: ignore[misc]
                for of in (f1, alone)
            ]
            missed = ", ".join(str(why.count(one)) for one in ("out of reach", "model", "search"))
            count = {kind: str(int((kinds == kind).sum())) for kind in ("found", "alarm")}
            seconds = f"{time.perf_counter() - begun:.0f}"
            table.add_row(
                path.name, f"{strictness:g}", figures[0], count["found"], missed, count["alarm"], figures[1], seconds
            )
            answers[f"{path.name} {strictness:g}"] = [
                [*pair, own, cause] for pair, own, cause in zip(pairs, found, why, strict=True)
            ]
    console.print(table)
    if given.out:
        given.out.write_text(json.dumps(answers, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
