"""Writing on: texts that go on from a prompt, drawn token by token from a model's laws of the next one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.models.reading.suffixes import Reader
from textsearch.rng import Rng, categorical


def continuations(
    lm: Reader,
    prompt: str | Sequence[str],
    rng: Rng,
    temperature: float,
    top_p: float,
    most: int | Sequence[int],
) -> list[str]:
    """One text for each row of `rng`, drawn token by token until the end token; see `Writer.continuations`."""
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be above 0; for the likeliest tokens take a small one")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} must be in (0, 1]")
    count = len(rng.chain)
    prompts = [prompt] * count if isinstance(prompt, str) else prompt
    room = [most] * count if isinstance(most, int) else most
    if not len(prompts) == len(room) == count:
        raise ValueError(f"{len(prompts)} prompts and {len(room)} lengths for {count} texts: give one for each")
    if not count:
        return []
    starts = lm.after([[]] * count, prompts)
    texts: list[list[int]] = [[] for _ in range(count)]
    for part in lm.tree.portions(starts, more=max(room)):
        going = [i for i in part if room[i]]
        place = 0
        while going:
            found = lm.tree.read([[*starts[i], *texts[i]] for i in going])
            logits = lm.tree.logits([slots[-1] for slots in found])
            log_probs = nucleus((logits.double() / temperature).log_softmax(-1), top_p)
            drawn = categorical(log_probs, rng.rows(going).uniform(place).to(log_probs.device)).tolist()
            # a text that has ended is no longer read
            on = [(i, token) for i, token in zip(going, drawn, strict=True) if token != lm.eos]
            for i, token in on:
                texts[i].append(token)
            going = [i for i, _ in on if len(texts[i]) < room[i]]
            place += 1
    return [str(text) for text in lm.vocabulary.tokenizer.batch_decode(texts, skip_special_tokens=True)]


def nucleus(log_probs: Tensor, top_p: float, most: int = 1024) -> Tensor:
    """`log_probs` (B, V) with all but the likeliest tokens that hold `top_p` of the probability set to -inf."""
    if top_p >= 1.0:
        return log_probs
    # the likeliest few hold it nearly always; sorting the whole vocabulary is for the rest
    ordered = log_probs.topk(min(most, log_probs.shape[-1])).values
    if bool((ordered.exp().sum(-1) < top_p).any()):
        ordered = log_probs.sort(dim=-1, descending=True).values
    before = ordered.exp().cumsum(-1) - ordered.exp()
    # the least likely that is kept, with all that are as likely: no order among equals, so no row depends on another
    least = ordered.masked_fill(before >= top_p, torch.inf).amin(-1, keepdim=True)
    return log_probs.masked_fill(log_probs < least, -torch.inf)
