"""Chinese sentences from keywords, by models without a prompt: what each part of the energy and the search adds.

    python -m benchmarks.chinese zhwiki_heldout.txt --causal PATH --masked PATH --size quick

The data is one sentence a line. Of a sentence of 14 to 24 characters the three weightiest words by TextRank that stand
in two other sentences of the file too (`--common 3`) are the keywords; the sentence itself is the reference. Prints the
best sentence of each set and row, and a table: keywords that are there, keywords that are whole words by jieba, nats a
character under either model, the share of characters in words of two or more, pairs of characters that come again, and
the rows that the models read for each chain, with those of its starts; then how often a row's energy is below the
reference's. Intervals are 95 % by bootstrap over sets.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from benchmarks.intervals import interval, mean_of, shown
from objectives import FluencyPerToken, Keywords, PseudoLikelihood, WholeWords
from objectives.repeats import repeats
from textsearch.language.segmentation import chinese_keywords, chinese_words
from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.tasks import KeywordSentences, solve
from textsearch.tasks.languages import CHINESE
from textsearch.tasks.unprompted import energy, unprompted, usual_lengths

SIZES = {"quick": (6, 3, 30), "full": (40, 8, 200)}
"""Sets, chains and steps."""

SEARCHES = {
    "bridges": (0.0, 0.0),
    "causal, temperature 1": (0.0, 1.0),
    "causal, annealed": (0.0, 0.3),
    "both models, temperature 1": (0.5, 1.0),
    "both models, annealed": (0.5, 0.3),
}
"""Row -> the masked model's share of the energy, and the temperature at the end; 0 takes no steps."""


@final
@dataclass(frozen=True)
class Judge:
    """Figures of sentences, one for each keyword set."""

    lm: TransformersCausalLM
    model: TransformersMaskedLM
    sets: Sequence[Sequence[str]]

    def figures(self, texts: Sequence[str]) -> dict[str, list[float]]:
        """Name -> a number for each text."""
        batch = self.model.vocabulary.encode(texts)
        count = len(self.sets[0])
        with torch.inference_mode():
            alone = [Keywords([[words[i]] for words in self.sets]).energy(batch) == 0 for i in range(count)]
            return {
                "coverage %": (100 * torch.stack(alone).double().mean(0)).tolist(),
                "whole words %": (100 * (1 - WholeWords(self.sets, chinese_words).energy(batch) / count)).tolist(),
                "causal nats": FluencyPerToken(self.lm).energy(batch).tolist(),
                "masked nats": (PseudoLikelihood(self.model).energy(batch) / batch.lengths).tolist(),
                "in words %": [in_words(text) for text in texts],
                "repeats": [float(repeats(text)) for text in texts],
                "characters": batch.lengths.double().tolist(),
            }


def in_words(text: str) -> float:
    """Percentage of a text's characters that stand in words of two or more.

    >>> in_words("春天的公园")
    80.0
    """
    words = chinese_words(text)
    return 100 * sum(len(word) for word in words if len(word) > 1) / max(len(text), 1)


def keyword_sets(
    lines: Sequence[str], model: TransformersMaskedLM, count: int, common: int
) -> list[tuple[list[str], str]]:
    """The first `count` (keywords, sentence) of the lines that have three such keywords and can be written."""
    found: list[tuple[list[str], str]] = []
    for line in lines:
        if 14 <= len(line) <= 24 and len(found) < count:
            ranked = chinese_keywords(line, 9, by="textrank")
            words = [word for word in ranked if sum(word in other for other in lines) >= common][:3]
            try:
                model.vocabulary.encode([line])
            except ValueError:
                continue
            if len(words) == 3 and Keywords(words).energy(model.vocabulary.encode([line]))[0] == 0:
                found.append((words, line))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--causal", required=True)
    parser.add_argument("--masked", required=True)
    parser.add_argument("--size", choices=SIZES, default="quick")
    for name in ("--sets", "--chains", "--steps"):
        parser.add_argument(name, type=int, help="instead of the size's")
    parser.add_argument(
        "--common", type=int, default=3, help="sentences of the file that hold a keyword; 1 lets names in"
    )
    parser.add_argument("--rows", nargs="*", choices=SEARCHES, default=list(SEARCHES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    given = (args.sets, args.chains, args.steps)
    count, chains, steps = (own or usual for own, usual in zip(given, SIZES[args.size], strict=True))
    lm, model = causal_lm(args.causal), masked_lm(args.masked)
    chosen = keyword_sets(args.data.read_text(encoding="utf-8").splitlines(), model, count, args.common)
    sets, references = [words for words, _ in chosen], [line for _, line in chosen]
    judge = Judge(lm, model, sets)
    shuffled = ["".join(random.Random(number).sample(line, len(line))) for number, line in enumerate(references)]
    texts = {"references": references, "references, shuffled": shuffled}
    work = {"references": "", "references, shuffled": ""}
    for row in args.rows:
        began, own_lm, before = time.perf_counter(), lm.forgetful(), model.usage.rows
        sides, cold = SEARCHES[row]
        settings = KeywordSentences(chains=chains, steps=steps if cold else 0, seed=args.seed)
        result = solve(unprompted(sets, CHINESE, own_lm, model, settings, both_sides=sides, cold=cold or 1.0))
        read = (own_lm.usage.rows + model.usage.rows - before) / len(result)
        work[row] = f"{read:.0f} rows a chain, {time.perf_counter() - began:.0f} s"
        order = result.best_energies.argsort(kind="stable")
        first = [next(i for i in order if result.inputs[i] == number) for number in range(len(sets))]
        texts[row], best = [result.best_texts[i] for i in first], [float(result.best_energies[i]) for i in first]
        judged = energy(sets, CHINESE, lm, model, lengths=usual_lengths(sets, model.vocabulary), both_sides=sides)
        with torch.inference_mode():
            theirs = judged.energy(model.vocabulary.encode(references)).tolist()
        lower = sum(mine < other for mine, other in zip(best, theirs, strict=True))
        work[row] += f"; below the reference's energy: {lower} of {len(sets)}"
        print(f"\n{row}")
        for words, text, value in zip(sets, texts[row], best, strict=True):
            print(f"  {' '.join(words):16s} {value:6.1f}  {text}")

    figures = {row: judge.figures(own) for row, own in texts.items()}
    print()
    for row, figure in figures.items():
        cells = [f"{name} {shown(interval(len(sets), mean_of(values), seed=0))}" for name, values in figure.items()]
        print(f"{row:24s} {'  '.join(cells)}  {work[row]}")
    if args.json:
        record = {"sets": sets, "texts": texts, "figures": figures, "work": work, "size": args.size}
        args.json.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
