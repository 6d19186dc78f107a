"""A request for constrained text: what may be asked of it, and which requests contradict themselves."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any, final

from objectives.acrostic import Acrostic, initials
from objectives.forbidden import Forbidden
from objectives.keywords import Keywords, words
from objectives.length import LengthBetween
from objectives.pattern import Pattern
from objectives.rhyme import Rhyme, last_word, rhymes
from objectives.template import Gap, Template, parse
from objectives.text_features import is_mark
from textsearch.checks import keep, sequence, string, strings
from textsearch.kinds import plain_number, shown
from textsearch.tasks.sizes import MOST, check_least, check_sizes

Bounds = tuple[int, int | None]

_WAYS = 2_000  # of a prefix in a template, tried with the suffix

Fixed = tuple[str, ...]
"""Words that stand."""

Layout = list[Fixed | Gap]
"""Words that stand, and the room between them."""


@final
@dataclass(frozen=True)
class Request:
    """What one text should be; what is left empty is free. All but `label`, `topic` and `context` is hard.

    Attributes:
        prefix: how it begins.
        suffix: how it ends.
        template: fixed parts and gaps, "The * ran to the *{1,3}."; see `objectives.template.parse`.
        required: words and phrases that it must hold.
        forbidden: words and phrases that it must not hold.
        words: the fewest and the most words, marks of punctuation not counted; None for no bound. A task may set
            bounds where none are given: see `bounded`.
        characters: the fewest and the most characters, spaces and marks counted.
        regex: a regular expression found in it.
        rhyme: a word that the last word must rhyme with.
        acrostic: what the first letters of its words spell.
        label: what a classifier should call it.
        topic: a text or a few words that it should be about.
        context: what was said before.

    Raises:
        ValueError: a value that cannot be meant, or values that contradict one another: the message names them.

    >>> Request(prefix="The cat", forbidden=["cat"])
    Traceback (most recent call last):
    ...
    ValueError: prefix='The cat' holds the forbidden 'cat': take one of them away
    """

    prefix: str = ""
    suffix: str = ""
    template: str = ""
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    words: Bounds | None = None
    characters: Bounds | None = None
    regex: str = ""
    rhyme: str = ""
    acrostic: str = ""
    label: str = ""
    topic: str = ""
    context: str = ""

    @staticmethod
    def of(given: Request | Mapping[str, Any]) -> Request:
        """A request from its values by name, as they come from JSON.

        >>> Request.of({"template": "A *.", "words": [3, 5]}).words
        (3, 5)
        """
        if isinstance(given, Request):
            return given
        if not isinstance(given, Mapping):
            raise TypeError(f"{shown(given)} is no request: pass a dictionary such as {{'prefix': 'The book'}}")
        known = [field.name for field in fields(Request)]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(str(name)[:40].lower(), known, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
                raise ValueError(f"{shown(name)} is nothing that a request may ask for: {meant}")
        return Request(**given)

    def __post_init__(self) -> None:
        for name in ("required", "forbidden"):
            given = getattr(self, name)
            own = ((given,) if given else ()) if isinstance(given, str) else strings(name, given, "words and phrases")
            for phrase in own:
                if not words(phrase):
                    raise ValueError(f"{name} holds {shown(phrase)}, which has no word in it: leave it out")
            keep(self, **{name: own})
        for name in ("words", "characters"):
            object.__setattr__(self, name, _bounds(name, getattr(self, name)))
        for name in ("prefix", "suffix", "template", "regex", "rhyme", "acrostic", "label", "topic", "context"):
            keep(self, **{name: string(name, getattr(self, name))})
        check_sizes(self)
        for _ in self.terms():  # each looks at its own value
            pass
        _check(self)

    def terms(self) -> dict[str, Any]:
        """Name -> hard objective, of what is asked for."""
        made: dict[str, Any] = {}
        if self.template:
            made["template"] = Template(self.template)
        if self.required:
            made["required"] = Keywords(self.required)
        if self.forbidden:
            made["forbidden"] = Forbidden(self.forbidden)
        if self.words:
            made["words"] = LengthBetween(*self.words, marks=False)
        if self.characters:
            made["characters"] = LengthBetween(*self.characters, characters=True)
        if self.regex:
            made["regex"] = Pattern(self.regex)
        if self.rhyme:
            made["rhyme"] = Rhyme(self.rhyme)
        if self.acrostic:
            made["acrostic"] = Acrostic(self.acrostic)
        return made

    def layouts(self) -> list[Layout]:
        """The ways in which prefix, template and suffix fit together, each a row of fixed words and gaps.

        >>> Request(prefix="The dog", template="The * home", suffix="ran home").layouts()
        [[('The', 'dog'), Gap(low=0, high=None), ('ran', 'home')]]
        """
        parts = parse(self.template) if self.template else (Gap(0 if self.prefix or self.suffix else 1),)
        start = [part if isinstance(part, Gap) else surface_words(part) for part in parts]
        # marks behind a last fixed part are free where it has none itself
        ends = [_end(start[-1]) if not isinstance(start[-1], Gap) else (), _end(surface_words(self.suffix))]
        if all(ends) and ends[0] != ends[1]:
            return []
        end = max(ends, key=len)
        if not isinstance(start[-1], Gap):
            start[-1] = start[-1][: len(start[-1]) - len(ends[0])]
        suffix = surface_words(self.suffix)
        # many gaps can begin in very many ways, which are worked out as they are needed
        ways = islice(begun([part for part in start if part != ()], surface_words(self.prefix)), _WAYS)
        turned = (way for start in ways for way in begun(_turned(start), suffix[: len(suffix) - len(ends[1])][::-1]))
        return [_joined([*_turned(way), end]) for way in islice(turned, 64)]

    def bounded(self, low: int = 6, high: int = 20) -> Request:
        """The same, with these bounds on its words where nothing that is asked for says how long it should be.

        >>> Request(prefix="The book").bounded().words
        (6, 20)
        """
        least = min(least_words(way) + sum(map(_count, missing(self, way))) for way in self.layouts())
        open_ended = any(max_words(way) is None for way in self.layouts())
        if self.words or self.characters or self.regex or self.acrostic or not open_ended:
            return self
        return replace(self, words=(max(low, least), max(high, least + 8)))

    def __str__(self) -> str:
        """What is asked for, in one line."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return "; ".join(f"{name} {_shown(value)}" for name, value in said.items() if value)


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


