"""On an accelerator everything stays there: the energies and the chains of the CPU, and no operation mixes devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.tiny import TEXTS, Tiny, every_position, roomy_causal, tiny_encoder
from tests.models.tiny import tiny as tiny
from tests.objectives.table import OBJECTIVES, Models, texts
from tests.pretend import DEVICE, Pretended, numbers, pretended
from tests.run.toys import VOCABULARY, WALK
from tests.samplers.kernels import KERNELS
from tests.samplers.laws import Case
from textsearch import Batch, FunctionObjective, Generations, generate, generate_each, tasks
from textsearch.models import causal_lm, sentence_encoder
from textsearch.objective import Limit, Objective
from textsearch.rng import Rng
from textsearch.run.until import Reached
from textsearch.tasks.request import Request


def test_the_pretended_device_does_not_mix() -> None:
    with pretended():
        here, there = torch.arange(3.0), torch.arange(3.0, device=DEVICE)
        assert isinstance(there, Pretended) and there.device == DEVICE
        assert (there * 2.0 + torch.tensor(1.0)).tolist() == [1.0, 3.0, 5.0]
        assert there[torch.tensor([2, 0])].tolist() == there[[2, 0]].tolist() == [2.0, 0.0]
        assert (there.cpu() + here).tolist() == (there + here.to(DEVICE)).tolist() == [0.0, 2.0, 4.0]
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(RuntimeError, match="same device"):
            here[there.long()]
        with pytest.raises(RuntimeError, match="same device"):
            torch.cat([here, there])
    unseen = torch.empty(3, device=DEVICE)
    with pretended(), pytest.raises(RuntimeError, match="holds no numbers"):
        there + unseen


def test_a_term_that_leaves_the_device_is_caught(tiny: Tiny) -> None:
    @dataclass(frozen=True, eq=False)
    class Twin(Objective):
        name = "twin"

        def energy(self, batch: Batch) -> Tensor:
            return (batch.lengths - torch.arange(len(batch))).double()

    batch = tiny.masked().vocabulary.encode(TEXTS)
    assert len(Twin().energy(batch)) == len(TEXTS)
    with pretended(), pytest.raises(RuntimeError, match="same device"):
        Twin().energy(batch.to(DEVICE))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_energies(name: str, tiny: Tiny) -> None:
    models = Models(tiny.masked(), tiny.causal())
    entry = OBJECTIVES[name]
    batch = texts(models)
    objective = entry.make(models, entry.values)
    expected = objective.energy(batch)
    models = Models(models.masked.forgetful(), models.causal.forgetful())
    objective = entry.make(models, entry.values)
    with pretended(models.masked.model, models.causal.model):
        there = batch.to(DEVICE)
        found = objective.energy(there)
        torch.testing.assert_close(numbers(found), expected, atol=1e-3, rtol=1e-4)
        limit = Limit(found + 1.0, there)
        torch.testing.assert_close(numbers(objective.energy_within(there, limit)), expected, atol=1e-3, rtol=1e-4)


def test_models(tiny: Tiny) -> None:
    masked, causal = tiny.masked(), tiny.causal()
    batch, own = masked.vocabulary.encode(TEXTS), causal.vocabulary.encode(TEXTS)
    rows, positions = every_position(batch.lengths)
    conditionals, scores = masked.log_probs(batch, rows, positions), causal.score(own, "hello ").log_prob
    drawn = causal.continuations("hello", Rng.start(0, 3), most=5)
    masked, causal = masked.forgetful(), causal.forgetful()
    with pretended(masked.model, causal.model):
        found = masked.log_probs(batch.to(DEVICE), rows.to(DEVICE), positions.to(DEVICE))
        torch.testing.assert_close(numbers(found), conditionals, atol=1e-4, rtol=0)
        torch.testing.assert_close(numbers(causal.score(own.to(DEVICE), "hello ").log_prob), scores, atol=1e-3, rtol=0)
        assert causal.continuations("hello", Rng.start(0, 3, DEVICE), most=5) == drawn
        # a batch of the CPU gets its answer there
        assert masked.log_probs(batch, rows, positions).device == torch.device("cpu")
        assert causal.score(own).log_prob.device == torch.device("cpu")


@pytest.mark.parametrize("name", [name for name, case in KERNELS.items() if isinstance(case, Case)])
def test_chains(name: str) -> None:
    case = KERNELS[name]
    assert isinstance(case, Case)
    start = case.space.begin(case.sampler, case.starts[:4]).batch
    run = generate(case.space.objective, case.sampler, start, steps=2, seed=0)
    with pretended():
        there = generate(case.space.objective, case.sampler, start.to(DEVICE), steps=2, seed=0)
        assert there.batch.device == DEVICE
        assert there.texts == run.texts
        assert there.trace.tolist() == run.trace.tolist()


def test_inputs_that_come_and_go() -> None:
    batch = VOCABULARY.encode(["ab", "cab", "b", "acc"])
    few = FunctionObjective(lambda texts: [text.count("a") + 0.1 * len(text) for text in texts], name="few a")
    settings: dict[str, Any] = {"steps": 4, "seed": 3, "batch_inputs": 2, "until": Reached(1.0)}
    answers = [answer.result for answer in generate_each(few, WALK, batch, **settings)]
    with pretended():
        there = [answer.result for answer in generate_each(few, WALK, batch.to(DEVICE), **settings)]
        assert [run.texts for run in there if run] == [run.texts for run in answers if run]


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return roomy_causal(tmp_path_factory.mktemp("causal"), ascii_alone=True)


TASKS: dict[str, Callable[..., Generations]] = {
    "ask": lambda masked, **models: tasks.ask(["The dog sat."], answer="dog", drafts=2, **models),
    "infill": lambda **models: tasks.infill(["the [MASK] sat on"], **models),
    "keywords": lambda **models: tasks.keywords([["dog", "mat"]], drafts=2, **models),
    "correct": lambda **models: tasks.correct(["the dog sat in the mat ."], **models),
    "paraphrase": lambda **models: tasks.paraphrase(["The dog sat on the mat."], pool=2, **models),
    "write": lambda **models: tasks.write([Request(prefix="The dog")], **models),
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks(name: str, tiny: Tiny, roomy: Path, tmp_path: Path) -> None:
    causal, masked = causal_lm(roomy, device="cpu"), tiny.masked()
    encoder = sentence_encoder(tiny_encoder(tmp_path), device="cpu")
    more = {"encoder": encoder} if name == "paraphrase" else {}
    with pretended(causal.model, masked.model, encoder.model):
        run = TASKS[name](causal=causal, masked=masked, chains=1, steps=1, seed=0, **more)
    assert len(run.texts) == 1


def test_sentence_vectors(tmp_path: Path) -> None:
    encoder = sentence_encoder(tiny_encoder(tmp_path), device="cpu")
    vectors = encoder.encode(TEXTS)
    with pretended(encoder.model):
        torch.testing.assert_close(numbers(encoder.encode(TEXTS)), vectors, atol=1e-5, rtol=0)
