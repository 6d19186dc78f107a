"""Full-width marks: ，。！？：；（） beside Chinese characters, and not those of ASCII."""

from __future__ import annotations

from collections.abc import Sequence

import regex

_FULL = {",": "，", ".": "。", "!": "！", "?": "？", ":": "：", ";": "；", "(": "（", ")": "）"}
_QUOTES = ("“", "”")
_CORNERS = {"“": "「", "”": "」", "‘": "『", "’": "』"}
_PAIRS = {"(": ")", '"': '"'}
_HAN = regex.compile(r"\p{Han}")
_BEFORE = regex.compile(r"[\p{Han}，。！？：；（）《》“”「」『』]")
_LAST_WORD = regex.compile(r"\p{Han}[^\s\p{Han}]+$")


def full_width(text: str, own: Sequence[bool], *, corners: bool = False) -> str:
    """A text whose marks beside Chinese characters are full-width; it keeps its length.

    Numbers, Latin phrases and addresses keep their marks. Of brackets and straight quotation marks a pair is changed,
    where Chinese characters stand between or beside them.

    Args:
        text: a Chinese text.
        own: of each character, whether it stays as it is.
        corners: quotation marks are 「」 and 『』, as with traditional characters, unless some stay as they are.

    >>> none = [False] * 99
    >>> full_width('他说:"3.5 公里,对吗?!"OK, fine.', none)
    '他说：“3.5 公里，对吗？！”OK, fine.'
    >>> [full_width(text, none) for text in ("他在(NBA)打球.", "(a, b)", "10:30到2008.", "用.NET写...")]
    ['他在（NBA）打球。', '(a, b)', '10:30到2008。', '用.NET写...']
    >>> full_width("“好”,", [False, False, False, True], corners=True)
    '「好」,'
    """
    new = list(text)
    for start, end in _pairs(text):
        # one of a user's would make a pair of two kinds
        if not own[start] and not own[end] and _HAN.search(text[max(start - 1, 0) : end + 2]):
            new[start], new[end] = _QUOTES if text[start] == '"' else (_FULL["("], _FULL[")"])
    for place, one in enumerate(text):
        # what stands before is full-width by now
        if one in _FULL and one not in "()" and not own[place] and _belongs(text, place, "".join(new[:place])):
            new[place] = _FULL[one]
    if corners and not any(mine and one in _CORNERS for one, mine in zip(text, own, strict=False)):
        return "".join(
            one if one == "’" and new[place - 1].isascii() else _CORNERS.get(one, one) for place, one in enumerate(new)
        )
    return "".join(new)


def _belongs(text: str, place: int, before: str) -> bool:
    """Whether a mark is of the Chinese around it."""
    left, behind = _BEFORE.match(before[-1:]) is not None, text[place + 1 : place + 2]
    if text[place] != ".":
        return left or _HAN.match(behind) is not None
    # ".NET" and "..." do not end a sentence; behind a number or a name the end of the text does
    return (left and not (behind.isascii() and (behind.isalnum() or behind == "."))) or (
        not behind and before[-1:].isalnum() and _LAST_WORD.search(before) is not None
    )


def _pairs(text: str) -> list[tuple[int, int]]:
    """Where brackets and straight quotation marks open and close."""
    found, waiting = list[tuple[int, int]](), list[int]()
    for place, one in enumerate(text):
        if waiting and one == _PAIRS[text[waiting[-1]]]:
            found.append((waiting.pop(), place))
        elif one in _PAIRS:
            waiting.append(place)
    return found
