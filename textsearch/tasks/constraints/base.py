"""What everything that a request may ask for has in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, final

from textsearch.checks import MAX_CHARACTERS, MAX_PHRASES, MAX_WORDS, sequence, string, strings
from textsearch.kinds import plain_number, shown

if TYPE_CHECKING:
    import numpy as np

    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class WordRule:
    """What a word of a text must be like.

    Attributes:
        key: stands for the rule: rules of one key are one rule.
        holds: of a word, case folded.
    """

    key: Hashable
    holds: Callable[[str], bool] = field(compare=False)


@final
@dataclass(frozen=True)
class Rules:
    """What can be told of single words before there is a text; frames of a text are laid out by them.

    Attributes:
        at: of each word of the text in order, which then has as many words; empty for any number of any words.
        last: of the last word.
        every: of each word that is chosen freely.
    """

    at: tuple[WordRule, ...] = ()
    last: WordRule | None = None
    every: WordRule | None = None


class Judges(Protocol):
    """The models of a run, each loaded when it is first asked for."""

    def causal(self) -> Any:
        """The causal language model."""

    def encoder(self) -> Any:
        """The sentence encoder."""

    def classifier(self) -> Any:
        """The text classifier."""


@dataclass(frozen=True)
class Constraint:
    """One thing that a request may ask for, a text.

    Attributes:
        name: of the field of a request, and of the option of the command.
        help: what the option is for.
        metavar: what the command's help shows for a value.
        empty: the value that asks for nothing.
        most_characters: of a value.
        drafts: whether a text that a causal model wrote might have it by chance, so that drafts are worth while.
        sizes: whether it says how long the text is.
        fixed_length: whether all texts that have it have one number of words.
        ends: whether it may say itself where the text's sentences end.
        weight: the setting of `write` that weighs its soft term; empty for a hard one.
        needs: the model that must be given, as there is no default.
    """

    name: str = ""
    help: str = ""
    metavar: str | None = None
    empty: Any = ""
    most_characters: int = MAX_CHARACTERS
    drafts: bool = True
    sizes: bool = False
    fixed_length: bool = False
    ends: bool = False
    weight: str = ""
    needs: str = ""

    # values

    def read(self, given: Any) -> Any:
        """A value as it is kept, of one as it comes from Python or JSON."""
        return string(self.name, given)

    def typed(self, text: str) -> Any:
        """A value as JSON would have it, of what is typed on the command line; `empty` of nothing."""
        return text

    def said(self, value: Any) -> str:
        """A value in one line."""
        return str(value)

    # limits and contradictions: told before any model runs

    def check_size(self, value: Any) -> None:
        """Refuse what is too much to be laid out."""
        check_characters(self.name, value, self.most_characters)

    def check(self, value: Any, request: Any) -> None:
        """Refuse what contradicts the rest of a `Request`."""

    def least(self, value: Any) -> Mapping[str, int]:
        """The fewest "words" and "characters" of any text that has it."""
        return {}

    def check_words(self, value: Any, request: Any, known: Callable[[WordRule], bool]) -> None:
        """Refuse what no word of the masked model is fit for; `known` says whether a rule has one that is."""

    # the text

    def written(self, value: Any) -> Sequence[str]:
        """Parts of the text that are to be read as they were written."""
        return ()

    def rules(self, value: Any) -> Rules:
        """What it says of single words."""
        return Rules()

    def restated(self, value: Any, request: Any) -> Any:
        """The `Request` in terms that frames know more of, which mean the same."""
        return request

    def hinted(self, value: Any, request: Any, rng: np.random.Generator) -> Any:
        """The `Request` in terms that frames know more of, of which texts are likely to have this; None for none."""
        return None

    def before(self, value: Any, lm: object) -> str:
        """What the causal model `lm` has read before the text."""
        return ""

    # the energy

    def hard(self, values: Sequence[Any]) -> Objective | None:
        """The hard term of inputs with these values."""
        return None

    def soft(self, values: Sequence[Any], judges: Judges) -> Objective | None:
        """The soft term of inputs with these values, which `weight` weighs."""
        return None


@dataclass(frozen=True)
class Phrases(Constraint):
    """Words and phrases."""

    empty: Any = ()

    def read(self, given: Any) -> tuple[str, ...]:
        """One string is one phrase."""
        from objectives.keywords import words

        own = ((given,) if given else ()) if isinstance(given, str) else strings(self.name, given, "words and phrases")
        for phrase in own:
            if not words(phrase):
                raise ValueError(f"{self.name} holds {shown(phrase)}, which has no word in it: leave it out")
        return own

    def typed(self, text: str) -> list[str]:
        """Apart by commas.

        >>> Phrases("required").typed("hot dog, park")
        ['hot dog', 'park']
        """
        return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]

    def said(self, value: tuple[str, ...]) -> str:
        """Apart by commas."""
        return ", ".join(value)

    def check_size(self, value: tuple[str, ...]) -> None:
        """Of all together."""
        check_phrases(self.name, value)


@dataclass(frozen=True)
class Bounds(Constraint):
    """The fewest and the most; None for no bound.

    Attributes:
        most: of either.
    """

    empty: Any = None
    metavar: str | None = "LOW-HIGH"
    sizes: bool = True
    most: int = MAX_WORDS

    def read(self, given: Any) -> tuple[int, int | None] | None:
        """One number is both."""
        name = self.name
        if given is None:
            return None
        must = "must be a whole number, or a pair, the fewest and the most, such as [6, 12] or [6, null]"
        number = plain_number(given)
        if isinstance(given, str | bytes | Mapping | bool) or not (
            isinstance(number, int) or isinstance(given, Iterable)
        ):
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
        if max(low, high or 0) > self.most:
            remedy = f"; [{low}, null] has no upper bound" if low <= self.most else ""
            raise ValueError(f"{name}={shown(given)} is above the limit of {self.most:,} {name} in one request{remedy}")
        return None if (low, high) == (0, None) else (low, high)

    def typed(self, text: str) -> list[int | None] | None:
        """As it is typed, None for no bound.

        >>> [Bounds("words").typed(text) for text in ("6-12", "8", "6-", "")]
        [[6, 12], [8, 8], [6, None], None]
        """
        import re

        if not text:
            return None
        found = re.fullmatch(r"([0-9]+)(-?)([0-9]*)", text, re.ASCII)
        if not found or (found[3] and not found[2]):
            raise ValueError(f"{shown(text)} is no range: write 6-12, 8 or 6-")
        if max(len(found[1].lstrip("0")), len(found[3].lstrip("0"))) > len(str(self.most)):
            raise ValueError(f"{shown(text)} is too much: {self.most:,} is the most")
        low = int(found[1].lstrip("0") or 0)
        high = int(found[3].lstrip("0") or 0) if found[3] else None if found[2] else low
        if high is not None and low > high:
            raise ValueError(f"{shown(text)} ends before it begins: write {high}-{low}")
        if max(low, high or 0) > self.most:
            raise ValueError(f"{shown(text)} is too much: {self.most:,} is the most")
        return [low, high]

    def said(self, value: tuple[int, int | None]) -> str:
        """As one says it."""
        low, high = value
        return f"{low} or more" if high is None else f"{low} to {high}" if low != high else str(low)

    def check_size(self, value: tuple[int, int | None]) -> None:
        """Looked at when it was read."""

    def least(self, value: tuple[int, int | None]) -> Mapping[str, int]:
        """The fewest."""
        return {self.name: value[0]}


def check_characters(name: str, value: str, most: int = MAX_CHARACTERS) -> None:
    """Refuse more characters than one request may have."""
    if len(value) > most:
        raise ValueError(
            f"{name} has {len(value):,} characters, above the limit of {most:,} in one request: shorten it"
        )


def check_phrases(name: str, phrases: Sequence[str]) -> None:
    """Refuse more words and phrases than one text can be about."""
    check_characters(name, "".join(phrases))
    if len(phrases) > MAX_PHRASES:
        raise ValueError(f"{name} has {len(phrases):,} phrases, above the limit of {MAX_PHRASES}: name fewer")


def check_count(name: str, value: Any, count: int) -> None:
    """Refuse more words than one request may fix."""
    if count > MAX_WORDS:
        raise ValueError(
            f"{name}={shown(value)} has {count:,} words and marks, above the limit of {MAX_WORDS} in one request: "
            "shorten it"
        )
