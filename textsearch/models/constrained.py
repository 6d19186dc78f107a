"""A masked model that knows what an objective forbids: tokens that cannot stand at a site are hardly ever proposed.

Hard terms refuse what does not fit, but a proposal that rarely fits wastes its passes. What fits at a site is a
function of the other tokens and the place alone (`Objective.allowed`), so a proposal that draws from the conditionals
given here has log q both ways as exactly as with any masked model. Whether the objective is right about it is no matter
of exactness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep, positive
from textsearch.kinds import MASKED, OBJECTIVE, instance
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Objective, allowed_by


@final
@dataclass(frozen=True, eq=False)
class ConstrainedMaskedLM:
    """A masked language model whose tokens that an objective does not allow are made e^-`penalty` times as likely.

    They are not ruled out: a text that another proposal has left, or that the objective is wrong about, can still be
    moved from and to.

    Attributes:
        mlm: the masked language model.
        objective: tells what may stand where; see `Objective.allowed`.
        penalty: nats.

    >>> from objectives import Acrostic
    >>> from textsearch.language.words import WordVocabulary
    >>> from textsearch.testing import TableMaskedLM
    >>> words = WordVocabulary.of(["an", "old", "dog"])
    >>> model = TableMaskedLM.random(words, seed=0)
    >>> batch, first = words.batch([["an", "old", "dog"]]), torch.tensor([0])
    >>> law = ConstrainedMaskedLM(model, Acrostic("dod")).log_probs(batch, first, first)[0].exp()
    >>> words.tokens[int(law[1:].argmax()) + 1], bool(law[words.number["an"]] < 1e-4)
    ('dog', True)
    """

    mlm: MaskedLM
    objective: Objective
    penalty: float = 12.0

    def __post_init__(self) -> None:
        instance("mlm", self.mlm, MASKED)
        instance("objective", self.objective, OBJECTIVE)
        keep(self, penalty=positive("penalty", self.penalty, "number of nats"))

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.mlm.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        own = self.mlm.log_probs(batch, rows, positions).to(torch.float64)
        allowed = allowed_by(self.objective, batch, rows, positions)
        if allowed is None:
            return own
        unfit = ~allowed.to(own.device)
        concerned = unfit.any(1).nonzero().squeeze(-1)
        penalised = own[concerned] - self.penalty * unfit[concerned]
        return own.index_put((concerned,), penalised.log_softmax(-1))
