"""A second line to the first one of a couplet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from textsearch.tasks.constraints.base import Constraint, Judges, Rules, WordRule, check_count

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class CoupletConstraint(Constraint):
    """The text is the second line of a Chinese couplet: its form is hard, parallel parts of speech are soft."""

    name: str = "couplet"
    help: str = "The first line of a Chinese couplet, to which it is the second."
    drafts: bool = False
    sizes: bool = True
    fixed_length: bool = True
    weight: str = "couplet_weight"

    def check_size(self, value: str) -> None:
        """A character is a word."""
        Constraint.check_size(self, value)
        check_count(self.name, value, len(value))

    def check(self, value: str, request: Any) -> None:
        """Its form says all of the text's layout."""
        for name in ("template", "acrostic", "regex"):
            if getattr(request, name) not in ("", laid_out(value)):
                raise ValueError(f"couplet={value!r} lays out the whole line: leave {name} out")

    def rules(self, value: str) -> Rules:
        """Of each character."""
        from objectives import Couplet
        from objectives.couplet import FirstLine

        term, first = Couplet(value), FirstLine.of(value)
        return Rules(at=tuple(WordRule(*term.fits(first, place)) for place in range(len(first.words))))

    def restated(self, value: str, request: Any) -> Any:
        """With a template that has the marks of the first line."""
        return request.but(template=laid_out(value))

    def before(self, value: str, lm: object) -> str:
        """A request to a chat model; the line itself to any other."""
        from textsearch.models.protocols import asked
        from textsearch.tasks.prompts import COUPLETS

        return asked(lm, COUPLETS.before + value, COUPLETS.turns()) or value.rstrip("，。") + "，"

    def hard(self, values: Sequence[str]) -> Objective:
        """`objectives.Couplet`."""
        from objectives import Couplet

        return Couplet(values)

    def soft(self, values: Sequence[str], judges: Judges) -> Objective:
        """`objectives.ParallelSpeech`."""
        from objectives import ParallelSpeech

        return ParallelSpeech(values)


def laid_out(value: str) -> str:
    """A template with the marks of a first line.

    >>> laid_out("海内存知己，天涯若比邻")
    '*{5}，*{5}。'
    """
    from objectives.couplet import FirstLine

    first = FirstLine.of(value)
    ends = [*first.marks, (len(first.words), "。")]
    starts = [0, *(place for place, _ in first.marks)]
    return "".join(f"*{{{place - start}}}{mark}" for start, (place, mark) in zip(starts, ends, strict=True))
