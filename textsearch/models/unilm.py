"""A masked language model read from left to right, after a source: log p(text | source).

UniLM (Dong et al., "Unified language model pre-training for natural language understanding and generation", 2019): the
tokens of the source see one another; a token of the text sees the source and the text up to itself; each is predicted
from a mask at its place, which sees the source and the text before it. All the masks of a text lie behind it in one
pass, each at the position of the token that it stands for and unseen by everything else, so

    log p(x | s) = sum_i log c(x_i | s, x_1 ... x_{i-1}),

and the probabilities of all texts of one length add up to 1. A checkpoint trained as a UniLM also tells where a text
ends. A plain masked model never learnt where texts end, and never saw a text without its end, so it is worse read
this way than in the way it was trained.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.checkpoints.loading import first_position
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.protocols import Scores
from textsearch.models.reading.length_buckets import Tile
from textsearch.models.reading.memory import recall
from textsearch.models.reading.projection import log_prob, project
from textsearch.models.reading.threads import read_tiles
from textsearch.models.reading.turns import in_turn
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary

_TEXTS = 200_000  # remembered
_PROBE = 6  # tokens that a model is tried on


@final
@dataclass(frozen=True)
class UniLMRow:
    """One row of a pass: source, text, and the masks of the text.

    Attributes:
        tokens: what the model reads.
        positions: of each token; a mask has that of the token which it stands for.
        segments: 0 in the source, 1 in the text, where the model tells them apart.
        times: 0 in the source, i for the i-th token of the text and for its mask.
        told: at a mask the token that stands there, -1 elsewhere.
    """

    tokens: list[int]
    positions: list[int]
    segments: list[int]
    times: list[int]
    told: list[int]


@final
@dataclass(frozen=True, eq=False)
class UniLM:
    """log p(text | source) of a BERT-like model with prefix-visible attention.

    Texts scored before are remembered.

    Attributes:
        masked: the model; passes are counted in its own `usage`.
        ends: count the end of the text, log c(end | source, text). For checkpoints trained as a UniLM; without it
            texts of different lengths are not told apart by where they end, and p adds up to 1 at each length.

    Raises:
        ValueError: the model takes no positions, or does not obey a mask of who sees whom.
    """

    masked: TransformersMaskedLM
    ends: bool = False
    _known: OrderedDict[tuple[str, tuple[int, ...]], float] = field(default_factory=OrderedDict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @in_turn
    def __post_init__(self) -> None:
        kind = type(self.masked.model).__name__
        remedy = "use a model of the BERT or RoBERTa kind"
        if "position_ids" not in inspect.signature(self.masked.model.forward).parameters:
            raise ValueError(f"{kind} takes no position_ids, so no mask can stand at the place of its token; {remedy}")
        allowed = self.vocabulary.allowed.nonzero()[:, 0].tolist()
        text = [allowed[len(allowed) * place // _PROBE] for place in range(_PROBE)]
        one_by_one = [self._row_of([], text[: place + 1], known=place) for place in range(_PROBE)]
        try:
            *each, whole = self._read([*one_by_one, self._row_of([], text)], Usage())
        except RuntimeError as error:
            raise ValueError(f"{kind} takes no mask of who sees whom ({error}); {remedy}") from error
        if abs(sum(each) - whole) > (1e-3 if self.masked.model.dtype == torch.float32 else 0.1):
            raise ValueError(
                f"{kind} does not keep to positions and to a mask of who sees whom: log p of {_PROBE} tokens "
                f"is {whole:.4f}, of one after the other {sum(each):.4f}; {remedy}"
            )

    @property
    def model(self) -> Any:
        """The transformers model of the masked model."""
        return self.masked.model

    @property
    def vocabulary(self) -> TokenizerVocabulary:
        """The tokens that the masked model reads and writes."""
        return self.masked.vocabulary

    @in_turn
    def score(self, batch: Batch, source: str | Sequence[str]) -> Scores:
        """log p of each row's text given its source: one for all rows, or one for each.

        Token ids are used as they are if the batch has this model's vocabulary; otherwise the texts are encoded again.
        """
        own = batch.vocabulary is self.vocabulary
        rows = (batch if own else self.vocabulary.encode(batch.texts())).token_lists()
        sources = [source] * len(rows) if isinstance(source, str) else source
        keys = [(given, tuple(row)) for given, row in zip(sources, rows, strict=True)]
        values = recall(self._known, keys, self._log_probs, _TEXTS, self.masked.usage)
        return Scores(
            torch.tensor(values, dtype=torch.float64, device=batch.device),
            torch.tensor([len(row) + self.ends for row in rows], dtype=torch.int64, device=batch.device),
        )

    def _log_probs(self, keys: Sequence[tuple[str, tuple[int, ...]]]) -> list[float]:
        """log p(row | source) for each (source, row)."""
        sources = list(dict.fromkeys(source for source, _ in keys))
        tokens = dict(zip(sources, self.vocabulary.encode(sources).token_lists(), strict=True))
        end = [self._frame[2]] if self.ends else []
        return self._read([self._row_of(tokens[source], [*row, *end]) for source, row in keys], self.masked.usage)

    def _read(self, rows: Sequence[UniLMRow], usage: Usage) -> list[float]:
        """The log-probability of what each row is to tell, summed."""
        model, device = self.masked.model, self.masked.model.device
        out = torch.zeros(len(rows), dtype=torch.float64, device=device)
        pad = self.vocabulary.tokenizer.pad_token_id or 0

        def read(tile: Tile) -> Tensor:
            shape = tile.tokens.shape
            own = [rows[i] for i in tile.rows.tolist()]
            told = _padded([row.told for row in own], shape[1], -1).to(device)
            row, column = (told >= 0).nonzero(as_tuple=True)
            if len(row) == 0:
                return torch.zeros(len(own), dtype=torch.float64, device=device)
            inputs = {"position_ids": _padded([row.positions for row in own], shape[1], 0).to(device)}
            if "token_type_ids" in inspect.signature(model.forward).parameters:
                inputs["token_type_ids"] = _padded([row.segments for row in own], shape[1], 0).to(device)
            times = _padded([row.times for row in own], shape[1], 0).to(device)
            sees = visible(times, told >= 0, tile.attention_mask.bool())[:, None]
            mask = torch.zeros(sees.shape, dtype=model.dtype, device=device)
            mask = mask.masked_fill(~sees, torch.finfo(model.dtype).min)
            logits = project(model, row, column, input_ids=tile.tokens, attention_mask=mask, **inputs)
            usage.count(shape, tile.read)
            logits = logits[:, : self.vocabulary.size]
            each = log_prob(logits.gather(1, told[row, column][:, None])[:, 0], logits.logsumexp(-1))
            grid = torch.zeros(shape, dtype=torch.float64, device=device)
            grid[row, column] = each
            return grid.sum(1)

        lists, most = [row.tokens for row in rows], self.masked.max_tokens
        for tile, sums in read_tiles(lists, read, pad=pad, max_tokens=most, device=device):
            out[tile.rows] = sums
        return [float(value) for value in out.tolist()]

    def _row_of(self, source: Sequence[int], told: Sequence[int], known: int = 0) -> UniLMRow:
        """Source, text and masks in one row, to tell the tokens of `told` but the first `known`.

        Raises:
            ValueError: the model has too few positions for the source and the text.
        """
        before, between, _, segment = self._frame
        prefix = [*before, *source, *between]
        # nothing looks back at the last one
        seen = told[:-1]
        first, most = self._positions
        if len(prefix) + len(told) > most:
            raise ValueError(
                f"a source of {len(source)} tokens and a text of {len(told) - self.ends} are over the model's limit of "
                f"{most - len(before) - len(between) - self.ends} for both; shorten one of them"
            )
        start = len(prefix)
        place = [*range(start + len(seen)), *range(start + known, start + len(told))]
        return UniLMRow(
            tokens=[*prefix, *seen, *[self.vocabulary.mask_id] * (len(told) - known)],
            positions=[first + i for i in place],
            segments=[segment if i >= start else 0 for i in place],
            times=[max(i - start + 1, 0) for i in place],
            told=[-1] * (start + len(seen)) + list(told[known:]),
        )

    @cached_property
    def _frame(self) -> tuple[list[int], list[int], int, int]:
        """Special tokens before the source, between it and the text, and behind; the segment of the text."""
        tokenizer, mask = self.vocabulary.tokenizer, self.vocabulary.mask_id
        kinds = int(getattr(self.masked.model.config, "type_vocab_size", None) or 1)
        pair = tokenizer(tokenizer.mask_token, tokenizer.mask_token, return_token_type_ids=True)
        ids, segments = pair["input_ids"], pair["token_type_ids"]
        first = ids.index(mask)
        second = ids.index(mask, first + 1)
        if ids[second + 1 :]:
            return ids[:first], ids[first + 1 : second], ids[second + 1], min(segments[second], kinds - 1)
        # a tokenizer that knows no pairs: the text stands behind what ends the source, and ends as it does
        ids = tokenizer(tokenizer.mask_token)["input_ids"]
        first = ids.index(mask)
        if not ids[first + 1 :]:
            raise ValueError("the tokenizer puts nothing behind a text, so nothing can stand between source and text")
        return ids[:first], ids[first + 1 :], ids[first + 1], min(1, kinds - 1)

    @cached_property
    def _positions(self) -> tuple[int, int]:
        """The number of the first one, and how many there are."""
        most = self.vocabulary.longest + int(self.vocabulary.tokenizer.num_special_tokens_to_add())
        return first_position(self.masked.model), most


def visible(times: Tensor, masks: Tensor, present: Tensor) -> Tensor:
    """(R, W, W) bool: which tokens (last) each token (before last) sees.

    A token sees the source and the text up to itself, a mask what the token before its own sees and itself.

    Args:
        times: (R, W) int64, 0 for the source, i for the i-th token of the text and for its mask.
        masks: (R, W) bool.
        present: (R, W) bool, False for padding.

    >>> told = torch.tensor([[False, False, True, True]])
    >>> visible(torch.tensor([[0, 1, 1, 2]]), told, torch.ones_like(told)).int().tolist()
    [[[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 1]]]
    """
    until = times - masks.to(torch.int64)
    sees = (times[:, None, :] <= until[:, :, None]) & (present & ~masks)[:, None, :]
    return sees | torch.eye(times.shape[1], dtype=torch.bool, device=times.device)


def _padded(rows: Sequence[Sequence[int]], width: int, fill: int) -> Tensor:
    """(R, width) int64."""
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], dtype=torch.int64)
