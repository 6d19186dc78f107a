"""Correction of learners' sentences: GLEU on JFLEG, against the source, spelling alone and the published CGMH.

    python -m benchmarks.correct path/to/jfleg_dev --size quick --out results

The path is the beginning of the files' names: `.src`, `.ref0`, `.ref1`, ... hold a tokenised sentence a line. Brackets
are 95 % intervals by the bootstrap over sentences. The costs of edits were chosen on the first 150 sentences, so the
others are shown apart. Answers are appended to `correct.jsonl` in the folder as they come: a run that was stopped goes
on from there. Prints the table and writes `correct.json`.

- source: as it stands.
- spelling: each word that no list knows given way to the nearest and most frequent word, by no model.
- spelling, masked model: the same, by the masked model and the costs of letters.
- textsearch: `textsearch.tasks.correct`.

Of some sentences the references' energies are looked at too. A reference below our output in energy is a failure of
the search; one above it that the scorer likes better than our output, a failure of the energy.

Beside them stands the share of correct sentences that are changed: references of JFLEG and, with `--prose`, lines of a
file of edited prose, both from the second half of their file on (`benchmarks/correct_unchanged.py`).

With `--errant` the table has F0.5 by ERRANT too (`benchmarks/f_half.py`): errant and a pipeline of spaCy are needed.

`quick` is 20 sentences and 10 correct ones of each kind, `full` all and 250.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.correct_unchanged import chosen, corrected, shares
from benchmarks.f_half import FHalf, edits_by_errant
from benchmarks.gleu import Gleu, gleu
from benchmarks.intervals import Interval, interval, shown
from benchmarks.jfleg import read
from objectives import Closeness
from samplers.proposals import Clusters, Corrections
from textsearch.language.confusions import EnglishConfusions
from textsearch.language.words import TIGHT, WordVocabulary, apart, attach
from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.objective import Objective
from textsearch.tasks.channel import COSTS, ChangedSentences, Channel
from textsearch.tasks.correction import EvenlySpaced, correct, spelled
from textsearch.tasks.judging import Corrector, judging

TUNED = 150
"""Sentences at the beginning on which the costs were chosen."""

CGMH = 45.5
"""GLEU on JFLEG, as published by Miao et al. (2019); we could not check which split it is of."""


@final
@dataclass(frozen=True)
class Size:
    """How many sentences, how long a chain, of how many the references' energies are looked at, and correct ones."""

    sentences: int
    steps: int
    judged: int
    correct: int


SIZES = {"quick": Size(20, 100, 10, 10), "full": Size(10_000, 100, 100, 250)}


@final
@dataclass(frozen=True)
class Answer:
    """What came out for a sentence, and its share of the texts that the models read."""

    number: int
    source: str
    masked: str
    text: str
    energy: float
    causal_rows: float
    masked_rows: float
    seconds: float


def answers(
    sources: Sequence[str],
    lm: TransformersCausalLM,
    model: TransformersMaskedLM,
    steps: int,
    seed: int,
    batch_inputs: int,
    done: int,
    tell: Callable[[Answer], None],
) -> None:
    """Correct the sources that are not done yet, some at a time."""
    for first in range(done, len(sources), batch_inputs):
        part = sources[first : first + batch_inputs]
        before, began = (lm.usage.rows, model.usage.rows), time.perf_counter()
        numbers = range(first, first + len(part))
        result = correct(part, steps=steps, seed=seed, numbers=numbers, tokenised=True, causal=lm, masked=model)
        seconds = (time.perf_counter() - began) / len(part)
        rows = [(now - then) / len(part) for now, then in zip((lm.usage.rows, model.usage.rows), before, strict=True)]
        starts = by_masked_model(part, model)
        found = zip(part, starts, result.best_texts, result.best_energies.tolist(), strict=True)
        for number, (source, start, text, energy) in enumerate(found, first):
            tell(Answer(number, source, start, text, energy, rows[0], rows[1], seconds))


