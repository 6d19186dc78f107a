"""Acrostics in Chinese (cang tou): lines of one length, the first character of each given."""

from __future__ import annotations

from typing import Any

import regex

LINE = 7
"""Characters of a line, as in most verse, where the request does not say how many there are in all."""


def in_lines(request: Any) -> Any:
    """A `Request` whose acrostic is Chinese as one for lines that begin so; any other as it is.

    Spelled by the first letters of words, as elsewhere, four characters would be the whole text: each is a word.

    Raises:
        ValueError: an acrostic together with a template or a regular expression, or one with no room for its lines.

    >>> from textsearch.tasks.request import Request
    >>> in_lines(Request(acrostic="春夏")).template
    '春*{6}，夏*{6}。'
    >>> in_lines(Request(acrostic="春夏", characters=12)).template
    '春*{4}，夏*{4}。'
    >>> in_lines(Request(acrostic="dog")).acrostic
    'dog'
    """
    letters = "".join(request.acrostic.split())
    if not regex.fullmatch(r"\p{Han}+", letters):
        return request
    if request.template or request.regex:
        raise ValueError(f"acrostic={request.acrostic!r} lays out every line: leave template and regex out")
    # each line ends with a mark
    low, high = request.characters or (0, None)
    size = LINE if high is None else high // len(letters) - 1
    if size < 1 or len(letters) * (size + 1) < low:
        raise ValueError(
            f"characters={request.characters} has no room for {len(letters)} lines of one length, each with a mark of "
            f"punctuation: take a multiple of {len(letters)}"
        )
    gap, more = (f"*{{{size - 1}}}", rf"\p{{Han}}{{{size - 1}}}") if size > 1 else ("", "")
    return request.but(
        acrostic="",
        template="，".join(letter + gap for letter in letters) + "。",
        regex="^" + "，".join(letter + more for letter in letters) + "。$",
    )
