"""Proposals of whole texts against enumerated laws, and their broken twins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from samplers.proposals import Fill, FromLeft, Uniform, template
from tests.reference import Floats
from tests.samplers.fresh_toys import FRESH, Fresh, every_fresh
from tests.samplers.laws import chi_square
from textsearch.batch import Batch, Vocabulary
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng
from textsearch.testing import LetterVocabulary, TableCausalLM, TableMaskedLM, letters

DRAWS = 10_000


def draws(fresh: Fresh, proposal: IndependentProposal, seed: int = 1) -> tuple[NDArray[np.int64], Tensor]:
    """(DRAWS,) numbers of the states drawn from the start, S for a failed draw; and log q as reported."""
    start = fresh.toy.batch([fresh.toy.states.index(fresh.toy.state(fresh.toy.start))] * DRAWS)
    drawn, log_prob = proposal.draw(start, Rng.start(seed, DRAWS))
    failed = (log_prob == math.inf).numpy()
    numbers = np.where(failed, len(fresh.toy.states), fresh.toy.number(drawn.rows(torch.arange(DRAWS))))
    assert numbers.min() >= 0
    return numbers, log_prob


def whole_law(fresh: Fresh) -> Floats:
    """(S + 1,) with the failed draws."""
    return np.append(fresh.law, max(0.0, 1 - fresh.law.sum()))


@every_fresh
def test_log_prob_is_the_reference_s_and_adds_up_to_one(fresh: Fresh) -> None:
    log_prob = fresh.proposal.log_prob(fresh.toy.batch(range(len(fresh.toy.states))))
    assert log_prob.dtype == torch.float64
    np.testing.assert_allclose(log_prob.exp().numpy(), fresh.law, rtol=1e-10)
    failing = isinstance(fresh.proposal, FromLeft)
    assert fresh.law.sum() < 0.99 if failing else abs(float(log_prob.exp().sum()) - 1) < 1e-12


@every_fresh
def test_draws_have_the_law_that_is_told(fresh: Fresh) -> None:
    numbers, log_prob = draws(fresh, fresh.proposal)
    assert chi_square(numbers, whole_law(fresh)) > 1e-4
    found = numbers < len(fresh.law)
    np.testing.assert_allclose(log_prob.exp().numpy()[found], fresh.law[numbers[found]], rtol=1e-10)
    again = fresh.proposal.log_prob(fresh.toy.batch(numbers[found]))
    assert torch.equal(again, log_prob[torch.from_numpy(found)])


@every_fresh
def test_draws_look_at_nothing_that_a_chain_may_change(fresh: Fresh) -> None:
    """All texts of the toy have one template: from each the same numbers draw the same text."""
    states = len(fresh.toy.states)
    rng = Rng.start(5, 1).rows([0] * states)
    drawn, log_prob = fresh.proposal.draw(fresh.toy.batch(range(states)), rng)
    assert len(set(map(tuple, drawn.token_lists()))) == 1
    assert len(set(log_prob.tolist())) == 1


LETTERS = letters("abcDE")
MASKED = TableMaskedLM.random(LETTERS, seed=0)
PROPOSALS: dict[str, IndependentProposal] = {
    "fill": Fill(MASKED),
    "uniform": Uniform(LETTERS),
    "from left": FromLeft(TableCausalLM.random(LETTERS, seed=0), max_length=7),
}
every_proposal = pytest.mark.parametrize("proposal", PROPOSALS.values(), ids=PROPOSALS.keys())


@every_proposal
def test_rows_do_not_depend_on_the_rest_of_the_batch(proposal: IndependentProposal) -> None:
    batch = LETTERS.encode(["abc", "", "aDb", "cbaEDc", "b", "aDEaDE", "ab", "bacbac"]).repeat(8)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 0] = True
    batch = batch.frozen(frozen)
    rng = Rng.start(21, len(batch))

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[float]]:
        start = batch.rows(rows).widen(width)
        drawn, log_prob = proposal.draw(start, rng.rows(rows))
        return drawn.token_lists(), log_prob.tolist(), proposal.log_prob(start).tolist()

    whole = run(list(range(64)))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([0], [5], [11], [62], list(range(7)), list(range(20, 53)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(64)), width=13) == whole


@every_proposal
def test_frozen_tokens_stay(proposal: IndependentProposal) -> None:
    batch = LETTERS.encode(["abcab", "aDbcE", "b"]).repeat(50)
    column = torch.arange(batch.width)
    batch = batch.frozen(column < 2)
    drawn, log_prob = proposal.draw(batch, Rng.start(0, len(batch)))
    kept = batch.present & (column < 2)
    assert torch.equal(drawn.tokens[:, :2] * kept[:, :2], batch.tokens[:, :2] * kept[:, :2])
    assert not (drawn.editable[:, :2] & kept[:, :2]).any()
    assert (log_prob > -math.inf).all()
    if not isinstance(proposal, FromLeft):
        # a text without sites is its own only fill
        whole = batch.frozen(batch.present)
        same, certain = proposal.draw(whole, Rng.start(0, len(batch)))
        assert same.token_lists() == batch.token_lists()
        assert certain.tolist() == [0.0] * len(batch)


def test_more_rows_than_go_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    fill = FRESH["fill"]
    batch = fill.toy.batch(np.arange(100) % 9)
    start, rng = fill.toy.batch([0] * 100), Rng.start(0, 100)
    whole, (drawn, _) = fill.proposal.log_prob(batch), fill.proposal.draw(start, rng)
    monkeypatch.setattr("samplers.proposals.fill._MOST", 30)
    assert fill.proposal.log_prob(batch).tolist() == whole.tolist()
    assert fill.proposal.draw(start, rng)[0].token_lists() == drawn.token_lists()


def test_an_empty_batch_and_empty_texts() -> None:
    for proposal in PROPOSALS.values():
        drawn, log_prob = proposal.draw(LETTERS.encode([]), Rng.start(0, 0))
        assert (len(drawn), len(log_prob)) == (0, 0)
        proposal.check(LETTERS.encode([""]))
        drawn, log_prob = proposal.draw(LETTERS.encode([""]), Rng.start(0, 1))
        assert proposal.log_prob(drawn).tolist() == log_prob.tolist()


def test_what_cannot_be_drawn_has_probability_zero() -> None:
    masks = template(LETTERS, ["a_b", "acb"])
    assert Fill(MASKED).log_prob(masks).tolist() == [-math.inf, 0.0]
    assert Uniform(LETTERS).log_prob(masks).tolist() == [-math.inf, 0.0]
    short = FromLeft(TableCausalLM.random(LETTERS, seed=0), max_length=2)
    assert (short.log_prob(LETTERS.encode(["ab", "abc"])) > -math.inf).tolist() == [True, False]


@dataclass(frozen=True, eq=False)
class NoPieces:
    """Letters of which none may go on a word."""

    letters: LetterVocabulary

    @property
    def size(self) -> int:
        return self.letters.size

    @property
    def mask_id(self) -> int:
        return 0

    @property
    def allowed(self) -> Tensor:
        return self.letters.allowed & ~self.letters.continues

    @property
    def continues(self) -> Tensor:
        return self.letters.continues

    def encode(self, texts: Sequence[str]) -> Batch:
        return replace(self.letters.encode(texts), vocabulary=self)

    def decode(self, batch: Batch) -> list[str]:
        return self.letters.decode(batch)


def test_errors_name_value_and_remedy() -> None:
    vocabulary: Vocabulary = NoPieces(letters("aB"))
    with pytest.raises(ValueError, match=r"row 1, 'aB', has a site .* may go on a word.*freeze that word"):
        Uniform(vocabulary).check(vocabulary.encode(["aa", "aB"]))
    model = TableCausalLM.random(LETTERS, seed=0)
    with pytest.raises(ValueError, match=r"temperature=0 must be a positive number"):
        FromLeft(model, temperature=0)
    with pytest.raises(ValueError, match=r"max_length=0 must be at least 1"):
        FromLeft(model, max_length=0)
    torn = LETTERS.encode(["abc"]).frozen(torch.tensor([[True, False, True]]))
    with pytest.raises(ValueError, match=r"row 0, 'abc', has frozen tokens behind others that are not.*use Fill"):
        FromLeft(model).check(torn)
    with pytest.raises(ValueError, match=r"begins with 3 frozen tokens, over max_length=2; raise it"):
        FromLeft(model, max_length=2).check(LETTERS.encode(["abc"]).frozen(torch.tensor([[True] * 3])))
    with pytest.raises(ValueError, match=r"prompt has 2 values, but there are 3 inputs"):
        FromLeft(model, prompt=["a", "b"]).check(LETTERS.encode(["a", "b", "c"]))
    FromLeft(model, max_length=2).check(LETTERS.encode(["abc"]))


def test_a_text_that_begins_with_too_much_comes_to_nothing() -> None:
    """Other samplers of a cycle may have written before what is frozen."""
    proposal = FromLeft(TableCausalLM.random(LETTERS, seed=0), max_length=2)
    batch = LETTERS.encode(["abc", "ab"]).frozen(torch.tensor([[False, False, True], [True, False, False]]))
    rng = Rng.start(3, 2)
    drawn, log_prob = proposal.draw(batch, rng)
    assert drawn.texts()[0] == "abc"
    assert log_prob[0] == math.inf
    assert proposal.log_prob(batch)[0] == -math.inf
    alone, own = proposal.draw(batch.rows([1]), rng.rows([1]))
    assert (drawn.texts()[1], float(log_prob[1])) == (alone.texts()[0], float(own[0]))


def test_each_input_has_its_prompt() -> None:
    model = TableCausalLM.random(LETTERS, seed=0)
    both = FromLeft(model, prompt=["ab", "c"])
    batch = LETTERS.encode(["a", "a"])
    alone = [FromLeft(model, prompt=prompt).log_prob(batch)[row] for row, prompt in enumerate(("ab", "c"))]
    assert both.log_prob(batch).tolist() == [float(one) for one in alone]
    drawn, log_prob = both.draw(batch, Rng.start(0, 2))
    assert both.log_prob(drawn).tolist() == log_prob.tolist()


@dataclass(frozen=True, eq=False)
class PlainFill:
    """Fill of words of one piece, whose parts can be broken one at a time.

    Attributes:
        masks: whether sites not yet filled are masked, not left as they stood.
        renormalises: whether log q is over the allowed tokens alone.
        last: whether the last site counts.
    """

    model: TableMaskedLM
    masks: bool = True
    renormalises: bool = True
    last: bool = True

    @property
    def vocabulary(self) -> Vocabulary:
        return self.model.vocabulary

    def check(self, batch: Batch) -> None:
        pass

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        rows, allowed = torch.arange(len(batch)), self.vocabulary.allowed
        text = replace(batch, tokens=0 * batch.tokens) if self.masks else batch
        log_prob = torch.zeros(len(batch), dtype=torch.float64)
        for place in range(batch.width):
            at = torch.full_like(rows, place)
            law = self.model.log_probs(text, rows, at)
            possible = law.masked_fill(~allowed, -math.inf)
            sums = possible.log_softmax(1).exp().cumsum(1)
            token = (sums < rng.uniform(place)[:, None]).sum(1).clamp(max=len(allowed) - 1)
            own = possible.log_softmax(1) if self.renormalises else law
            if self.last or place < batch.width - 1:
                log_prob += own[rows, token]
            text = text.with_tokens(at, token)
        return text, log_prob

    def log_prob(self, batch: Batch) -> Tensor:
        raise NotImplementedError


FILL = FRESH["fill"]
assert isinstance(FILL.proposal, Fill)
assert isinstance(FILL.proposal.mlm, TableMaskedLM)
MODEL = FILL.proposal.mlm


def states_counted(fresh: Fresh, log_prob: Tensor) -> float:
    """How many standard errors the mean of 1 / q is from the number of texts: 0 if log q is that of the draws."""
    inverse = (-log_prob).exp()
    return float((inverse.mean() - len(fresh.law)).abs() / (inverse.std() / math.sqrt(DRAWS)))


def test_honest_twin_passes() -> None:
    numbers, log_prob = draws(FILL, PlainFill(MODEL))
    assert chi_square(numbers, whole_law(FILL)) > 1e-4
    assert states_counted(FILL, log_prob) < 4
    for name in ("fill, forbidden texts", "fill, many pieces", "fill, a word frozen by one piece"):
        assert states_counted(FRESH[name], draws(FRESH[name], FRESH[name].proposal)[1]) < 4


def test_sites_left_as_they_stood_are_caught() -> None:
    numbers, _ = draws(FILL, PlainFill(MODEL, masks=False))
    assert chi_square(numbers, whole_law(FILL)) < 1e-9


@pytest.mark.parametrize("broken", [PlainFill(MODEL, renormalises=False), PlainFill(MODEL, last=False)])
def test_a_wrong_log_q_is_caught(broken: PlainFill) -> None:
    numbers, log_prob = draws(FILL, broken)
    assert chi_square(numbers, whole_law(FILL)) > 1e-4
    assert states_counted(FILL, log_prob) > 10
