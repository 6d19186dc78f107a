"""Questions about sentences: chains beside the best of as many drafts as their tokens give, and the prompt alone.

    python -m benchmarks.questions questions.dev.tsv [--sentences 30] [--seconds 520]

The file has a sentence and a question about it on each line. The answer that we ask for is the first that is found in
the sentence and in none of its questions. All systems use the same prompts and the default model, each with a memory of
its own, so that tokens read are its own:

- the prompt alone: the first draft;
- best of n: the draft of the lowest energy, n such that about as many tokens are read as by the chains;
- chains: `ask` as it is by default, its question of the lowest energy.

BLEU-4 (sacrebleu, case folded, over all sentences) and ROUGE-L (rouge_score) are to the questions of the file, the best
of them where there are several, which ask for other answers than ours as a rule. Found is the share of questions to
which the model, asked with the passage, says the answer: the likeliest tokens, 16 at most, hold its words. Intervals
are 95 % by the bootstrap over sentences. After `--seconds` no further group of sentences is begun.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rich.console import Console
from rich.table import Table
from rouge_score.rouge_scorer import RougeScorer

from benchmarks.intervals import interval, mean_of, shown
from benchmarks.ngram_scores import corpus_bleu
from textsearch.language.answers import answers_of, holds
from textsearch.models.defaults import default_causal_lm
from textsearch.models.protocols import asked
from textsearch.rng import Rng
from textsearch.tasks import Asking, ask
from textsearch.tasks.asking import backward, drafted
from textsearch.tasks.question_form import Pair

GROUP = 5
"""Sentences that run together."""

SYSTEMS = ("prompt alone", "best of n", "chains")


@final
@dataclass(frozen=True)
class Item:
    """A sentence, an answer that it gives, and the questions of the file."""

    pair: Pair
    references: tuple[str, ...]


def surface(text: str) -> str:
    """Plain text of the file's form.

    >>> surface("bell -lrb- 1847 -- 1922 -rrb- , they said , did n't stay .")
    "bell (1847 -- 1922), they said, didn't stay."
    """
    for old, new in (("-lrb- ", "("), (" -rrb-", ")"), ("`` ", '"'), (" ''", '"'), (" n't", "n't"), (" 's", "'s")):
        text = text.replace(old, new)
    for mark in ",.;:?!":
        text = text.replace(f" {mark}", mark)
    return text.strip()


def items(path: Path, count: int) -> list[Item]:
    """`count` sentences, evenly from the file."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        sentence, question = line.split("\t")[:2]
        found[surface(sentence)].append(surface(question))
    every = []
    for sentence, questions in found.items():
        fit = [one for one in answers_of(sentence, 9) if not any(holds(text, one.text) for text in questions)]
        if fit:
            every.append((sentence, fit[0], tuple(questions)))
    return [
        Item(Pair(every[place][0], every[place][1], number), every[place][2])
        for number, place in enumerate(range(0, len(every), max(len(every) // count, 1)))
    ][:count]


def tokens_of(lm: Any) -> int:
    """What a model has read."""
    return int(lm.usage.tokens)


def questions(group: Sequence[Item], seed: int) -> tuple[dict[str, list[str]], dict[str, int]]:
    """System -> a question for each sentence, and the tokens that it read."""
    lm = default_causal_lm()
    inputs = [{"passage": one.pair.passage, "answer": one.pair.answer.text} for one in group]
    numbers = [one.pair.number for one in group]
    texts: dict[str, list[str]] = {}
    spent: dict[str, int] = {}

    def first(records: Sequence[Mapping[str, Any]]) -> list[str]:
        best: dict[int, str] = {}
        for record in records:
            best.setdefault(record["input"], record["text"])
        return [best[place] for place in range(len(group))]

    own = lm.forgetful()
    texts["chains"] = first(ask(inputs, causal=own, seed=seed, numbers=numbers).to_records())
    spent["chains"] = tokens_of(own)
    # what one draft costs is known of the fewest
    own = lm.forgetful()
    ask(inputs, causal=own, seed=seed, numbers=numbers, steps=0, chains=1)
    each = tokens_of(own) / Asking.drafts
    own = lm.forgetful()
    count = max(round(spent["chains"] / each), 1)
    texts["best of n"] = first(
        ask(inputs, causal=own, seed=seed, numbers=numbers, steps=0, chains=1, drafts=count).to_records()
    )
    spent["best of n"] = tokens_of(own)
    own = lm.forgetful()
    pairs = [one.pair for one in group]
    texts["prompt alone"] = [drafts[0] for drafts in drafted(own, pairs, 1, seed, [16 * number for number in numbers])]
    spent["prompt alone"] = tokens_of(own)
    return texts, spent


def said(group: Sequence[Item], texts: Sequence[str]) -> list[str]:
    """What the model answers to each question, by its likeliest tokens."""
    lm = default_causal_lm()
    assert asked(lm, "") is not None
    prompts = []
    for one, text in zip(group, texts, strict=True):
        before, behind = backward(lm, one.pair)
        prompts.append(before + text + behind)
    found = lm.continuations(
        prompts, Rng.start(0, len(prompts), purpose="answers to questions"), temperature=0.01, most=16
    )
    return [text.strip().split("\n")[0] for text in found]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--sentences", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=520.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows, began = items(given.questions, given.sentences), time.monotonic()
    texts: dict[str, list[str]] = {name: [] for name in SYSTEMS}
    replies: dict[str, list[str]] = {name: [] for name in SYSTEMS}
    spent = dict.fromkeys(SYSTEMS, 0)
    done: list[Item] = []
    for begin in range(0, len(rows), GROUP):
        if time.monotonic() - began > given.seconds:
            break
        group = rows[begin : begin + GROUP]
        own, read = questions(group, given.seed)
        for name in SYSTEMS:
            answers = said(group, own[name])
            texts[name] += own[name]
            replies[name] += answers
            spent[name] += read[name]
        for place, one in enumerate(group):
            print(f"\n{one.pair.passage}\n  asked for: {one.pair.answer.text}; of the file: {one.references[0]}")
            for name in SYSTEMS:
                print(f"  {name}: {own[name][place]} -> {replies[name][len(done) + place]}", flush=True)
        done += group
    show(done, texts, replies, spent, given.seed)


def show(
    rows: Sequence[Item],
    texts: Mapping[str, Sequence[str]],
    replies: Mapping[str, Sequence[str]],
    spent: Mapping[str, int],
    seed: int,
) -> None:
    """The table."""
    table = Table(f"{len(rows)} sentences", "BLEU-4", "ROUGE-L", "found %", "questions %", "tokens a sentence")
    scorer, references = RougeScorer(["rougeL"]), [one.references for one in rows]
    for name in SYSTEMS:
        rouge = [
            100 * max(scorer.score(reference, text)["rougeL"].fmeasure for reference in one.references)
            for one, text in zip(rows, texts[name], strict=True)
        ]
        # a question that holds the answer, or is none, gives it away
        fine = [
            text.endswith("?") and not holds(text, one.pair.answer.text)
            for one, text in zip(rows, texts[name], strict=True)
        ]
        found = [
            100.0 * (good and holds(reply, one.pair.answer.text))
            for one, good, reply in zip(rows, fine, replies[name], strict=True)
        ]
        figures = [
            shown(interval(len(rows), figure, seed))
            for figure in (corpus_bleu(texts[name], references), mean_of(rouge), mean_of(found))
        ]
        table.add_row(name, *figures, f"{100 * sum(fine) / len(rows):.0f}", f"{spent[name] / len(rows):.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
