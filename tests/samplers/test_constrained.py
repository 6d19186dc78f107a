"""Proposals of a masked model that an objective informs: a hint changes what is proposed, never what is sampled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from samplers import MetropolisHastings
from samplers.proposals import SpanEdit
from tests import reference
from tests.reference import Floats
from tests.samplers.laws import Case
from tests.samplers.toys import Toy
from textsearch.batch import Batch, Vocabulary
from textsearch.models.constrained import ConstrainedMaskedLM
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Objective
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng
from textsearch.testing import TableMaskedLM, check_allowed, letters

PENALTY = 1.5
TABLE = {(1, 1): 0.5, (0, 1): 0.2, (1, 0): 0.2, (2, 2): 0.1}
LETTERS = letters("ab")
MODEL = TableMaskedLM.random(LETTERS, seed=0)


@final
@dataclass(frozen=True)
class NoPairs(Objective):
    """No letter stands twice in a row."""

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 or +inf."""
        pairs = (batch.tokens[:, 1:] == batch.tokens[:, :-1]) & batch.present[:, 1:]
        return torch.zeros(len(batch), dtype=torch.float64, device=batch.device).masked_fill(pairs.any(1), torch.inf)

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) neither neighbour."""
        found = torch.ones(len(rows), batch.vocabulary.size, dtype=torch.bool, device=batch.device)
        padded = torch.nn.functional.pad(batch.tokens[rows], (1, 1))
        for beside in (0, 2):
            found.scatter_(1, padded.gather(1, positions[:, None] + beside), False)
        found[:, 0] = True  # the mask, and what lies beyond the text
        return found


@dataclass
class PairwiseLanguage(reference.Language):
    """The same in NumPy: a neighbour's letter has its probability times e^-PENALTY, renormalised."""

    def conditional(self, tokens: tuple[int, ...], place: int) -> Floats:
        law = super().conditional(tokens, place).copy()
        beside = {tokens[at] for at in (place - 1, place + 1) if 0 <= at < len(tokens) and tokens[at] != reference.MASK}
        for token in beside:
            law[token] *= np.exp(-PENALTY)
        return np.asarray(law / law.sum(), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class HintLeftOut:
    """A broken twin: the hint decides what is drawn, and is left out of the price."""

    proposal: Proposal

    @property
    def vocabulary(self) -> Vocabulary:
        return self.proposal.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.proposal.kinds

    def check(self, batch: Batch) -> None:
        self.proposal.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        move = self.proposal.propose(batch, rng)
        before, after = (NoPairs().energy(part).isinf().double() for part in (batch, move.batch))
        return replace(
            move,
            log_forward=move.log_forward + PENALTY * (after > before),
            log_backward=move.log_backward + PENALTY * (before > after),
        )


def proposal(model: MaskedLM) -> SpanEdit:
    return SpanEdit(model, TABLE, (1.0,), max_length=4)


_TABLES = (MODEL.table.numpy(), MODEL.by_length.numpy(), LETTERS.continues.tolist())
TOY = Toy(
    proposal(ConstrainedMaskedLM(MODEL, NoPairs(), PENALTY)),
    reference.SpanEditLaw(PairwiseLanguage(*_TABLES), TABLE, (1.0,), 4),
    LETTERS,
    "ab",
)
CASE = Case(
    TOY,
    MetropolisHastings(TOY.proposal),
    lambda: TOY.chain.matrix,
    {"a hint left out of the price": MetropolisHastings(HintLeftOut(TOY.proposal))},
)


def test_the_hint_keeps_its_laws() -> None:
    check_allowed(NoPairs(), LETTERS.encode(["ab", "aba", "b", "abab"]))


def test_where_all_is_allowed_the_model_is_left_as_it_is() -> None:
    batch = LETTERS.encode(["a_", "_"])
    rows, places = torch.tensor([0, 1]), torch.tensor([1, 0])
    own = MODEL.log_probs(batch, rows, places)
    found = ConstrainedMaskedLM(MODEL, NoPairs(), PENALTY).log_probs(batch, rows, places)
    assert found[1].equal(own[1]) and not found[0].equal(own[0])
    expected = (own[0] - PENALTY * torch.tensor([0.0, 1.0, 0.0])).log_softmax(-1)
    torch.testing.assert_close(found[0], expected)
