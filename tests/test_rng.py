"""Random numbers: the generator against published answers, streams against their definition, laws of the draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray

from textsearch import rng as rng_module
from textsearch.rng import Rng, categorical, input_numbers, philox

# Random123 (Salmon et al., 2011), file kat_vectors, philox4x32 with 10 rounds: counter, key, answer
KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def plain_philox(bits: int, counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 or Philox4x64-10 on Python's integers: one definition, two sets of constants."""
    multipliers, weyl = {
        32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
        64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)),
    }[bits]
    base = 2**bits
    for _ in range(10):
        high0, low0 = divmod(multipliers[0] * counter[0], base)
        high1, low1 = divmod(multipliers[1] * counter[2], base)
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0]
        key = [(key[0] + weyl[0]) % base, (key[1] + weyl[1]) % base]
    return counter


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter: str, key: str, answer: str) -> None:
    k0, k1 = words(key)
    assert philox(torch.tensor(words(counter)), (k0, k1)).tolist() == words(answer)
    assert plain_philox(32, words(counter), [k0, k1]) == words(answer)


def test_plain_philox_is_numpy_s_with_64_bit_words() -> None:
    """numpy has the 4x64 variant only: it vouches for the structure, the known answers for the 32-bit constants."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        counter = [int(word) for word in rng.integers(0, 2**64, 4, dtype=np.uint64)]
        counter[0] = max(counter[0], 1)
        key = [int(word) for word in rng.integers(0, 2**64, 2, dtype=np.uint64)]
        # numpy counts up before it draws
        before = [counter[0] - 1, *counter[1:]]
        generator = np.random.Philox(counter=np.array(before, np.uint64), key=np.array(key, np.uint64))
        assert generator.random_raw(4).tolist() == plain_philox(64, counter, key)


def test_philox_is_the_plain_one_on_random_counters() -> None:
    rng = np.random.default_rng(1)
    counters = rng.integers(0, 2**32, (200, 4))
    for k0, k1 in rng.integers(0, 2**32, (5, 2)).tolist():
        expected = [plain_philox(32, counter, [k0, k1]) for counter in counters.tolist()]
        assert philox(torch.from_numpy(counters), (k0, k1)).tolist() == expected


def test_uniform_is_the_documented_function_of_the_counter() -> None:
    key, place, chain, step, draw = 0x0123456789ABCDEF, 2**32 - 5, 2**31 + 5, 77, 3
    rng = Rng(key, torch.tensor([chain]), torch.tensor([place]), step)
    for number, value in enumerate(rng.uniform(draw, 6)[0].tolist()):
        four = plain_philox(32, [number // 2 | draw << 16, step, chain, place], [key % 2**32, key >> 32])
        high, low = four[:2] if number % 2 == 0 else four[2:]
        assert value == ((high >> 6) * 2**26 + (low >> 6) + 0.5) / 2**52


@pytest.mark.parametrize(("word", "expected"), [(0, 2.0**-53), (0xFFFFFFFF, 1 - 2.0**-53)])
def test_uniform_is_never_0_nor_1(word: int, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textsearch.rng.philox", lambda counter, key: torch.full_like(counter, word))
    assert Rng.start(0, 2).uniform(0, 3).tolist() == [[expected] * 3] * 2


def numbers(name: str) -> torch.Tensor:
    """200,000 numbers that differ in one part of the counter alone."""
    count = 200_000
    match name:
        case "chains":
            return Rng.start(1, count).uniform(0)
        case "one draw":
            return Rng.start(2, 2).uniform(0, count // 2).flatten()
        case "steps":
            return torch.cat([Rng.start(3, 1000).at(step).uniform(0) for step in range(count // 1000)])
        case "draws":
            return torch.cat([Rng.start(4, 1000).uniform(draw) for draw in range(count // 1000)])
        case "tags":
            return torch.cat([Rng.start(5, 1000).fold(tag).uniform(0) for tag in range(count // 1000)])
        case _:
            return torch.cat([Rng.start(seed, 1000).uniform(0) for seed in range(count // 1000)])


@pytest.mark.parametrize("name", ["chains", "one draw", "steps", "draws", "tags", "seeds"])
def test_uniform_is_uniform(name: str) -> None:
    drawn = numbers(name).numpy()
    assert drawn.dtype == np.float64
    assert len(drawn) == 200_000
    assert len(np.unique(drawn)) == len(drawn)
    for power in (1, 2, 3):
        error = math.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / len(drawn))
        assert abs((drawn**power).mean() - 1 / (power + 1)) < 4 * error
    for scale in (1, 2**20, 2**44):
        # the leading bits, those in the middle, and the last ones
        counts = np.bincount((drawn * scale % 1 * 256).astype(int), minlength=256)
        assert scipy.stats.chisquare(counts).pvalue > 1e-4
    lagged = np.corrcoef(drawn[1:], drawn[:-1])[0, 1]
    assert abs(lagged) < 4 / math.sqrt(len(drawn))


def test_streams_do_not_depend_on_the_batch() -> None:
    rng = Rng.start(9, 50).at(4)
    whole = rng.uniform(2, 5)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert rng.rows(order).uniform(2, 5).equal(whole[order])
    assert torch.cat([rng.rows([i]).uniform(2, 5) for i in range(50)]).equal(whole)
    assert rng.rows(order[:7]).fold(3).uniform(0).equal(rng.fold(3).uniform(0)[order[:7]])
    assert Rng.start(9, 80).at(4).uniform(2, 5)[:50].equal(whole)


def test_a_longer_draw_begins_with_a_shorter_one() -> None:
    rng = Rng.start(9, 4)
    assert rng.uniform(1, 7)[:, :3].equal(rng.uniform(1, 3))
    assert rng.uniform(1, 1)[:, 0].equal(rng.uniform(1))
    assert rng.uniform(1, 0).shape == (4, 0)


def test_every_part_of_the_counter_makes_another_stream() -> None:
    rng = Rng.start(6, 100)
    streams = [
        rng.uniform(0),
        rng.uniform(1),
        rng.at(1).uniform(0),
        rng.fold(0).uniform(0),
        rng.fold(1).uniform(0),
        rng.fold(0).fold(0).uniform(0),
        rng.fold(0).at(1).uniform(0),
        Rng.start(7, 100).uniform(0),
        Rng.start(6 + 2**32, 100).uniform(0),
        Rng.start(6 - 2**63, 100).uniform(0),
        Rng.start(6, 100, purpose="drafts").uniform(0),
        Rng.start(6, 100, number=1).uniform(0),
        Rng.start(6, 200).uniform(0)[100:],
        Rng.start(6, 100).split(2).uniform(0)[:100],
        Rng.start(6, 100).split(1).uniform(0),
    ]
    correlation = np.corrcoef(torch.stack(streams).numpy()) - np.eye(len(streams))
    assert np.abs(correlation).max() < 0.45
    assert len(np.unique(torch.cat(streams))) == 100 * len(streams)


def test_at_and_fold_commute() -> None:
    rng = Rng.start(6, 5)
    assert rng.at(3).fold(2).uniform(0).equal(rng.fold(2).at(3).uniform(0))


def test_same_call_gives_the_same_numbers() -> None:
    rng = Rng.start(6, 5)
    assert rng.uniform(0).equal(rng.uniform(0))


def test_seeds_of_64_bits_are_taken_and_draw_apart() -> None:
    drawn = [Rng.start(seed, 3).fold(1).uniform(0) for seed in (-(2**63), -2, -1, 0, 1, 2**63, 2**64 - 2, 2**64 - 1)]
    assert len(torch.unique(torch.cat(drawn))) == 24


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_other_seeds_are_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed={seed}"):
        Rng.start(seed, 1)


@pytest.mark.parametrize("draw", [-1, 65536])
def test_draws_outside_16_bits_are_refused(draw: int) -> None:
    with pytest.raises(ValueError, match=f"draw={draw}"):
        Rng.start(0, 1).uniform(draw)


EDGES = {
    "seed": (-(2**63), -1, 0, 1, 2, 2**32 - 1, 2**32, 2**63, 2**64 - 1),
    "input": (0, 1, 2, 255, 2**16, 2**32 - 1),
    "chain": (0, 1, 2, 7, 2**16, 2**31),
    "step": (0, 1, 2**16, 2**32 - 1),
    "purpose": ("chains", "drafts", "fill"),
    "tags": ((), (0,), (1,), (0, 0), (0, 1), (1, 0), (2**32 - 1,)),
    "draw": (0, 1, 2, 2**16 - 1),
    "index": (0, 1, 2, 2**17 - 1, 2**17, 2**17 + 1, 2**18, 2**49 - 1),
}
"""Values around the bounds of each part of a number's address."""

