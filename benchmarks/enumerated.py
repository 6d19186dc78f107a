"""A space of real sentences small enough to enumerate, on real models: how far is each sampler from the truth?

A template with three gaps and six words makes 216 sentences. The causal model gives each its energy, the masked model
its conditionals in every context, both read once and kept in tables; from there on samplers run at the speed of a
table, and what they would have asked of the models is counted all the same.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np
import regex
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives import PseudoLikelihood
from textsearch.batch import Batch
from textsearch.models.autoencoder.lm import TextAutoencoder
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.protocols import needs_mask
from textsearch.models.usage import Usage
from textsearch.objective import Cost, Objective

TEMPLATE = "The [MASK] saw a [MASK] near the [MASK]."
WORDS = ("dog", "man", "car", "house", "river", "tree")
START = "The river saw a dog near the house."

GAP = "[MASK]"


@final
@dataclass(frozen=True, eq=False)
class Gaps:
    """The vocabulary of a template's gaps: token 0 is the mask, token i the i-th word.

    Attributes:
        template: a sentence with `[MASK]` for each gap.
        words: what may stand in a gap.
    """

    template: str
    words: tuple[str, ...]

    @property
    def size(self) -> int:
        """The words and the mask."""
        return len(self.words) + 1

    @property
    def count(self) -> int:
        """k, the number of gaps."""
        return self.template.count(GAP)

    @property
    def mask_id(self) -> int:
        """0."""
        return 0

    @property
    def allowed(self) -> Tensor:
        """All but the mask."""
        return torch.arange(self.size) > 0

    @property
    def continues(self) -> Tensor:
        """None: every word stands alone."""
        return torch.zeros(self.size, dtype=torch.bool)

    def encode(self, texts: Sequence[str]) -> Batch:
        """The words in the gaps of each sentence."""
        pattern = r"(\S+?)".join(map(regex.escape, self.template.split(GAP)))
        known = {GAP: 0} | {word: number + 1 for number, word in enumerate(self.words)}
        rows = []
        for text in texts:
            found = regex.fullmatch(pattern, text)
            if found is None or not set(found.groups()) <= set(known):
                raise ValueError(f"{text!r} is not {self.template!r} with words out of {', '.join(self.words)}")
            rows.append([known[word] for word in found.groups()])
        return Batch.of(rows, self)

    def decode(self, batch: Batch) -> list[str]:
        """The sentences."""
        names = (GAP, *self.words)
        parts = self.template.split(GAP)
        return [
            "".join(itertools.chain.from_iterable(zip(parts, [*(names[token] for token in row), ""], strict=True)))
            for row in batch.token_lists()
        ]

    def number(self, batch: Batch) -> Tensor:
        """(B,) int64, each row's number among all (V + 1)^k rows, masks included."""
        return (batch.tokens[:, : self.count] * self.size ** torch.arange(self.count)).sum(1)

    def every(self) -> Batch:
        """All rows, masks included, in the order of their numbers."""
        rows = torch.cartesian_prod(*[torch.arange(self.size)] * self.count).flip(1)
        return replace(Batch.of(rows.tolist(), self), inputs=torch.zeros(len(rows), dtype=torch.int64))


