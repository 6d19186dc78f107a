# mypy: disable-error-code="arg-type, call-arg, misc, operator"
"""First calls gone wrong: what those type who come from transformers, emcee or Optuna, or from nowhere.

Each is refused in one sentence that says what to type instead, before any model runs.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from objectives import Coherence, Conditional, Fluency, Similarity
from samplers import MetropolisHastings, SimulatedAnnealing
from tests.random_calls import CAUSAL, MASKED
from tests.test_calls import CHAIN, FEW, each, run
from textsearch import FunctionObjective, generate, generate_each
from textsearch.calls import nearest, told
from textsearch.models import causal_lm, masked_lm
from textsearch.run.until import Settled
from textsearch.schedule import geometric
from textsearch.tasks import correct, keywords, paraphrase


class Hugging(torch.nn.Module):
    """As far as it matters, a model of transformers."""

    config, name_or_path = None, "gpt2"


HUGGING = Hugging()


WRONG: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: generate(FEW, CHAIN, ["ab"], steps=9),
        r"generate\(\) needs seed=, .*: the same seed gives the same texts",
    ),
    (lambda: generate(FEW, CHAIN, ["ab"], seed=0), r"generate\(\) needs steps=, the steps of every chain, such as st"),
    (lambda: generate(FEW, steps=9, seed=0), r"generate\(\) needs sampler, .* such as MetropolisHastings\(\)"),
    (lambda: generate(steps=9, seed=0), r"needs objective, the energy of a text, such as Fluency\(\) \+ Keywords"),
    (lambda: generate_each(FEW, CHAIN, ["ab"], steps=9), r"generate_each\(\) needs seed="),
    (
        lambda: generate(FEW, CHAIN, ["ab"], 100, 0),
        r"generate\(objective, sampler, inputs\) takes no more by place, such as 1",
    ),
    (
        lambda: generate(FEW, CHAIN, ["ab"], inputs=["b"], steps=1, seed=0),
        "is given inputs twice, by place and by name",
    ),
    *(
        (lambda name=name: run(**{name: 3}), rf"has no argument {name}=3: did you mean {meant}\?")
        for name, meant in {
            "n_chains": "chains",
            "num_chains": "chains",
            "nwalkers": "chains",
            "num_return_sequences": "chains",
            "burn_in": "warm_up",
            "warmup": "warm_up",
            "num_warmup": "warm_up",
            "thin_by": "thin",
            "callback": "callbacks",
            "show_progress": "progress",
            "early_stopping": "until",
            "temp": "temperature",
            "temprature": "temperature",
        }.items()
    ),
    *(
        (lambda name=name: generate(FEW, CHAIN, ["ab"], seed=0, **{name: 3}), rf"{name}=3: did you mean steps\?")
        for name in ("num_steps", "n_steps", "n_trials", "step", "iterations", "max_steps")
    ),
    *(
        (lambda name=name: generate(FEW, CHAIN, ["ab"], steps=3, **{name: 3}), rf"{name}=3: did you mean seed\?")
        for name in ("random_state", "rng", "seeds", "generator")
    ),
    (lambda: run(max_new_tokens=9), "has no argument max_new_tokens=9: it has objective, sampler, inputs, steps"),
    (lambda: each(batch_size=2), r"batch_size=2: did you mean batch_inputs\?"),
    (lambda: generate(FEW, ["ab"], CHAIN, steps=1, seed=0), r"sampler=\['ab'\] is a list, not a sampler: the order is"),
    (
        lambda: generate(["ab"], FEW, CHAIN, steps=1, seed=0),
        r"objective=\['ab'\] is a list, not an objective: the order is",
    ),
    (lambda: run(objective={FEW: 1.0}), r"is a dictionary, not an objective: add the terms up"),
    (
        lambda: run(objective="fluency"),
        r"objective='fluency' is a string, not an objective: pass the thing, not its name",
    ),
    (
        lambda: run(objective=HUGGING),
        r"is a transformers model, not an objective: wrap it, .*Fluency\(textsearch.causal_lm\(",
    ),
    (
        lambda: run(sampler=HUGGING),
        r"is a transformers model, not a sampler: wrap it, .*MetropolisHastings\(Replace\(textse",
    ),
    (
        lambda: run(sampler=MASKED),
        r"is a masked language model, not a sampler: wrap it, MetropolisHastings\(Replace\(model",
    ),
    (
        lambda: run(sampler=CAUSAL),
        r"is a causal language model, not a sampler: wrap it, MetropolisHastings\(SuffixResampling",
    ),
    (
        lambda: MetropolisHastings(HUGGING),
        r"is a transformers model, not a proposal: wrap it, .*Replace\(textsearch.masked_lm",
    ),
    (
        lambda: MetropolisHastings("bert"),
        r"proposal='bert' is a string, .*: load it, Replace\(textsearch.masked_lm\('bert'\)\)",
    ),
    (
        lambda: MetropolisHastings(masked_lm),
        "proposal=masked_lm is a function, not a proposal: call it if it makes one",
    ),
    (
        lambda: MetropolisHastings(FEW),
        "is an objective, not a proposal: the proposal says where to go, the objective goes",
    ),
    (
        lambda: Fluency(HUGGING),
        r"is a transformers model, not a causal .*: load it by its name or folder, .*causal_lm\(",
    ),
    (lambda: Fluency(causal_lm), "lm=causal_lm is a function, not a causal language model: call it if it makes one"),
    (
        lambda: Fluency((HUGGING, object())),
        "is a tuple, not a causal .*: load model and tokenizer by one name or folder",
    ),
    (lambda: Similarity("a walk"), r"sentence_encoder\('a walk'\); a text is given by name, texts='a walk'"),
    (lambda: Conditional("a walk"), r"seq2seq_lm\('a walk'\); a source is given by name, source='a walk'"),
    (lambda: Coherence("a walk"), r"causal_lm\('a walk'\); a prompt or a context is given by name"),
    (lambda: causal_lm(HUGGING), "name_or_path=.* is a transformers model: pass what it was loaded from, 'gpt2'"),
    (lambda: causal_lm(model="gpt2"), r"causal_lm\(\) has no argument model='gpt2': it has name_or_path, device"),
    (lambda: causal_lm(torch_dtype=None), r"has no argument torch_dtype=None: did you mean dtype\?"),
    (
        lambda: run(temperature=geometric(2.0, 0.1)),
        r"is a schedule, not a number: .* wrap the sampler, SimulatedAnnealing\(",
    ),
    (lambda: run(temperature=lambda step: 1.0), "is a function, not a number: to change it from step to step wrap the"),
    (
        lambda: SimulatedAnnealing(geometric(2.0, 0.1), CHAIN),
        "sampler=.* is a schedule, not a sampler: the sampler comes first",
    ),
    (lambda: SimulatedAnnealing(CHAIN, geometric), r"schedule=geometric is no function of the step alone: call it"),
    (lambda: SimulatedAnnealing(CHAIN, (2.0, 0.1)), r"schedule=\(2.0, 0.1\) is a tuple, not a schedule: pass one"),
    (lambda: geometric(2.0), r"geometric\(\) needs end"),
    (
        lambda: geometric(2.0, 0),
        "end=0 must be a positive number, above 0 and finite; for a pure search end at a small",
    ),
    (lambda: run(steps="200"), "steps='200' must be a whole number of at least 0"),
    (
        lambda: run(seed=np.random.default_rng(0)),
        "seed=.* must be a whole number, such as 0: the same seed gives the same",
    ),
    (lambda: run(until=Settled), r"until=Settled is a class, .*: make one, Settled\(...\)"),
    (lambda: run(inputs=[[1, 2], [3]]), r"inputs\[0\]=\[1, 2\] is no string; pass a list of texts"),
    (lambda: run(inputs=torch.zeros(2, 3)), r"inputs\[0\]=tensor\(\[0., 0., 0.\]\) is no string; pass a list of texts"),
    (lambda: run(inputs=np.zeros((2, 3))), r"inputs\[0\]=array\(\[0., 0., 0.\]\) is no string; pass a list of texts"),
    (lambda: run(inputs={"input_ids": [1]}), "inputs=.* is a dictionary; pass a list of texts"),
    (
        lambda: FEW + Fluency,
        r"'few a' \+ Fluency adds a class to an objective: only objectives add up; make one, Fluency\(",
    ),
    (
        lambda: Fluency + FEW,
        r"Fluency \+ 'few a' adds an objective to a class: only objectives add up; make one, Fluency\(",
    ),
    (
        lambda: run(objective=FunctionObjective(len)),
        "'len' gave values of shape .* the function is given a list of texts: ret",
    ),
    (lambda: keywords([["dog"]], step=5), r"keywords\(\) has no argument step=5: did you mean steps\?"),
    (lambda: paraphrase(["a"], num_return_sequences=5), r"num_return_sequences=5: did you mean chains\?"),
    (lambda: correct(), r"correct\(\) needs texts"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_a_first_call_gone_wrong_is_one_sentence(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert re.search(message, str(caught.value)), caught.value
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


def test_right_calls_go_through_untouched() -> None:
    """The control, and that a wrapped function is still itself."""

    @told
    def one(objective: int, *more: int, steps: int = 3, **rest: int) -> tuple[int, ...]:
        """What it says."""
        return (objective, *more, steps, *rest.values())

    assert one(1) == (1, 3) and one(1, 2, steps=4, other=5) == (1, 2, 4, 5)
    assert one.__doc__ == "What it says." and list(inspect.signature(one).parameters) == [
        "objective",
        "more",
        "steps",
        "rest",
    ]
    with pytest.raises(TypeError, match=r"one\(\) needs objective, the energy of a text"):
        one(other=5)  # it takes any name: nothing is misspelt


def test_an_error_within_is_not_taken_for_a_wrong_call() -> None:
    @told
    def within(steps: int) -> None:
        len(5)

    with pytest.raises(TypeError, match="has no len"):
        within(3)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("seeed", "seed"), ("chain", "chains"), ("x", None), ("s", None), ("temperature_", "temperature"), ("n", None)],
)
def test_the_nearest_name_is_meant_or_none(name: str, meant: str | None) -> None:
    assert nearest(name, ["seed", "steps", "chains", "temperature"]) == meant
