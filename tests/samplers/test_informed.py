"""Informed proposals against enumerated paths, under a model that sees what stands at a site, and broken twins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import MetropolisHastings
from samplers.proposals import (
    AllSites,
    LocallyBalanced,
    MetropolisedGibbs,
    Mixture,
    PathAuxiliary,
    Replace,
    barker,
    square_root,
)
from samplers.proposals import informed as informed_module
from samplers.proposals.informed import changeable
from samplers.proposals.sites import sites
from tests import reference
from tests.reference import Path
from tests.samplers.informed_toys import TOYS, MaskFree, SeeingMaskedLM
from tests.samplers.informed_twins import PlainAllSites, PlainGibbs, PlainPath, from_left_to_right, same_order
from tests.samplers.laws import FAULT, fault_p_value, p_value
from tests.samplers.toys import Toy
from textsearch.batch import Batch
from textsearch.objective import FunctionObjective
from textsearch.proposal import Proposal
from textsearch.rng import Rng
from textsearch.testing import LetterVocabulary, letters

RUNS = 4096

every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())


@every_toy
def test_reference_leaves_the_target_as_it_is(toy: Toy) -> None:
    chain, target = toy.chain, toy.target
    np.testing.assert_allclose(chain.proposal.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(chain.matrix.sum(1), 1, atol=1e-12)
    flow = target[:, None] * chain.matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    assert np.abs(target @ chain.matrix - target).max() < 1e-10
    assert (chain.matrix.diagonal()[target > 0] < 1).all()


@every_toy
def test_kernel_moves_with_the_reference_s_probabilities(toy: Toy) -> None:
    here = [number for number, energy in enumerate(toy.energies) if energy < math.inf]
    sampler = MetropolisHastings(toy.proposal)
    with torch.inference_mode():
        batch = toy.batch(here).repeat(RUNS)
        state = sampler.init(toy.objective, batch)
        after, _ = sampler.step(toy.objective, state, Rng.start(11, len(batch)), toy.temperature)
    reached = toy.number(after.batch)
    assert reached.min() >= 0
    counts = np.zeros((len(here), len(toy.states)))
    np.add.at(counts, (np.repeat(np.arange(len(here)), RUNS), reached), 1)
    expected = toy.chain.matrix[here]
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / RUNS)
    assert (np.abs(counts / RUNS - expected) < 7 * error + 0.003).all()
    assert not counts[expected == 0].any()


@every_toy
def test_log_q_is_that_of_a_path_and_of_its_reverse(toy: Toy) -> None:
    going = [{path.key: path for path in toy.law.paths(state, ())} for state in toy.states]
    number = {state: i for i, state in enumerate(toy.states)}
    pairs: dict[tuple[int, int], list[tuple[Path, Path]]] = {}
    for i, paths in enumerate(going):
        for path in paths.values():
            j = number[path.target]
            assert path.back is not None
            pairs.setdefault((i, j), []).append((path, going[j][path.back]))
    batch = toy.batch(range(len(toy.states))).repeat(16)
    move = toy.proposal.propose(batch, Rng.start(5, len(batch)))
    assert move.log_forward.dtype == move.log_backward.dtype == torch.float64
    ends = zip(toy.number(batch).tolist(), toy.number(move.batch).tolist(), strict=True)
    costs = zip(move.log_forward.tolist(), move.log_backward.tolist(), strict=True)
    for (i, j), (forward, backward) in zip(ends, costs, strict=True):
        errors = [
            abs(forward - math.log(path.probability)) + abs(backward - math.log(back.probability))
            for path, back in pairs[i, j]
        ]
        assert min(errors) < 1e-9


@every_toy
def test_chains_stay_on_the_target(toy: Toy) -> None:
    assert p_value(toy, MetropolisHastings(toy.proposal), steps=2) > 1e-4


@every_toy
def test_frozen_tokens_stay(toy: Toy) -> None:
    batch = toy.batch(range(len(toy.states))).repeat(30)
    kept = batch.tokens.clone(), batch.editable.clone()
    move = toy.proposal.propose(batch, Rng.start(1, len(batch)))
    assert (batch.tokens.equal(kept[0]), batch.editable.equal(kept[1])) == (True, True)
    assert move.batch.editable.equal(batch.editable)
    assert move.batch.lengths.equal(batch.lengths)
    assert not (move.batch.tokens != batch.tokens)[~changeable(batch)].any()
    assert (move.batch.tokens != batch.tokens)[changeable(batch)].any()
    assert changeable(move.batch).equal(changeable(batch))


VOCABULARY = letters("abcDEF")
MODEL = SeeingMaskedLM.random(VOCABULARY, seed=0)
PROPOSALS: dict[str, Proposal] = {
    "balanced": LocallyBalanced(MODEL, square_root, 0.7),
    "path": PathAuxiliary(MODEL, 3),
    "all sites": AllSites(MODEL, 1.5),
    "metropolised gibbs": MetropolisedGibbs(MaskFree(MODEL.blind)),
    "metropolised gibbs, masked": MetropolisedGibbs(MODEL, 0.5),
    "mixture": Mixture({LocallyBalanced(MODEL): 1.0, PathAuxiliary(MODEL, 2): 2.0, Replace(MODEL): 1.0}),
}
every_proposal = pytest.mark.parametrize("proposal", PROPOSALS.values(), ids=PROPOSALS.keys())


@every_proposal
def test_chains_do_not_depend_on_the_rest_of_the_batch(proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = FunctionObjective(lambda texts: [math.inf if "cc" in t else 0.7 * t.count("a") for t in texts], name="few")
    batch = VOCABULARY.encode(["abc", "", "aDb", "cbaEDc", "b", "aDEaDE", "ab", "bacbacFF"]).repeat(4)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 1] = True
    batch = batch.frozen(frozen)
    rng = Rng.start(21, len(batch))
    sampler = MetropolisHastings(proposal)

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[float]]:
        state = sampler.init(fewer, batch.rows(rows).widen(width))
        for step in range(3):
            state, info = sampler.step(fewer, state, rng.rows(rows).at(step), 1.3)
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.log_ratio.tolist()

    whole = run(list(range(32)))
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([0], [5], [11], [30], list(range(9, 23)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(32)), width=13) == whole
    # a few rows at a time
    monkeypatch.setattr(informed_module, "ENTRIES", 60)
    assert run(list(range(32))) == whole


@every_proposal
def test_each_row_may_have_its_own_temperature(proposal: Proposal) -> None:
    sampler = MetropolisHastings(proposal)
    few = FunctionObjective(lambda texts: [text.count("a") for text in texts], name="few")
    rng = Rng.start(4, 64)
    before = sampler.init(few, VOCABULARY.encode(["abcDa"]).repeat(64))
    ladder = torch.tensor([0.2, 5.0], dtype=torch.float64).repeat(32)
    both, _ = sampler.step(few, before, rng, ladder)
    for start, temperature in ((0, 0.2), (1, 5.0)):
        alone, _ = sampler.step(few, before, rng, temperature)
        assert alone.batch.token_lists()[start::2] == both.batch.token_lists()[start::2]


@pytest.mark.parametrize("proposal", list(PROPOSALS.values())[:5], ids=list(PROPOSALS)[:5])
def test_rows_without_sites_are_null(proposal: Proposal) -> None:
    batch = VOCABULARY.encode(["", "ab", "aDb", "__"])
    # the second is frozen, the third by one piece and a word of its own, the fourth holds masks, which nothing writes
    batch = batch.frozen(torch.tensor([[False] * 3, [True] * 3, [False, True, True], [False] * 3]))
    for rows in ([0, 1, 2, 3], [0]):
        move = proposal.propose(batch.rows(rows), Rng.start(0, len(rows)))
        assert move.batch.token_lists() == batch.rows(rows).token_lists()
        assert move.log_forward.tolist() == [0.0] * len(rows)
        assert move.log_backward.tolist() == [-math.inf] * len(rows)
        proposal.check(batch.rows(rows))
    assert len(proposal.propose(batch.rows([]), Rng.start(0, 0)).batch) == 0


@pytest.mark.parametrize("proposal", list(PROPOSALS.values())[:3], ids=list(PROPOSALS)[:3])
def test_a_row_is_read_once_at_each_end(proposal: Proposal) -> None:
    batch = VOCABULARY.encode(["abcab", "aDEb", ""])
    usage = MODEL.blind.usage
    passes, rows = usage.passes, usage.rows
    proposal.propose(batch, Rng.start(0, 3))
    assert (usage.passes - passes, usage.rows - rows) == (2, 4)


def test_metropolised_gibbs_reads_what_the_pseudo_likelihood_of_both_texts_reads() -> None:
    """And the site that is changed; each site masked where the model needs it."""
    batch = VOCABULARY.encode(["abcab", "aDEb", ""])
    usage = MODEL.blind.usage
    for model, rows in ((MaskFree(MODEL.blind), 2 + 2 + 2), (MODEL.blind, 9 + 2 + 9)):
        passes, before = usage.passes, usage.rows
        MetropolisedGibbs(model).propose(batch, Rng.start(0, 3))
        assert (usage.passes - passes, usage.rows - before) == (3, rows)


def test_sites_of_doubt_are_drawn_more_often() -> None:
    batch = VOCABULARY.encode(["abc"]).repeat(4000)
    model = MaskFree(MODEL.blind)
    likely = torch.stack([model.log_probs(batch.rows([0]), torch.tensor([0]), torch.tensor([i]))[0] for i in range(3)])
    doubt = 1 - likely.exp().gather(1, batch.tokens[0][:, None])[:, 0]
    for power in (0.0, 1.0, 3.0):
        move = MetropolisedGibbs(model, power).propose(batch, Rng.start(3, len(batch)))
        changed = move.batch.tokens != batch.tokens
        assert bool((changed.sum(1) == 1).all())
        expected = (doubt**power / (doubt**power).sum()).float()
        torch.testing.assert_close(changed.float().mean(0), expected, atol=0.03, rtol=0)


def test_a_path_of_one_is_locally_balanced() -> None:
    batch = VOCABULARY.encode(["abc", "", "aDb", "cbaEDc"]).repeat(50)
    one, other = LocallyBalanced(MODEL, square_root, 0.7), PathAuxiliary(MODEL, 1, square_root, 0.7)
    mine, theirs = (proposal.propose(batch, Rng.start(2, 200)) for proposal in (one, other))
    assert mine.batch.tokens.equal(theirs.batch.tokens)
    assert mine.log_forward.equal(theirs.log_forward)
    assert mine.log_backward.equal(theirs.log_backward)


def test_all_sites_but_with_tiny_steps_nothing_changes() -> None:
    batch = VOCABULARY.encode(["abcab"]).repeat(200)
    changes = [
        (AllSites(MODEL, size).propose(batch, Rng.start(0, 200)).batch.tokens != batch.tokens).sum().item()
        for size in (0.02, 0.3, 1.0, 100.0)
    ]
    assert changes[0] == 0
    assert changes == sorted(set(changes))


def test_what_can_change() -> None:
    batch = VOCABULARY.encode(["abcab", "aDEb", "_", "DaE"])
    frozen = torch.zeros_like(batch.editable)
    frozen[1, 1] = True
    batch = batch.frozen(frozen)
    assert changeable(batch)[[0, 1, 3]].equal(sites(batch)[[0, 1, 3]])
    # a mask is a site to fill, but no token to come back to
    assert sites(batch)[2].any()
    assert not changeable(batch)[2].any()
    alone = letters("abC").encode(["aCb"])
    assert changeable(alone).tolist() == [[True, False, True]]


def test_a_token_that_the_model_holds_for_impossible_can_go_and_come() -> None:
    @dataclass(frozen=True, eq=False)
    class Sure:
        """Holds "a" for certain, everywhere."""

        vocabulary: LetterVocabulary

        def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
            return torch.tensor([-math.inf, 0.0, -math.inf, -math.inf]).expand(len(rows), -1)

    model = Sure(letters("abc"))
    batch = model.vocabulary.encode(["aa", "ba", "cb"]).repeat(50)
    for proposal in (
        LocallyBalanced(model),
        PathAuxiliary(model, 2, square_root),
        AllSites(model, 1.0),
        MetropolisedGibbs(model),
    ):
        move = proposal.propose(batch, Rng.start(0, 150))
        assert move.log_forward.isfinite().all()
        assert move.log_backward.isfinite().all()


def test_balances_are_balanced() -> None:
    log_ratio = torch.linspace(-50, 50, 101, dtype=torch.float64)
    for balance in (barker, square_root):
        np.testing.assert_allclose(balance(log_ratio), log_ratio + balance(-log_ratio), atol=1e-12)
        assert balance(torch.tensor([-math.inf])).item() == -math.inf


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LocallyBalanced(MODEL, power=0.0), r"power=0.0 must be a positive number"),
        (lambda: PathAuxiliary(MODEL, 2, power=math.inf), "power=inf"),
        (lambda: PathAuxiliary(MODEL, 0), "sites=0 must be at least 1"),
        (lambda: AllSites(MODEL, -1.0), "step_size=-1.0 must be a positive number"),
        (lambda: AllSites(MODEL, math.nan), "step_size=nan"),
        (lambda: AllSites(MODEL, 1.0, power=-2.0), "power=-2.0"),
        (lambda: MetropolisedGibbs(MODEL, -1.0), "power=-1.0 must be a finite number of at least 0"),
        (lambda: MetropolisedGibbs(MODEL, math.inf), "power=inf"),
    ],
)
def test_constructors_name_value_and_remedy(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_kinds_are_named() -> None:
    kinds = [proposal.kinds for proposal in PROPOSALS.values()]
    assert kinds == [
        ("locally balanced",),
        ("path of 3",),
        ("all sites",),
        ("metropolised gibbs",),
        ("metropolised gibbs",),
        ("locally balanced", "path of 2", "replace"),
    ]


def test_what_stands_at_a_site_sways_its_conditional() -> None:
    """Else the ratios at x and at y could be read off one pass, and the twins that do so would be honest."""
    here, there = VOCABULARY.encode(["abc"]), VOCABULARY.encode(["acc"])
    at = torch.tensor([0]), torch.tensor([1])
    assert (MODEL.log_probs(here, *at) - MODEL.log_probs(there, *at)).abs().max() > 0.5
    assert MODEL.blind.log_probs(here, *at).equal(MODEL.blind.log_probs(there, *at))


BALANCED, PATH, ALL = TOYS["balanced, barker"], TOYS["path of two"], TOYS["all sites"]
GIBBS = TOYS["metropolised gibbs"]
SEEING = SeeingMaskedLM.random(letters("abc"), seed=6)

TWINS: dict[str, tuple[Toy, Proposal]] = {
    "balanced, Z left out": (BALANCED, PlainPath(SEEING, 1, totals=False)),
    "balanced, square root, Z left out": (BALANCED, PlainPath(SEEING, 1, square_root, totals=False)),
    "balanced, way back read at x": (BALANCED, PlainPath(SEEING, 1, at_y=False)),
    "path, Z left out": (PATH, PlainPath(SEEING, 2, totals=False)),
    "path, way back read at x": (PATH, PlainPath(SEEING, 2, at_y=False)),
    "path, way back from left to right": (PATH, PlainPath(SEEING, 2, square_root, back=from_left_to_right)),
    "all sites, Z left out": (ALL, PlainAllSites(SEEING, 1.0, totals=False)),
    "all sites, way back read at x": (ALL, PlainAllSites(SEEING, 1.0, at_y=False)),
    "metropolised gibbs, Z left out": (GIBBS, PlainGibbs(SEEING.blind, totals=False)),
    "metropolised gibbs, way back read at x": (GIBBS, PlainGibbs(SEEING.blind, at_y=False)),
}


@pytest.mark.parametrize(("toy", "broken"), TWINS.values(), ids=TWINS.keys())
def test_broken_twin_is_caught(toy: Toy, broken: Proposal) -> None:
    assert fault_p_value(toy, MetropolisHastings(broken), steps=4) < FAULT


@pytest.mark.parametrize(
    ("toy", "honest"),
    [
        (BALANCED, PlainPath(SEEING, 1)),
        (BALANCED, PlainPath(SEEING, 1, square_root)),
        (PATH, PlainPath(SEEING, 2)),
        (PATH, PlainPath(SEEING, 2, square_root)),
        (ALL, PlainAllSites(SEEING, 1.0)),
        (GIBBS, PlainGibbs(SEEING.blind)),
    ],
)
def test_honest_twin_passes(toy: Toy, honest: Proposal) -> None:
    assert p_value(toy, MetropolisHastings(honest), steps=4) > 1e-4


def test_the_same_order_on_the_way_back_would_do() -> None:
    """With all ratios taken at the ends any order will do that pairs each path with one that is paired with it."""
    assert p_value(PATH, MetropolisHastings(PlainPath(SEEING, 2, back=same_order)), steps=4) > 1e-4


def test_plain_twins_follow_the_laws_of_the_engine_s() -> None:
    """So that a twin differs from the engine by its one fault."""
    for toy, plain in ((BALANCED, PlainPath(SEEING, 1)), (PATH, PlainPath(SEEING, 2)), (ALL, PlainAllSites(SEEING, 1))):
        assert isinstance(toy.proposal, LocallyBalanced | PathAuxiliary | AllSites)
        assert isinstance(toy.proposal.mlm, SeeingMaskedLM)
        assert toy.proposal.mlm.own.equal(SEEING.own)
        assert toy.proposal.mlm.blind.table.equal(SEEING.blind.table)
        batch = toy.batch([7]).repeat(20_000)
        counts = np.bincount(toy.number(plain.propose(batch, Rng.start(1, 20_000)).batch), minlength=len(toy.states))
        expected = toy.chain.proposal[7]
        error = np.sqrt(expected * (1 - expected) / 20_000)
        assert (np.abs(counts / 20_000 - expected) < 6 * error + 1e-9).all()


def test_the_reference_counts_paths_rightly() -> None:
    state = PATH.states[0]
    assert len(list(PATH.law.paths(state, ()))) == 3 * 2 * 2**2
    assert len(list(BALANCED.law.paths(state, ()))) == 3 * 2
    assert len(list(ALL.law.paths(state, ()))) == 3**3
    assert len(list(GIBBS.law.paths(state, ()))) == 3 * 2
    assert reference.orders(PATH.law) == [()]
