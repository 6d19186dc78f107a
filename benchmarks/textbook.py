"""Metropolis-Hastings over texts as it is commonly written: plain transformers calls, and nothing remembered.

What `benchmarks.speed` compares textsearch with: masked-LM Metropolis-Hastings on the pseudo-likelihood (Goyal et al.,
"Exposing the implicit energy networks behind masked language models via Metropolis-Hastings", ICLR 2022), and word
edits under a causal model with hard constraints (Miao et al., "CGMH", AAAI 2019).

All chains of one input are padded into one batch, which is cut where it would not fit in memory. Every place of every
row is projected onto the vocabulary and goes through log-softmax. The energies of the proposed and of the current texts
are worked out at every step, to the end, and a prompt is read again with every row.

The random numbers are those of `samplers.MetropolisHastings`, so the chain is the same: it visits the same texts, but
for the rare step at which a number is so close to the other decision that rounding makes it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from objectives.keywords import words
from textsearch.batch import Batch
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.rng import Rng, categorical
from textsearch.run.loop import streams

TOKENS = {"cpu": 4096, "cuda": 65536}
"""Tokens of one pass, padding included, by device: the logits of all of them are in memory at once."""

CLOSE, DRAW = 1e-3, 1e-4
"""How close the number that decides a step, in nats, or that draws a token, in probability, is to the other outcome."""

EDITS = (0.6, 0.3, 0.1)
"""How often a word is replaced, one is inserted or deleted (as often one as the other), and two are exchanged."""

_PLACE, _FILL, _WIDEST = 1, 4, 64  # the numbers of a proposal that it takes, and how many it draws to fill a gap

Texts = list[list[int]]


@dataclass(frozen=True)
class Proposed:
    """A proposed text for every chain.

    Attributes:
        texts: token ids.
        log_ratio: (B,) float64, log q(x | x') - log q(x' | x).
        close: (B,) bool, whether rounding may decide which token is drawn.
    """

    texts: Texts
    log_ratio: Tensor
    close: Tensor


@dataclass(frozen=True)
class Run:
    """What the loop did.

    Attributes:
        visited: the texts after each step.
        close: (T, B) bool, whether rounding may have decided the step.
        accepted: how many proposals were taken.
        seconds: of all steps.
        seconds_again: of these, for the energies of texts that stood there already.
    """

    visited: list[Texts]
    close: Tensor
    accepted: int
    seconds: float
    seconds_again: float


Propose = Callable[[Texts, Rng], Proposed]
Energy = Callable[[Texts], Tensor]


@torch.inference_mode()
def metropolis_hastings(propose: Propose, energy: Energy, start: Batch, *, steps: int, seed: int) -> Run:
    """`steps` steps of one chain for each text, towards exp(-E), with the random numbers of `generate`."""
    rng, texts = streams(seed, start, 1), start.token_lists()
    visited, close = [], []
    accepted, again = 0, 0.0
    began = time.perf_counter()
    for step in range(steps):
        numbers = rng.at(step)
        proposed = propose(texts, numbers.fold(0))
        since = time.perf_counter()
        current = energy(texts)
        again += time.perf_counter() - since
        log_ratio = current - energy(proposed.texts) + proposed.log_ratio
        log_uniform = numbers.fold(1).uniform(0).log()
        taken = log_uniform < log_ratio
        texts = [new if take else old for new, old, take in zip(proposed.texts, texts, taken.tolist(), strict=True)]
        visited.append(texts)
        close.append(proposed.close | ((log_uniform - log_ratio).abs() < CLOSE))
        accepted += int(taken.sum())
    return Run(visited, torch.stack(close), accepted, time.perf_counter() - began, again)


def log_probs_everywhere(model: Any, rows: Texts, pad: int) -> Iterator[Tensor]:
    """(R, W, V) log-probabilities at all places of the rows, some rows after the others."""
    width = max(map(len, rows))
    size = max(TOKENS[model.device.type] // width, 1)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        tokens = [[*row, *[pad] * (width - len(row))] for row in part]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in part]
        logits = model(
            input_ids=torch.tensor(tokens, device=model.device), attention_mask=torch.tensor(mask, device=model.device)
        ).logits
        yield logits.float().log_softmax(-1)


def at_masks(lm: TransformersMaskedLM, rows: Texts, places: Sequence[int]) -> Tensor:
    """(R, V) log-probabilities at the mask that each row has at its place."""
    tokenizer = lm.vocabulary.tokenizer
    framed = [[tokenizer.cls_token_id, *row, tokenizer.sep_token_id] for row in rows]
    asked = torch.tensor(places) + 1
    found: list[Tensor] = []
    for log_probs in log_probs_everywhere(lm.model, framed, tokenizer.pad_token_id):
        start = sum(map(len, found))
        row = torch.arange(len(log_probs), device=log_probs.device)
        found.append(log_probs[row, asked[start : start + len(row)].to(log_probs.device)].cpu())
    return torch.cat(found)


def pseudo_energy(lm: TransformersMaskedLM) -> Energy:
    """-log c of every token given all others of its text, from a masked copy for each."""

    def energy(texts: Texts) -> Tensor:
        pairs = [(text, place) for text in texts for place in range(len(text))]
        rows = [[*text[:place], lm.vocabulary.mask_id, *text[place + 1 :]] for text, place in pairs]
        log_probs = at_masks(lm, rows, [place for _, place in pairs])
        own = torch.tensor([text[place] for text, place in pairs])
        each = log_probs.gather(1, own[:, None])[:, 0].double()
        return -torch.stack([part.sum() for part in torch.split(each, [len(text) for text in texts])])

    return energy


def keyword_energy(
    lm: TransformersCausalLM, masked: TransformersMaskedLM, keywords: Sequence[str], prompt: str
) -> Energy:
    """-log p(text | prompt), and +inf for a text that lacks a keyword."""
    tokenizer = lm.vocabulary.tokenizer
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"] or [lm.bos]

    def energy(texts: Texts) -> Tensor:
        surface = masked.vocabulary.decode(Batch.of(texts, masked.vocabulary))
        ends = [[*tokenizer(text, add_special_tokens=False)["input_ids"], lm.eos] for text in surface]
        found: list[float] = []
        for log_probs in log_probs_everywhere(lm.model, [[*before, *end] for end in ends], lm.eos):
            for row in log_probs:
                end = torch.tensor(ends[len(found)], device=row.device)
                asked = row[len(before) - 1 : len(before) - 1 + len(end)]
                found.append(float(asked.gather(1, end[:, None]).double().sum()))
        lacking = [not set(keywords) <= set(words(text)) for text in surface]
        return -torch.tensor(found, dtype=torch.float64).masked_fill(torch.tensor(lacking), -math.inf)

    return energy


def one_word(lm: TransformersMaskedLM) -> Propose:
    """A word drawn uniformly gives way to one that the masked model writes there."""

    def propose(texts: Texts, rng: Rng) -> Proposed:
        return _edited(lm, texts, ["replace"] * len(texts), rng.uniform(_PLACE), rng.uniform(_FILL, _WIDEST)[:, 0])

    return propose


def word_edits(lm: TransformersMaskedLM) -> Propose:
    """Of each text a word is replaced, inserted or deleted, or two are exchanged, as often as `EDITS` says."""

    def propose(texts: Texts, rng: Rng) -> Proposed:
        parts = (rng.uniform(0)[:, None] >= torch.tensor(EDITS, dtype=torch.float64).cumsum(0)[:2]).sum(1)
        inserts = rng.fold(2).uniform(0) < 0.5
        names = [("replace", "insert" if insert else "delete", "swap") for insert in inserts.tolist()]
        kinds = [own[part] for own, part in zip(names, parts.tolist(), strict=True)]
        place = torch.stack([rng.fold(1).uniform(_PLACE), rng.fold(2).uniform(_PLACE), rng.fold(3).uniform(0, 2)[:, 0]])
        fill = torch.stack([rng.fold(1 + part).uniform(_FILL, _WIDEST)[:, 0] for part in (0, 1)])
        other = rng.fold(3).uniform(0, 2)[:, 1:]
        row = torch.arange(len(texts))
        return _edited(lm, texts, kinds, place[parts, row], torch.cat([fill, other.T])[parts, row])

    return propose


def _edited(lm: TransformersMaskedLM, texts: Texts, kinds: Sequence[str], place: Tensor, fill: Tensor) -> Proposed:
    """Text b edited as `kinds[b]` says, where `place[b]` says; `fill[b]` draws the new word, or the other of two."""
    mask = lm.vocabulary.mask_id
    new, log_ratio, masked, asked = [], [], [], []
    for number, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
        at = int(float(place[number]) * (len(text) + (kind == "insert")))
        possible = {"insert": len(text) < _WIDEST, "swap": len(text) > 1}.get(kind, len(text) > 0)
        # words to delete in the longer text, slots to insert in the shorter: as many, so places cancel
        log_ratio.append(0.0 if possible else -math.inf)
        new.append(list(text))
        if possible and kind == "swap":
            other = int(float(fill[number]) * (len(text) - 1))
            other += other >= at
            new[-1][at], new[-1][other] = text[other], text[at]
        elif possible:
            masked.append([*text[:at], mask, *text[at + (kind != "insert") :]])
            asked.append((number, at))
    close = torch.zeros(len(texts), dtype=torch.bool)
    if not masked:
        return Proposed(new, torch.tensor(log_ratio, dtype=torch.float64), close)
    log_probs = at_masks(lm, masked, [at for _, at in asked]).double()
    begins = lm.vocabulary.allowed & ~lm.vocabulary.continues
    log_probs = log_probs.masked_fill(~begins, -math.inf).log_softmax(-1)
    uniform = fill[[number for number, _ in asked]]
    drawn = categorical(log_probs, uniform).tolist()
    upto = log_probs.exp().cumsum(-1)
    for (number, at), row, token, total, u in zip(asked, log_probs, drawn, upto, uniform.tolist(), strict=True):
        kind, text = kinds[number], texts[number]
        if kind == "delete":
            del new[number][at]
        else:
            new[number][at : at + (kind == "replace")] = [token]
            log_ratio[number] -= float(row[token])
            close[number] = min(float(total[token]) - u, u - float(total[token - 1])) < DRAW
        if kind != "insert":
            log_ratio[number] += float(row[text[at]])
    return Proposed(new, torch.tensor(log_ratio, dtype=torch.float64), close)
