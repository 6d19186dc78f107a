"""Suffixes: the end of a text drawn anew from a causal language model, or priced as it stands.

What Metropolis-Hastings needs that cuts a text and writes on from the cut (Faria et al., "QUEST: quality-aware
Metropolis-Hastings sampling for machine translation", 2024; Karan and Du, "Reasoning with sampling: your base model is
smarter than you think", 2025). A token is drawn from p(v | what is before it)^(1 / temperature), renormalised over the
tokens that the vocabulary allows and the end.

A row's kept tokens are read once, in a tile of their own width. What is written behind them sees their keys and values
at a width that depends on the prompt and on the longest text there may be alone, and rows are read in multiples of a
grain: neither the tokens nor their log-probability depend on the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.projection import project
from textsearch.models.tiles import GRAIN, Tile, padded_width
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng, categorical

_PLACES = 64  # log-probabilities of the whole vocabulary, in float64, at once


class Reader(Protocol):
    """A `TransformersCausalLM`, as far as it is needed here; a prefix is what a text begins after."""

    @property
    def usage(self) -> Usage:
        """What has been asked of it."""

    @property
    def model(self) -> Any:
        """A transformers causal language model."""

    @property
    def vocabulary(self) -> TokenizerVocabulary:
        """Its tokenizer."""

    @property
    def eos(self) -> int:
        """The token that ends a text."""

    def _prefix(self, prompt: str) -> Any:
        """The prompt, read."""

    def _tiles(self, rows: Sequence[Sequence[int]], prefixes: Sequence[Any]) -> Iterator[tuple[Tile, Sequence[Any]]]:
        """The rows in tiles, each row led by its prefix's last token."""

    def _after(self, prefixes: Sequence[Any], width: int) -> dict[str, Any]:
        """Inputs of a pass behind the prefixes."""

    def _logits(self, tile: Tile, prefixes: Sequence[Any], rows: Tensor, columns: Tensor) -> Tensor:
        """(K, V) at the given places of the tile."""


def with_suffixes(batch: Batch, cuts: Tensor, written: Tensor, counts: Tensor) -> Batch:
    """The first `cuts[b]` tokens of row b, then the first `counts[b]` of `written[b]` (B, W), editable.

    >>> from textsearch.testing import letters
    >>> batch = letters("abc").encode(["aaa", "b"])
    >>> with_suffixes(batch, torch.tensor([2, 0]), torch.tensor([[3, 0], [2, 3]]), torch.tensor([1, 2])).texts()
    ['aac', 'bc']
    """
    longest = int((cuts + counts).max()) if len(batch) else 0
    new = batch.splice(cuts, batch.lengths, counts, max(batch.width, longest))
    column = torch.arange(new.width, device=batch.device)
    behind = (column >= cuts[:, None]) & new.present
    source = (column - cuts[:, None]).clamp(0, written.shape[1] - 1)
    return replace(new, tokens=torch.where(behind, written.gather(1, source), new.tokens))


