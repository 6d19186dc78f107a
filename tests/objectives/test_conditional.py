"""Conditional probability: what a model of any kind says of a text after its source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from objectives import Conditional, Fluency
from samplers import MetropolisHastings
from samplers.proposals import Replace
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from tests.models.tiny_seq2seq import bart_path as bart_path
from tests.models.tiny_seq2seq import load
from textsearch import generate
from textsearch.batch import Batch
from textsearch.models.protocols import ConditionalLM
from textsearch.models.unilm import UniLM
from textsearch.objective import Cost
from textsearch.testing import check_objective

SOURCES = ["Write on dogs.", "the old dog", "In Paris", "Cats"]


@pytest.fixture(params=["causal", "sequence to sequence", "unilm", "unilm with ends"])
def fresh(request: pytest.FixtureRequest, tiny: Tiny, bart_path: Path) -> Callable[[], ConditionalLM]:
    """Makes a model of each kind, with nothing remembered."""
    makers: dict[str, Callable[[], ConditionalLM]] = {
        "causal": tiny.causal,
        "sequence to sequence": lambda: load(bart_path),
        "unilm": lambda: UniLM(tiny.masked()),
        "unilm with ends": lambda: UniLM(tiny.masked(), ends=True),
    }
    return makers[request.param]


@pytest.fixture
def batch(tiny: Tiny) -> Batch:
    """Rows of four inputs, in no order."""
    batch = tiny.masked().vocabulary.encode(TEXTS)
    return Batch(batch.tokens, batch.lengths, batch.editable, torch.arange(len(batch)) * 3 % 4, batch.vocabulary)


def test_the_energy_is_the_negative_log_probability(fresh: Callable[[], ConditionalLM], batch: Batch) -> None:
    lm = fresh()
    for source in SOURCES:
        assert Conditional(lm, source).energy(batch).equal(-lm.score(batch, source).log_prob)


def test_each_input_has_its_source(fresh: Callable[[], ConditionalLM], batch: Batch) -> None:
    found = Conditional(fresh(), SOURCES).energy(batch)
    for number, source in enumerate(SOURCES):
        index = batch.inputs == number
        assert Conditional(fresh(), source).energy(batch.rows(index)).equal(found[index])
    # the next input's source, as if rows were numbered from 1
    shifted = Conditional(fresh(), [*SOURCES[1:], SOURCES[0]]).energy(batch)
    assert (found != shifted)[batch.lengths > 0].all()


@pytest.mark.parametrize("source", [SOURCES[0], SOURCES], ids=["one", "one each"])
def test_rows_do_not_mix(fresh: Callable[[], ConditionalLM], batch: Batch, source: str | list[str]) -> None:
    objective = Conditional(fresh(), source)
    check_objective(objective, batch)
    # alone, with nothing remembered, as among all
    assert Conditional(fresh(), source).energy(batch.rows([3])).equal(objective.energy(batch)[[3]])


def test_after_a_prompt_it_is_fluency(tiny: Tiny, batch: Batch) -> None:
    lm = tiny.causal()
    assert Conditional(lm, SOURCES).energy(batch).equal(Fluency(lm, SOURCES).energy(batch))


def test_a_sampler_moves_under_it(fresh: Callable[[], ConditionalLM], tiny: Tiny) -> None:
    objective = Conditional(fresh(), SOURCES[:2])
    result = generate(objective, MetropolisHastings(Replace(tiny.masked())), TEXTS[:1] * 2, steps=3, seed=0, chains=2)
    assert list(result.term_traces) == ["conditional"]
    assert "conditional" in result.usage
    assert len(result.texts) == 4


def test_too_few_sources(tiny: Tiny, batch: Batch) -> None:
    lm = tiny.causal()
    with pytest.raises(ValueError, match="source has 3 values, but there are 4 inputs: pass one for each input, or a"):
        Conditional(lm, SOURCES[:3]).check(batch)
    with pytest.raises(ValueError, match="source is empty: pass one for all inputs, or one for each"):
        Conditional(lm, [])
    Conditional(lm, SOURCES).check(batch)
    Conditional(lm, "one").check(batch)
    assert lm.usage.passes == 0


def test_stage_and_bound(tiny: Tiny) -> None:
    objective = Conditional(tiny.causal(), "")
    assert (objective.name, objective.cost, objective.lower_bound) == ("conditional", Cost.MODEL, 0.0)
