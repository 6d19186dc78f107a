"""Fluency: what a causal language model says, as a sum and per token."""

from __future__ import annotations

import pytest
import torch

from objectives import Fluency, FluencyPerToken
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from tests.objectives.laws import energy_list
from textsearch.batch import Batch
from textsearch.objective import Cost, evaluate
from textsearch.testing import check_objective

PROMPTS = ["Write on dogs:", "", "In Paris", "Cats"]


@pytest.fixture
def batch(tiny: Tiny) -> Batch:
    return tiny.masked().vocabulary.encode(TEXTS)


def of_inputs(batch: Batch) -> Batch:
    """Rows of four inputs, in no order."""
    return Batch(batch.tokens, batch.lengths, batch.editable, torch.arange(len(batch)) * 3 % 4, batch.vocabulary)


def test_fluency_is_the_negative_log_probability(tiny: Tiny, batch: Batch) -> None:
    lm = tiny.causal()
    for prompt in PROMPTS:
        assert Fluency(lm, prompt).energy(batch).equal(-lm.score(batch, prompt).log_prob)
    assert (Fluency(lm).energy(batch) > 0).all()


def test_per_token_divides_by_the_tokens_and_the_end(tiny: Tiny, batch: Batch) -> None:
    lm = tiny.causal()
    own = lm.vocabulary.encode(batch.texts())
    wanted = Fluency(lm).energy(batch) / (own.lengths + 1)
    torch.testing.assert_close(FluencyPerToken(lm).energy(batch), wanted)
    # the empty text is its end, one token
    empty = TEXTS.index("")
    assert FluencyPerToken(lm).energy(batch)[empty] == Fluency(lm).energy(batch)[empty]


def test_a_sum_and_a_mean_are_different_targets(tiny: Tiny, batch: Batch) -> None:
    lm = tiny.causal()
    by_sum = Fluency(lm).energy(batch).argsort(stable=True).tolist()
    by_mean = FluencyPerToken(lm).energy(batch).argsort(stable=True).tolist()
    assert by_sum != by_mean
    assert Fluency(lm).name != FluencyPerToken(lm).name
    assert Fluency(lm).cost == FluencyPerToken(lm).cost == Cost.MODEL


@pytest.mark.parametrize("kind", [Fluency, FluencyPerToken])
def test_each_input_has_its_prompt(tiny: Tiny, batch: Batch, kind: type[Fluency | FluencyPerToken]) -> None:
    lm, rows = tiny.causal(), of_inputs(batch)
    found = kind(lm, PROMPTS).energy(rows)
    for number, prompt in enumerate(PROMPTS):
        index = rows.inputs == number
        assert kind(tiny.causal(), prompt).energy(rows.rows(index)).equal(found[index])
    assert not found.equal(kind(lm, PROMPTS[::-1]).energy(rows))


@pytest.mark.parametrize("kind", [Fluency, FluencyPerToken])
@pytest.mark.parametrize("prompt", ["", PROMPTS[0], PROMPTS], ids=["none", "one", "one each"])
def test_rows_do_not_mix(
    tiny: Tiny, batch: Batch, kind: type[Fluency | FluencyPerToken], prompt: str | list[str]
) -> None:
    lm = tiny.causal()
    check_objective(kind(lm, prompt), of_inputs(batch))
    lm._known.clear()
    once = energy_list(kind(lm, prompt), of_inputs(batch).rows([3]))
    assert once == [energy_list(kind(lm, prompt), of_inputs(batch))[3]]


@pytest.mark.parametrize("kind", [Fluency, FluencyPerToken])
def test_too_few_prompts(tiny: Tiny, batch: Batch, kind: type[Fluency | FluencyPerToken]) -> None:
    lm = tiny.causal()
    with pytest.raises(ValueError, match="prompt has 3 values, but there are 10 inputs: pass one for each input, or"):
        kind(lm, PROMPTS[:3]).check(batch)
    kind(lm, PROMPTS).check(of_inputs(batch))
    kind(lm, "one").check(batch)
    kind(lm).check(batch.rows([]))


def test_a_sum_scores_no_text_that_is_forbidden(tiny: Tiny, batch: Batch) -> None:
    lm = tiny.causal()
    wanted = torch.tensor([text == "dog" for text in TEXTS])
    evaluation = evaluate(Fluency(lm), batch, wanted)
    assert lm.usage.rows == 1
    assert evaluation.energy.isfinite().equal(wanted)
