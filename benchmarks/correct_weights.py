"""Weights of the correction energy: what each choice of them does to sentences with mistakes and to correct ones.

    python -m benchmarks.correct_weights path/to/jfleg_dev --prose path/to/heldout.txt --rows 0 150 --out results

The edits of a sentence are those of the drafts that the taught model writes of it, the spellings that the task starts
from, and the likeliest of the masked model. Two descents, at weights that ask little of an edit, say which help
together. Candidates are the source, each edit of these by itself, what the descents end in, that without one of its
edits, and combinations drawn at random. Each is scored once; then, for every choice of the share of the taught model,
the factor on the costs of edits and the nats for a changed sentence, the candidate of lowest energy is taken. No chains
are run. Correct sentences are as many references of JFLEG, of the rows behind, and lines of edited prose.

Candidates are appended to `correct_weights.jsonl` as they come: a run that was stopped goes on from there. Prints, for
several shares of correct sentences that may change, the choice of the highest GLEU; writes all to
`correct_weights.json`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.gleu import gleu
from benchmarks.jfleg import read
from objectives import Closeness, Conditional, Fluency
from samplers.proposals import Corrections
from textsearch.batch import concatenate
from textsearch.language.words import apart
from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.tasks.channel import ChangedSentences
from textsearch.tasks.correction import EvenlySpaced, Reading, reading, spelled
from textsearch.tasks.drafted import Edit, differences, edited, improved, suggested
from textsearch.tasks.judging import TAUGHT
from textsearch.tasks.settings import Correction

GROUP = 10
"""Sentences whose candidates are written at once."""
RANDOM = 24
"""Combinations of edits that are drawn for a sentence."""
LIKELIEST = 12
"""Edits of the masked model for a sentence."""
EASY = ((0.3, 0.3, 1.0), (0.6, 0.2, 0.5))
"""Weights of the two descents: the share of the taught model, the factor on edits, nats for a changed sentence."""

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
EDITS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
SENTENCE = (0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)


@final
@dataclass(frozen=True)
class Scored:
    """The candidates of a sentence, the source first.

    Attributes:
        kind: of the sentence: "mistakes", or that of a correct one.
        number: of its row in its file.
        texts: with one space between any two tokens.
        terms: for each -log p, -log p given the source, the costs of edits, the sentences that changed, and the rest.
    """

    kind: str
    number: int
    texts: list[str]
    terms: list[list[float]]


def combinations(ends: Sequence[frozenset[Edit]], rng: random.Random) -> list[frozenset[Edit]]:
    """Sets of edits of one sentence, each once, none at all first."""
    pool = sorted(frozenset().union(*ends))
    found = [frozenset[Edit](), *ends, *(frozenset({edit}) for edit in pool)]
    found += [end - {edit} for end in ends for edit in end]
    for _ in range(RANDOM if pool else 0):
        share, chosen = rng.random(), dict[tuple[int, int], Edit]()
        for edit in rng.sample(pool, len(pool)):
            if rng.random() < share:
                chosen[edit.spot] = edit
        found.append(frozenset(chosen.values()))
    return list(dict.fromkeys(found))


def scored(
    kind: str,
    numbers: Sequence[int],
    texts: Sequence[str],
    lm: TransformersCausalLM,
    mlm: TransformersMaskedLM,
    seed: int,
) -> list[Scored]:
    """The candidates of some sentences with what each term says of them."""
    own: Reading = reading(texts, Correction(tokenised=kind != "edited prose"), lm, numbers=numbers)
    assert own.asked is not None
    rng = random.Random(f"{seed} {kind} {numbers[0]}")
    rules = own.rules
    assert rules is not None
    taught = EvenlySpaced(Conditional(own.asked.lm, own.asked.prompts))
    terms = [
        EvenlySpaced(Fluency(lm)),
        taught,
        Closeness(own.sources, own.channel, 1.0),
        ChangedSentences(own.sources, own.channel),
        rules,
    ]
    with torch.inference_mode():
        moves = Corrections(mlm, own.clusters)
        spelling = differences(own.sources, spelled(own.sources, moves, own.channel))
        near, owner = moves.likeliest(own.sources, LIKELIEST)
        pools = [[one, *drafts] for one, drafts in zip(spelling, own.drafts, strict=True)]
        words = own.clusters.vocabulary.words
        sources = words(own.sources)
        for row, number in zip(words(near), owner.tolist(), strict=True):
            pools[number].append(suggested(sources[number], [False] * len(sources[number]), row, own.meant))
        ends: list[list[frozenset[Edit]]] = [[] for _ in texts]
        for share, edits, sentence in EASY:
            energy = (
                (1 - share) * terms[0]
                + share * taught
                + edits * terms[2]
                + sentence / TAUGHT.sentence * terms[3]
                + rules
            )
            found = words(improved(energy, own.sources, pools))
            for number, row in enumerate(found):
                wanted = suggested(sources[number], [False] * len(sources[number]), row, own.meant)
                ends[number].append(frozenset(wanted))
    sets = [combinations(group, rng) for group in ends]
    rows = [(edited(own.sources, number, edits), number) for number, group in enumerate(sets) for edits in group]
    batch = concatenate(row for row, _ in rows)
    with torch.inference_mode():
        values = torch.stack([term.energy(batch) for term in terms], 1).tolist()
    shown = [apart(row) for row in words(batch)]
    places = list(itertools.accumulate((len(group) for group in sets), initial=0))
    return [
        Scored(kind, number, shown[begin:end], values[begin:end])
        for number, begin, end in zip(numbers, places, places[1:], strict=False)
    ]


def best(one: Scored, share: float, edits: float, sentence: float) -> int:
    """Which candidate has the lowest energy; the first of equals."""
    terms = np.array(one.terms)
    changed = terms[:, 3] / TAUGHT.sentence
    energy = (1 - share) * terms[:, 0] + share * terms[:, 1] + edits * terms[:, 2] + sentence * changed + terms[:, 4]
    return int(energy.argmin())


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="beginning of the files' names, such as path/to/jfleg_dev")
    parser.add_argument("--prose", type=Path, required=True, help="edited prose, a sentence a line")
    parser.add_argument("--rows", type=int, nargs=2, default=(0, 150), metavar=("FIRST", "END"))
    parser.add_argument("--kinds", nargs="+", default=["mistakes", "references", "edited prose"], help="of sentences")
    parser.add_argument("--correct", type=int, default=80, help="correct sentences of each kind")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for file in (Path(f"{args.data}.src"), args.prose):
        if not file.is_file():
            parser.error(f"{file}: no such file")
    sources, references = read(args.data)
    prose = [line for line in args.prose.read_text(encoding="utf-8").splitlines() if line.strip()]
    first, end = args.rows
    behind = range(end, end + args.correct)
    wanted = [("mistakes", number, sources[number]) for number in range(first, end)]
    wanted += [("references", number, references[number % len(references)][number]) for number in behind]
    wanted += [("edited prose", number, prose[number]) for number in range(first, first + args.correct)]
    wanted = [one for one in wanted if one[0] in args.kinds]
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "correct_weights.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [Scored(**json.loads(line)) for line in lines]
    lm, mlm = causal_lm(), masked_lm()
    while len(found) < len(wanted):
        kind = wanted[len(found)][0]
        part = [one for one in wanted[len(found) : len(found) + GROUP] if one[0] == kind]
        fresh = scored(kind, [number for _, number, _ in part], [text for _, _, text in part], lm, mlm, args.seed)
        found += fresh
        with file.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in fresh)
        print(f"{len(found)} of {len(wanted)}", flush=True)
    report(found, sources, references, args.out)


def report(found: Sequence[Scored], sources: Sequence[str], references: Sequence[Sequence[str]], out: Path) -> None:
    """GLEU and changed correct sentences of every choice; the best for each share of them that may change."""
    wrong, right = ([one for one in found if (one.kind == "mistakes") == which] for which in (True, False))
    own = [sources[one.number] for one in wrong]
    others = [[lines[one.number] for one in wrong] for lines in references]
    known: dict[tuple[str, ...], float] = {}
    figures = []
    for share, edits, sentence in itertools.product(SHARES, EDITS, SENTENCE):
        changed = 100.0 * float(np.mean([best(one, share, edits, sentence) != 0 for one in right]))
        texts = tuple(one.texts[best(one, share, edits, sentence)] for one in wrong)
        if texts not in known:
            known[texts] = gleu(own, others, texts)
        figures.append((known[texts], changed, share, edits, sentence))
    in_use = min(
        figures,
        key=lambda one: abs(one[2] - TAUGHT.share) + abs(one[3] - TAUGHT.edits) + abs(one[4] - TAUGHT.sentence),
    )
    table = Table("changed at most, of 100", "GLEU", "changed", "share", "edits", "nats a sentence")
    for most in (3, 4, 5, 6, 7, 8, 10, 15, 100):
        top = max((one for one in figures if one[1] <= most), default=None)
        if top is not None:
            table.add_row(str(most), *(f"{value:.2f}" for value in top))
    table.add_row("in use, or nearest", *(f"{value:.2f}" for value in in_use))
    console = Console(width=110)
    console.print(table)
    console.print(f"source: {gleu(own, others, own):.2f}")
    names = ("GLEU", "changed", "share", "edits", "sentence")
    written = [dict(zip(names, one, strict=True)) for one in figures]
    (out / "correct_weights.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
