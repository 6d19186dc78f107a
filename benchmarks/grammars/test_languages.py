"""The lists of the languages are laws: counts are known, real parsers take every string, patterns agree."""

from __future__ import annotations

import random

import pytest
import regex
from lark import Lark
from lark.exceptions import LarkError

from benchmarks.grammars.languages import LANGUAGES, Language, roman


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_string_is_parsed_and_counted(language: Language) -> None:
    assert 50 <= len(language.strings) == len(language.members) == language.count <= 5_000
    assert all(language.parses(text) for text in language.strings)
    # broken twins: a parser that takes anything would show nothing
    assert not any(language.parses(text[:1] + "$" + text[1:]) for text in language.strings)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_the_pattern_matches_the_strings_and_nothing_near(language: Language) -> None:
    pattern = regex.compile(language.pattern)
    assert all(pattern.fullmatch(text) for text in language.strings)
    for text in near(language):
        assert bool(pattern.fullmatch(text)) == (text in language.members), text


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one.grammar], ids=lambda language: language.name)
def test_the_grammar_parses_the_strings_and_nothing_near(language: Language) -> None:
    parser = Lark(language.grammar, parser="earley")

    def parses(text: str) -> bool:
        try:
            parser.parse(text)
        except LarkError:
            return False
        return True

    assert all(parses(text) for text in language.strings[::37])
    for text in near(language)[::7]:
        assert parses(text) == (text in language.members), text


def near(language: Language) -> list[str]:
    """Strings with a letter taken out, doubled or replaced, and pieces of two of them put together."""
    rng = random.Random(0)
    letters = sorted(set("".join(language.strings)))
    found = []
    for text in rng.sample(language.strings, 60):
        place, other = rng.randrange(len(text)), rng.choice(language.strings)
        found += [
            text[:place] + text[place + 1 :],
            text[:place] + text[place] + text[place:],
            text[:place] + rng.choice(letters) + text[place + 1 :],
            text[:place] + other[min(place, len(other)) :],
        ]
    return found


def test_roman_numerals_count() -> None:
    [romans] = [one for one in LANGUAGES if one.name == "romans"]
    assert sorted(map(roman, romans.strings)) == list(range(1, 1000))
    with pytest.raises(ValueError, match="IIII"):
        roman("IIII")
