"""Span edits: replace w adjacent words with w' new ones written by a masked language model.

One mechanism behind replace (1 for 1), insert (1 for 0), delete (0 for 1) and block infill (w for w): masked-LM
Metropolis-Hastings (Goyal et al., 2022) and the edits of CGMH (Miao et al., 2019), with words of several pieces.

A move draws (w, w') from a fixed table, a span of w editable words (for w = 0 an open slot between words) uniformly, a
number of pieces for each new word, an order in which to fill them, and then each piece from the model's conditional
given all that is filled so far. With S_w(x) spans of w words to choose from,

    q(x'|x) = table[w, w'] / S_w(x)   * prod_j pieces(k'_j) * prod_t c(v'_t | filled so far)
    q(x|x') = table[w', w] / S_w'(x') * prod_j pieces(k_j)  * prod_t c(v_t  | filled so far)

where the order is an auxiliary variable with a law of its own, the same both ways. Everything outside the span is the
same both ways too, so for one piece against one piece a single pass of the model gives both probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.pieces import sizes_of
from samplers.proposals.sites import place_of, slot_open, slots, tokens_by_role, word_table
from textsearch.batch import Batch, concatenate
from textsearch.checks import keep, mapping, real, reals, sequence, whole
from textsearch.models.protocols import MaskedLM
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_KIND, _PLACE, _PIECES, _ORDER, _FILL = range(5)  # draws
_MAX_WORDS = 100  # of one edit


@final
@dataclass(frozen=True, eq=False)
class SpanEdit(OfMaskedLM):
    """Replace w adjacent words with w' others; see the module for the probabilities.

    A move takes a pass of the model over the row for each new piece, and one for each old piece to price the way back;
    where they are equally many, the first pass serves both.

    Attributes:
        mlm: writes the new pieces.
        table: probability of each (old words, new words); a pair without its reverse is refused.
        pieces: probability that a new word has 1, 2, ... pieces; by default any number, as `PIECES` has it. A word of a
            size with probability 0 stays for ever: no move could write it again.
        max_length: tokens; a move that would go beyond it is a null move.
    """

    mlm: MaskedLM
    table: Mapping[tuple[int, int], float]
    pieces: Sequence[float] | None = None
    max_length: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        table = _checked(self.table)
        for old, new in table:
            if (new, old) not in table:
                raise ValueError(f"table has {(old, new)} but not {(new, old)}: such a move could never be undone")
        must = "be a probability, from 0 to 1"
        max_length = whole("max_length", self.max_length, 1, unit="token")
        keep(self, table=table, max_length=max_length)
        _check_sum("table", list(table.values()))
        if self.pieces is None:
            return
        pieces = reals("pieces", self.pieces, must, lambda x: 0 <= x <= 1, "[0.9, 0.1]")
        keep(self, pieces=pieces)
        _check_sum("pieces", list(pieces))
        if any(pieces[1:]) and not bool((self.vocabulary.allowed & self.vocabulary.continues).any()):
            raise ValueError(
                f"pieces={self.sizes} asks for words of several pieces, but no token of this vocabulary goes on "
                "a word; leave pieces out"
            )

    @cached_property
    def sizes(self) -> tuple[float, ...]:
        """`pieces`, whether given or not; those of the vocabulary are asked for late, as a default model loads late."""
        return sizes_of(self.vocabulary, self.max_length) if self.pieces is None else tuple(self.pieces)

    @property
    def kinds(self) -> tuple[str, ...]:
        """A name for each entry of the table."""
        return tuple(_name(old, new) for old, new in self.table)

    def check(self, batch: Batch) -> None:
        """Refuse texts over `max_length`."""
        check_lengths(batch, self.max_length)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One span edit a row."""
        batch = batch.widen(self.max_length)
        device, rows = batch.device, len(batch)
        pairs = torch.tensor(list(self.table), device=device)
        log_table = torch.tensor(list(self.table.values()), dtype=torch.float64, device=device).log()
        reverse = torch.tensor([list(self.table).index((new, old)) for old, new in self.table], device=device)

        kind = categorical(log_table.expand(rows, -1), rng.uniform(_KIND))
        old_words, new_words = pairs[kind].unbind(1)
        start, stop, ways = self._choose_span(batch, old_words, rng.uniform(_PLACE))

        most = int(pairs.max())
        log_pieces = torch.tensor(self.sizes, dtype=torch.float64, device=device).log()
        drawn = rng.uniform(_PIECES, most).T.reshape(-1)
        counts = categorical(log_pieces.expand(len(drawn), -1), drawn).reshape(most, rows).T + 1
        used = torch.arange(most, device=device) < new_words[:, None]
        counts = counts.masked_fill(~used, 0)
        log_counts = torch.where(used, log_pieces[(counts - 1).clamp(min=0)], 0.0).sum(1)

        grown = batch.lengths - (stop - start) + counts.sum(1)
        possible = (ways > 0) & (grown <= self.max_length) & (batch.lengths <= self.max_length)
        # an impossible move becomes an empty edit at the front: nothing is written, and it counts as a null move
        start, stop = start.where(possible, 0), stop.where(possible, 0)
        counts = counts.masked_fill(~possible[:, None], 0)

        old_log_counts = self.log_old_counts(batch, start, stop, log_pieces)
        new, log_new, log_old = self.fill(batch, start, stop, counts, rng, old_log_counts > -math.inf)
        back = _span_counts(new)[torch.arange(rows, device=device), new_words.clamp(max=new.width)]
        log_forward = log_table[kind] - ways.clamp(min=1).to(torch.float64).log() + log_counts + log_new
        log_backward = log_table[reverse[kind]] - back.clamp(min=1).to(torch.float64).log() + old_log_counts + log_old
        glued = new.word_starts.sum(1) != batch.word_starts.sum(1) - old_words + new_words
        # what stood in a slot that is closed now could not be put in again
        shut = (new_words == 0) & ~slot_open(new, start)
        log_backward = log_backward.masked_fill(glued | shut, -math.inf)
        return Move(
            batch.where(possible, new),
            log_forward.where(possible, 0.0),
            log_backward.where(possible, -math.inf),
            kind,
        )

    def _choose_span(self, batch: Batch, words: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """First position, end position and number of the spans of `words` (B,) editable words; one drawn uniformly."""
        first, editable = word_table(batch)
        runs = _run_lengths(editable)
        open_here = torch.where(words[:, None] == 0, slots(batch), runs >= words[:, None])
        ways = open_here.sum(1)
        rank = (uniform * ways).floor().to(torch.int64)
        chosen = place_of(open_here, rank)
        last = (chosen + words).clamp(max=first.shape[1] - 1)
        return first.gather(1, chosen[:, None])[:, 0], first.gather(1, last[:, None])[:, 0], ways

    def log_old_counts(self, batch: Batch, start: Tensor, stop: Tensor, log_pieces: Tensor) -> Tensor:
        """(B,) log-probability that new words would have had as many pieces as those in [start, stop)."""
        first, _ = word_table(batch)
        inside = (first[:, :-1] >= start[:, None]) & (first[:, :-1] < stop[:, None])
        sizes = first.diff(dim=1)
        known = sizes <= len(self.sizes)
        log_size = torch.where(known, log_pieces[(sizes - 1).clamp(0, len(self.sizes) - 1)], -math.inf)
        return log_size.where(inside, 0.0).sum(1)

    def fill(
        self, batch: Batch, start: Tensor, stop: Tensor, counts: Tensor, rng: Rng, worthwhile: Tensor
    ) -> tuple[Batch, Tensor, Tensor]:
        """The new batch, the log-probability of its new pieces, and of the old pieces on the way back.

        Rows that are not `worthwhile` have no way back; nothing is drawn for them, and they get masks.
        """
        device = batch.device
        new_size, old_size = counts.sum(1) * worthwhile, (stop - start) * worthwhile
        steps = int(torch.maximum(new_size, old_size).max()) if len(batch) else 0
        width = batch.width
        new = batch.splice(start, stop, counts.sum(1), width)
        old = batch.splice(start, stop, stop - start, width)
        log_new = torch.zeros(len(batch), dtype=torch.float64, device=device)
        log_old = torch.zeros_like(log_new)
        if steps == 0:
            return new, log_new, log_old

        offsets = torch.arange(steps, device=device)
        ends = counts.cumsum(1)
        begins_new = torch.zeros(len(batch), steps, dtype=torch.bool, device=device)
        # the first piece of word j lies after all pieces of the words before it
        firsts = (ends - counts).masked_fill(counts == 0, steps).clamp(max=steps)
        begins_new = torch.nn.functional.pad(begins_new, (0, 1)).scatter(1, firsts, True)[:, :steps]
        at = (start[:, None] + offsets).clamp(max=width - 1)
        begins_old = batch.word_starts.gather(1, at)
        old_tokens = batch.tokens.gather(1, at)
        # enough numbers for the longest span there can be: which are used must not depend on the rest of the batch
        shuffle = rng.uniform(_ORDER, self.max_length)[:, :steps]
        draws = rng.uniform(_FILL, self.max_length)[:, :steps]
        order_new = shuffle.masked_fill(offsets >= new_size[:, None], 2.0).argsort(stable=True, dim=1)
        order_old = shuffle.masked_fill(offsets >= old_size[:, None], 2.0).argsort(stable=True, dim=1)

        row = torch.arange(len(batch), device=device)
        for t in range(steps):
            do_new, do_old = row[t < new_size], row[t < old_size]
            # the masked text is the same both ways: one pass serves q and its reverse
            shared = (new_size == old_size) & (t == 0)
            ask_old = do_old[~shared[do_old]]
            place_new, place_old = order_new[do_new, t], order_old[do_old, t]
            asked = concatenate([new.rows(do_new), old.rows(ask_old)])
            positions = torch.cat([start[do_new] + place_new, start[ask_old] + order_old[ask_old, t]])
            log_probs = self.mlm.log_probs(asked, torch.arange(len(asked), device=device), positions)
            from_new = torch.zeros(len(batch), dtype=torch.int64, device=device)
            from_new[do_new] = torch.arange(len(do_new), device=device)
            from_old = from_new.clone()
            from_old[ask_old] = len(do_new) + torch.arange(len(ask_old), device=device)

            new_log_probs = self._for_role(log_probs[from_new[do_new]], begins_new[do_new, place_new])
            drawn = categorical(new_log_probs, draws[do_new, t])
            log_new[do_new] += new_log_probs.gather(1, drawn[:, None])[:, 0]
            old_log_probs = self._for_role(log_probs[from_old[do_old]], begins_old[do_old, place_old])
            kept = old_tokens[do_old, place_old]
            log_old[do_old] += old_log_probs.gather(1, kept[:, None])[:, 0]
            new = replace(new, tokens=new.tokens.index_put((do_new, start[do_new] + place_new), drawn))
            old = replace(old, tokens=old.tokens.index_put((do_old, start[do_old] + place_old), kept))
        return new, log_new, log_old

    def _for_role(self, log_probs: Tensor, begins: Tensor) -> Tensor:
        """(K, V) float64, renormalised over the allowed tokens that begin a word, or that go on one."""
        fits = tokens_by_role(self.vocabulary, begins.device)[(~begins).to(torch.int64)]
        return log_probs.to(torch.float64).masked_fill(~fits, -math.inf).log_softmax(-1)


def _checked(table: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """The table with plain numbers."""
    found: dict[tuple[int, int], float] = {}
    for pair, probability in mapping(
        "table", table, "probabilities", "{(1, 1): 0.6, (0, 1): 0.2, (1, 0): 0.2}"
    ).items():
        counts = sequence("table", pair, "pairs of counts of words", "(1, 1)")
        if len(counts) != 2:
            raise ValueError(f"table has {pair!r}, which is no pair of counts of words such as (1, 1)")
        old, new = (whole(f"table entry {pair!r}", count, high=_MAX_WORDS, unit="words") for count in counts)
        if old + new == 0:
            raise ValueError("table has (0, 0), which replaces no words by none: leave it out")
        share = real(f"table[{old}, {new}]", probability, "be a probability above 0", lambda x: 0 < x <= 1)
        found[old, new] = share
    return found


def _check_sum(name: str, weights: Sequence[float]) -> None:
    """Refuse what adds up to anything but 1."""
    if not math.isclose(sum(weights), 1.0, abs_tol=1e-9):
        raise ValueError(f"{name}={weights} must be probabilities that add up to 1, not {sum(weights):g}")


def check_lengths(batch: Batch, max_length: int) -> None:
    """Refuse texts over `max_length` tokens."""
    if len(batch) and int(batch.lengths.max()) > max_length:
        row = int(batch.lengths.argmax())
        raise ValueError(
            f"a text of {int(batch.lengths[row])} tokens is over max_length={max_length}: "
            f"{batch.rows([row]).texts()[0][:60]!r}; shorten it or raise max_length"
        )


def _run_lengths(flags: Tensor) -> Tensor:
    """(B, N + 1) how many Trues follow one another from each column of (B, N) on; 0 in the last column."""
    width = flags.shape[1]
    column = torch.arange(width + 1, device=flags.device)
    stops = torch.nn.functional.pad(~flags, (0, 1), value=True)
    next_stop = torch.where(stops, column, width).flip(1).cummin(1).values.flip(1)
    return next_stop - column


def _span_counts(batch: Batch) -> Tensor:
    """(B, N + 1) number of spans of w editable words, for w = 0 (the slots), 1, 2, ..."""
    _, editable = word_table(batch)
    runs = _run_lengths(editable)
    sizes = torch.arange(1, batch.width + 1, device=batch.device)
    spans = (runs[:, None, :] >= sizes[:, None]).sum(2)
    return torch.cat([slots(batch).sum(1, keepdim=True), spans], 1)


def _name(old: int, new: int) -> str:
    match (old, new):
        case (0, _):
            return "insert" if new == 1 else f"insert {new}"
        case (_, 0):
            return "delete" if old == 1 else f"delete {old}"
        case (1, 1):
            return "replace"
        case _ if old == new:
            return f"infill {old}"
        case _:
            return f"rewrite {old} to {new}"
