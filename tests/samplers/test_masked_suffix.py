"""Suffixes under a mask against an enumerated transition matrix, where the mask is right, too narrow and too wide."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import MetropolisHastings
from samplers.proposals import FromLeft, SuffixResampling
from samplers.proposals.cuts import Entropies
from tests.hinted import Hinted, Row, Step, rows_of
from tests.reference import Floats, Order, Path, State
from tests.samplers.laws import Case
from tests.samplers.test_suffix import END, SuffixLaw
from tests.samplers.toys import Toy
from textsearch.batch import Batch, Vocabulary
from textsearch.rng import Rng
from textsearch.testing import TableCausalLM, letters

A, B = 1, 2


@dataclass
class MaskedSuffixLaw(SuffixLaw):
    """The same under a mask: a share `free` of all suffixes is drawn without it."""

    constraint: Hinted | None = None
    free: float = 0.0
    cuts: str = "uniform"

    def masked(self, text: tuple[int, ...], kept: int) -> float:
        """Of writing text[kept:] and the end under the mask."""
        assert self.constraint is not None
        product = 1.0
        for place in range(kept, len(text) + 1):
            law = self.following(text[:place], self.temperature)
            may = self.constraint.follow(text[:place])
            token = (*text, END)[place]
            if token not in may:
                return 0.0
            product *= float(law[token] / sum(law[one] for one in may))
        return product

    def drawn(self, text: tuple[int, ...], kept: int) -> float:
        """Of the mixture; what is proven to begin no text is not written on."""
        assert self.constraint is not None
        if self.constraint.proves and any(
            all(text[:size] != one[:size] for one in self.constraint.language)
            for size in range(kept + 1, len(text) + 1)
        ):
            return 0.0
        return (1 - self.free) * self.masked(text, kept) + self.free * self.probability(text, kept, self.temperature)

    def entropy(self, before: tuple[int, ...]) -> float:
        """Of what comes next under the mask, nats."""
        assert self.constraint is not None
        weights = [self.following(before, self.temperature)[token] for token in self.constraint.follow(before)]
        return -math.fsum(one / sum(weights) * math.log(one / sum(weights)) for one in weights)

    def cut_law(self, text: tuple[int, ...], first: int) -> list[float]:
        """p(m | x) of all places from the first one."""
        count = len(text) + 1 - first
        if self.cuts == "restart":
            return [1.0] + [0.0] * (count - 1)
        if self.cuts == "uniform":
            return [1 / count] * count
        own = [self.entropy(text[:place]) for place in range(first, len(text) + 1)]
        return [0.1 / count + 0.9 * (one / sum(own) if sum(own) else 1 / count) for one in own]

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        first = max((place + 1 for place, frozen in enumerate(state.frozen) if frozen), default=0)
        for cut, chance in enumerate(self.cut_law(state.tokens, first), first):
            if not chance:
                continue
            before, written = state.tokens[:cut], 0.0
            for size in range(self.max_length - cut + 1):
                for suffix in itertools.product(range(1, len(self.table[0])), repeat=size):
                    text = (*before, *suffix)
                    share = self.drawn(text, cut) * chance
                    written += share
                    marks = (*state.frozen[:cut], *[False] * size)
                    if share:
                        yield Path((cut, suffix), (cut, state.tokens[cut:]), State(text, marks), share, 0)
            yield Path(("no end", cut), None, state, chance - written, 0)


@dataclass(frozen=True, eq=False)
class LanguageToy(Toy):
    """A skewed target over the texts of a language, or over all texts, of which those of the language are a hint."""

    everywhere: bool = False

    @cached_property
    def energies(self) -> Floats:
        assert isinstance(self.law, MaskedSuffixLaw) and self.law.constraint is not None
        rng, language = np.random.default_rng(5), self.law.constraint.language
        return np.array(
            [
                1.5 * rng.normal() + 0.3 * len(s.tokens) if self.everywhere or s.tokens in language else math.inf
                for s in self.states
            ]
        )


def masked_toy(
    constraint: Hinted,
    start: str,
    max_length: int,
    *,
    free: float = 0.2,
    heat: float = 1.0,
    prompt: str = "",
    cuts: str = "uniform",
    everywhere: bool = False,
) -> LanguageToy:
    """Of a language over "ab"."""
    vocabulary = letters("ab")
    model = TableCausalLM.random(vocabulary, seed=7)
    law = MaskedSuffixLaw(
        model.table.numpy(),
        model.by_place.numpy(),
        tuple(vocabulary.encode([prompt]).token_lists()[0]),
        heat,
        max_length,
        constraint=constraint,
        free=free,
        cuts=cuts,
    )
    proposal = SuffixResampling(model, prompt, heat, max_length, constraint, free, cuts)
    return LanguageToy(proposal, law, vocabulary, start, temperature=1.2, everywhere=everywhere)


def no_double(row: Row) -> bool:
    """Texts without "bb" that end in "a"."""
    return row[-1:] == (A,) and (B, B) not in itertools.pairwise(row)


LANGUAGE = rows_of(3, 3, no_double)
HIDDEN: frozenset[Step] = frozenset({((A,), B), ((B, A), A)})
"""The mask forbids "ab...", which "aba" begins with, and "baa", a whole text."""
ASTRAY: frozenset[Step] = frozenset({((), END), ((A, B), B), ((B,), B)})

RIGHT = Hinted(LANGUAGE, 3)
NARROW = Hinted(LANGUAGE, 3, hidden=HIDDEN)
WIDE = Hinted(LANGUAGE, 3, astray=ASTRAY)

TOYS: dict[str, LanguageToy] = {
    "narrow": masked_toy(NARROW, "a", 3),
    "right": masked_toy(RIGHT, "a", 3),
    "wide, no way on": masked_toy(WIDE, "ba", 3, heat=1.4, prompt="ab"),
    "frozen": masked_toy(Hinted(rows_of(3, 5, no_double), 3, hidden=HIDDEN), "!ba", 5),
    "right, none without the mask": masked_toy(RIGHT, "a", 3, free=0.0),
    "restart": masked_toy(NARROW, "a", 3, cuts="restart"),
    "no term of the energy": masked_toy(WIDE, "a", 3, everywhere=True),
    "by entropy": masked_toy(WIDE, "a", 3, heat=0.8, cuts="entropy"),
    "by entropy, frozen": masked_toy(Hinted(rows_of(3, 5, no_double), 3), "!ba", 5, cuts="entropy", prompt="b"),
}


@dataclass(frozen=True, eq=False)
class Tampered:
    """A model with one fault in how it draws or prices under a mask."""

    honest: TableCausalLM
    fault: str

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    def draw_suffixes(self, batch: Batch, cuts: Tensor, rng: Rng, **settings: Any) -> tuple[Batch, Tensor, Tensor]:
        new, log_prob, ended = self.honest.draw_suffixes(batch, cuts, rng, **settings)
        if self.fault in ("normaliser left out", "share without the mask left out"):
            log_prob = self.priced(new, cuts, settings)
        return new, log_prob, ended

    def suffix_log_probs(self, batch: Batch, cuts: Tensor, **settings: Any) -> Tensor:
        return self.priced(batch, cuts, settings)

    def priced(self, batch: Batch, cuts: Tensor, settings: dict[str, Any]) -> Tensor:
        settings = {name: settings[name] for name in ("prompt", "temperature", "constraint", "free")}
        if self.fault.startswith("normaliser left out"):
            settings.pop("constraint")
        else:
            settings["free"] = 1e-300
        return self.honest.suffix_log_probs(batch, cuts, **settings)


def tampered(toy: LanguageToy, fault: str) -> MetropolisHastings:
    proposal = toy.proposal
    assert isinstance(proposal, SuffixResampling) and isinstance(proposal.lm, TableCausalLM)
    return MetropolisHastings(replace(proposal, lm=Tampered(proposal.lm, fault)))


@dataclass(eq=False)
class OneWay:
    """Entropies of the texts that stand there; those of the new ones are all alike."""

    honest: Entropies
    asked: int = 0

    def of(self, batch: Batch, prompts: list[str]) -> Tensor:
        self.asked += 1
        found = self.honest.of(batch, prompts)
        return found if self.asked % 2 else torch.ones_like(found)


def cuts_alike_on_the_way_back(toy: LanguageToy) -> MetropolisHastings:
    assert isinstance(toy.proposal, SuffixResampling)
    broken = replace(toy.proposal)
    assert broken._entropies is not None
    object.__setattr__(broken, "_entropies", OneWay(broken._entropies))
    return MetropolisHastings(broken)


def case(name: str, *faults: str) -> Case:
    toy = TOYS[name]
    twins = {fault: tampered(toy, fault) for fault in faults}
    if name.startswith("by entropy"):
        twins["cuts alike on the way back"] = cuts_alike_on_the_way_back(toy)
    return Case(toy, MetropolisHastings(toy.proposal), lambda: toy.chain.matrix, twins, steps=4)


CASE = case(
    "narrow",
    "normaliser left out",
    "normaliser left out on the way back",
    "share without the mask left out",
)
VARIANTS = {name: case(name) for name in ("wide, no way on", "restart", "by entropy, frozen", "no term of the energy")}


def test_every_text_of_the_language_is_reached_though_the_mask_is_narrow() -> None:
    toy = TOYS["narrow"]
    begin = toy.states.index(toy.state("a"))
    reached = np.linalg.matrix_power(toy.chain.matrix, 50)[begin]
    assert (reached[toy.target > 0] > 0).all()
    closed = masked_toy(NARROW, "a", 3, free=0.0)
    texts = {closed.text(state) for state in closed.states}
    assert {"aba", "baa"} & texts == set()


def test_what_is_proven_to_begin_no_text_is_not_written_on() -> None:
    """A text drawn without the mask holds no token behind its first dead beginning."""
    model = TableCausalLM.random(letters("ab"), seed=7)
    batch = model.vocabulary.encode(["aa"] * 400)
    settings: dict[str, Any] = {"most": 12, "free": 0.9}
    for proves in (True, False):
        constraint = Hinted(frozenset({(A, A)}), 3, proves=proves)
        new, _, _ = model.draw_suffixes(batch, batch.lengths * 0, Rng.start(0, 400), constraint=constraint, **settings)
        assert all(tuple(row[:-1]) in {(), (A,), (A, A)} for row in new.token_lists()) is proves


def test_what_is_drawn_from_the_left_is_priced_as_it_is_drawn() -> None:
    model = TableCausalLM.random(letters("ab"), seed=7)
    for free in (0.0, 0.3):
        proposal = FromLeft(model, "ab", 0.8, 3, NARROW, free)
        batch = model.vocabulary.encode([""] * 4000)
        drawn, log_prob = proposal.draw(batch, Rng.start(0, len(batch)))
        ended = log_prob < math.inf
        assert ended.any()
        torch.testing.assert_close(log_prob[ended], proposal.log_prob(drawn)[ended], atol=1e-12, rtol=0)
        texts = drawn.rows(ended).texts()
        for text in set(texts):
            expected = float(proposal.log_prob(model.vocabulary.encode([text])).exp())
            found = texts.count(text) / len(batch)
            assert abs(found - expected) < 5 * math.sqrt(expected * (1 - expected) / len(batch)) + 1e-3


def test_a_model_is_told_of_no_mask_where_there_is_none() -> None:
    @dataclass(frozen=True, eq=False)
    class Plain:
        """A model of somebody else's, which knows of no masks."""

        honest: TableCausalLM

        @property
        def vocabulary(self) -> Vocabulary:
            return self.honest.vocabulary

        def draw_suffixes(
            self, batch: Batch, cuts: Tensor, rng: Rng, *, prompt: Any = "", temperature: float = 1.0, most: Any
        ) -> tuple[Batch, Tensor, Tensor]:
            return self.honest.draw_suffixes(batch, cuts, rng, prompt=prompt, temperature=temperature, most=most)

        def suffix_log_probs(self, batch: Batch, cuts: Tensor, *, prompt: Any = "", temperature: float = 1.0) -> Tensor:
            return self.honest.suffix_log_probs(batch, cuts, prompt=prompt, temperature=temperature)

    model = TableCausalLM.random(letters("ab"), seed=7)
    batch, rng = model.vocabulary.encode(["ab", ""]), Rng.start(0, 2)
    plain: Any = Plain(model)
    assert SuffixResampling(plain).propose(batch, rng).batch.texts() == (
        SuffixResampling(model).propose(batch, rng).batch.texts()
    )


