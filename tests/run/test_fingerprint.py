"""Objects made alike have one fingerprint, in any process; whatever makes an energy or a kernel another one shows."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from objectives import Conditional, Fluency, Keywords, Length, PseudoLikelihood, Similarity
from samplers import Cycle, Gibbs, MetropolisHastings, Mixture, Restarts, SimulatedAnnealing, Thinned, systematic_scan
from samplers.proposals import InsertDelete, Replace, Swap
from tests.models.tiny import PIECES, Tiny, tiny_encoder, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from tests.run.toys import MODEL, SAMPLERS, TOTAL, WALK
from textsearch import FunctionObjective
from textsearch.batch import Batch
from textsearch.models import sentence_encoder
from textsearch.models.defaults import DEFAULT_CAUSAL_LM, DefaultMaskedLM
from textsearch.objective import Objective
from textsearch.run import fingerprint as module
from textsearch.run.fingerprint import differences, fingerprint
from textsearch.schedule import constant, geometric, linear, piecewise
from textsearch.testing import TableMaskedLM, letters


def of_length(number: float) -> Callable[[list[str]], list[float]]:
    """A closure."""
    return lambda texts: [number * len(text) for text in texts]


def counted(texts: list[str], letter: str = "a", *, times: float = 1.0) -> list[float]:
    return [times * text.count(letter) for text in texts]


def twice(texts: list[str]) -> list[float]:
    return [2.0 * len(text) for text in texts]


class Slotted:
    __slots__ = ("letter", "times")

    def __init__(self, letter: str, times: float) -> None:
        self.letter, self.times = letter, times

    def __call__(self, texts: list[str]) -> list[float]:
        return counted(texts, self.letter, times=self.times)


class Worded:
    """A vocabulary of its own has words for its tokens, and is no tokenizer."""

    def __init__(self, words: dict[str, int]) -> None:
        self.words = words

    def token_to_id(self, token: str) -> int | None:
        return self.words.get(token)

    def __call__(self, texts: list[str]) -> list[float]:
        return [float(self.token_to_id(text) or 0) for text in texts]


def inner(number: int) -> Objective:
    """Of one class at one place, whose method has another body under the same decorator."""

    class Inner(Objective):
        @property
        def name(self) -> str:
            return "inner"

        if number:

            @torch.no_grad()
            def energy(self, batch: Batch) -> Tensor:
                return batch.lengths.double() + 1
        else:

            @torch.no_grad()
            def energy(self, batch: Batch) -> Tensor:
                return batch.lengths.double() + 2

    return Inner()


def remembering(number: int) -> Any:
    """The same of a method that remembers its answers."""

    class Remembering:
        if number:

            @lru_cache(maxsize=3)  # noqa: B019 (that is the point)
            def of(self, text: str) -> float:
                return len(text) + 1.0
        else:

            @lru_cache(maxsize=3)  # noqa: B019
            def of(self, text: str) -> float:
                return len(text) + 2.0

        def __call__(self, texts: list[str]) -> list[float]:
            return [self.of(text) for text in texts]

    return FunctionObjective(Remembering(), name="remembering")


def named(function: Any) -> Objective:
    return FunctionObjective(function, name="named")


def nudged(lm: Any) -> Any:
    """With one weight changed."""
    with torch.no_grad():
        next(lm.model.parameters()).view(-1)[7] += 1e-4
    return lm


def reworded(lm: Any) -> Any:
    """With one token of the tokenizer changed."""
    pieces = ["dig" if piece == "dog" else piece for piece in PIECES]
    return replace(lm, vocabulary=replace(lm.vocabulary, tokenizer=wordpiece_tokenizer(pieces)))


@dataclass(frozen=True)
class Pair:
    """What makes a part, what makes it with one change, and where that shows."""

    make: Callable[[Tiny], Any]
    other: Callable[[Tiny], Any]
    path: str
    pickles: bool = True


def plain(make: Any, other: Any, path: str, pickles: bool = True) -> Pair:
    """Of things that need no checkpoint."""
    return Pair(lambda tiny: make(), lambda tiny: other(), path, pickles)


def walk(mlm: Any, **changes: Any) -> Any:
    return MetropolisHastings(InsertDelete(mlm, **{"max_length": 9, **changes}))


def cooled(end: float) -> Any:
    return SimulatedAnnealing(Gibbs(MODEL), geometric(4.0, end))


def nested(candidates: int) -> Any:
    return Restarts(
        Cycle([cooled(0.1), Mixture({Gibbs(MODEL, candidates=candidates): 1.0, WALK: 2.0}), Thinned(WALK, every=2)]), 5
    )


@cache
def encoder_folder(tiny: Tiny) -> Path:
    return tiny_encoder(tiny.masked_path.parent / "encoder")


def encoder(tiny: Tiny) -> Any:
    return sentence_encoder(encoder_folder(tiny), device="cpu")


PAIRS = {
    "a weight of a causal model": Pair(
        lambda tiny: Fluency(tiny.causal()) + TOTAL,
        lambda tiny: Fluency(nudged(tiny.causal())) + TOTAL,
        "terms[0].lm.model: LlamaForCausalLM, weights ",
        pickles=False,
    ),
    "a weight of a masked model": Pair(
        lambda tiny: PseudoLikelihood(tiny.masked()),
        lambda tiny: PseudoLikelihood(nudged(tiny.masked())),
        "mlm.model: BertForMaskedLM, weights ",
        pickles=False,
    ),
    "a weight of the model of a proposal": Pair(
        lambda tiny: walk(tiny.masked()), lambda tiny: walk(nudged(tiny.masked())), "mlm.model: Bert", pickles=False
    ),
    "a weight of an encoder": Pair(
        lambda tiny: Similarity(encoder(tiny), "a dog"),
        lambda tiny: Similarity(nudged(encoder(tiny)), "a dog"),
        "encoder.model: BertModel, weights ",
        pickles=False,
    ),
    "a type of weights": Pair(
        lambda tiny: Fluency(tiny.causal()),
        lambda tiny: Fluency(replace(tiny.causal(), model=tiny.causal().model.half())),
        "lm.model: ",
        pickles=False,
    ),
    "dropout": Pair(
        lambda tiny: Gibbs(tiny.masked()),
        lambda tiny: Gibbs(replace(tiny.masked(), model=tiny.masked().model.train())),
        "mlm.model: ",
        pickles=False,
    ),
    "a token of a tokenizer": Pair(
        lambda tiny: Gibbs(tiny.masked()),
        lambda tiny: Gibbs(reworded(tiny.masked())),
        "mlm.vocabulary.tokenizer: ",
        pickles=False,
    ),
    "a number in a closure": plain(
        lambda: named(of_length(2.0)),
        lambda: named(of_length(3.0)),
        "function.number: 2.0 in the checkpoint, 3.0 now",
        pickles=False,
    ),
    "a number in a decimal": plain(
        lambda: named(of_length(Decimal("0.1"))),  # type: ignore[arg-type]
        lambda: named(of_length(Decimal("0.2"))),  # type: ignore[arg-type]
        "function.number: Decimal('0.1') in the checkpoint, Decimal('0.2') now",
        pickles=False,
    ),
    "a tensor in a closure": plain(
        lambda: named(of_length(torch.arange(3.0))),  # type: ignore[arg-type]
        lambda: named(of_length(torch.arange(3.0).flip(0))),  # type: ignore[arg-type]
        "function.number: float32 (3,) ",
        pickles=False,
    ),
    "the code of a lambda": plain(
        lambda: named(lambda texts: [len(text) + 1.0 for text in texts]),
        lambda: named(lambda texts: [len(text) + 2.0 for text in texts]),
        "function: its code has changed",
        pickles=False,
    ),
    "another function": plain(lambda: named(counted), lambda: named(twice), "function: function counted in the"),
    "a bound argument": plain(
        lambda: named(partial(counted, letter="b")),
        lambda: named(partial(counted, letter="c")),
        "function.keywords['letter']: 'b' in the checkpoint, 'c' now",
    ),
    "a slot": plain(
        lambda: named(Slotted("a", 1.0)), lambda: named(Slotted("a", 2.0)), "function.times: 1.0 in the checkpoint, 2.0"
    ),
    "a word of one's own vocabulary": plain(
        lambda: named(Worded({"a": 1})), lambda: named(Worded({"a": 2})), "function.words['a']: 1 in the checkpoint, 2"
    ),
    "the body of a decorated method": plain(
        lambda: inner(0), lambda: inner(1), "part: its code has changed", pickles=False
    ),
    "the body of a method that remembers": plain(
        lambda: remembering(0), lambda: remembering(1), "function: its code has changed", pickles=False
    ),
    "a default model": plain(
        lambda: Gibbs(candidates=4), lambda: Gibbs(MODEL, candidates=4), "mlm: DefaultMaskedLM in the checkpoint, Table"
    ),
    "the end of a schedule": plain(
        lambda: cooled(0.1), lambda: cooled(0.2), "schedule.end: 0.1 in the checkpoint, 0.2 now"
    ),
    "a rule of a schedule": plain(
        lambda: SimulatedAnnealing(WALK, geometric(4.0, 0.1)),
        lambda: SimulatedAnnealing(WALK, linear(4.0, 0.1)),
        "schedule.rule: function _geometric in the checkpoint, function _linear now",
    ),
    "a point of a schedule": plain(
        lambda: SimulatedAnnealing(WALK, piecewise({0: 4.0, 0.5: 1.0, 1: 1.0})),
        lambda: SimulatedAnnealing(WALK, piecewise({0: 4.0, 0.5: 2.0, 1: 1.0})),
        "schedule.points[1][1]: 1.0 in the checkpoint, 2.0 now",
    ),
    "a schedule of one's own": plain(
        lambda: SimulatedAnnealing(WALK, lambda step: 3.0),
        lambda: SimulatedAnnealing(WALK, constant(3.0)),
        "schedule: function ",
        pickles=False,
    ),
    "the weight of a term": plain(
        lambda: 2.0 * Length(4, 1) + Fluency(),
        lambda: 2.5 * Length(4, 1) + Fluency(),
        "terms[0].weight: 2.0 in the checkpoint, 2.5 now",
    ),
    "a term more": plain(
        lambda: TOTAL, lambda: TOTAL + Length(4, 1), "part: Sum of 2 terms in the checkpoint, Sum of 3 terms now", False
    ),
    "deep inside of composites": plain(lambda: nested(4), lambda: nested(5), "part.sampler.samplers[1]", pickles=False),
    "a scan": plain(lambda: Gibbs(MODEL), lambda: Gibbs(MODEL, scan=systematic_scan), "scan: function random_scan in"),
    "a word of one input": plain(
        lambda: Keywords([["dog"], ["cat", "mat"]]),
        lambda: Keywords([["dog"], ["cat", "map"]]),
        "keywords[1][1]: 'mat' in the checkpoint, 'map' now",
    ),
    "a source of one input": plain(
        lambda: Conditional(source=["one", "two"]),
        lambda: Conditional(source=["one", "six"]),
        "source[1]: 'two' in the checkpoint, 'six' now",
    ),
    "one of many texts": plain(
        lambda: Conditional(source=[f"source {number}" for number in range(300)]),
        lambda: Conditional(source=[f"source {number + (number == 299)}" for number in range(300)]),
        "source: tuple of 300, ",
    ),
    "a table of a toy": plain(
        lambda: Gibbs(TableMaskedLM.random(letters("abc"), seed=0, reach=3)),
        lambda: Gibbs(TableMaskedLM.random(letters("abc"), seed=1, reach=3)),
        "mlm.",
    ),
    "a letter of a vocabulary": plain(
        lambda: Swap(letters("abc")), lambda: Swap(letters("abd")), "vocabulary.", pickles=False
    ),
}


def found(pair: Pair, tiny: Tiny) -> list[str]:
    """What differs after the one change."""
    return differences(fingerprint(part=pair.make(tiny)), fingerprint(part=pair.other(tiny)))


@pytest.mark.parametrize("name", PAIRS)
def test_made_alike_is_alike_and_a_change_is_told(name: str, tiny: Tiny) -> None:
    pair = PAIRS[name]
    one = fingerprint(part=pair.make(tiny))
    assert one == fingerprint(part=pair.make(tiny))
    # a checkpoint has it in JSON
    assert one == json.loads(json.dumps(one))
    if pair.pickles:
        assert one == fingerprint(part=pickle.loads(pickle.dumps(pair.make(tiny))))
    told = found(pair, tiny)
    assert any(pair.path in line for line in told), told


@pytest.mark.parametrize(
    ("blind", "name"),
    [
        ("_weights", "a weight of a causal model"),
        ("_weights", "a weight of an encoder"),
        ("_tokenizer", "a token of a tokenizer"),
        ("_code", "the code of a lambda"),
        ("_content", "a number in a closure"),
    ],
)
def test_a_fingerprint_that_does_not_look_is_caught(
    blind: str, name: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(module, blind, lambda value: b"" if blind == "_code" else "not looked at")
    assert found(PAIRS[name], tiny) == []


def test_models_that_are_loaded_from_elsewhere_are_the_same(tiny: Tiny, tmp_path: Path) -> None:
    """A path is not what a model is."""
    import shutil

    from textsearch.models import masked_lm

    shutil.copytree(tiny.masked_path, tmp_path / "moved")
    moved = masked_lm(tmp_path / "moved", device="cpu")
    assert fingerprint(part=Gibbs(moved)) == fingerprint(part=Gibbs(tiny.masked()))


def test_pickled_models_are_the_same(tiny: Tiny) -> None:
    for part in (Gibbs(tiny.masked()), Fluency(tiny.causal()), Similarity(encoder(tiny), "a dog")):
        assert fingerprint(part=pickle.loads(pickle.dumps(part))) == fingerprint(part=part)


def test_what_a_part_has_done_changes_nothing(tiny: Tiny) -> None:
    """It remembers answers and counts what it read."""
    part = Fluency(tiny.causal()) + PseudoLikelihood(mlm := tiny.masked())
    before = fingerprint(part=part)
    part.energy(mlm.vocabulary.encode(["the dog ran", "a cat"]))
    assert fingerprint(part=part) == before


def test_default_models_are_told_without_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*_: Any) -> Any:
        raise AssertionError("a model was loaded")

    for name in ("default_masked_lm", "default_causal_lm", "default_sentence_encoder"):
        monkeypatch.setattr(f"textsearch.models.defaults.{name}", loaded)
    part = Fluency() + Similarity(texts="a dog") + PseudoLikelihood()
    told = fingerprint(objective=part, sampler=MetropolisHastings(Replace()), model=DEFAULT_CAUSAL_LM)
    assert told["objective.terms[0].lm"] == told["model"] == "DefaultCausalLM"
    assert told["objective.terms[1].encoder"] == "DefaultEncoder"
    assert "DefaultMaskedLM" in told.values()
    assert fingerprint(part=DefaultMaskedLM()) == {"part": "DefaultMaskedLM"}


def everything(tiny: Tiny) -> Mapping[str, Mapping[str, str]]:
    """Of all that is in this file, and of the samplers of the toys."""
    return {name: fingerprint(part=pair.make(tiny)) for name, pair in PAIRS.items()} | {
        name: fingerprint(objective=TOTAL, sampler=sampler) for name, sampler in SAMPLERS.items()
    }


def test_other_processes_find_the_same(tiny: Tiny) -> None:
    encoder_folder(tiny)
    paths = tuple(map(str, (tiny.masked_path, tiny.causal_path, tiny.words_path)))
    program = (
        "import json, sys; from pathlib import Path; from tests.models.tiny import Tiny; "
        "from tests.run import test_fingerprint as file; tiny = Tiny(*map(Path, sys.argv[1:])); "
        "file.encoder_folder = lambda tiny: tiny.masked_path.parent / 'encoder'; "
        "print(json.dumps(file.everything(tiny)))"
    )
    root = str(Path(__file__).parents[2])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *paths],
            stdout=subprocess.PIPE,
            cwd=root,
            # sets have another order
            env=os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": root},
        )
        for seed in (1, 2)
    ]
    one, other = (json.loads(process.communicate(timeout=120)[0]) for process in processes)
    assert one == other == everything(tiny)


def test_samplers_differ_from_one_another() -> None:
    told = {json.dumps(fingerprint(sampler=sampler)) for sampler in SAMPLERS.values()}
    assert len(told) == len(SAMPLERS)


def test_weights_are_read_once_a_model(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    tensor = module._tensor

    def counting(value: Any) -> str:
        hashed.append(value.numel())
        return tensor(value)

    monkeypatch.setattr(module, "_tensor", counting)
    lm = tiny.causal()
    size = sum(part.numel() for part in lm.model.state_dict().values())
    first = fingerprint(one=Fluency(lm), other=2.0 * Fluency(lm, "a prompt"))
    assert sum(hashed) == size
    for _ in range(3):
        assert fingerprint(one=Fluency(lm), other=2.0 * Fluency(lm, "a prompt")) == first
    assert sum(hashed) == size
    nudged(lm)
    assert fingerprint(one=Fluency(lm))["one.lm.model"] != first["one.lm.model"]
    assert sum(hashed) == 2 * size


@pytest.mark.parametrize("written", ["in place", "another tensor", "another type"])
def test_a_model_that_was_written_to_is_read_again(written: str, tiny: Tiny) -> None:
    lm = tiny.masked()
    before = fingerprint(part=lm)
    weight = next(lm.model.parameters())
    if written == "in place":
        nudged(lm)
    elif written == "another tensor":
        weight.data = weight.data + 1.0
    else:
        lm.model.half()
    assert fingerprint(part=lm)["part.model"] != before["part.model"]


def test_a_second_call_is_quick() -> None:
    """Of a model of 25 million weights."""
    model = torch.nn.Linear(5000, 5000)
    began = time.perf_counter()
    first = fingerprint(model=model)
    middle = time.perf_counter()
    assert fingerprint(model=model) == first
    assert time.perf_counter() - middle < (middle - began) / 5
