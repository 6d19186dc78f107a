"""Answered: log p of the answer behind passage and text, by a sum that shares nothing with the engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from objectives import Answered, Conditional
from textsearch.batch import Batch
from textsearch.objective import Limit, Objective
from textsearch.testing import TableCausalLM, letters

LM = TableCausalLM.random(letters("ab"), seed=3)
BATCH = replace(LM.vocabulary.encode(["", "a", "ba", "abb", "ba"]), inputs=torch.tensor([1, 0, 1, 0, 0]))
ANSWERS, BEFORE, BEHIND = ["ab", "b"], ["bb", "a"], ["a", ""]


def token_by_token(batch: Batch) -> list[float]:
    """-log p of each token of the answer and of its end, by the toy's tables."""
    found = []
    for text, number in zip(batch.texts(), batch.inputs.tolist(), strict=True):
        read = [" ab".index(letter) for letter in BEFORE[number] + text + BEHIND[number]]
        energy = 0.0
        for place, token in enumerate([*(" ab".index(letter) for letter in ANSWERS[number]), LM.eos]):
            logits = LM.by_place[min(place, 8)].clone()
            for distance, before in enumerate(reversed(read), 1):
                logits += LM.table[min(distance, 8), before]
            energy -= float(logits.log_softmax(-1)[token])
            read.append(token)
        found.append(energy)
    return found


def law(objective: Objective) -> bool:
    """Whether the energies are those token by token."""
    return torch.allclose(objective.energy(BATCH), torch.tensor(token_by_token(BATCH), dtype=torch.float64), atol=1e-5)


def test_the_energy_is_the_sum_over_the_answer() -> None:
    assert law(Answered(LM, ANSWERS, before=BEFORE, behind=BEHIND))


@pytest.mark.parametrize(
    "twin",
    [
        # the other direction, the answers of the other input, no passage, the question behind the answer's frame
        Conditional(LM, [one + other for one, other in zip(BEFORE, ANSWERS, strict=True)]),
        Answered(LM, ANSWERS[::-1], before=BEFORE, behind=BEHIND),
        Answered(LM, ANSWERS, behind=BEHIND),
        Answered(LM, ANSWERS, before=BEHIND, behind=BEFORE),
    ],
)
def test_a_broken_twin_is_caught(twin: Objective) -> None:
    assert not law(twin)


def test_within_a_limit_it_is_the_same() -> None:
    objective = Answered(LM, ANSWERS, before=BEFORE, behind=BEHIND)
    energy = objective.energy(BATCH)
    limit: Tensor = energy.median().expand(len(BATCH))
    found = objective.energy_within(BATCH, Limit(limit, BATCH))
    assert found[energy <= limit].equal(energy[energy <= limit]) and bool((found[energy > limit] > limit[0]).all())


def test_an_empty_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="empty in places"):
        Answered(LM, ["a", " "])
