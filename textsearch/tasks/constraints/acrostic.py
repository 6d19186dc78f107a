"""What the first letters of the words of a text spell; of its lines, in Chinese."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from textsearch.tasks.constraints.base import Constraint, Rules, WordRule, check_count

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class AcrosticConstraint(Constraint):
    """The first letters of all words spell this."""

    name: str = "acrostic"
    help: str = "What the first letters of its words spell; of its lines, in Chinese."
    drafts: bool = False
    sizes: bool = True
    fixed_length: bool = True

    def check_size(self, value: str) -> None:
        """A letter is a word."""
        Constraint.check_size(self, value)
        check_count(self.name, value, len(value))

    def least(self, value: str) -> Mapping[str, int]:
        """A word for each letter."""
        return {"words": len("".join(value.split()))}

    def check(self, value: str, request: Any) -> None:
        """What is fixed begins so, and there is room for it."""
        from objectives.acrostic import initials

        letters = letters_of(value)
        low, high = request.words or (0, None)
        if len(letters) < low or (high is not None and len(letters) > high):
            raise ValueError(
                f"acrostic={value!r} makes a text of {len(letters)} words, which words={request.words} forbids"
            )
        given = Counter("".join(initials(text) for _, _, text in request.fixed()))
        for letter, count in Counter(letters).items():
            if not letter.isalpha() and count > given[letter]:
                raise ValueError(
                    f"acrostic={value!r} holds {letter!r}, with which no word begins: take letters, or give the words "
                    "that begin so as required"
                )
        for name, fits in (("prefix", letters.startswith), ("suffix", letters.endswith)):
            own = initials(getattr(request, name))
            if own and not fits(own):
                raise ValueError(
                    f"{name}={getattr(request, name)!r} contradicts acrostic={value!r}: its words begin with {own!r}"
                )
        for phrase in request.required:
            if initials(phrase) not in letters:
                raise ValueError(
                    f"required={phrase!r} contradicts acrostic={value!r}: no such words begin with {initials(phrase)!r}"
                )
        if request.needed > len(letters):
            raise ValueError(
                f"acrostic={value!r} has room for {len(letters)} words, but {request.needed} are asked for"
            )

    def check_words(self, value: str, request: Any, known: Callable[[WordRule], bool]) -> None:
        """Some word begins with each letter that nothing given begins with."""
        from objectives.acrostic import initials

        own = "".join(initials(text) for _, _, text in request.fixed())
        for letter in letters_of(value):
            if letter not in own and not known(_begins(letter)):
                raise ValueError(
                    f"acrostic={value!r} holds {letter!r}, with which no word of the masked model begins: take another "
                    "letter, or give the words that begin so as required"
                )

    def rules(self, value: str) -> Rules:
        """Of each word."""
        return Rules(at=tuple(map(_begins, letters_of(value))))

    def restated(self, value: str, request: Any) -> Any:
        """Chinese acrostics as lines."""
        from textsearch.tasks.verses import in_lines

        return in_lines(request)

    def hard(self, values: Sequence[str]) -> Objective:
        """`objectives.Acrostic`."""
        from objectives import Acrostic

        return Acrostic(values)


def letters_of(value: str) -> str:
    """The letters that are spelled, case folded."""
    from objectives import Acrostic

    return str(Acrostic(value).letters[0])


def _begins(letter: str) -> WordRule:
    return WordRule(("begins with", letter), lambda word: word.startswith(letter))