def test_check_names_value_and_remedy() -> None:
    model = TableCausalLM.random(letters("ab"), seed=0)
    wrong: Any = "no objective"
    with pytest.raises(TypeError, match=r"constraint='no objective' is a string, not an objective"):
        SuffixResampling(model, constraint=wrong)
    with pytest.raises(ValueError, match=r"cuts='middle' must be 'uniform', 'restart' or 'entropy'"):
        SuffixResampling(model, cuts="middle")
    with pytest.raises(ValueError, match=r"free=1.0 must be at least 0 and below 1"):
        SuffixResampling(model, constraint=RIGHT, free=1.0)
    with pytest.raises(ValueError, match=r"free=-0.1 must be at least 0 and below 1"):
        FromLeft(model, constraint=RIGHT, free=-0.1)


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())
def test_log_ratios_are_the_reference_s(toy: LanguageToy) -> None:
    here = np.flatnonzero(toy.energies < math.inf)
    batch = toy.batch(np.repeat(here, 200))
    move = toy.proposal.propose(batch, Rng.start(3, len(batch)))
    come, gone = toy.number(move.batch), np.repeat(here, 200)
    real = (move.log_backward > -math.inf).numpy() & (toy.energies[come] < math.inf)
    found = (move.log_backward - move.log_forward).numpy()[real]
    for ratio, i, j in zip(found, gone[real], come[real], strict=True):
        ratio += (toy.energies[i] - toy.energies[j]) / toy.temperature
        assert min(abs(ratio - one) for one in toy.chain.log_ratios[i, 0, j]) < 1e-9
    assert real.sum() > 50
