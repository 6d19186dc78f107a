"""Sentences of the user as starts: what is changed in them, what is left out, and what is told of copies."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from samplers.starts.retrieved import retrieved
from tests.tasks.chinese import Chinese
from tests.tasks.chinese import chinese as chinese
from textsearch.cli.keywords import sentences as from_command_line
from textsearch.language.word_kinds import may_replace
from textsearch.tasks import keywords
from textsearch.tasks.copied import Copies
from textsearch.tasks.keyword_sentences import build
from textsearch.tasks.problem import Models
from textsearch.tasks.settings import KeywordSentences

LINES = ["A cat sleeps on the sofa.", "The dog and the cat sleep on the sofa.", "A bird sings.", "My cat is old."]


def pieces(text: str) -> list[str]:
    return [*[part for word in text.rstrip(".").split() for part in (word, " ")][:-1], "."]


def test_a_keyword_takes_the_place_of_a_word_and_all_else_stays() -> None:
    found = retrieved(["cat", "dog"], LINES, cut=pieces, nats=lambda texts: [len(text) for text in texts])
    # the second sentence holds both: nothing would be written
    assert len(found) == 2
    for text, line in zip(found, (LINES[0], LINES[3]), strict=True):
        old, new = pieces(line), pieces(text)
        changed = [place for place, piece in enumerate(old) if new[place] != piece]
        assert len(changed) == 1 and new[changed[0]] == "dog" and "cat" in new
    # only what is of its kind gives way
    noun = retrieved(
        ["cat", "dog"], LINES, cut=pieces, nats=lambda texts: [0.0] * len(texts), alike=lambda _, word: word == "sofa"
    )
    assert noun == ["A cat sleeps on the dog."]
    assert retrieved(["horse"], LINES, cut=pieces, nats=lambda texts: [0.0] * len(texts)) == []


def test_the_place_is_told_by_what_a_sentence_gains_not_by_how_usual_it_is() -> None:
    def nats(texts: object) -> list[float]:
        return [100.0 * ("old" in text) + 10.0 * ("dog sleeps" in text) for text in texts]  # type: ignore[attr-defined]

    found = retrieved(["cat", "dog"], LINES, cut=pieces, nats=nats)
    # -100 of the one that loses its "old": ahead, though all its other texts are costly
    assert found[0] == "My cat is dog."


def test_copies_are_told_run_by_run() -> None:
    copies = Copies(LINES)
    assert copies.longest("The cat sleeps on the sofa!") == (5, 6)
    # the control: the same words in another order are no run
    assert copies.longest("sofa the on sleeps cat") == (1, 5)


def test_kinds_of_words() -> None:
    assert may_replace("春天", "公园", "zh") and not may_replace("春天", "，", "zh")
    assert may_replace("dog", "sofa", "en") and not may_replace("dog", ".", "en")


def test_chains_start_from_changed_sentences(chinese: Chinese) -> None:
    pytest.importorskip("jieba")
    lines = ["春天的公园里有很多学校。", "学生在公园里。", "没有。"]
    models = Models(causal=chinese.causal(), masked=chinese.masked())
    settings = KeywordSentences(lang="zh", chains=2, sentences=lines)
    start = build([["春天", "公园", "孩子"]], settings, models).start.texts()
    assert "春天的公园里有很多孩子。" in start
    # in traditional characters, too
    taken = build(
        [["春天", "公园", "孩子"]],
        KeywordSentences(lang="zh", chains=2, sentences=["春天的公園裡有很多學校。"]),
        models,
    )
    assert "春天的公园里有很多孩子。" in taken.start.texts()
    bare = KeywordSentences(lang="zh", chains=2)
    plain = build([["春天", "公园", "孩子"]], bare, models).start.texts()
    assert "春天的公园里有很多孩子。" not in plain
    # a set that no sentence helps starts as it did
    none = build([["春天", "公园", "孩子"], ["风", "雪"]], settings, models).start
    assert len(none) == 4 and all("风" in text and "雪" in text for text in none.texts()[2:])
    # the masked model, which would take the sentences apart, has no share in the energy
    terms = [
        {term.name for _, term in build([["春天", "孩子"]], one, models).objective.parts} for one in (settings, bare)
    ]
    assert terms[1] - terms[0] == {"pseudo-likelihood"}
    found = keywords(
        [["春天", "孩子"]], lang="zh", chains=2, steps=3, sentences=lines, causal=models.causal, masked=models.masked
    )
    assert all("春天" in text and "孩子" in text for text in found.best_texts)


def test_a_file_of_sentences_is_read_and_one_that_is_none_refused(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("A dog.\n\nA cat.\n", encoding="utf-8")
    assert KeywordSentences(sentences=str(file)).sentences == ("A dog.", "A cat.")
    with pytest.raises(ValueError, match="is no file that can be read"):
        KeywordSentences(sentences=str(tmp_path / "none"))
    with pytest.raises(typer.BadParameter, match="is no file that can be read"):
        from_command_line(str(tmp_path / "none"))
    assert from_command_line(str(file)) == ("A dog.", "A cat.")
