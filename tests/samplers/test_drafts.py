"""Drafts: allowed texts of a causal model, for the inputs that they were written for."""

from __future__ import annotations

import math
from typing import Any

import pytest

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import Replace
from samplers.starts.drafts import drafts, one_sentence
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch
from textsearch.objective import Objective

PROMPTS = ["the old", "dog", ""]


def needs(word: str) -> FunctionObjective:
    """Forbids texts without the word."""
    return FunctionObjective(
        lambda texts: [0.0 if word in text.lower().rstrip(".").split() else math.inf for text in texts], name=word
    )


SHORT = FunctionObjective(lambda texts: [float(len(text)) for text in texts], name="length")
NEVER = FunctionObjective(lambda texts: [math.inf] * len(texts), name="never")


def draft(tiny: Tiny, objective: Objective, prompts: list[str] = PROMPTS, **settings: Any) -> Batch:
    settings = {"chains": 6, "seed": 3, "max_tokens": 8, **settings}
    return drafts(tiny.words(), prompts, objective, tiny.masked().vocabulary, **settings)


def by_input(batch: Batch) -> dict[int, list[str]]:
    texts: dict[int, list[str]] = {}
    for number, text in zip(batch.inputs.tolist(), batch.texts(), strict=True):
        texts.setdefault(number, []).append(text)
    return texts


def test_only_allowed_drafts(tiny: Tiny) -> None:
    batch = draft(tiny, needs("cat"))
    assert batch.inputs.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert all("cat" in text.lower().rstrip(".").split() for text in batch.texts())
    assert batch.editable.equal(batch.present)
    free = draft(tiny, SHORT).texts()
    assert any("cat" not in text.lower() for text in free)


def test_drafts_of_an_input_differ(tiny: Tiny) -> None:
    for texts in by_input(draft(tiny, needs("cat"))).values():
        assert len(set(texts)) == len(texts) == 6


def test_the_lowest_energies_come_first(tiny: Tiny) -> None:
    few, many = (draft(tiny, SHORT, chains=chains, rounds=1) for chains in (3, 12))
    for number, texts in by_input(many).items():
        assert [len(text) for text in texts] == sorted(len(text) for text in texts)
        assert by_input(few)[number] == texts[:3]
    energies = Fluency(tiny.words()).energy(draft(tiny, needs("cat") + Fluency(tiny.words()), PROMPTS[:1]))
    assert energies.tolist() == sorted(energies.tolist())


def test_prompts_are_answered_one_by_one(tiny: Tiny) -> None:
    """What an input gets depends on its number and prompt alone."""
    whole = by_input(draft(tiny, needs("cat")))
    assert by_input(draft(tiny, needs("cat"), PROMPTS[:1])) == {0: whole[0]}
    assert whole[0] != whole[1]
    alike = by_input(draft(tiny, SHORT, ["dog", "dog"], chains=20))
    assert alike[0] != alike[1]


def test_an_objective_sees_the_input_of_a_draft(tiny: Tiny) -> None:
    seen: list[int] = []

    class Recording(Objective):
        def energy(self, batch: Batch) -> Any:
            seen.extend(batch.inputs.tolist())
            return SHORT.energy(batch)

    batch = draft(tiny, Recording())
    assert set(seen) == {0, 1, 2}
    assert set(batch.inputs.tolist()) == {0, 1, 2}


def test_deterministic_in_the_seed(tiny: Tiny) -> None:
    one, two, other = (draft(tiny, needs("cat"), seed=seed) for seed in (3, 3, 4))
    assert one.tokens.equal(two.tokens)
    assert one.texts() != other.texts()


def test_fewer_where_fewer_are_found(tiny: Tiny) -> None:
    batch = draft(tiny, needs("cat"), chains=500, pool=4, rounds=1)
    assert len(batch) < 12
    assert set(batch.inputs.tolist()) <= {0, 1, 2}


def test_later_rounds_bring_more(tiny: Tiny) -> None:
    sizes = [len(draft(tiny, needs("cat"), chains=500, pool=16, rounds=rounds)) for rounds in (1, 3)]
    assert sizes[0] < sizes[1]


def test_no_more_rounds_than_needed(tiny: Tiny) -> None:
    def passes(rounds: int) -> int:
        lm = tiny.words()
        drafts(lm, ["the old"], SHORT, tiny.masked().vocabulary, chains=2, seed=3, rounds=rounds)
        return lm.usage.passes

    assert passes(1) == passes(5)


def test_an_input_without_drafts_is_missing(tiny: Tiny) -> None:
    assert len(draft(tiny, NEVER)) == 0
    only_dogs = FunctionObjective(lambda texts: [0.0] * len(texts), name="any")

    class NotTheSecond(Objective):
        def energy(self, batch: Batch) -> Any:
            return only_dogs.energy(batch).masked_fill(batch.inputs == 1, math.inf)

    assert set(draft(tiny, NotTheSecond()).inputs.tolist()) == {0, 2}


def test_drafts_that_the_sampler_cannot_write_are_dropped(tiny: Tiny) -> None:
    batch = draft(tiny, SHORT, finish=lambda text: text.replace("cat", "猫"))
    assert len(batch) == 18
    assert not any("cat" in text.lower() for text in batch.texts())
    assert len(draft(tiny, SHORT, finish=lambda text: "猫")) == 0


def test_an_empty_finish_drops_a_draft(tiny: Tiny) -> None:
    assert len(draft(tiny, SHORT, finish=lambda text: "")) == 0


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("A dog runs. It is fast.", "A dog runs."),
        ("A dog runs", "A dog runs."),
        ("  \n\n A dog runs!\nA cat", "A dog runs!"),
        ('He said "no." Then', 'He said "no.'),
        ("It costs 3.50 now. So", "It costs 3.50 now."),
        ("今天很好。 我们", "今天很好。"),
        ("and so on,", "and so on."),
        ("", ""),
        (" \n ", ""),
        (",;", ""),
    ],
)
def test_one_sentence(written: str, kept: str) -> None:
    assert one_sentence(written) == kept


def test_chains_start_from_drafts(tiny: Tiny) -> None:
    masked = tiny.masked()
    batch = drafts(tiny.words(), PROMPTS, needs("cat"), masked.vocabulary, chains=2, seed=0, max_tokens=8)
    result = generate(needs("cat"), MetropolisHastings(Replace(masked)), batch, steps=3, seed=0)
    assert result.inputs.tolist() == batch.inputs.tolist() == [0, 0, 1, 1, 2, 2]
    assert all("cat" in text.lower() for text in result.texts)