def fixed_parts(name: str, value: str) -> list[Fixed]:
    """The words that stand in a value of a request: in a template, those between its gaps.

    >>> fixed_parts("template", "The * ran home")
    [('The',), ('ran', 'home')]
    """
    parts = (parse(value) if name == "template" else (value,)) if value else ()
    return [surface_words(part) for part in parts if not isinstance(part, Gap)]


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
    whole = _count(wanted)
    if head.high is None or whole <= head.high:
        high = None if head.high is None else head.high - whole
        yield [wanted, Gap(max(head.low - whole, 0), high), *rest]
    for size in range(len(wanted)):
        if head.low <= _count(wanted[:size]) and (head.high is None or _count(wanted[:size]) <= head.high):
            yield from ([wanted[:size], *tail] for tail in _begun(rest, wanted[size:], dead))


def least_words(layout: Layout) -> int:
    """The fewest words of texts so laid out, marks not counted."""
    return sum(part.low if isinstance(part, Gap) else _count(part) for part in layout)


def max_words(layout: Layout) -> int | None:
    """The most words, None for no bound."""
    highs = [part.high if isinstance(part, Gap) else _count(part) for part in layout]
    return None if None in highs else sum(high for high in highs if high is not None)


def missing(request: Request, layout: Layout) -> list[Fixed]:
    """The required phrases that none of the fixed parts holds, each occurrence serving once."""
    left = [_folded(part) for part in layout if not isinstance(part, Gap)]
    lacking = []
    for phrase in map(surface_words, request.required):
        wanted = _folded(phrase)
        for number, part in enumerate(left):
            at = next((i for i in range(len(part) - len(wanted) + 1) if part[i : i + len(wanted)] == wanted), None)
            if at is not None:
                left[number : number + 1] = [part[:at], part[at + len(wanted) :]]
                break
        else:
            lacking.append(phrase)
    return lacking


def _check(request: Request) -> None:
    """Refuse what can be seen to contradict itself without a model."""
    layouts = request.layouts()
    given = [f"{name}={shown(value)}" for name in ("prefix", "template", "suffix") if (value := getattr(request, name))]
    if not layouts:
        raise ValueError(f"{' and '.join(given)} contradict: no text fits all of them")
    for name in ("prefix", "suffix", "template", "required"):
        value = getattr(request, name)
        for text in value if name == "required" else [_text(part) for part in fixed_parts(name, value)]:
            for phrase in request.forbidden:
                if _holds(surface_words(text), surface_words(phrase)):
                    raise ValueError(f"{name}={value!r} holds the forbidden {phrase!r}: take one of them away")
    needed = min(least_words(way) + sum(map(_count, missing(request, way))) for way in layouts)
    sources = [*given, *([f"required={shown(list(request.required))}"] if request.required else [])]
    low, high = request.words or (0, None)
    if high is not None and needed > high:
        raise ValueError(f"words={request.words} contradicts {' and '.join(sources)}, which take {needed} words")
    roomy = [max_words(way) for way in layouts]
    if None not in roomy and max(most for most in roomy if most is not None) < low:
        raise ValueError(f"words={request.words} contradicts {' and '.join(given)}: the gaps have no room for {low}")
    fixed = max(
        sum(map(len, part)) for part in [*layouts[0], *missing(request, layouts[0]), ()] if not isinstance(part, Gap)
    )
    if request.characters and request.characters[1] is not None:
        least = max(fixed, max(needed, low))
        if least > request.characters[1]:
            raise ValueError(
                f"characters={request.characters} contradicts {' and '.join(sources) or f'words={request.words}'}: "
                f"that takes {least} characters or more"
            )
    _check_letters(request, layouts, needed)
    _check_rhyme(request, layouts)
    check_least(request, needed, sources)