def draw_suffixes(
    lm: Reader,
    batch: Batch,
    cuts: Tensor,
    rng: Rng,
    prompts: Sequence[str],
    temperature: float,
    most: int,
) -> tuple[Batch, Tensor, Tensor]:
    """As `SuffixLM.draw_suffixes`."""
    rows = [row[:cut] for row, cut in zip(batch.token_lists(), cuts.tolist(), strict=True)]
    prefixes = [lm._prefix(prompt) for prompt in prompts]
    long = max((prefix.length for prefix in prefixes), default=0)
    if long + most > lm.vocabulary.longest:
        raise ValueError(
            f"a prompt of {long + 1} tokens and texts of up to {most} are over the model's limit of "
            f"{lm.vocabulary.longest}; shorten the prompt or the longest text"
        )
    if kept := max((len(row) for row in rows if len(row) > most), default=0):
        raise ValueError(f"{kept} tokens are to be kept of a text of at most {most}; cut it sooner or raise `most`")
    device = lm.model.device
    written = torch.zeros(len(rows), most + 1, dtype=torch.int64, device=device)
    counts = torch.zeros(len(rows), dtype=torch.int64, device=device)
    log_prob = torch.zeros(len(rows), dtype=torch.float64, device=device)
    ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
    # rows are written together, whatever they keep, as long as their prefixes are equally wide
    for tile, own in lm._tiles([()] * len(rows), prefixes):
        logits, cache, mask = _read(lm, [rows[i] for i in tile.rows.tolist()], own, padded_width(most + 1))
        going = tile.rows
        lengths = torch.tensor([len(rows[i]) for i in going.tolist()], device=device)
        position = torch.tensor([prefix.length for prefix in own], device=device) + lengths
        for place in range(most + 1):
            log_probs = _tempered(lm, logits[: len(going)], temperature)
            uniform = rng.rows(going.to(rng.chain.device)).uniform(place).to(device)
            token = categorical(log_probs, uniform)
            ends = token == lm.eos
            counted = ends | (lengths + place < most)
            ended[going] = ends
            log_prob[going] += log_probs.gather(1, token[:, None])[:, 0].where(counted, 0.0)
            on = (counted & ~ends).nonzero().squeeze(-1)
            if len(on) == 0:
                break
            going, lengths = going[on], lengths[on]
            written[going, place] = token[on]
            counts[going] += 1
            # the last row again and again, up to a full grain: products of fewer rows round differently
            full = on[torch.arange(-(-len(on) // GRAIN) * GRAIN, device=device).clamp(max=len(on) - 1)]
            cache.batch_select_indices(full)
            position = position[full] + 1
            mask = torch.nn.functional.pad(mask[full], (0, 1), value=1)
            lm.usage.count((len(full), 1), len(on))
            logits = lm.model(
                input_ids=token[full][:, None],
                past_key_values=cache,
                attention_mask=mask,
                position_ids=position[:, None],
                use_cache=True,
            ).logits[:, -1, : lm.vocabulary.size]
    new = with_suffixes(batch, cuts, written.to(batch.device), counts.to(batch.device))
    return new, log_prob.to(batch.device), ended.to(batch.device)


def suffix_log_probs(lm: Reader, batch: Batch, cuts: Tensor, prompts: Sequence[str], temperature: float) -> Tensor:
    """As `SuffixLM.suffix_log_probs`."""
    device = lm.model.device
    cuts = cuts.to(device)
    out = torch.zeros(len(batch), dtype=torch.float64, device=device)
    for tile, own in lm._tiles(batch.token_lists(), [lm._prefix(prompt) for prompt in prompts]):
        asked = tile.attention_mask.bool()
        asked &= torch.arange(asked.shape[1], device=device) >= cuts[tile.rows, None]
        row, column = asked.nonzero(as_tuple=True)
        # tiles are padded with the end token: it is what comes after the last of each row
        target = torch.nn.functional.pad(tile.tokens, (0, 1), value=lm.eos)[row, column + 1]
        logits = lm._logits(tile, own, row, column)
        each = [
            _tempered(lm, part, temperature).gather(1, wanted[:, None])[:, 0]
            for part, wanted in zip(torch.split(logits, _PLACES), torch.split(target, _PLACES), strict=True)
        ]
        grid = torch.zeros(asked.shape, dtype=torch.float64, device=device)
        grid[row, column] = torch.cat(each)
        out[tile.rows] = grid.sum(1)
    return out.to(batch.device)


def _tempered(lm: Reader, logits: Tensor, temperature: float) -> Tensor:
    """(K, V) float64 log-probabilities of what may come next: the allowed tokens and the end."""
    may = lm.vocabulary.allowed.clone()
    # the end is a special token, which a text may not hold
    may[lm.eos] = True
    logits = logits.double() / temperature
    return logits.masked_fill(~may.to(logits.device), -torch.inf).log_softmax(-1)


def _read(lm: Reader, rows: Sequence[Sequence[int]], prefixes: Sequence[Any], width: int) -> tuple[Tensor, Any, Tensor]:
    """Logits (R, V) of what follows each row, with the cache to go on from.

    The prefixes are P wide; keys and values, and the (R, P + `width`) mask of what is a token, have room behind for
    rows of `width` tokens, whatever is read here.
    """
    from transformers import DynamicCache

    device = lm.model.device
    logits = torch.empty(len(rows), lm.vocabulary.size, device=device)
    mask = torch.zeros(len(rows), prefixes[0].width + width, dtype=torch.int64, device=device)
    parts, order = [], []
    for tile, own in lm._tiles(rows, prefixes):
        inputs = lm._after(own, tile.tokens.shape[1])
        seen = torch.cat([inputs.pop("attention_mask"), tile.attention_mask], 1)
        lm.usage.count(tile.tokens.shape, tile.read)
        row = torch.arange(len(tile.rows), device=device)
        found = project(lm.model, row, tile.lengths - 1, input_ids=tile.tokens, attention_mask=seen, **inputs)
        logits[tile.rows] = found[:, : lm.vocabulary.size]
        mask[tile.rows, : seen.shape[1]] = seen
        room = (0, 0, 0, mask.shape[1] - seen.shape[1])
        layers = inputs["past_key_values"].layers
        parts.append([[torch.nn.functional.pad(part, room) for part in (layer.keys, layer.values)] for layer in layers])
        order.append(tile.rows)
    back = torch.cat(order).argsort()
    states = [tuple(torch.cat(part)[back] for part in zip(*layer, strict=True)) for layer in zip(*parts, strict=True)]
    return logits, DynamicCache(states, config=lm.model.config), mask
