"""What the last word of a text rhymes with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from textsearch.tasks.constraints.base import Constraint, Rules, WordRule

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class RhymeConstraint(Constraint):
    """The last word rhymes with this one."""

    name: str = "rhyme"
    help: str = "What its last word rhymes with."
    drafts: bool = False

    def check(self, value: str, request: Any) -> None:
        """A fixed end rhymes, and so may a word that begins as an acrostic wants it."""
        from objectives.rhyme import last_word, rhymes
        from objectives.template import Gap

        among = rhymes(last_word(value))
        ways = request.layouts()
        # a mark alone ends no word: what stands before it is free
        ends = [" ".join(way[-1]) for way in ways if not isinstance(way[-1], Gap) and last_word(" ".join(way[-1]))]
        if len(ends) == len(ways) and not any(last_word(end) in among for end in ends):
            raise ValueError(f"rhyme={value!r} contradicts the end {ends[0]!r}, which does not rhyme with it")
        for source, rules in request.rules_by_name():
            if rules.at and not any(map(rules.at[-1].holds, among)):
                kind, letter = rules.at[-1].key
                raise ValueError(
                    f"rhyme={value!r} contradicts {source}={getattr(request, source)!r}: no word that rhymes {kind} "
                    f"{letter!r}"
                )

    def rules(self, value: str) -> Rules:
        """Of the last word."""
        from objectives.rhyme import last_word, rhymes

        among = rhymes(last_word(value))
        return Rules(last=WordRule(("rhymes with", value), lambda word: last_word(word) in among))

    def hard(self, values: Sequence[str]) -> Objective:
        """`objectives.Rhyme`."""
        from objectives import Rhyme

        return Rhyme(values)
