"""Affixes, templates, forbidden words, rhymes and acrostics: what the surface text of a row must look like."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from objectives import Acrostic, Forbidden, Keywords, LengthBetween, Only, Pattern, Prefix, Rhyme, Suffix, Template
from objectives.acrostic import initials
from objectives.rhyme import rhymes
from objectives.template import Gap, parse
from textsearch.batch import Batch
from textsearch.objective import Cost, Objective, evaluate
from textsearch.testing import LawBroken, check_objective, letters

from .laws import ENGLISH, TEXTS, energies

INF = math.inf
HARD: list[Objective] = [
    Prefix("the"),
    Prefix(["the dog", "The cat", "a", "a", "Hot dogs!", "don't", "the", "well-known"]),
    Suffix("dog"),
    Template("The *{0,}"),
    Template(["*", "the * dog sat on a *{1,2}.", "*", "*", "hot *{3}!", "* clap", "the *", "* hot *"]),
    Forbidden(["cat", "hot dog"]),
    Forbidden([["sat"], ["cat"], ["at"], ["a"], ["dogs"], ["clap"], ["a"], ["bun"]]),
    Rhyme("hat"),
    Acrostic("tds"),
    Acrostic("hd", whole=False),
    Acrostic("ta", clauses=True),
    LengthBetween(2, 4, marks=False),
    LengthBetween([1] * 8, [3, 12, 4, 4, 4, 4, 4, None], characters=True),
    LengthBetween(5, characters=True, marks=False),
    Pattern(["dog", "cat", "x", "^$", "!", "'", "dog", "-"]),
    Only(Keywords([["dog"], ["hot dog"]]), inputs=(0, 4)),
]


@pytest.mark.parametrize("objective", HARD)
def test_rows_do_not_mix(objective: Objective) -> None:
    check_objective(objective, ENGLISH.encode(TEXTS))
    assert objective.cost == Cost.HARD
    assert set(energies(objective)) == {0.0, INF}


class ByRow(Objective):
    """A broken twin: goes by the row instead of the row's input."""

    def energy(self, batch: Batch) -> Tensor:
        first = [text[:1] for text in batch.texts()]
        wanted = "TTC" + "h" * max(len(first) - 3, 0)
        return torch.tensor([0.0 if a == b else INF for a, b in zip(first, wanted, strict=False)], dtype=torch.float64)


def test_the_law_catches_a_term_that_goes_by_the_row() -> None:
    with pytest.raises(LawBroken):
        check_objective(ByRow(), ENGLISH.encode(TEXTS))


def fits(parts: list[str | Gap], text: list[str]) -> bool:
    """An independent reference: words and single-letter marks, tried in all ways."""
    if not parts:
        return not text
    head, rest = parts[0], parts[1:]
    if isinstance(head, str):
        fixed = head.split()
        return text[: len(fixed)] == fixed and fits(rest, text[len(fixed) :])
    return any(
        head.low <= sum(word.isalpha() for word in text[:size]) <= (INF if head.high is None else head.high)
        and fits(rest, text[size:])
        for size in range(len(text) + 1)
    )