def _check_letters(request: Request, layouts: Sequence[Layout], needed: int) -> None:
    if not request.acrostic:
        return
    letters = Acrostic(request.acrostic).letters[0]
    low, high = request.words or (0, None)
    if len(letters) < low or (high is not None and len(letters) > high):
        raise ValueError(
            f"acrostic={request.acrostic!r} makes a text of {len(letters)} words, which words={request.words} forbids"
        )
    fixed = [request.prefix, request.suffix, *request.required]
    fixed += [_text(part) for part in fixed_parts("template", request.template)]
    given = Counter("".join(map(initials, fixed)))
    for letter, count in Counter(letters).items():
        if not letter.isalpha() and count > given[letter]:
            raise ValueError(
                f"acrostic={request.acrostic!r} holds {letter!r}, with which no word begins: take letters, or give the "
                "words that begin so as required"
            )
    for name, fits in (("prefix", letters.startswith), ("suffix", letters.endswith)):
        own = initials(getattr(request, name))
        if own and not fits(own):
            raise ValueError(
                f"{name}={getattr(request, name)!r} contradicts acrostic={request.acrostic!r}: its words begin with "
                f"{own!r}"
            )
    for phrase in request.required:
        if initials(phrase) not in letters:
            raise ValueError(
                f"required={phrase!r} contradicts acrostic={request.acrostic!r}: no such words begin with "
                f"{initials(phrase)!r}"
            )
    if needed > len(letters):
        raise ValueError(f"acrostic={request.acrostic!r} has room for {len(letters)} words, but {needed} are asked for")


def _check_rhyme(request: Request, layouts: Sequence[Layout]) -> None:
    if not request.rhyme:
        return
    allowed = rhymes(last_word(request.rhyme))
    ends = [_text(way[-1]) for way in layouts if not isinstance(way[-1], Gap)]
    if len(ends) == len(layouts) and not any(last_word(end) in allowed for end in ends):
        raise ValueError(f"rhyme={request.rhyme!r} contradicts the end {ends[0]!r}, which does not rhyme with it")
    if request.acrostic:
        last = Acrostic(request.acrostic).letters[0][-1]
        if not any(word.startswith(last) for word in allowed):
            raise ValueError(
                f"rhyme={request.rhyme!r} contradicts acrostic={request.acrostic!r}: no word that rhymes begins with "
                f"{last!r}"
            )


def _bounds(name: str, given: Any) -> Bounds | None:
    if given is None:
        return None
    must = "must be a whole number, or a pair, the fewest and the most, such as [6, 12] or [6, null]"
    number = plain_number(given)
    if isinstance(given, str | bytes | Mapping | bool) or not (isinstance(number, int) or isinstance(given, Iterable)):
        raise TypeError(f"{name}={shown(given)} {must}")
    pair = (number, number) if isinstance(number, int) else sequence(name, given, "two numbers", "[6, 12]")
    if len(pair) != 2:
        raise ValueError(f"{name}={shown(given)} {must}")
    low, high = (end if end is None else plain_number(end) for end in pair)
    low = 0 if low is None and high is not None else low
    if not isinstance(low, int) or low < 0 or not (high is None or (isinstance(high, int) and high >= 0)):
        raise ValueError(f"{name}={shown(given)} {must}")
    if high is not None and low > high:
        raise ValueError(f"{name}={shown(given)} has the fewest above the most: exchange them")
    if high == 0:
        raise ValueError(f"{name}={shown(given)} leaves room for no text: allow at least 1")
    if max(low, high or 0) > (most := MOST[name]):
        remedy = f"; [{low}, null] has no upper bound" if low <= most else ""
        raise ValueError(f"{name}={shown(given)} is above the limit of {most:,} {name} in one request{remedy}")
    return None if (low, high) == (0, None) else (low, high)


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


def _count(part: Fixed) -> int:
    return sum(not is_mark(word) for word in part)


def _holds(part: Fixed, phrase: Fixed) -> bool:
    text, wanted = _folded(part), _folded(phrase)
    return any(text[i : i + len(wanted)] == wanted for i in range(len(text) - len(wanted) + 1))


def _text(part: Fixed) -> str:
    return " ".join(part)


def _shown(value: Any) -> str:
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, tuple):
        low, high = value
        return f"{low} or more" if high is None else f"{low} to {high}" if low != high else str(low)
    return str(value)