def by_frequency(sources: Sequence[str]) -> list[str]:
    """Unknown words given way to the first of their candidates."""
    english = EnglishConfusions()

    def mended(word: str) -> str:
        candidates = [] if english.known(word) else [*english.of(word).items()]
        ordered = [other for wanted in ("spelling", "splitting") for other, kind in candidates if kind == wanted]
        return ordered[0].replace(TIGHT, " ") if ordered else word

    return [" ".join(mended(word) for word in source.split()) for source in sources]


def by_masked_model(sources: Sequence[str], model: TransformersMaskedLM) -> list[str]:
    """Unknown words given way to what the masked model and the channel like best: where the chains start."""
    rows = [attach(source.split()) for source in sources]
    english = EnglishConfusions()
    clusters = Clusters.of(rows, english)
    with torch.inference_mode():
        found = spelled(clusters.vocabulary.batch(rows), Corrections(model, clusters), Channel(english))
    return [apart(row) for row in clusters.vocabulary.words(found)]


def failures(found: Sequence[Answer], references: Sequence[Sequence[str]], lm: TransformersCausalLM) -> dict[str, Any]:
    """Whose energy is lower, ours or a reference's; and, where ours is, which the other references like better."""
    texts = [(answer, [lines[answer.number] for lines in references]) for answer in found]
    rows = [[attach(text.split()) for text in (answer.source, answer.text, *own)] for answer, own in texts]
    vocabulary = WordVocabulary.of(token for group in rows for row in group for token in row)
    search = model = neither = 0
    gaps = []
    for (answer, own), (source, *others) in zip(texts, rows, strict=True):
        own_source = vocabulary.batch([source])
        even = own_source.texts()
        asked = Corrector.of(lm, even)
        judges, edits = judging(lm, even, asked)
        sentence = COSTS["sentence"] if asked is None else asked.weights.sentence
        channel = Channel(EnglishConfusions(), {**COSTS, "sentence": sentence})
        objective: Objective = Closeness(own_source, channel, edits) + ChangedSentences(own_source, channel)
        for weight, judge in judges:
            objective += weight * EvenlySpaced(judge)
        with torch.inference_mode():
            ours, *theirs = objective.energy(vocabulary.batch(others)).tolist()
        gaps.append(min(theirs) - ours)
        if min(theirs) < ours - 1e-6:
            search += 1
        elif answer.text not in own:
            model += 1
        else:
            neither += 1
    return {
        "sentences": len(texts),
        "search failures": search,
        "model failures": model,
        "a reference found": neither,
        "median nats of the best reference above ours": float(np.median(gaps)) if gaps else 0.0,
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="beginning of the files' names, such as path/to/jfleg_dev")
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--skip", type=int, default=0, help="sentences at the beginning to leave out")
    parser.add_argument("--sentences", type=int, help="by default the size's")
    parser.add_argument("--steps", type=int, help="of every chain; by default the size's")
    parser.add_argument("--batch-inputs", type=int, default=20, help="sentences in a batch")
    parser.add_argument("--causal", help="model; by default the task's")
    parser.add_argument("--masked", help="model; by default the task's")
    parser.add_argument("--prose", type=Path, help="edited prose, a sentence a line, for the share that is changed")
    parser.add_argument("--correct", type=int, help="correct sentences of each kind; by default the size's")
    parser.add_argument("--errant", action="store_true", help="F0.5 too")
    parser.add_argument("--spacy", default="en_core_web_sm", help="pipeline that errant reads sentences with")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not Path(f"{args.data}.src").is_file():
        parser.error(f"{args.data}.src: no such file")
    if args.prose is not None and not args.prose.is_file():
        parser.error(f"{args.prose}: no such file")
    size = SIZES[args.size]
    steps = size.steps if args.steps is None else args.steps
    sources, references = read(args.data)
    part = slice(args.skip, args.skip + (args.sentences or size.sentences))
    sources, references = sources[part], [lines[part] for lines in references]
    if not sources or not references:
        parser.error(f"{args.data}: no sentences behind the first {args.skip}, or no references")
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "correct.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [Answer(**json.loads(line)) for line in lines][: len(sources)]
    if [answer.source for answer in found] != sources[: len(found)]:
        parser.error(f"{file} holds answers to other sentences: move it away")
    edits = edits_by_errant(args.spacy) if args.errant else None
    lm, model = causal_lm(args.causal), masked_lm(args.masked)

    def tell(answer: Answer) -> None:
        found.append(answer)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")

    answers(sources, lm, model, steps, args.seed, args.batch_inputs, len(found), tell)
    groups = chosen(args.data, args.prose, size.correct if args.correct is None else args.correct, 0.5)
    try:
        right = corrected(groups, lm, model, args.out / "unchanged.jsonl", steps, args.seed, args.batch_inputs)
    except ValueError as error:
        parser.error(str(error))
    rows = {
        "source": sources,
        "spelling": by_frequency(sources),
        "spelling, masked model": [answer.masked for answer in found],
        "textsearch": [answer.text for answer in found],
    }
    written: dict[str, Any] = {
        "steps": steps,
        "seed": args.seed,
        "rows": {name: figures(sources, references, texts, args.skip, args.seed) for name, texts in rows.items()},
        "F0.5": {
            name: interval(len(texts), FHalf.of(edits, sources, references, texts).score, args.seed)
            for name, texts in rows.items()
            if edits is not None
        },
        "causal rows a sentence": float(np.mean([answer.causal_rows for answer in found])),
        "masked rows a sentence": float(np.mean([answer.masked_rows for answer in found])),
        "seconds a sentence": float(np.mean([answer.seconds for answer in found])),
        "changed": float(np.mean([answer.text != answer.source for answer in found])),
        "correct sentences that are changed, per cent": {
            f"{kind}, {count}": share for kind, (count, share) in shares(right, args.seed).items()
        },
        "failures": failures(found[-size.judged :], references, lm),
        "one annotator against the others": [
            gleu(sources, [*references[:one], *references[one + 1 :]], references[one])
            for one in range(len(references))
            if len(references) > 1
        ],
    }
    (args.out / "correct.json").write_text(json.dumps(written, ensure_ascii=False, indent=2), encoding="utf-8")
    console = Console(width=140)
    console.print(table(written, len(sources)))
    console.print({name: value for name, value in written.items() if name != "rows"})


