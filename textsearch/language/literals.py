r"""Literals: the parts of a text that are not words, and that an edit must not change.

Addresses, handles, code, names of files, numbers with their units and the marks of markdown; in a Chinese text also
what stands in Latin letters. Patterns alone decide, without a dictionary, in any language. A doubtful case counts as a
literal: a typing error that stays does less harm than a changed address. Every repetition is bounded or possessive, so
that no text takes long.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import regex

from textsearch.checks import strings
from textsearch.kinds import nature, shown

Span = tuple[int, int]
"""Where something begins in a text, and where it ends."""

_NUMBER = r"[+\-−±~]?[$€£¥₹]?\d++(?:[.,:/’'–-]\d++)*+"
_UNITS = r"""%|‰|°[ ]?[CFK]?|[kcmµn]?m[²³23]?(?:/s[²2]?)?|km/h|[mkµ]?g|lbs?|oz|ft|yd|mi|mph|kph|[mcd]?[lL]|gal|m?s
    |mins?|hrs?|h|secs?|[kMGT]?Hz|[kMGm]?Wh?|[km]?V|mA|mAh|Ω|k?J|k?cal|[kh]?Pa|psi|[kKMGTP]i?B|[kMG]bps|px|pt|dpi|rpm|fps|[ap]\.m\.
    |[aApP][mM]|[€£¥]|USD|EUR|GBP|JPY|INR|CNY|CHF|bn"""
_TIGHT_ONLY = r"in|A|K|N|k|M|B|x|st|nd|rd|th|s|ers?"
"""Units that are words or letters of their own: they are units where no space stands before them."""

_EXTENSIONS = """
com org net edu gov io co txt md rst py ipynb js ts jsx tsx css scss html htm xml json jsonl csv tsv pdf doc
docx xls xlsx ppt pptx odt rtf tex bib jpg jpeg png gif svg webp bmp ico mp3 mp4 wav flac ogg avi mov mkv yaml
yml toml ini cfg conf log sql db sqlite zip tar gz tgz bz2 xz rar exe dll msi apk dmg iso java jar cpp hpp hxx
cc rs go rb php pl sh bat ps1 swift kt lua vue wasm bin dat pkl npz safetensors
"""

_NAME = r"[\p{L}_][\p{L}\p{M}\p{N}_]*+"
_CODE_SIGN = r"[={}\\<>|]|\$\p{L}|\(\)|->|::|(?<![\w-])--?\p{L}|\p{L}_\p{L}|;(?=[^\p{L}]*$)"

PATTERNS: dict[str, str] = {
    "block of code": r"""```(?:[^`]++|`{1,2}(?!`)){1,5000}+``` | ~~~(?:[^~]++|~{1,2}(?!~)){1,5000}+~~~
        | (?<=^[ ]{0,3})(?:```|~~~)[^\n]{0,200}+\n(?s:.*+)""",
    "code within a line": r"(?P<tick>`{1,3})(?!`)[^`\n]{1,1000}+(?P=tick)(?!`)",
    "address": r"""(?:https?|ftp|file|ssh|git|mailto|tel|data)://?[^\s<>()\[\]"]*[\w/] | (?:mailto|tel):[\w.+@-]*\w
        | www\.[^\s<>()\[\]"]*[\w/]
        | [\w.+%-]{1,64}+@[\w-]{1,64}+(?:\.[\w-]{1,64}+){0,8}""",
    "link": r"""(?<=\])\([^()\s]{0,2000}+(?:[ ]"[^"\n]{0,200}+")?\) | (?<=\])\[[\w -]{0,64}+\] | !(?=\[)
        | \[(?:\^\w{1,32}+|\d{1,4}+)\]""",
    "tag": r"<[/!?\p{L}][^<>\n]{0,1000}+> | &\#?\w{1,32}+;",
    "quoted code": rf"""(?<!\w)(?P<quote>["'])(?=(?P<inner>[^\s"'][^\n"']{{0,200}}+)(?P=quote)(?!\w))
        (?=[^\n"']{{0,200}}?(?:{_CODE_SIGN}))(?P=inner)(?P=quote)
        | [“‘](?=[^\n“”‘’]{{1,200}}+[”’])(?=[^\n“”‘’]{{0,200}}?(?:{_CODE_SIGN}))[^\n“”‘’]{{1,200}}+[”’]""",
    "mathematics": r"\$(?=[^$\n]{0,200}[\\^_={])[^\s$][^$\n]{0,200}(?<!\s)\$(?!\d)",
    "line of a table": r"""(?<=^[ \t]{0,40})\|?[ ]{0,40}:?-{3,}+:?[ ]{0,40}+
            (?:\|[ ]{0,40}+:?-++:?[ ]{0,40}+)*+\|?(?=[ \t]{0,40}$)
        | \|""",
    "mark of a line": r"(?<=^[ \t>]{0,40})(?:\#{1,6}(?=\s)|[-*+•](?=[ \t])|\d{1,9}+[.)](?=\s)|>++) | \[[ xX]\](?=\s)",
    "option": r"(?<!\S)--\p{L}[\w-]*+(?:=[^\s,;]++)?+ | (?<!\S)-\p{L}(?=[\s.,]|$)",
    "variable": rf"\$\{{?{_NAME}\}}? | \{{\{{?[^{{}}\s]{{1,64}}+\}}\}}? | %(?:\(\w+\))?[sdif]\b",
    "call": rf"""(?<!\w){_NAME}(?:(?:\.|::|->){_NAME})*+\((?:|[^()\s]{{0,64}}[=_"'\d.,*&$\[\]][^()\s]{{0,64}})\)
        | \b\p{{L}}\(\p{{L}}(?:,?[\p{{L}}\d]){{0,8}}\) | (?<!\w){_NAME}(?:(?:::|->){_NAME})++""",
    "name of a file": rf"""[\w-]{{0,64}}+:?(?:\\[\w.-]{{0,64}}\w){{1,64}}
        | ~?[\w.-]{{0,64}}+(?:/[\w.-]{{0,64}}\w){{1,64}}/?
        | (?:[\w-]{{1,64}}+\.){{1,6}}(?:{"|".join(_EXTENSIONS.split())})\b(?!\.\p{{L}})
        | (?<![\w.])\.(?:gitignore|gitattributes|env|bashrc|zshrc|profile|editorconfig|dockerignore|npmrc)\b
        | \b(?:Makefile|Dockerfile)\b""",
    "handle": r"(?<![\p{L}\p{N}])[@\#][\p{L}\p{N}_](?:[\w.-]{0,64}\w)?",
    "identifier": r"""(?<![\p{L}\p{N}_])_{0,2}+[\p{L}\d]++(?:_+[\p{L}\d]++)++_{0,2}+ | __[\p{L}\d]++__
        | \b\p{Ll}++(?:\p{Lu}++\p{Ll}++)++\p{Lu}*+\d*+\b | \b\p{Ll}{2,}+\p{Lu}{2,}+\d*+\b
        | \b(?:\p{Lu}\p{Ll}++){2,}+\p{Lu}*+\d*+\b | \b[A-Z](?:\+\+|\#)(?!\w)""",
    "number": rf"""(?<![\p{{L}}\p{{N}}]){_NUMBER}(?:[ \xa0\u202f]?(?:{_UNITS})|(?:{_TIGHT_ONLY}))
            (?![\p{{L}}\p{{N}}/])
        | (?<!\d)\d++(?:[.,:/]\d++)*+\p{{L}}[\p{{L}}\d]*+
        | (?<![\p{{L}}\p{{N}}])\p{{L}}++(?:\d[\p{{L}}\d]*+(?:\.\d++)*+|-\d++(?!\w))
        | (?<![\p{{L}}\p{{N}}]){_NUMBER}
        | \d++""",
    "abbreviation": r"(?:\p{L}\.){2,} | \b(?:Mr|Mrs|Ms|Dr|Prof|Jr|Sr|vs)\.",
    "mask": r"\[MASK\]",
    "marks": r"(?P<sign>[*_~=\#+|-])(?P=sign)+ | (?<![\w*_])[*_](?=[^\s*_]) | (?<=[^\s*_])[*_](?![\w*_])",
}
"""Kind -> what it looks like; where two fit at one place, the first."""

_LITERAL = regex.compile(
    "|".join(f"(?:{pattern})" for pattern in PATTERNS.values()), regex.MULTILINE | regex.VERBOSE | regex.VERSION0
)


_LATIN_WORD = r"[\p{Latin}\p{M}\p{N}]{1,64}+[+#]{0,2}+"
_LATIN = regex.compile(
    rf"(?<![\p{{Latin}}\p{{N}}])(?=\p{{Latin}}){_LATIN_WORD}(?:[ .&'’·-]{{1,3}}{_LATIN_WORD}){{0,16}}+"
)
"""A name, or several words, in a text that is written in Chinese."""


def literals(text: str, words: Words | None = None, *, chinese: bool = False) -> list[Span]:
    """The spans of a text that must stay as they are, in order, without overlaps.

    Args:
        text: as it is written.
        words: more words to keep.
        chinese: whether the text is Chinese, where what stands in Latin letters is a name.

    >>> text = "Mail jon@exmaple.com the 5 kg of my_fucntion() for Kowalczyk."
    >>> [text[start:stop] for start, stop in literals(text, Words(["Kowalczyk"]))]
    ['jon@exmaple.com', '5 kg', 'my_fucntion()', 'Kowalczyk']
    >>> text = "我在New York用C#写。"
    >>> [text[start:stop] for start, stop in literals(text, chinese=True)]
    ['New York', 'C#']
    """
    found = [match.span() for match in _LITERAL.finditer(text)]
    if chinese:
        found += [match.span() for match in _LATIN.finditer(text)]
    return joined(found if words is None else [*found, *words.spans(text)])


_OPENING = regex.compile(
    rf"\s*+(?:(?:{PATTERNS['mark of a line']})\s*+)*+", regex.MULTILINE | regex.VERBOSE | regex.VERSION0
)
_TOUCHING = regex.compile(r"[\p{L}\p{M}\p{N}_*~`\#=+|\\/@<>^]")
_LINKED = regex.compile(r"!?\[[^\[\]\n]{0,1000}+\]$")


def opening(text: str) -> str:
    """The marks of a heading, an item or a quotation that a text begins with, and white space.

    >>> [opening(text) for text in ("## Title", "> - so", " 1. first", "1 dog", "#tag")]
    ['## ', '> - ', ' 1. ', '', '']
    """
    found = _OPENING.match(text)
    return found[0] if found else ""


def whole(text: str, spans: Iterable[Span]) -> list[str]:
    """Parts of a text that stay what they are wherever they stand: each with the letters and marks that touch it.

    >>> text = "See **very *odd* things**, [my page](http://a.b/c) and Bob's 5 kg."
    >>> whole(text, literals(text, Words(["Bob"])))
    ['**very', '*odd*', 'things**', '[my page](http://a.b/c)', 'Bob', '5 kg']
    """
    wide: list[Span] = []
    for start, stop in spans:
        while start > 0 and _TOUCHING.match(text, start - 1):
            start -= 1
        while stop < len(text) and _TOUCHING.match(text, stop):
            stop += 1
        if text[start] in "([" and (linked := _LINKED.search(text[:start])):
            start = linked.start()
        while wide and wide[-1][1] >= start:
            start, stop = min(start, wide[-1][0]), max(stop, wide.pop()[1])
        wide.append((start, stop))
    return [text[start:stop] for start, stop in wide]


def joined(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; overlapping ones are merged.

    >>> joined([(4, 6), (0, 2), (1, 3), (6, 7)])
    [(0, 3), (4, 6), (6, 7)]
    """
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


@final
@dataclass(frozen=True)
class Words:
    """Words that a user wants kept, such as names and technical terms, as listed or with an initial capital.

    Attributes:
        words: each may hold spaces.

    >>> Words(["kubectl"]).spans("Kubectl is no kubectls.")
    [(0, 7)]
    """

    words: Sequence[str]
    _pattern: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        listed = {" ".join(word.split()) for word in strings("keep", self.words, "words")} - {""}
        listed |= {word[:1].upper() + word[1:] for word in listed}
        # a letter at the edge of a word ends it; a mark there needs nothing
        letter = r"[\p{L}\p{M}\p{N}_]"
        # and so does a Chinese character, which stands beside others without a space
        pattern = (
            rf"(?:(?<!{letter})|(?!{letter})|(?=\p{{Han}}))\L<listed>(?:(?!{letter})|(?<!{letter})|(?<=\p{{Han}}))"
        )
        object.__setattr__(self, "_pattern", regex.compile(pattern, listed=sorted(listed, key=len, reverse=True)))
        object.__setattr__(self, "words", tuple(self.words))

    def spans(self, text: str) -> list[Span]:
        """The places in a text where the words stand."""
        return [match.span() for match in self._pattern.finditer(text)] if self.words else []


Keep = bool | Sequence[str] | str | os.PathLike[str]
"""What is to be kept: literals or nothing; literals and some words; literals and the words of a file, one a line."""


@final
@dataclass(frozen=True)
class Kept:
    """Which parts of texts must stay as they are.

    Attributes:
        on: whether literals are kept at all.
        words: kept with them.
        chinese: whether the texts are Chinese.
    """

    on: bool
    words: Words = field(default_factory=lambda: Words(()))
    chinese: bool = False

    @staticmethod
    def of(keep: Keep, *, chinese: bool = False) -> Kept:
        """From the argument `keep` of a task on texts that may be Chinese; reads the file if one is named.

        Raises:
            TypeError: neither True, False, a list of words nor the name of a file.
            ValueError: no such file, or one that is no text.
        """
        remedy = "pass True, False, a list of words, or the name of a file of words, one a line"
        if isinstance(keep, bool):
            return Kept(keep, chinese=chinese)
        if isinstance(keep, str | os.PathLike):
            name = os.fspath(keep)
            try:
                lines = Path(os.fsdecode(name)).read_text(encoding="utf-8-sig").splitlines()
            except (OSError, ValueError) as error:  # an undecodable text is a ValueError, and so is a name with a NUL
                why = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else "is no file that can be read"
                raise ValueError(f"keep={shown(name)} {why}: {remedy}") from error
            return Kept(True, Words([line for line in lines if line.strip()]), chinese)
        try:
            return Kept(True, Words(strings("keep", keep, "words")), chinese)
        except TypeError as error:
            if isinstance(keep, Sequence):
                raise
            raise TypeError(f"keep={shown(keep)} is {nature(keep)}: {remedy}") from error

    def spans(self, text: str) -> list[Span]:
        """The spans of a text that must stay as they are."""
        return literals(text, self.words, chinese=self.chinese) if self.on else []
