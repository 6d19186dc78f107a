"""Particle Gibbs against an enumerated transition matrix, and its broken twins."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives import Choices
from samplers import ParticleGibbs
from samplers.particle_gibbs import _Sweep
from tests.hinted import Hinted
from tests.reference import Floats, State
from tests.samplers.fresh_toys import SCALE, LeftLaw
from tests.samplers.laws import FAULT, Case, balance, deviation, fault_p_value, same_chains
from tests.samplers.toys import Toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Cost, Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.testing import TableCausalLM, letters

END = 0
Text = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class MaskedToy(Toy):
    """A toy whose objective has a mask, too narrow for some texts and too wide for others.

    Attributes:
        hidden: share of the steps of the language that the mask forbids.
        astray: share of the other steps that it allows.
        hints: which ones, a seed.
    """

    hidden: float = 0.2
    astray: float = 0.4
    hints: int = 4

    @cached_property
    def language(self) -> Hinted:
        rng = np.random.default_rng(self.hints)
        texts = [state.tokens for state, energy in zip(self.states, self.energies, strict=True) if energy < math.inf]
        language, size = frozenset(texts), self.vocabulary.size
        exact = Hinted(language, size)
        begun = sorted({text[:at] for text in texts for at in range(len(text) + 1)})
        steps = [(before, token) for before in begun for token in range(size)]
        chance = dict(zip(steps, rng.random(len(steps)), strict=True))
        hidden = {step for step in steps if step[1] in exact.follow(step[0]) and chance[step] < self.hidden}
        astray = {step for step in steps if step[1] not in exact.follow(step[0]) and chance[step] < self.astray}
        return Hinted(language, size, hidden=frozenset(hidden), astray=frozenset(astray))

    @cached_property
    def objective(self) -> Objective:
        return self.table(self.energies) + self.language


@dataclass(frozen=True)
class One:
    """A particle of the reference: its text, whether it has ended, log-weight, log-target."""

    text: Text
    ended: bool = False
    weight: float = 0.0
    target: float = 0.0


@dataclass(frozen=True, eq=False)
class Reference:
    """Conditional SMC, choice by choice, in exact arithmetic: nothing of the engine is in it."""

    toy: MaskedToy
    particles: int
    free: float
    ess: float
    ancestors: bool = True
    power: float = 1.0
    energy: dict[Text, float] = field(default_factory=dict)

    def matrix(self) -> Floats:
        states = self.toy.states
        number = {state.tokens: i for i, state in enumerate(states)}
        for state, energy in zip(states, self.toy.energies, strict=True):
            self.energy[state.tokens] = float(energy)
        out = np.zeros((len(states), len(states)))
        for i, state in enumerate(states):
            for masked, share in ((True, 1 - self.free), (False, self.free)):
                for text, chance in self.sweep(state, masked).items():
                    out[i, number[text]] += share * chance
        return out

    def law(self, text: Text, masked: bool) -> tuple[dict[int, float], float]:
        """Probabilities of the next token, and what they add up to before they are made to add up to one."""
        assert isinstance(self.toy.law, LeftLaw)
        power = self.power / self.toy.temperature
        plain = self.toy.law.following(text)
        found = {
            v: float(p) ** power
            for v, p in enumerate(plain)
            if (v == END or len(text) < self.toy.law.max_length)
            and not (masked and v not in self.toy.language.follow(text))
        }
        total = sum(found.values())
        return {v: p / total for v, p in found.items()}, total

    def within(self, text: Text, masked: bool) -> bool:
        return not masked or all(v in self.toy.language.follow(text[:at]) for at, v in enumerate((*text, END)))

    def sweep(self, state: State, masked: bool) -> dict[Text, float]:
        kept = state.tokens
        if self.energy[kept] == math.inf or not self.within(kept, masked):
            return {kept: 1.0}
        cut = sum(state.frozen)
        worlds: dict[tuple[Text, tuple[One, ...]], float] = {(kept, (One(kept[:cut]),) * self.particles): 1.0}
        for place in range(cut, cut + 10):
            if all(one.ended or one.weight == -math.inf for _, ones in worlds for one in ones):
                break
            after: dict[tuple[Text, tuple[One, ...]], float] = defaultdict(float)
            for (own, ones), chance in worlds.items():
                for world, share in self.place(own, ones, place, masked):
                    after[world] += chance * share
            worlds = after
        out: dict[Text, float] = defaultdict(float)
        for (_, ones), chance in worlds.items():
            weights = [self.final(one) if one.ended else 0.0 for one in ones]
            for one, weight in zip(ones, weights, strict=True):
                if weight:
                    out[one.text] += chance * weight / sum(weights)
        return out

    def final(self, one: One) -> float:
        if one.weight == -math.inf:
            return 0.0
        return math.exp(one.weight - one.target - self.energy[one.text] / self.toy.temperature)

    def look(self, text: Text, masked: bool) -> float:
        law, total = self.law(text, masked)
        return law.get(END, 0.0) + (1 - law.get(END, 0.0)) * total

    def place(
        self, kept: Text, ones: tuple[One, ...], place: int, masked: bool
    ) -> Iterator[tuple[tuple[Text, tuple[One, ...]], float]]:
        weighed = []
        for one in ones:
            going = not one.ended and one.weight > -math.inf
            gain = 0.0
            if going:
                total = self.look(one.text, masked)
                gain = math.log(total) if total else -math.inf
            weighed.append(One(one.text, one.ended, one.weight + gain, one.target + gain))
        for own, chosen, share in self.resampled(kept, weighed, place, masked):
            draws = [
                list(self.drawn(one, own if slot == 0 else None, place, masked)) for slot, one in enumerate(chosen)
            ]
            for picked in itertools.product(*draws):
                # which of the others is which does not matter
                others = sorted((one for one, _ in picked[1:]), key=lambda one: (one.text, one.ended, one.weight))
                yield (own, (picked[0][0], *others)), share * math.prod(chance for _, chance in picked)

    def resampled(
        self, kept: Text, ones: Sequence[One], place: int, masked: bool
    ) -> Iterator[tuple[Text, tuple[One, ...], float]]:
        weights = np.array([math.exp(one.weight) for one in ones])
        over = all(one.ended or one.weight == -math.inf for one in ones)
        if over or weights.sum() ** 2 / (weights**2).sum() >= self.ess * self.particles:
            yield kept, tuple(ones), 1.0
            return
        even = [One(one.text, one.ended, 0.0, one.target) for one in ones]
        back = np.zeros(len(ones))
        for i, one in enumerate(ones):
            if one.weight == -math.inf or one.ended != (len(kept) < place) or (i and not self.ancestors):
                continue
            joined = one.text if one.ended else (*one.text, *kept[place:])
            if one.ended or self.within(joined, masked):
                back[i] = math.exp(one.weight - one.target - self.energy[joined] / self.toy.temperature)
        back, weights = back / back.sum(), weights / weights.sum()
        for first in np.flatnonzero(back):
            text = even[first].text if even[first].ended else (*even[first].text, *kept[place:])
            for rest in itertools.product(np.flatnonzero(weights), repeat=len(ones) - 1):
                chance = float(back[first] * np.prod(weights[list(rest)]))
                yield text, (even[first], *(even[i] for i in rest)), chance

    def drawn(self, one: One, kept: Text | None, place: int, masked: bool) -> Iterator[tuple[One, float]]:
        if one.ended or one.weight == -math.inf:
            yield one, 1.0
            return
        law, total = self.law(one.text, masked)
        look = self.look(one.text, masked)
        for v, p in law.items():
            if kept is not None and v != (*kept, END)[place]:
                continue
            gain = (0.0 if v == END else math.log(total)) - math.log(look)
            weight, target = one.weight + gain, one.target + gain + math.log(p)
            chance = 1.0 if kept is not None else p
            if v == END:
                dead = self.energy[one.text] == math.inf
                yield One(one.text, True, -math.inf if dead else weight, target), chance
            else:
                text = (*one.text, v)
                dead = not masked and not any(one[: len(text)] == text for one in self.toy.language.language)
                yield One(text, False, -math.inf if dead else weight, target), chance


def masked_toy(
    alphabet: str,
    max_length: int,
    seed: int,
    scale: float = SCALE,
    start: str = "",
    *,
    forbidden: float = 0.15,
    temperature: float = 0.8,
) -> tuple[MaskedToy, TableCausalLM]:
    vocabulary = letters(alphabet)
    model = TableCausalLM.random(vocabulary, seed, scale=scale)
    law = LeftLaw(model.table.numpy(), model.by_place.numpy(), (), 1.0, max_length)
    unused: Any = None
    return MaskedToy(unused, law, vocabulary, start, temperature, forbidden), model


TOY, MODEL = masked_toy("ab", 2, 3, 1.0)


def case(toy: MaskedToy, model: TableCausalLM, particles: int, free: float, ess: float, **settings: Any) -> Case:
    assert isinstance(toy.law, LeftLaw)
    sampler = ParticleGibbs(model, particles=particles, max_length=toy.law.max_length, free=free, ess=ess, **settings)
    return Case(toy, sampler, lambda: Reference(toy, particles, free, ess, **settings).matrix(), reversible=False)


CASE = case(TOY, MODEL, 3, 0.4, 1.0)
VARIANTS: dict[str, Case] = {
    "two, resampled now and then": case(TOY, MODEL, 2, 0.3, 0.7),
    "no ancestors": case(TOY, MODEL, 3, 0.3, 0.9, ancestors=False),
    "never resampled": case(TOY, MODEL, 3, 0.3, 0.0),
    "the square": case(TOY, MODEL, 2, 0.3, 1.0, power=2.0),
    "no mask": case(TOY, MODEL, 2, 1.0, 1.0),
    "frozen": case(*masked_toy("ab", 3, 3, start="!b", temperature=1.3), 2, 0.4, 1.0),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_variants_move_with_the_reference_s_probabilities(variant: Case) -> None:
    assert balance(variant).invariance < 1e-10
    figures = deviation(variant)
    assert figures.excess < 0
    assert figures.impossible == 0
    assert same_chains(variant) == []


@dataclass(frozen=True, eq=False)
class Broken:
    """The engine's sampler with one of its parts replaced."""

    honest: Sampler[Any]
    part: str
    replacement: Callable[..., Any]
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.honest.kinds

    def init(self, objective: Objective, batch: Batch) -> Any:
        return self.honest.init(objective, batch)

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        with patch.object(_Sweep, self.part, self.replacement):
            return self.honest.step(objective, state, rng, temperature)


