"""What counts as one sentence where keywords hold marks of their own, such as "Mr. Smith" or "3.5 percent"."""

from __future__ import annotations

from collections.abc import Iterable

import regex

from objectives.keywords import Template, one_character_words
from objectives.text_features import is_mark

ENDS = ".!?"
"""Marks that end a sentence in English."""


def marked(phrases: Iterable[Template], ends: str = ENDS) -> str:
    """A regular expression of the phrases that hold a mark which ends sentences; empty if none of them does.

    Args:
        phrases: for each of their words the forms that will do, as `Keywords.forms` gives them.
        ends: such marks.

    >>> from objectives import Keywords
    >>> bool(marked([Keywords(["dog"]).forms("dog")]))
    False
    >>> found = marked([Keywords(["Mr. Smith"]).forms("Mr. Smith")])
    >>> [bool(regex.fullmatch(found, text)) for text in ("mr. smith", "Mr . Smith", "Mr.Smith", "Mr. Smi")]
    [True, True, True, False]
    """
    own = [phrase for phrase in phrases if any(mark in form for forms in phrase for form in forms for mark in ends)]
    # the longest first: "U.S. economy" before "U.S."
    return "|".join(dict.fromkeys(_spelled(phrase) for phrase in sorted(own, key=len, reverse=True)))


def sentence(kept: str = "", ends: str = ENDS) -> str:
    """A regular expression of one sentence, with an end: the marks `ends` stand at its end and inside phrases only.

    Args:
        kept: of the phrases, see `marked`.
        ends: marks that end sentences.

    >>> from objectives import Keywords
    >>> one = sentence(marked([Keywords(["Mr. Smith"]).forms("Mr. Smith")]))
    >>> [bool(regex.search(one, text)) for text in ("Mr. Smith ran.", "Mr. Jones ran.", "Mr. Smith ran. So", "He ran")]
    [True, False, False, False]
    """
    inner = rf"(?:{kept})|[^{ends}]" if kept else rf"[^{ends}]"
    # a phrase that ends with a mark may end the sentence
    return rf"^(?:{inner})*(?:[{ends}]|(?<=[{ends}]))$" if kept else rf"^[^{ends}]*[{ends}]$"


def _spelled(phrase: Template) -> str:
    """The phrase in a text, whatever its capitals; marks may stand apart from words or not."""
    made = ""
    for number, forms in enumerate(phrase):
        if number:
            made += r"\s*" if _bare(forms) or _bare(phrase[number - 1]) else r"\s+"
        made += f"(?:{'|'.join(_escaped(form) for form in sorted(forms, key=len, reverse=True))})"
    begin = "" if _bare(phrase[0]) else r"(?<![\p{L}\p{M}\p{N}])"
    end = "" if _bare(phrase[-1]) else r"(?![\p{L}\p{M}\p{N}])"
    return f"(?i:{begin}{made}{end})"


def _bare(forms: frozenset[str]) -> bool:
    """Whether no space need stand beside: a mark, or a word of a script written without spaces."""
    return any(is_mark(form) or one_character_words(form) for form in forms)


def _escaped(form: str) -> str:
    # `objectives.keywords.words` reads all apostrophes and hyphens alike
    return "".join("['\u2019]" if c == "'" else "[-\u2010\u2011]" if c == "-" else regex.escape(c) for c in form)