TEMPLATES = [
    "a *",
    "* a",
    "a * b",
    "*{0,1} b *",
    "a *{2} b *{0,}",
    "* a * a *",
    "*{1,2}",
    "b , *",
    "* b .",
    "a*{,2}b *",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_every_way_of_filling_its_gaps(template: str) -> None:
    parts = list(parse(template))
    chance = random.Random(0)
    texts = [list(text) for size in range(5) for text in itertools.product("ab,", repeat=size)]
    texts += [chance.choices("ab,.", k=chance.randint(5, 9)) for _ in range(200)]
    batch = letters("ab,. ").encode([" ".join(text) for text in texts])
    found = (Template(template).energy(batch) == 0).tolist()
    # marks behind a last fixed part without one are free
    free = isinstance(parts[-1], str) and parts[-1][-1].isalpha()

    def reference(text: list[str]) -> bool:
        ends = [text[:size] for size in range(len(text) + 1) if free and not any(w.isalpha() for w in text[size:])]
        return any(fits(parts, end) for end in [*ends, text])

    wanted = [reference(text) for text in texts]
    assert found == wanted
    assert True in wanted and False in wanted
    # the control: a template with other bounds is told apart
    other = [fits([Gap(2, 2) if isinstance(part, Gap) else part for part in parts], text) for text in texts]
    assert other != wanted


def test_fixed_parts_are_frozen_and_stay_where_they_are() -> None:
    batch = ENGLISH.encode(["the dog sat on a hot dog", "the old cat sat on a cat"])
    frozen = Template("the * sat on a *").freeze(batch)
    words = [[ENGLISH.pieces[token] for token in row] for row in batch.token_lists()]
    kept = [
        [word for word, on in zip(row, own, strict=False) if not on]
        for row, own in zip(words, frozen.editable.tolist(), strict=True)
    ]
    assert kept[0] == kept[1] == ["the", "sat", "on", "a"]
    assert Template("the *", freeze_tokens=False).freeze(batch) is batch
    # a row that does not fit is left as it is
    assert Template("a *").freeze(batch).editable.equal(batch.editable)


def test_affixes_freeze_whole_words() -> None:
    batch = ENGLISH.encode(["dogs sat.", "hot dogs", "the dogs!"])  # "dogs" is of two pieces
    first = Prefix("dogs").freeze(batch).editable.tolist()
    assert first[0][:4] == [False, False, True, True] and first[1][:3] == [True, True, True]
    last = Suffix("dogs").freeze(batch).editable.tolist()
    assert last[1][:3] == [True, False, False] and last[2][:4] == [True, False, False, True]


def test_words_not_letters() -> None:
    assert energies(Prefix("cat"), ["cat sat", "catalog"]) == [0, INF]
    assert energies(Suffix("dog"), ["hot dog.", "hotdog", "hot dog bun"]) == [0, INF, INF]
    assert energies(Forbidden(["cat", "dog sat"]), ["catalog", "the cat", "dog! sat", "the dog sat"]) == [
        0,
        INF,
        0,
        INF,
    ]
    assert energies(Forbidden(["run"], inflections=True), ["ran", "run", "sat"]) == [INF, INF, 0]


def test_what_is_required_cannot_be_forbidden() -> None:
    """The two terms read words alike: together they forbid every text."""
    both = Keywords(["hot dog"]) + Forbidden(["hot dog"])
    assert (evaluate(both, ENGLISH.encode(TEXTS)).energy == INF).all()


def test_rhymes_are_those_of_the_dictionary() -> None:
    pronouncing = pytest.importorskip("pronouncing")
    for word in ("day", "night", "orange-tree"):
        for other in ("way", "play", "light", "knight", "sea", "be", "dog"):
            last = word.rpartition("-")[2]
            sounds = {pronouncing.rhyming_part(one) for one in pronouncing.phones_for_word(last)}
            wanted = any(pronouncing.rhyming_part(one) in sounds for one in pronouncing.phones_for_word(other))
            batch = letters("".join(sorted(set(f"so {other}!")))).encode([f"so {other}!"])
            assert (Rhyme(word).energy(batch)[0] == 0) == wanted
    assert "day" not in rhymes("day")
    # a word that the dictionary does not know never rhymes
    assert Rhyme("day").energy(letters("xqway ").encode(["xqay", "way"])).tolist() == [INF, 0]


def test_initials() -> None:
    assert initials("Well-known dogs, don't!") == "wdd"
    assert initials("I came, I saw. So it is 3.5 or 4.", clauses=True) == "iis"
    poem = letters("床前明月光，疑是地上霜。举头望").encode(["床前明月光，疑是地上霜。举头望明月。"])
    assert Acrostic("床疑举", clauses=True).energy(poem).tolist() == [0]
    assert Acrostic("床疑", clauses=True).energy(poem).tolist() == [INF]


@pytest.mark.parametrize(
    ("text", "plain", "words", "characters", "bare"),
    [("Don't go, dog!", 4, 3, 14, 9), ("今天，很好。", 6, 4, 6, 4), ("", 0, 0, 0, 0), ("3.5 a-b", 2, 2, 7, 4)],
)
def test_lengths_of_surface_texts(text: str, plain: int, words: int, characters: int, bare: int) -> None:
    batch = letters("".join(sorted(set(text))) or "a").encode([text])
    for count, settings in (
        (words, {"marks": False}),
        (characters, {"characters": True}),
        (bare, {"characters": True, "marks": False}),
    ):
        assert LengthBetween(count, count, **settings).energy(batch).tolist() == [0], settings
        assert LengthBetween(count + 1, count + 9, **settings).energy(batch).tolist() == [INF], settings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Prefix(""), "prefix='' has no word in it"),
        (lambda: Suffix([]), "suffix is empty"),
        (lambda: Template("no gap"), "has no gap: write \\*"),
        (lambda: Template("a *{3,2}"), "bounds in the wrong order"),
        (lambda: Forbidden([]), "phrases is empty"),
        (lambda: Rhyme("xqzzy"), "'xqzzy' is not in the CMU pronouncing dictionary"),
        (lambda: Acrostic("a-b"), "must be letters and digits"),
        (lambda: LengthBetween(1, 2, tokens=True, characters=True), "two units"),
        (lambda: LengthBetween([1, 2], [3, 4, 5]), "low has 2 values, but high has 3: pass one of each"),
        (lambda: Only(Prefix("a"), inputs=(2, 1)), "ascending order"),
    ],
)
def test_wrong_values_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(TypeError, match="one string"):
        Forbidden("cat")


def test_each_input_has_its_value() -> None:
    batch = ENGLISH.encode(TEXTS)
    for objective in (
        Prefix(["a", "b"]),
        Template(["*", "a *"]),
        Rhyme(["day", "hat"]),
        Acrostic(["a", "b"]),
        Pattern(["a", "b"]),
    ):
        with pytest.raises(ValueError, match="has 2 values, but there are 8 inputs"):
            objective.check(batch)


def test_a_term_for_some_inputs_counts_and_freezes_for_them_alone() -> None:
    batch = ENGLISH.encode(["the dog", "the dog", "a cat"])
    term = Only(Prefix(["the", "a"]), inputs=(1, 2))
    term.check(batch)
    assert term.energy(batch).tolist() == [0, 0, 0]
    assert term.freeze(batch).editable.tolist() == [[True, True], [False, True], [False, True]]
    assert Only(Prefix("a"), inputs=(0,)).energy(batch).tolist() == [INF, 0, 0]
    assert (term.name, term.cost) == ("prefix", Cost.HARD)
    assert Only(Prefix("a"), inputs=(7,)).freeze(batch) is batch