_WEIGHED, _RESAMPLED, _FINAL, _JOINED = _Sweep._weighed, _Sweep._resampled, _Sweep._final, _Sweep._joined


def future_left_out(sweep: Any, particles: Any, *others: Any) -> Any:
    """Ancestors by their own weights, whatever the kept text goes on with."""
    log_joined, energies, tokens = _JOINED(sweep, particles, *others)
    own = particles.log_weights.view_as(log_joined)
    return own.where(log_joined > -math.inf, -math.inf), energies, tokens


def target_left_out(sweep: Any, particles: Any, *others: Any) -> Any:
    """Ancestors by the energies of the joined texts alone."""
    log_joined, energies, tokens = _JOINED(sweep, particles, *others)
    return log_joined - (particles.log_weights - particles.log_targets).view_as(log_joined), energies, tokens


def normaliser_left_out(sweep: Any, particles: Any) -> Any:
    """Drawn under the mask, weighed as though there were none."""
    after, laws = _WEIGHED(sweep, particles)
    plain = particles.log_weights.where(after.log_weights > -math.inf, -math.inf)
    ones = torch.zeros_like(laws.log_totals)
    return replace(after, log_weights=plain), replace(laws, log_totals=ones, log_looks=ones)


def weights_kept(sweep: Any, particles: Any, *others: Any) -> Any:
    """Texts were drawn by their weights, and have them still."""
    after = _RESAMPLED(sweep, particles, *others)
    return replace(after, log_weights=particles.log_weights)


