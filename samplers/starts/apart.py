"""Starts that keep apart: of many texts a few that are good and unlike one another.

Maximal marginal relevance (Carbonell and Goldstein, 1998): one after another, the text that adds least to the joint
energy of `samplers.Ensemble`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from samplers.composites.ensemble import Repulsion, alike
from textsearch.batch import Batch


def apart(batch: Batch, energies: Tensor, count: int, repulsion: Repulsion, weight: float) -> Batch:
    """`count` rows, the different ones that add least to the joint energy, from the first again where there are few.

    Args:
        batch: the texts to choose from, one at least.
        energies: (B,) nats.
        count: rows wanted.
        repulsion: how alike two texts are.
        weight: nats for a pair of likeness 1; at 0 the rows of the lowest energies are chosen.

    >>> import torch
    >>> from textsearch.testing import letters
    >>> batch, energies = letters("ab").encode(["aa", "ab", "aa", "bb"]), torch.tensor([0.0, 1.0, 0.0, 2.0])
    >>> def shared(texts, others):
    ...     return [sum(map(str.__eq__, *pair)) for pair in zip(texts, others)]
    >>> apart(batch, energies, 2, shared, 0.0).texts(), apart(batch, energies, 3, shared, 2.0).texts()
    (['aa', 'ab'], ['aa', 'bb', 'ab'])
    """
    texts = batch.texts()
    left = [row for row in energies.argsort(stable=True).tolist() if texts.index(texts[row]) == row]
    paid = dict(zip(left, energies[left].tolist(), strict=True))
    chosen: list[int] = []
    while left and len(chosen) < count:
        # the first of several that are as good
        best = min(left, key=lambda row: paid[row])
        left.remove(best)
        chosen.append(best)
        if weight:
            for row, more in zip(left, _to(texts, best, left, repulsion), strict=True):
                paid[row] += weight * more
    return batch.rows([chosen[number % len(chosen)] for number in range(count)])


def _to(texts: Sequence[str], one: int, others: Sequence[int], repulsion: Repulsion) -> list[float]:
    """How alike some texts are to one."""
    return alike(repulsion, [texts[row] for row in others], [texts[one]] * len(others))
