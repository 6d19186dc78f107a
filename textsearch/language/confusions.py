"""Confusions: words that an English word may be a mistake for, with the kind of mistake.

Spellings come from a frequency dictionary by the symmetric deletes of SymSpell (Garbe, 2012), inflections from
lemminflect, word families from a shared stem; pairs that learners and spell checkers mix up, and the classes of small
words that stand for one another, are lists, `textsearch.language.mixed_up`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Protocol, final

from textsearch.checks import keep, strings, whole
from textsearch.language.contractions import alike, contractions, must_be_contracted, parts, restored
from textsearch.language.edit_distance import letters_apart
from textsearch.language.frequencies import zipf
from textsearch.language.mixed_up import pairs, small_words
from textsearch.language.stems import stem
from textsearch.language.surface import proper_names
from textsearch.language.variants import denied, foreign, plain
from textsearch.language.words import TIGHT

KINDS = (
    "name",
    "case",
    "apostrophe",
    "spelling",
    "splitting",
    "inflection",
    "confusion",
    "small word",
    "family",
    "look-alike",
)
"""Kinds of replacements, the more plausible one first where a pair is of several."""

_INSERTED = """
the a an to of in on for with at by from about as is are was were be been being have has had do does will would can
could it they we you i he she that which who this these their his its our my your and or but so if not more most all
some any other one ones also very , . ;
"""
INSERTED = tuple(_INSERTED.split())
"""What may be missing from a text, and what may be too much."""

_RUN_TOGETHER = {
    "alot": "a lot", "aswell": "as well", "infact": "in fact", "inorder": "in order", "eachother": "each other",
    "atleast": "at least", "abit": "a bit", "infront": "in front", "upto": "up to", "everytime": "every time",
    "incase": "in case", "u": "you", "ur": "your", "donnot": "do not", "cannot": "can not",
}  # fmt: skip
_NO_WORDS = frozenset(
    ("childs", "informations", "equipments", "homeworks", "furnitures", "knowledges", "stuffs", "researches")
)
"""Written for other words, and never to be written for them."""
_PUNCTUATION = frozenset({",", ".", ";", ":", "!", "?"})
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_CONTRACTED = re.compile(rf"(?<=[a-zA-Z])(?<!{TIGHT})(?:n't|'(?:s|re|ve|ll|d|m))$")
_LEAST_KNOWN = 3.3  # Zipf: words of the frequency list that are no dictionary words are taken as words from here on


class Confusions(Protocol):
    """Possible corrections of a word, and words that are often missing or superfluous."""

    @property
    def inserted(self) -> tuple[str, ...]:
        """Words that may be inserted anywhere; only these may be deleted."""

    def of(self, word: str) -> Mapping[str, str]:
        """Candidate -> kind of mistake; the word itself is not among them."""


@final
@dataclass(frozen=True)
class ListedConfusions:
    """A table given in full.

    Attributes:
        listed: word -> candidate -> kind of mistake.
        inserted: words that may be inserted or deleted anywhere; repetitions are ignored.

    >>> ListedConfusions({"then": {"than": "confusion"}}).of("then")
    {'than': 'confusion'}
    """

    listed: Mapping[str, Mapping[str, str]]
    inserted: tuple[str, ...] = ()

    def of(self, word: str) -> Mapping[str, str]:
        """The candidates listed for the word."""
        return self.listed.get(word, {})


@final
@dataclass(frozen=True)
class EnglishConfusions:
    """Mistakes in English that learners make, and typing errors.

    Attributes:
        spellings: candidates kept for a word that no list knows, the nearest and most frequent.
        look_alikes: candidates one letter away kept for a word that is a word.
        inserted: words that may be inserted or deleted anywhere.

    Raises:
        ImportError: symspellpy, lemminflect or wordfreq is not installed.

    >>> english = EnglishConfusions()
    >>> english.of("developped")["developed"], english.of("there")["their"], english.of("has")["have"]
    ('spelling', 'confusion', 'inflection')
    """

    spellings: int = 10
    look_alikes: int = 4
    inserted: tuple[str, ...] = field(default=INSERTED)

    def __post_init__(self) -> None:
        keep(
            self,
            spellings=whole("spellings", self.spellings),
            look_alikes=whole("look_alikes", self.look_alikes),
            inserted=strings("inserted", self.inserted, "words"),
        )

    def of(self, word: str) -> Mapping[str, str]:
        """Candidates in the word's own case where it has one: those of "Thier" are capitalised too."""
        return _confusions(word, self.spellings, self.look_alikes)

    @staticmethod
    def known(word: str) -> bool:
        """Whether the word is English, or no word at all."""
        return _known(word)

    @staticmethod
    def name(word: str, begins: bool = False) -> bool:
        """Whether the word, which does not begin a sentence unless it `begins` one, is written as a name.

        It has a capital and is no common word, nor one letter away from a much more frequent one.

        >>> [word for word in ("Okonkwo", "NASA", "The", "Goverment", "dog") if EnglishConfusions.name(word)]
        ['Okonkwo', 'NASA']
        """
        return _name(word, begins)

    @staticmethod
    def run_together(word: str) -> bool:
        """Whether the word can only be two that were written as one.

        >>> [EnglishConfusions.run_together(word) for word in ("alot", "Inorder", "cannot", "into")]
        [True, True, False, False]
        """
        return word.lower() in _RUN_TOGETHER and word.lower() not in {"cannot", "u", "ur"}

    @staticmethod
    def farther(word: str, other: str) -> int:
        """How many letters more an unknown word is away from `other` than from the words that are nearest to it.

        Where even those differ in more than a quarter of its letters, than a quarter. One less for what sounds alike:
        vowels and doublings are what most misspellings get wrong. None for an inflection of one of the nearest, or of a
        word whose stem it has. Apostrophes are no letters.

        >>> farther = EnglishConfusions.farther
        >>> farther("coluld", "could"), farther("coluld", "would"), farther("siences", "science")
        (0, 1, 0)
        >>> farther("nocive", "noise"), farther("inviroment", "environment"), farther("keeped", "kept")
        (1, 0, 0)
        """
        return _farther(_letters(word), _letters(other))


