"""Counter-based random numbers: one independent stream per chain, no state to carry or to lose.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) on tensors. A number is a
function of (seed, chain, step, draw) alone, so neither the batch a chain sits in, nor its row there, nor how the
work is cut up can change what the chain draws. The chains of a batch may be at one step or each at its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)


def _multiply(constant: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of `constant * word`, both 32-bit unsigned kept in int64 (no 64-bit overflow)."""
    low_part = constant * (word & 0xFFFF)
    high_part = constant * (word >> 16) + (low_part >> 16)
    return high_part >> 16, ((high_part & 0xFFFF) << 16) | (low_part & 0xFFFF)


def philox(counter: Tensor, key: tuple[int, int]) -> Tensor:
    """Philox4x32-10: (..., 4) 32-bit words for (..., 4) 32-bit counter words, all kept in int64.

    >>> [hex(word) for word in philox(torch.zeros(4, dtype=torch.int64), (0, 0)).tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter.unbind(-1)
    k0, k1 = key
    for _ in range(10):
        high0, low0 = _multiply(_MULTIPLIERS[0], c0)
        high1, low1 = _multiply(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return torch.stack([c0, c1, c2, c3], -1)


class StepsApartError(RuntimeError):
    """One step was asked for, or one number of rows for another, where each chain is at a step of its own."""


@final
@dataclass(frozen=True, eq=False)
class Rng:
    """The random numbers of one step of every chain in a batch.

    The same call gives the same numbers: ask for different `draw`s, or `fold` in a tag, to get fresh ones.

    Attributes:
        seed: any integer of at most 64 bits.
        chain: (B,) int64, the chain of each row.
        moment: the step that all chains are at, or (B,) int64, that of each; read `step` or `steps`.

    >>> rng = Rng.start(seed=7, chains=3)
    >>> bool((rng.uniform(0) == rng.rows([0, 1, 2]).uniform(0)).all())
    True
    >>> apart = rng.at(torch.tensor([4, 0, 9]))
    >>> bool(apart.uniform(0)[2] == rng.at(9).uniform(0)[2])
    True
    """

    seed: int
    chain: Tensor
    moment: int | Tensor = 0

    def __post_init__(self) -> None:
        if isinstance(self.moment, Tensor) and self.moment.shape != self.chain.shape:
            raise StepsApartError(
                f"{len(self.chain)} chains cannot be at the steps of {len(self.moment)}: pick the rows first, then "
                "number the chains, replace(rng.rows(index), chain=...)"
            )

    @property
    def step(self) -> int:
        """The one step that all chains are at, for samplers that do the same to all of them.

        Raises:
            StepsApartError: each chain is at a step of its own.
        """
        if isinstance(self.moment, Tensor):
            raise StepsApartError(f"the {len(self.chain)} chains have steps of their own: read rng.steps, not rng.step")
        return self.moment

    @property
    def steps(self) -> Tensor:
        """(B,) int64, the step that each chain is at."""
        return self.moment if isinstance(self.moment, Tensor) else torch.full_like(self.chain, self.moment)

    @staticmethod
    def start(seed: int, chains: int, device: torch.device | str = "cpu") -> Rng:
        """Streams for chains 0 .. chains - 1 at step 0."""
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"seed={seed} does not fit in 64 bits")
        return Rng(seed % 2**64, torch.arange(chains, device=device))

    def at(self, step: int | Tensor) -> Rng:
        """The numbers of another step, of all chains or (B,) int64 of each."""
        return replace(self, moment=step)

    def rows(self, index: Tensor | Sequence[int]) -> Rng:
        """The streams of some of the rows."""
        index = index if isinstance(index, Tensor) else torch.tensor(index, dtype=torch.int64)
        moment = self.moment[index] if isinstance(self.moment, Tensor) else self.moment
        return replace(self, chain=self.chain[index], moment=moment)

    def fold(self, tag: int) -> Rng:
        """Streams independent of these, one family for each `tag` below 2^32: hand one to each part of a step."""
        if not 0 <= tag <= _LOW:
            raise ValueError(f"tag={tag} is not in [0, 2^32)")
        words = philox(torch.tensor([tag, 0x464F4C44, 0, 0]), self._key).tolist()
        return replace(self, seed=words[0] | words[1] << 32)

    def uniform(self, draw: int, count: int | None = None) -> Tensor:
        """(B,) float64 in (0, 1), or (B, count): 52 random bits each, never 0 nor 1.

        `draw` numbers the calls within a step; a call with `count` uses one `draw`.
        """
        if not 0 <= draw < 2**16:
            raise ValueError(f"draw={draw} is not in [0, 65536)")
        blocks = 1 if count is None else (count + 1) // 2
        shape = (len(self.chain), blocks)
        word = torch.arange(shape[1], device=self.chain.device) | draw << 16
        counter = torch.stack(
            [
                word.expand(shape),
                (self.steps & _LOW)[:, None].expand(shape),
                (self.chain & _LOW)[:, None].expand(shape),
                (self.chain >> 32)[:, None].expand(shape),
            ],
            -1,
        )
        words = philox(counter, self._key)
        bits = (words[..., 0::2] >> 6) * 2**26 + (words[..., 1::2] >> 6)
        numbers = ((bits.to(torch.float64) + 0.5) * 2.0**-52).flatten(1)
        return numbers[:, 0] if count is None else numbers[:, :count]

    @property
    def _key(self) -> tuple[int, int]:
        return self.seed & _LOW, self.seed >> 32


def categorical(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """(K,) one index a row, drawn in proportion to exp(`log_weights`) (K, V) by inverting the distribution function.

    `uniform` is (K,) in (0, 1). Weights of -inf are never drawn; each row needs one finite weight.
    """
    top = log_weights.amax(-1, keepdim=True)
    cumulative = (log_weights.to(torch.float64) - top).exp().cumsum(-1)
    # strictly above: an index of weight zero adds nothing to the sum and cannot be the first to pass the threshold
    threshold = (uniform[:, None] * cumulative[:, -1:]).contiguous()
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp(max=log_weights.shape[-1] - 1)
