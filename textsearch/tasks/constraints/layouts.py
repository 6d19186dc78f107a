"""Layouts: how prefix, template and suffix fit together, as rows of fixed words and gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from objectives.keywords import words
from objectives.template import Gap, parse
from objectives.text_features import is_mark

_WAYS = 2_000  # of a prefix in a template, tried with the suffix

Fixed = tuple[str, ...]
"""Words that stand."""

Layout = list[Fixed | Gap]
"""Words that stand, and the room between them."""


def layouts_of(prefix: str, template: str, suffix: str) -> list[Layout]:
    """The ways in which they fit together, each a row of fixed words and gaps.

    >>> layouts_of("The dog", "The * home", "ran home")
    [[('The', 'dog'), Gap(low=0, high=None), ('ran', 'home')]]
    """
    parts = parse(template) if template else (Gap(0 if prefix or suffix else 1),)
    start = [part if isinstance(part, Gap) else surface_words(part) for part in parts]
    # marks behind a last fixed part are free where it has none itself
    ends = [_end(start[-1]) if not isinstance(start[-1], Gap) else (), _end(surface_words(suffix))]
    if all(ends) and ends[0] != ends[1]:
        return []
    end = max(ends, key=len)
    if not isinstance(start[-1], Gap):
        start[-1] = start[-1][: len(start[-1]) - len(ends[0])]
    last = surface_words(suffix)
    # many gaps can begin in very many ways, which are worked out as they are needed
    ways = islice(begun([part for part in start if part != ()], surface_words(prefix)), _WAYS)
    turned = (way for start in ways for way in begun(_turned(start), last[: len(last) - len(ends[1])][::-1]))
    return [_joined([*_turned(way), end]) for way in islice(turned, 64)]


def surface_words(text: str) -> Fixed:
    """The words of a text as `objectives.keywords.words` cuts it, with their capitals.

    >>> surface_words("To London, now")
    ('To', 'London', ',', 'now')
    """
    folded = words(text)
    if len(text.casefold()) != len(text):
        return tuple(folded)
    found, place = [], 0
    for word in folded:
        at = text.casefold().find(word, place)
        if at < 0:
            return tuple(folded)
        found.append(text[at : at + len(word)])
        place = at + len(word)
    return tuple(found)


def begun(parts: Layout, wanted: Fixed) -> Iterator[Layout]:
    """The ways in which a row of fixed words and gaps can begin with the words `wanted`.

    >>> list(begun([Gap(1, 2), ("cat",)], ("the", "cat")))
    [[('the', 'cat'), Gap(low=0, high=0), ('cat',)], [('the',), ('cat',)]]
    """
    yield from _begun(parts, wanted, set())


def _begun(parts: Layout, wanted: Fixed, dead: set[tuple[int, int, int]]) -> Iterator[Layout]:
    """The same; `dead` holds where nothing was found, so that no place is searched in vain twice."""
    if not wanted:
        yield parts
        return
    if not parts:
        return
    # what is left of the row and of the words says all: where the search stands
    state = len(parts), 0 if isinstance(parts[0], Gap) else len(parts[0]), len(wanted)
    if state in dead:
        return
    ways = 0
    for way in _begun_here(parts, wanted, dead):
        ways += 1
        yield way
    if not ways:
        dead.add(state)


def _begun_here(parts: Layout, wanted: Fixed, dead: set[tuple[int, int, int]]) -> Iterator[Layout]:
    head, rest = parts[0], parts[1:]
    if not isinstance(head, Gap):
        common = min(len(head), len(wanted))
        if _folded(head[:common]) == _folded(wanted[:common]):
            left = [head[common:]] if head[common:] else []
            yield from ([head[:common], *tail] for tail in _begun([*left, *rest], wanted[common:], dead))
        return
    whole = count_of(wanted)
    if head.high is None or whole <= head.high:
        high = None if head.high is None else head.high - whole
        yield [wanted, Gap(max(head.low - whole, 0), high), *rest]
    for size in range(len(wanted)):
        if head.low <= count_of(wanted[:size]) and (head.high is None or count_of(wanted[:size]) <= head.high):
            yield from ([wanted[:size], *tail] for tail in _begun(rest, wanted[size:], dead))


def least_words(layout: Layout) -> int:
    """The fewest words of texts so laid out, marks not counted."""
    return sum(part.low if isinstance(part, Gap) else count_of(part) for part in layout)


def max_words(layout: Layout) -> int | None:
    """The most words, None for no bound."""
    highs = [part.high if isinstance(part, Gap) else count_of(part) for part in layout]
    return None if None in highs else sum(high for high in highs if high is not None)


def missing(required: Sequence[str], layout: Layout) -> list[Fixed]:
    """The required phrases that none of the fixed parts holds, each occurrence serving once."""
    left = [_folded(part) for part in layout if not isinstance(part, Gap)]
    lacking = []
    for phrase in map(surface_words, required):
        wanted = _folded(phrase)
        for number, part in enumerate(left):
            at = next((i for i in range(len(part) - len(wanted) + 1) if part[i : i + len(wanted)] == wanted), None)
            if at is not None:
                left[number : number + 1] = [part[:at], part[at + len(wanted) :]]
                break
        else:
            lacking.append(phrase)
    return lacking


def _turned(layout: Layout) -> Layout:
    return [part if isinstance(part, Gap) else part[::-1] for part in layout[::-1]]


def _joined(layout: Layout) -> Layout:
    """Without empty parts, neighbours made one."""
    parts: Layout = []
    for part in layout:
        if parts and not isinstance(part, Gap) and not isinstance(parts[-1], Gap):
            parts[-1] = (*parts[-1], *part)
        elif part != () and part != Gap(0, 0):
            parts.append(part)
    return parts


def _end(part: Fixed) -> Fixed:
    """The marks that a part ends with."""
    size = len(part)
    while size and is_mark(part[size - 1]):
        size -= 1
    return part[size:] if size else ()


def _folded(part: Fixed) -> list[str]:
    return [word.casefold() for word in part]


def count_of(part: Fixed) -> int:
    """Words, marks not counted."""
    return sum(not is_mark(word) for word in part)


def holds(part: Fixed, phrase: Fixed) -> bool:
    """Whether the words of a phrase stand side by side in a part."""
    text, wanted = _folded(part), _folded(phrase)
    return any(text[i : i + len(wanted)] == wanted for i in range(len(text) - len(wanted) + 1))
