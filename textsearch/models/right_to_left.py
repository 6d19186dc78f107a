"""A causal model that was trained on reversed rows of tokens: it reads and writes a text from its last token on.

Two models that read from either end, together, judge a text better than one: bidirectional decoding (Zhang et al.,
"Asynchronous bidirectional decoding for neural machine translation", 2018), here as an energy, the sum of both.
`samplers.proposals.PrefixResampling` writes the beginnings of texts with such a model, as
`SuffixResampling` writes their ends with a common one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.kinds import CAUSAL, SUFFIX, instance
from textsearch.models.protocols import CausalLM, Scores, SuffixLM
from textsearch.models.recipes import reduced


class Reversed(CausalLM, SuffixLM, Protocol):
    """What scores and writes reversed rows."""


@final
@dataclass(frozen=True, eq=False)
class RightToLeftLM:
    """log p(text) of a model of reversed rows, the beginning of the text included as what it stops at.

    Rows of tokens are those of the text as it is written; only their order is turned round. There is no prompt: one
    would stand behind the text.

    Attributes:
        lm: a causal model that was trained on reversed rows of its tokens.
    """

    lm: Reversed

    def __post_init__(self) -> None:
        instance("lm", self.lm, CAUSAL)
        instance("lm", self.lm, SUFFIX)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model."""
        return self.lm.vocabulary

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text, read from its end; below `least` (B,) it may be given as -inf.

        Raises:
            ValueError: there is a prompt.
        """
        if prompt if isinstance(prompt, str) else any(prompt):
            raise ValueError(
                f"prompt={prompt!r}: a model that reads from right to left comes to the beginning of a text last, so "
                'nothing can stand before it; leave the prompt "", or take a model that reads from left to right'
            )
        return self.lm.score(self._own(batch).mirrored(), "", least)

    def _own(self, batch: Batch) -> Batch:
        if batch.vocabulary is self.vocabulary:
            return batch
        own = getattr(self.lm, "in_own_tokens", None)
        found: Batch = self.vocabulary.encode(batch.texts()) if own is None else own(batch)
        return found
