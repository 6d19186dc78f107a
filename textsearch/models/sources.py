"""Texts with gaps: what stands around the gaps is kept character by character, whatever the tokenizer makes of it.

A tokenizer may fold capitals, accents and spaces, or have no piece for a character. The text of the frozen tokens is
known: the user wrote it. So a row is rendered as that text, with the words of its editable tokens in the gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import regex

_BEGINS = regex.compile(r"(?:^|[.!?]['\"’”)\]]*\s|\n)\s*['\"‘“(\[]*$")


@final
@dataclass(frozen=True)
class Source:
    """A text with gaps.

    Attributes:
        literals: of each kept token, the characters from the end of what is before it up to its own end.
        gaps: number of kept tokens before a gap -> the characters between them and the gap, for each gap there.
        tail: the characters behind the last kept token or gap.
        stems: (number of kept tokens before a gap, number of a word in it) -> how that word begins, as it was written.
        space: what stands between two words of one gap.
    """

    literals: tuple[str, ...]
    gaps: Mapping[int, tuple[str, ...]]
    tail: str
    stems: Mapping[tuple[int, int], str] = field(default_factory=dict)
    space: str = " "

    @staticmethod
    def of(
        parts: Sequence[str],
        ends: Sequence[Sequence[int]],
        stems: Mapping[int, str] | None = None,
        space: str = " ",
    ) -> Source:
        """The text whose `parts` stand between gaps; `ends[i]` are the ends of the tokens of part i, in characters.

        `stems` has how the words of some gaps begin, by the number of the gap: the one behind part 0 is gap 0.

        >>> source = Source.of(["The old ", " ran."], [[3, 7], [4, 5]], {0: "Wal"})
        >>> source.literals, source.gaps, source.stems
        (('The', ' old', ' ran', '.'), {2: (' ',)}, {(2, 0): 'Wal'})
        """
        literals: list[str] = []
        gaps: dict[int, tuple[str, ...]] = {}
        begun: dict[tuple[int, int], str] = {}
        for number, (part, own) in enumerate(zip(parts, ends, strict=True)):
            done = 0
            for end in own:
                literals.append(part[done:end])
                done = max(done, end)
            if number < len(parts) - 1:
                if stems and number in stems:
                    begun[len(literals), len(gaps.get(len(literals), ()))] = stems[number]
                gaps[len(literals)] = (*gaps.get(len(literals), ()), part[done:])
        return Source(tuple(literals), gaps, part[done:], begun, space)

    def strings(
        self,
        row: Sequence[int],
        editable: Sequence[bool],
        begins: Sequence[bool],
        written: Callable[[list[int], str], list[str]],
    ) -> list[str]:
        """What each token of a row adds to the text, the tail apart; together they are the text.

        Args:
            row: tokens.
            editable: whether each is of a gap.
            begins: whether each begins a word.
            written: (tokens of a word, the text before it) -> what each of them adds.
        """
        found: list[str] = []
        kept = words = 0
        for tokens, is_kept in runs(row, editable, begins):
            if is_kept:
                found.append(self.literals[kept])
                kept += 1
                words = 0
            else:
                words += 1
                own = self.gaps.get(kept, ())
                before = own[words - 1] if words <= len(own) else self.space
                first, *rest = beginning(
                    written(tokens, "".join(found) + before), self.stems.get((kept, words - 1), "")
                )
                found += [before + first, *rest]
        return found


def beginning(word: Sequence[str], stem: str) -> list[str]:
    """A word in parts, with as many of its characters as `stem` has as they are there.

    >>> beginning(["mc", "donald"], "McD")
    ['Mc', 'Donald']
    """
    found = []
    for part in word:
        found.append(stem[: len(part)] + part[len(stem) :])
        stem = stem[len(part) :]
    return found


def runs(row: Sequence[int], editable: Sequence[bool], begins: Sequence[bool]) -> Iterator[tuple[list[int], bool]]:
    """Kept tokens one by one, and the words of the others; with whether they are kept."""
    word: list[int] = []
    # the flags go on beyond the end of the row
    for token, is_open, is_first in zip(row, editable, begins, strict=False):
        if word and (is_first or not is_open):
            yield word, False
            word = []
        if is_open:
            word.append(token)
        else:
            yield [token], True
    if word:
        yield word, False


def begins_sentence(before: str) -> bool:
    """Whether a sentence begins behind this text.

    >>> [begins_sentence(text) for text in ("", "It rains. ", "He said: “", "In the ", 'Go! "')]
    [True, True, False, False, True]
    """
    return _BEGINS.search(before) is not None
