"""Languages: what a task must know of the language that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar, final

from samplers.proposals.pieces import PIECES, sizes_of
from textsearch.batch import Vocabulary
from textsearch.language.keyword_lists import keywords_of
from textsearch.language.segmentation import chinese_keywords, chinese_words, english_keywords, says_something
from textsearch.models.checkpoints import hub
from textsearch.tasks.sentences import ENDS, sentence
from textsearch.waiting import note

Held = TypeVar("Held", bound=Any)
"""The models of a task, a dataclass."""


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
        says_something: whether a text has a verb, or what stands for one; None where nobody looks.
        keywords: (text, most) -> its keywords, the weightiest first.
        models: name of an option -> the model of the hub that is taken where none is given; empty where the defaults of
            the package are of the language.
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
    says_something: Callable[[str], bool] | None
    keywords: Callable[[str, int], list[str]]
    models: Mapping[str, hub.HubModel]

    def split(self, line: str) -> list[str]:
        """The keywords of one set as a user writes them; see `keywords_of`."""
        return keywords_of(line, self.code)

    def check(self, **models: object) -> None:
        """Refuse to go on where a model is not given, not here, and cannot be fetched.

        Args:
            models: by the name of their option, None where the default is meant.

        Raises:
            ValueError: how to get what is missing, and what works without.
        """
        missing = {name: self.models[name] for name, model in models.items() if model is None and name in self.models}
        missing = {name: one for name, one in missing.items() if not one.is_here()}
        if missing and not hub.reachable():
            options = " and ".join(f"--{name} PATH (in Python {name}=)" for name in missing)
            raise ValueError(
                f"no {self.name} model comes with textsearch, and the model hub does not answer: pass {options}, "
                f"folders such as `hf download` makes of {' and '.join(map(str, missing.values()))}; to correct, "
                "n-grams of training/ngram.py do"
            )

    def filled(self, models: Held, *names: str, progress: bool = False) -> Held:
        """The models of a task, those of the hub in place of the ones of these names that are not given.

        Raises:
            ValueError: see `check`.
        """
        missing = [name for name in names if getattr(models, name) is None and name in self.models]
        if not missing:
            return models
        self.check(**dict.fromkeys(missing))
        for name in missing:
            if not self.models[name].is_here():
                note(f"fetching {self.models[name]} from the model hub, once", progress)
        filled: Held = replace(models, **{name: self.models[name].name for name in missing})
        return filled


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
    says_something=None,
    keywords=english_keywords,
    models=MappingProxyType({}),
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
    says_something=says_something,
    keywords=chinese_keywords,
    models=MappingProxyType(
        {
            "causal": hub.HubModel("Qwen/Qwen2.5-0.5B-Instruct", 1.0, "Apache-2.0"),
            "masked": hub.HubModel("google-bert/bert-base-chinese", 0.4, "Apache-2.0"),
            "encoder": hub.HubModel("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", 0.5, "Apache-2.0"),
        }
    ),
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
