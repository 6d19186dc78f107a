"""Words that a sentence should hold, and may leave out at a price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from objectives import Wishes
from tests.models.tiny import Tiny, roomy_causal
from tests.models.tiny import tiny as tiny
from textsearch.models import causal_lm
from textsearch.tasks import KeywordSentences, Models, keywords
from textsearch.tasks.keyword_sentences import build
from textsearch.tasks.wishes import WORTH, wanted
from textsearch.testing import letters


@pytest.mark.parametrize(
    ("given", "must", "wishes"),
    [
        (["dog", "park", "frisbee?"], ("dog", "park"), {"frisbee": WORTH}),
        (["dog", "hot dog?2.5", "run？9"], ("dog",), {"hot dog": 2.5, "run": 9.0}),
        (["why", "?"], ("why", "?"), {}),
        (["??", "a"], ("??", "a"), {}),
        (["3.5?1", "a"], ("a",), {"3.5": 1.0}),
        (["page?id=3", "who?what", "no?yes"], ("page?id=3", "who?what", "no?yes"), {}),
    ],
)
def test_how_wishes_are_written(given: Sequence[str], must: tuple[str, ...], wishes: dict[str, float]) -> None:
    found = wanted(given)
    assert (found.keywords, found.wishes) == (must, wishes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["dog?", "park?"], r"\['dog\?', 'park\?'\] holds wishes alone"),
        (["dog", "Dog?"], "wishes for 'Dog', which must be there anyway"),
        (["dog", "run?", "run?3"], "wishes for 'run' twice"),
        (["dog", "run?0"], r"'run\?0' is a wish that is worth nothing"),
        (["dog", "run?-3"], r"'run\?-3' is no wish: behind the \? stand the nats .* such as run\?30"),
        (["dog", "run?3x"], r"'run\?3x' is no wish"),
        (["dog", "hot dog？1e9"], r"'hot dog？1e9' is no wish: .* such as hot dog\?30"),
        (["dog", "run?.5"], r"'run\?.5' is no wish"),
        (["dog", "run?nan"], r"'run\?nan' is no wish"),
        (["dog", "run?" + "9" * 400], "is worth more than any number: write run, which must be"),
    ],
)
def test_wishes_that_cannot_be_meant(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keywords([given], causal="no/such/model", masked="no/such/model")


def test_what_is_lacking_costs_its_weight() -> None:
    batch = letters("acdgorstn ").encode(["a cat ran", "dogs", "a cat"])
    wishes = Wishes([{"run": 3.0, "cat": 1.5}, {"dog": 2.0}, {}], inflections=True)
    assert wishes.energy(batch).tolist() == [0.0, 0.0, 0.0]
    assert Wishes([{"run": 3.0, "cat": 1.5}, {"dog": 2.0}, {}]).energy(batch).tolist() == [3.0, 2.0, 0.0]
    assert [wishes.concerns(number) for number in range(3)] == [True, True, False]
    for broken, message in (
        ([{"dog": 0.0}], r"wishes\[0\]\['dog'\]=0.0 must be a positive number of nats"),
        ([{" ": 1.0}], "has ' ', which has no word in it"),
        ([{"dog": math.inf}], "must be a positive"),
    ):
        with pytest.raises(ValueError, match=message):
            Wishes(broken)
    with pytest.raises(TypeError, match="pass a dictionary of words and nats"):
        Wishes(["dog"])  # type: ignore[list-item]


def test_the_energy_of_a_sentence_has_the_price_of_its_wishes(tiny: Tiny, tmp_path: Path) -> None:
    settings: Any = {"chains": 2, "steps": 8, "drafts": 4, "seed": 1}
    models = Models(causal=causal_lm(roomy_causal(tmp_path), device="cpu"), masked=tiny.masked())
    sets = [["dog", "cat?50"], ["dog"]]
    problem = build(sets, KeywordSentences(**settings), models)
    names = [term.name for _, term in problem.objective.parts]
    assert "wishes" in names
    run = keywords(sets, **settings, causal=models.causal, masked=models.masked)
    assert run.sources == ["dog, cat?", "dog"]
    for record in run.to_records():
        text, terms = str(record["text"]).lower().split(), record["terms"]
        assert isinstance(terms, dict)
        if record["input"] == 0:
            assert terms["wishes"] == (0.0 if any(word.strip(".!?").startswith("cat") for word in text) else 50.0)
        else:
            assert "wishes" not in terms
    plain = build([["dog"]], KeywordSentences(**settings), models)
    assert "wishes" not in [term.name for _, term in plain.objective.parts]
