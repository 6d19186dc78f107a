"""Pseudo-likelihood: the sum over a text's tokens of what a masked model says of each, itself masked."""

from __future__ import annotations

import pytest
import torch

from objectives import PseudoLikelihood
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from textsearch.models.masked import TransformersMaskedLM
from textsearch.objective import Cost
from textsearch.testing import TableMaskedLM, check_objective, letters


def one_by_one(lm: TransformersMaskedLM, text: str, masked: bool = True) -> float:
    """Each token in a plain pass of its own."""
    tokenizer = lm.vocabulary.tokenizer
    tokens = tokenizer(text)["input_ids"]
    energy = 0.0
    for place in range(1, len(tokens) - 1):
        given = [tokenizer.mask_token_id if masked and i == place else token for i, token in enumerate(tokens)]
        with torch.inference_mode():
            logits = lm.model(input_ids=torch.tensor([given])).logits[0, place].double()
        energy -= float(logits.log_softmax(-1)[tokens[place]])
    return energy


def test_the_sum_of_single_conditionals(tiny: Tiny) -> None:
    lm = tiny.masked()
    energy = PseudoLikelihood(lm).energy(lm.vocabulary.encode(TEXTS))
    wanted = torch.tensor([one_by_one(lm, text) for text in TEXTS], dtype=torch.float64)
    torch.testing.assert_close(energy, wanted, atol=1e-4, rtol=0)
    assert energy[TEXTS.index("")] == 0


def test_reading_the_token_itself_is_caught(tiny: Tiny) -> None:
    lm = tiny.masked()
    energy = PseudoLikelihood(lm).energy(lm.vocabulary.encode(["The old dog sat."]))
    assert abs(float(energy) - one_by_one(lm, "The old dog sat.", masked=False)) > 0.1


def test_rows_do_not_mix(tiny: Tiny) -> None:
    lm = tiny.masked()
    check_objective(PseudoLikelihood(lm), lm.vocabulary.encode(TEXTS))


def test_small_passes_change_nothing(tiny: Tiny) -> None:
    lm, small = tiny.masked(), tiny.masked(max_tokens=1)
    assert (
        PseudoLikelihood(lm)
        .energy(lm.vocabulary.encode(TEXTS))
        .equal(PseudoLikelihood(small).energy(small.vocabulary.encode(TEXTS)))
    )


def test_each_token_costs_a_row(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(TEXTS)
    objective = PseudoLikelihood(lm)
    objective.energy(batch)
    different = {tuple(row) for row in batch.token_lists()}
    assert lm.usage.rows == sum(map(len, different))
    assert objective.cost == Cost.HEAVY
    assert objective.name == "pseudo-likelihood"


def test_the_batch_is_left_as_it_was(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(TEXTS)
    before = batch.tokens.clone()
    PseudoLikelihood(lm).energy(batch)
    assert batch.tokens.equal(before)


def test_by_hand_on_a_table() -> None:
    model = TableMaskedLM.random(letters("abc"), seed=1)
    batch = model.vocabulary.encode(["abca"])
    wanted = 0.0
    for place, token in enumerate(batch.tokens[0].tolist()):
        masked = batch.with_tokens(torch.tensor([place]), torch.tensor([0]))
        wanted -= float(model.log_probs(masked, torch.tensor([0]), torch.tensor([place]))[0, token])
    assert float(PseudoLikelihood(model).energy(batch)) == pytest.approx(wanted, abs=1e-12)


def test_another_vocabulary_is_refused(tiny: Tiny) -> None:
    lm = tiny.masked()
    objective = PseudoLikelihood(lm)
    objective.check(lm.vocabulary.encode(["dog"]))
    with pytest.raises(ValueError, match="in its model's own tokens: use the same masked model in the sampler"):
        objective.check(tiny.masked().vocabulary.encode(["dog"]))
    with pytest.raises(ValueError, match="own tokens"):
        objective.check(letters("ab").encode(["a"]))
