"""Small spaces of texts under a random target, on which the right behaviour of a sampler is known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from scipy.special import chdtrc
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.spelling import canonical


@final
@dataclass(frozen=True, eq=False)
class Space:
    """A list of texts, each with its number; all others are forbidden.

    Attributes:
        batch: (S,) the texts; which tokens are frozen is a part of each.

    >>> from textsearch.testing import letters
    >>> space = Space(letters("ab").encode(["", "a", "ab"]))
    >>> space.number(letters("ab").encode(["ab", "", "b"])).tolist()
    [2, 0, -1]
    """

    batch: Batch

    def __post_init__(self) -> None:
        if len(self.batch) < 2:
            raise ValueError(f"{len(self.batch)} texts are no space to move in: list at least 2, and best all of them")
        codes = self._codes(self.batch, marks=True).tolist()
        for row, code in enumerate(codes):
            if code in codes[:row]:
                raise ValueError(f"{self.batch.rows([row]).texts()[0]!r} is listed twice; list each text once")
        for row in (~canonical(self.batch)).nonzero().flatten().tolist():
            raise ValueError(
                f"{self.batch.rows([row]).texts()[0]!r} is listed in another spelling than its vocabulary's; chains "
                "are over texts: list vocabulary.encode(texts)"
            )

    @staticmethod
    def of(texts: Batch | Sequence[str], vocabulary: Vocabulary) -> Space:
        """The texts, read in this vocabulary."""
        return Space(texts if isinstance(texts, Batch) else vocabulary.encode(list(texts)))

    def __len__(self) -> int:
        """S, the number of texts."""
        return len(self.batch)

    def rows(self, numbers: Tensor) -> Batch:
        """(B,) the texts with these numbers, each an input of its own: some samplers pool the rows of one input."""
        return replace(self.batch.rows(numbers), inputs=torch.arange(len(numbers)))

    def number(self, batch: Batch) -> Tensor:
        """(B,) int64, the number of each row; -1 for a row that is not listed."""
        return self._find(batch, marks=True)

    def objective(self, energies: Tensor, others: float = math.inf, label: str = "table") -> TableObjective:
        """(S,) energies in nats as an objective; those of the same tokens must be the same, whatever is frozen.

        `others` is the energy of texts that are not listed: +inf forbids them, nan makes meeting one an error.
        """
        return TableObjective(self, energies.to(torch.float64), others, label)

    def random_objective(self, seed: int) -> TableObjective:
        """Energies some nats apart: a symmetric target could not tell a move from its reverse."""
        codes, inverse = torch.unique(self._codes(self.batch, marks=False), return_inverse=True)
        generator = torch.Generator().manual_seed(seed)
        return self.objective(torch.randn(len(codes), generator=generator, dtype=torch.float64)[inverse])

    @cached_property
    def _marked(self) -> tuple[Tensor, Tensor]:
        codes, order = self._codes(self.batch, marks=True).sort()
        return codes, order

    @cached_property
    def _unmarked(self) -> tuple[Tensor, Tensor]:
        codes, order = self._codes(self.batch, marks=False).sort()
        return codes, order

    def named(self, batch: Batch) -> Tensor:
        """(B,) int64, the number of a listed row with the text of each row, in whatever tokens; -1 if none has it."""
        found = self._find(batch, marks=False)
        rows = (found < 0).nonzero().squeeze(-1)
        if len(rows):
            numbers = [self._texts.get(text, -1) for text in batch.rows(rows).texts()]
            found = found.index_put((rows,), torch.tensor(numbers, device=batch.device))
        return found

    @cached_property
    def _texts(self) -> dict[str, int]:
        return {text: number for number, text in reversed(list(enumerate(self.batch.texts())))}

    def _find(self, batch: Batch, *, marks: bool) -> Tensor:
        """(B,) the number of each row, -1 where it is not listed."""
        codes, order = (table.to(batch.device) for table in (self._marked if marks else self._unmarked))
        wanted = self._codes(batch, marks=marks)
        at = torch.searchsorted(codes, wanted).clamp(max=len(codes) - 1)
        return order[at].where(codes[at] == wanted, -1)

    @staticmethod
    def _codes(batch: Batch, *, marks: bool) -> Tensor:
        """(B,) a 64-bit hash of each row, the same whatever the padding."""
        digits = 2 * batch.tokens + 1
        if marks:
            digits = 2 * digits + ~batch.editable
        generator = torch.Generator().manual_seed(0)
        # one random odd factor a column; sums run over at 2^64
        factors = [int(torch.randint(2**62, (), generator=generator)) | 1 for _ in range(batch.width)]
        return (digits.where(batch.present, 0) * torch.tensor(factors, dtype=torch.int64, device=batch.device)).sum(1)


@final
@dataclass(frozen=True, eq=False)
class TableObjective(Objective):
    """Energies from a table; a text has the same energy in any tokens.

    Attributes:
        space: the texts that have an energy.
        energies: (S,) float64, theirs.
        others: the energy of all other texts.
        label: what results call the term.

    >>> from textsearch.testing import letters
    >>> space = Space(letters("ab").encode(["a", "b"]))
    >>> table = space.objective(torch.tensor([1.0, 3.0]))
    >>> table.energy(letters("ab").encode(["b", "a", "ab"])).tolist()
    [3.0, 1.0, inf]
    """

    space: Space
    energies: Tensor
    others: float
    label: str

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    def energy(self, batch: Batch) -> Tensor:
        """(B,) the energies of the rows."""
        found = self.space.named(batch)
        return self.energies.to(batch.device)[found].where(found >= 0, self.others)

    def law(self, temperature: float) -> Tensor:
        """(S,) exp(-E / temperature), normalised."""
        return (-self.energies / temperature).softmax(0)

    def draw(self, count: int, temperature: float, seed: int) -> Batch:
        """(count,) texts drawn from the law."""
        uniform = Rng.start(seed, count, purpose="draws of a table").uniform(0)
        cumulative = self.law(temperature).cumsum(0)
        numbers = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp(max=len(self.space) - 1)
        return self.space.rows(numbers)


def fit(counts: Tensor, law: Tensor) -> float:
    """p-value of (S,) counts under a law, by chi-square; what is expected fewer than 10 times is pooled.

    >>> fit(torch.tensor([50, 30, 20]), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))
    1.0
    """
    counts = counts.to(torch.float64)
    expected = counts.sum() * law
    if bool(counts[law == 0].any()):
        return 0.0
    rare = expected < 10
    pooled = [torch.stack([part[rare].sum()]) for part in (counts, expected)]
    if float(pooled[1]) >= 10:
        counts, expected = torch.cat([counts[~rare], pooled[0]]), torch.cat([expected[~rare], pooled[1]])
    else:
        counts, expected = counts[~rare], expected[~rare]
        expected = expected * counts.sum() / expected.sum()
    return tail(float(((counts - expected).square() / expected).sum()), len(counts) - 1)


def balance(before: Tensor, after: Tensor, size: int) -> float:
    """p-value of as many steps from i to j as from j to i, by chi-square over pairs with at least 20 steps.

    `before` and `after` (B,) are numbers of texts, below `size`.
    """
    flow = torch.bincount(before * size + after, minlength=size * size).reshape(size, size).to(torch.float64)
    both, gap = (flow + flow.T).triu(1), (flow - flow.T).triu(1)
    often = both >= 20
    return tail(float((gap[often].square() / both[often]).sum()), int(often.sum()))


def tail(statistic: float, degrees: int) -> float:
    """p-value of a chi-square statistic."""
    return float(chdtrc(degrees, statistic)) if degrees > 0 else 1.0


def widened(batch: Batch) -> Batch:
    """The same rows, three columns wider."""
    return batch.widen(batch.width + 3)


def some_frozen(batch: Batch, seed: int) -> Batch:
    """The same rows with about a third of the tokens frozen."""
    uniform = (
        Rng.start(seed, len(batch), purpose="frozen tokens").uniform(0, batch.width) if batch.width else batch.tokens
    )
    return replace(batch, editable=batch.editable & (uniform > 1 / 3))


def frozen_tokens(batch: Batch) -> list[list[int]]:
    """The frozen tokens of each row, in order."""
    fixed = batch.present & ~batch.editable
    return [
        [token for token, keep in zip(row, keeps, strict=True) if keep]
        for row, keeps in zip(batch.tokens.tolist(), fixed.tolist(), strict=True)
    ]
