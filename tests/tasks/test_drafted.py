"""Edits that drafts suggest: what can be made and undone, and the best of them together."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch

from objectives import Fluency
from tests.models.tiny import Tiny, roomy_causal
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective
from textsearch.language.confusions import EnglishConfusions, ListedConfusions
from textsearch.language.words import WordVocabulary, split
from textsearch.models import causal_lm
from textsearch.tasks import correct, judging
from textsearch.tasks.drafted import Edit, akin, differences, edited, improved, months, replaced, suggested

ENGLISH = EnglishConfusions()
PAIRS = [
    ("She go to school yesterday becouse she have a exam.", "She went to school yesterday because she had an exam."),
    ("He see  big dog,and runs", "He saw the big dog, and runs."),
    ("I has many informations about it .", "I have much information about it."),
    ("For not use car.", "For not using the car, we walk."),
    ("A “b” c", "A b c d"),
    ("", "So"),
    ("The\nend", "The end"),
]


def made(source: str, edits: tuple[Edit, ...]) -> str:
    """The text with all edits made."""
    row = split(source)
    batch = WordVocabulary.of([*row, *(edit.word for edit in edits if edit.word)]).batch([row])
    return edited(batch, 0, edits).texts()[0]


@pytest.mark.parametrize(("source", "draft"), PAIRS)
def test_edits_lead_towards_the_draft_and_what_they_do_not_touch_stays(source: str, draft: str) -> None:
    row = split(source)
    edits = suggested(row, [False] * len(row), split(draft), ENGLISH)
    text = made(source, edits)
    assert len({edit.spot for edit in edits}) == len(edits)
    # what no edit names is there letter by letter, in its order
    kept = iter(split(text))
    for place, token in enumerate(row):
        if not any(edit.place == place and edit.rank == 99 for edit in edits):
            assert any(other.strip() == token.strip() for other in kept), (token, text)
    # a second look finds nothing more
    again = split(text)
    assert set(suggested(again, [False] * len(again), split(draft), ENGLISH)) == set()
    assert suggested(row, [False] * len(row), row, ENGLISH) == ()


def test_what_is_meant_otherwise_is_not_taken_and_what_is_kept_stays() -> None:
    source, draft = "He bought nocive goods in Lodz", "He bought drugs goods at the Warsaw"
    row = split(source)
    edits = suggested(row, [False] * len(row), split(draft), ENGLISH)
    assert made(source, edits) == "He bought nocive goods at the Lodz"
    kept = [token in {"in", "Lodz"} for token in row]
    assert made(source, suggested(row, kept, split(draft), ENGLISH)) == source
    assert suggested(row, [True] * len(row), split(draft), ENGLISH) == ()
    # no mark of punctuation is a word, small as both are
    assert not akin(".", "everything") and not akin("and", ",") and akin("and", "or")
    row = split("They lost .")
    assert "every" not in made("They lost .", suggested(row, [False] * 3, split("They lost everything."), ENGLISH))
    # capitals that somebody chose stay, and those of a beginning need not
    assert not akin("YOU", "you") and akin("YOU", "YOUR") and akin("You", "your") and akin("A", "the")
    assert not akin("import", "export") and not akin("happy", "unhappy") and not akin("increase", "decrease")
    assert not akin("5", "6") and not akin("may", "can't") and akin("recieve", "receive")


def test_the_best_edits_together_are_found_and_never_worse_than_a_draft() -> None:
    rng = random.Random(4)
    words = [f"w{number}" for number in range(6)]
    spots = [Edit(0, 99, "a"), Edit(1, 99, ""), Edit(2, 0, "b"), Edit(2, 0, "c"), Edit(3, 99, "d"), Edit(6, 0, "e")]
    batch = WordVocabulary.of([*words, *"abcde"]).batch([words, words])
    missed = 0
    for trial in range(20):
        # some pairs of edits help only together
        alone = {edit.word or "-": rng.uniform(-2, 3) for edit in spots}
        both = {pair: rng.uniform(-4, 2) for pair in itertools.combinations("abcde", 2)}

        def energies(texts: list[str], alone: Any = alone, both: Any = both) -> list[float]:
            rows = [set(text.split()) for text in texts]
            return [
                sum(nats for word, nats in alone.items() if (word in row if word != "-" else "w1" not in row))
                + sum(nats for pair, nats in both.items() if set(pair) <= row)
                for row in rows
            ]

        energy = FunctionObjective(energies, name="pairs")
        drafts = [[rng.sample([spots[i] for i in (0, 1, 2, 4, 5)], 3), [spots[3]]], [spots[:2]]]
        found = improved(energy, batch, drafts)
        own = energy.energy(found).tolist()
        for number, group in enumerate(drafts):
            least = min(float(energy.energy(edited(batch, number, draft))) for draft in [[], *group])
            assert own[number] <= least + 1e-9, trial
            pool = {edit for draft in group for edit in draft}
            # the twin: a descent that never starts from a whole draft
            alone_first = improved(energy, batch.rows([number]), [[[edit] for edit in sorted(pool)]])
            missed += float(energy.energy(alone_first)[0]) > least + 1e-9
            for edit in pool:
                # no single edit more lowers it
                assert own[number] <= float(energy.energy(edited(batch, number, [edit]))) + 1e-9
        if trial == 0:
            alike = improved(energy, batch.rows([0]), drafts[:1])
            assert alike.texts() == found.texts()[:1]
    assert missed
    # the control: with nothing suggested nothing changes
    assert improved(energy, batch, [[], [[]]]).texts() == batch.texts()


def test_words_of_a_batch_that_differ_are_edits_of_it() -> None:
    vocabulary = WordVocabulary.of(split("a b c d"))
    one, other = vocabulary.encode(["a b", "c"]), vocabulary.encode(["a d", "c"])
    found = differences(one, other)
    assert found == [(Edit(1, 99, "d"),), ()] and edited(one, 0, found[0]).texts() == ["a d"]
    assert replaced(split("a b"), found) == {"b": ["d"]}


def test_a_taught_model_judges_beside_the_default_one_and_its_drafts_are_looked_at(
    tiny: Tiny, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, taught = causal_lm(roomy_causal(tmp_path), device="cpu"), causal_lm(roomy_causal(tmp_path), device="cpu")
    written: list[str] = []

    def continuations(self: Any, prompt: list[str], rng: Any, *, temperature: float, most: list[int]) -> list[str]:
        written.extend(prompt)
        return ["the dogs sat."] * len(prompt)

    monkeypatch.setattr(judging, "corrector_beside", lambda model: taught if model is lm else None)
    monkeypatch.setattr(type(taught), "continuations", continuations)
    listed = EnglishConfusions(inserted=("the",))
    texts = ["the dgos sat.", "a cat " * 3000]
    given: dict[str, Any] = {"masked": tiny.masked_path, "chains": 1, "confusions": listed, "strictness": 1e-3}
    result = correct(texts[:1], causal=lm, steps=0, **given)
    assert len(written) == judging.DRAFTS and all("the dgos sat." in prompt for prompt in written)
    assert {"fluency", "conditional"} <= set(result.best_terms)
    even = ["the dgos sat."]
    own = judging.Corrector.of(lm, even)
    assert own is not None and own.lm is taught and own.weights == judging.TAUGHT
    # a text that is too long is not asked about, and the model alone judges it
    both = judging.Corrector.of(lm, [*even, "a cat " * 3000])
    assert both is not None and [bool(prompt) for prompt in both.prompts] == [True, False]
    assert [len(drafts) for drafts in both.drafts([*even, texts[1]], 0)] == [judging.DRAFTS, 0]
    terms, scales = judging.judging(lm, [*even, texts[1]], both)
    assert scales == [judging.TAUGHT.edits, 1.0] and len(terms) == 3
    batch = lm.vocabulary.encode(["the dogs sat.", "a cat"])
    total = sum((weight * term.energy(batch) for weight, term in terms), start=torch.zeros(2, dtype=torch.float64))
    plain = Fluency(lm).energy(batch)
    assert total[1].item() == pytest.approx(plain[1].item(), abs=1e-5) and abs(total[0] - plain[0]) > 1e-3
    # the control: any other model is not taken for the default one
    assert judging.Corrector.of(tiny.causal(), even) is None


def test_a_month_gets_its_capital_and_a_verb_does_not() -> None:
    words = WordVocabulary.of([*split("In may we may come , may 5 or  may"), "May", "  May"])
    batch = words.batch([split("In may we may come , may 5 or  may"), split("we may come")])
    assert months(batch) == [(Edit(1, 99, "May"), Edit(6, 99, "May")), ()]
    # what is kept stays, and what the vocabulary lacks is not written
    assert months(batch.frozen(torch.ones_like(batch.tokens, dtype=torch.bool))) == [(), ()]
    assert months(WordVocabulary.of(split("in may")).batch([split("in may")])) == [()]


def test_what_a_draft_says_of_one_text_is_not_said_of_another() -> None:
    from samplers.proposals import Clusters

    listed = ListedConfusions({"a": {"b": "spelling"}})
    rows = [["a", "x"], ["x"]]
    clusters = Clusters.of(rows, listed, suggested=[{"x": ["y"]}, {}])
    number = clusters.vocabulary.number
    homes = clusters.homes_of(torch.tensor([0, 0, 0, 1, 1]), torch.tensor([number[word] for word in "axyxy"]))
    assert (homes >= 0).tolist() == [True, True, True, False, False]
