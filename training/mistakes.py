"""Mistakes put into good English sentences, so that a model can be taught to take them out again.

A noisy channel read forwards (Kernighan, Church and Gale, 1990; as training data: Zhao et al., 2019): words give way to
what `EnglishConfusions` says they are mistaken for, letters slip, small words and marks go missing, are one too many or
stand elsewhere. Nothing is taken from texts of learners. A share of the sentences is left as it is: what is right must
come back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from textsearch.language.confusions import EnglishConfusions
from textsearch.language.inflection import inflections
from textsearch.language.mixed_up import small_words
from textsearch.language.words import TIGHT, bare, gap, join, split

UNTOUCHED = 0.25
"""Share of the sentences without a mistake."""

WORDS_A_MISTAKE = 7.0
"""Words for each mistake, on average, in the others."""

_DROPPED_WORDS = """
a an the to of in on for with at by from about as is are was were be been being have has had do does did that which who
it they there his her their its and but or not very also if because when , .
"""
_DROPPED = frozenset(_DROPPED_WORDS.split())
_ADDED_WORDS = """
the the the a an to of in on for with at about is are be been have has do that which it they and but so of the also very
more
"""
_ADDED = _ADDED_WORDS.split()
_PREPOSITION_WORDS = "in on at of for to with by from about into over under during since between among as"
_PREPOSITIONS = _PREPOSITION_WORDS.split()
_ARTICLES = {"a": ("the", "an", ""), "an": ("a", "the", ""), "the": ("a", "", "this")}
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SOUNDS = (
    ("ie", "ei"), ("ei", "ie"), ("ph", "f"), ("sc", "s"), ("ch", "c"), ("ck", "k"), ("tion", "sion"), ("sion", "tion"),
    ("ance", "ence"), ("ence", "ance"), ("able", "ible"), ("ible", "able"), ("ant", "ent"), ("ent", "ant"),
    ("ful", "full"), ("wh", "w"), ("kn", "n"), ("ea", "ee"), ("ee", "ea"), ("ou", "o"), ("au", "o"), ("ai", "a"),
    ("ua", "a"), ("gh", ""), ("th", "t"), ("y", "i"), ("i", "y"), ("qu", "q"), ("x", "cs"), ("s", "c"), ("c", "s"),
    ("z", "s"), ("u", "o"), ("o", "u"), ("e", "i"), ("i", "e"), ("a", "e"), ("e", "a"), ("or", "er"), ("er", "or"),
    ("v", "b"), ("l", "r"), ("r", "l"), ("g", "j"), ("mb", "m"), ("our", "or"), ("ally", "aly"), ("ely", "ly"),
)  # fmt: skip
_DOUBLED = re.compile(r"([b-df-hj-np-tvwxz])\1")
_PLAIN = re.compile(r"[A-Za-z][a-z]+")

Mistake = Callable[[list[str], Random, EnglishConfusions], bool]
"""Changes tokens in place; says whether it found a place to."""


def mistaken(text: str, rng: Random, english: EnglishConfusions) -> str:
    """A text with as many mistakes as are drawn for it, or as it is.

    Args:
        text: one sentence or a few.
        rng: random numbers.
        english: what words are mistaken for.

    >>> english = EnglishConfusions()
    >>> mistaken("She went to school because she had an exam.", Random(9), english)
    'She wet to school, because she had a exam.'
    """
    tokens = split(text)
    if rng.random() < UNTOUCHED or not tokens:
        return text
    # some write few mistakes and some write many: the mean is drawn, too
    mean = len(tokens) / WORDS_A_MISTAKE * rng.gammavariate(2.0, 0.5)
    wanted = max(1, sum(rng.random() < mean / len(tokens) for _ in tokens))
    for _ in range(wanted):
        for _ in range(20):
            kind = rng.choices(tuple(KINDS), tuple(KINDS.values()))[0]
            if kind(tokens, rng, english):
                break
    return join(tokens)


def _place(tokens: list[str], rng: Random, fits: Callable[[str], bool]) -> int | None:
    """A random token whose word fits."""
    places = [number for number, token in enumerate(tokens) if fits(bare(token))]
    return rng.choice(places) if places else None


def _gaps(tokens: list[str]) -> list[int]:
    """Where a word could come in: in front of these tokens."""
    words = enumerate(tokens[1:], 1)
    return [number for number, token in words if gap(token) == "" and bare(token)[:1].isalpha()]


def _put(tokens: list[str], place: int, word: str) -> None:
    """Another word there, with a capital if the old one has one."""
    old = bare(tokens[place])
    if old[:1].isupper() and old != "I":
        word = word[:1].upper() + word[1:]
    tokens[place] = gap(tokens[place]) + word.replace(TIGHT, "")


def _take(tokens: list[str], place: int) -> None:
    """Leave a token out; the next one takes its capital and the space before it."""
    old = tokens.pop(place)
    if place < len(tokens):
        if gap(old) != TIGHT and gap(tokens[place]) == TIGHT and bare(tokens[place])[:1].isalnum():
            tokens[place] = gap(old) + bare(tokens[place])
        if bare(old)[:1].isupper():
            word = bare(tokens[place])
            tokens[place] = gap(tokens[place]) + word[:1].upper() + word[1:]


def slip(word: str, rng: Random) -> str:
    """A word with one slip: of the ear, of a doubled letter, or of the fingers."""
    first, rest = word[0], word[1:]
    kind = rng.random()
    if kind < 0.4:
        heard = [(old, new) for old, new in _SOUNDS if old in rest]
        if heard:
            old, new = rng.choice(heard)
            at = rng.choice([match.start() for match in re.finditer(old, rest)])
            return first + rest[:at] + new + rest[at + len(old) :]
    if kind < 0.6:
        doubled = [*_DOUBLED.finditer(word)]
        if doubled and rng.random() < 0.7:
            at = rng.choice(doubled).start()
            return word[:at] + word[at + 1 :]
        at = rng.randrange(1, len(word))
        return word[:at] + word[at] + word[at:]
    at = rng.randrange(1, len(word))
    if kind < 0.75 and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind < 0.9:
        return word[:at] + word[at + 1 :]
    row = next((keys for keys in _KEYS if word[at] in keys), _KEYS[0])
    near = row[max(row.find(word[at]) - 1, 0) : row.find(word[at]) + 2]
    return word[:at] + rng.choice(near) + word[at + (rng.random() < 0.5) :]


def _misspell(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    place = _place(tokens, rng, lambda word: len(word) > 3 and _PLAIN.fullmatch(word) is not None)
    if place is None:
        return False
    old = bare(tokens[place])
    word = slip(old, rng)
    if rng.random() < 0.2 and len(word) > 3:
        word = slip(word, rng)
    if word == old or english.name(old, begins=place == 0):
        return False
    tokens[place] = gap(tokens[place]) + word
    return True


def _may_inflect(word: str) -> bool:
    """Whether a word is one of many, with forms, and no name."""
    return len(word) > 2 and word.isalpha() and word.islower() and word not in small_words() and word not in _DROPPED


def _inflect(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    place = _place(tokens, rng, _may_inflect)
    if place is None:
        return False
    own = bare(tokens[place]).lower()
    forms = sorted(inflections(own) - {own})
    # what a learner takes for a form: the ending that is regular, of the verb or noun itself
    stem = min((*forms, own), key=len)
    if rng.random() < 0.08:
        forms = [form for form in (stem + "s", stem + "ed", stem + "ing") if form != own]
    if not forms:
        return False
    _put(tokens, place, rng.choice(forms))
    return True


def _exchange(kinds: frozenset[str]) -> Mistake:
    """A word for one that it is mistaken for, by the kinds of `EnglishConfusions`."""

    def made(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
        place = _place(tokens, rng, lambda word: word[:1].isalpha() and not english.name(word))
        if place is None:
            return False
        found = [word for word, kind in english.of(bare(tokens[place])).items() if kind in kinds and TIGHT not in word]
        if not found:
            return False
        _put(tokens, place, rng.choice(found))
        return True

    return made


def _article(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    place = _place(tokens, rng, lambda word: word.lower() in _ARTICLES)
    if place is None:
        return False
    other = rng.choices(_ARTICLES[bare(tokens[place]).lower()], (0.3, 0.2, 0.5) if rng.random() < 0.5 else (1, 1, 4))[0]
    if other:
        _put(tokens, place, other)
    else:
        _take(tokens, place)
    return True


def _preposition(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    place = _place(tokens, rng, lambda word: word.lower() in _PREPOSITIONS)
    if place is None:
        return False
    if rng.random() < 0.3:
        _take(tokens, place)
    else:
        own = bare(tokens[place]).lower()
        _put(tokens, place, rng.choice([word for word in _PREPOSITIONS[:12] if word != own]))
    return True


def _drop(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    place = _place(tokens, rng, lambda word: word.lower() in _DROPPED)
    if place is None or len(tokens) < 3:
        return False
    _take(tokens, place)
    return True


def _add(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    places = _gaps(tokens)
    if not places:
        return False
    place = rng.choice(places)
    # some words are written twice
    word = bare(tokens[place]).lower() if rng.random() < 0.1 else rng.choice(_ADDED)
    tokens.insert(place, word)
    return True


def _mark(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    if rng.random() < 0.5:
        place = _place(tokens, rng, lambda word: word in {",", ".", ";", "'s", "!", "?"})
        if place is None:
            return False
        _take(tokens, place)
        return True
    places = _gaps(tokens)
    if not places:
        return False
    tokens.insert(rng.choice(places), TIGHT + rng.choice((",", ",", ",", ",", ".")))
    return True


def _capital(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    place = _place(tokens, rng, lambda word: word[:1].isupper() and not word[1:2].isupper())
    if rng.random() < 0.3:
        place = _place(tokens, rng, lambda word: len(word) > 3 and word.islower())
    if place is None:
        return False
    word = bare(tokens[place])
    tokens[place] = gap(tokens[place]) + word[:1].swapcase() + word[1:]
    return True


def _apostrophe(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    place = _place(tokens, rng, lambda word: "'" in word or "’" in word)
    if place is None:
        return False
    tokens[place] = gap(tokens[place]) + re.sub("['’]", "", bare(tokens[place]))
    return True


def _join(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    places = [
        number
        for number in range(1, len(tokens))
        if gap(tokens[number]) == "" and len(bare(tokens[number]) + bare(tokens[number - 1])) < 9
    ]
    if not places:
        return False
    place = rng.choice(places)
    tokens[place - 1 : place + 1] = [tokens[place - 1] + bare(tokens[place])]
    return True


def _swap(tokens: list[str], rng: Random, english: EnglishConfusions) -> bool:
    places = [
        number
        for number in range(2, len(tokens))
        if all(gap(token) == "" and bare(token)[:1].islower() for token in tokens[number - 1 : number + 1])
    ]
    if not places:
        return False
    place = rng.choice(places)
    tokens[place - 1], tokens[place] = tokens[place], tokens[place - 1]
    return True


KINDS: dict[Mistake, float] = {
    _misspell: 22.0,
    _inflect: 20.0,
    _article: 12.0,
    _preposition: 7.0,
    _exchange(frozenset({"small word"})): 7.0,
    _exchange(frozenset({"confusion", "family"})): 8.0,
    _exchange(frozenset({"look-alike"})): 2.0,
    _drop: 7.0,
    _add: 6.0,
    _mark: 9.0,
    _capital: 5.0,
    _apostrophe: 2.0,
    _join: 1.0,
    _swap: 2.0,
}
"""Kinds of mistakes, and how often each is drawn."""
