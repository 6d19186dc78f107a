"""Runs without starting texts: the terms outline them, the sampler's masked model writes them, the energy decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from objectives import (
    Forbidden,
    Keywords,
    Length,
    LengthBetween,
    Only,
    Pattern,
    Prefix,
    Rhyme,
    Suffix,
    Template,
)
from samplers import Cycle, Gibbs, MetropolisHastings, Mixture, ParallelTempering, SimulatedAnnealing, Thinned
from samplers.proposals import InsertDelete, Replace, SuffixResampling, Swap
from samplers.proposals import Mixture as Moves
from textsearch import Batch, FunctionObjective, generate, generate_each, geometric
from textsearch.objective import Objective
from textsearch.outline import Outline, Room
from textsearch.run.starts import TRIED, inputs_of, layout, starts, writer
from textsearch.testing import TableCausalLM, TableMaskedLM, letters

SAMPLER = MetropolisHastings()
"""The packaged model, which needs no network."""

LONG = Length(mean=8, sd=2)
TERMS: dict[str, Objective] = {
    "nothing": FunctionObjective(lambda texts: [float(len(text)) for text in texts], name="short"),
    "keywords": Keywords(["dog", "hot dog", "park"]),
    "in order": Keywords(["sea", "old man", "boat"], in_order=True),
    "inflected": Keywords(["run", "child"], inflections=True),
    "frozen": Keywords(["dog", "park"], freeze_tokens=True) + LONG,
    "affixes": Prefix("The old man") + Suffix("the sea") + Keywords(["boat"]),
    "template": Template("The * of the *{2}."),
    "template and words": Template("The *{3,} and *.") + Keywords(["dog"]) + LengthBetween(8, 12),
    "exact length": LengthBetween(5, 5) + Keywords(["cat"]),
    "words alone": LengthBetween(6, 6, marks=False),
    "characters": LengthBetween(60, 80, characters=True),
    "forbidden": Forbidden(["the", "a", "of", "in"]) + LONG,
    "rhyme": Rhyme("day") + LONG,
    "a number": Pattern("[0-9]+"),
    "only": Only(Keywords([["dog"]]), [0]) + LONG,
    "weighted": 3.0 * Keywords(["dog"]) + 0.1 * LONG,
}


@pytest.mark.parametrize("name", TERMS)
def test_starts_satisfy_the_hard_terms(name: str) -> None:
    objective = TERMS[name]
    batch = starts(objective, SAMPLER, chains=3, seed=0)
    assert len(batch) == 3 and batch.inputs.tolist() == [0] * 3
    assert bool(objective.energy(batch).isfinite().all()), batch.texts()
    # and so a chain begins and goes on from them
    result = generate(objective, SAMPLER, steps=1, seed=0, chains=3)
    assert result.steps == 1 and np.isfinite(result.best_energies).all()


VOCABULARY = letters("abc")
TOY = MetropolisHastings(Replace(TableMaskedLM.random(VOCABULARY, seed=0)))
FEW: Objective = FunctionObjective(lambda texts: [1.0 * text.count("a") for text in texts], name="few a")


def test_the_start_of_a_chain_is_its_own() -> None:
    """Neither other chains, nor other inputs, nor what else needs a start in a later round change it."""
    rare = FunctionObjective(lambda texts: [0.0 if len(text) == 7 else float("inf") for text in texts], name="seven")
    many = starts(rare, TOY, chains=9, seed=4)
    assert starts(rare, TOY, chains=2, seed=4).texts() == many.texts()[:2]
    assert starts(rare, TOY, chains=9, seed=5).texts() != many.texts()
    each = FEW + LengthBetween([5, 6, 7], [5, 6, 7])
    three = starts(each, TOY, chains=2, seed=4, numbers=[7, 1, 5])
    assert [len(text) for text in three.texts()] == [5, 5, 6, 6, 7, 7]
    assert three.inputs.tolist() == [0, 0, 1, 1, 2, 2]
    assert starts(FEW + LengthBetween(6, 6), TOY, chains=2, seed=4, numbers=[1]).texts() == three.texts()[2:4]
    assert len(set(many.texts())) > 2


def test_runs_from_written_starts_are_those_from_the_same_texts() -> None:
    each = FEW + LengthBetween([5, 6, 7], [5, 6, 7])
    whole = generate(each, TOY, steps=9, seed=4, chains=2, numbers=[7, 1, 5])
    begun = starts(each, TOY, chains=2, seed=4, numbers=[7, 1, 5])
    assert whole.trace.tolist() == generate(each, TOY, begun, steps=9, seed=4, numbers=[7, 1, 5]).trace.tolist()
    answers = generate_each(each, TOY, steps=9, seed=4, chains=2, numbers=[7, 1, 5], batch_inputs=2)
    for answer in answers:
        assert answer.result is not None
        assert answer.result.trace.tolist() == whole.trace[:, whole.inputs == answer.number].tolist()


@pytest.mark.parametrize(
    ("objective", "count"),
    [
        (FEW, 1),
        (FEW + LengthBetween([1, 2, 3], 9), 3),
        (FEW + LengthBetween([1] * 4, 9), 4),
        (LengthBetween([1] * 37, 9) + LengthBetween(0, 50), 37),
        (FEW + LengthBetween([1], 9), 1),
    ],
)
def test_the_inputs_are_those_that_the_terms_know_of(objective: Objective, count: int) -> None:
    assert inputs_of(objective, VOCABULARY) == count


MODEL = TableMaskedLM.random(VOCABULARY, seed=0)
MOVES = Replace(MODEL)


@pytest.mark.parametrize(
    "sampler",
    [
        MetropolisHastings(MOVES),
        MetropolisHastings(Moves({Swap(VOCABULARY): 0.5, InsertDelete(MODEL): 0.5})),
        Gibbs(MODEL, 2),
        SimulatedAnnealing(Thinned(MetropolisHastings(MOVES), 2), geometric(2.0, 1.0)),
        Cycle([MetropolisHastings(Swap(VOCABULARY)), Gibbs(MODEL, 2)]),
        Mixture({MetropolisHastings(Swap(VOCABULARY)): 0.5, Gibbs(MODEL, 2): 0.5}),
        ParallelTempering(MetropolisHastings(MOVES), (1, 2)),
    ],
)
def test_the_masked_model_is_found_wherever_it_lies(sampler: Any) -> None:
    assert writer(sampler) is MODEL
    assert len(generate(FEW, sampler, steps=2, seed=0).texts) == 1


@pytest.mark.parametrize(
    "sampler",
    [
        MetropolisHastings(Swap(VOCABULARY)),
        MetropolisHastings(SuffixResampling(TableCausalLM.random(VOCABULARY, seed=0))),
    ],
)
def test_without_a_masked_model_texts_are_asked_for(sampler: Any) -> None:
    with pytest.raises(ValueError, match=r"MetropolisHastings holds no masked language model .* pass some, generate\("):
        generate(FEW, sampler, steps=2, seed=0)


def test_where_none_is_found_the_terms_that_refused_are_named() -> None:
    never: Callable[[list[str]], list[float]] = lambda texts: [float("inf")] * len(texts)  # noqa: E731
    with pytest.raises(
        ValueError, match=rf"input 0: of {TRIED * 8} .* none is allowed \(never {TRIED * 8} times\); pass"
    ):
        generate(FEW + FunctionObjective(never, name="never"), TOY, steps=2, seed=0)


def test_what_no_input_can_satisfy_is_said_by_the_term_itself() -> None:
    with pytest.raises(ValueError, match="keyword 'dog' cannot be written by the tokenizer"):
        generate(Keywords(["dog"]), TOY, steps=2, seed=0)


def test_terms_of_somebody_else_need_no_outline() -> None:
    class Plain:
        def __getattr__(self, name: str) -> Any:
            if name == "outline":
                raise AttributeError(name)
            return getattr(FEW, name)

    plain: Any = Plain()
    assert len(generate(LengthBetween(4, 4) + plain, TOY, steps=2, seed=0).texts[0]) == 4


@pytest.mark.parametrize(
    ("one", "other", "parts"),
    [
        (Outline(), Outline(((("a"),), Room(1))), (("a",), Room(1))),
        (Outline((("a",), Room())), Outline((Room(), ("b",))), (("a",), Room(), ("b",))),
        (Outline((Room(), ("b",))), Outline((("a",), Room())), (("a",), Room(), ("b",))),
        (Outline((("a",), Room(2))), Outline((Room(), ("b",))), (("a",), Room(2))),
        (Outline((("a",),)), Outline((("b",),)), (("a",),)),
    ],
)
def test_outlines_are_brought_together_where_they_can_be(one: Outline, other: Outline, parts: Any) -> None:
    assert one.also(other).parts == parts


def test_layouts_keep_to_their_outline() -> None:
    outline = Outline((("The",), Room(2, 3), ("of the",), Room())).also(
        Outline(anywhere=(("hot dog", "cat"), ("sun",)), low=9, high=11)
    )
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        line = layout(outline, rng)
        words = " ".join(word or "_" for word in line).split()
        seen.add(len(words))
        assert words[0] == "The" and "sun" in words and ("cat" in line) != ("hot dog" in line)
        middle = line.index("of the")
        assert 2 <= len(" ".join(word or "_" for word in line[1:middle]).split()) <= 4
    assert seen >= {9, 10, 11} and max(seen) <= 12


def test_written_starts_are_plain_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many chains a few are written at a time, which changes nothing; all of a text may be edited."""
    plain = starts(FEW, TOY, chains=7, seed=2)
    monkeypatch.setattr("textsearch.run.starts._BLOCK", 2)
    again = starts(FEW, TOY, chains=7, seed=2)
    assert isinstance(plain, Batch) and again.texts() == plain.texts()
    assert plain.editable.equal(plain.present) and torch.equal(plain.lengths, again.lengths)
