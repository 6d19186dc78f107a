"""Languages: what a task must know of the language that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from samplers.proposals.pieces import PIECES, sizes_of
from textsearch.batch import Vocabulary
from textsearch.language.keyword_lists import keywords_of
from textsearch.language.segmentation import chinese_keywords, chinese_words, english_keywords
from textsearch.tasks.sentences import ENDS, sentence


@final
@dataclass(frozen=True)
class Language:
    """One language; a word is a character where no spaces are written.

    Attributes:
        code: ISO 639-1.
        name: in English.
        sentence: of a regular expression of phrases that no sentence ends inside, or of none: one of a whole sentence,
            with an end.
        ends: marks that end sentences.
        stop: ends a plain sentence.
        space: between words.
        edits: how often so many words are replaced by so many.
        inflects: whether words have forms that the engine knows.
        segment: cuts a text into words where no spaces are written.
        keywords: (text, most) -> its keywords, the weightiest first.
        ships: whether models of the language come with the package.
    """

    code: str
    name: str
    sentence: Callable[..., str]
    ends: str
    stop: str
    space: str
    edits: Mapping[tuple[int, int], float]
    inflects: bool
    segment: Callable[[str], list[str]] | None
    keywords: Callable[[str, int], list[str]]
    ships: bool

    def split(self, line: str) -> list[str]:
        """The keywords of one set as a user writes them; see `keywords_of`."""
        return keywords_of(line, self.code)

    def check(self, **models: object) -> None:
        """Refuse a language that the default models do not know.

        Args:
            models: by the name of their option, None where the default is meant.

        Raises:
            ValueError: a model that is not given.
        """
        missing = [name for name, model in models.items() if model is None]
        if missing and not self.ships:
            options = " and ".join(f"--{name} PATH (in Python {name}=)" for name in missing)
            raise ValueError(
                f"no {self.name} model comes with textsearch, and the default ones know English only: pass {options}, "
                "folders or hub ids of transformers checkpoints; causal and masked ones with one character a token "
                "and the same characters, such as bert-base-chinese; or, to correct, a causal one of n-grams of "
                "characters, which training/ngram.py makes in a minute"
            )


CHINESE_ENDS = "。！？"
"""Marks that end a sentence in Chinese."""


def _chinese_sentence(kept: str = "") -> str:
    """One sentence: no mark at the beginning, no two in a row, and quotation marks and brackets in pairs."""
    inner = r"[^。！？“”‘’《》（）]|“[^。！？“”]+”|《[^。！？《》]+》|（[^。！？（）]+）"
    # as in `sentence`: a phrase is never left half read, and may bring the end
    rest = rf"(?:{kept}|{inner})++(?:[。！？]|(?<=[。！？]))$" if kept else rf"(?:{inner})+[。！？]$"
    return r"^(?![，、；：])(?!.*[，、；：][，、；：。！？])" + rest


ENGLISH = Language(
    code="en",
    name="English",
    sentence=sentence,
    ends=ENDS,
    stop=".",
    space=" ",
    edits={(1, 1): 0.46, (0, 1): 0.12, (1, 0): 0.12, (2, 2): 0.14, (1, 2): 0.08, (2, 1): 0.08},
    inflects=True,
    segment=None,
    keywords=english_keywords,
    ships=True,
)

CHINESE = Language(
    code="zh",
    name="Chinese",
    sentence=_chinese_sentence,
    ends=CHINESE_ENDS,
    stop="。",
    space="",
    # two characters are a word most often: pairs come and go together
    edits={
        (1, 1): 0.4,
        (2, 2): 0.2,
        (3, 3): 0.08,
        (0, 1): 0.06,
        (1, 0): 0.06,
        (0, 2): 0.04,
        (2, 0): 0.04,
        (1, 2): 0.06,
        (2, 1): 0.06,
    },
    inflects=False,
    segment=chinese_words,
    keywords=chinese_keywords,
    ships=False,
)

LANGUAGES = {language.code: language for language in (ENGLISH, CHINESE)}
"""By code."""


def language(code: str) -> Language:
    """The language of a code.

    Raises:
        ValueError: one that the tasks do not know.

    >>> language("zh").name
    'Chinese'
    """
    if not isinstance(code, str) or code not in LANGUAGES:
        known = ", ".join(f"{one.code} ({one.name})" for one in LANGUAGES.values())
        raise ValueError(f"lang={code!r} is no language that the tasks know: take {known}")
    return LANGUAGES[code]


def pieces_of(vocabulary: Vocabulary) -> tuple[float, ...]:
    """How many pieces a new word has: one, where no token goes on the word before it.

    >>> from textsearch.testing import letters
    >>> pieces_of(letters("ab")), pieces_of(letters("aB"))[:3]
    ((1.0,), (0.94, 0.04, 0.015))
    """
    return sizes_of(vocabulary, len(PIECES))
