"""Settings that are lists of lines, or the name of a file of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textsearch.checks import strings
from textsearch.kinds import shown

if TYPE_CHECKING:
    from textsearch.language.literals import Keep

Listed = Sequence[str] | str | os.PathLike[str]
"""Lines of characters that are mistaken for others, or the name of a file of them."""
Sentences = Sequence[str] | str | os.PathLike[str]
"""Sentences, or the name of a file with one a line."""


def check_keep(words: Keep) -> Keep:
    """The setting `keep`; a list of words is read once, should it be a generator."""
    from textsearch.language.literals import Kept

    if not isinstance(words, bool | str | os.PathLike):
        # what is no list of words is told by `Kept`
        words = words if isinstance(words, str | bytes) or not hasattr(words, "__iter__") else tuple(words)
    Kept.of(words)
    return words


def check_listed(lines: Listed) -> tuple[str, ...]:
    """The setting `listed`: the lines, read from their file if one is named."""
    from textsearch.language.chinese_confusions import lines_of_file, listed_in

    if isinstance(lines, str | os.PathLike):
        lines = lines_of_file(lines)
    lines = tuple(strings("listed", lines, "lines"))
    listed_in(lines)
    return lines


def check_sentences(lines: Sentences) -> tuple[str, ...]:
    """The setting `sentences`: those that hold something, read from their file if one is named.

    Raises:
        ValueError: a file that cannot be read.
    """
    if isinstance(lines, str | os.PathLike):
        name = os.fspath(lines)
        try:
            lines = Path(name).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:  # an undecodable text is a ValueError, and so is a name with a NUL
            why = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else "is no file that can be read"
            raise ValueError(f"sentences={shown(name)} {why}: name a file of sentences, one a line") from error
    return tuple(line.strip() for line in strings("sentences", lines, "sentences") if line.strip())
