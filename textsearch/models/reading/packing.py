"""Rows laid end to end: a model reads the tokens of many rows as one line, and attention is told what each may see.

No matrix product sees padding, whatever the rows' lengths, and a row may go on from keys and values that were kept
(block-diagonal attention as in FlashAttention, Dao et al., 2022; pages as in vLLM, Kwon et al., 2023). It works for any
transformers model whose attention goes through the library's attention interface, and asks nothing else of it.

On the CPU a token's numbers do not depend on what else is in the pass, bit for bit: products have a multiple of
`BLOCK` rows, keys are laid out from the beginning of their row, in widths of multiples of `GRAIN`, and queries in
multiples of `BLOCK`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, TypeVar, final

import torch
from torch import Tensor

from textsearch.models.checkpoints.loading import first_position
from textsearch.models.reading.finite import check_finite
from textsearch.models.reading.hooks import attending
from textsearch.models.reading.length_buckets import BLOCK, GRAIN
from textsearch.models.reading.projection import hidden_states

_NAME = "textsearch"
_UNKNOWN = ("softcap", "s_aux", "position_bias")  # what some families do to their attention
_SUMMED = 192  # keys that a product of MKL sums in one block at most
_PROBE = 11  # tokens that a model is tried on

Found = TypeVar("Found")

Source = Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(layer, keys, values) -> what there is to attend to: the (T, heads, size) of this pass, or more that was kept."""

Reader = Callable[..., Tensor]
"""(model, inputs of the model) -> (1, T, d) what it makes of its tokens."""


@final
@dataclass(frozen=True)
class Span:
    """Some tokens of a row that lie side by side in a pass.

    Attributes:
        first: where they begin in the pass.
        count: how many they are.
        sees: what they attend to: numbers of keys and values of the row from its beginning, these tokens the last.
    """

    first: int
    count: int
    sees: Sequence[int]


@final
@dataclass(frozen=True, eq=False)
class _Group:
    """Spans of like size, padded to R of Q queries and K keys.

    `queries` (R Q,) are places in the pass, `keys` (R K,) numbers of keys, and `unseen` (R, 1, Q, K) is 0 where a query
    may look and -inf elsewhere.
    """

    rows: int
    queries: Tensor
    keys: Tensor
    unseen: Tensor