Address = tuple[int, int, int, int, str, tuple[int, ...], int, int]
Rule = Callable[..., tuple[int, ...]]


def asked(rng: Rng, draw: int, index: int) -> tuple[int, ...]:
    """The key and the counter words that the number at `index` of a draw is made of, and which half of the answer."""
    page, within = divmod(index, 2**17)
    key = rng_module._folded(rng.key, 2**32 + page) if page else rng.key
    return key, within // 2 | draw << 16, rng.step, int(rng.chain[0]), int(rng.input[0]), within % 2


def by_scheme(
    seed: int, number: int, chain: int, step: int, purpose: str, tags: tuple[int, ...], draw: int, index: int
) -> tuple[int, ...]:
    start = Rng.start(seed, 0, number=number, purpose=purpose)
    rng = Rng(start.key, torch.tensor([chain]), torch.tensor([number]), step)
    for tag in tags:
        rng = rng.fold(tag)
    return asked(rng, draw, index)


def addresses() -> list[Address]:
    """All pairs of edges of two parts, the others at their first values, and 4,000 mixtures of edges."""
    parts = list(EDGES.values())
    base = [part[-3] for part in parts]
    found = set()
    for one, other in itertools.combinations(range(len(parts)), 2):
        for values in itertools.product(parts[one], parts[other]):
            address: list[Any] = list(base)
            address[one], address[other] = values
            found.add(tuple(address))
    picks = np.random.default_rng(0)
    for _ in range(4000):
        found.add(tuple(part[picks.integers(len(part))] for part in parts))
    return sorted(found, key=repr)