@final
@dataclass(frozen=True, eq=False)
class TabulatedMaskedLM:
    """The conditionals of a real masked model at the gaps, in every context.

    Attributes:
        vocabulary: of the gaps.
        table: ((V + 1)^k, k, V + 1) log-probabilities by row and gap.
        needs_mask: whether the model does.
        usage: what would have been asked of the model.
    """

    vocabulary: Gaps
    table: Tensor
    needs_mask: bool = True
    usage: Usage = field(default_factory=Usage)

    @staticmethod
    def of(model: TransformersMaskedLM | TextAutoencoder, gaps: Gaps) -> TabulatedMaskedLM:
        """Read every context once."""
        mask = model.vocabulary.tokenizer.mask_token
        rows = gaps.every()
        real = model.vocabulary.encode([text.replace(GAP, mask) for text in rows.texts()])
        tokens = model.vocabulary.encode(list(gaps.words))
        if bool((tokens.lengths != 1).any()):
            raise ValueError(f"each of {', '.join(gaps.words)} must be one token of the masked model")
        hole = model.vocabulary.encode([gaps.template.replace(GAP, mask)])
        places = (hole.tokens[0] == model.vocabulary.mask_id).nonzero().squeeze(-1)
        asked = torch.arange(len(rows)).repeat_interleave(gaps.count)
        log_probs = model.log_probs(real, asked, places.repeat(len(rows)))[:, tokens.tokens[:, 0]].double()
        table = torch.nn.functional.pad(log_probs, (1, 0), value=-torch.inf)
        return TabulatedMaskedLM(gaps, table.reshape(len(rows), gaps.count, gaps.size), needs_mask(model))

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V + 1) log-probabilities at `positions` (K,) of `rows` (K,)."""
        count = len(torch.unique(rows))
        self.usage.count((count, 1), count)
        return self.table[self.vocabulary.number(batch)[rows], positions]


@final
@dataclass(frozen=True, eq=False)
class TabulatedFluency(Objective):
    """-log p of each sentence under a real causal model, or another energy of it.

    Attributes:
        vocabulary: of the gaps.
        table: ((V + 1)^k,) energies; nan for rows with a mask.
        usage: what would have been asked of the model.
    """

    vocabulary: Gaps
    table: Tensor
    usage: Usage = field(default_factory=Usage)

    @staticmethod
    def of(energies: Callable[[Batch], Tensor], gaps: Gaps) -> TabulatedFluency:
        """Ask for the energies (B,) of every sentence once."""
        rows = gaps.every()
        whole = (rows.tokens > 0).all(1)
        table = torch.full((len(rows),), torch.nan, dtype=torch.float64)
        table[whole] = energies(rows.rows(whole))
        return TabulatedFluency(gaps, table)

    @property
    def name(self) -> str:
        """As the real one."""
        return "fluency"

    @property
    def cost(self) -> Cost:
        """One model pass."""
        return Cost.MODEL

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        self.usage.count((len(batch), 1), len(batch))
        return self.table[self.vocabulary.number(batch)]


@final
@dataclass(frozen=True, eq=False)
class Space:
    """All sentences, their models, and their law exp(-E).

    Attributes:
        gaps: the vocabulary.
        masked: conditionals.
        fluency: energies.
        law: ((V + 1)^k,) target probabilities, 0 for rows with a mask.
        start: where all chains start.
        rows_per_second: of the masked and of the causal model, measured on these sentences.
    """

    gaps: Gaps
    masked: TabulatedMaskedLM
    fluency: TabulatedFluency
    law: NDArray[np.float64]
    start: str
    rows_per_second: dict[str, float]

    @staticmethod
    @torch.inference_mode()
    def of(
        masked: TransformersMaskedLM | TextAutoencoder,
        causal: TransformersCausalLM,
        *,
        template: str = TEMPLATE,
        words: Sequence[str] = WORDS,
        start: str = START,
        own_energy: bool = False,
    ) -> Space:
        """Read both models in every context, and take the time.

        With `own_energy` the energy is the pseudo-likelihood under the first model, and the causal one is not read.
        """
        gaps = Gaps(template, tuple(words))
        gaps.encode([start])
        speeds = {}
        began, before = time.perf_counter(), masked.usage.rows
        table = TabulatedMaskedLM.of(masked, gaps)
        speeds["masked"] = (masked.usage.rows - before) / (time.perf_counter() - began)
        judge = masked if own_energy else causal
        began, before = time.perf_counter(), judge.usage.rows
        if own_energy:
            likelihood = PseudoLikelihood(masked)
            fluency = TabulatedFluency.of(lambda rows: likelihood.energy(masked.vocabulary.encode(rows.texts())), gaps)
        else:
            fluency = TabulatedFluency.of(lambda rows: -causal.score(rows).log_prob, gaps)
        speeds["causal"] = max(judge.usage.rows - before, 1) / (time.perf_counter() - began)
        law = (-fluency.table.nan_to_num(torch.inf)).softmax(0).numpy()
        return Space(gaps, table, fluency, law, start, speeds)

    def distance(self, numbers: NDArray[np.int64]) -> tuple[float, float]:
        """Total variation between the target and the draws `numbers` (n,), and its standard error by the bootstrap."""
        share = np.bincount(numbers, minlength=len(self.law)) / len(numbers)
        again = np.random.default_rng(0).multinomial(len(numbers), share, size=200) / len(numbers)
        spread = np.abs(again - self.law).sum(1) / 2
        return float(np.abs(share - self.law).sum() / 2), float(spread.std())

    def noise(self, draws: int) -> float:
        """The distance that so many exact draws have by chance, on average."""
        return float(np.sqrt(2 / np.pi * self.law * (1 - self.law) / draws).sum() / 2)
