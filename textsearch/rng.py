"""Counter-based random numbers: one independent stream per chain, no state to carry or to lose.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) on tensors. A number is a function
of (seed, purpose, input, chain, step, draw, index) alone, so neither the batch a chain sits in, nor its row there, nor
how the work is cut up can change what the chain draws. The chains of a batch may be at one step or each at its own.

    counter, 128 bits    index // 2: 16 | draw: 16 | step: 32 | chain: 32 | input: 32
    key, 64 bits         the seed, folded with a purpose and with the tags that a sampler hands to its parts

Numbers that share a key are of different counters by construction, and the chains of different seeds are of different
keys. A fold takes 64 bits of Philox at the tag, so two other keys are equal with a chance of 2^-64, as of any hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import final

import numpy as np
import torch
from torch import Tensor

_LOW = 0xFFFFFFFF
_FOLD = 0x464F4C44
_PAGE = 2**17  # numbers of one draw that the counter tells apart
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


def _block(counter: tuple[int, int, int, int], key: int) -> int:
    """The first 64 bits of `philox`, on Python's integers: keys are made one at a time."""
    c0, c1, c2, c3 = counter
    k0, k1 = key & _LOW, key >> 32
    for _ in range(10):
        one, other = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = other >> 32 ^ c1 ^ k0, other & _LOW, one >> 32 ^ c3 ^ k1, one & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0 | c1 << 32


def _folded(key: int, tag: int | str) -> int:
    """Another key, for each tag: a number of 64 bits, or a word."""
    if isinstance(tag, str):
        word = int.from_bytes(blake2b(tag.encode(), digest_size=8).digest(), "little")
        return _block((word & _LOW, _FOLD, word >> 32, 1), key)
    return _block((tag & _LOW, _FOLD, tag >> 32, 0), key)


