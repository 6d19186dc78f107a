"""Corrections: replace one word of a text by one that may have been meant, insert a word, or delete one.

An informed proposal (Zanella, 2020) over all such edits at once. A masked model reads the text with each word, and each
gap, masked in turn: what it finds improbable there, and knows a better word for, is changed first, as in Soft-Masked
BERT (Zhang et al., 2020). With c_j(v) its probability of v at the place j, given the words around it,

    t = (c_j(v) / c_j(x_j))^power * r(x_j, v)     for v instead of the word x_j,
    t = c_j(v)^power * r(v)                       for v put into the gap j,
    t = c_j(x_j)^-power * r                       for the word x_j taken out,

where the factors r say how likely each kind of mistake is, an edit e of x has the probability

    Q(e|x) = g(t_e) / Z(x),    Z(x) = the sum over all edits,    g(t) = t / (1 + t).

The words around a place are the same before and after the edit, so its c serves both ways, and the way back needs but
Z(x'). Only some words on either side are read: of the readings for Z(x') most are those for Z(x), remembered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from samplers.proposals.clusters import Clusters
from samplers.proposals.informed import Balance, barker
from samplers.proposals.word_reader import WordReader
from textsearch.batch import Batch
from textsearch.checks import function, keep, positive, real, whole
from textsearch.kinds import MASKED, instance, nature, shown
from textsearch.language.words import WordVocabulary
from textsearch.models.protocols import MaskedLM
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_EDIT = 0  # draw
REPLACE, INSERT, DELETE = range(3)


@final
@dataclass(frozen=True, eq=False)
class Corrections:
    """Replace, insert or delete one word; edits that a masked model finds better are drawn more often.

    Attributes:
        mlm: of pieces; reads the words.
        clusters: what each word may be replaced with, and what may be inserted and deleted.
        balance: log g.
        power: of the model's probabilities; below 1 edits are more alike.
        deletion: log r of taking a word out, nats.
        window: words that are read on either side of a place.
        max_length: words that a text may grow to.

    >>> from samplers import MetropolisHastings
    >>> from textsearch.language.confusions import ListedConfusions
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> listed = ListedConfusions({"a": {"ab": "spelling"}}, inserted=("b",))
    >>> moves = Corrections(TableMaskedLM.random(letters("ab"), seed=0), Clusters.of([["a", "a"]], listed))
    >>> short = FunctionObjective(lambda texts: [abs(5.0 - len(text)) for text in texts], name="five letters")
    >>> start = moves.vocabulary.batch([["a", "a"]])
    >>> generate(short, MetropolisHastings(moves), start, steps=50, seed=0).best_energies.tolist()
    [0.0]
    """

    mlm: MaskedLM
    clusters: Clusters
    balance: Balance = barker
    power: float = 1.0
    deletion: float = -5.0
    window: int = 4
    max_length: int = 200

    def __post_init__(self) -> None:
        instance("mlm", self.mlm, MASKED)
        if not isinstance(self.clusters, Clusters):
            raise TypeError(
                f"clusters={shown(self.clusters)} is {nature(self.clusters)}, not clusters: make some, "
                "Clusters.of(rows, confusions)"
            )
        function("balance", self.balance, "a balancing function", "barker or square_root")
        keep(
            self,
            power=positive("power", self.power, remedy=": below 1 it evens edits out"),
            deletion=real("deletion", self.deletion, "be a finite number of nats"),
            window=whole("window", self.window, unit="words"),
            max_length=whole("max_length", self.max_length, 1, unit="word"),
        )

    @property
    def vocabulary(self) -> WordVocabulary:
        """The words of the clusters."""
        return self.clusters.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of its three moves."""
        return ("replace", "insert", "delete")

    @cached_property
    def reader(self) -> WordReader:
        """The model as a reader of words."""
        return WordReader(self.mlm, self.vocabulary, self.window)

    def check(self, batch: Batch) -> None:
        """Refuse a text of more words than `max_length`, or of another vocabulary.

        Raises:
            ValueError: there is one.
        """
        if batch.vocabulary is not self.vocabulary:
            raise ValueError("the texts must be in the vocabulary of the clusters: encode them with it")
        if len(batch) and int(batch.lengths.max()) > self.max_length:
            row = int(batch.lengths.argmax())
            raise ValueError(
                f"row {row} has {int(batch.lengths[row])} words, over max_length={self.max_length}: shorten or split it"
            )

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One edit a row; a row for which no edit is possible stays."""
        batch = batch.widen(1)
        here = self._edits(batch)
        possible = (here.log_weights > -math.inf).any(1)
        edit = categorical(here.log_weights.masked_fill(~possible[:, None], 0.0), rng.uniform(_EDIT))
        kind, place, word, log_back = (part.gather(1, edit[:, None])[:, 0] for part in here.parts)
        after = _edited(batch, possible, kind, place, word)
        there = self._edits(after)
        return Move(
            after,
            (here.log_weights.gather(1, edit[:, None])[:, 0] - here.log_total).masked_fill(~possible, 0.0),
            (log_back - there.log_total).masked_fill(~possible, -math.inf),
            kind,
        )

    def likeliest(self, batch: Batch, count: int) -> tuple[Batch, Tensor]:
        """The texts that the edits of the highest probability lead to, the likeliest first.

        Args:
            batch: B texts.
            count: edits of each text; fewer where there are fewer.

        Returns:
            R texts, and (R,) int64 the row that each was made of, in order.
        """
        batch = batch.widen(1)
        here = self._edits(batch)
        order = here.log_weights.argsort(dim=1, descending=True, stable=True)[:, :count]
        rows, rank = (here.log_weights.gather(1, order) > -math.inf).nonzero().unbind(1)
        edit = order[rows, rank]
        kind, place, word, _ = (part[rows, edit] for part in here.parts)
        return _edited(batch.rows(rows), torch.ones_like(rows, dtype=torch.bool), kind, place, word), rows

    def _edits(self, batch: Batch) -> _Edits:
        """All edits of all rows; rows that are alike are read once."""
        sides = [batch.tokens, batch.editable, batch.closed, batch.lengths[:, None], batch.inputs[:, None]]
        sides = [side.to(torch.int64) for side in sides]
        different, number = torch.unique(torch.cat(sides, 1), dim=0, return_inverse=True)
        row = torch.empty(len(different), dtype=torch.int64, device=batch.device)
        part = batch.rows(row.scatter(0, number, torch.arange(len(batch), device=batch.device)))
        found = _Edits.joined([self._replacements(part), self._insertions(part), self._deletions(part)])
        return found.rows(number)

    def _replacements(self, batch: Batch) -> _Edits:
        inputs = batch.inputs[:, None].expand_as(batch.tokens)
        homes = self.clusters.homes_of(inputs, batch.tokens).masked_fill(~batch.editable, -1)
        rows, places = (homes >= 0).nonzero().unbind(1)
        home, old = homes[rows, places], batch.tokens[rows, places]
        words = self.clusters.members.to(batch.device)[home]
        both = self.reader.suits(batch.rows(rows), places, places + 1, torch.cat([old[:, None], words], 1))
        log_c = self.power * (both[:, 1:] - both[:, :1])
        begins = self._begins(batch)[rows, places]
        tables = self.clusters.log_weights.to(batch.device)
        # of the way back: where v stands, what says the table of v for the old word?
        homes_back = self.clusters.homes_of(batch.inputs[rows][:, None].expand_as(words), words.clamp(min=0))
        back = self.clusters.members.to(batch.device)[homes_back.clamp(min=0)] == old[:, None, None]
        log_back = tables[begins[:, None], homes_back.clamp(min=0)].masked_fill(~back, -math.inf).amax(2)
        return _Edits.spread(
            batch,
            REPLACE,
            rows,
            places,
            words,
            self.balance(log_c + tables[begins, home]).masked_fill(words < 0, -math.inf),
            self.balance(log_back - log_c).masked_fill(words < 0, -math.inf),
        )

    def _insertions(self, batch: Batch) -> _Edits:
        inserted, missing = self.clusters.inserted.to(batch.device), self.clusters.missing.to(batch.device)
        room = (batch.lengths < self.max_length) & (len(inserted) > 0)
        rows, gaps = (batch.open_slots & room[:, None]).nonzero().unbind(1)
        words = inserted.expand(len(rows), -1)
        log_c = self.power * self.reader.suits(batch.rows(rows), gaps, gaps, words)
        shut = ~self.clusters.open(self._word(batch, rows, gaps - 1), self._word(batch, rows, gaps), batch.inputs[rows])
        forward, back = self.balance(log_c + missing), self.balance(self.deletion - log_c)
        forward, back = forward.masked_fill(shut, -math.inf), back.masked_fill(shut, -math.inf)
        return _Edits.spread(batch, INSERT, rows, gaps, words, forward, back)

    def _deletions(self, batch: Batch) -> _Edits:
        inserted, missing = self.clusters.inserted.to(batch.device), self.clusters.missing.to(batch.device)
        small = batch.tokens[..., None] == inserted
        # nor is it put in again beside a closed slot
        free = batch.editable & batch.open_slots[:, :-1] & batch.open_slots[:, 1:]
        rows, places = (free & small.any(2)).nonzero().unbind(1)
        # asked as for a gap, so that putting the word in again and taking it out are one question
        words = inserted.expand(len(rows), -1)
        # where no word may be taken out there are no rows, and of nothing there is no argmax
        which = small[rows, places].to(torch.int64).argmax(1) if len(inserted) else rows
        asked = self.reader.suits(batch.rows(rows), places, places + 1, words)
        log_c = self.power * asked.gather(1, which[:, None])
        # where it could not be put in again it stays
        sides = self._word(batch, rows, places - 1), self._word(batch, rows, places + 1)
        may = self.clusters.open(*sides, batch.inputs[rows])
        shut = ~may.gather(1, which[:, None])
        forward, back = self.balance(self.deletion - log_c), self.balance(log_c + missing[which][:, None])
        # into a text that is full nothing is put again: one that another sampler made longer stays as long
        back = back.masked_fill((batch.lengths > self.max_length)[rows][:, None], -math.inf)
        forward, back = forward.masked_fill(shut, -math.inf), back.masked_fill(shut, -math.inf)
        return _Edits.spread(batch, DELETE, rows, places, batch.tokens[rows, places][:, None], forward, back)

    @staticmethod
    def _word(batch: Batch, rows: Tensor, places: Tensor) -> Tensor:
        """(R,) the words at `places`; -1 beyond the ends."""
        there = (places >= 0) & (places < batch.lengths[rows])
        return batch.tokens[rows, places.clamp(0, max(batch.width - 1, 0))].masked_fill(~there, -1)

    def _begins(self, batch: Batch) -> Tensor:
        """(B, N) 1 where a sentence begins, else 0."""
        ends = self.clusters.ends_sentence(batch.device)[batch.tokens]
        return torch.nn.functional.pad(ends, (1, 0), value=True)[:, :-1].to(torch.int64)


def _edited(batch: Batch, possible: Tensor, kind: Tensor, place: Tensor, word: Tensor) -> Batch:
    """Each row (B,) with its edit made, if it is `possible`."""
    count = (possible & (kind != DELETE)).to(torch.int64)
    stop = place + (possible & (kind != INSERT)).to(torch.int64)
    after = batch.splice(place, stop, count, batch.width + 1)
    kept = after.tokens.gather(1, place[:, None])[:, 0]
    return after.with_tokens(place, torch.where(count > 0, word, kept))


@final
@dataclass(frozen=True, eq=False)
class _Edits:
    """E edits of each row, place by place.

    Attributes:
        kind: (B, E) int64.
        place: (B, E) int64, of the word, or the gap before that word.
        word: (B, E) int64, the new word, or the one taken out.
        log_weights: (B, E) float64 log g(t); -inf where there is no edit.
        log_back: (B, E) float64 log g of the edit that undoes it.
    """

    kind: Tensor
    place: Tensor
    word: Tensor
    log_weights: Tensor
    log_back: Tensor

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What an edit is, and its way back."""
        return self.kind, self.place, self.word, self.log_back

    @property
    def log_total(self) -> Tensor:
        """(B,) log Z."""
        top = self.log_weights.amax(1, keepdim=True)
        # a running sum, whose order does not depend on the padding
        return (top + (self.log_weights - top).exp().cumsum(1)[:, -1:].log())[:, 0]

    def rows(self, index: Tensor) -> _Edits:
        """Some of the rows."""
        return _Edits(
            self.kind[index], self.place[index], self.word[index], self.log_weights[index], self.log_back[index]
        )

    @staticmethod
    def spread(
        batch: Batch, kind: int, rows: Tensor, places: Tensor, words: Tensor, log_weights: Tensor, log_back: Tensor
    ) -> _Edits:
        """From (R,) rows and places and (R, K) edits there."""
        size, shape = words.shape[1], (len(batch), batch.width + 1, words.shape[1])
        column = torch.arange(batch.width + 1, device=batch.device)[None, :, None].expand(shape)

        def table(values: Tensor, empty: float) -> Tensor:
            full = torch.full(shape, empty, dtype=values.dtype, device=batch.device)
            return full.index_put((rows, places), values).reshape(len(batch), -1)

        return _Edits(
            torch.full((len(batch), (batch.width + 1) * size), kind, device=batch.device),
            column.reshape(len(batch), -1),
            table(words.clamp(min=0), 0),
            table(log_weights, -math.inf),
            table(log_back, -math.inf),
        )

    @staticmethod
    def joined(parts: list[_Edits]) -> _Edits:
        """One after the other."""
        names = ("kind", "place", "word", "log_weights", "log_back")
        return _Edits(*(torch.cat([getattr(part, name) for part in parts], 1) for name in names))
