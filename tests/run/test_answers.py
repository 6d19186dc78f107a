"""Who is in the batch, what is told of them, and when; what cannot be run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.run.toys import (
    INPUTS,
    MODEL,
    QUICK,
    REPLACE,
    SAMPLERS,
    STEPS,
    TOTAL,
    VOCABULARY,
    WALK,
    Twin,
    differences,
    flow,
    own_end,
    wave,
    whole,
)
from textsearch import FunctionObjective, generate_each
from textsearch.batch import Batch
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Info
from textsearch.testing import letters


@pytest.mark.parametrize("name", ["gibbs", "systematic", "thinned", "multiple try", "iterated", "annealing", "delayed"])
def test_the_batch_stays_full(name: str) -> None:
    sizes: list[int] = []

    @dataclass(frozen=True)
    class Watched(Twin):
        def step(
            self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
        ) -> tuple[ChainState, Info]:
            sizes.append(len(state.batch))
            return self.sampler.step(objective, state, rng, temperature)

    answers = flow(Watched(SAMPLERS[name], lambda rng: rng), batch_inputs=3)
    lasted = [answer.result.steps for _, answer in sorted(answers.items()) if answer.result]
    ends = [0, 0, 0]  # of each place in the batch
    for steps in lasted:
        place = ends.index(min(ends))
        ends[place] += steps
    assert len(sizes) == max(ends)
    assert sizes == [2 * sum(end > step for end in ends) for step in range(max(ends))]
    assert set(sizes[: min(ends)]) == {6}


def test_answers_come_as_they_are_done_or_in_order() -> None:
    settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "batch_inputs": 4, "until": own_end}
    numbers = [answer.number for answer in generate_each(TOTAL, QUICK, INPUTS, **settings)]
    assert sorted(numbers) == list(range(len(INPUTS))) != numbers
    ordered = [answer.number for answer in generate_each(TOTAL, QUICK, INPUTS, in_order=True, **settings)]
    assert ordered == sorted(numbers)


def test_the_caller_is_left_alone_between_answers() -> None:
    """No context of the run is open while the caller has an answer."""
    for _ in generate_each(TOTAL, WALK, INPUTS[:3], steps=3, seed=0):
        assert not torch.is_inference_mode_enabled()


def test_no_steps_give_back_the_inputs() -> None:
    answers = flow(WALK, steps=0, batch_inputs=2)
    for number, text in enumerate(INPUTS):
        result = answers[number].result
        assert result is not None
        assert result.texts == result.best_texts == [text] * 2 and result.steps == 0


def test_shares_of_the_cost_add_up() -> None:
    before = MODEL.usage.rows
    answers = flow(WALK, batch_inputs=4)
    asked = MODEL.usage.rows - before
    shares = [sum(use.rows for use in answer.result.usage.values()) for answer in answers.values() if answer.result]
    assert abs(sum(shares) - asked) <= len(INPUTS)


def test_batches_keep_their_inputs_and_frozen_tokens() -> None:
    """Two rows of one input, numbers with a gap, tokens that must stay."""
    batch = VOCABULARY.encode(["abc", "cabb", "ccc", "ab"])
    batch = replace(batch, inputs=torch.tensor([2, 0, 2, 5]))
    batch = batch.frozen(torch.arange(batch.width) == torch.tensor([[0], [1], [2], [0]]))
    answers = flow(WALK, batch, batch_inputs=2)
    assert sorted(answers) == [0, 2, 5]
    assert [found for found in differences(answers, whole(WALK, batch)) if not found.startswith("best of 2")] == []
    two = answers[2].result
    assert two is not None
    assert two.inputs.tolist() == [2] * 4
    assert [text[0] for text in two.texts[:2]] == ["a", "a"] and all("c" in text for text in two.texts[2:])


@dataclass(frozen=True, eq=False)
class Ladder:
    """A state with a column for each chain."""

    chain: ChainState
    rungs: Tensor

    @property
    def batch(self) -> Batch:
        return self.chain.batch

    @property
    def evaluation(self) -> Evaluation:
        return self.chain.evaluation


class Secret(Ladder):
    """A state with something in it that is no tensor."""

    def __init__(self, chain: ChainState) -> None:
        object.__setattr__(self, "chain", chain)
        object.__setattr__(self, "rungs", [1, 2])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda chain: Ladder(chain, torch.zeros(3, len(chain.batch))), r"rungs of .* shape \(3, 4\), not \(4, ...\)"),
        (Secret, "rungs is a list, which is no frozen dataclass"),
    ],
)
def test_chains_that_cannot_come_and_go_are_refused(state: Callable[[ChainState], Any], message: str) -> None:
    @dataclass(frozen=True)
    class Keeping(Twin):
        def init(self, objective: Objective, batch: Batch) -> Any:
            return state(self.sampler.init(objective, batch))

    def never(texts: list[str]) -> list[float]:
        raise AssertionError("an energy was asked for")

    with pytest.raises(TypeError, match=f"{message}.*generate"):
        generate_each(FunctionObjective(never), Keeping(REPLACE, lambda rng: rng), INPUTS, steps=3, seed=0, chains=4)


def test_what_cannot_be_shared_out_is_refused() -> None:
    @dataclass(frozen=True)
    class Loud(Twin):
        def step(
            self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
        ) -> tuple[ChainState, Info]:
            state, info = self.sampler.step(objective, state, rng, temperature)
            return state, replace(info, recorded={"mean": state.evaluation.energy.mean()})

    with pytest.raises(TypeError, match="'mean' is recorded as a tensor of shape"):
        flow(Loud(WALK, lambda rng: rng))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_inputs": 0}, ValueError, "batch_inputs=0"),
        ({"batch_inputs": True}, ValueError, "batch_inputs=True"),
        ({"steps": -1}, ValueError, "steps=-1"),
        ({"seed": 2**64}, ValueError, "does not fit"),
        ({"inputs": []}, ValueError, "inputs is empty"),
        ({"inputs": "abc"}, TypeError, "is one string"),
        ({"inputs": letters("abc").encode(["a"])}, ValueError, "another tokenizer"),
        ({"objective": wave}, TypeError, "FunctionObjective"),
    ],
)
def test_arguments_that_cannot_be_meant(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    settings: dict[str, Any] = {"objective": TOTAL, "inputs": INPUTS, "steps": 3, "seed": 0} | changes
    with pytest.raises(error, match=message):
        # told at the call, not when the first answer is asked for
        generate_each(settings.pop("objective"), QUICK, settings.pop("inputs"), **settings)