@final
@dataclass(frozen=True, eq=False)
class Rng:
    """The random numbers of one step of every chain in a batch.

    The same call gives the same numbers: ask for another `draw`, or `fold` in a tag, to get fresh ones. Who hands
    numbers on to several parts folds in a tag for each, and draws from none of these itself.

    Attributes:
        key: of 64 bits, what is left of the seed, the purpose and the tags.
        chain: (B,) int64, the number of each row's chain among those of its input.
        input: (B,) int64, the number of each row's input among all that there are.
        moment: the step that all chains are at, or (B,) int64, that of each; read `step` or `steps`.
        below: a bound on the numbers of the chains.
        total: how many steps the run has of which `moment` is one, for what goes by the share that is over; None where
            nobody said. No number depends on it.

    >>> rng = Rng.start(seed=7, chains=3)
    >>> bool((rng.uniform(0) == rng.rows([0, 1, 2]).uniform(0)).all())
    True
    >>> apart = rng.at(torch.tensor([4, 0, 9]))
    >>> bool(apart.uniform(0)[2] == rng.at(9).uniform(0)[2])
    True
    """

    key: int
    chain: Tensor
    input: Tensor
    moment: int | Tensor = 0
    below: int = 2**32
    total: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.moment, Tensor):
            if self.moment.shape != self.chain.shape:
                raise StepsApartError(
                    f"{len(self.chain)} chains cannot be at the steps of {len(self.moment)}: pick the rows first, "
                    "rng.rows(index), or rng.split(count) for several streams of each"
                )
            # on an accelerator a look at the steps would wait for it
            steps = self.moment.tolist() if self.moment.device.type == "cpu" else []
        else:
            steps = [self.moment]
        if strange := [step for step in steps if not 0 <= step <= _LOW]:
            raise ValueError(f"step={strange[0]} is not in [0, 2^32), the steps that have random numbers")

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
    def start(
        seed: int, chains: int, device: torch.device | str = "cpu", *, number: int = 0, purpose: str = "chains"
    ) -> Rng:
        """Streams for chains 0 .. chains - 1 of the input `number`, at step 0.

        `purpose` says what the numbers are for: one word for each user of a seed, so that no two draw the same.

        Raises:
            ValueError: `chains` is not in [0, 2^32].
        """
        if not 0 <= chains <= 2**32:
            raise ValueError(f"chains={chains} is not in [0, 2^32], the chains that have random numbers")
        chain = torch.arange(chains, device=device)
        return Rng(_root(seed, purpose), chain, torch.full_like(chain, *input_numbers([number], 1)), below=chains)

    @staticmethod
    def of(
        seed: int, inputs: Tensor, numbers: Sequence[int] | None = None, *, chains: int = 1, purpose: str = "chains"
    ) -> Rng:
        """Streams for `chains` copies of each row, side by side, at step 0.

        Chain c of an input is its c-th row; where there are copies, those of the first copies come before all others,
        so that more of them change nothing.

        Args:
            seed: of 64 bits, with a sign or without.
            inputs: (B,) int64, the input that each row belongs to.
            numbers: `numbers[i]` is the number of input i among all inputs that there are; by default i.
            chains: of each row.
            purpose: see `start`.

        Raises:
            ValueError: an input has more than 2^32 chains.
        """
        count = int(inputs.max()) + 1 if len(inputs) else 0
        told = input_numbers(numbers, count if numbers is None else max(count, len(numbers)))
        own = torch.tensor(told, dtype=torch.int64, device=inputs.device)[inputs]
        _, place, sizes = torch.unique(inputs, return_inverse=True, return_counts=True)
        order = place.argsort(stable=True)
        rank = torch.empty_like(place)
        rank[order] = torch.arange(len(inputs), device=inputs.device) - (sizes.cumsum(0) - sizes)[place[order]]
        chain = rank[:, None] + sizes[place][:, None] * torch.arange(chains, device=inputs.device)
        below = int(sizes.max()) * chains if len(inputs) else 0
        if below > 2**32:
            raise ValueError(f"{below} chains of one input are more than the 2^32 that have random numbers")
        return Rng(_root(seed, purpose), chain.flatten(), own.repeat_interleave(chains), below=below)

    def at(self, step: int | Tensor, *, total: int | None = None) -> Rng:
        """The numbers of another step below 2^32, of all chains or (B,) int64 of each; one of `total` steps, if known.

        Who counts steps anew for a part, as a cycle does, says how many there are of these.
        """
        return replace(self, moment=step, total=total)

    def rows(self, index: Tensor | Sequence[int]) -> Rng:
        """The streams of some of the rows."""
        index = index if isinstance(index, Tensor) else torch.tensor(index, dtype=torch.int64)
        moment = self.moment[index] if isinstance(self.moment, Tensor) else self.moment
        return replace(self, chain=self.chain[index], input=self.input[index], moment=moment)

    def fold(self, tag: int) -> Rng:
        """Streams independent of these, one family for each `tag` below 2^32: hand one to each part of a step.

        Raises:
            ValueError: `tag` is not in [0, 2^32).
        """
        if not 0 <= tag <= _LOW:
            raise ValueError(f"tag={tag} is not in [0, 2^32)")
        return replace(self, key=_folded(self.key, tag))

    def split(self, count: int) -> Rng:
        """`count` streams of each row, side by side: (B * count) rows, independent of these ones.

        Raises:
            ValueError: there are more than 2^32 streams of one input.
        """
        # tags from 2^33 on are nobody else's
        below = self.below * count
        if below > 2**32:
            raise ValueError(f"{self.below} chains of {count} streams each are more than the 2^32 that there are")
        chain = self.chain[:, None] * count + torch.arange(count, device=self.chain.device)
        moment = self.moment.repeat_interleave(count) if isinstance(self.moment, Tensor) else self.moment
        key = _folded(self.key, 2**33 + count)
        return Rng(key, chain.flatten(), self.input.repeat_interleave(count), moment, below, self.total)

    def uniform(self, draw: int, count: int | None = None) -> Tensor:
        """(B,) float64 in (0, 1), or (B, count): 52 random bits each, never 0 nor 1.

        `draw` numbers the calls within a step; a call with `count` uses one `draw`.

        Raises:
            ValueError: `draw` is not in [0, 2^16), or `count` is more than a draw has.
        """
        if not 0 <= draw < 2**16:
            raise ValueError(f"draw={draw} is not in [0, 65536)")
        if count is None:
            return self._page(self.key, draw, 1)[:, 0]
        if not 0 <= count <= _PAGE * 2**32:
            raise ValueError(f"count={count} is not in [0, 2^49], the numbers that one draw has")
        if count <= _PAGE:
            return self._page(self.key, draw, count)
        # what the counter cannot tell apart the key does: tags from 2^32 on are nobody else's
        pages = [
            self._page(
                _folded(self.key, 2**32 + first // _PAGE) if first else self.key, draw, min(_PAGE, count - first)
            )
            for first in range(0, count, _PAGE)
        ]
        return torch.cat(pages, 1)

    def _page(self, key: int, draw: int, count: int) -> Tensor:
        """(B, count) numbers of a draw, `count` at most 2^17."""
        shape = (len(self.chain), (count + 1) // 2)
        word = torch.arange(shape[1], device=self.chain.device) | draw << 16
        columns = (word, self.steps[:, None], self.chain[:, None], self.input[:, None])
        words = philox(torch.stack([column.expand(shape) for column in columns], -1), (key & _LOW, key >> 32))
        bits = (words[..., 0::2] >> 6) * 2**26 + (words[..., 1::2] >> 6)
        return ((bits.to(torch.float64) + 0.5) * 2.0**-52).flatten(1)[:, :count]

    def generator(self) -> np.random.Generator:
        """A generator of NumPy's, for what draws an unknown number of times; of one row, by all that this one is of.

        >>> int(Rng.start(seed=7, chains=1).at(3).generator().integers(100))
        47
        """
        (chain,), (number,), (step,) = self.chain.tolist(), self.input.tolist(), self.steps.tolist()
        return np.random.default_rng([self.key & _LOW, self.key >> 32, number, chain, step])


def _root(seed: int, purpose: str) -> int:
    """The key of a seed for one purpose."""
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed={seed} does not fit in 64 bits")
    # -1 is another seed than 2^64 - 1
    key = seed if seed >= 0 else _folded(seed % 2**64, "negative")
    return key if purpose == "chains" else _folded(key, purpose)


def input_numbers(numbers: Sequence[int] | None, count: int) -> list[int]:
    """The number of each of `count` inputs among all that there are, checked: 0, 1, 2, ... unless told.

    >>> input_numbers(None, 3), input_numbers([7, 2], 2)
    ([0, 1, 2], [7, 2])
    """
    if numbers is None:
        return list(range(count))
    if isinstance(numbers, str | int) or not isinstance(numbers, Iterable):
        raise TypeError(f"numbers={numbers!r} is no list of whole numbers: pass one for each input, such as [0, 1, 2]")
    found = list(numbers)
    if len(found) != count:
        raise ValueError(f"{len(found)} numbers for {count} inputs: pass one for each input")
    for number in found:
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number <= _LOW:
            raise ValueError(f"numbers holds {number!r}, which is no whole number from 0 to 2^32 - 1")
    return [int(number) for number in found]


def categorical(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """(K,) one index a row, drawn in proportion to exp(`log_weights`) (K, V) by inverting the distribution function.

    `uniform` is (K,) in (0, 1). Weights of -inf are never drawn; each row needs one finite weight.
    """
    top = log_weights.amax(-1, keepdim=True)
    cumulative = (log_weights.to(torch.float64) - top).exp().cumsum(-1)
    # strictly above: an index of weight zero adds nothing to the sum and cannot be the first to pass the threshold
    threshold = (uniform[:, None] * cumulative[:, -1:]).contiguous()
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp(max=log_weights.shape[-1] - 1)
