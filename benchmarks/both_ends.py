"""What a model of each direction gains: words recovered inside sentences, and sentences written around keywords.

    python -m benchmarks.both_ends forward backward heldout.txt --size quick --out results

`forward` and `backward` are folders that `training/ngram.py` wrote, with one tokenizer, of cased words with the spaces
before them. Held-out sentences are one a line.

First, every token of held-out sentences of 9 to 40 tokens, unseen at its place: nats of the token, and how often it is
the likeliest, by what stands before it, behind it, and by both (`NgramMaskedLM`); for the first, middle and last third
of the sentence. Brackets are 95 % intervals by the bootstrap over sentences.

Then sentences are written around keywords: of held-out sentences, names, marks, words of several tokens and the rarest
word of each third stay, and the other words are written anew, as many as there were. Once from the left and once from
the right, each word drawn from what one model says of it; and by a chain of replacements from the first of these, under
the energies 2 E_forward, 2 E_backward and E_forward + E_backward: the square of one direction, or the product of both.
The judge is SmolLM2, a model of another kind that no chain has seen: nats a token of the thirds of each sentence.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.intervals import Interval, interval, mean_of, shown
from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import generate
from textsearch.batch import Batch
from textsearch.models import causal_lm, ngram_lm
from textsearch.models.ngram.both_sides import NgramMaskedLM
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import lines_of
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.rng import Rng, categorical
from textsearch.spelling import canonical

SIZES = {"quick": (100, 24, 150), "full": (1000, 100, 1000)}
"""Sentences whose tokens are recovered, sentences that are written anew, steps of the chains."""
THIRDS = ("first", "middle", "last")


def recovered(mlm: NgramMaskedLM, sentences: Sequence[str]) -> dict[str, dict[str, tuple[Interval, Interval]]]:
    """Nats of the token that stood there, and the share of those that were the likeliest, by view and third."""
    views: dict[str, list[Any]] = {"before": [], "behind": [], "both": []}
    for text in sentences:
        row = mlm.vocabulary.read([text])[0]
        batch, places = Batch.of([row], mlm.vocabulary), torch.arange(len(row))
        told = torch.tensor(row)
        laws = {
            "before": mlm.forward.tree.logits(mlm.forward.tree.read(mlm.forward.after([row], [""]))[0][:-1]),
            "behind": mlm.behind.tree.logits(mlm.behind.tree.read(mlm.behind.after([row[::-1]], [""]))[0][:-1]).flip(0),
            "both": mlm.log_probs(batch, torch.zeros_like(places), places),
        }
        for view, law in laws.items():
            nats = -law.gather(1, told[:, None])[:, 0].numpy()
            views[view].append((nats, (law.argmax(-1) == told).numpy()))
    return {
        view: {
            third: (
                interval(len(found), mean_of([np.array_split(nats, 3)[place].mean() for nats, _ in found]), seed=0),
                interval(len(found), mean_of([np.array_split(hit, 3)[place].mean() for _, hit in found]), seed=0),
            )
            for place, third in enumerate(THIRDS)
        }
        for view, found in views.items()
    }


def judged(texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """(B, 3) nats a token of the thirds of each text under SmolLM2; its end belongs to the last."""
    judge = causal_lm()
    batch = judge.vocabulary.encode(list(texts))
    ends = batch.lengths + 1
    cuts = [(batch.lengths * part) // 3 for part in range(3)]
    left = [-judge.suffix_log_probs(batch, cut) for cut in cuts]
    sizes = [cuts[1], cuts[2] - cuts[1], ends - cuts[2]]
    nats = [left[0] - left[1], left[1] - left[2], left[2]]
    return torch.stack([own / size.clamp(min=1) for own, size in zip(nats, sizes, strict=True)], 1).numpy()


def around_keywords(mlm: NgramMaskedLM, texts: Sequence[str]) -> Batch:
    """The sentences with what stays frozen."""
    vocabulary = mlm.vocabulary
    batch = vocabulary.encode(list(texts))
    plain = torch.tensor(
        [piece.startswith("\u0120") and piece[1:].isalpha() and piece[1:].islower() for piece in vocabulary.pieces]
    )
    starts = torch.nn.functional.pad(batch.word_starts, (0, 1), value=True)
    whole = batch.word_starts & (starts[:, 1:] | ~torch.nn.functional.pad(batch.present, (0, 1))[:, 1:])
    free = whole & plain[batch.tokens] & batch.present
    common = torch.from_numpy(np.array(mlm.forward.model.log_prob[0], dtype=float))[batch.tokens].where(free, 0.0)
    for third in range(3):
        column = torch.arange(batch.width)
        inside = (column >= batch.lengths[:, None] * third // 3) & (column < batch.lengths[:, None] * (third + 1) // 3)
        rarest = common.where(inside, 0.0).argmin(1)
        free[torch.arange(len(batch)), rarest] = False
    return batch.frozen(~free)


def drawn_from(lm: NgramLM, batch: Batch, plain: torch.Tensor, seed: int) -> Batch:
    """Every editable token anew, from the left, by what the model says of it after those before it."""
    rng = Rng.start(seed, len(batch), purpose="written from one side")
    tokens = batch.tokens.clone()
    for place in range(batch.width):
        rows = batch.editable[:, place].nonzero()[:, 0]
        if len(rows):
            before = lm.after([tokens[row, :place].tolist() for row in rows.tolist()], [""] * len(rows))
            laws = lm.tree.logits([slots[-1] for slots in lm.tree.read(before)]).masked_fill(~plain, -torch.inf)
            tokens[rows, place] = categorical(laws, rng.rows(rows).uniform(place))
    return replace(batch, tokens=tokens)


def written(mlm: NgramMaskedLM, texts: Sequence[str], steps: int, seed: int) -> dict[str, dict[str, Any]]:
    """The sentences as they were, and anew in each way."""
    batch = around_keywords(mlm, texts)
    plain = torch.zeros(mlm.vocabulary.size, dtype=torch.bool)
    plain[[i for i, piece in enumerate(mlm.vocabulary.pieces) if piece[:1] == "\u0120" and piece[1:].isalpha()]] = True
    left = drawn_from(mlm.forward, batch, plain, seed)
    right = drawn_from(mlm.behind, batch.mirrored(), plain, seed).mirrored()
    found: dict[str, dict[str, Any]] = {
        name: {"texts": own.texts()}
        for name, own in {"as it was": batch, "from the left": left, "from the right": right}.items()
    }
    forward, backward = Fluency(mlm.forward), Fluency(mlm.backward)
    energies = {"2 forward": 2.0 * forward, "2 backward": 2.0 * backward, "forward + backward": forward + backward}
    start = left.rows(canonical(left))
    for name, energy in energies.items():
        begun = time.perf_counter()
        result = generate(energy, MetropolisHastings(Replace(mlm, pieces=[1.0])), start, steps=steps, seed=seed)
        texts = left.texts()
        for row, text in zip(canonical(left).nonzero()[:, 0].tolist(), result.texts, strict=True):
            texts[row] = text
        found[name] = {"texts": texts, "seconds": round(time.perf_counter() - begun, 1)}
    return found


def compared(found: dict[str, dict[str, Any]]) -> dict[str, list[Interval]]:
    """Nats a token by third under the judge, and what each other way has above the product, sentence by sentence."""
    nats = {name: judged(own["texts"]) for name, own in found.items()}
    lines = {name: [interval(len(own), mean_of(own[:, i]), seed=0) for i in range(3)] for name, own in nats.items()}
    for name in ("from the left", "from the right", "2 forward", "2 backward"):
        above = nats[name] - nats["forward + backward"]
        lines[f"{name}, above both"] = [interval(len(above), mean_of(above[:, i]), seed=0) for i in range(3)]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forward", type=Path)
    parser.add_argument("backward", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    forward = ngram_lm(given.forward)
    backward = ngram_lm(given.backward, vocabulary=forward.vocabulary)  # type: ignore[arg-type]
    if not isinstance(forward, NgramLM) or not isinstance(backward, RightToLeftLM):
        raise SystemExit("name a model that was trained left_to_right, and then one right_to_left")
    sentences, anew, steps = SIZES[given.size]
    mlm = NgramMaskedLM(forward, backward)
    texts = [text for text in lines_of(given.heldout) if 9 <= len(forward.vocabulary.read([text])[0]) <= 40]
    console = Console(width=120)
    first = recovered(mlm, texts[:sentences])
    table = Table("what is read", *[f"{third}, nats" for third in THIRDS], *[f"{third}, found" for third in THIRDS])
    for view, own in first.items():
        table.add_row(view, *[shown(own[t][0], 2) for t in THIRDS], *[shown(own[t][1], 3) for t in THIRDS])
    console.print(table)
    second = written(mlm, texts[sentences : sentences + anew], steps, given.seed)
    figures = compared(second)
    table = Table("nats a token", *THIRDS)
    for name, line in figures.items():
        table.add_row(name, *[shown(one, 2) for one in line])
    console.print(table)
    for kind in ("as it was", "from the left", "2 forward", "forward + backward"):
        console.print(f"{kind}:", *second[kind]["texts"][:5], sep="\n  ", highlight=False)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        told = {"recovered": first, "figures": figures, "written": second}
        (given.out / "both_ends.json").write_text(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
