"""Teach a small instruct model to correct English: adapters beside its weights, from mistakes that are put in.

    python -m training.own_texts --out essays.jsonl --minutes 15
    python -m training.corrector sentences.txt.gz essays.jsonl --heldout heldout.txt --out folder --minutes 60

Sentences of good English, of a corpus and of the model's own texts, get mistakes (`training.mistakes`); the model
learns to write the sentence that there was. Nothing of a learner is read. Choices, and why:

- the weights stay and low-rank adapters learn (Hu et al., 2022): what the model knows of English is from a thousand
  times as many tokens as there are here;
- half the sentences are the model's own, in the first person and of daily life, which Wikipedia hardly has;
- only the answer counts, not the sentence with its mistakes;
- of the vocabulary, a batch looks at its own tokens and at a sample of all others, and attention is plain products: a
  quarter more and half as many tokens again a second. What is told of `--heldout` is the full sum.

Writes `folder/log.jsonl` and the adapter, in the format of peft, to `folder/adapter`.
"""

import argparse
import gzip
import json
import math
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from textsearch.language.confusions import EnglishConfusions
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.corrector import prompt
from training.low_rank import adapt, save
from training.mistakes import mistaken
from training.text_autoencoder import sampled_loss

_POOL = 2048  # pairs that are sorted by length together
_SENTENCE = re.compile(r"(?<=[.!?]) +(?=[A-Z])")
_PAIRS = 0.1
"""Share of the texts that are two sentences."""


