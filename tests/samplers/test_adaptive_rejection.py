"""Adaptive rejection: exact draws whatever was explored, by whom, and in which order; log Z and its bound."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from objectives import Fluency, Grammar, Pattern
from objectives.language import LanguageObjective
from objectives.reading import Reading
from samplers import (
    AdaptiveRejection,
    MetropolisHastings,
    accepted_texts,
    adaptive_rejection,
    exploring,
    log_normaliser_bounded,
    trie_walks,
)
from samplers.proposals import SuffixResampling
from samplers.tries import Node
from tests.hinted import Hinted, Row, rows_of
from tests.reference import Floats
from tests.samplers.laws import Case
from tests.samplers.test_masked_suffix import LANGUAGE, NARROW, RIGHT, WIDE, A, B, LanguageToy, masked_toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info
from textsearch.testing import ByteVocabulary, TableCausalLM, every_row, letters


@dataclass(frozen=True, eq=False)
class Proven(LanguageToy):
    """The language model and a soft term on a language that is a term of its own, with masks and proofs."""

    power: float = 1.0

    @cached_property
    def energies(self) -> Floats:
        law: Any = self.law
        soft = np.random.default_rng(5).uniform(0, 1.5, len(self.states))
        log_p = np.array([math.log(law.probability(state.tokens, 0, 1.0)) for state in self.states])
        inside = np.array([state.tokens in law.constraint.language for state in self.states])
        return np.asarray(np.where(inside, self.temperature * (soft - self.power * log_p), math.inf), dtype=np.float64)

    @cached_property
    def objective(self) -> Objective:
        law: Any = self.law
        constraint: Hinted = law.constraint
        return self.table(self.energies) + constraint


def toy(constraint: Hinted, power: float = 1.0, **settings: Any) -> tuple[Proven, AdaptiveRejection]:
    plain = masked_toy(constraint, "a", 3, prompt="ab")
    lm: Any = plain.proposal.lm  # type: ignore[attr-defined]
    proven = Proven(plain.proposal, plain.law, plain.vocabulary, "a", plain.temperature, power=power)
    return proven, AdaptiveRejection(lm, "ab", 3, power=power, **settings)


def independent(space: Proven) -> Floats:
    """Each step is a draw from the target; so many failures in a row do not happen."""
    return np.repeat(space.target[None], len(space.target), 0)


@dataclass(frozen=True, eq=False)
class Broken:
    """The sampler with one of its functions replaced."""

    honest: AdaptiveRejection
    owner: type
    name: str
    fault: Callable[..., Any]
    guarantee: Guarantee = Guarantee.EXACT

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.honest.kinds

    def init(self, objective: Objective, batch: Any) -> Any:
        return self.honest.init(objective, batch)

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        with patch.object(self.owner, self.name, self.fault):
            return self.honest.step(objective, state, rng, temperature)


def among_what_is_left(self: Node, uniform: float) -> tuple[int, float]:
    """The mass that is taken off is shared out at each node, and q is taken for what it was."""
    return int(np.searchsorted(self.cumulative, uniform * self.cumulative[-1], side="right")), 0.0


def taken_whatever_it_weighs(self: AdaptiveRejection, walk: Any, heat: float) -> float:
    return 0.0 if walk.complete and walk.nodes[-1].energy < math.inf else -math.inf


def dead_by_mistake(self: Hinted, beginnings: Beginnings) -> Tensor:
    """A proof that is none: of "ba", which "ba", "bab..." begin with."""
    return torch.tensor([tuple(row[:2]) == (B, A) for row in beginnings.rows])


# two beginnings leave much to what is not known, so that the twins can fail
SPACE, SAMPLER = toy(NARROW, explore=2)
CASE = Case(
    SPACE,
    SAMPLER,
    lambda: independent(SPACE),
    {
        "mass shared out at each node": Broken(replace(SAMPLER), Node, "pick", among_what_is_left),
        "taken whatever it weighs": Broken(replace(SAMPLER), AdaptiveRejection, "_log_ratio", taken_whatever_it_weighs),
        "a proof that is none": Broken(replace(SAMPLER), Hinted, "impossible", dead_by_mistake),
    },
    steps=1,
    heats=(1.0, 1.0),  # at other temperatures the bound would not hold
)
BARE_SPACE, BARE_SAMPLER = toy(replace(RIGHT, proves=False), power=1.5, explore=8)
BARE = Case(BARE_SPACE, BARE_SAMPLER, lambda: independent(BARE_SPACE), steps=1, heats=(1.0, 1.0))


def living_left_out(self: Hinted, before: Row, token: int) -> bool:
    """Tokens called dead that are not: "b" after "a", which "ab", "ab..." begin with."""
    return leads(self, before, token) and (before, token) != ((A,), B)


leads = Hinted.leads
ROWS_SPACE, ROWS_SAMPLER = toy(replace(WIDE, in_rows=True), power=1.5, explore=4)
ROWS = Case(
    ROWS_SPACE,
    ROWS_SAMPLER,
    lambda: independent(ROWS_SPACE),
    {"a living token is left out": Broken(replace(ROWS_SAMPLER), Hinted, "leads", living_left_out)},
    steps=1,
    heats=(1.0, 1.0),
)
VARIANTS = {"nothing is proven, another power": BARE, "tokens are proven in rows": ROWS}


def model(alphabet: str = "ab", **settings: Any) -> TableCausalLM:
    return TableCausalLM.random(letters(alphabet), seed=7, **settings)


def test_log_z_is_that_of_the_language_and_lies_below_its_bound() -> None:
    lm = model()
    texts = Hinted(LANGUAGE, 3)
    inside = lm.vocabulary.encode(["".join("_ab"[token] for token in row) for row in sorted(LANGUAGE)])
    for power in (1.0, 2.0):
        sampler = AdaptiveRejection(lm, "b", 4, power=power)
        result = generate(power * Fluency(lm, "b") + texts, sampler, [""], steps=300, seed=0, chains=4, thin=1)
        [found] = log_normaliser_bounded(result)
        exact = float((power * lm.score(inside, "b").log_prob).logsumexp(0))
        assert abs(found.estimate.value - exact) < 4 * found.estimate.error < 0.4
        assert exact <= found.bound + 1e-9
        assert found.bound - exact < 1.0
        law = (power * lm.score(inside, "b").log_prob).softmax(0).tolist()
        [drawn] = accepted_texts(result)
        assert len(drawn) == 1200
        for text, share in zip(inside.texts(), law, strict=True):
            assert abs(drawn.count(text) / 1200 - share) < 5 * math.sqrt(share * (1 - share) / 1200)


SPLIT = ByteVocabulary((b"_", b"a", b"b", b"\xc3", b"\xa9", b"\xa9b", b"ab", b"a\xc3"))


def exactness(language: LanguageObjective, seed: int) -> tuple[float, float]:
    """Of 2,000 draws of a language: p of a chi-square test against all texts, and standard errors of log Z."""
    lm = TableCausalLM.random(SPLIT, seed=seed)
    objective, texts = Fluency(lm) + language, every_row(SPLIT, 4)
    log_p = -evaluate(objective, texts).energy
    inside = (log_p > -math.inf).nonzero().squeeze(-1)
    law, names = log_p[inside].softmax(0).numpy(), texts.rows(inside).texts()
    sampler = AdaptiveRejection(lm, max_length=4)
    result = generate(objective, sampler, [""], steps=20, seed=0, chains=100, thin=1)
    [drawn], [found] = accepted_texts(result), log_normaliser_bounded(result)
    counts, expected = np.array([drawn.count(name) for name in names]), law * len(drawn)
    assert counts.sum() == len(drawn) == 2000
    often = expected >= 5
    groups = np.append(counts[often], counts[~often].sum()), np.append(expected[often], expected[~often].sum())
    p = float(stats.chisquare(*groups).pvalue)
    return p, (found.estimate.value - float(log_p.logsumexp(0))) / found.estimate.error


def test_real_languages_and_tokens_that_are_parts_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all texts of up to four tokens; with a broken twin, by which no text goes on within a character."""
    grammar = Grammar('start: (("a" | "b") "é"?)+ | "(" start')
    for language in (Pattern("(?:[ab]é?)+(?<!ab)", full=True), Pattern("b(?!a)", forbid=True), grammar):
        p, errors = exactness(language, seed=4)
        assert p > 1e-3 and abs(errors) < 4
    monkeypatch.setattr(Reading, "_leads_of", lambda self, rest: np.zeros(0, dtype=np.int64))
    p, errors = exactness(Pattern("(?:[ab]é?)+(?<!ab)", full=True), seed=4)
    assert p < 1e-9 and abs(errors) > 5


