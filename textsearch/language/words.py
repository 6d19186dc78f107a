"""Words: a vocabulary of whole words, for edits that must not change the rest of a text.

A token is a word with the gap before it, so that a text comes back letter by letter: nothing in front stands for one
space, `TIGHT` for none, and any other white space is kept as it is. A token may hold several words, such as "a lot", or
a word and its clitic, such as "do" + TIGHT + "n't".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import regex

from textsearch.batch import Batch
from textsearch.language.listed import ListedVocabulary
from textsearch.language.literals import Span, literals

TIGHT = "\ufdd0"
"""In front of a token that follows the one before it without a space: a noncharacter, which no text holds."""

MASK = "[MASK]"

_PARTS = regex.compile(
    r"""(?P<gap>\s*)(?P<word>(?<=\w)['’](?:s|re|ve|ll|d|m)\b
    | \p{L}[\p{L}\p{M}]*+(?:['’-]\p{L}[\p{L}\p{M}]*+)*+ | \d+(?:[.,:/]\d+)* | \.\.\. | [^\s\p{L}\d])""",
    regex.VERBOSE,
)
_CLITIC = regex.compile(r"(?<=\p{L})(?:n['’]t|['’](?:s|re|ve|ll|d|m))$", regex.IGNORECASE)
_LEFT = set(",.;:!?)]}%”’''…") | {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "''", "...", "n’t", "’s"}
_RIGHT = set("([{$£€“") | {"``"}
_CLITICS = {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "n’t", "’s", "’re", "’ve", "’ll", "’d", "’m"}
_CLOSING = frozenset(")]}>”’%…`")
_EMPHASIS = frozenset("*_~'\"")


def split(text: str, spans: Sequence[Span] | None = None) -> list[str]:
    """The tokens of a text as it is written.

    A contraction is one token, and so is what stands within one of the spans: addresses, code, numbers with their units
    and other things that hold no words of their own.

    Args:
        text: as it is written.
        spans: in order; by default its literals.

    >>> [token.replace(TIGHT, "~") for token in split("He don't like  it, see `a b`.")]
    ['He', "do~n't", 'like', '  it', '~,', 'see', '`a b`', '~.']
    """
    return [token for token, _ in marked(text, literals(text) if spans is None else spans)]


def marked(text: str, spans: Sequence[Span]) -> list[tuple[str, bool]]:
    """The tokens, each with whether it is one of the spans.

    >>> marked("see `a b`", [(4, 9)])
    [('see', False), ('`a b`', True)]
    """
    tokens: list[tuple[str, bool]] = []
    end = 0

    def add(start: int, stop: int, word: str, inside: bool) -> None:
        nonlocal end
        gap = text[end:start]
        tokens.append(((gap or (TIGHT if tokens else "")) + word if gap != " " or not tokens else word, inside))
        end = stop

    for start, stop in [*spans, (len(text), len(text))]:
        for match in _PARTS.finditer(text, end, start):
            add(match.start("word"), match.end(), _CLITIC.sub(TIGHT + r"\g<0>", match["word"]), False)
        if start < stop:
            add(start, stop, text[start:stop], True)
    if text[end:].strip() or (tokens and text[end:]):
        tokens.append(((TIGHT if not text[end:][:1].isspace() else "") + text[end:], False))
    return tokens


def attach(words: Sequence[str]) -> list[str]:
    """Words of a tokenised text as tokens; those that follow without a space are marked so.

    >>> "".join(word if word.startswith(TIGHT) else " " + word for word in attach("I do n't , I ( do ) .".split()))
    " I do\\ufdd0n't\\ufdd0, I (\\ufdd0do\\ufdd0)\\ufdd0."
    """
    return [token for token, _ in attached(words, ())]


def attached(words: Sequence[str], spans: Sequence[Span]) -> list[tuple[str, bool]]:
    """As `attach`, each token with whether it is one of the spans of the text; tokens that overlap a span become one.

    >>> attached("We need 5 kg .".split(), [(8, 12)])
    [('We', False), ('need', False), ('5 kg', True), ('\\ufdd0.', False)]
    """
    tokens: list[tuple[str, bool]] = []
    glue, opened = False, False
    begins, number_of, met = 0, 0, -1
    for number, word in enumerate(words):
        ends = begins + len(word)
        while number_of < len(spans) and spans[number_of][1] <= begins:
            number_of += 1
        within = number_of if number_of < len(spans) and spans[number_of][0] < ends else -1
        begins = ends + 1
        if number and word.lower() in _CLITICS and words[number - 1].isalpha() and within < 0:
            tokens[-1] = (tokens[-1][0] + TIGHT + word, tokens[-1][1])
            continue
        tight = glue or word.lower() in _LEFT
        glue = word in _RIGHT
        if word == '"':
            tight, glue, opened = glue or opened, not opened, not opened
        if within >= 0 and within == met:
            tokens[-1] = (tokens[-1][0] + (TIGHT if tight else " ") + word, True)
        else:
            tokens.append((TIGHT + word if tight and number else word, within >= 0))
        met = within
    return tokens


def glued(token: str) -> bool:
    """Whether the token is attached to the one before it, so that no word may come between: "b" in "a-b" or "(b"."""
    return token.startswith(TIGHT) and (token[1:2].isalnum() or token[1:].lower() in _CLITICS)


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
    """The gap before the word: "" for one space, `TIGHT` for none."""
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
class WordVocabulary(ListedVocabulary):
    """The words of some texts, and the words that may replace them.

    Attributes:
        tokens: V distinct tokens, the mask first.

    >>> words = WordVocabulary.of(split("It's  so."))
    >>> words.encode(["So, it's  so."])
    Traceback (most recent call last):
        ...
    ValueError: 'So' of "So, it's  so." is not among the 3 words of this vocabulary: build it from all texts
    >>> words.encode(["It's  so."]).texts()
    ["It's  so."]
    """

    what: ClassVar[str] = "words"

    @staticmethod
    def of(tokens: Iterable[str]) -> WordVocabulary:
        """The given tokens, each once, in order, after the mask."""
        return WordVocabulary(tuple(dict.fromkeys([MASK, *tokens])))

    @cached_property
    def evenly_spaced(self) -> WordVocabulary:
        """The same words with the same ids, rendered with one space for every gap but line ends: what a model reads.

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

    def decode(self, batch: Batch) -> list[str]:
        """The texts as they are written."""
        return [join(row) for row in self.words(batch)]

    def shown(self, row: Sequence[str], token: str) -> tuple[str, str]:
        """A word and its text."""
        return bare(token), join(row)
