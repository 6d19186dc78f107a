"""Gaps of a text: how they are written, how many words each takes, and how its first word begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import regex
import torch
from torch import Tensor

from objectives.keywords import one_character_words
from textsearch.batch import Batch, Vocabulary, every_token
from textsearch.checks import MAX_TOKENS
from textsearch.kinds import shown
from textsearch.models.reading.turns import remembered
from textsearch.models.rendered import CasingVocabulary, unrendered
from textsearch.objective import Cost, Objective

Row = tuple[int, ...]
"""Tokens."""

GAPS = ("[MASK]", "[mask]", "<mask>", "___")
"""The common ways to write a gap of one word; more than three underscores are one gap too."""

_GAP = regex.compile(r"\[(?:MASK|mask)\b(?P<size>[^\]]*)\]|<mask>|_{3,}")
_SIZE = regex.compile(r"(?P<any>\*)|\{(?P<low>\d+)(?P<comma>,)?(?P<high>\d*)\}")
_STEM = regex.compile(r"[\p{L}\p{M}\p{N}]+\Z")


@final
@dataclass(frozen=True)
class Gap:
    """Room for `low` to `high` words, without an upper bound if that is None, the first of which begins with `stem`."""

    low: int = 1
    high: int | None = 1
    stem: str = ""


@final
@dataclass(frozen=True)
class Gapped:
    """A text with gaps.

    Attributes:
        text: as it was given.
        parts: what stands before, between and behind the gaps, without the stems.
        gaps: one fewer than there are parts.
    """

    text: str
    parts: tuple[str, ...]
    gaps: tuple[Gap, ...]

    def masks(self, space: str) -> tuple[list[str], dict[int, str]]:
        """The parts between masks, as many for each gap as it has words at least, and the stems by number of mask."""
        parts, stems = [self.parts[0]], dict[int, str]()
        for gap, part in zip(self.gaps, self.parts[1:], strict=True):
            if gap.stem:
                stems[len(parts) - 1] = gap.stem
            parts += [space] * (gap.low - 1) + [part]
        return parts, stems


def parts_of(text: str, gap: str | None = None, stems: bool = True) -> Gapped:
    """The gaps of a text, and what stands around them.

    `[MASK]` is one word, `[MASK*]` one or more, `[MASK{3}]` three, `[MASK{1,4}]` one to four, `[MASK{2,}]` two or more;
    `<mask>` and `___` are one word. With `stems`, letters and digits right before a gap are the beginning of its word.

    Raises:
        ValueError: there is none, or one that is written in no such way.

    >>> parts_of("The [MASK] ran ____.").parts, parts_of("The ?? ran.", gap="??").parts
    (('The ', ' ran ', '.'), ('The ', ' ran.'))
    >>> parts_of("I wal[MASK] [mask{1,3}].").gaps
    (Gap(low=1, high=1, stem='wal'), Gap(low=1, high=3, stem=''))
    """
    parts, gaps, end = list[str](), list[Gap](), 0
    finder = _GAP if gap is None else regex.compile(regex.escape(gap))
    for found in finder.finditer(text):
        low, high = _bounds(text, found) if gap is None and found["size"] else (1, 1)
        before = text[end : found.start()]
        stem = _stem(before) if stems else ""
        if stem and not before[: len(before) - len(stem)].strip() and gaps and gaps[-1].low != gaps[-1].high:
            raise ValueError(
                f"{shown(text)}: {found[0]} gives the beginning of a word right behind a gap of unknown length, which "
                "could be any of its words: put a word between them"
            )
        parts.append(before[: len(before) - len(stem)])
        gaps.append(Gap(low, high, stem))
        end = found.end()
    if not gaps:
        ways = f"{', '.join(GAPS[:-1])} or {GAPS[-1]}" if gap is None else gap
        raise ValueError(f"{shown(text)} has no gap: write {ways} for each word that is wanted")
    return Gapped(text, (*parts, text[end:]), tuple(gaps))


def _stem(before: str) -> str:
    found = _STEM.search(before)
    # where no space stands between words, a letter before a gap is a word of its own
    return "" if found is None or one_character_words(found[0][-1:]) else found[0]


def _bounds(text: str, found: regex.Match[str]) -> tuple[int, int | None]:
    """The fewest and the most words of a gap."""
    size = _SIZE.fullmatch(found["size"])
    if size is None:
        raise ValueError(
            f"{shown(text)}: {found[0]} is no gap: write [MASK] for one word, [MASK*] for one or more, [MASK{{1,4}}] "
            "for one to four"
        )
    if size["any"]:
        return 1, None
    low = int(size["low"])
    high = (int(size["high"]) if size["high"] else None) if size["comma"] else low
    if low < 1 or (high is not None and high < low):
        raise ValueError(
            f"{shown(text)}: {found[0]} has room for no word: give it one at least, the fewest first, such as "
            "[MASK{1,4}]"
        )
    if low > MAX_TOKENS:
        raise ValueError(f"{shown(text)}: {found[0]} takes more than the {MAX_TOKENS} tokens that a text has room for")
    return low, high


@final
@dataclass(frozen=True, eq=False)
class GapWords(Objective):
    """Each gap has as many words as it may have, and those of which the beginning is given begin so: 0, or +inf.

    A gap is a run of editable tokens; it is told by the frozen tokens before it.

    Attributes:
        low: (I, K + 1) int64, of each input and each number of frozen tokens, the fewest words behind them.
        high: (I, K + 1) int64, the most.
        stems: of each input, (frozen tokens before a gap, number of a word in it) -> its beginning.
    """

    low: Tensor
    high: Tensor
    stems: Sequence[dict[tuple[int, int], str]]
    _texts: dict[tuple[int, ...], str] = field(default_factory=dict, repr=False)
    _fitting: dict[tuple[str, bool, bool], Tensor] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """As it is told in results."""
        return "gaps"

    @property
    def cost(self) -> Cost:
        """Tensor operations, and a look at few words."""
        return Cost.HARD

    def concerns(self, number: int) -> bool:
        """Whether an input has more to be asked of it than one word for each gap."""
        return bool(self.stems[number]) or not self.low[number].equal(self.high[number])

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 or +inf."""
        kept, begins = _frozen_before(batch), batch.word_starts & batch.editable
        counts = torch.zeros(len(batch), self.low.shape[1], dtype=torch.int64, device=batch.device)
        counts = counts.scatter_add(1, kept.clamp(max=self.low.shape[1] - 1), begins.to(torch.int64))
        low, high = (bound.to(batch.device)[batch.inputs] for bound in (self.low, self.high))
        good = ((counts >= low) & (counts <= high)).all(1)
        if any(self.stems):
            wanted = [self.stems[number] for number in batch.inputs.tolist()]
            fits = [self._fits(batch.vocabulary, *own) for own in zip(wanted, words_in_gaps(batch), strict=True)]
            good = good & torch.tensor(fits, dtype=torch.bool, device=batch.device)
        return torch.zeros(len(batch), dtype=torch.float64, device=batch.device).masked_fill(~good, math.inf)

    def _fits(
        self, vocabulary: Vocabulary, wanted: Mapping[tuple[int, int], str], words: Mapping[tuple[int, int], Row]
    ) -> bool:
        """Whether the words of a row begin as they should."""
        return all(
            place in words and self._text(vocabulary, words[place]).startswith(stem_in(vocabulary, stem))
            for place, stem in wanted.items()
        )

    def _text(self, vocabulary: Vocabulary, tokens: tuple[int, ...]) -> str:
        if tokens not in self._texts:
            one = unrendered(vocabulary)
            self._texts[tokens] = folded(one, one.decode(Batch.of([tokens], one))[0].strip())
        return self._texts[tokens]

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool: at the pieces of a word of which the beginning is given, those that go on with it."""
        if not any(self.stems):
            return None
        found = torch.ones(len(rows), batch.vocabulary.size, dtype=torch.bool, device=batch.device)
        for at, (row, position) in enumerate(zip(rows.tolist(), positions.tolist(), strict=True)):
            wanted = self.stems[int(batch.inputs[row])]
            mask = self._fitting_at(batch, row, position, wanted) if wanted else None
            if mask is not None:
                found[at] = mask.to(batch.device)
        return found

    def _fitting_at(self, batch: Batch, row: int, position: int, wanted: dict[tuple[int, int], str]) -> Tensor | None:
        """(V,) bool, for one place."""
        starts = batch.word_starts[row]
        kept = int(_frozen_before(batch)[row, position])
        begin = int(starts[: position + 1].nonzero()[-1]) if bool(starts[: position + 1].any()) else 0
        editable, mask_id = batch.editable[row], batch.vocabulary.mask_id
        number = int((starts & editable & (_frozen_before(batch)[row] == kept))[:begin].sum())
        stem = wanted.get((kept, number))
        if stem is None:
            return None
        rest = stem_in(batch.vocabulary, stem)
        pieces = _piece_texts(unrendered(batch.vocabulary))
        for token in batch.tokens[row, begin:position].tolist():
            if token == mask_id or not rest:
                return None
            rest = rest[len(pieces[token]) :] if rest.startswith(pieces[token]) else ""
        later = (
            position + 1 < int(batch.lengths[row]) and not bool(starts[position + 1]) and bool(editable[position + 1])
        )
        key = (rest, position == begin, later)
        if not rest:
            return None
        if key not in self._fitting:
            self._fitting[key] = torch.tensor(
                [piece.startswith(rest) or (later and piece != "" and rest.startswith(piece)) for piece in pieces]
            )
        return self._fitting[key]


def _frozen_before(batch: Batch) -> Tensor:
    """(B, N) int64, frozen tokens up to each."""
    return (~batch.editable & batch.present).cumsum(1)


def words_in_gaps(batch: Batch) -> list[dict[tuple[int, int], Row]]:
    """Of each row, the tokens of each word in a gap, by the frozen tokens before the gap and its number there."""
    flags = zip(batch.token_lists(), batch.editable.tolist(), batch.word_starts.tolist(), strict=True)
    return [_words(*own) for own in flags]


def gap_words(batch: Batch, row: int) -> dict[tuple[int, int], Row]:
    """The same of one row."""
    return words_in_gaps(batch.rows([row]))[0]


def _words(tokens: Sequence[int], editable: Sequence[bool], word_starts: Sequence[bool]) -> dict[tuple[int, int], Row]:
    found: dict[tuple[int, int], Row] = {}
    kept, number = 0, -1
    # the flags go on to the end of the widest row
    for token, is_open, begins in zip(tokens, editable, word_starts, strict=False):
        if not is_open:
            kept, number = kept + 1, -1
            continue
        number += begins or number < 0
        found[kept, number] = (*found.get((kept, number), ()), token)
    return found


def folded(vocabulary: Vocabulary, text: str) -> str:
    """A text as the vocabulary tells texts apart: in small letters where it loses capitals."""
    return text.casefold() if isinstance(vocabulary, CasingVocabulary) and vocabulary.lower_cases else text


def stem_in(vocabulary: Vocabulary, stem: str) -> str:
    """The beginning of a word as the vocabulary reads it."""
    one = unrendered(vocabulary)
    return folded(one, one.plain(stem) if isinstance(one, CasingVocabulary) and one.lower_cases else stem)


def beginning_with(vocabulary: Vocabulary, stem: str) -> Tensor:
    """(V,) bool, the tokens of an unrendered vocabulary that begin so, by themselves."""
    wanted = stem_in(vocabulary, stem)
    return torch.tensor([piece.startswith(wanted) for piece in _piece_texts(vocabulary)])


# a stream of texts asks the same vocabulary with every group
@remembered(most=2)
def _piece_texts(vocabulary: Vocabulary) -> list[str]:
    """V strings, what each token adds to a word."""
    single = every_token(vocabulary)
    alone = single.texts()
    plain = (vocabulary.allowed & ~vocabulary.continues).nonzero().flatten().tolist()
    anchor = next(token for token in plain if alone[token].isalpha())
    pairs = torch.cat([torch.full_like(single.tokens, anchor), single.tokens], 1)
    batch = Batch(pairs, 2 * single.lengths, torch.ones_like(pairs) > 0, torch.zeros_like(single.lengths), vocabulary)
    inner = [text[len(alone[anchor]) :] for text in batch.texts()]
    texts = (inner[token] if goes_on else alone[token] for token, goes_on in enumerate(vocabulary.continues.tolist()))
    return [folded(vocabulary, text.strip()) for text in texts]
