"""The laws of energies, for every line of the table of objectives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import objectives
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from tests.objectives.table import OBJECTIVES, Entry, Models, loaded, texts
from textsearch.batch import Batch
from textsearch.models.usage import ledger
from textsearch.objective import Cost, Objective
from textsearch.testing import LawBroken, check_objective

every_entry = pytest.mark.parametrize("entry", OBJECTIVES.values(), ids=OBJECTIVES.keys())
JUDGED = {name: entry for name, entry in OBJECTIVES.items() if entry.values is not None}
every_entry_with_values = pytest.mark.parametrize("entry", JUDGED.values(), ids=JUDGED.keys())


@pytest.fixture
def models(tiny: Tiny) -> Models:
    """With nothing remembered."""
    models = loaded(tiny)
    return replace(models, causal=models.causal.forgetful())


@pytest.fixture
def batch(models: Models) -> Batch:
    return texts(models)


def fresh(entry: Entry, models: Models, values: Sequence[object] | None = None) -> Objective:
    """Made anew, its model with nothing remembered."""
    return entry.make(replace(models, causal=models.causal.forgetful()), values or entry.values)


@every_entry
def test_energies_depend_on_a_row_s_own_text(entry: Entry, models: Models, batch: Batch) -> None:
    check_objective(entry.make(models, entry.values), batch)


@every_entry
def test_what_is_remembered_is_what_would_be_found(entry: Entry, models: Models, batch: Batch) -> None:
    """Asked of all together, then again in another order, and of each row alone by one that has seen nothing."""
    objective = entry.make(models, entry.values)
    whole = objective.energy(batch)
    assert objective.energy(batch.rows(torch.arange(len(batch)).flip(0))).flip(0).equal(whole)
    for row in range(len(batch)):
        assert fresh(entry, models).energy(batch.rows([row])).equal(whole[[row]])


@every_entry_with_values
def test_an_input_is_judged_by_its_own_value(entry: Entry, models: Models, batch: Batch) -> None:
    assert entry.values is not None
    whole = entry.make(models, entry.values).energy(batch)
    for number, value in enumerate(entry.values):
        index = (batch.inputs == number).nonzero().squeeze(-1)
        alone = replace(batch.rows(index), inputs=torch.zeros_like(index))
        assert fresh(entry, models, [value]).energy(alone).equal(whole[index])
    # the control: with the values moved by one input the energies are others
    moved = fresh(entry, models, [*entry.values[1:], entry.values[0]])
    assert not moved.energy(batch).equal(whole)


@every_entry_with_values
def test_one_value_is_for_all_inputs_or_there_is_one_for_each(entry: Entry, models: Models, batch: Batch) -> None:
    """One rule, whatever the objective: a value alone, in a list of one, or repeated is the same."""
    values = entry.values
    assert values is not None
    alone, listed, repeated = values[0], [values[0]], [values[0]] * 4
    energies = []
    for given in (alone, listed, repeated):
        objective = entry.make(replace(models, causal=models.causal.forgetful()), given)
        objective.check(batch)
        energies.append(objective.energy(batch))
    assert energies[0].equal(energies[1]) and energies[0].equal(energies[2])
    entry.make(models, [*values, values[0]]).check(batch)  # a batch may hold some of the inputs only
    few = entry.make(models, values[:3])
    wrong = r"^\w+ has 3 values, but there are 4 inputs: pass one for each input, or a single one for all of them$"
    with pytest.raises(ValueError, match=wrong):
        few.check(batch)
    few.check(batch.rows((batch.inputs < 3).nonzero().squeeze(-1)))  # the control
    with pytest.raises(ValueError, match=r"^\w+ is empty: pass one "):
        entry.make(models, [])


@every_entry
def test_checking_runs_no_model(entry: Entry, models: Models, batch: Batch) -> None:
    objective = entry.make(models, entry.values)
    with ledger() as spent:
        objective.check(batch)
        objective.freeze(batch)
    assert spent == {}


@every_entry
def test_its_stage_is_what_it_costs(entry: Entry, models: Models, batch: Batch) -> None:
    objective = entry.make(models, entry.values)
    with ledger() as spent:
        energy = objective.energy(batch)
    if objective.cost is Cost.HARD:
        assert set(energy.tolist()) <= {0.0, torch.inf}
        # what has nothing to judge by but the row itself allows all that the vocabulary has read
        assert set(energy.tolist()) == {0.0, torch.inf} or entry.values is None
    else:
        assert len(set(energy.tolist())) > 2
    if objective.cost <= Cost.CHEAP:
        assert spent == {}


@every_entry
def test_frozen_tokens_stay_frozen(entry: Entry, models: Models, batch: Batch) -> None:
    frozen = entry.make(models, entry.values).freeze(batch)
    assert frozen.tokens.equal(batch.tokens)
    assert not (frozen.editable & ~batch.editable).any()


def test_every_objective_has_a_line() -> None:
    exported = {
        name
        for name in objectives.__all__
        if isinstance(each := getattr(objectives, name), type) and issubclass(each, Objective)
    }
    assert set(OBJECTIVES) == exported


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_line_makes_what_it_is_called(name: str, models: Models) -> None:
    assert type(OBJECTIVES[name].make(models, OBJECTIVES[name].values)).__name__ == name


class ByPlace(Objective):
    """A broken twin: the energy of a row depends on its place in the batch."""

    def energy(self, batch: Batch) -> Tensor:
        return torch.arange(len(batch), dtype=torch.float64)


class ByWidth(Objective):
    """A broken twin: the energy depends on the padding."""

    def energy(self, batch: Batch) -> Tensor:
        return torch.full((len(batch),), batch.width, dtype=torch.float64)


class Confused(Objective):
    """A broken twin: it remembers a text's energy, and not for which input."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.known: OrderedDict[str, float] = OrderedDict()

    def energy(self, batch: Batch) -> Tensor:
        for text, energy in zip(batch.texts(), self.objective.energy(batch).tolist(), strict=True):
            self.known.setdefault(text, energy)
        return torch.tensor([self.known[text] for text in batch.texts()], dtype=torch.float64)


@pytest.mark.parametrize("twin", [ByPlace(), ByWidth()], ids=["by place", "by width"])
def test_a_twin_that_looks_beyond_its_row_is_caught(twin: Objective, batch: Batch) -> None:
    with pytest.raises(LawBroken):
        check_objective(twin, batch)


def test_a_twin_that_confuses_inputs_is_caught(models: Models, batch: Batch) -> None:
    """Two rows of different inputs hold the same text, so that such a thing shows."""
    right = OBJECTIVES["Diversity"]
    confused = Entry(lambda models, values: Confused(right.make(models, values)), right.values)
    with pytest.raises(AssertionError):
        test_what_is_remembered_is_what_would_be_found(confused, models, batch)
