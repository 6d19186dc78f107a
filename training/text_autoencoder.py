"""Train a text autoencoder (Shin, Lee and Yoon, 2020) on single sentences, in the vocabulary of the packaged model.

    python -m training.text_autoencoder sentences.txt.gz --heldout heldout.txt --out folder --minutes 25
    python -m training.text_autoencoder sentences.txt.gz --heldout heldout.txt --out other --minutes 25 --masked

`--masked` trains a masked language model of the same size instead, from the same weights and for the same time, to be
compared with. Choices, and why:

- embeddings and head are those of the packaged masked model, layers are new: 30,522 vectors are most of the weights;
- the budget is time of the processor, so that two models can be given the same on a machine that others use as well;
- of the vocabulary, a batch looks at the tokens that it holds, each in full, and at a sample of all others that
  stands for them: the full sum is most of the work of a small model. What is told of `--heldout` is the full sum;
- attention is plain products: on rows of some 25 tokens the fused kernel is half the time of a step;
- a text autoencoder learns at all positions, with a few [MASK]s among what it reads, as it will meet them in chains.

One sentence a line. Writes `folder/checkpoint.pt` (a second run goes on from there), `folder/log.jsonl` (the loss
curve) and `folder/model`: packed, for `textsearch.models.text_autoencoder`, or in float32 for `masked_lm`.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM

from textsearch.models.autoencoder.network import AutoencoderNetwork, Shape
from textsearch.models.checkpoints.default import MASKED_LM
from textsearch.models.checkpoints.quantized import load_packed
from training.masked_lm import Corpus

_CONTEXT_MASKS = 0.05
"""Share of the tokens that a text autoencoder reads as [MASK]."""

_TOLD_EVERY = 60.0  # seconds
_HELD_OUT = 300  # sentences, until the last time


@dataclass(frozen=True)
class Learner:
    """A model that learns.

    Attributes:
        model: has `get_output_embeddings`.
        asked: (corpus, tokens (B, N), share of the budget that is used or None to be judged, random numbers) -> vectors
            (K, d) that the head projects, and the (K,) tokens that they should give.
    """

    model: Any
    asked: Callable[[Corpus, Tensor, float | None, torch.Generator], tuple[Tensor, Tensor]]


def autoencoder(start: Any, layers: int) -> Learner:
    """A text autoencoder with new layers, between the embeddings and the head of a masked model."""
    config = start.config
    shape = Shape(
        vocab_size=config.vocab_size,
        mask_id=start.mask_id,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=config.num_attention_heads,
        max_position_embeddings=config.max_position_embeddings,
        layer_norm_eps=config.layer_norm_eps,
    )
    network = AutoencoderNetwork(shape)
    embeddings, head = start.bert.embeddings, start.cls.predictions
    with torch.no_grad():
        network.words.weight.copy_(embeddings.word_embeddings.weight)
        # single sentences: the kind of the first segment is a part of every position
        kind = embeddings.token_type_embeddings.weight[0]
        network.positions.weight.copy_(embeddings.position_embeddings.weight + kind)
        network.head.bias.copy_(head.bias)
    network.embedded.load_state_dict(embeddings.LayerNorm.state_dict())
    network.transform.load_state_dict(head.transform.dense.state_dict())
    network.transformed.load_state_dict(head.transform.LayerNorm.state_dict())

    def asked(corpus: Corpus, tokens: Tensor, done: float | None, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        inputs = tokens if done is None else corpus.masked(tokens, _CONTEXT_MASKS, rng)[0]
        wanted = ~torch.isin(tokens, corpus.special)
        return network(inputs, (tokens != corpus.pad_id).long())[wanted], tokens[wanted]

    return Learner(network, asked)


def masked(start: Any, layers: int) -> Learner:
    """A masked language model of the same size, from the same weights; 30 % to 15 % of the tokens are masked."""
    config = BertConfig.from_dict({**start.config.to_dict(), "num_hidden_layers": layers})
    model = BertForMaskedLM(config)
    model.bert.embeddings.load_state_dict(start.bert.embeddings.state_dict())
    model.cls.load_state_dict(start.cls.state_dict())

    def asked(corpus: Corpus, tokens: Tensor, done: float | None, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        inputs, chosen = corpus.masked(tokens, 0.15 if done is None else 0.30 - 0.15 * done, rng)
        read = model.bert(input_ids=inputs, attention_mask=(tokens != corpus.pad_id).long())
        return model.cls.predictions.transform(read.last_hidden_state[chosen]), tokens[chosen]

    return Learner(model, asked)


def sampled_loss(head: nn.Linear, hidden: Tensor, wanted: Tensor, sample: int, rng: torch.Generator) -> Tensor:
    """Mean cross-entropy in nats, with the sum over the vocabulary estimated without bias.

    The tokens that are wanted anywhere in the batch are in the sum as they are; of all others, `sample` drawn at random
    stand for the rest.

    Args:
        head: (V, d) weights and, if it has them, (V,) biases.
        hidden: (K, d).
        wanted: (K,) tokens.
        sample: how many of the other tokens.
        rng: for the sample.
    """
    size = len(head.weight)
    own, target = torch.unique(wanted, return_inverse=True)
    is_other = torch.ones(size, dtype=torch.bool).index_fill(0, own, False)
    others = is_other.nonzero().squeeze(-1)
    drawn = others[torch.randperm(len(others), generator=rng)[:sample]]
    tokens = torch.cat([own, drawn])
    bias = None if head.bias is None else head.bias[tokens]
    logits = torch.nn.functional.linear(hidden, head.weight[tokens], bias).float()
    stands_for = torch.zeros(len(tokens))
    stands_for[len(own) :] = math.log(len(others) / max(len(drawn), 1)) if len(drawn) else 0.0
    return cross_entropy(logits + stands_for, target)


@torch.no_grad()
def evaluate(learner: Learner, corpus: Corpus, sentences: int | None = None) -> dict[str, float]:
    """Nats a token that is told and the share that is right, on held-out sentences; over the whole vocabulary."""
    rng = torch.Generator().manual_seed(15)
    head = learner.model.get_output_embeddings()
    rows = np.arange(len(corpus.lengths))[:sentences]
    total = hits = count = 0.0
    for start in range(0, len(rows), 32):
        hidden, wanted = learner.asked(corpus, corpus.rows(rows[start : start + 32]), None, rng)
        logits = head(hidden)
        total += float(cross_entropy(logits, wanted, reduction="sum"))
        hits += float((logits.argmax(-1) == wanted).sum())
        count += len(wanted)
    return {"heldout_nats": round(total / count, 4), "heldout_accuracy": round(hits / count, 4)}


def learning_rate(done: float, peak: float) -> float:
    """Warm-up over the first 4 % of the budget, then flat, then linear to zero over the last 40 %."""
    return peak * max(0.0, min(1.0, done / 0.04 + 0.01, (1 - done) / 0.4))


def forever(corpus: Corpus, batch_tokens: int, seed: int, epoch: int) -> Iterator[tuple[int, Tensor]]:
    """Batches of tokens with the number of their pass over the corpus."""
    while True:
        for tokens in corpus.batches(batch_tokens, np.random.default_rng((seed, epoch))):
            yield epoch, tokens
        epoch += 1


def train(learner: Learner, corpus: Corpus, heldout: Corpus, given: argparse.Namespace) -> None:
    """Until the budget is used up; what was done before is resumed."""
    model = learner.model.train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=given.peak, betas=(0.9, 0.98), fused=True)
    state: dict[str, Any] = {"seconds": 0.0, "tokens": 0, "told": 0, "step": 0, "epoch": -1}
    saved = given.out / "checkpoint.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state.pop("model"))
        optimizer.load_state_dict(state.pop("optimizer"))
        print(f"resumed after {state['seconds']:.0f} seconds, {state['tokens']:,} tokens", flush=True)
    rng = torch.Generator().manual_seed(given.seed + state["step"])
    budget, losses, next_told = 60 * given.minutes, list[float](), state["seconds"] + _TOLD_EVERY

    def tell(log: Any, sentences: int | None) -> None:
        row = {name: state[name] for name in ("step", "tokens", "told")} | {"seconds": round(state["seconds"], 1)}
        row |= {"loss": round(float(np.mean(losses or [math.nan])), 4)} | evaluate(learner, heldout, sentences)
        losses.clear()
        print(json.dumps(row), file=log, flush=True)
        parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**state, **parts}, saved.with_suffix(".new"))
        saved.with_suffix(".new").replace(saved)

    with (given.out / "log.jsonl").open("a") as log:
        batches = forever(corpus, given.batch_tokens, given.seed, state["epoch"] + 1)
        while state["seconds"] < budget:
            begun = time.process_time()
            state["epoch"], tokens = next(batches)
            done = min(1.0, state["seconds"] / budget)
            with _precision(given.bfloat16), sdpa_kernel(SDPBackend.MATH):
                hidden, wanted = learner.asked(corpus, tokens, done, rng)
                loss = sampled_loss(model.get_output_embeddings(), hidden, wanted, given.sample, rng)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(done, given.peak)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
            state["seconds"] += time.process_time() - begun
            state["step"], state["tokens"] = state["step"] + 1, state["tokens"] + tokens.numel()
            state["told"] += len(wanted)
            if state["seconds"] >= next_told:
                next_told += _TOLD_EVERY
                tell(log, _HELD_OUT)
        tell(log, None)


def _precision(bfloat16: bool) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, default=MASKED_LM, help="packed masked model whose embeddings are taken")
    parser.add_argument("--masked", action="store_true", help="a masked model of the same size instead")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=25.0, help="of the processor, held-out figures not counted")
    parser.add_argument("--sentences", type=int, help="of the corpus, from its beginning; by default all")
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--sample", type=int, default=1024, help="tokens that stand for those that a batch lacks")
    parser.add_argument("--peak", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--bfloat16", action="store_true", help="products in bfloat16, where the processor has them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for path in (given.corpus, given.heldout):
        if not path.is_file():
            sys.exit(f"there is no file {str(path)!r}: name a file with a sentence on each line")

    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    start, tokenizer = load_packed(given.start, torch.float32)
    start.mask_id = int(tokenizer.mask_token_id)
    heldout, corpus = Corpus(given.heldout, tokenizer), Corpus(given.corpus, tokenizer, sentences=given.sentences)
    print(f"{len(corpus.lengths):,} sentences, {len(corpus.ids):,} tokens", flush=True)
    learner = (masked if given.masked else autoencoder)(start, given.layers)
    del start
    train(learner, corpus, heldout, given)

    if isinstance(learner.model, AutoencoderNetwork):
        learner.model.save(given.out / "model")
    else:
        learner.model.save_pretrained(given.out / "model")
    tokenizer.save_pretrained(given.out / "model")
    size = sum(path.stat().st_size for path in (given.out / "model").iterdir())
    print(json.dumps({"bytes": size}), flush=True)


if __name__ == "__main__":
    main()
