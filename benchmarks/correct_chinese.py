"""Chinese correction: sentences mended by a noisy channel over characters and n-grams of both directions.

    python -m benchmarks.correct_chinese forward backward data/*.tsv --strictness 1 1.25 --limit 200

`forward` and `backward` are folders of `training/ngram.py --characters`; a file has a written and a right sentence on
each line. F1 is that of the public evaluations: a wrong sentence counts as found if the answer is the right one letter
by letter, and a right sentence that is changed is a false alarm. "left alone" is the share of right sentences that are
left as they were. Brackets are 95 % intervals by the bootstrap over sentences. With `--masked` a masked model of single
characters proposes in place of the n-grams.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.intervals import interval, shown
from textsearch.language.chinese_confusions import ChineseConfusions
from textsearch.models import masked_lm, ngram_lm
from textsearch.models.ngram.both_sides import NgramMaskedLM
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.tasks.chinese_correction import CharacterMaskedLM, correct_characters


def f1(kinds: NDArray[np.str_]) -> float:
    """Of "found", "missed", "alarm" and "right" sentences."""
    found, missed, alarm = ((kinds == kind).sum() for kind in ("found", "missed", "alarm"))
    return float(2 * found / max(2 * found + missed + alarm, 1))


def kind_of(written: str, right: str, answer: str) -> str:
    """What came of a sentence.

    >>> kind_of("a", "b", "b"), kind_of("a", "b", "c"), kind_of("a", "a", "c"), kind_of("a", "a", "a")
    ('found', 'missed', 'alarm', 'right')
    """
    if written == right:
        return "right" if answer == right else "alarm"
    return "found" if answer == right else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forward", type=Path)
    parser.add_argument("backward", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--strictness", type=float, nargs="+", default=[1.0])
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--block", type=int, default=2)
    parser.add_argument("--sweeps", type=int, default=2)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--one-direction", action="store_true")
    parser.add_argument("--masked", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    forward = ngram_lm(given.forward)
    assert isinstance(forward, NgramLM)
    backward = ngram_lm(given.backward, vocabulary=forward.vocabulary)
    assert isinstance(backward, RightToLeftLM)
    mlm: CharacterMaskedLM = masked_lm(given.masked) if given.masked else NgramMaskedLM(forward, backward)
    table = Table("file", "strictness", "F1", "found", "missed", "alarms", "left alone", "seconds")
    console, answers = Console(width=120), {}
    for path in given.files:
        pairs = [
            (line.split("\t")[0], line.split("\t")[1])
            for line in path.read_text(encoding="utf-8").splitlines()
            if "\t" in line
        ]
        pairs = pairs[given.skip :][: given.limit]
        for strictness in given.strictness:
            begun = time.perf_counter()
            found = correct_characters(
                [written for written, _ in pairs],
                lm=forward,
                mlm=mlm,
                confusions=ChineseConfusions(),
                backward=None if given.one_direction else backward,
                strictness=strictness,
                weight=given.weight,
                block=given.block,
                sweeps=given.sweeps,
            )
            kinds = np.array([kind_of(written, right, own) for (written, right), own in zip(pairs, found, strict=True)])
            count = {kind: int((kinds == kind).sum()) for kind in ("found", "missed", "alarm", "right")}
            figure = interval(len(kinds), lambda chosen, kinds=kinds: f1(kinds[chosen]), seed=0)  # type: ignore[misc]
            alone = count["right"] / max(count["right"] + count["alarm"], 1)
            numbers = [str(count[kind]) for kind in ("found", "missed", "alarm")]
            seconds = f"{time.perf_counter() - begun:.0f}"
            table.add_row(path.name, f"{strictness:g}", shown(figure, 3), *numbers, f"{alone:.3f}", seconds)
            answers[f"{path.name} {strictness:g}"] = [[*pair, own] for pair, own in zip(pairs, found, strict=True)]
    console.print(table)
    if given.out:
        given.out.write_text(json.dumps(answers, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
