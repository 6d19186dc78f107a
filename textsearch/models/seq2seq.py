"""Sequence-to-sequence models from transformers checkpoints: log p(text | source).

An encoder reads the source, a decoder writes the text (Sutskever et al., "Sequence to sequence learning", 2014; T5,
BART, mT5, mBART, Marian and their kin). A source is read once and its states serve all texts.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.protocols import Scores
from textsearch.models.reading.length_buckets import Tile
from textsearch.models.reading.memory import recall
from textsearch.models.reading.projection import log_prob, project
from textsearch.models.reading.threads import read_tiles
from textsearch.models.reading.turns import in_turn, lock_of
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary

_TEXTS, _SOURCES = 200_000, 1024  # remembered


@final
@dataclass(frozen=True, eq=False)
class Source:
    """Encoder states of a source.

    Attributes:
        states: (W, H), of its tokens and of the padding behind them.
        mask: (W,) int64, 0 on the padding.
    """

    states: Tensor
    mask: Tensor


@final
@dataclass(frozen=True, eq=False)
class TransformersSeq2Seq:
    """log p(text | source) of a T5- or BART-like model, the end of the text included.

    Texts scored before are remembered: a chain that returns to a text does not pay for it again. A text that the
    tokenizer has no pieces for has probability 0.

    Attributes:
        model: a transformers encoder-decoder with a language model's head, on its device.
        vocabulary: its tokenizer.
        start: the token that the decoder begins after.
        eos: the token that ends a text.
        max_tokens: tokens in one pass of the decoder or the encoder, padding included; more are cut into several.
        usage: counts what the model has read so far; a pass of the encoder or of the decoder counts as one.
    """

    model: Any
    vocabulary: TokenizerVocabulary
    start: int
    eos: int
    max_tokens: int = 2048
    usage: Usage = field(default_factory=Usage)
    _known: OrderedDict[tuple[str, tuple[int, ...]], float] = field(default_factory=OrderedDict, repr=False)
    _sources: OrderedDict[str, Source] = field(default_factory=OrderedDict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @in_turn
    def score(self, batch: Batch, source: str | Sequence[str]) -> Scores:
        """log p of each row's text given its source: one for all rows, or one for each.

        Token ids are used as they are if the batch has this model's vocabulary; otherwise the texts are encoded again.
        """
        rows = batch.token_lists() if batch.vocabulary is self.vocabulary else self._targets(batch.texts())
        sources = [source] * len(rows) if isinstance(source, str) else source
        keys = [(own, tuple(row)) for own, row in zip(sources, rows, strict=True)]
        values = recall(self._known, keys, self._log_probs, _TEXTS, self.usage)
        return Scores(
            torch.tensor(values, dtype=torch.float64, device=batch.device),
            torch.tensor([len(row) + 1 for row in rows], dtype=torch.int64, device=batch.device),
        )

    def forgetful(self) -> TransformersSeq2Seq:
        """The same model with nothing remembered and nothing counted, for measurements."""
        return TransformersSeq2Seq(self.model, self.vocabulary, self.start, self.eos, self.max_tokens)

    def _log_probs(self, keys: Sequence[tuple[str, tuple[int, ...]]]) -> list[float]:
        """log p(row, end | source) for each (source, row)."""
        device = self.model.device
        sources = recall(self._sources, [source for source, _ in keys], self._read, _SOURCES)
        begin = [self.start, *self._before]
        framed = [[*begin, *row] for _, row in keys]
        groups = [len(source.states) for source in sources]
        out = torch.zeros(len(keys), dtype=torch.float64, device=device)

        def read(tile: Tile) -> Tensor:
            own = [sources[i] for i in tile.rows.tolist()]
            # what comes after each token: the next one, and the end after the last
            target = tile.tokens.roll(-1, 1).scatter(1, tile.lengths[:, None] - 1, self.eos)
            row, place = tile.attention_mask[:, len(begin) - 1 :].nonzero(as_tuple=True)
            place = place + len(begin) - 1
            self.usage.count(tile.tokens.shape, tile.read)
            logits = project(
                self.model,
                row,
                place,
                encoder_outputs=_states(own),
                attention_mask=torch.stack([source.mask for source in own]),
                decoder_input_ids=tile.tokens,
                decoder_attention_mask=tile.attention_mask,
                use_cache=False,
            )[:, : self.vocabulary.size]
            each = log_prob(logits.gather(1, target[row, place][:, None])[:, 0], logits.logsumexp(-1))
            grid = torch.zeros(tile.tokens.shape, dtype=torch.float64, device=device)
            grid[row, place] = each
            return grid.sum(1)

        pad, most = self._pad, self.max_tokens
        for tile, sums in read_tiles(framed, read, pad=pad, max_tokens=most, device=device, groups=groups):
            out[tile.rows] = sums
        # p of an unknown piece is that of all texts that it might stand for
        unknown = self.vocabulary.tokenizer.unk_token_id
        return [
            -math.inf if unknown in row else float(value) for value, (_, row) in zip(out.tolist(), keys, strict=True)
        ]

    def _read(self, sources: Sequence[str]) -> Iterator[Source]:
        """The states of each source, read with the special tokens that the tokenizer puts around it."""
        self.vocabulary.encode(sources)  # refuses what cannot be written, and what is too long
        # in a source of no tokens at all there is nothing to look at
        with lock_of(self.vocabulary.tokenizer):
            rows = [row or [self.eos] for row in self.vocabulary.tokenizer(list(sources))["input_ids"]]
        read: dict[int, Source] = {}
        encoder, device = self.model.get_encoder(), self.model.device

        def states(tile: Tile) -> Tensor:
            self.usage.count(tile.tokens.shape, tile.read)
            found: Tensor = encoder(input_ids=tile.tokens, attention_mask=tile.attention_mask).last_hidden_state
            return found

        for tile, own in read_tiles(rows, states, pad=self._pad, max_tokens=self.max_tokens, device=device):
            read.update(zip(tile.rows.tolist(), map(Source, own, tile.attention_mask), strict=True))
        return (read[i] for i in range(len(rows)))

    def _targets(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids without special tokens, as the decoder writes them."""
        tokenizer = self.vocabulary.tokenizer
        if not texts:
            return []
        with lock_of(tokenizer):
            rows: list[list[int]] = tokenizer(text_target=list(texts), add_special_tokens=False)["input_ids"]
        for text, row in zip(texts, rows, strict=True):
            if len(row) > self.vocabulary.longest:
                raise ValueError(
                    f"a text of {len(row)} tokens is over the model's limit of {self.vocabulary.longest}: "
                    f"{text[:60]!r}...; shorten or split it"
                )
        return rows

    @cached_property
    def _before(self) -> list[int]:
        """Special tokens between the start and a text: BART's <s>, mBART's language."""
        tokenizer = self.vocabulary.tokenizer
        with lock_of(tokenizer):
            plain = tokenizer(text_target="a", add_special_tokens=False)["input_ids"]
            framed = list(tokenizer(text_target="a")["input_ids"])
        count = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
        return framed[:count]

    @property
    def _pad(self) -> int:
        pad = self.vocabulary.tokenizer.pad_token_id
        return self.eos if pad is None else int(pad)


def _states(sources: Sequence[Source]) -> Any:
    """The encoder states that the decoder attends to, a row for each source."""
    from transformers.modeling_outputs import BaseModelOutput

    if all(source is sources[0] for source in sources):
        # views of one copy
        return BaseModelOutput(last_hidden_state=sources[0].states.expand(len(sources), -1, -1))
    return BaseModelOutput(last_hidden_state=torch.stack([source.states for source in sources]))
