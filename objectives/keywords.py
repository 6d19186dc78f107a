"""Keywords: words that a text must hold.

The constraint of keyword-to-sentence generation (CGMH, Miao et al., 2019; CommonGen, Lin et al., 2020), judged on the
surface text, so that it means the same under every tokenizer.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import regex
import torch
from torch import Tensor

from objectives.freezing import Kept, freeze_words
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import flag, string
from textsearch.language.inflection import inflections as inflections_of
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline, Room
from textsearch.per_input import PerInput, list_per_input

# scripts written without spaces: each character is a word, and a longer word is a phrase of them
_SINGLE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{_SINGLE}]]"
_WORD = regex.compile(rf"(?V1){_LETTER}+(?:(?:['\-]|(?<=\p{{N}})[.,](?=\p{{N}})){_LETTER}+)*|[{_SINGLE}]\p{{M}}*|\S")
_PLAIN = str.maketrans({"\u2019": "'", "\u2010": "-", "\u2011": "-"})

_NODES = 1_000
"""Of each search for phrases that do not overlap, which takes exponential time in the worst case."""

Template = tuple[frozenset[str], ...]
"""A keyword as the text must show it: for each of its words the forms that will do."""


def words(text: str) -> list[str]:
    """The words of a text with case folded, each mark of punctuation a word of its own.

    Apostrophes and hyphens inside a word belong to it, and so do points and commas inside a number. Of the scripts
    written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each character is a word.

    >>> words("Don't hot-dog 3.5 dogs, Rex!")
    ["don't", 'hot-dog', '3.5', 'dogs', ',', 'rex', '!']
    >>> words("iPhone手机")
    ['iphone', '手', '机']
    """
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN).casefold()
    return [str(word) for word in _WORD.findall(plain)]


def one_character_words(word: str) -> bool:
    """Whether a word of `words(text)` is of a script written without spaces, so that each character is a word."""
    return regex.match(f"[{_SINGLE}]", word) is not None


@final
@dataclass(frozen=True, init=False)
class Keywords(Objective):
    """Each keyword occurs as whole words: energy 0, or +inf where one is missing.

    Case does not count. A keyword of several words ("hot dog") is a phrase: they must be adjacent, with nothing but
    space between. Each word of the text serves one keyword at most, so a keyword named twice must occur twice. Placing
    many phrases without overlap is a hard problem (interval scheduling with choices, Spieksma, 1999): where a search of
    some thousand steps finds no placement, the text counts as one that lacks them.

    With `freeze_tokens`, one occurrence of each keyword in the starting texts, the first that fits, is made uneditable,
    so that no proposal is wasted on it. Chains sample exp(-E / T) over the texts that hold those very tokens, capitals
    included, in the order in which the starting text has them. Each counts once, in however many places the keywords
    could stand: see `textsearch.marks`.

    Args:
        keywords: the keywords of all inputs, or one sequence of them for each input; row r of a batch is judged by
            `keywords[batch.inputs[r]]`.
        in_order: whether they must occur in the order given.
        inflections: whether any English inflection will do ("ran" for "run"); needs the extra `tasks`.
        freeze_tokens: whether to make one occurrence of each uneditable.

    Attributes:
        keywords: one tuple of keywords for each input, or a single one for all.
        in_order: whether they must occur in this order.
        inflections: whether inflections count.
        freeze_tokens: whether occurrences are made uneditable.

    Raises:
        TypeError: keywords that are a string, or not made of strings.
        ValueError: no keywords, an empty one, or `freeze_tokens` with `inflections`.
        ImportError: `inflections` without lemminflect.

    >>> from textsearch.testing import letters
    >>> batch = letters("acdgost ").encode(["a cat sat", "dogs", "cats", "at"])
    >>> Keywords(["cat"]).energy(batch).tolist()
    [0.0, inf, inf, inf]
    >>> Keywords([["a"], ["dog"], ["cat"], ["at"]], inflections=True).energy(batch).tolist()
    [0.0, 0.0, 0.0, 0.0]
    >>> Keywords(["cat sat", "a"], in_order=True).energy(batch).tolist()
    [inf, inf, inf, inf]
    """

    keywords: tuple[tuple[str, ...], ...]
    in_order: bool
    inflections: bool
    freeze_tokens: bool
    _keywords: PerInput[tuple[str, ...]] = field(repr=False, compare=False)
    _templates: PerInput[tuple[Template, ...]] = field(repr=False, compare=False)

    def __init__(
        self,
        keywords: Sequence[str] | Sequence[Sequence[str]],
        *,
        in_order: bool = False,
        inflections: bool = False,
        freeze_tokens: bool = False,
    ) -> None:
        in_order, inflections = flag("in_order", in_order), flag("inflections", inflections)
        freeze_tokens = flag("freeze_tokens", freeze_tokens)
        if freeze_tokens and inflections:
            raise ValueError(
                "freeze_tokens=True keeps the very words of the start, so inflections=True could never be used; "
                "turn one of them off"
            )
        given = keyword_lists("keywords", keywords, "keywords")
        for name, value in (
            ("keywords", given.values),
            ("in_order", in_order),
            ("inflections", inflections),
            ("freeze_tokens", freeze_tokens),
            ("_keywords", given),
            ("_templates", given.map(lambda one: tuple(template_of(keyword, inflections) for keyword in one))),
        ):
            object.__setattr__(self, name, value)

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def forms(self, keyword: str) -> Template:
        """What will do for each word of a keyword, case folded.

        >>> [sorted(forms) for forms in Keywords(["idea"], inflections=True).forms("idea")]
        [['idea', 'ideas']]
        >>> Keywords(["wild cat"]).forms("wild cat")
        (frozenset({'wild'}), frozenset({'cat'}))
        """
        return template_of(keyword, self.inflections)

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 where all keywords occur, +inf elsewhere."""
        keys = list(zip(batch.texts(), self._templates.index(batch).tolist(), strict=True))
        energies = {
            key: 0.0 if self._spans(words(key[0]), key[1]) is not None else math.inf for key in dict.fromkeys(keys)
        }
        return torch.tensor([energies[key] for key in keys], dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Refuse an input without keywords, and a keyword that the batch's tokenizer cannot write."""
        self._keywords.check(batch)
        for number in sorted(set(batch.inputs.tolist())):
            for keyword in self._keywords.of(number):
                self._check_writable(keyword, number, batch.vocabulary)

    def freeze(self, batch: Batch) -> Batch:
        """With `freeze_tokens=True`, one occurrence of each keyword uneditable; a row without one stays as it is."""
        if not self.freeze_tokens:
            return batch
        return freeze_words(batch, words, lambda text, number: Kept(self._spans(text, number) or []))

    def outline(self, number: int) -> Outline:
        """The keywords, in their order if that is asked for."""
        words = [(keyword,) for keyword in self._keywords.of(number)]
        if not self.in_order:
            return Outline(anywhere=tuple(words))
        return Outline((Room(), *(part for word in words for part in (word, Room()))))

    def _spans(self, text: Sequence[str], number: int) -> list[tuple[int, int]] | None:
        """First and past-the-last word of an occurrence of each keyword, or None if they are not all there."""
        templates = self._templates.of(number)
        starts = [occurrences(text, template) for template in templates]
        if not all(starts):
            return None
        sizes = [len(template) for template in templates]
        chosen = _in_order(starts, sizes) if self.in_order else _disjoint(starts, sizes)
        if chosen is None:
            return None
        return [(start, start + size) for start, size in zip(chosen, sizes, strict=True)]

    def _check_writable(self, keyword: str, number: int, vocabulary: Vocabulary) -> None:
        spellings = itertools.chain([keyword], map(" ".join, itertools.product(*self.forms(keyword))))
        reasons: list[str] = []
        for spelling in spellings:
            try:
                row = vocabulary.encode([spelling])
                written = replace(row, inputs=torch.full_like(row.inputs, number)).texts()[0]
            except ValueError as error:
                reasons.append(str(error))
                continue
            if words(written) == words(spelling):
                return
            reasons.append(f"it comes back as {written!r}; spell it otherwise, or use a model whose tokenizer knows it")
        # a vocabulary's own error names the remedy
        raise ValueError(f"keyword {keyword!r} cannot be written by the tokenizer of the texts: {reasons[0]}")


def keyword_lists(name: str, given: Sequence[str] | Sequence[Sequence[str]], of: str) -> PerInput[tuple[str, ...]]:
    """Words and phrases, one list for all inputs or one for each; each with a word in it."""

    def keyword(own: str, value: Any) -> str:
        if not words(string(own, value)):
            raise ValueError(f"{own}={value!r} has no word in it: leave it out")
        return str(value)

    return list_per_input(name, given, keyword, of)


def template_of(keyword: str, inflected: bool) -> Template:
    """What will do for each word of a keyword, case folded."""
    if not inflected:
        return tuple(frozenset({word}) for word in words(keyword))
    return tuple(frozenset(form.casefold() for form in inflections_of(word)) for word in words(keyword))


def occurrences(text: Sequence[str], template: Template) -> list[int]:
    """Where in the text the words of a template follow one another."""
    head, *tail = template
    starts = [start for start, word in enumerate(text[: max(len(text) - len(tail), 0)]) if word in head]
    return [start for start in starts if all(text[start + i] in forms for i, forms in enumerate(tail, 1))]


def _in_order(starts: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[int] | None:
    """The earliest start for each keyword after the end of the one before it."""
    chosen: list[int] = []
    end = 0
    for options, size in zip(starts, sizes, strict=True):
        start = next((start for start in options if start >= end), None)
        if start is None:
            return None
        chosen.append(start)
        end = start + size
    return chosen


def _disjoint(starts: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[int] | None:
    """A start for each keyword such that no two share a word: a search over the phrases, a matching of the rest."""
    # fewer places than keywords that share them: told by a count, before any search
    groups = Counter((tuple(own), size) for own, size in zip(starts, sizes, strict=True))
    if any(count > _most_apart(own, size) for (own, size), count in groups.items()):
        return None
    phrases = [k for k, size in enumerate(sizes) if size > 1]
    singles = [k for k, size in enumerate(sizes) if size == 1]
    options = [(starts[k], sizes[k]) for k in phrases]
    for search in (_phrase_places(options, frozenset(), _Steps()), _phrase_places_scarce_first(options, _Steps())):
        try:
            for places in search:
                taken = {
                    at for start, (_, size) in zip(places, options, strict=True) for at in range(start, start + size)
                }
                seats = _matching([[start for start in starts[k] if start not in taken] for k in singles])
                if seats is not None:
                    chosen = dict(zip(phrases + singles, places + seats, strict=True))
                    return [chosen[k] for k in range(len(sizes))]
        except _TooLongError:
            continue
        return None
    return None


class _TooLongError(Exception):
    """A search was given up."""


@final
class _Steps:
    """How far a search may go."""

    def __init__(self) -> None:
        self.left = _NODES

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _TooLongError


def _most_apart(starts: Sequence[int], size: int) -> int:
    """How many of the places, in ascending order, can be taken at once without an overlap."""
    count, end = 0, 0
    for start in starts:
        if start >= end:
            count, end = count + 1, start + size
    return count


def _phrase_places(
    options: Sequence[tuple[Sequence[int], int]], taken: frozenset[int], step: _Steps
) -> Iterator[list[int]]:
    """All choices of one start for each phrase such that no two overlap, the earliest first."""
    step()
    if not options:
        yield []
        return
    starts, size = options[0]
    for start in starts:
        places = frozenset(range(start, start + size))
        if places.isdisjoint(taken):
            left = list(options[1:])
            if left and left[0] == options[0]:  # equal phrases change places for nothing: in order only
                left = [([at for at in starts if at > start], size) if one == options[0] else one for one in left]
            for rest in _phrase_places(left, taken | places, step):
                yield [start, *rest]


def _phrase_places_scarce_first(options: Sequence[tuple[Sequence[int], int]], step: _Steps) -> Iterator[list[int]]:
    """The same in another order: the phrase that has the fewest places left is placed first.

    What can be told without trying is: phrases left with no place, and those that have fewer places than there are of
    them, each begin counted once.
    """
    sizes = [size for _, size in options]

    def place(left: dict[int, list[int]], chosen: dict[int, int]) -> Iterator[list[int]]:
        step()
        if not left:
            yield [chosen[number] for number in range(len(sizes))]
            return
        if not all(left.values()) or _matching(list(left.values())) is None:
            return
        number = min(left, key=lambda one: (len(left[one]), one))
        for start in left[number]:
            stop = start + sizes[number]
            rest = {
                other: [at for at in places if at >= stop or at + sizes[other] <= start]
                for other, places in left.items()
                if other != number
            }
            # equal phrases change places for nothing: in order only
            for other in rest:
                if options[other] == options[number] and left[other] == left[number]:
                    rest[other] = [at for at in rest[other] if (at > start) == (other > number)]
            yield from place(rest, chosen | {number: start})

    yield from place({number: list(starts) for number, (starts, _) in enumerate(options)}, {})


def _matching(options: Sequence[Sequence[int]]) -> list[int] | None:
    """A place of its own for each item among its options, by augmenting paths (Kuhn, 1955); None if there is none."""
    owner: dict[int, int] = {}

    def seat(item: int, tried: set[int]) -> bool:
        came: dict[int, int] = {}  # place -> item that wants it; a queue, since a path may be longer than the stack
        queue = [item]
        for wanting in queue:
            for place in options[wanting]:
                if place in tried:
                    continue
                tried.add(place)
                came[place] = wanting
                if place in owner:
                    queue.append(owner[place])
                    continue
                held = {own: at for at, own in owner.items()}
                while True:
                    own = came[place]
                    owner[place] = own
                    if own == item:
                        return True
                    place = held[own]
        return False

    if not all(seat(item, set()) for item in range(len(options))):
        return None
    places = {item: place for place, item in owner.items()}
    return [places[item] for item in range(len(options))]