def end_left_out(sweep: Any, particles: Any) -> Any:
    """What is not known from the left counts for nothing, unless it forbids."""
    final = _FINAL(sweep, particles)
    return particles.log_weights.where(final > -math.inf, -math.inf)


def nothing_kept(sweep: Any) -> Any:
    """All texts are drawn: the current one is lost."""
    return torch.zeros_like(sweep.masked)


FAULTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "the future left out of the ancestor's weight": ("_joined", future_left_out),
    "the past left out of the ancestor's weight": ("_joined", target_left_out),
    "the mask's normaliser left out": ("_weighed", normaliser_left_out),
    "weights kept after resampling": ("_resampled", weights_kept),
    "the rest of the energy left out": ("_final", end_left_out),
    "the current text lost": ("conditional", property(nothing_kept)),  # type: ignore[dict-item]
}
RARE = (
    "the past left out of the ancestor's weight",
    "weights kept after resampling",
    "the rest of the energy left out",
)
TWINS = {what: Broken(CASE.sampler, *fault) for what, fault in FAULTS.items()}
CASE = replace(CASE, twins={what: twin for what, twin in TWINS.items() if what not in RARE}, steps=2)


@pytest.mark.reliability
@pytest.mark.parametrize("what", RARE)
def test_broken_twin_is_caught(what: str) -> None:
    assert fault_p_value(CASE.space, TWINS[what], steps=3) < FAULT


