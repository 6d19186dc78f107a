"""Mix causal models that share their tokens: weights that tell held-out texts best, and a folder to load.

    python training/mixture.py char-gpt ngrams --heldout sentences.txt --out mixture

`textsearch.models.mixture.mixture_lm(folder)`, `--causal folder` and `causal="folder"` load what it writes: the folders
of the models, and their weights, by expectation maximisation (Dempster, Laird and Rubin, 1977). The weights are fitted
on every other line, and judged on the lines between them. Prints as JSON the weights, and nats a token.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textsearch.models import causal_lm, ngram_lm
from textsearch.models.mixture import FILE, MixtureLM
from textsearch.models.ngram.tables import is_ngram_folder
from textsearch.models.ngram.training import lines_of

_ROUNDS, _AT_ONCE = 50, 25


def told(mixture: MixtureLM, rows: list[list[int]]) -> Tensor:
    """(tokens, models) log p of each token, and of each end."""
    parts = []
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        tokens = [token for row in part for token in (*row, mixture.eos)]
        slots = [slot for own in mixture.tree.read(mixture.after(part, [""] * len(part))) for slot in own]
        each: list[Any] = list(zip(*slots, strict=True))
        own = [lm.tree.log_probs(list(place), tokens) for lm, place in zip(mixture.lms, each, strict=True)]
        parts.append(torch.tensor(own, dtype=torch.float64).T)
    return torch.cat(parts)


def fitted(log_probs: Tensor) -> Tensor:
    """(models,) weights under which the tokens are likeliest."""
    weights = torch.full((log_probs.shape[1],), 1 / log_probs.shape[1], dtype=torch.float64)
    for _ in range(_ROUNDS):
        weights = (log_probs + weights.log()).softmax(1).mean(0)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", help="folders: of n-grams, or of transformers")
    parser.add_argument("--heldout", type=Path, required=True, help="one text a line, that no model was trained on")
    parser.add_argument("--lines", type=int, default=400, help="of it that are read")
    parser.add_argument("--out", type=Path, required=True, help="folder of the mixture")
    given = parser.parse_args()
    lms: list[Any] = [ngram_lm(name) if is_ngram_folder(str(name)) else causal_lm(name) for name in given.models]
    mixture = MixtureLM(lms, [1.0] * len(lms))
    unknown = mixture.vocabulary.tokenizer.unk_token_id
    rows = [row for row in mixture.vocabulary.read(list(lines_of(given.heldout))) if unknown not in row][: given.lines]
    with torch.inference_mode():
        weights = fitted(told(mixture, rows[::2]))
        judged = told(mixture, rows[1::2])
    given.out.mkdir(parents=True, exist_ok=True)
    names = [os.path.relpath(name, given.out) for name in given.models]
    written = {"models": names, "weights": [float(f"{weight:.4g}") for weight in weights.tolist()]}
    (given.out / FILE).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    nats = {str(name): round(-own.mean().item(), 4) for name, own in zip(given.models, judged.T, strict=True)}
    nats["mixture"] = round(-(judged + weights.log()).logsumexp(1).mean().item(), 4)
    print(json.dumps(written | {"nats a token": nats, "tokens": len(judged)}, indent=1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
