"""Fixed parts of a text, and the gaps between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textsearch.checks import MAX_WORDS
from textsearch.kinds import shown
from textsearch.tasks.constraints.base import Constraint, check_count

if TYPE_CHECKING:
    from textsearch.objective import Objective

MAX_GAPS = 40
"""Of one template."""


@final
@dataclass(frozen=True)
class TemplateConstraint(Constraint):
    """The text consists of fixed parts in order, and words in gaps; see `objectives.template.parse`."""

    name: str = "template"
    help: str = "Fixed parts, and * for one word or more, *{2,4} for two to four."
    drafts: bool = False

    def check_size(self, value: str) -> None:
        """In characters, words, gaps, and words of a gap."""
        from objectives.keywords import words
        from objectives.template import Gap, parse

        Constraint.check_size(self, value)
        check_count(self.name, value, len(words(value)))
        gaps = [part for part in parse(value) if isinstance(part, Gap)]
        if len(gaps) > MAX_GAPS:
            raise ValueError(
                f"template={shown(value)} has {len(gaps)} gaps, above the limit of {MAX_GAPS} in one request: take "
                "fewer"
            )
        for gap in gaps:
            if max(gap.low, gap.high or 0) > MAX_WORDS:
                raise ValueError(
                    f"template={shown(value)} has a gap of {max(gap.low, gap.high or 0):,} words, above the limit of "
                    f"{MAX_WORDS} in one request: narrow it, or write * for a gap of any length"
                )

    def written(self, value: str) -> Sequence[str]:
        """What stands between the gaps."""
        from objectives.template import Gap, parse

        return [part for part in parse(value) if not isinstance(part, Gap)]

    def hard(self, values: Sequence[str]) -> Objective:
        """`objectives.Template`."""
        from objectives import Template

        return Template(values)