def test_starts_that_are_no_texts_give_way_and_texts_of_others_are_kept() -> None:
    model = TableCausalLM.random(letters("ab"), seed=0)
    choices = Choices(["ab", "ba", "bb"])
    sampler = ParticleGibbs(model, particles=6, max_length=3)
    result = generate(choices, sampler, ["aa", "", "__"], steps=6, seed=0, chains=4)
    assert set(result.texts) <= set(choices.choices[0])
    # over the limit, or with a closed end: what another sampler wrote stays
    batch = model.vocabulary.encode(["abab", "ab", "ba"])
    batch = batch.frozen(batch.tokens == 2).closing(
        torch.tensor([[False] * 5, [False, False, True, False, False], [False] * 5])
    )
    flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    state = ChainState(batch, evaluate(flat, batch))
    after, info = sampler.step(flat, state, Rng.start(0, 3))
    assert after.batch.texts()[:2] == ["abab", "ab"]
    assert info.log_ratio[:2].tolist() == [-math.inf] * 2
    assert info.recorded["effective sample size"][:2].tolist() == [0.0, 0.0]
    # nothing is possible: the text stays
    never = FunctionObjective(lambda texts: [math.inf] * len(texts), name="never")
    start = sampler.init(never, model.vocabulary.encode(["ab"]))
    after, info = sampler.step(never, start, Rng.start(0, 1))
    assert (after.batch.texts(), info.accepted.tolist()) == (["ab"], [False])
    assert len(sampler.step(flat, sampler.init(flat, batch.rows([])), Rng.start(0, 0))[0].batch) == 0


def test_a_mask_hides_no_text() -> None:
    """The mask forbids the likeliest text of all; sweeps without it reach it, and nothing else does."""
    model = TableCausalLM.random(letters("ab"), seed=0)
    language = Hinted(frozenset({(1,), (2,), (1, 2)}), 3, hidden=frozenset({((1,), 2)}))
    likes = FunctionObjective(lambda texts: [-4.0 * (text == "ab") for text in texts], name="likes")
    seen = {}
    for free in (0.0, 0.2):
        sampler = ParticleGibbs(model, particles=4, max_length=2, free=free)
        result = generate(language + likes, sampler, ["a"], steps=40, seed=0, chains=8, thin=1)
        seen[free] = {text for texts in result.samples for text in texts}
    assert seen == {0.0: {"a", "b"}, 0.2: {"a", "b", "ab"}}


def test_a_sweep_reads_what_it_writes() -> None:
    """Ancestors cost more, but joined texts that the hard terms forbid are not read."""
    read: dict[bool, int] = {}
    for ancestors in (False, True):
        model = TableCausalLM.random(letters("abc"), seed=0)
        scored: list[str] = []
        sampler = ParticleGibbs(model, particles=5, max_length=4, ess=1.0, ancestors=ancestors)
        choices = Choices(["abc", "abb", "cab", "ca", "bcab"])

        @dataclass(frozen=True, eq=False)
        class Read(Objective):
            texts: list[str]

            @property
            def cost(self) -> Cost:
                return Cost.MODEL

            def energy(self, batch: Batch) -> Tensor:
                self.texts.extend(batch.texts())
                return torch.zeros(len(batch), dtype=torch.float64)

        generate(choices + Read(scored), sampler, ["abc"], steps=30, seed=0, chains=2)
        assert set(scored) <= set(choices.choices[0])
        read[ancestors] = len(scored)
    assert read[True] > read[False]


def test_check_names_value_and_remedy() -> None:
    model: Any = TableCausalLM.random(letters("ab"), seed=0)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"particles": 1}, "particles=1 must be at least 2: the current text and another one"),
        ({"power": 0.0}, "power=0.0 must be a positive number, the weight of the language model in the energy"),
        ({"free": 1.5}, r"free=1.5 must be a share of the sweeps, from 0 \(the mask is known to be right\) to 1"),
        ({"ess": -0.1}, "ess=-0.1 must be a share of the particles"),
        ({"max_length": 0}, "max_length=0 must be at least 1"),
    ]
    for arguments, complaint in bad:
        with pytest.raises(ValueError, match=complaint):
            ParticleGibbs(model, **arguments)
    with pytest.raises(TypeError, match="lm='gpt2' is a string, not a model that tells the next token: load it"):
        ParticleGibbs("gpt2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a text of 3 tokens is over max_length=2: 'aba'"):
        ParticleGibbs(model, max_length=2).check(model.vocabulary.encode(["ab", "aba"]))
    with pytest.raises(ValueError, match="prompt has 2 values, but there are 3 inputs"):
        ParticleGibbs(model, ["a", ""]).check(model.vocabulary.encode(["ab", "aba", "b"]))