def figures(
    sources: Sequence[str], references: Sequence[Sequence[str]], texts: Sequence[str], skip: int, seed: int
) -> dict[str, Interval]:
    """GLEU of all sentences, of those the costs were chosen on, and of the others."""
    scorer, every = Gleu.of(sources, references, texts), np.arange(len(sources))
    tuned = max(TUNED - skip, 0)
    parts = {"all": every, f"first {TUNED}": every[:tuned], "the others": every[tuned:]}

    def score(part: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], float]:
        return lambda chosen: scorer.score(part[chosen])

    return {name: interval(len(part), score(part), seed, draws=200) for name, part in parts.items() if len(part)}


def table(written: dict[str, Any], count: int) -> Table:
    """For people."""
    parts = list(next(iter(written["rows"].values())))
    scored = written["F0.5"]
    out = Table("GLEU", *parts, *(["F0.5, all"] if scored else []), title=f"JFLEG dev, {count} sentences")
    for name, values in written["rows"].items():
        out.add_row(name, *(shown(values[part]) for part in parts), *([shown(scored[name])] if scored else []))
    out.add_row("CGMH, published", f"{CGMH}")
    changed = written["correct sentences that are changed, per cent"]
    out.caption = "correct sentences that are changed, per cent: " + "; ".join(
        f"{kind}: {shown(share)}" for kind, share in changed.items()
    )
    return out


if __name__ == "__main__":
    main()