def collisions(rule: Rule) -> int:
    """How many of the addresses share their number with another."""
    every = addresses()
    return len(every) - len({rule(*address) for address in every})


def test_every_address_has_a_number_of_its_own() -> None:
    assert collisions(by_scheme) == 0


def seed_plus_input(seed: int, number: int, *others: Any) -> tuple[int, ...]:
    return by_scheme((seed + number) % 2**63, 0, *others)


def no_purpose(seed: int, number: int, chain: int, step: int, purpose: str, *others: Any) -> tuple[int, ...]:
    return by_scheme(seed, number, chain, step, "chains", *others)


def no_pages(*address: Any) -> tuple[int, ...]:
    """Numbers of a long draw that run on into those of the next draw, and begin again."""
    *others, draw, index = address
    folded: Address = (*others, (draw + index // 2**17) % 2**16, index % 2**17)
    return by_scheme(*folded)


def signs_lost(seed: int, *others: Any) -> tuple[int, ...]:
    return by_scheme(seed % 2**64, *others)


def one_step(seed: int, number: int, chain: int, step: int, *others: Any) -> tuple[int, ...]:
    return by_scheme(seed, number, chain, step % 2**16, *others)


@pytest.mark.parametrize("twin", [seed_plus_input, no_purpose, no_pages, signs_lost, one_step])
def test_a_broken_scheme_is_found(twin: Rule) -> None:
    assert collisions(twin) > 20


def test_uniform_asks_for_those_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters and keys that `uniform` hands to Philox are those that the addresses are counted by."""
    seen: list[tuple[int, ...]] = []

    def spy(counter: torch.Tensor, key: tuple[int, int]) -> torch.Tensor:
        flat = counter.reshape(-1, 4)
        seen.extend((key[0] | key[1] << 32, *flat[row].tolist()) for row in (0, len(flat) - 1))
        return philox(counter, key)

    monkeypatch.setattr("textsearch.rng.philox", spy)
    rng = Rng.start(5, 4, number=9, purpose="drafts").fold(3).at(11).rows([2])
    rng.uniform(7, 2**17 + 5)
    wanted = [asked(rng, 7, index)[:5] for index in (0, 2**17 - 1, 2**17, 2**17 + 4)]
    assert seen == wanted


def test_no_number_of_a_long_draw_comes_twice() -> None:
    drawn = Rng.start(3, 1).uniform(5, 600_000)[0]
    assert len(torch.unique(drawn)) == 600_000
    assert drawn[: 2**17 + 3].equal(Rng.start(3, 1).uniform(5, 2**17 + 3)[0])
    assert not drawn[2**17 :].equal(Rng.start(3, 1).uniform(6, 600_000 - 2**17)[0])


@pytest.mark.parametrize("count", [-1, 2**49 + 1])
def test_more_numbers_than_a_draw_has(count: int) -> None:
    with pytest.raises(ValueError, match=f"count={count}"):
        Rng.start(0, 1).uniform(0, count)


@pytest.mark.parametrize("step", [-1, 2**32, torch.tensor([2**32])])
def test_steps_that_no_counter_can_hold(step: int | torch.Tensor) -> None:
    with pytest.raises(ValueError, match=f"step={int(step)}"):
        Rng.start(0, 1).at(step)


def test_folds_of_keys_and_of_tags_are_all_different() -> None:
    keys = [int(key) for key in np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)] + list(range(1000))
    for tag in (0, 2**33, "drafts"):
        assert len({rng_module._folded(key, tag) for key in keys} | set(keys)) == 2 * len(set(keys))
    assert len({rng_module._folded(7, tag) for tag in range(20_000)}) == 20_000
    four = plain_philox(32, [9, 0x464F4C44, 2, 0], [5, 6])
    assert rng_module._folded(5 | 6 << 32, 9 | 2 << 32) == four[0] | four[1] << 32


def test_streams_of_rows_go_by_input_and_place() -> None:
    """Chain c of an input is the same whatever other inputs, rows and chains there are."""
    inputs = torch.tensor([2, 0, 2, 1, 2])
    rng = Rng.of(4, inputs, [10, 11, 12])
    assert rng.input.tolist() == [12, 10, 12, 11, 12]
    assert rng.chain.tolist() == [0, 0, 1, 0, 2]
    two, three = (Rng.of(4, inputs, [10, 11, 12], chains=chains) for chains in (2, 3))
    assert two.chain.tolist() == [0, 3, 0, 1, 1, 4, 0, 1, 2, 5]
    more = torch.arange(15).view(5, 3)[:, :2].flatten()
    assert three.rows(more).uniform(0).equal(two.uniform(0))
    assert len(torch.unique(three.uniform(0))) == 15
    alone = Rng.of(4, torch.tensor([0, 0, 0]), [12])
    assert alone.uniform(1).equal(rng.rows([0, 2, 4]).uniform(1))
    assert Rng.of(4, torch.tensor([0, 0])).uniform(0).equal(Rng.start(4, 2).uniform(0))
    assert len(Rng.of(4, torch.zeros(0, dtype=torch.int64)).uniform(0)) == 0


def test_split_gives_every_chain_streams_of_its_own() -> None:
    rng = Rng.of(4, torch.tensor([0, 0, 1])).at(5)
    parts = [rng, rng.split(1), rng.split(2), rng.split(3), rng.split(2).split(3), rng.split(6), rng.fold(0).split(2)]
    drawn = torch.cat([part.uniform(0) for part in parts])
    assert len(drawn) == 3 * (1 + 1 + 2 + 3 + 6 + 6 + 2) == len(torch.unique(drawn))
    assert rng.rows([2]).split(3).uniform(0).equal(rng.split(3).uniform(0)[6:])
    apart = rng.at(torch.tensor([5, 6, 7])).split(2)
    assert apart.steps.tolist() == [5, 5, 6, 6, 7, 7]
    with pytest.raises(ValueError, match="more than the 2\\^32"):
        Rng.start(0, 2**10).split(2**23)


@pytest.mark.parametrize(
    ("numbers", "error", "message"),
    [
        ([0], ValueError, "1 numbers for 2 inputs"),
        ([0, -1], ValueError, "holds -1"),
        ([0, 2**32], ValueError, "holds 4294967296"),
        ([0, True], ValueError, "holds True"),
        (["0", 1], ValueError, "holds '0'"),
        (7, TypeError, "numbers=7"),
        ("01", TypeError, "numbers='01'"),
    ],
)
def test_numbers_that_cannot_be_meant(numbers: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        input_numbers(numbers, 2)


def neighbours(scheme: str) -> NDArray[np.float64]:
    """(300, 700) numbers: of neighbouring seeds, inputs or chains in its rows."""
    match scheme:
        case "seeds":
            rows = [Rng.start(seed, 700).uniform(0) for seed in range(-150, 150)]
        case "inputs":
            rows = [Rng.start(1, 700, number=number).uniform(0) for number in range(300)]
        case "chains":
            rows = list(Rng.start(1, 300).uniform(0, 700))
        case _:  # the broken twin: seed s + g for input g, rows of two seeds
            rows = [Rng.start(seed + number, 700).uniform(0) for seed in (0, 1) for number in range(150)]
    return torch.stack(rows).numpy()


def independent(table: NDArray[np.float64]) -> float:
    """The least p-value: chi-square of neighbouring rows over a grid, and the largest correlation of any two rows."""
    cells = np.minimum((table * 8).astype(int), 7)
    counts = np.bincount((cells[::2] * 8 + cells[1::2]).ravel(), minlength=64)
    largest = np.abs(np.corrcoef(table) - np.eye(len(table))).max()
    pairs = len(table) * (len(table) - 1) / 2
    return min(
        float(scipy.stats.chisquare(counts).pvalue),
        # Fisher's transformation of a correlation of independent numbers is normal
        float(min(1.0, 2 * pairs * scipy.stats.norm.sf(math.atanh(min(largest, 1 - 1e-12)) * math.sqrt(697)))),
    )


@pytest.mark.parametrize("scheme", ["seeds", "inputs", "chains"])
def test_neighbours_are_independent(scheme: str) -> None:
    assert independent(neighbours(scheme)) > 1e-3


def test_seeds_that_slide_along_the_inputs_are_found() -> None:
    assert independent(neighbours("slide")) < 1e-12


def test_categorical_follows_the_law() -> None:
    weights = torch.tensor([0.0, 0.5, 0.0, 3.0, 1.5, 0.05, 0.0], dtype=torch.float64)
    drawn = categorical(weights.log().expand(200_000, -1), Rng.start(0, 200_000).uniform(0))
    counts = np.bincount(drawn.numpy(), minlength=7)
    assert counts[[0, 2, 6]].tolist() == [0, 0, 0]
    possible = weights.numpy() > 0
    expected = weights.numpy()[possible] / weights.sum().item() * 200_000
    assert scipy.stats.chisquare(counts[possible], expected).pvalue > 1e-4


@pytest.mark.parametrize("uniform", [2.0**-53, 0.25, 0.5, 0.75, 1 - 2.0**-53])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 3.0, 7.0, 1e300])
def test_categorical_never_draws_a_weight_of_zero(uniform: float, scale: float) -> None:
    weights = scale * torch.tensor(
        [[0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.3, 0.0], [0.6, 0.0, 0.7, 0.0]], dtype=torch.float64
    )
    drawn = categorical(weights.log(), torch.full((4,), uniform, dtype=torch.float64))
    assert (weights.gather(1, drawn[:, None]) > 0).all()


def test_categorical_inverts_the_distribution_function() -> None:
    log_weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64).log()
    uniform = torch.tensor([0.1, 0.19, 0.21, 0.49, 0.51, 0.99], dtype=torch.float64)
    assert categorical(log_weights.expand(6, -1), uniform).tolist() == [0, 0, 1, 1, 2, 2]


def test_categorical_takes_weights_far_below_the_smallest_float() -> None:
    log_weights = torch.tensor([[-5000.0, -5000.0 + math.log(3.0), -math.inf]], dtype=torch.float32)
    uniform = torch.tensor([0.2, 0.3], dtype=torch.float64)
    assert categorical(log_weights.expand(2, -1), uniform).tolist() == [0, 1]


def test_categorical_draws_each_row_by_itself() -> None:
    log_weights = torch.randn(40, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    uniform = Rng.start(0, 40).uniform(0)
    alone = torch.cat([categorical(log_weights[i : i + 1], uniform[i : i + 1]) for i in range(40)])
    assert categorical(log_weights, uniform).equal(alone)


@pytest.mark.parametrize("tag", [-1, 2**32])
def test_a_tag_that_no_counter_can_hold(tag: int) -> None:
    with pytest.raises(ValueError, match=f"tag={tag}"):
        Rng.start(0, 1).fold(tag)
