"""A masked and a causal model multiplied: conditionals that know both sides of a site, and how a text may begin.

At a site with left context l and everything else r, the product q(v) proportional to c(v | l, r) * p(v | l)^weight is
a function of the other tokens alone, so a proposal that draws from it gives log q both ways as exactly as any masked
model does (products of experts: Hinton, 2002; as a proposal for text: Miao et al., 2019, who use the causal part only).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch, every_token
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.reading.memory import recall
from textsearch.models.reading.turns import lock_of, remembered
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.per_input import text_per_input

_REMEMBERED = 512  # left contexts


@final
@dataclass(frozen=True, eq=False)
class GuidedMaskedLM:
    """A masked language model whose conditionals are multiplied by a causal model's, for the word's first piece there.

    Attributes:
        masked: sees both sides.
        causal: sees the text before the site, after its prompt.
        prompt: of the causal model, one for all inputs or one for each.
        weight: power of the causal factor.
    """

    masked: TransformersMaskedLM
    causal: TransformersCausalLM
    prompt: str | Sequence[str] = ""
    weight: float = 1.0
    _known: OrderedDict[tuple[str, str], Tensor] = field(default_factory=OrderedDict, repr=False)

    @property
    def vocabulary(self) -> TokenizerVocabulary:
        """That of the masked model."""
        return self.masked.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        own = self.masked.log_probs(batch, rows, positions).to(torch.float64)
        contexts, begins = self._left(batch.rows(rows), positions)
        prompts = text_per_input("prompt", self.prompt, "prompts").rows(batch.rows(rows))
        keys = list(zip(prompts, contexts, strict=True))
        causal = self._causal(keys).to(own.device)
        within, at_start = first_pieces(self.vocabulary.tokenizer, self.causal.vocabulary.tokenizer).to(own.device)
        piece = torch.where(torch.tensor(begins, device=own.device)[:, None], at_start, within)
        return (own + self.weight * causal.gather(1, piece)).log_softmax(-1)

    def _left(self, batch: Batch, positions: Tensor) -> tuple[list[str], list[bool]]:
        """The text before each position, and whether a word there has no space before it.

        What lies before a mask still open is left away.
        """
        column = torch.arange(batch.width, device=batch.device)
        open_mask = (batch.tokens == self.vocabulary.mask_id) & (column < positions[:, None])
        start = torch.where(open_mask, column + 1, 0).amax(1) if batch.width else torch.zeros_like(positions)
        if self.vocabulary.sources:
            return self._left_in_sources(batch, start.tolist(), positions.tolist())
        cut = batch.splice(torch.zeros_like(start), start, torch.zeros_like(start), batch.width)
        lengths = positions - start
        present = column < lengths[:, None]
        texts = Batch(cut.tokens * present, lengths, present, batch.inputs, batch.vocabulary).texts()
        return texts, [not text for text in texts]

    def _left_in_sources(
        self, batch: Batch, starts: Sequence[int], positions: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        texts, tight = [], []
        first = batch.word_starts.tolist()
        for own, begins, start, place in zip(self.vocabulary.strings(batch), first, starts, positions, strict=True):
            # a causal model's tokens bring the space before them
            space = own[place][: len(own[place]) - len(own[place].lstrip())]
            texts.append("".join(own[start:place]) + space.removesuffix(" "))
            tight.append(begins[place] and not (texts[-1] and space.endswith(" ")))
        return texts, tight

    def _causal(self, keys: Sequence[tuple[str, str]]) -> Tensor:
        """(K, V') log-probabilities of the causal model's next token."""

        def answer(fresh: list[tuple[str, str]]) -> Tensor:
            return self.causal.next_log_probs([text for _, text in fresh], [prompt for prompt, _ in fresh])

        with lock_of(self.causal.model):
            return torch.stack(recall(self._known, keys, answer, _REMEMBERED, self.causal.usage))


@remembered(most=4)
def first_pieces(tokenizer: Any, causal: Any) -> Tensor:
    """(2, V) int64: the first token of `causal` for each token of `tokenizer`, within a text and at its beginning.

    It takes seconds, and is the same for all runs of two models with these tokenizers.
    """
    vocabulary = TokenizerVocabulary(tokenizer, 2)
    single = every_token(vocabulary)
    begin = single.texts()
    # within a text the rendering after a plain word shows whether a space goes before
    plain = vocabulary.allowed & ~vocabulary.continues
    anchor = next(i for i in plain.nonzero().flatten().tolist() if vocabulary.pieces[i].isalpha())
    pairs = torch.cat([torch.full_like(single.tokens, int(anchor)), single.tokens], 1)
    both = torch.ones_like(pairs, dtype=torch.bool)
    double = Batch(pairs, 2 * single.lengths, both, torch.zeros_like(single.lengths), vocabulary)
    inner = [text[len(begin[anchor]) :] for text in double.texts()]
    firsts = []
    for texts in (inner, begin):
        ids = causal([text or " " for text in texts], add_special_tokens=False)["input_ids"]
        firsts.append([row[0] if row else 0 for row in ids])
    return torch.tensor(firsts)
