"""How a user writes a set of keywords in one line. Light to import."""

from __future__ import annotations

import re

BETWEEN = {"en": r"\s+", "zh": r"[\s,，、;；]+"}
"""Code of a language -> a regular expression of what stands between the keywords of a set."""

_COMMAS = re.compile(r"[,，]")


def keywords_of(line: str, lang: str = "en") -> list[str]:
    """The keywords of one set as a user writes them.

    >>> keywords_of("dog frisbee"), keywords_of("hot dog, park")
    (['dog', 'frisbee'], ['hot dog', 'park'])
    >>> keywords_of("春天 公园 孩子", "zh") == keywords_of("春天、公园，孩子", "zh") == ["春天", "公园", "孩子"]
    True
    """
    # in a language with spaces a phrase may hold some, if there are commas to tell the phrases apart
    phrases = lang == "en" and _COMMAS.search(line)
    return [part.strip() for part in re.split(_COMMAS if phrases else BETWEEN[lang], line) if part.strip()]
