"""The default models as values: light until they are asked for something, then one for all that hold them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from objectives import (
    Answered,
    Coherence,
    Conditional,
    Fluency,
    FluencyPerToken,
    PseudoLikelihood,
    Similarity,
    UnmaskedLikelihood,
)
from samplers import Gibbs, MaskedResampling, MetropolisHastings, MultipleTry, SimulatedAnnealing
from samplers.proposals import BlockInfill, Edits, InsertDelete, Replace
from textsearch import Keywords, geometric
from textsearch.models import defaults
from textsearch.models.protocols import token_log_probs
from textsearch.models.reading.turns import remembered
from textsearch.tasks import resolve
from textsearch.testing import TableCausalLM, TableMaskedLM, check_proposal, letters

ROOT = Path(__file__).parent.parent.parent

MAKE: dict[str, Callable[[], Any]] = {
    "Fluency": Fluency,
    "FluencyPerToken": FluencyPerToken,
    "PseudoLikelihood": PseudoLikelihood,
    "UnmaskedLikelihood": UnmaskedLikelihood,
    "Answered": lambda: Answered(answer="no"),
    "Conditional": lambda: Conditional(source="What is it?"),
    "Coherence": lambda: Coherence(context="It rains."),
    "Similarity": lambda: Similarity(texts="rain"),
    "sum": lambda: Fluency() + 2.0 * Keywords(["rain"]),
    "MetropolisHastings": MetropolisHastings,
    "MultipleTry": MultipleTry,
    "SimulatedAnnealing": lambda: SimulatedAnnealing(MetropolisHastings(), geometric(2.0, 0.1)),
    "Edits": Edits,
}
MORE: dict[str, Callable[[], Any]] = {
    "Gibbs": Gibbs,
    "MaskedResampling": MaskedResampling,
    "Replace": Replace,
    "InsertDelete": InsertDelete,
    "BlockInfill": BlockInfill,
}
"""Compared by identity, as they are with models too."""


@pytest.fixture
def unloadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads a model fails."""

    def load() -> Any:
        raise AssertionError("a default model was loaded")

    for name in ("default_masked_lm", "default_causal_lm", "default_sentence_encoder"):
        monkeypatch.setattr(defaults, name, load)


@pytest.mark.usefixtures("unloadable")
@pytest.mark.parametrize("name", [*MAKE, *MORE])
def test_what_holds_a_default_is_light_and_says_so(name: str) -> None:
    make = {**MAKE, **MORE}[name]
    thing = make()
    assert "Default" in repr(thing)
    if hasattr(thing, "kinds"):
        assert thing.kinds
    copies = [pickle.loads(pickle.dumps(thing)), deepcopy(thing)]
    assert all(repr(copy) == repr(thing) for copy in copies)
    if name in MAKE:
        assert [make(), *copies] == [thing] * 3 and len({hash(copy) for copy in (make(), *copies)}) == 1


def test_making_loads_no_model() -> None:
    script = """
import sys
from textsearch import *
from textsearch import Fluency, Gibbs, Keywords, MetropolisHastings, PseudoLikelihood, Similarity
parts = Fluency() + Keywords(["dog"]) + PseudoLikelihood() + Similarity(texts="dogs"), MetropolisHastings(), Gibbs()
print(sorted({"transformers"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_all_that_hold_a_default_share_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by several threads at once, it is loaded once; the tasks have the same one."""
    vocabulary, loaded = letters("ab"), []

    def load() -> Any:
        loaded.append(TableMaskedLM.random(vocabulary, seed=0))
        return loaded[-1]

    @remembered(most=1)
    def default() -> Any:
        return load()

    monkeypatch.setattr(defaults, "default_masked_lm", default)
    monkeypatch.setattr(resolve, "default_masked_lm", default)
    holders = [defaults.DefaultMaskedLM() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda holder: holder.vocabulary, holders))
    assert len(loaded) == 1 and all(one is vocabulary for one in found)
    assert MetropolisHastings().vocabulary is Gibbs().vocabulary is pickle.loads(pickle.dumps(Gibbs())).vocabulary
    task: Any = resolve._masked
    assert task.__wrapped__(None) is loaded[0] and len(loaded) == 1


def test_a_default_answers_as_the_model_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    masked = TableMaskedLM.random(letters("abc"), seed=0)
    causal = TableCausalLM.random(masked.vocabulary, seed=1)

    class Remembering:
        vocabulary, log_probs = masked.vocabulary, masked.log_probs

        def token_log_probs(self, batch: Any, rows: Any, positions: Any, wanted: Any) -> torch.Tensor:
            return token_log_probs(masked, batch, rows, positions, wanted)

    class Lengths:
        def encode(self, texts: Any) -> torch.Tensor:
            return torch.tensor([[float(len(text)), 1.0] for text in texts])

    monkeypatch.setattr(defaults, "default_masked_lm", Remembering)
    monkeypatch.setattr(defaults, "default_causal_lm", lambda: causal)
    monkeypatch.setattr(defaults, "default_sentence_encoder", Lengths)
    batch = masked.vocabulary.encode(["abc", "b", "ca"])
    pairs = [
        (Fluency(), Fluency(causal)),
        (Fluency(prompt="a"), Fluency(causal, "a")),
        (PseudoLikelihood(), PseudoLikelihood(masked)),
        (Conditional(source="ab"), Conditional(causal, "ab")),
        (Coherence(context="a", between=""), Coherence(causal, "a", between="")),
        (Similarity(texts="a"), Similarity(Lengths(), "a")),
    ]
    for own, other in pairs:
        assert own.energy(batch).tolist() == other.energy(batch).tolist()
    check_proposal(Edits(), ["a", "b", "ab", "ba", "aa", "bb", "c", "ac", "ca"], chains=4000)
    assert Replace().sizes == Replace(masked).sizes


@pytest.mark.usefixtures("unloadable")
@pytest.mark.parametrize(
    "ask",
    [
        lambda batch: Fluency().energy(batch),
        lambda batch: Similarity(texts="a").energy(batch),
        lambda batch: MetropolisHastings().vocabulary,
        lambda batch: Gibbs().check(batch),
    ],
)
def test_the_control_what_is_asked_for_something_loads(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(AssertionError, match="a default model was loaded"):
        ask(letters("ab").encode(["a"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Conditional, "source is empty: pass one for all inputs, or one for each"),
        (Coherence, "context is empty: pass one for all inputs, or one for each"),
        (Similarity, "texts is empty: pass one for all inputs, or one for each"),
    ],
)
def test_what_a_term_is_about_has_no_default(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
