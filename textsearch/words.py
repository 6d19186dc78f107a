"""Words: a vocabulary of whole words, for edits that must leave all the rest of a text as it stands.

A token is a word with the gap before it, so that a text comes back letter by letter: nothing in front stands for one
space, `TIGHT` for none, and any other white space is kept as it is. A token may hold several words, such as "a lot", or
a word and its clitic, such as "do" + TIGHT + "n't".
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

_KEPT = r"""
    ```(?:[^`]++|`{1,2}(?!`)){1,5000}+```                                         # a block of code
    | (?P<tick>`{1,3})(?!`)[^`\n]{1,1000}+(?P=tick)(?!`)                          # code within a line
    | \[MASK\]
    | (?:https?|ftp)://[^\s<>()\[\]"]*[\w/]                      # addresses
    | www\.[^\s<>()\[\]"]*[\w/]
    | [\w.+-]{1,64}+@[\w-]{1,64}+(?:\.[\w-]{1,64}+){1,8}
    | (?<=\])\([^()\s]{0,2000}+(?:[ ]"[^"\n]{0,200}+")?\)                      # where a link leads
    | <[/!?\p{L}][^<>\n]{0,1000}+>                                    # a tag
    | &\#?\w+;
    | (?<=^[ \t]*)\|?[ ]*:?-{3,}:?[ ]*(?:\|[ ]*:?-+:?[ ]*)*\|?(?=[ \t]*$)  # the line under a table's head
    | (?<=^[ \t>]*)\d+[.)](?=\s)                               # the number of an item
    | \[[ xX]\](?=\s)
    | [\w-]{0,64}+:?(?:\\[\w.-]{1,64}+){1,64}                    # paths and names of files
    | [\w.-]{0,64}+(?:/[\w.-]{0,64}\w){1,64}/?
    | (?:[\w-]{1,64}+\.){1,6}(?:com|org|net|edu|gov|io|co
        |txt|md|py|json|csv|pdf|html?|docx?|xlsx?|jpe?g|png|gif|ya?ml|zip|exe)\b
    | [@\#]\p{L}[\w-]*+
    | [\p{L}\d]++(?:_+[\p{L}\d]++)++                           # names_of_things, 3rd, mp3
    | \d+(?:[.,:/]\d+)*\p{L}[\p{L}\d]*+ | \p{L}++\d[\p{L}\d]*+
    | (?:\p{L}\.){2,} | \b(?:Mr|Mrs|Ms|Dr|Prof|Jr|Sr)\.           # abbreviations
    | (?P<sign>[*_~=\#+|-])(?P=sign)+                                # marks of two signs or more
"""
"""What is one token whatever stands in it: nobody meant it as words."""

_PARTS = regex.compile(
    rf"""(?P<gap>\s*)(?P<word>{_KEPT}
    | \d+(?:[.,:/]\d+)* | \p{{L}}[\p{{L}}\p{{M}}]*+(?:['’-]\p{{L}}[\p{{L}}\p{{M}}]*+)*+ | \.\.\. | [^\s\p{{L}}\d])""",
    regex.MULTILINE | regex.VERBOSE,
)
_CLITIC = regex.compile(r"(?<=\p{L})(?:n['’]t|['’](?:s|re|ve|ll|d|m))$", regex.IGNORECASE)
_LEFT = set(",.;:!?)]}%”’''…") | {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "''", "...", "n’t", "’s"}
_RIGHT = set("([{$£€“") | {"``"}
_CLITICS = {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "n’t", "’s", "’re", "’ve", "’ll", "’d", "’m"}
_CLOSING = frozenset(")]}>”’%…`")
_EMPHASIS = frozenset("*_~'\"")


def split(text: str) -> list[str]:
    """The tokens of a text as it is written.

    A contraction is one token, as are addresses, code, abbreviations and other things that hold no words of their own.

    >>> [token.replace(TIGHT, "~") for token in split("He don't like  it, see `a b`.")]
    ['He', "do~n't", 'like', '  it', '~,', 'see', '`a b`', '~.']
    """
    tokens: list[str] = []
    end = 0
    for match in _PARTS.finditer(text):
        gap, word = text[end : match.start("word")], _CLITIC.sub(TIGHT + r"\g<0>", match["word"])
        tokens.append((gap or (TIGHT if tokens else "")) + word if gap != " " or not tokens else word)
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
        if number and word.lower() in _CLITICS and words[number - 1].isalpha():
            tokens[-1] += TIGHT + word
            continue
        tight = glue or word.lower() in _LEFT
        glue = word in _RIGHT
        if word == '"':
            tight, glue, opened = glue or opened, not opened, not opened
        tokens.append(TIGHT + word if tight and number else word)
    return tokens


def glued(token: str) -> bool:
    """Whether the token goes on what stands before it, so that no word may come between: "b" in "a-b" or "(b"."""
    return token.startswith(TIGHT) and token[1:2].isalnum()


def ends_a_word(token: str) -> bool:
    """Whether a mark such as a comma may follow: a word, a number, or what closes a bracket or a quotation."""
    last = token[-1:]
    return last.isalnum() or last in _CLOSING or (last in _EMPHASIS and token.startswith(TIGHT))


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
    ValueError: 'So' of "So, it's  so." is not among the 4 words of this vocabulary; build it from all texts
    >>> words.encode(["It's  so."]).texts()
    ["It's  so."]
    """

    tokens: tuple[str, ...]
    one_spelling = True  # a token of several words, "a lot", is what one word was meant to be, and no other spelling

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

    @cached_property
    def evenly_spaced(self) -> WordVocabulary:
        """The same words by the same ids, with one space for what is not a line end: to be read, not to be written.

        >>> words = WordVocabulary.of(["a", "  b", "\\nc"])
        >>> batch = words.batch([["a", "  b", "\\nc"]])
        >>> batch.texts(), words.evenly_spaced.decode(batch)
        (['a  b\\nc'], ['a b\\nc'])
        """
        return WordVocabulary(
            tuple(
                bare(token) if gap(token) not in {"", TIGHT} and "\n" not in token else token for token in self.tokens
            )
        )

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
