"""Rows keep their input through every kernel: a model, or an energy, that goes by it is asked about no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from samplers import (
    AnnealedSMC,
    Cycle,
    DelayedAcceptance,
    Gibbs,
    IteratedResampling,
    MaskedResampling,
    MetropolisHastings,
    Mixture,
    MultipleTry,
    ParallelTempering,
    Restarts,
    RestartsWhenStuck,
)
from samplers.proposals import (
    AllSites,
    BlockInfill,
    Clusters,
    Copy,
    Corrections,
    Fill,
    InsertDelete,
    LocallyBalanced,
    MetropolisedGibbs,
    PathAuxiliary,
    Replace,
    Uniform,
)
from samplers.starts.fill import fill_masks
from textsearch.batch import Batch, Vocabulary
from textsearch.language.confusions import ListedConfusions
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.testing import TableMaskedLM, letters

VOCABULARY = letters("abcD")
INPUTS = (7, 3)
"""Neither is the number of a row."""


@dataclass(frozen=True, eq=False)
class ByInput:
    """A masked model that is another one for each input; an input that there is not is an error."""

    models: Mapping[int, MaskedLM]

    @property
    def vocabulary(self) -> Vocabulary:
        return VOCABULARY

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        own = batch.inputs[rows].tolist()
        answers = {number: self.models[number].log_probs(batch, rows, positions) for number in sorted(set(own))}
        return torch.stack([answers[number][row] for row, number in enumerate(own)]) if own else torch.zeros(0, 5)


@dataclass(frozen=True)
class Energy(Objective):
    """Many letters cost something under one input, few under the other."""

    def energy(self, batch: Batch) -> Tensor:
        signs = torch.tensor([{7: 0.4, 3: -0.4}[number] for number in batch.inputs.tolist()], dtype=torch.float64)
        return signs * batch.tokens.sum(1)


MODELS = {number: TableMaskedLM.random(VOCABULARY, seed=number) for number in INPUTS}
LISTED = ListedConfusions({"a": {"ab": "spelling", "b": "family"}, "b": {"a": "family"}}, inserted=("b", "a"))


def corrections(model: MaskedLM) -> Corrections:
    """Clusters of input 0 would do for all, but not its readings."""
    return Corrections(model, Clusters.of([["a", "b", "ab"]], LISTED, alike=True), max_length=6)


KERNELS: dict[str, Callable[[MaskedLM], Any]] = {
    "replace": lambda model: MetropolisHastings(Replace(model, max_length=6)),
    "insert and delete": lambda model: MetropolisHastings(InsertDelete(model, max_length=6)),
    "infill": lambda model: MetropolisHastings(BlockInfill(model, max_length=6)),
    "copy": lambda model: MetropolisHastings(Copy(model, "ab", max_length=6)),
    "locally balanced": lambda model: MetropolisHastings(LocallyBalanced(model)),
    "path auxiliary": lambda model: MetropolisHastings(PathAuxiliary(model)),
    "all sites": lambda model: MetropolisHastings(AllSites(model, 1.0)),
    "metropolised gibbs": lambda model: MetropolisHastings(MetropolisedGibbs(model)),
    "corrections": lambda model: MetropolisHastings(corrections(model)),
    "tries of corrections": lambda model: MultipleTry(corrections(model), 3),
    "gibbs": lambda model: Gibbs(model, 2),
    "multiple try": lambda model: MultipleTry(Replace(model), 3),
    "delayed acceptance": lambda model: DelayedAcceptance(Replace(model), Energy()),
    "iterated resampling": lambda model: IteratedResampling(Fill(model), 3),
    "masked resampling": lambda model: MaskedResampling(model),
    "annealed smc": lambda model: AnnealedSMC(Uniform(VOCABULARY), Gibbs(model, 2), inverse_temperatures=(0.3, 1.0)),
    "parallel tempering": lambda model: ParallelTempering(Gibbs(model, 2), (1.0, 2.0)),
    "restarts": lambda model: Restarts(MetropolisHastings(Replace(model)), 2),
    "restarts when stuck": lambda model: RestartsWhenStuck(MetropolisHastings(Replace(model)), 1),
    "cycle": lambda model: Cycle([Gibbs(model, 2), IteratedResampling(Fill(model), 3)]),
    "mixture": lambda model: Mixture({Gibbs(model, 2): 0.5, MetropolisHastings(Replace(model)): 0.5}),
}


def start(sampler: Any, chains: int = 12) -> Batch:
    """Some chains of either input, in turns."""
    vocabulary: Vocabulary = sampler.vocabulary
    batch = vocabulary.encode(["abb"] if vocabulary is VOCABULARY else ["a b ab"]).repeat(2 * chains)
    return replace(batch, inputs=torch.tensor(INPUTS).repeat(chains))


def texts(sampler: Any, batch: Batch, rng: Rng) -> list[str]:
    with torch.inference_mode():
        state = sampler.init(Energy(), batch)
        for step in range(4):
            state, _ = sampler.step(Energy(), state, rng.at(step), 0.9)
    assert state.batch.inputs.tolist() == batch.inputs.tolist()
    return state.batch.texts()  # type: ignore[no-any-return]


@pytest.mark.parametrize("build", KERNELS.values(), ids=KERNELS.keys())
def test_chains_of_an_input_ask_its_own_model(build: Callable[[MaskedLM], Any]) -> None:
    both = build(ByInput(MODELS))
    batch = start(both)
    rng = Rng.start(1, len(batch))
    found = texts(both, batch, rng)
    assert len(set(found)) > 2
    for place, number in enumerate(INPUTS):
        alone = build(MODELS[number])
        rows = torch.arange(place, len(batch), 2)
        own = start(alone).rows(rows)
        assert texts(alone, own, rng.rows(rows)) == found[place::2]
    # the control: it matters which
    other = build(ByInput({7: MODELS[3], 3: MODELS[7]}))
    assert texts(other, start(other), rng) != found


def test_gaps_are_filled_by_the_input_s_own_model() -> None:
    batch = replace(VOCABULARY.encode(["a__"] * 20), inputs=torch.tensor(INPUTS).repeat(10))
    found = fill_masks(ByInput(MODELS), batch, seed=0)
    assert found.inputs.tolist() == batch.inputs.tolist()
    for place, number in enumerate(INPUTS):
        assert fill_masks(MODELS[number], batch, seed=0).texts()[place::2] == found.texts()[place::2]
