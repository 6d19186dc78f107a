"""A masked model that knows what its words should be like: the letters of an acrostic, a rhyme, what is forbidden.

Hard terms refuse what does not fit, but a proposal that rarely fits wastes its passes. Here the conditionals of words
that do not fit are made unlikely. What fits at a site depends on the other tokens and the place alone, so a proposal
gives log q both ways as exactly as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from objectives.acrostic import Acrostic
from textsearch.batch import Batch, Vocabulary
from textsearch.models.protocols import MaskedLM
from textsearch.tasks.request import Request
from textsearch.tasks.starts.frames import Lexicon


@final
@dataclass(frozen=True, eq=False)
class LexicalMaskedLM:
    """A masked language model whose words that cannot fit are made e^-`penalty` times as likely.

    They are not ruled out: where the words are counted wrongly (an apostrophe within one), moves stay possible.

    Attributes:
        model: the masked language model.
        lexicon: of its vocabulary.
        requests: one for each input.
        penalty: nats.
    """

    model: MaskedLM
    lexicon: Lexicon
    requests: Sequence[Request]
    penalty: float = 12.0

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.model.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        own = self.model.log_probs(batch, rows, positions).to(torch.float64)
        concerned = [
            place
            for place, number in enumerate(batch.inputs[rows].tolist())
            if (request := self.requests[number]).acrostic or request.rhyme or request.forbidden
        ]
        if not concerned:
            return own
        unfit = torch.stack(self._unfit(batch, rows[concerned], positions[concerned])).to(own.device)
        penalised = own[concerned] - self.penalty * unfit
        return own.index_put((torch.tensor(concerned, device=own.device),), penalised.log_softmax(-1))

    def _unfit(self, batch: Batch, rows: Tensor, positions: Tensor) -> list[Tensor]:
        """K times (V,) bool: words that do not fit there. Marks and pieces always do."""
        is_word, continues = self.lexicon.is_word.to(batch.device), self.vocabulary.continues.to(batch.device)
        counts = (is_word[batch.tokens] | (batch.tokens == self.vocabulary.mask_id)) & batch.present
        # the word at the site counts, whatever stands there
        before = counts.cumsum(1) - counts.to(torch.int64)
        place = before[rows, positions].tolist()
        after = (counts.flip(1).cumsum(1).flip(1) - counts.to(torch.int64))[rows, positions].tolist()
        found = []
        for number, index, rest in zip(batch.inputs[rows].tolist(), place, after, strict=True):
            request = self.requests[number]
            letters = Acrostic(request.acrostic).letters[0] if request.acrostic else ""
            letter = letters[index] if index < len(letters) else ""
            forbidden = tuple(sorted(word.casefold() for word in request.forbidden))
            fits = self.lexicon.allowed(letter, "" if rest else request.rhyme, forbidden).to(batch.device)
            found.append(is_word & ~continues & ~fits)
        return found
