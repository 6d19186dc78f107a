"""From pieces to surface text: a deterministic rendering, so that a model with another tokenizer reads plain text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import regex

_LEFT = set(",.;:!?)]}%'’”…，。！？；：、）》」")
_RIGHT = set("([{$£€#“‘")
_CONTRACTED = {"s", "t", "re", "ve", "ll", "d", "m"}
_CJK = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}，。！？；：、（）《》「」“”‘’]")
_ENDS = {".", "!", "?"}


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


def truecase(words: list[str]) -> list[str]:
    """Lower-cased English words with their capitals put back: at sentence starts, in names, and "I".

    >>> truecase(["the", "dog", "met", "i", "in", "london", ".", "good", "!"])
    ['The', 'dog', 'met', 'I', 'in', 'London', '.', 'Good', '!']
    """
    names = proper_names()
    out, begins = [], True
    for word in words:
        cased = "I" if word == "i" else names.get(word, word)
        if begins and word[:1].isalpha():
            cased = cased[:1].upper() + cased[1:]
        begins = word in _ENDS or (begins and not word[:1].isalnum())
        out.append(cased)
    return out
