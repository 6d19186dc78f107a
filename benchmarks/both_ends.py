"""What a model of each direction gains: words recovered inside sentences, and sentences written around keywords.

    python -m benchmarks.both_ends forward backward heldout.txt keywords.jsonl --size quick --out results

`forward` and `backward` are folders that `training/ngram.py` wrote, with one tokenizer. Held-out sentences are one a
line; keywords are CommonGen's, {"concepts": [...]} a line.

First, every token of held-out sentences of 9 to 40 tokens, unseen at its place: nats of the token, and how often it is
the likeliest, by what stands before it, behind it, and by both (`NgramMaskedLM`); for the first, middle and last third
of the sentence. Brackets are 95 % intervals by the bootstrap over sentences.

Then sentences with keywords, from the same starts by the same moves (edits of the masked model, suffixes and prefixes)
for as many steps, under the energies 2 E_forward, 2 E_backward and E_forward + E_backward: the square of one direction,
or the product of both. The judge is SmolLM2, a model of another kind that no chain has seen: nats a token of the thirds
of each sentence, of the best of each chain and of the last one, which is a draw.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.intervals import Interval, interval, mean_of, shown
from objectives import Fluency, Keywords
from samplers import MetropolisHastings
from samplers.proposals import Edits, Mixture, PrefixResampling, SuffixResampling
from textsearch import generate
from textsearch.batch import Batch
from textsearch.models import causal_lm, ngram_lm
from textsearch.models.ngram.both_sides import NgramMaskedLM
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import lines_of
from textsearch.models.right_to_left import RightToLeftLM

SIZES = {"quick": (100, 8, 300), "full": (500, 40, 3000)}
"""Sentences, sets of keywords, steps."""
THIRDS = ("first", "middle", "last")
MAX_LENGTH = 28  # tokens


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


def written(
    forward: NgramLM, backward: RightToLeftLM, sets: Sequence[Sequence[str]], steps: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Best and last sentences with the keywords, under the energy of each direction and of both."""
    mlm = NgramMaskedLM(forward, backward)
    moves = Mixture(
        {
            Edits(mlm, MAX_LENGTH): 0.8,
            SuffixResampling(forward, max_length=MAX_LENGTH): 0.1,
            PrefixResampling(backward, max_length=MAX_LENGTH): 0.1,
        }
    )
    energies = {
        "2 forward": 2.0 * Fluency(forward),
        "2 backward": 2.0 * Fluency(backward),
        "forward + backward": Fluency(forward) + Fluency(backward),
    }
    starts = [f"The {' '.join(own)}." for own in sets]
    found: dict[str, dict[str, Any]] = {}
    for name, energy in energies.items():
        begun = time.perf_counter()
        result = generate(
            energy + Keywords(sets, inflections=True), MetropolisHastings(moves), starts, steps=steps, seed=seed
        )
        found[name] = {
            "best": result.best_texts,
            "drawn": result.texts,
            "energies": result.best_energies.tolist(),
            "accepted": {kind: round(one.rate, 3) for kind, one in result.acceptance.items()},
            "seconds": round(time.perf_counter() - begun, 1),
        }
    return found


def compared(found: dict[str, dict[str, Any]], kind: str) -> dict[str, list[Interval]]:
    """Nats a token by third under the judge, and of each energy what it is above the product's, text by text."""
    nats = {name: judged(own[kind]) for name, own in found.items()}
    both = nats["forward + backward"]
    lines = {}
    for name, own in nats.items():
        lines[name] = [interval(len(own), mean_of(own[:, place]), seed=0) for place in range(3)]
        if name != "forward + backward":
            lines[f"{name}, above both"] = [
                interval(len(own), mean_of(own[:, place] - both[:, place]), seed=0) for place in range(3)
            ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forward", type=Path)
    parser.add_argument("backward", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("keywords", type=Path)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    forward = ngram_lm(given.forward)
    backward = ngram_lm(given.backward, vocabulary=forward.vocabulary)  # type: ignore[arg-type]
    if not isinstance(forward, NgramLM) or not isinstance(backward, RightToLeftLM):
        raise SystemExit("name a model that was trained left_to_right, and then one right_to_left")
    sentences, sets, steps = SIZES[given.size]
    texts = [text for text in lines_of(given.heldout) if 9 <= len(forward.vocabulary.read([text])[0]) <= 40]
    console = Console()
    first = recovered(NgramMaskedLM(forward, backward), texts[:sentences])
    table = Table("what is read", *[f"{third}, nats" for third in THIRDS], *[f"{third}, found" for third in THIRDS])
    for view, own in first.items():
        table.add_row(view, *[shown(own[t][0], 2) for t in THIRDS], *[shown(own[t][1], 3) for t in THIRDS])
    console.print(table)
    words = [json.loads(line)["concepts"] for line in lines_of(given.keywords)][:sets]
    second = written(forward, backward, words, steps, given.seed)
    figures = {}
    for kind in ("best", "drawn"):
        figures[kind] = compared(second, kind)
        table = Table(f"{kind}: nats a token", *THIRDS)
        for name, line in figures[kind].items():
            table.add_row(name, *[shown(one, 2) for one in line])
        console.print(table)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        told = {"recovered": first, "figures": figures, "written": second, "keywords": words}
        (given.out / "both_ends.json").write_text(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
