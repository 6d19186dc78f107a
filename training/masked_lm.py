"""Train a masked language model of BERT's shape on single sentences, in the vocabulary of its folder.

Either an encoder under a new, tied head (`--encoder`: the head is trained together with all weights), or a masked
model that is trained further (`--model`). Choices, and why:

- every selected token becomes [MASK] (Wettig et al., 2023: keeping or swapping some gains
  nothing), which is also all that the samplers ever ask of the model;
- the share of masked tokens falls from 30 % to 15 % (Ankner et al., 2023);
- the learning rate warms up, stays, and falls linearly to nothing at the end (Hägele et al.,
  2024): a run can be cut or prolonged by resuming it with another `--tokens`;
- rows are packed by length, so a batch holds hardly any padding.

    python training/masked_lm.py --corpus sentences.txt.gz --heldout heldout.txt \
        --model folder/of/a/masked/model --out folder --tokens 8e6

One sentence a line. Writes `folder/checkpoint.pt` (to resume), `folder/log.jsonl` (the loss curve)
and the model itself in float32, to be packed by `training/pack.py`.
"""

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from textsearch.models.byte_level import keeps_texts

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]


class Corpus:
    """Sentences as one flat array of token ids, with what the tokenizer sets before and behind a text."""

    def __init__(
        self, path: Path, tokenizer: PreTrainedTokenizerFast, longest: int = 80, sentences: int | None = None
    ) -> None:
        self.pad_id, self.mask_id = int(tokenizer.pad_token_id), int(tokenizer.mask_token_id)
        self.special = torch.tensor(sorted(tokenizer.all_special_ids))
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            texts = [line.strip() for line in islice(lines, sentences) if line.strip()]
        if keeps_texts(tokenizer):
            texts = [f" {text}" for text in texts]  # as chains read them
        rows = []
        for start in range(0, len(texts), 20_000):
            encoded = tokenizer(texts[start : start + 20_000])["input_ids"]
            rows += [np.asarray(ids, dtype=np.int32) for ids in encoded if 5 <= len(ids) <= longest]
        self.lengths = np.array([len(row) for row in rows])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.ids = np.concatenate(rows)

    def batches(self, tokens: int, rng: np.random.Generator) -> Iterator[Tensor]:
        """One pass over the sentences, shuffled, in batches of about `tokens` tokens of like length; yields (B, N)."""
        order = rng.permutation(len(self.lengths))
        pool = 64 * tokens // int(self.lengths.mean())
        for start in range(0, len(order), pool):
            chunk = order[start : start + pool]
            chunk = chunk[np.argsort(self.lengths[chunk], kind="stable")]
            cuts = np.flatnonzero(np.diff(np.cumsum(self.lengths[chunk]) // tokens)) + 1
            groups = np.split(chunk, cuts)
            for index in rng.permutation(len(groups)):
                yield self.rows(groups[index])

    def rows(self, rows: IntArray) -> Tensor:
        """Some of the sentences, padded to the longest of them."""
        out = np.full((len(rows), int(self.lengths[rows].max())), self.pad_id, dtype=np.int64)
        for i, row in enumerate(rows):
            out[i, : self.lengths[row]] = self.ids[self.starts[row] :][: self.lengths[row]]
        return torch.from_numpy(out)

    def masked(self, tokens: Tensor, rate: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """`tokens` (B, N) with a share `rate` of the text's own masked, and the (B, N) bool mask of those."""
        chosen = (torch.rand(tokens.shape, generator=rng) < rate) & ~torch.isin(tokens, self.special)
        return tokens.masked_fill(chosen, self.mask_id), chosen


def loss_and_hits(
    model: BertForMaskedLM, corpus: Corpus, inputs: Tensor, targets: Tensor, chosen: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy in nats over the `chosen` positions, and the share predicted exactly."""
    mask = (targets != corpus.pad_id).long()
    hidden = model.bert(input_ids=inputs, attention_mask=mask).last_hidden_state
    logits = model.cls(hidden[chosen])
    wanted = targets[chosen]
    return cross_entropy(logits, wanted), (logits.argmax(-1) == wanted).float().mean()


@torch.no_grad()
def evaluate(model: BertForMaskedLM, corpus: Corpus, sentences: int | None = None) -> dict[str, float]:
    """Held-out loss (nats per masked token) and accuracy at 15 % masked, with a fixed mask."""
    model.eval()
    rng = torch.Generator().manual_seed(15)
    rows = np.arange(len(corpus.lengths))[:sentences]
    total = hits = count = 0.0
    for start in range(0, len(rows), 32):
        targets = corpus.rows(rows[start : start + 32])
        inputs, chosen = corpus.masked(targets, 0.15, rng)
        n = int(chosen.sum())
        loss, hit = loss_and_hits(model, corpus, inputs, targets, chosen)
        total, hits, count = total + n * float(loss), hits + n * float(hit), count + n
    model.train()
    return {"heldout_nats": total / count, "heldout_accuracy": hits / count}


def new_model(encoder: Path, corpus: Corpus) -> BertForMaskedLM:
    """The encoder under a fresh head tied to its embeddings, dropout off (the data is seen less than twice).

    The output bias starts at the log frequencies of the tokens: the head need not learn those first.
    """
    config = BertConfig.from_pretrained(encoder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = BertForMaskedLM.from_pretrained(encoder, config=config)
    counts = np.bincount(corpus.ids, minlength=config.vocab_size) + 0.1
    with torch.no_grad():
        model.cls.predictions.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
        # a small start: the first predictions are the frequencies
        model.cls.predictions.transform.LayerNorm.weight.fill_(0.3)
    return model


def learning_rate(seen: float, total: float, peak: float) -> float:
    """Warm-up over the first 0.2M tokens, then flat, then linear to zero over the last 40 %."""
    return peak * min(1.0, seen / 2e5, (total - seen) / (0.4 * total))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--heldout", type=Path, required=True)
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--encoder", type=Path, help="gets a new head")
    start.add_argument("--model", type=Path, help="a masked model, trained further")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=float, default=8e6, help="tokens to train on, in all")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--peak", type=float, default=3e-4, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop early, checkpoint kept")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(args.encoder or args.model)
    heldout = Corpus(args.heldout, tokenizer)
    corpus = Corpus(args.corpus, tokenizer)
    print(f"{len(corpus.lengths):,} sentences, {len(corpus.ids):,} tokens", flush=True)

    model = new_model(args.encoder, corpus) if args.encoder else BertForMaskedLM.from_pretrained(args.model).float()
    model.train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=args.peak,
        betas=(0.9, 0.98),
        fused=True,
    )
    seen, step, epoch = 0, 0, 0
    saved = args.out / "checkpoint.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        seen, step, epoch = state["seen"], state["step"], state["epoch"] + 1
        print(f"resumed at {seen:,} tokens", flush=True)
    masks = torch.Generator().manual_seed(args.seed + step)

    def save() -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**state, "seen": seen, "step": step, "epoch": epoch}, saved.with_suffix(".new"))
        saved.with_suffix(".new").replace(saved)

    started, losses = time.monotonic(), []
    with (args.out / "log.jsonl").open("a") as log:
        while seen < args.tokens:
            for targets in corpus.batches(args.batch_tokens, np.random.default_rng((args.seed, epoch))):
                rate = 0.30 - 0.15 * min(1.0, seen / args.tokens)
                inputs, chosen = corpus.masked(targets, rate, masks)
                loss, _ = loss_and_hits(model, corpus, inputs, targets, chosen)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(seen, args.tokens, args.peak)
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                seen, step = seen + targets.numel(), step + 1
                losses.append(float(loss.detach()))
                minutes = (time.monotonic() - started) / 60
                done = seen >= args.tokens or minutes >= args.minutes
                if step % 100 == 0 or done:
                    row = {"step": step, "tokens": seen, "minutes": round(minutes, 2), "loss": float(np.mean(losses))}
                    losses.clear()
                    if step % 200 == 0 or done:
                        row |= evaluate(model, heldout, None if done else 500)
                        save()
                    print(json.dumps(row), file=log, flush=True)
                if done:
                    break
            epoch += 1
            if minutes >= args.minutes:
                break
    model.save_pretrained(args.out / "model")
    tokenizer.save_pretrained(args.out / "model")


if __name__ == "__main__":
    main()
