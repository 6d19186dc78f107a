"""Copy: put words of a source text into the text, and take them out again.

Four moves in two pairs, each the way back of the other. With n words and n_S of them from the source (editable ones
both), m different words in the source, and c(w) the law of a new word from the masked model, piece by piece as in
`SpanEdit`:

    insert   a source word into one of the n + 1 slots          q = p_insert / (n + 1) / m   (fewer if some are closed)
    delete   a source word                                      q = p_delete / n_S
    copy     a source word over any word                        q = p_copy / n / m
    write    a new word over a source word                      q = p_write / n_S * c(w)

Words of the source among the candidates are UPSA's copying (Liu et al., 2020). It brings back words that other
moves have lost, above all names, which a masked model would hardly ever write.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.sites import place_of, slot_open, slots, word_table
from samplers.proposals.spans import SpanEdit, check_lengths
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep, reals
from textsearch.models.protocols import MaskedLM
from textsearch.per_input import PerInput, text_per_input
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_KIND, _PLACE, _WORD, _PIECES = range(4)  # draws
_INSERT, _DELETE, _COPY, _WRITE = range(4)  # kinds
_FILL = 0  # tag


@final
@dataclass(frozen=True, eq=False)
class Copy(OfMaskedLM):
    """Insert a word of the source, delete one, put one in another word's place, or write a new word over one.

    Attributes:
        mlm: writes new words over copied ones, and prices the words that copies replace.
        sources: one text for all inputs, or one for each; of lines that are read by themselves, if it has some.
        weights: probabilities of insert, delete, copy and write.
        pieces: probability that a new word has 1, 2, ... pieces; by default any number, see `PIECES`.
        max_length: tokens; a move that would go beyond it is a null move.

    Raises:
        ValueError: no sources, one without words that the vocabulary may write, or weights that are no probabilities.

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("abc"), seed=0)
    >>> sampler = MetropolisHastings(Copy(model, "cc", max_length=4))
    >>> like_c = FunctionObjective(lambda texts: [-5.0 * text.count("c") for text in texts], name="like c")
    >>> generate(like_c, sampler, ["ab"], steps=60, seed=0).best_texts
    ['cccc']
    """

    mlm: MaskedLM
    sources: str | Sequence[str]
    weights: Sequence[float] = (0.2, 0.2, 0.3, 0.3)
    pieces: Sequence[float] | None = None
    max_length: int = 64
    _writer: SpanEdit = field(init=False, repr=False)
    _sources: PerInput[str] = field(init=False, repr=False)
    _words: Tensor = field(init=False, repr=False)

    kinds: ClassVar = ("copy in", "take out", "copy over", "write over")

    def __post_init__(self) -> None:
        super().__post_init__()
        must, example = "be a probability above 0", "[0.2, 0.2, 0.3, 0.3]"
        weights = reals("weights", self.weights, must, lambda x: 0 < x <= 1, example)
        if len(weights) != 4 or not math.isclose(sum(weights), 1.0, abs_tol=1e-9):
            raise ValueError(f"weights={weights} must be four probabilities above 0 that add up to 1")
        writer = SpanEdit(self.mlm, {(1, 1): 1.0}, self.pieces, self.max_length)
        given = text_per_input("sources", self.sources)
        keep(self, _writer=writer, weights=weights, pieces=writer.pieces, max_length=writer.max_length)
        keep(self, sources=given.values, _sources=given, _words=_words_of(given.values, self.vocabulary))

    def check(self, batch: Batch) -> None:
        """Refuse texts over `max_length`, and inputs without a source."""
        check_lengths(batch, self.max_length)
        self._sources.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One move a row."""
        batch = batch.widen(self.max_length)
        device, row = batch.device, torch.arange(len(batch), device=batch.device)
        log_weights = torch.tensor(self.weights, dtype=torch.float64, device=device).log()
        kind = categorical(log_weights.expand(len(batch), -1), rng.uniform(_KIND))
        own = self._words.to(device)[self._sources.index(batch)]
        source_words = (own[:, :, 0] > 0).sum(1)

        start, stop, ways = self._choose(batch, own, kind, rng.uniform(_PLACE))
        # what is copied, and what is written
        chosen = own[row, (rng.uniform(_WORD) * source_words).floor().to(torch.int64)]
        sizes = (chosen > 0).sum(1)
        log_pieces = torch.tensor(self._writer.sizes, dtype=torch.float64, device=device).log()
        written = categorical(log_pieces.expand(len(batch), -1), rng.uniform(_PIECES)) + 1
        copies, writes = (kind == _INSERT) | (kind == _COPY), kind == _WRITE
        count = torch.where(copies, sizes, torch.where(writes, written, 0))
        lengths = batch.lengths - (stop - start) + count
        possible = (ways > 0) & (lengths <= self.max_length) & (batch.lengths <= self.max_length)
        start, stop, count = (part.where(possible, 0) for part in (start, stop, count))

        log_old = self._log_word(batch, start, stop, possible & (kind == _COPY), log_pieces, rng)
        gap = batch.splice(start, stop, torch.zeros_like(start), batch.width)
        new, log_new = self._write(gap, start, count, possible & writes, log_pieces, rng)
        offset = torch.arange(own.shape[2], device=device)
        put = (copies & possible)[:, None] & (offset < sizes[:, None])
        at = (start[:, None] + offset)[put]
        new = replace(new, tokens=new.tokens.index_put((row[:, None].expand_as(put)[put], at), chosen[put]))

        back = torch.tensor([_DELETE, _INSERT, _WRITE, _COPY], device=device)[kind]
        ways_back = self._open(new, own, back).sum(1)
        log_copied = -source_words.to(torch.float64).log()
        log_forward = log_weights[kind] - ways.clamp(min=1).to(torch.float64).log() + log_new
        log_backward = log_weights[back] - ways_back.to(torch.float64).log() + log_old
        log_forward = log_forward + torch.where(copies, log_copied, 0.0)
        log_backward = log_backward + torch.where(copies, 0.0, log_copied)
        more = torch.tensor([1, -1, 0, 0], device=device)[kind]
        glued = new.word_starts.sum(1) != batch.word_starts.sum(1) + more
        shut = (kind == _DELETE) & ~slot_open(new, start)
        log_backward = log_backward.masked_fill(glued | shut | (ways_back == 0), -math.inf)
        return Move(
            batch.where(possible, new),
            log_forward.where(possible, 0.0),
            log_backward.where(possible, -math.inf),
            kind,
        )

    def _open(self, batch: Batch, own: Tensor, kind: Tensor) -> Tensor:
        """(B, N + 1) bool, the words, or for an insertion the slots, that a move of `kind` (B,) may choose."""
        first, editable = word_table(batch)
        offset = torch.arange(own.shape[2], device=batch.device)
        at = first[:, :-1, None] + offset
        pieces = batch.tokens.gather(1, at.clamp(max=max(batch.width - 1, 0)).flatten(1)).reshape(at.shape)
        pieces = pieces.masked_fill(at >= first[:, 1:, None], -1)
        # a word longer than all of the source's is none of them
        longer = first.diff(dim=1) > own.shape[2]
        wanted = torch.where(own > 0, own, -1)
        held = torch.zeros_like(editable)
        for number in range(own.shape[1]):
            held |= (pieces == wanted[:, number, None]).all(2) & (own[:, number, :1] > 0)
        held &= editable & ~longer
        words = torch.where((kind == _COPY)[:, None], editable, held)
        return torch.where((kind == _INSERT)[:, None], slots(batch), torch.nn.functional.pad(words, (0, 1)))

    def _choose(self, batch: Batch, own: Tensor, kind: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """First position and end of the word or slot that is drawn, and how many there are."""
        first, _ = word_table(batch)
        flags = self._open(batch, own, kind)
        ways = flags.sum(1)
        word = place_of(flags, (uniform * ways).floor().to(torch.int64))
        last = (word + (kind != _INSERT)).clamp(max=first.shape[1] - 1)
        return first.gather(1, word[:, None])[:, 0], first.gather(1, last[:, None])[:, 0], ways

    def _log_word(
        self, batch: Batch, start: Tensor, stop: Tensor, asked: Tensor, log_pieces: Tensor, rng: Rng
    ) -> Tensor:
        """(B,) the log-probability that the model would write the word in [start, stop); 0 where not `asked`."""
        log_prob = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        index = asked.nonzero().squeeze(-1)
        if len(index) == 0:
            return log_prob
        part, start, stop, rng = batch.rows(index), start[index], stop[index], rng.fold(_FILL).rows(index)
        counts = self._writer.log_old_counts(part, start, stop, log_pieces)
        _, _, own = self._writer.fill(part, start, stop, torch.zeros_like(start)[:, None], rng, counts > -math.inf)
        log_prob[index] = counts + own
        return log_prob

    def _write(
        self, gap: Batch, start: Tensor, count: Tensor, asked: Tensor, log_pieces: Tensor, rng: Rng
    ) -> tuple[Batch, Tensor]:
        """The texts with `count` (B,) pieces in their gaps, new ones where `asked`, and their log-probability."""
        new = gap.splice(start, start, count, gap.width)
        log_prob = torch.zeros(len(gap), dtype=torch.float64, device=gap.device)
        index = asked.nonzero().squeeze(-1)
        if len(index) == 0:
            return new, log_prob
        part, at, rng = gap.rows(index), start[index], rng.fold(_FILL).rows(index)
        every = torch.ones_like(at, dtype=torch.bool)
        filled, log_new, _ = self._writer.fill(part, at, at, count[index][:, None], rng, every)
        new = replace(new, tokens=new.tokens.index_put((index,), filled.tokens))
        log_prob[index] = log_new + log_pieces[count[index] - 1]
        return new, log_prob


def _words_of(sources: Sequence[str], vocabulary: Vocabulary) -> Tensor:
    """(I, M, P) the different words of each source, as pieces; 0 where there are no more.

    Raises:
        ValueError: a source has no word that the vocabulary may write.
    """
    allowed = vocabulary.allowed.tolist()
    lists = []
    for text in sources:
        lines = vocabulary.encode([line for line in text.split("\n") if line.strip()])
        words: dict[tuple[int, ...], None] = {}
        for row, starts in zip(lines.token_lists(), lines.word_starts.tolist(), strict=True):
            edges = [column for column, begins in enumerate(starts) if begins] + [len(row)]
            words |= dict.fromkeys(tuple(row[a:b]) for a, b in itertools.pairwise(edges))
        lists.append([word for word in words if all(allowed[token] and token > 0 for token in word)])
        if not lists[-1]:
            raise ValueError(f"the source {text!r} has no word that could be copied; leave the copy moves out")
    most, longest = max(map(len, lists)), max(len(word) for kept in lists for word in kept)
    table = torch.zeros(len(lists), most, longest, dtype=torch.int64)
    for number, kept in enumerate(lists):
        for place, word in enumerate(kept):
            table[number, place, : len(word)] = torch.tensor(word)
    return table