def test_a_language_that_was_gone_through_runs_no_model() -> None:
    lm, texts = model(), Hinted(LANGUAGE, 3)
    objective, sampler = Fluency(lm) + texts, AdaptiveRejection(lm, max_length=4)
    generate(objective, sampler, [""], steps=400, seed=0)
    laws: list[int] = []

    def counted(self: TableCausalLM, rows: Any, prompts: Any, more: int = 0) -> Any:
        laws.append(len(rows))
        raise AssertionError("all is known")

    with patch.object(TableCausalLM, "log_probs_after", counted):
        again = generate(objective, sampler, [""], steps=50, seed=1, thin=1)
    assert laws == [] and len(accepted_texts(again)[0]) == 50


def test_what_was_learned_changes_no_draw() -> None:
    """By other runs, other chains and other inputs; nor does it matter in which process."""
    lm, texts = model(), Hinted(LANGUAGE, 3)
    objective, prompts = Fluency(lm, ["a", "b"]) + texts, ["a", "b"]

    def draws(sampler: AdaptiveRejection, seed: int, chains: int = 3) -> Any:
        return generate(objective, sampler, ["", ""], steps=30, seed=seed, chains=chains, thin=1).samples

    old = AdaptiveRejection(lm, prompts, 4)
    first = draws(old, 5)
    draws(old, 6, chains=20)
    assert draws(old, 5) == first
    assert draws(AdaptiveRejection(lm, prompts, 4), 5) == first
    assert draws(replace(old), 5) == first
    copy = pickle.loads(pickle.dumps(old))
    assert copy.max_length == 4 and draws(replace(copy, lm=lm), 5) == first
    forgetful = AdaptiveRejection(lm, prompts, 4, max_nodes=1)
    assert draws(forgetful, 5) == first and draws(forgetful, 5) == first


