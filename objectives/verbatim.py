"""Verbatim: phrases that a text must hold letter by letter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, final

import regex
from torch import Tensor

from objectives.freezing import Kept, freeze_words
from objectives.text_features import zero_or_inf
from textsearch.batch import Batch
from textsearch.checks import flag, keep, string, strings
from textsearch.kinds import shown
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, list_per_input

_LETTER = r"[\p{L}\p{M}\p{N}_]"

Places = Sequence[tuple[str, int, int]]
"""Phrases in a text, in order: which, where it begins and where it ends."""


def places_of(text: str, phrases: Sequence[str]) -> Places:
    """Where phrases stand in a text as wholes; of two that overlap the first counts, of two at one place the longer.

    What begins or ends with a letter or a digit is no part of a longer word, and no digits are of a longer number.

    >>> places_of("5 kg, 1.5 kg and 15 kg", ["5 kg", "5"])
    [('5 kg', 0, 4)]
    """
    return _places(text, _pattern(phrases)) if phrases else []


def _pattern(phrases: Collection[str]) -> Any:
    before = rf"(?:(?<!{_LETTER})(?!(?<=\d[.,:/])\d)|(?!{_LETTER}))"
    behind = rf"(?:(?!{_LETTER})(?!(?<=\d)[.,:/]\d)|(?<!{_LETTER}))"
    return regex.compile(
        rf"{before}\L<phrases>{behind}", phrases=sorted(set(phrases), key=len, reverse=True), flags=regex.VERSION0
    )


def _places(text: str, pattern: Any) -> list[tuple[str, int, int]]:
    return [(match[0], *match.span()) for match in pattern.finditer(text)]


@final
@dataclass(frozen=True)
class Verbatim(Objective):
    """Each phrase stands in the text letter by letter: energy 0, or +inf where one is missing.

    Capitals and spaces count, and a phrase named twice must stand there twice. A phrase is a whole: "5 kg" is no part
    of "15 kg". See `Keywords` for words whose capitals do not count.

    With `freeze_tokens`, the first places where they stand in the starting texts are made uneditable, so that no
    proposal is wasted on them, and nothing is put in between their tokens. Chains sample exp(-E / T) over the texts
    that hold those very tokens in their order. Frozen or not, each text counts once.

    Attributes:
        phrases: of all inputs, or one sequence of them for each: row r is judged by `phrases[batch.inputs[r]]`. An
            input may have none.
        ways: of a phrase, other ways to write it that will do as well.
        freeze_tokens: whether to make their tokens in the starting texts uneditable, as above.

    Raises:
        ValueError: no sequence of phrases at all, an empty phrase, or other ways of what is no phrase.

    >>> from textsearch.testing import letters
    >>> batch = letters("adgoDG ").encode(["a dog", "a Dog", "a dogg", "dog dog"])
    >>> Verbatim(["dog"]).energy(batch).tolist(), Verbatim(["dog", "dog"]).energy(batch).tolist()
    ([0.0, inf, inf, 0.0], [inf, inf, inf, 0.0])
    >>> Verbatim(["dog"], ways={"dog": ["Dog"]}).energy(batch).tolist()
    [0.0, 0.0, inf, 0.0]
    """

    phrases: Sequence[str] | Sequence[Sequence[str]]
    _: KW_ONLY
    ways: Mapping[str, Sequence[str]] = field(default_factory=dict)
    freeze_tokens: bool = True
    _wanted: PerInput[tuple[list[frozenset[str]], Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def phrase(name: str, value: Any) -> str:
            if not string(name, value).strip():
                raise ValueError(f"{name}={value!r} is empty: leave it out")
            return str(value)

        given = list_per_input("phrases", self.phrases, phrase, "phrases", none=True)
        keep(self, phrases=given.values, freeze_tokens=flag("freeze_tokens", self.freeze_tokens))
        if not isinstance(self.ways, Mapping):
            raise TypeError(
                f"ways={shown(self.ways)} is no mapping: pass phrases with lists of other ways to write them"
            )
        known = {one for own in given.values for one in own}
        if strange := [one for one in self.ways if one not in known]:
            raise ValueError(f"ways has other ways to write {shown(strange[0])}, which is none of the phrases")
        ways = {one: strings(f"ways[{one!r}]", others) for one, others in self.ways.items()}
        keep(self, ways={one: tuple(phrase(f"ways[{one!r}]", way) for way in others) for one, others in ways.items()})

        def wanted(own: tuple[str, ...]) -> tuple[list[frozenset[str]], Any]:
            each = [frozenset((one, *self.ways.get(one, ()))) for one in own]
            return each, _pattern(frozenset().union(*each)) if each else None

        keep(self, _wanted=given.map(wanted))

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that hold all phrases, +inf for the others."""
        return zero_or_inf(batch, lambda text, number: self._spans(text, number) is not None)

    def check(self, batch: Batch) -> None:
        """Each input has its phrases."""
        self._wanted.check(batch)

    def concerns(self, number: int) -> bool:
        """Whether the input has phrases."""
        return bool(self._wanted.of(number)[0])

    def freeze(self, batch: Batch) -> Batch:
        """The first places of the phrases uneditable, unless `freeze_tokens=False`; a row without them stays."""
        if not self.freeze_tokens:
            return batch
        # the words of a text are its characters here
        return freeze_words(batch, list, lambda text, number: Kept(self._spans("".join(text), number) or []))

    def _spans(self, text: str, number: int) -> list[tuple[int, int]] | None:
        """Where each phrase stands, the first places as often as it is named; None if they are not all there."""
        wanted, pattern = self._wanted.of(number)
        if pattern is None:
            return []
        places = _places(text, pattern)
        taken: dict[int, int] = {}  # place -> the phrase that has it

        def seat(phrase: int, asked: set[int]) -> bool:
            """Give a phrase the first place that is free, or whose phrase finds another (Kuhn, 1955)."""
            for place, (way, _, _) in enumerate(places):
                if way in wanted[phrase] and place not in asked:
                    asked.add(place)
                    if place not in taken or seat(taken[place], asked):
                        taken[place] = phrase
                        return True
            return False

        if not all(seat(phrase, set()) for phrase in range(len(wanted))):
            return None
        return [places[place][1:] for place in sorted(taken)]
