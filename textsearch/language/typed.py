"""What a user typed, put back character by character into a text that models wrote in simplified characters.

Models read a text in simplified characters, in which several others are one: 發 and 髮 are both 发. So nothing that was
typed is converted back: it is found in what the models wrote, by the characters that they read, and stands there as it
was typed, with its spaces and its capitals. All else is converted (`textsearch.language.scripts`) and has full-width
marks (`textsearch.language.full_width`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import final

import regex

from textsearch.language.full_width import full_width
from textsearch.language.scripts import SIMPLIFIED, in_script, is_here, simplified
from textsearch.outline import Room

_QUOTES = str.maketrans("「」『』", "“”‘’")
_HALF = str.maketrans("，。！？：；（）“”", ',.!?:;()""')
_BESIDE = regex.compile(r"(?<=\p{Han})[^\S\n]+(?=\S)|(?<=\S)[^\S\n]+(?=\p{Han})")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}--\p{Han}]", regex.VERSION1)


def as_read(text: str) -> str:
    """A text as Chinese models read it: in simplified characters, with the marks that go with them.

    >>> as_read("「頭髮」,3.5 OK?")
    '“头发”，3.5 OK?'
    """
    read = (simplified(text) if is_here() else text).translate(_QUOTES)
    return full_width(read, [False] * len(read))


def without_spaces(text: str) -> str:
    """A text without the spaces beside Chinese characters, which tokenizers of Chinese do not give back.

    >>> without_spaces("我喜欢 iPhone 15 手机, New York 也 好 ")
    '我喜欢iPhone 15手机, New York也好 '
    """
    return str(_BESIDE.sub("", text))


@final
@dataclass(frozen=True)
class Cell:
    """A character of a text.

    Attributes:
        shown: as it is written.
        key: as a model reads it, in lower case, and marks in half width, as it takes what is beside them to tell;
            empty for white space.
        own: whether a user typed it so.
    """

    shown: str
    key: str
    own: bool


@final
@dataclass(frozen=True)
class Typed:
    """What a user typed of one text.

    Attributes:
        script: of what the user did not type: see `in_script`.
        layouts: rows of fixed parts and the room between them, in characters; each says where parts stand.
        phrases: what stands anywhere.
        source: the text that was edited.
        in_place: the edits of `source` exchange characters one for one.

    >>> Typed("traditional", phrases=("頭髮", "iPhone")).text("他的头发在iphone里,发展了.")
    '他的頭髮在iPhone裡，發展了。'
    >>> Typed("traditional", layouts=(("裏 面 的", Room(1, 1), ", ok"),)).text("里面的发,ok")
    '裏 面 的發, ok'
    >>> Typed("traditional", source="他的頭髮很 長,發了").text("她的头发很长,发现了")
    '她的頭髮很 長,發現了'
    """

    script: str
    layouts: tuple[tuple[str | Room, ...], ...] = ()
    phrases: tuple[str, ...] = ()
    source: str | None = None
    in_place: bool = False

    def text(self, written: str, marks: bool = True) -> str:
        """What models wrote, as the user is shown it.

        Args:
            written: in simplified characters.
            marks: make marks beside Chinese characters full-width.
        """
        cells = _cells(in_script(written, self.script), as_read(written))
        for layout in self._laid_out:
            cells = layout.put_into(cells)
        if self.source is not None:
            cells = self._edited(cells, written)
        for phrase in self._longest_first:
            cells = phrase.put_into(cells)
        made = "".join(cell.shown for cell in cells)
        if not marks:
            return made
        return full_width(made, [cell.own for cell in cells], corners=self.script != SIMPLIFIED)

    @property
    def parts(self) -> list[str]:
        """What must be found in the text as it was typed."""
        fixed = [part for layout in self.layouts for part in layout if isinstance(part, str)]
        return [part.strip() for part in (*fixed, *self.phrases)]

    @cached_property
    def _laid_out(self) -> list[_Layout]:
        return [_Layout.of(layout) for layout in self.layouts]

    @cached_property
    def _longest_first(self) -> list[_Phrase]:
        return [_Phrase.of(one) for one in sorted(dict.fromkeys(self.phrases), key=len, reverse=True)]

    @cached_property
    def _source_cells(self) -> list[Cell]:
        assert self.source is not None
        return typed_cells(self.source)

    def _edited(self, cells: list[Cell], written: str) -> list[Cell]:
        """With the characters of the source in all words that are as they were."""
        source = self._source_cells
        if self.in_place and len(source) == len(cells):
            # white space has no key, and stays
            return [old if old.key == new.key else new for old, new in zip(source, cells, strict=True)]
        mine, theirs = _places(source), _places(cells)
        matches = SequenceMatcher(None, [source[at].key for at in mine], [cells[at].key for at in theirs], False)
        # place in `theirs` -> in `mine`
        stood = {b + step: a + step for a, b, size in matches.get_matching_blocks() for step in range(size)}
        whole = [
            place
            for word in _words(written, theirs)
            if all(place in stood and stood[place] - stood[word[0]] == place - word[0] for place in word)
            for place in word
        ]
        found, done, last = list[Cell](), 0, -2
        for place in whole:
            at, old = theirs[place], stood[place]
            if last + 1 == place and last >= 0 and stood[last] + 1 == old:
                # side by side in both: with the white space that was typed between them
                found += source[mine[old - 1] + 1 : mine[old]]
            else:
                found += cells[done:at]
            found.append(source[mine[old]])
            done, last = at + 1, place
        return found + cells[done:]


def typed_cells(text: str) -> list[Cell]:
    """The characters of what was typed."""
    return [Cell(cell.shown, cell.key, True) for cell in _cells(text, as_read(text))]


def _cells(shown: str, read: str) -> list[Cell]:
    return [
        Cell(one, "" if key.isspace() else key.lower() if len(key.lower()) == 1 else key, False)
        for one, key in zip(shown, read.translate(_HALF), strict=True)
    ]


def _places(cells: Sequence[Cell]) -> list[int]:
    """Of the cells that are no white space."""
    return [at for at, cell in enumerate(cells) if cell.key]


def _words(written: str, places: Sequence[int]) -> list[list[int]]:
    """The words of a text, each as numbers in `places`."""
    from textsearch.language.segmentation import chinese_words

    number = {at: place for place, at in enumerate(places)}
    found, at = list[list[int]](), 0
    try:
        words = chinese_words(written)
    except ImportError:
        # what comes of it is a matter of a few characters, and not worth a run that is over
        words = list(written)
    for word in words:
        found.append([number[one] for one in range(at, at + len(word)) if one in number])
        at += len(word)
    return [word for word in found if word]


@final
@dataclass(frozen=True)
class _Layout:
    """Fixed parts and gaps, and the expression that finds them among the keys of a text."""

    parts: tuple[str | Room, ...]
    patterns: tuple[regex.Pattern[str], ...]

    @staticmethod
    def of(parts: tuple[str | Room, ...]) -> _Layout:
        # a word may have several letters: if the bounds do not fit, the order does
        return _Layout(
            parts, tuple(regex.compile(_expression(parts, strict), regex.DOTALL) for strict in (True, False))
        )

    def put_into(self, cells: list[Cell]) -> list[Cell]:
        """The cells with the parts as they were typed, where they fit."""
        places = _places(cells)
        keys = "".join(cells[at].key for at in places)
        match = next((found for pattern in self.patterns if (found := pattern.match(keys))), None)
        if match is None:
            return cells
        made = list[Cell]()
        for number, part in enumerate([*self.parts, Room()], 1):
            if isinstance(part, str):
                made += typed_cells(part)
            elif (span := match.span(number))[0] < span[1]:
                made += cells[places[span[0]] : places[span[1] - 1] + 1]
        return made


def _expression(parts: Sequence[str | Room], strict: bool) -> str:
    made = ""
    for part in parts:
        if isinstance(part, str):
            made += f"({regex.escape(_keys(part))})"
        else:
            made += f"(.{{{part.low},{part.high if strict and part.high is not None else ''}}}?)"
    return f"^{made}(\\p{{P}}*)$"


def _keys(text: str) -> str:
    return "".join(cell.key for cell in typed_cells(text))


@final
@dataclass(frozen=True)
class _Phrase:
    """Words that stand anywhere."""

    cells: tuple[Cell, ...]
    keys: str

    @staticmethod
    def of(phrase: str) -> _Phrase:
        cells = tuple(typed_cells(phrase.strip()))
        return _Phrase(cells, "".join(cell.key for cell in cells))

    def put_into(self, cells: list[Cell]) -> list[Cell]:
        """The cells with the phrase as it was typed wherever it stands; a single character once."""
        places = _places(cells)
        keys = "".join(cells[at].key for at in places)
        starts, at = list[int](), keys.find(self.keys) if self.keys else -1
        while at >= 0:
            fits = self._stands_alone(keys, at)
            starts += [at] if fits else []
            at = keys.find(self.keys, at + (len(self.keys) if fits else 1))
        spans = [(places[start], places[start + len(self.keys) - 1] + 1) for start in starts]
        free = [span for span in spans if not any(cell.own for cell in cells[slice(*span)])]
        if len(self.keys) == 1:
            there = [span for span in free if cells[span[0]].shown == self.cells[0].shown]
            free = (there or free)[:1]
        for start, end in reversed(free):
            cells = [*cells[:start], *self.cells, *cells[end:]]
        return cells

    def _stands_alone(self, keys: str, at: int) -> bool:
        """Whether it is no part of a longer word of letters."""
        end = at + len(self.keys)
        return not any(
            0 < edge < len(keys) and _WORD.match(keys[edge - 1]) and _WORD.match(keys[edge]) for edge in (at, end)
        )
