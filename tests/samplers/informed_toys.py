"""Toy problems of the informed proposals: a model that sees what stands at a site, and each proposal with its law."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.proposals import AllSites, LocallyBalanced, MetropolisedGibbs, PathAuxiliary, barker, square_root
from samplers.proposals.informed import Balance
from tests.samplers.informed_reference import AllSitesLaw, InformedLaw, MetropolisedGibbsLaw, PathLaw, SeeingLanguage
from tests.samplers.toys import Toy, language_of
from textsearch.batch import Batch
from textsearch.proposal import Proposal
from textsearch.testing import LetterVocabulary, TableMaskedLM, letters


@dataclass(frozen=True, eq=False)
class SeeingMaskedLM:
    """A table model whose conditionals look at the token at the site as well.

    Attributes:
        blind: looks at all the others.
        own: (V, V) float64 logits by the token that stands there, token asked for.
    """

    blind: TableMaskedLM
    own: Tensor

    @staticmethod
    def random(vocabulary: LetterVocabulary, seed: int, scale: float = 1.0) -> SeeingMaskedLM:
        """Tables drawn from a normal distribution."""
        draws = torch.Generator().manual_seed(100 + seed)
        own = scale * torch.randn(vocabulary.size, vocabulary.size, generator=draws, dtype=torch.float64)
        return SeeingMaskedLM(TableMaskedLM.random(vocabulary, seed), own)

    @property
    def vocabulary(self) -> LetterVocabulary:
        return self.blind.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V)."""
        seen = self.own.to(batch.device)[batch.tokens[rows, positions]]
        return (self.blind.log_probs(batch, rows, positions) + seen).log_softmax(-1)


def toy_of(
    alphabet: str,
    start: str,
    proposal: Callable[[SeeingMaskedLM], Proposal],
    law: Callable[[SeeingLanguage], InformedLaw],
    **target: float,
) -> Toy:
    vocabulary = letters(alphabet)
    model = SeeingMaskedLM.random(vocabulary, seed=len(alphabet) + len(start))
    tables = language_of(model.blind)
    language = SeeingLanguage(tables.table, tables.by_length, tables.continues, own=model.own.numpy())
    kernel = law(language)
    assert isinstance(kernel, PathLaw | AllSitesLaw | MetropolisedGibbsLaw)
    return Toy(proposal(model), kernel, vocabulary, start, **target)


BALANCES: dict[Balance, Callable[[float], float]] = {
    barker: lambda ratio: ratio / (1 + ratio),
    square_root: math.sqrt,
}


def balanced_toy(alphabet: str, start: str, balance: Balance, power: float = 1.0, **target: float) -> Toy:
    return toy_of(
        alphabet,
        start,
        lambda model: LocallyBalanced(model, balance, power),
        lambda language: PathLaw(language, BALANCES[balance], power, 1),
        **target,
    )


def path_toy(
    alphabet: str, start: str, count: int, balance: Balance = barker, power: float = 1.0, **target: float
) -> Toy:
    return toy_of(
        alphabet,
        start,
        lambda model: PathAuxiliary(model, count, balance, power),
        lambda language: PathLaw(language, BALANCES[balance], power, count),
        **target,
    )


def all_toy(alphabet: str, start: str, step_size: float, power: float = 1.0, **target: float) -> Toy:
    return toy_of(
        alphabet,
        start,
        lambda model: AllSites(model, step_size, power),
        lambda language: AllSitesLaw(language, step_size, power),
        **target,
    )


@dataclass(frozen=True, eq=False)
class MaskFree:
    """A table model that says what is true of it: what stands at a site does not sway its conditional."""

    table: TableMaskedLM
    needs_mask = False

    @property
    def vocabulary(self) -> LetterVocabulary:
        return self.table.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V); no mask is ever read."""
        assert not bool((batch.tokens == batch.vocabulary.mask_id)[batch.present].any())
        return self.table.log_probs(batch, rows, positions)


def gibbs_toy(alphabet: str, start: str, power: float = 1.0, masks: bool = False, **target: float) -> Toy:
    vocabulary = letters(alphabet)
    model = TableMaskedLM.random(vocabulary, seed=len(alphabet) + len(start))
    law = MetropolisedGibbsLaw(language_of(model), power)
    return Toy(MetropolisedGibbs(model if masks else MaskFree(model), power), law, vocabulary, start, **target)


TOYS: dict[str, Toy] = {
    "balanced, barker": balanced_toy("abc", "abc", barker),
    "balanced, square root": balanced_toy("abc", "ab", square_root, 0.6),
    "balanced, forbidden texts": balanced_toy("ab", "aba", barker, 1.7, forbidden=0.3, temperature=0.7),
    "balanced, frozen": balanced_toy("abc", "a!bc", square_root, temperature=1.5),
    "balanced, many pieces": balanced_toy("abCD", "aCb", barker),
    "balanced, a word frozen by one piece": balanced_toy("abCD", "bCa!Db", barker),
    "balanced, a piece that nothing can stand in for": balanced_toy("abC", "aCb", barker),
    "path of two": path_toy("abc", "abc", 2),
    "path of two, frozen": path_toy("abc", "a!bc", 2, square_root, 0.5),
    "path of two, forbidden texts": path_toy("abc", "ab", 2, forbidden=0.3, temperature=0.7),
    "path of three, many pieces": path_toy("abCD", "aCbb", 3, temperature=1.5),
    "path longer than the text": path_toy("abc", "ab", 4),
    "all sites": all_toy("abc", "abc", 1.0),
    "all sites, small steps": all_toy("abc", "ab", 0.2),
    "all sites, forbidden texts": all_toy("ab", "aba", 2.0, forbidden=0.3, temperature=0.7),
    "all sites, frozen": all_toy("abc", "a!bc", 1.0, 1.8, temperature=1.5),
    "all sites, many pieces": all_toy("abCD", "aCb", 1.0),
    "metropolised gibbs": gibbs_toy("abc", "abc"),
    "metropolised gibbs, masked": gibbs_toy("abc", "ab", masks=True),
    "metropolised gibbs, sites alike": gibbs_toy("abc", "aba", 0.0),
    "metropolised gibbs, forbidden texts": gibbs_toy("ab", "aba", 2.5, forbidden=0.3, temperature=0.7),
    "metropolised gibbs, frozen": gibbs_toy("abc", "a!bc", temperature=1.5),
    "metropolised gibbs, many pieces": gibbs_toy("abCD", "aCb", 0.5),
}