def sentences(path: Path) -> list[str]:
    """The sentences of a file: one a line, or the texts of a file of JSON lines, each a request and an answer."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    if ".jsonl" in path.name:
        paragraphs = [part.strip() for line in lines for part in json.loads(line)[1].split("\n")[:-1]]
        lines = [one for part in paragraphs for one in _SENTENCE.split(part)]
    return [line for line in lines if _good(line)]


def _good(line: str) -> bool:
    """Whether a line is a whole sentence in plain characters, neither long nor a few words."""
    return (
        3 <= line.count(" ") <= 30
        and line[0].isupper()
        and line[-1] in ".!?"
        and line.count('"') % 2 == 0
        and not re.search(r"[*_#\[\]{}<>|]|\"\"|\( ?[,)]", line)
        and sum(not character.isascii() for character in line) < 4
    )


def pairs(
    sources: Sequence[Sequence[str]], rng: random.Random, english: EnglishConfusions
) -> Iterator[tuple[str, str]]:
    """Texts with mistakes and without, for ever, as many of each source as of the others."""
    order: list[list[str]] = [[] for _ in sources]
    while True:
        for number, own in enumerate(sources):
            texts = []
            for _ in range(1 + (rng.random() < _PAIRS)):
                if not order[number]:
                    order[number] = rng.sample(list(own), len(own))
                texts.append(order[number].pop())
            text = " ".join(texts)
            yield mistaken(text, rng, english), text


def encoded(lm: TransformersCausalLM, found: Sequence[tuple[str, str]]) -> list[tuple[list[int], int]]:
    """For each pair its tokens, the end among them, and how many are before the answer."""
    before = lm.vocabulary.encode([prompt(lm.vocabulary, wrong) for wrong, _ in found]).token_lists()
    answers = lm.vocabulary.encode([right for _, right in found]).token_lists()
    return [([*one, *other, lm.eos], len(one)) for one, other in zip(before, answers, strict=True)]


def batches(rows: Sequence[tuple[list[int], int]], most: int, rng: random.Random) -> list[tuple[Tensor, Tensor]]:
    """Rows of about one length together: (B, N) tokens with `most` at most, and (B, N) bool, what is to be told."""
    found, part = [], list[tuple[list[int], int]]()
    for row in [*sorted(rows, key=lambda row: len(row[0])), ([0] * most, 0)]:
        if part and len(row[0]) * (len(part) + 1) > most:
            tokens = torch.zeros(len(part), len(part[-1][0]), dtype=torch.int64)
            told = torch.zeros_like(tokens, dtype=torch.bool)
            for number, (own, begins) in enumerate(part):
                tokens[number, : len(own)] = torch.tensor(own)
                told[number, begins : len(own)] = True
            found.append((tokens, told))
            part = []
        part.append(row)
    rng.shuffle(found)
    return found


def read(model: Any, tokens: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """(K, d) vectors that the head projects, and the (K,) tokens that they should give."""
    # rows are padded behind their ends: nothing that counts looks there
    with sdpa_kernel(SDPBackend.MATH):
        hidden = model.model(input_ids=tokens).last_hidden_state
    return hidden[:, :-1][told[:, 1:]], tokens[:, 1:][told[:, 1:]]


def nats(model: Any, tokens: Tensor, told: Tensor) -> Tensor:
    """(K,) nats of the tokens that are to be told."""
    hidden, wanted = read(model, tokens, told)
    return cross_entropy(model.lm_head(hidden).float(), wanted, reduction="none")


def train(lm: TransformersCausalLM, sources: Sequence[Sequence[str]], held: Sequence[str], given: Any) -> None:
    """Learn until the minutes are over, and write what was learnt."""
    english, rng = EnglishConfusions(), random.Random(given.seed)
    model = lm.model.to(torch.bfloat16 if given.bfloat16 else torch.float32)
    adapters = adapt(model, given.rank, given.scale)
    weights = [weight for adapter in adapters.values() for weight in (adapter.a, adapter.b)]
    optimizer = torch.optim.AdamW(weights, lr=given.peak, betas=(0.9, 0.98), weight_decay=0.0)
    tested = random.Random(1)
    judged = batches(
        encoded(lm, [(mistaken(text, tested, english), text) for text in held]), given.batch_tokens, tested
    )
    stream, losses = pairs(sources, rng, english), list[float]()
    sampled = torch.Generator().manual_seed(given.seed)
    begun, step, told_tokens, read_tokens, next_told = time.monotonic(), 0, 0, 0, 0.0
    with (given.out / "log.jsonl").open("a") as log:
        while (done := (time.monotonic() - begun) / (60.0 * given.minutes)) < 1.0:
            rows = encoded(lm, [next(stream) for _ in range(_POOL)])
            for tokens, told in batches(rows, given.batch_tokens, rng):
                done = min(1.0, (time.monotonic() - begun) / (60.0 * given.minutes))
                if done >= 1.0:
                    break
                rate = given.peak * min(1.0, (step + 1) / given.warmup) * 0.5 * (1.0 + math.cos(math.pi * done))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                loss = sampled_loss(model.lm_head, *read(model, tokens, told), given.sample, sampled)
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                losses.append(float(loss.detach()))
                step, read_tokens = step + 1, read_tokens + tokens.numel()
                told_tokens += int(told.sum())
                if done >= next_told:
                    next_told += 0.05
                    _tell(log, model, judged, losses, step, read_tokens, told_tokens, time.monotonic() - begun)
                    losses.clear()
                    save(adapters, given.out / "adapter", given.base)
        _tell(log, model, judged, losses, step, read_tokens, told_tokens, time.monotonic() - begun)
    save(adapters, given.out / "adapter", given.base)


def _tell(
    log: Any,
    model: Any,
    judged: Sequence[tuple[Tensor, Tensor]],
    losses: Sequence[float],
    step: int,
    read: int,
    told: int,
    seconds: float,
) -> None:
    with torch.inference_mode():
        held = torch.cat([nats(model, tokens, own) for tokens, own in judged])
    line = {
        "step": step,
        "tokens read": read,
        "tokens told": told,
        "seconds": round(seconds),
        "loss": round(sum(losses) / max(len(losses), 1), 4),
        "held-out nats a token": round(float(held.mean()), 4),
    }
    print(json.dumps(line), flush=True)
    log.write(json.dumps(line) + "\n")
    log.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, nargs="+", help="sentences, one a line, or texts of training.own_texts")
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--causal", help="model that learns; by default SmolLM2-135M-Instruct")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--scale", type=float, default=2.0)
    parser.add_argument("--batch-tokens", type=int, default=1536)
    parser.add_argument("--sample", type=int, default=4096, help="tokens that stand for those that a batch lacks")
    parser.add_argument("--peak", type=float, default=5e-4, help="peak learning rate")
    parser.add_argument("--warmup", type=int, default=30, help="steps")
    parser.add_argument("--bfloat16", action="store_true", help="products in bfloat16, where the processor has them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for path in (*given.corpora, given.heldout):
        if not path.is_file():
            sys.exit(f"there is no file {str(path)!r}: name a file of sentences")
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    given.base = given.causal or "HuggingFaceTB/SmolLM2-135M-Instruct"
    sources = [sentences(path) for path in given.corpora]
    for path, own in zip(given.corpora, sources, strict=True):
        print(f"{path.name}: {len(own):,} sentences", flush=True)
    train(causal_lm(given.causal), sources, sentences(given.heldout)[:200], given)


if __name__ == "__main__":
    main()
