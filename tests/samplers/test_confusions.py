from __future__ import annotations

import pytest
from wordfreq import get_frequency_dict, zipf_frequency

from textsearch.language.confusions import EnglishConfusions, ListedConfusions
from textsearch.language.edit_distance import letters_apart
from textsearch.language.frequencies import zipf
from textsearch.language.words import TIGHT

ENGLISH = EnglishConfusions()


@pytest.mark.parametrize(
    ("word", "candidate", "kind"),
    [
        ("becouse", "because", "spelling"),
        ("Thier", "Their", "spelling"),
        ("cigarrets", "cigarettes", "spelling"),
        ("inorder", "in order", "splitting"),
        ("dont", f"do{TIGHT}n't", "apostrophe"),
        ("Theyre", f"They{TIGHT}'re", "apostrophe"),
        ("youre", "your", "confusion"),
        ("ca'nt", f"ca{TIGHT}n't", "apostrophe"),
        ("won'tt", f"wo{TIGHT}n't", "spelling"),
        ("its", f"it{TIGHT}'s", "apostrophe"),
        (f"it{TIGHT}'s", "its", "confusion"),
        (f"do{TIGHT}n't", f"does{TIGHT}n't", "inflection"),
        (f"freind{TIGHT}'s", f"friend{TIGHT}'s", "spelling"),
        ("has", "have", "inflection"),
        ("reason", "reasons", "inflection"),
        ("There", "Their", "confusion"),
        ("then", "than", "confusion"),
        ("in", "on", "small word"),
        ("i", "I", "name"),
        ("london", "London", "name"),
        ("this", "This", "case"),
        (",", ".", "small word"),
    ],
)
def test_what_a_word_may_have_been_meant_to_be(word: str, candidate: str, kind: str) -> None:
    assert ENGLISH.of(word)[candidate] == kind


@pytest.mark.parametrize("word", ["ca'nt", "won'tt", "dont", "child", "will", f"wo{TIGHT}n't", "can", "information"])
def test_no_candidate_is_half_a_contraction_or_no_word(word: str) -> None:
    assert not set(ENGLISH.of(word)) & {"ca", "wo", "nt", "'s", "'ll", "'d", "n't", "childs", "informations"}


def test_names_are_told_from_slips() -> None:
    names = ["Okonkwo", "Siobhan", "Szymanski", "Pevear", "Müller", "NASA", "iPhone", "Reykjavik", "O'Brien", "Lodz"]
    assert [word for word in names if not ENGLISH.name(word)] == []
    assert [word for word in ("The", "Goverment", "dog", "Becouse", "I", "It's") if ENGLISH.name(word)] == []
    assert ENGLISH.name("Siemens", begins=True)
    assert not ENGLISH.name("Definately", begins=True)


@pytest.mark.parametrize("word", ["There", "becouse", "dont", "3.5", ",", "McDonald", "naïve", ""])
def test_no_word_is_a_candidate_for_itself(word: str) -> None:
    assert word not in ENGLISH.of(word)


def test_known_words_are_known() -> None:
    known = ["the", "London", "n't", "3.5", "...", "utilisation", "well-known", "He", "math"]
    assert [word for word in known if not ENGLISH.known(word)] == []
    assert [
        word for word in ("becouse", "alot", "hte", "dont", "theyre", "ca'nt", "won'tt") if ENGLISH.known(word)
    ] == []


def test_candidates_are_as_many_as_asked_for() -> None:
    few = EnglishConfusions(spellings=2).of("becouse")
    assert [candidate for candidate, kind in few.items() if kind == "spelling"] == ["because", "become"]


def test_listed() -> None:
    listed = ListedConfusions({"a": {"b": "spelling"}}, inserted=("c",))
    assert listed.of("a") == {"b": "spelling"}
    assert listed.of("b") == {}


@pytest.mark.parametrize(
    ("old", "new", "count"), [("", "ab", 2), ("abc", "ABC", 0), ("ab", "ba", 1), ("abcd", "bcx", 2)]
)
def test_letters_apart(old: str, new: str, count: int) -> None:
    assert letters_apart(old, new) == letters_apart(new, old) == count


def test_what_is_no_misspelling() -> None:
    """Accents, denying beginnings and endings, capitals throughout, ? and !: none of them is written for the other."""
    assert ENGLISH.known("naïve") and ENGLISH.known("résumé") and not ENGLISH.known("resumme")
    assert not {"naive", "nave", "Naive"} & set(ENGLISH.of("naïve"))
    assert "resume" not in ENGLISH.of("résumé")
    assert "meaningful" not in ENGLISH.of("unmeaningful") and "careless" not in ENGLISH.of("careful")
    assert all(other.isupper() for other in ENGLISH.of("YESTERDY")) and "YESTERDAY" in ENGLISH.of("YESTERDY")
    assert "Yesterday" not in ENGLISH.of("YESTERDAY") and "London" not in ENGLISH.of("LONDON")
    assert "!" not in ENGLISH.of("?") and "?" not in ENGLISH.of("!") and "?" in ENGLISH.of(".")


def test_short_words_in_the_wrong_order_are_no_names() -> None:
    assert not ENGLISH.name("Teh", begins=True) and ENGLISH.of("Teh")["The"] == "spelling"
    assert all(ENGLISH.name(word, begins=True) for word in ("Amy", "Oslo", "Lodz", "Peru", "Mike", "CDO"))


def test_what_a_dictionary_derives_is_known() -> None:
    assert all(ENGLISH.known(word) for word in ("limestones", "aquaria", "favoritism"))
    assert not any(ENGLISH.known(word) for word in ("knowledges", "seting", "becouse"))


def test_frequencies_are_those_of_wordfreq() -> None:
    words = [*list(get_frequency_dict("en"))[::101], "New York", "café", "don't", "2024", "NASA", "qqqq", ""]
    assert [zipf(word) for word in words] == [zipf_frequency(word, "en") for word in words]


@pytest.mark.parametrize("word", ["我", "我们", "Привет", "пока", "αβ", "สวัสดี", "에"])
def test_words_of_other_scripts_are_nobodys_misspelling(word: str) -> None:
    assert ENGLISH.known(word)
    assert not ENGLISH.of(word)
    # the control: as many Latin letters, which are one
    assert not ENGLISH.known("xzqw") and ENGLISH.of("teh")
