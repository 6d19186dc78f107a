"""A masked model times a causal model: conditionals that see both sides of a site and are good at what follows a text.

At a site with left context l and everything else r, the product q(v) proportional to c(v | l, r) * p(v | l)^weight is
a function of the other tokens alone, so a proposal that draws from it gives log q both ways as exactly as any masked
model does (products of experts: Hinton, 2002; as a proposal for text: Miao et al., 2019, who use the causal part only).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.kinds import CAUSAL, MASKED, instance
from textsearch.models.first_pieces import first_pieces
from textsearch.models.protocols import MaskedLM, NextTokenLM
from textsearch.models.reading.memory import recall
from textsearch.models.reading.turns import lock_of
from textsearch.models.recipes import reduced
from textsearch.models.rendered import StringVocabulary, unrendered
from textsearch.per_input import text_per_input

_REMEMBERED = 512  # left contexts
_NEXT_TOKEN = replace(CAUSAL, has=("next_log_probs", "vocabulary"))


@final
@dataclass(frozen=True, eq=False)
class GuidedMaskedLM:
    """A masked language model whose conditionals are multiplied by a causal model's, for the word's first piece there.

    Attributes:
        masked: a masked language model; it reads the text on both sides of the site.
        causal: a causal language model; it reads its prompt and the text before the site.
        prompt: of the causal model, one for all inputs or one for each.
        weight: power of the causal factor.
    """

    masked: MaskedLM
    causal: NextTokenLM
    prompt: str | Sequence[str] = ""
    weight: float = 1.0
    _known: OrderedDict[tuple[str, str], Tensor] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        instance("masked", self.masked, MASKED)
        instance("causal", self.causal, _NEXT_TOKEN)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the masked model."""
        return self.masked.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        own = self.masked.log_probs(batch, rows, positions).to(torch.float64)
        contexts, begins = self._left(batch.rows(rows), positions)
        prompts = text_per_input("prompt", self.prompt, "prompts").rows(batch.rows(rows))
        keys = list(zip(prompts, contexts, strict=True))
        causal = self._causal(keys).to(own.device)
        within, at_start = first_pieces(unrendered(self.vocabulary), unrendered(self.causal.vocabulary)).to(own.device)
        piece = torch.where(torch.tensor(begins, device=own.device)[:, None], at_start, within)
        return (own + self.weight * causal.gather(1, piece)).log_softmax(-1)

    def _left(self, batch: Batch, positions: Tensor) -> tuple[list[str], list[bool]]:
        """The text before each position, and whether a word there has no space before it.

        Text before an open mask is left out.
        """
        column = torch.arange(batch.width, device=batch.device)
        open_mask = (batch.tokens == self.vocabulary.mask_id) & (column < positions[:, None])
        start = torch.where(open_mask, column + 1, 0).amax(1) if batch.width else torch.zeros_like(positions)
        if isinstance(self.vocabulary, StringVocabulary) and self.vocabulary.sources:
            return _left_in_sources(self.vocabulary.strings(batch), batch, start.tolist(), positions.tolist())
        cut = batch.splice(torch.zeros_like(start), start, torch.zeros_like(start), batch.width)
        lengths = positions - start
        present = column < lengths[:, None]
        texts = Batch(cut.tokens * present, lengths, present, batch.inputs, batch.vocabulary).texts()
        return texts, [not text for text in texts]

    def _causal(self, keys: Sequence[tuple[str, str]]) -> Tensor:
        """(K, V') log-probabilities of the causal model's next token."""

        def answer(fresh: list[tuple[str, str]]) -> Tensor:
            return self.causal.next_log_probs([text for _, text in fresh], [prompt for prompt, _ in fresh])

        # threads that share this model share what it remembers
        with lock_of(self):
            return torch.stack(recall(self._known, keys, answer, _REMEMBERED, getattr(self.causal, "usage", None)))


def _left_in_sources(
    strings: Sequence[Sequence[str]], batch: Batch, starts: Sequence[int], positions: Sequence[int]
) -> tuple[list[str], list[bool]]:
    """As `GuidedMaskedLM._left`, of rows whose tokens add `strings` to texts that are kept as they were written."""
    texts, tight = [], []
    for own, begins, start, place in zip(strings, batch.word_starts.tolist(), starts, positions, strict=True):
        # a causal model's tokens bring the space before them
        space = own[place][: len(own[place]) - len(own[place].lstrip())]
        texts.append("".join(own[start:place]) + space.removesuffix(" "))
        tight.append(begins[place] and not (texts[-1] and space.endswith(" ")))
    return texts, tight
