"""Template: fixed parts in order, with gaps of unknown length between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, final

import regex
from torch import Tensor

from objectives.freezing import Kept, freeze_words
from objectives.keywords import words
from objectives.text_features import is_mark, words_per_input, zero_or_inf
from textsearch.batch import Batch
from textsearch.checks import flag, keep
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline, Room
from textsearch.per_input import PerInput

_GAP = regex.compile(r"\*(?:\{(?P<low>\d*)(?P<comma>,)?(?P<high>\d*)\})?")
_WORD, _MARK = r"[\p{L}\p{M}\p{N}][^ ]* ", r"[^\p{L}\p{M}\p{N} ][^ ]* "


@final
@dataclass(frozen=True)
class Gap:
    """Room for `low` to `high` words, without an upper bound if that is None; marks of punctuation do not count."""

    low: int = 1
    high: int | None = None


def parse(template: str) -> tuple[str | Gap, ...]:
    """The fixed parts and the gaps of a template, in order.

    `*` is a gap of one word or more, `*{2,4}` one of two to four, `*{3}` of three, `*{0,}` of any number.

    >>> parse("The * ran to the *{1,2}.")
    ('The', Gap(low=1, high=None), 'ran to the', Gap(low=1, high=2), '.')
    """
    parts: list[str | Gap] = []
    end = 0
    for found in _GAP.finditer(template):
        parts += [template[end : found.start()].strip(), _gap(template, found)]
        end = found.end()
    parts.append(template[end:].strip())
    return tuple(part for part in parts if part != "")


@final
@dataclass(frozen=True)
class Template(Objective):
    """The text consists of the fixed parts in their order and words in the gaps: energy 0, or +inf.

    Case does not count. What a template begins or ends with the text begins or ends with; marks of punctuation behind
    a last fixed part are free, unless it ends with one itself.

    With `freeze_tokens` the fixed parts in the starting texts, at the first places that fit, are made uneditable, and
    nothing is put in between the words of one part. Chains sample exp(-E / T) over the texts that fit the template and
    hold those very tokens in their order, capitals included. Each counts once, in however many ways it fits: see
    `textsearch.marks`.

    Attributes:
        template: see `parse`; one for all inputs or one for each.
        freeze_tokens: as above.

    Raises:
        ValueError: a template without a gap, or a gap whose bounds are in the wrong order.

    >>> from textsearch.testing import letters
    >>> batch = letters("abc .").encode(["a b c.", "a c", "a b b c", "b c"])
    >>> Template("A * c").energy(batch).tolist(), Template("a *{0,1} c").energy(batch).tolist()
    ([0.0, inf, 0.0, inf], [0.0, 0.0, inf, inf])
    """

    template: str | Sequence[str]
    _: KW_ONLY
    freeze_tokens: bool = True
    _templates: PerInput[str] = field(init=False, repr=False, compare=False)
    _compiled: PerInput[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = words_per_input("template", self.template)
        keep(self, template=given.values, _templates=given, _compiled=given.map(_compile))
        keep(self, freeze_tokens=flag("freeze_tokens", self.freeze_tokens))

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that fit, +inf for the others."""
        return zero_or_inf(batch, lambda text, number: self._fit(words(text), number) is not None)

    def check(self, batch: Batch) -> None:
        """Each input has its template."""
        self._templates.check(batch)

    def freeze(self, batch: Batch) -> Batch:
        """The fixed parts uneditable, unless `freeze_tokens=False`."""
        return freeze_words(batch, words, self._kept) if self.freeze_tokens else batch

    def outline(self, number: int) -> Outline:
        """The fixed parts, and the gaps as room."""
        parts = parse(self._templates.of(number))
        return Outline(tuple(Room(part.low, part.high) if isinstance(part, Gap) else (part,) for part in parts))

    def _fit(self, text: Sequence[str], number: int) -> Any:
        return self._compiled.of(number).fullmatch("".join(word + " " for word in text))

    def _kept(self, text: Sequence[str], number: int) -> Kept:
        """The words that make up the fixed parts."""
        found = self._fit(text, number)
        if found is None:
            return Kept([])
        spans = [found.span(group + 1) for group in range(found.re.groups)]
        before = found.string.count
        first, last = (parse(self._templates.of(number))[place] for place in (0, -1))
        return Kept(
            [(before(" ", 0, a), before(" ", 0, b)) for a, b in spans],
            begins=isinstance(first, str),
            ends=isinstance(last, str) and is_mark(words(last)[-1]),
        )


def _gap(template: str, found: Any) -> Gap:
    low, comma, high = found["low"], found["comma"], found["high"]
    if low is None or not (low or high):
        return Gap() if not comma else Gap(0)
    gap = Gap(int(low or 0), int(high) if high else None if comma else int(low))
    if gap.high is not None and gap.low > gap.high:
        raise ValueError(f"the gap {found[0]!r} of the template {template!r} has its bounds in the wrong order")
    return gap


def _compile(template: str) -> Any:
    """A regular expression over words with a space behind each, one group for each fixed part."""
    parts = parse(template)
    if not any(isinstance(part, Gap) for part in parts):
        raise ValueError(f"template={template!r} has no gap: write * where words are to be filled in")
    expression = ""
    for part in parts:
        if isinstance(part, Gap):
            high = "" if part.high is None else part.high
            expression += rf"(?:{_MARK})*?(?:{_WORD}(?:{_MARK})*?){{{part.low},{high}}}?"
        else:
            expression += "(" + regex.escape("".join(word + " " for word in words(part))) + ")"
    last = parts[-1]
    if isinstance(last, str) and not is_mark(words(last)[-1]):
        expression += rf"(?:{_MARK})*"
    return regex.compile(expression)
