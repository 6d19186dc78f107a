"""From pieces to surface text: a deterministic rendering, so that a model with another tokenizer reads plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import final

import regex

_LEFT = set(",.;:!?)]}%'’”…，。！？；：、）》」")
_RIGHT = set("([{$#“‘")  # not the pound nor the euro: WordPiece reads "£5" as one word, and "£ 5" as two
_CONTRACTED = {"s", "t", "re", "ve", "ll", "d", "m"}
_CJK = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}，。！？；：、（）《》「」“”‘’]")
_ENDS = {".", "!", "?"}
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_BREAK = regex.compile(r"[.!?]\s|\n")


def join_words(words: list[str]) -> str:
    """Words and punctuation marks as text, without a space where none belongs.

    >>> join_words(["well", ",", "it", "'", "s", "a", "two", "-", "way", "street", "(", "here", ")", "."])
    "well, it's a two-way street (here)."
    >>> join_words(["今", "天", "很", "好", "。"])
    '今天很好。'
    """
    text, glue, open_quote = "", True, False
    for i, word in enumerate(words):
        before = words[i - 1] if i else ""
        tight = glue or word in _LEFT or word == "-" or (bool(before) and _both_cjk(before, word))
        if word in {".", ","} and before.isdigit() and i + 1 < len(words) and words[i + 1].isdigit():
            tight, glue_next = True, True
        else:
            glue_next = word in _RIGHT or word == "-"
        if word == '"':
            tight = glue or open_quote
            open_quote = not open_quote
            glue_next = open_quote
        if word in {"'", "’"}:
            contracted = i + 1 < len(words) and words[i + 1] in _CONTRACTED
            tight, glue_next = True, contracted
        text += word if tight else " " + word
        glue = glue_next
    return text


def _both_cjk(left: str, right: str) -> bool:
    return bool(_CJK.match(left[-1])) and bool(_CJK.match(right[0]))


@cache
def proper_names() -> dict[str, str]:
    """Lower-case words that English writes with capitals ("london" -> "London"), from the packaged list."""
    lines = (Path(__file__).parent / "proper_names_en.txt").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in lines}


_TIMES = frozenset(
    (
        "in",
        "at",
        "on",
        "of",
        "from",
        "to",
        "since",
        "until",
        "till",
        "by",
        "during",
        "last",
        "next",
        "early",
        "mid",
        "late",
    )
)
_AFTER_VERBS = frozenset(
    [
        *("be", "have", "not", "also", "never", "only", "well", "even", "still", "help", "make", "take", "get", "go"),
        *("come", "leave", "change", "need", "want", "lose", "find", "see", "think", "say", "do", "cause", "lead"),
        *("happen", "use", "become", "seem", "give", "feel", "like", "try", "know", "look", "appear"),
    ]
)


def is_month(before: str, after: str) -> bool:
    """Whether "may" is no verb between two words, but a month: "in may", "may 5".

    >>> is_month("in", "we"), is_month("we", "come"), is_month("on", "5"), is_month("early", "leave")
    (True, False, True, False)
    """
    beside_a_number = before[:1].isdigit() or after[:1].isdigit()
    return beside_a_number or (before.lower() in _TIMES and after.lower() not in _AFTER_VERBS)


def capitals_of(text: str, others: Iterable[str] = (), plain: Callable[[str], str] = str.lower) -> dict[str, str]:
    """Words of a text in plain form -> as the text writes them within a sentence; empty for a text without capitals.

    The capital of a word at the beginning of a sentence says nothing; there `others`, texts about the same, decide.

    Args:
        text: as it was written.
        others: texts with capitals of their own.
        plain: the form of a word that is looked up.

    >>> capitals_of("Xiomara met NASA in May.", ["In May, NASA met Xiomara."])
    {'met': 'met', 'nasa': 'NASA', 'in': 'in', 'may': 'May', 'xiomara': 'Xiomara'}
    """
    if text == text.lower():
        return {}
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for word, begins in _words(text):
        (first if begins and word[1:] == word[1:].lower() else found).setdefault(plain(word), word)
    votes = Counter(
        (key, word[:1].isupper())
        for other in others
        for word, begins in _words(other)
        if (key := plain(word)) and not begins
    )
    return found | {
        key: word for key, word in first.items() if key not in found and votes[key, True] > votes[key, False]
    }


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """The words of a text, and whether each begins a sentence."""
    end = None
    for match in _WORD.finditer(text):
        yield match[0], end is None or bool(_BREAK.search(text[end : match.start()]))
        end = match.end()


Spellings = Mapping[tuple[str, ...], str]
"""Words one after another, in the form of a tokenizer -> as they are to be written."""

_NONE: Spellings = MappingProxyType({})


@final
class AsWritten(str):
    """A spelling that no capital is given to at the beginning of a sentence either: an address, or a name of code."""

    __slots__ = ()


def truecase(words: list[str], spellings: Spellings = _NONE) -> list[str]:
    """Lower-cased English words with their capitals put back: at sentence starts, in names, and "I".

    Args:
        words: in lower case.
        spellings: how some of them are written, alone or one after another, whatever the list of names says.

    >>> truecase(["the", "dog", "met", "i", "in", "london", ".", "good", "!"])
    ['The', 'dog', 'met', 'I', 'in', 'London', '.', 'Good', '!']
    >>> truecase(["the", "c", "+", "+", "of", "new", "delhi"], {("c", "+", "+"): "C++", ("new", "delhi"): "New Delhi"})
    ['The', 'C++', 'of', 'New Delhi']
    >>> truecase(["run", ".", "run", "(", ")", "it"], {("run", "(", ")"): AsWritten("run()")})
    ['Run', '.', 'run()', 'it']
    """
    out: list[str] = []
    begins = True
    for word, is_spelt in spelt(words, spellings):
        if isinstance(word, AsWritten):
            out.append(word)
            begins = begins and not any(letter.isalnum() for letter in word)
            continue
        out.append(capitalised(word) if is_spelt and begins else word if is_spelt else cased(word, begins))
        # what one word that somebody spelt ends with is a part of it: "U.S.", "Yahoo!"
        ends = word in _ENDS or (" " in word and word[-1] in "!?")
        begins = ends or (begins and not word[:1].isalnum())
    return out


def spelt(words: list[str], spellings: Spellings) -> Iterator[tuple[str, bool]]:
    """The words, and whether each has a spelling; the words of a phrase with a spelling are one. Longer phrases win.

    >>> list(spelt(["a", "b", "c"], {("a",): "A", ("a", "b"): "A-B"}))
    [('A-B', True), ('c', False)]
    """
    sizes = sorted({len(phrase) for phrase in spellings}, reverse=True)
    place = 0
    while place < len(words):
        size = next((size for size in sizes if tuple(words[place : place + size]) in spellings), 0)
        yield (spellings[tuple(words[place : place + size])], True) if size else (words[place], False)
        place += size or 1


def cased(word: str, begins: bool) -> str:
    """A lower-cased English word with its capitals; `begins` says that it begins a sentence.

    >>> cased("london", False), cased("i", False), cased("dog", True), cased("dog", False)
    ('London', 'I', 'Dog', 'dog')
    """
    known = "I" if word == "i" else proper_names().get(word, word)
    return capitalised(known) if begins else known


def within_a_sentence(text: str) -> str:
    """A text that begins a sentence as it would stand within one; unchanged where its capital may be the word's own.

    >>> [within_a_sentence(text) for text in ("The dog", "London is", "I went", "NASA", "The iPhone", "“The")]
    ['the dog', 'London is', 'I went', 'NASA', 'The iPhone', '“The']
    """
    match = _WORD.match(text)
    plain = text.lower()
    if match is None or text[1:] != plain[1:]:
        return text
    word = match[0].lower()
    return plain if capitalised(word) == match[0] and cased(word, False) == word else text


def capitalised(word: str) -> str:
    """With a capital at its beginning, unless it has capitals of its own.

    >>> capitalised("dog"), capitalised("iPhone"), capitalised("3rd"), capitalised("ßig")
    ('Dog', 'iPhone', '3rd', 'ßig')
    """
    first = word[:1]
    # a letter whose capital is another's, or two letters, stays: the text would be read as another word
    may = first.isalpha() and word == word.lower() and first.upper().lower() == first
    return first.upper() + word[1:] if may else word