@final
@dataclass(eq=False)
class _Attention:
    """Attention of one pass; no token of it sees more than `deepest`.

    Token t is query `answers[t]` of all groups' queries.
    """

    groups: Sequence[_Group]
    answers: Tensor
    source: Source
    deepest: int
    _masks: dict[tuple[int, torch.dtype], list[Tensor]] = field(default_factory=dict)

    def __call__(self, layer: Any, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        """(1, T, heads, size) from (1, heads, T, size) queries, keys and values."""
        queries = query[0].transpose(0, 1)
        keys, values = self.source(layer, key[0].transpose(0, 1), value[0].transpose(0, 1))
        heads, size = queries.shape[1:]
        shared = keys.shape[1]
        found = []
        for group, mask in zip(self.groups, self._repeated(heads // shared, queries.dtype), strict=True):
            # heads that share keys stand side by side as more queries
            asked = queries.index_select(0, group.queries).view(group.rows, -1, shared, heads // shared, size)
            asked = asked.permute(0, 2, 3, 1, 4).reshape(group.rows, shared, -1, size)
            own = torch.nn.functional.scaled_dot_product_attention(
                asked,
                keys.index_select(0, group.keys).view(group.rows, -1, shared, size).transpose(1, 2),
                values.index_select(0, group.keys).view(group.rows, -1, shared, size).transpose(1, 2),
                attn_mask=mask,
                scale=scaling,
            )
            own = own.view(group.rows, shared, heads // shared, -1, size).permute(0, 3, 1, 2, 4)
            found.append(own.reshape(-1, heads, size))
        return torch.cat(found).index_select(0, self.answers)[None]

    def _repeated(self, times: int, dtype: torch.dtype) -> list[Tensor]:
        """Masks for so many heads that share keys, the same in every layer of most models."""
        if (times, dtype) not in self._masks:
            self._masks[times, dtype] = [group.unseen.to(dtype).repeat(1, 1, times, 1) for group in self.groups]
        return self._masks[times, dtype]


_ATTENTION: ContextVar[_Attention] = ContextVar("attention")


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, scaling: float | None = None, **settings: Any
) -> tuple[Tensor, None]:
    """What transformers calls in every layer."""
    attention, window = _ATTENTION.get(), settings.get("sliding_window")
    if window is not None and attention.deepest > window:
        raise ValueError(
            f"a text of {attention.deepest} tokens, its prompt included, is longer than the window of {window} that "
            "this model attends to; shorten it, or use a model without a sliding window"
        )
    if other := [name for name in _UNKNOWN if settings.get(name) is not None]:
        raise ValueError(f"attention with {other[0]} is not known here")
    return attention(module, query, key, value, scaling), None


def read_rows(model: Any, rows: Sequence[Sequence[int]], reader: Reader = hidden_states) -> Tensor:
    """(T', d) what `model` makes of rows of T tokens in all, each of which sees all of its own row."""
    begins = [0, *accumulate(map(len, rows))]
    spans = [Span(begin, end - begin, range(begin, end)) for begin, end in pairwise(begins)]
    first = first_position(model)
    tokens = [token for row in rows for token in row]
    positions = [first + place for row in rows for place in range(len(row))]
    return read_flat(model, tokens, positions, spans, own_keys, causal=False, reader=reader)


def read_flat(
    model: Any,
    tokens: Sequence[int],
    positions: Sequence[int],
    spans: Sequence[Span],
    source: Source,
    causal: bool,
    reader: Reader = hidden_states,
) -> Tensor:
    """(T', d) what `model` makes of each of the T tokens; rows beyond T are padding.

    Args:
        model: a transformers model.
        tokens: T ids, span after span.
        positions: of each within its row.
        spans: which tokens belong together.
        source: keys and values to attend to.
        causal: a token sees what comes before it and itself; else the whole row.
        reader: by default what goes to the vocabulary is read.
    """
    device = model.device
    padding = [0] * (-len(tokens) % BLOCK)
    inputs = {
        "input_ids": torch.tensor([[*tokens, *padding]], device=device),
        "position_ids": torch.tensor([[*positions, *padding]], device=device),
    }
    if getattr(model.config, "type_vocab_size", 0):
        # a model's own zeros are as many as its positions: fewer than tokens here
        inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
    token = _ATTENTION.set(_attended(spans, len(tokens) + len(padding), source, causal, device))
    try:
        found: Tensor = read_with(model, lambda: reader(model, use_cache=False, **inputs)[0])
        return found
    finally:
        _ATTENTION.reset(token)


def read_with(model: Any, run: Callable[[], Found]) -> Found:
    """What `run` gives while the model asks for attention here; it may read flat on several threads."""
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attention)
    return attending(model.config, _NAME, run)


def own_keys(layer: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """A source of spans that attend to tokens of the same pass."""
    return keys, values


def bytes_a_token(model: Any, causal: bool, reader: Reader = hidden_states) -> int | None:
    """Memory for the keys, values and hidden state of a token; None for a model that cannot be read flat.

    Tried on two short rows, each of which has to come out as it does alone.

    Raises:
        ValueError: what it makes of them is nan or infinite.
    """
    long = [place % int(model.get_input_embeddings().num_embeddings) for place in range(_PROBE)]
    rows = [long[: _PROBE // 2], long]
    seen: dict[Any, int] = {}

    def source(layer: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        seen[layer] = keys[0].numel() * keys.element_size() + values[0].numel() * values.element_size()
        return keys, values

    first = first_position(model)
    begins = [0, len(rows[0])]
    spans = [Span(at, len(row), range(at, at + len(row))) for at, row in zip(begins, rows, strict=True)]
    positions = [first + place for row in rows for place in range(len(row))]
    with torch.no_grad():
        wanted = torch.cat([reader(model, input_ids=torch.tensor([row], device=model.device))[0] for row in rows])
        try:
            found = read_flat(model, [*rows[0], *rows[1]], positions, spans, source, causal, reader)
        except (TypeError, ValueError, RuntimeError, LookupError):
            return None
    check_finite(model, wanted, "hidden states")
    found = found[: len(wanted)]
    apart = (found - wanted).float().norm(dim=-1) / wanted.float().norm(dim=-1)
    if not seen or bool(apart.mean() > max(1e-5, 8 * torch.finfo(wanted.dtype).eps)):
        return None
    return sum(seen.values()) + found[0].numel() * found.element_size()


def _attended(spans: Sequence[Span], size: int, source: Source, causal: bool, device: torch.device) -> _Attention:
    """Spans that differ little in size are padded to one: of attention only, which is a small part of the work."""
    alike: dict[tuple[int, int], list[Span]] = {}
    for span in spans:
        alike.setdefault((_width(span.count, BLOCK), _depth(len(span.sees))), []).append(span)
    groups, answers, start = [], [0] * size, 0
    for (wide, deep), own in alike.items():
        groups.append(_group(own, wide, deep, causal, device))
        for span in own:
            answers[span.first : span.first + span.count] = range(start, start + span.count)
            start += wide
    deepest = max(len(span.sees) for span in spans)
    return _Attention(groups, torch.tensor(answers, device=device), source, deepest)


def _width(count: int, grain: int) -> int:
    """At least `count`: a multiple of `grain`, and of a quarter of the power of two below.

    >>> [_width(count, 16) for count in (1, 16, 17, 33, 65, 129, 200)]
    [16, 16, 32, 48, 80, 160, 224]
    """
    step: int = max(grain, 2 ** (max(count - 1, 1).bit_length() - 3))
    return step * math.ceil(count / step)


def _depth(count: int) -> int:
    """Keys that rows of `count` are padded to.

    A product sums over its keys in blocks of up to `_SUMMED`, and halves what is between one and two of them: there the
    sum of the same keys would depend on how many others are padded.

    >>> [_depth(count) for count in (1, 150, 192, 193, 300, 385)]
    [16, 160, 192, 384, 384, 448]
    """
    wide = _width(count, GRAIN)
    return wide if wide <= _SUMMED else max(wide, 2 * _SUMMED)


def _group(spans: Sequence[Span], wide: int, deep: int, causal: bool, device: torch.device) -> _Group:
    first = torch.tensor([span.first for span in spans])[:, None]
    count = torch.tensor([span.count for span in spans])[:, None]
    sees = torch.tensor([len(span.sees) for span in spans])[:, None]
    # padded keys are numbers of the row's own, which nobody looks at
    keys = torch.tensor([[*span.sees, *[span.sees[-1]] * (deep - len(span.sees))] for span in spans])
    # padded queries see what the last one does: something, so that nothing is undefined
    query = torch.minimum(torch.arange(wide), count - 1)
    last = sees - count + query if causal else (sees - 1).expand(-1, wide)
    hidden = torch.arange(deep) > last[:, :, None]
    unseen = torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)[:, None]
    places = (first + query).flatten()
    return _Group(len(spans), places.to(device), keys.flatten().to(device), unseen.to(device))