def _letters(word: str) -> str:
    return re.sub(f"['’{TIGHT}-]", "", word.lower())


@cache
def _farther(word: str, other: str) -> int:
    if not word:  # an apostrophe alone
        return 0
    near = {one: letters_apart(word, one) for one in _near(word, 2)}
    least = min([*near.values(), max(1, len(word) // 4)])
    more = letters_apart(word, other) - least - (_skeleton(word) == _skeleton(other))
    if more <= 0 or any(stem(lemma) == stem(word) for lemma in _lemmas(other)):
        return 0
    nearest = [one for one, letters in near.items() if letters == least]
    return 0 if any(stem(one) == stem(other) or other in _inflections(one) for one in nearest) else more


@cache
def _confusions(word: str, spellings: int, look_alikes: int) -> dict[str, str]:
    lower = word.lower()
    found: dict[str, str] = {}

    def add(candidates: Iterable[str], kind: str) -> None:
        for candidate in candidates:
            cased = _CONTRACTED.sub(TIGHT + r"\g<0>", _cased_like(word, names.get(candidate, candidate)))
            if cased.replace(TIGHT, "") == word.replace(TIGHT, "") or candidate in _NO_WORDS:
                continue
            # "résumé" is "resume" written with more care, and "unmeaningful" is not "meaningful" written badly
            if plain(cased) != plain(word) and not denied(lower, candidate.lower()):
                found.setdefault(cased, kind)

    if foreign(word):
        return found
    names = proper_names()
    if word in _PUNCTUATION:
        add(small_words().get(word, ()), "small word")
        return found
    if not _WORD.fullmatch(lower.replace(TIGHT, "")):
        add(_split(word), "splitting")
        return found
    if (contracted := parts(word)) is not None:
        return _contracted(word, contracted, spellings, look_alikes)
    name = names.get(lower, "I" if lower == "i" else word)
    # a word in capitals is meant to be: an abbreviation, or said loudly
    if len(word) < 2 or not word.isupper():
        if name != word:
            found[name] = "name"
        for other in (lower, lower[:1].upper() + lower[1:]):
            if other != word:
                found.setdefault(other, "case")
    if lower in _RUN_TOGETHER:
        add([_RUN_TOGETHER[lower].replace("~", TIGHT)], "splitting")
        if lower != "cannot":
            return {candidate: kind for candidate, kind in found.items() if kind == "splitting"}
    known, meant = _known(word), restored(word)
    if meant is not None:
        add([meant], "apostrophe")
    if must_be_contracted(word) and meant is not None:
        # "youre" and "whos" may be "your" and "whose" with a letter too many or too few
        others = pairs().get(meant.replace(TIGHT, ""), ())
        add((other for other in others if other.startswith(lower) or lower.startswith(other)), "confusion")
        return {candidate: kind for candidate, kind in found.items() if kind in {"apostrophe", "confusion"}}
    bases = [lower]
    if not known:
        nearest = _near(lower, 2)
        sounds = [other for other in _skeletons().get(_skeleton(lower), ()) if other not in nearest]
        nearest = [*nearest[: spellings - 3], *sounds[:3], *nearest[spellings - 3 :]][:spellings]
        if "'" in lower or "’" in lower:
            nearest = list(_near_contractions(lower)) or nearest
        add(nearest, "spelling")
        add(_split(lower), "splitting")
        bases = nearest[:4]
    for base in bases:
        add(_inflections(base), "inflection")
    add(pairs().get(lower, ()), "confusion")
    add(small_words().get(lower, ()), "small word")
    for base in bases[:2]:
        add(_family(base), "family")
    if known and len(lower) > 2 and lower.isascii():
        add(_near(lower, 1)[:look_alikes], "look-alike")
        if len(lower) > 5:
            add(_split(lower), "splitting")
    return found


def _contracted(word: str, contracted: tuple[str, str], spellings: int, look_alikes: int) -> dict[str, str]:
    """For a word and its clitic: what the word may have been, with the clitic, and what the two may have been."""
    before, clitic = contracted
    found: dict[str, str] = {}

    def add(candidate: str, kind: str) -> None:
        if candidate.replace(TIGHT, "") != word.replace(TIGHT, ""):
            found.setdefault(candidate, kind)

    for other, kind in _confusions(before, spellings, look_alikes).items():
        if TIGHT not in other and " " not in other and parts(other + clitic) is not None:
            add(other + TIGHT + clitic, kind)
    for other in alike(before, clitic):
        add(_cased_like(before, other) + TIGHT + clitic, "inflection")
    plain = (before + clitic).lower().replace("’", "'")
    for other in pairs().get(plain, ()):
        add(_CONTRACTED.sub(TIGHT + r"\g<0>", _cased_like(word, other)), "confusion")
    own = plain.replace("'", "")
    if own in contractions() and own in _ranked() and not must_be_contracted(own):
        add(_cased_like(word, own), "apostrophe")
    if plain.endswith("'s"):
        if own not in contractions():
            add(before, "apostrophe")
            if _ranked().get(own):
                add(before + "s", "apostrophe")
        else:
            add(f"{before} is", "small word")
            add(f"{before} was", "small word")
    return found


@cache
def _near_contractions(word: str) -> tuple[str, ...]:
    """Contractions at most one letter away, apostrophes aside."""
    own = re.sub("['’]", "", word)
    return tuple(meant for key, meant in contractions().items() if len(key) > 3 and letters_apart(own, key) == 1)


@cache
def _name(word: str, begins: bool) -> bool:
    bare = word.replace(TIGHT, "")
    if (contracted := parts(bare)) is not None:
        bare = contracted[0]
    lower = bare.lower()
    if bare == lower or len(bare) < 2 or not _WORD.fullmatch(lower) or _common(lower) or must_be_contracted(bare):
        return False
    if lower in _RUN_TOGETHER:
        return False
    if bare[1:].lower() != bare[1:] and not bare.isupper():
        return True  # McDonald, iPhone
    if begins and zipf(lower) < 1.5:
        return False
    near = [other for other in _near(lower, 1) if _common(other)]
    if len(lower) < 5 and (lower in proper_names() or bare.isupper()):
        return True
    if len(lower) < 5:
        # so many short words are one letter away from others that only two letters in the wrong order tell: "Teh"
        near = [other for other in near if len(lower) > 2 and sorted(other) == sorted(lower)]
    return not any(zipf(other) > max(zipf(lower), 1.0) + (1.0 if begins else 2.5) for other in near)


@cache
def _common(lower: str) -> bool:
    """Whether a dictionary knows the word as a common noun, a verb, an adjective or a function word."""
    try:
        import lemminflect
    except ImportError as error:
        raise ImportError("inflections need lemminflect: pip install 'textsearch-sampling[tasks]'") from error
    if lower in proper_names():
        return False
    return lower in small_words() or lower in INSERTED or bool(lemminflect.getAllLemmas(lower))


def _cased_like(word: str, candidate: str) -> str:
    if candidate == "i":
        return "I"
    if len(word) > 1 and word.isupper():
        return candidate.upper()
    return candidate[:1].upper() + candidate[1:] if word[:1].isupper() and word != "I" else candidate


@cache
def _known(word: str) -> bool:
    lower = word.lower().replace(TIGHT, "")
    if foreign(lower):
        return True
    if not lower.isascii() and (bare := plain(lower)) != lower and _known(bare):
        return True  # naïve, café
    if (lower in _RUN_TOGETHER and lower != "cannot") or must_be_contracted(lower):
        return False
    if (contracted := parts(lower)) is not None:
        return _known(word[: len(contracted[0])])
    if "'" in lower or "’" in lower:
        pieces = re.split("['’]", lower)  # O'Brien
        return lower in {"o'clock", "n't", "n’t"} or (
            len(pieces) == 2 and pieces[0] in {"o", "d", "l"} and word[:1].isupper()
        )
    if not _WORD.fullmatch(lower) or _ranked().get(lower) or lower in small_words():
        return True
    if word[:1].isupper() and zipf(lower) >= _LEAST_KNOWN - 1:
        # a name, unless it looks like a slip in a much more frequent word: "Thier"
        return not any(zipf(other) > zipf(lower) + 2.5 for other in _near(lower, 1)[:1])
    if word == lower and _common(lower) and lower not in _NO_WORDS:
        return True  # a plural or a participle that the list of frequencies lacks: "limestones"
    pieces = lower.split("-")
    return zipf(lower) >= _LEAST_KNOWN or (len(pieces) > 1 and all(not piece or _known(piece) for piece in pieces))


@cache
def _ranked() -> dict[str, int]:
    """The dictionary's words with their counts, without words that are hardly ever used."""
    name = "frequency_dictionary_en_82_765.txt"
    try:
        text = (resources.files("symspellpy") / name).read_text(encoding="utf-8-sig")
    except ModuleNotFoundError as error:
        raise ImportError("spelling candidates need symspellpy: pip install 'textsearch-sampling[tasks]'") from error
    pairs = (line.split() for line in text.splitlines())
    short = {"a", "i"}
    return {word: int(count) for word, count in pairs if (len(word) > 1 or word in short) and zipf(word) >= 1.5}


@cache
def _speller() -> Any:
    from symspellpy import SymSpell

    speller = SymSpell(max_dictionary_edit_distance=2, prefix_length=7)
    for word in _spelled():
        speller.create_dictionary_entry(word, max(1, round(10 ** zipf(word))))
    return speller


@cache
def _spelled() -> list[str]:
    """What is worth spelling, the most frequent first: words with a vowel, and of rare ones those that are no names."""
    return sorted((word for word in _ranked() if _is_word(word)), key=lambda word: (-zipf(word), word))


def _is_word(word: str) -> bool:
    if not re.search("[aeiouy]", word) or must_be_contracted(word) or zipf(word) < 2.0:
        return False
    # of what no dictionary lists, much is names and abbreviations
    return zipf(word) >= (4.0 if len(word) < 5 else 3.0) or word in proper_names() or _common(word)


@cache
def _near(word: str, distance: int) -> list[str]:
    """Dictionary words at most `distance` letters away, the likeliest first; each letter divides the count."""
    from symspellpy import Verbosity

    found = _speller().lookup(word, Verbosity.ALL, max_edit_distance=min(distance, max(1, len(word) - 2)))
    scored = sorted(
        (
            2.0 * item.distance
            - zipf(item.term)
            + (1.0 if item.term[0] != word[0] else 0.0)
            - (0.7 if sorted(item.term) == sorted(word) or _skeleton(item.term) == _skeleton(word) else 0.0),
            item.term,
        )
        for item in found
        if item.term != word
    )
    return [term for _, term in scored]


def _skeleton(word: str) -> str:
    """The consonants, doubled ones once: vowels and doublings are what most misspellings get wrong."""
    return re.sub(r"(.)\1+", r"\1", word[:1] + re.sub(r"[aeiouy]", "", word[1:]))


@cache
def _skeletons() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for word in sorted(_ranked(), key=lambda word: (-zipf(word), word)):
        if len(word) >= 5 and zipf(word) >= 2.5:
            groups.setdefault(_skeleton(word), []).append(word)
    return groups


def _split(word: str) -> list[str]:
    """The word as two, the most frequent halves first."""
    lower = word.lower()
    halves = []
    for cut in range(1, len(lower)):
        left, right = lower[:cut], lower[cut:]
        if left in _ranked() and right in _ranked() and (min(len(left), len(right)) > 1 or left in {"a", "i"}):
            least = min(zipf(left), zipf(right))
            if least >= 4.0 and zipf(left) + zipf(right) > 9.5:
                halves.append((-least, f"{left} {right}"))
    return [pair for _, pair in sorted(halves)[:2]]


@cache
def _inflections(word: str) -> tuple[str, ...]:
    try:
        import lemminflect
    except ImportError as error:
        raise ImportError("inflections need lemminflect: pip install 'textsearch-sampling[tasks]'") from error
    lemmas = _lemmas(word) | {word}
    forms = {
        form.lower()
        for lemma in lemmas
        for group in lemminflect.getAllInflections(lemma).values()
        for form in group
        if zipf(form) >= 2.0
    }
    return tuple(sorted(forms | ({lemma for lemma in lemmas if zipf(lemma) >= 2.0}) - {word}))


@cache
def _lemmas(word: str) -> frozenset[str]:
    import lemminflect

    return frozenset(lemma for forms in lemminflect.getAllLemmas(word).values() for lemma in forms)


@cache
def _family(word: str) -> tuple[str, ...]:
    """Other words of the same stem, at most six, the most frequent first."""
    if len(word) < 5:
        return ()
    return tuple(other for other in _families().get(stem(word), ()) if other != word)[:6]


@cache
def _families() -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    for word in sorted(_ranked(), key=lambda word: (-zipf(word), word)):
        if len(word) >= 4 and zipf(word) >= 3.0:
            families.setdefault(stem(word), []).append(word)
    return families
