"""Batch: ragged rows of token ids, the state that every sampler moves through.

A row is a text without the special tokens of any model. Texts of all chains and all inputs lie in one
batch; operations that change one row never look at another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol, final

import torch
from torch import Tensor

from textsearch.checks import whole
from textsearch.kinds import shown


class Vocabulary(Protocol):
    """What token ids mean: the tokenizer that a batch was encoded with.

    A text counts in one row of tokens only, encode(decode(row)). A vocabulary in which every text has one row of tokens
    may say so with an attribute `one_spelling = True`, which saves a check. See `textsearch.spelling`.

    Attributes:
        size: V, the number of token ids.
        mask_id: the id that stands for "to be filled in".
        allowed: (V,) bool, tokens that a proposal may write.
        continues: (V,) bool, pieces that go on the word before them ("##ing").
    """

    @property
    def size(self) -> int:
        """V, the number of token ids."""

    @property
    def mask_id(self) -> int:
        """The id of the mask."""

    @property
    def allowed(self) -> Tensor:
        """(V,) bool, tokens that a proposal may write."""

    @property
    def continues(self) -> Tensor:
        """(V,) bool, pieces that go on the word before them."""

    def encode(self, texts: Sequence[str]) -> Batch:
        """The texts as a batch, one row each, every token editable."""

    def decode(self, batch: Batch) -> list[str]:
        """The surface texts of the rows."""


BEFORE, BEHIND = 1, 2
"""What `Batch.closed` holds of a token: that the slot before it is closed, the slot behind it, or both, added up."""

ANYWHERE = -2
"""What `Batch.homes` holds of a token that an objective has frozen: it has no home."""

_UNSET = torch.zeros(0, 0, dtype=torch.int64)


@final
@dataclass(frozen=True, eq=False)
class Batch:
    """B rows of at most N tokens.

    Attributes:
        tokens: (B, N) int64 token ids; 0 beyond a row's length, whatever the tokenizer pads with.
        lengths: (B,) int64.
        editable: (B, N) bool; False marks tokens that no proposal may touch, and is False beyond the length.
        inputs: (B,) int64, the input (its keywords, its source sentence, ...) that a row belongs to.
        vocabulary: the meaning of the ids.
        closed: (B, N) int64, `BEFORE`, `BEHIND`, their sum, or 0: the slots beside a frozen token into which no
            proposal may insert anything; 0 beyond the length. See `closing`.
        homes: (B, N) int64, the number of the word that a token frozen by the caller stood in when its chain began,
            `ANYWHERE` for one that the objective froze; -1 for the others, and where no chain has begun. See
            `textsearch.marks`.

    >>> from textsearch.testing import letters
    >>> batch = letters("abc").encode(["ab", "c", ""])
    >>> batch.lengths.tolist()
    [2, 1, 0]
    >>> batch.rows([0, 0]).texts()
    ['ab', 'ab']
    """

    tokens: Tensor
    lengths: Tensor
    editable: Tensor
    inputs: Tensor
    vocabulary: Vocabulary
    closed: Tensor = field(default=_UNSET)
    homes: Tensor = field(default=_UNSET)

    def __post_init__(self) -> None:
        if self.closed is _UNSET:
            object.__setattr__(self, "closed", torch.zeros_like(self.tokens))
        if self.homes is _UNSET:
            object.__setattr__(self, "homes", torch.full_like(self.tokens, -1))

    @staticmethod
    def of(rows: Sequence[Sequence[int]], vocabulary: Vocabulary, width: int | None = None) -> Batch:
        """A batch from lists of token ids, all editable; row i belongs to input i.

        Raises:
            ValueError: a token id that is none of the vocabulary, or a row longer than `width`.
        """
        try:
            lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        except TypeError as error:
            raise TypeError(
                f"rows={shown(rows)} must be lists of token ids, one for each text: [[5, 7], [3]]"
            ) from error
        longest = max((len(row) for row in rows), default=0)
        width = longest if width is None else whole("width", width)
        if width < longest:
            raise ValueError(f"width={width} is too small for a row of {longest} tokens")
        tokens = torch.zeros(len(rows), width, dtype=torch.int64)
        try:
            for i, row in enumerate(rows):
                tokens[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise TypeError(f"rows[{i}]={shown(row)} must hold token ids, such as [5, 7]") from error
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary.size:
            wrong = int(tokens.min()) if int(tokens.min()) < 0 else int(tokens.max())
            raise ValueError(f"token id {wrong} is none of the {vocabulary.size} of this vocabulary, counted from 0")
        present = torch.arange(width) < lengths[:, None]
        return Batch(tokens, lengths, present, torch.arange(len(rows)), vocabulary)

    def __len__(self) -> int:
        """B, the number of rows."""
        return self.tokens.shape[0]

    def __iter__(self) -> NoReturn:
        """Raise a `TypeError`: whoever goes through a batch meant its texts."""
        raise TypeError(
            "a Batch is no list of texts: take batch.texts(), or its tensors, batch.tokens and batch.lengths"
        )

    @property
    def width(self) -> int:
        """N, the number of columns."""
        return self.tokens.shape[1]

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.tokens.device

    @property
    def present(self) -> Tensor:
        """(B, N) bool, True within a row's length."""
        return torch.arange(self.width, device=self.device) < self.lengths[:, None]

    @property
    def word_starts(self) -> Tensor:
        """(B, N) bool, True on the first piece of each word; a row's first token always starts one."""
        starts = ~self.vocabulary.continues.to(self.device)[self.tokens] & self.present
        if self.width:
            starts[:, 0] = self.lengths > 0
        return starts

    @property
    def open_slots(self) -> Tensor:
        """(B, N + 1) bool, the slots that are not closed: column i stands for the one before token i."""
        pad = torch.nn.functional.pad
        shut = pad(self.closed & BEFORE, (0, 1)) + pad(self.closed & BEHIND, (1, 0))
        return (shut == 0) & (torch.arange(self.width + 1, device=self.device) <= self.lengths[:, None])

    def texts(self) -> list[str]:
        """The rows as surface text."""
        return self.vocabulary.decode(self)

    def token_lists(self) -> list[list[int]]:
        """The rows as lists of token ids."""
        return [row[:n] for row, n in zip(self.tokens.tolist(), self.lengths.tolist(), strict=True)]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            tokens=self.tokens.to(device),
            lengths=self.lengths.to(device),
            editable=self.editable.to(device),
            inputs=self.inputs.to(device),
            closed=self.closed.to(device),
            homes=self.homes.to(device),
        )

    def rows(self, index: Tensor | Sequence[int]) -> Batch:
        """The rows that `index` (int or bool) picks, in its order."""
        index = torch.as_tensor(index, device=self.device)
        if index.dtype != torch.bool:
            index = index.to(torch.int64)  # an empty list would be a tensor of floats
        return replace(
            self,
            tokens=self.tokens[index],
            lengths=self.lengths[index],
            editable=self.editable[index],
            inputs=self.inputs[index],
            closed=self.closed[index],
            homes=self.homes[index],
        )

    def repeat(self, times: int) -> Batch:
        """Each row `times` times, copies side by side."""
        return self.rows(torch.arange(len(self), device=self.device).repeat_interleave(times))

    def widen(self, width: int) -> Batch:
        """The same rows with at least `width` columns."""
        more = width - self.width
        if more <= 0:
            return self
        return replace(
            self,
            tokens=torch.nn.functional.pad(self.tokens, (0, more)),
            editable=torch.nn.functional.pad(self.editable, (0, more)),
            closed=torch.nn.functional.pad(self.closed, (0, more)),
            homes=torch.nn.functional.pad(self.homes, (0, more), value=-1),
        )

    def narrow(self) -> Batch:
        """The same rows without the columns that are empty in all of them."""
        width = int(self.lengths.max()) if len(self) else 0
        return self.shifted(torch.arange(width, device=self.device).expand(len(self), -1))

    def shifted(self, source: Tensor) -> Batch:
        """Rows whose column j is column `source[b, j]` of these, in all tensors; `source` is (B, M) int64."""
        parts = {name: getattr(self, name).gather(1, source) for name in ("tokens", "editable", "closed", "homes")}
        return replace(self, **parts)

    def mirrored(self) -> Batch:
        """The same rows from their last token to their first, with all that is known of the tokens.

        >>> from textsearch.testing import letters
        >>> letters("abc").encode(["abc", "ab", ""]).mirrored().texts()
        ['cba', 'ba', '']
        """
        column = torch.arange(self.width, device=self.device)
        source = self.lengths[:, None] - 1 - column
        turned = self.shifted(source.where(source >= 0, column))
        # the slot before a token is the one behind it
        before, behind = turned.closed & BEFORE, turned.closed & BEHIND
        return replace(turned, closed=before // BEFORE * BEHIND + behind // BEHIND * BEFORE)

    def with_tokens(self, positions: Tensor, tokens: Tensor) -> Batch:
        """Row b with `tokens[b]` at `positions[b]`; both (B,)."""
        return replace(self, tokens=self.tokens.scatter(1, positions[:, None], tokens[:, None]))

    def frozen(self, where: Tensor) -> Batch:
        """The same rows with the tokens under `where` (B, N) bool made uneditable.

        Chains then sample exp(-E / T) over the texts that can be reached without changing those tokens, which hold the
        frozen words in their order. Each text counts once, even if the words could stand in several places; see
        `textsearch.marks`. Other words may be inserted before, between and behind the frozen ones, unless `closing`
        forbids it.
        """
        return replace(self, editable=self.editable & ~where)

    def closing(self, slots: Tensor) -> Batch:
        """The same rows with the slots under `slots` (B, N + 1) bool closed, column i for the one before token i.

        Nothing is ever inserted into a closed slot, which lies between two frozen tokens or between a frozen token and
        an end of the text.

        Raises:
            ValueError: a slot that is not between two frozen tokens.

        >>> from textsearch.testing import letters
        >>> batch = letters("ab").encode(["ab"])
        >>> first = batch.frozen(torch.tensor([[True, False]]))
        >>> first.closing(torch.tensor([[True, False, False]])).open_slots.tolist()
        [[False, True, True]]
        """
        column = torch.arange(self.width + 1, device=self.device)
        fixed = ~self.editable & self.present
        left = torch.nn.functional.pad(fixed, (1, 0)) | (column == 0)
        right = torch.nn.functional.pad(fixed, (0, 1)) | (column == self.lengths[:, None])
        wrong = slots & ~(left & right & (self.lengths > 0)[:, None])
        if bool(wrong.any()):
            row, slot = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"the slot before token {slot} of row {row}, {self.rows([row]).texts()[0][:60]!r}, stands beside a "
                "token that is not frozen, and cannot be closed: freeze what stands on both sides of it"
            )
        before = (slots[:, :-1] & fixed).to(torch.int64) * BEFORE
        behind = (slots[:, 1:] & fixed).to(torch.int64) * BEHIND
        return replace(self, closed=self.closed | before | behind)

    def begun(self) -> Batch:
        """The same rows with a home for each frozen token: the word that it stands in now."""
        word = self.word_starts.cumsum(1) - 1
        return replace(self, homes=word.where(~self.editable & self.present, -1))

    def where(self, take: Tensor, other: Batch) -> Batch:
        """Row b of `other` where `take[b]` (B,) bool, of this batch elsewhere."""
        width = max(self.width, other.width)
        mine, theirs = self.widen(width), other.widen(width)
        return replace(
            self,
            tokens=torch.where(take[:, None], theirs.tokens, mine.tokens),
            lengths=torch.where(take, theirs.lengths, mine.lengths),
            editable=torch.where(take[:, None], theirs.editable, mine.editable),
            inputs=torch.where(take, theirs.inputs, mine.inputs),
            closed=torch.where(take[:, None], theirs.closed, mine.closed),
            homes=torch.where(take[:, None], theirs.homes, mine.homes),
        )

    def same_text(self, other: Batch) -> Tensor:
        """(B,) bool, whether row b holds the same tokens in both batches."""
        width = max(self.width, other.width)
        equal = (self.widen(width).tokens == other.widen(width).tokens).all(1)
        return equal & (self.lengths == other.lengths)

    def changed(self, other: Batch) -> Tensor:
        """(B,) int64, tokens in the smallest span, of the longer text, that holds all that differs from `other`.

        >>> from textsearch.testing import letters
        >>> one, other = letters("abc").encode(["abcab", "ab", "a"]), letters("abc").encode(["abab", "ba", "a"])
        >>> one.changed(other).tolist()
        [1, 2, 0]
        """
        width = max(self.width, other.width)
        mine, theirs = self.widen(width), other.widen(width)
        shorter, longer = torch.minimum(self.lengths, other.lengths), torch.maximum(self.lengths, other.lengths)
        column = torch.arange(width, device=self.device).expand(len(self), -1)
        within = column < shorter[:, None]
        before = ((mine.tokens == theirs.tokens) & within).cumprod(1).sum(1)
        from_end = [
            part.tokens.gather(1, (part.lengths[:, None] - 1 - column).clamp(min=0)) if width else part.tokens
            for part in (mine, theirs)
        ]
        after = ((from_end[0] == from_end[1]) & within).cumprod(1).sum(1)
        return longer - before - torch.minimum(after, shorter - before)

    def first_change(self, other: Batch) -> Tensor:
        """(B,) int64, the first place where `other` differs; the end of the shorter text where there is none before.

        >>> from textsearch.testing import letters
        >>> one, other = letters("abc").encode(["abcab", "ab", "a"]), letters("abc").encode(["abab", "ba", "a"])
        >>> one.first_change(other).tolist()
        [2, 0, 1]
        """
        width = max(self.width, other.width)
        within = torch.arange(width, device=self.device) < torch.minimum(self.lengths, other.lengths)[:, None]
        return ((self.widen(width).tokens == other.widen(width).tokens) & within).cumprod(1).sum(1)

    def splice(self, start: Tensor, stop: Tensor, count: Tensor, width: int) -> Batch:
        """Row b with its tokens from `start[b]` to `stop[b]` replaced by `count[b]` editable masks.

        `start`, `stop`, `count` are (B,) int64; no row may grow beyond `width` columns.
        """
        wide = self.widen(width)
        column = torch.arange(wide.width, device=self.device)
        begin, end = start[:, None], (start + count)[:, None]
        lengths = self.lengths - (stop - start) + count
        source = torch.where(column < begin, column, column - (count - (stop - start))[:, None])
        source = source.clamp(0, max(wide.width - 1, 0))
        inside = (column >= begin) & (column < end)
        beyond = column >= lengths[:, None]
        moved = wide.shifted(source)
        return replace(
            moved,
            tokens=moved.tokens.masked_fill(inside, self.vocabulary.mask_id).masked_fill(beyond, 0),
            lengths=lengths,
            editable=(moved.editable | inside) & ~beyond,
            closed=moved.closed.masked_fill(inside | beyond, 0),
            homes=moved.homes.masked_fill(inside | beyond, -1),
        )


def every_token(vocabulary: Vocabulary) -> Batch:
    """V rows, each of one token, in the order of their ids.

    >>> from textsearch.testing import letters
    >>> every_token(letters("ab")).texts()
    ['_', 'a', 'b']
    """
    tokens = torch.arange(vocabulary.size)[:, None]
    ones = torch.ones(vocabulary.size, dtype=torch.int64)
    return Batch(tokens, ones, ones[:, None] > 0, torch.zeros_like(ones), vocabulary)


def concatenate(batches: Iterable[Batch]) -> Batch:
    """The rows of all batches, in order; they must share one vocabulary."""
    parts = list(batches)
    width = max(part.width for part in parts)
    wide = [part.widen(width) for part in parts]
    return replace(
        parts[0],
        tokens=torch.cat([part.tokens for part in wide]),
        lengths=torch.cat([part.lengths for part in wide]),
        editable=torch.cat([part.editable for part in wide]),
        inputs=torch.cat([part.inputs for part in wide]),
        closed=torch.cat([part.closed for part in wide]),
        homes=torch.cat([part.homes for part in wide]),
    )
