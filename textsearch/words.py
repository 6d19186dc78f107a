"""Words: a vocabulary of whole words, for edits that must leave all the rest of a text as it stands.

A token is a word with the gap before it, so that a text comes back letter by letter: nothing in front stands for one
space, `TIGHT` for none, and any other white space is kept as it is. A token may hold several words, such as "a lot".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import regex
import torch
from torch import Tensor

from textsearch.batch import Batch

TIGHT = "\u2060"
"""In front of a token that follows the one before it without a space."""

MASK = "[MASK]"

_PARTS = regex.compile(
    r"(?P<gap>\s*)(?P<word>\[MASK\]|(?:ca|wo)(?=n['’]t\b)|\p{L}+?(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b"
    r"|\d+(?:[.,:/]\d+)*|\p{L}+(?:-\p{L}+)*|\.\.\.|[^\s\p{L}\d])",
    regex.IGNORECASE,
)
_LEFT = set(",.;:!?)]}%”’''…") | {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "''", "...", "n’t", "’s"}
_RIGHT = set("([{$£€“") | {"``"}


def split(text: str) -> list[str]:
    """The tokens of a text as it is written.

    >>> [token.replace(TIGHT, "~") for token in split("He don't like  it, too.")]
    ['He', 'do', "~n't", 'like', '  it', '~,', 'too', '~.']
    """
    tokens: list[str] = []
    end = 0
    for match in _PARTS.finditer(text):
        gap = text[end : match.start("word")]
        tokens.append((gap or (TIGHT if tokens else "")) + match["word"] if gap != " " or not tokens else match["word"])
        end = match.end()
    if text[end:].strip() or (tokens and text[end:]):
        tokens.append((TIGHT if not text[end:][:1].isspace() else "") + text[end:])
    return tokens


def attach(words: Sequence[str]) -> list[str]:
    """Words of a tokenised text as tokens that know what stands without a space before it.

    >>> "".join(word if word.startswith(TIGHT) else " " + word for word in attach("I do n't , I ( do ) .".split()))
    " I do\\u2060n't\\u2060, I (\\u2060do\\u2060)\\u2060."
    """
    tokens: list[str] = []
    glue, opened = False, False
    for number, word in enumerate(words):
        tight = glue or word.lower() in _LEFT
        glue = word in _RIGHT
        if word == '"':
            tight, glue, opened = glue or opened, not opened, not opened
        tokens.append(TIGHT + word if tight and number else word)
    return tokens


def bare(token: str) -> str:
    """The word without the gap before it.

    >>> bare(TIGHT + "n't")
    "n't"
    """
    return token.lstrip(TIGHT).lstrip()


def gap(token: str) -> str:
    """What stands before the word: "" for one space, `TIGHT` for none."""
    return token[: len(token) - len(bare(token))]


def join(tokens: Sequence[str]) -> str:
    """The text.

    >>> join(split(" A  man's (only) hope... "))
    " A  man's (only) hope... "
    """
    text = "".join(token if token[:1] == TIGHT or token[:1].isspace() else " " + token for token in tokens)
    if tokens and not tokens[0][:1].isspace():
        text = text[1:]
    return text.replace(TIGHT, "")


def apart(tokens: Sequence[str]) -> str:
    """The words with one space between any two, as tokenised text has them.

    >>> apart(split("I don't, (really)."))
    "I do n't , ( really ) ."
    """
    return " ".join(bare(token).replace(TIGHT, " ") for token in tokens)


@final
@dataclass(frozen=True, eq=False)
class WordVocabulary:
    """The words of some texts, and what they may become.

    Attributes:
        tokens: V distinct tokens, the mask first.

    >>> words = WordVocabulary.of(split("It's  so."))
    >>> words.encode(["So, it's  so."])
    Traceback (most recent call last):
        ...
    ValueError: 'So' of "So, it's  so." is not among the 5 words of this vocabulary; build it from all texts
    >>> words.encode(["It's  so."]).texts()
    ["It's  so."]
    """

    tokens: tuple[str, ...]

    @staticmethod
    def of(tokens: Iterable[str]) -> WordVocabulary:
        """The given tokens, each once, in order, after the mask."""
        return WordVocabulary(tuple(dict.fromkeys([MASK, *tokens])))

    @cached_property
    def number(self) -> dict[str, int]:
        """The id of each token."""
        return {token: number for number, token in enumerate(self.tokens)}

    @property
    def size(self) -> int:
        """V."""
        return len(self.tokens)

    @property
    def mask_id(self) -> int:
        """The first."""
        return 0

    @cached_property
    def allowed(self) -> Tensor:
        """(V,) bool: all but the mask."""
        return torch.arange(self.size) > 0

    @cached_property
    def continues(self) -> Tensor:
        """(V,) bool: none, a token is a word."""
        return torch.zeros(self.size, dtype=torch.bool)

    def encode(self, texts: Sequence[str]) -> Batch:
        """The texts as words."""
        return self.batch([split(text) for text in texts])

    def batch(self, rows: Sequence[Sequence[str]]) -> Batch:
        """Rows of tokens."""
        for row in rows:
            for token in row:
                if token not in self.number:
                    raise ValueError(
                        f"{bare(token)!r} of {join(row)!r} is not among the {self.size} words of this vocabulary; "
                        "build it from all texts"
                    )
        return Batch.of([[self.number[token] for token in row] for row in rows], self)

    def decode(self, batch: Batch) -> list[str]:
        """The texts as they are written."""
        return [join(row) for row in self.words(batch)]

    def words(self, batch: Batch) -> list[list[str]]:
        """The tokens of each row."""
        return [[self.tokens[token] for token in row] for row in batch.token_lists()]