def test_a_language_of_few_tokens_is_drawn_alike_beside_one_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trie_walks, "_FEW", 3)
    lm, languages = TableCausalLM.random(SPLIT, seed=4), ["[ab]{2,4}", "(?:[ab]é?)+"]

    def draws(patterns: list[str]) -> Any:
        objective = Fluency(lm) + Pattern(patterns, full=True)
        sampler = AdaptiveRejection(lm, max_length=4, explore=2)
        result = generate(objective, sampler, [""] * len(patterns), steps=60, seed=5, thin=1)
        return [texts[0] for texts in result.samples]

    assert draws(languages[:1]) == draws(languages)


def test_attempts_side_by_side_are_as_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it matter with how many others a chain is drawn; with a twin, of other numbers."""
    lm = model()
    objective = Fluency(lm) + replace(Hinted(LANGUAGE, 3), proves=False)

    def draws(chains: int, seed: int = 3) -> Any:
        sampler = AdaptiveRejection(lm, max_length=4, explore=1)
        result = generate(objective, sampler, [""], steps=20, seed=seed, chains=chains, thin=1)
        return [texts[:2] for texts in result.samples], result.recorded["attempts"][:, :2].tolist()

    wide = draws(2)
    assert max(map(max, wide[1])) > 2
    assert draws(9) == wide and draws(2, seed=4) != wide
    monkeypatch.setattr(adaptive_rejection, "WIDE", 1)
    assert draws(2) == wide


def test_what_is_explored_whole_refuses_no_draw() -> None:
    """A language of few texts; and what was broken off while it was explored leaves no trace."""
    lm, broken = model(), AdaptiveRejection(model(), max_length=4)
    objective, sampler = Fluency(lm) + Hinted(LANGUAGE, 3, in_rows=True), AdaptiveRejection(lm, max_length=4)
    with patch.object(exploring, "_UNKNOWN", 0.0):
        result = generate(objective, sampler, [""], steps=100, seed=0, chains=3, thin=1)
        assert (result.recorded["attempts"] == 1).all() and result.recorded["accepted"].all()
        [found] = log_normaliser_bounded(result)
        assert found.estimate.value == pytest.approx(found.bound)
        interrupted = [0]

        def stop(self: TableCausalLM, rows: Any, prompts: Any, more: int = 0) -> Any:
            interrupted[0] += 1
            if interrupted[0] == 3:
                raise RuntimeError("broken off")
            return honest(self, rows, prompts, more)

        honest = TableCausalLM.log_probs_after
        with patch.object(TableCausalLM, "log_probs_after", stop), pytest.raises(RuntimeError, match="broken off"):
            generate(objective, broken, [""], steps=1, seed=0)
        again = generate(objective, broken, [""], steps=100, seed=0, chains=3, thin=1)
    assert again.samples == result.samples


def test_threads_may_share_it() -> None:
    lm = model()
    objective, sampler = Fluency(lm) + Hinted(LANGUAGE, 3), AdaptiveRejection(lm, max_length=4)
    found: dict[int, Any] = {}

    def run(seed: int) -> None:
        found[seed] = generate(objective, sampler, [""], steps=20, seed=seed, thin=1).samples

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = AdaptiveRejection(lm, max_length=4)
    for seed in range(6):
        assert found[seed] == generate(objective, fresh, [""], steps=20, seed=seed, thin=1).samples


def test_tokens_that_a_node_does_not_hold_one_by_one() -> None:
    """Of a hundred letters most are in the lump; what is forbidden there, too, is learned."""
    alphabet = "".join(chr(0x100 + number) for number in range(100))
    lm = TableCausalLM.random(letters(alphabet), seed=1, scale=0.3)
    few = rows_of(101, 1, lambda row: row == () or row[0] % 3 == 0)
    objective = Fluency(lm) + Hinted(few, 101)
    sampler = AdaptiveRejection(lm, max_length=2)
    result = generate(objective, sampler, [""], steps=100, seed=0, chains=20, thin=1)
    [drawn] = accepted_texts(result)
    inside = lm.vocabulary.encode(["", *(alphabet[row[0] - 1] for row in few if row)])
    log_p = lm.score(inside).log_prob
    counts = torch.tensor([drawn.count(text) for text in inside.texts()], dtype=torch.float64)
    expected = log_p.softmax(0) * len(drawn)
    assert float(((counts - expected).square() / expected).sum()) < len(few) + 5 * math.sqrt(2 * len(few))
    [found] = log_normaliser_bounded(result)
    assert abs(found.estimate.value - float(log_p.logsumexp(0))) < 4 * found.estimate.error


def test_a_step_that_finds_nothing_says_so_and_keeps_the_text() -> None:
    lm = model()
    rare = FunctionObjective(lambda texts: [0.0 if text == "aaaa" else math.inf for text in texts], name="rare")
    sampler = AdaptiveRejection(lm, max_length=4, explore=1, max_attempts=8)
    result = generate(Fluency(lm) + rare, sampler, ["aaaa"], steps=60, seed=0, chains=4, thin=1)
    assert {text for texts in result.samples for text in texts} == {"aaaa"}
    taken = result.recorded["accepted"]
    assert 0 < taken.mean() < 1
    assert (result.recorded["attempts"][~taken] == 8).all()


def test_errors_name_value_and_remedy() -> None:
    lm = model()
    with pytest.raises(ValueError, match=r"power=0.5 must be a number of at least 1"):
        AdaptiveRejection(lm, power=0.5)
    wrong: Any = "model"
    with pytest.raises(TypeError, match=r"lm='model' is a string, not a model that tells the next token"):
        AdaptiveRejection(wrong)
    sampler = AdaptiveRejection(lm, max_length=3)
    batch = lm.vocabulary.encode(["ab"])
    with pytest.raises(ValueError, match=r"row 0, 'ab', has frozen tokens, and AdaptiveRejection writes whole texts"):
        sampler.check(batch.frozen(torch.tensor([[True, False]])))
    with pytest.raises(ValueError, match=r"a text of 4 tokens is over max_length=3"):
        sampler.init(Fluency(lm), lm.vocabulary.encode(["abab"]))
    good = FunctionObjective(lambda texts: [-5.0 for _ in texts], name="good")
    with pytest.raises(ValueError, match=r"log_bound=0.0 is too low: the text of tokens .* needs at least"):
        generate(Fluency(lm) + good, sampler, [""], steps=3, seed=0)
    with pytest.raises(ValueError, match=r"recorded no attempts: they come from AdaptiveRejection"):
        moves = MetropolisHastings(SuffixResampling(lm, max_length=3))
        log_normaliser_bounded(generate(Fluency(lm), moves, [""], steps=1, seed=0))
