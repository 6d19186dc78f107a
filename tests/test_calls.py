# mypy: disable-error-code="arg-type, call-arg, dict-item, list-item, misc, operator, return-value, attr-defined"
"""Wrong calls: each is one sentence that names the argument, the value and the remedy, before any model runs."""

from __future__ import annotations

import math
import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from objectives import (
    Closeness,
    Fluency,
    FluencyPerToken,
    Keywords,
    Length,
    LengthBetween,
    Only,
    PseudoLikelihood,
    Similarity,
)
from samplers import (
    AnnealedSMC,
    Cycle,
    Gibbs,
    ImportanceSampling,
    MaskedResampling,
    MetropolisHastings,
    Mixture,
    MultipleTry,
    ParallelTempering,
    Rejection,
    SimulatedAnnealing,
    Thinned,
    all_masks,
)
from samplers.proposals import Fill, InsertDelete, Replace, SpanEdit, Uniform
from samplers.proposals import Mixture as Moves
from tests.models.tiny import Tiny, roomy_causal, tiny_encoder
from tests.models.tiny import tiny as tiny
from tests.random_calls import CAUSAL, MASKED, WORDS, ArrayEncoder, Calls, Outer
from textsearch import Batch, FunctionObjective, generate, generate_each
from textsearch.models import causal_lm, masked_lm, sentence_encoder, seq2seq_lm
from textsearch.objective import Sum
from textsearch.run.until import Budget, Converged, Settled
from textsearch.schedule import geometric
from textsearch.tasks import Weights, correct, infill, keywords, paraphrase, stream, write
from textsearch.testing import check_objective, check_sampler

ROOT = Path(__file__).parent.parent
FEW: Any = FunctionObjective(lambda texts: [1.0 * text.count("a") for text in texts], name="few a")
MOVES = Replace(MASKED)
CHAIN = MetropolisHastings(MOVES)
ANY: Any = None


def run(*, objective: Any = FEW, sampler: Any = CHAIN, inputs: Any = ("ab",), **more: Any) -> Any:
    return generate(objective, sampler, inputs, **{"steps": 3, "seed": 0, **more})


def each(**more: Any) -> Any:
    return list(generate_each(FEW, CHAIN, ["ab"], **{"steps": 3, "seed": 0, **more}))


WRONG: list[tuple[Callable[[], Any], str]] = [
    # one thing for another
    (lambda: run(sampler=MetropolisHastings), "sampler=MetropolisHastings is a class, not a sampler: make one, Metro"),
    (
        lambda: run(sampler=MOVES),
        r"sampler=SpanEdit\(...\) is a proposal, not a sampler: wrap it, MetropolisHastings\(",
    ),
    (lambda: run(sampler=Replace), "sampler=Replace is a function, not a sampler: call it if it makes one"),
    (lambda: run(sampler=Fill(MASKED)), "is a proposal of whole texts, not a sampler: wrap it, Rejection"),
    (lambda: run(sampler="gibbs"), "sampler='gibbs' is a string, not a sampler: make one, such as MetropolisHastings"),
    (lambda: run(sampler=[CHAIN]), "is a list, not a sampler: take turns, Cycle"),
    (lambda: run(sampler=None), "sampler=None is not a sampler: make one"),
    (
        lambda: generate(CHAIN, FEW, ["ab"], steps=1, seed=0),
        "objective=.* is a sampler, not an objective: the order is",
    ),
    (lambda: run(objective=Fluency), "objective=Fluency is a class, not an objective: make one, Fluency"),
    (lambda: run(objective=len), r"objective=len is a function, not .*: wrap a function of texts, FunctionObjective\("),
    (lambda: run(objective=[FEW, FEW]), r"is a list, not an objective: add the terms up, a \+ 2.0 \* b"),
    (lambda: run(objective=CAUSAL), r"is a causal language model, not an objective: wrap it, Fluency\(model\)"),
    (lambda: run(objective=torch.nn.Linear(1, 1)), "is a Linear, not an objective: it has no energy"),
    (lambda: MetropolisHastings(Replace), "proposal=Replace is a function, not a proposal: call it"),
    (lambda: MetropolisHastings(CHAIN), "is a sampler, not a proposal: take the proposal alone"),
    (lambda: MetropolisHastings({MOVES: 1.0}), "is a dictionary, not a proposal: mix them"),
    (lambda: MetropolisHastings(Uniform(WORDS)), "not a proposal: it draws texts afresh: take Rejection"),
    (lambda: Rejection(MOVES, 3.0), "is a proposal, not a proposal of whole texts: it edits a text: take Fill"),
    (lambda: ImportanceSampling(MASKED), r"is a masked language model, not .*: wrap it, Fill\(model\)"),
    (lambda: Uniform(MASKED), "vocabulary=.* is a masked language model, not a vocabulary: take that of the model"),
    (lambda: Thinned(MOVES, 3), "sampler=.* is a proposal, not a sampler"),
    (lambda: SimulatedAnnealing(CHAIN, 0.5), "schedule=0.5 is a number, not a schedule: pass one, such as"),
    # the name of a model for the model
    (lambda: Fluency("gpt2"), r"lm='gpt2' is a string, not a causal language model: load it, .*causal_lm\('gpt2'\)"),
    (lambda: FluencyPerToken(MASKED), "is a masked language model, not a causal language model: load one"),
    (lambda: PseudoLikelihood("bert"), r"mlm='bert' is a string, not a masked .*: load it, .*masked_lm\('bert'\)"),
    (lambda: Replace("bert"), r"mlm='bert' is a string.*masked_lm\('bert'\)"),
    (lambda: Replace(CAUSAL), "mlm=.* is a causal language model, not a masked language model"),
    (lambda: Similarity("all-MiniLM", "a"), r"encoder='all-MiniLM' is a string.*sentence_encoder\('all-MiniLM'\)"),
    # one for many, many for one
    (lambda: run(inputs="ab"), r"inputs='ab' is one string; pass a list of texts, \['ab'\]"),
    (lambda: run(inputs={"ab": 1}), "inputs=.* is a dictionary; pass a list of texts"),
    (lambda: run(inputs={"ab"}), "inputs=.* is a set, which has no order; pass a list of texts"),
    (lambda: run(inputs=["ab", None]), r"inputs\[1\]=None is no string; pass a list of texts"),
    (lambda: run(inputs=5), "inputs=5 is a number; pass a list of texts"),
    (lambda: run(inputs=[]), "inputs is empty"),
    (lambda: WORDS.encode("ab"), r"texts='ab' is one string; pass a list of texts, \['ab'\]"),
    (lambda: Closeness(3), "sources=3 is a number; pass a list of texts"),
    (lambda: Keywords("dog"), "keywords='dog' is one string"),
    (lambda: Moves([MOVES]), r"parts=.* is a list; pass a dictionary of proposals and weights, \{Replace"),
    (lambda: Mixture([CHAIN]), "samplers=.* is a list; pass a dictionary of samplers and weights"),
    (lambda: Mixture({MOVES: 1.0}), r"samplers\[0\]=.* is a proposal, not a sampler"),
    (lambda: Cycle(CHAIN), "samplers=.* is a sampler; pass a list of samplers"),
    (lambda: Cycle({CHAIN: 0.5}), "samplers=.* is a dictionary; pass a list of samplers"),
    (lambda: SpanEdit(MASKED, [(1, 1)]), "table=.* is a list; pass a dictionary of probabilities"),
    (lambda: SpanEdit(MASKED, {1: 1.0}), "table=1 is a number; pass a list of pairs"),
    (lambda: ParallelTempering(CHAIN, 4), r"temperatures=4 is a number; pass a list of numbers, \[1, 2, 4\]"),
    (lambda: run(callbacks=len), r"callbacks=len is one function; pass a list of them, \[len\]"),
    (lambda: run(callbacks=[1]), r"callbacks\[0\]=1 is a number, not a function"),
    (
        lambda: run(until=5),
        r"until=5 is a number, not a rule of when to stop: pass one of textsearch.run.until, such as Bud",
    ),
    (lambda: run(until=Converged), r"until=Converged is a class, .*: make one, Converged\(...\)"),
    (lambda: Batch.of([1, 2], WORDS), "rows=.* must be lists of token ids"),
    (lambda: Batch.of([[1, 99]], WORDS), "token id 99 is none of the 5 of this vocabulary"),
    # numbers
    *(
        (lambda value=value: run(steps=value), f"steps={value!r} must be")
        for value in (-1, 2.5, None, True, "a", math.nan)
    ),
    *((lambda value=value: run(chains=value), f"chains={value!r} must be") for value in (0, -1, 1.5, None, 10**9)),
    *(
        (
            lambda value=value: run(temperature=value),
            f"temperature={value!r} must be a positive number; for a pure search",
        )
        for value in (0, -1.0, "a", math.inf, math.nan, None, True)
    ),
    (lambda: run(seed=None), "seed=None must be a whole number, such as 0: the same seed gives the same texts"),
    (lambda: run(seed=2**70), r"seed=\d+ does not fit in 64 bits"),
    (
        lambda: generate(FEW, CHAIN, ["ab"]),
        r"generate\(\) needs steps=, .*, and seed=, any whole number, such as seed=0",
    ),
    (lambda: run(stepz=3), r"generate\(\) has no argument stepz=3: it has objective, sampler, inputs, steps, seed,"),
    (lambda: run(progress="no"), "progress='no' must be True or False"),
    (lambda: each(batch_inputs=0), "batch_inputs=0 must be at least 1"),
    (lambda: each(callbacks=[]), r"generate_each\(\) has no argument callbacks=\[\]: it has"),
    (lambda: Gibbs(MASKED, 2.5), "candidates=2.5 must be a whole number of at least 2"),
    (lambda: run(sampler=Gibbs(MASKED, 5)), "candidates=5 must be at most 4: this vocabulary allows no more"),
    (lambda: run(sampler=Cycle([Gibbs(MASKED, 5)])), "candidates=5 must be at most 4: this vocabulary allows no more"),
    (lambda: run(sampler=MaskedResampling(MASKED, 5)), "top_k=5 must be at most 4: this vocabulary allows no more tok"),
    (
        lambda: Gibbs(MASKED, 4, block=40),
        "block=40 sites of candidates=4 tokens can be filled in more than 100,000 ways",
    ),
    (lambda: MultipleTry(MOVES, 10**12), r"tries=10+ must be at most 1,000,000"),
    (lambda: all_masks(WORDS, [10**12]), r"lengths\[0\]=10+ must be at most 100,000"),
    (lambda: geometric(1.0, "cold", 9), "end='cold' must be a positive number"),
    (lambda: Settled(True), "patience=True must be a whole number"),
    (lambda: Budget(rows=math.nan), "rows=nan must be a number above 0"),
    (lambda: AnnealedSMC(Uniform(WORDS), CHAIN, ess=math.nan), "ess=nan must be a share"),
    (lambda: run(sampler=SimulatedAnnealing(CHAIN, lambda step: "hot")), r"schedule\(0\)='hot' must be a positive"),
    # sums
    (lambda: 0 * FEW, "weight=0 of 'few a' must be a positive number; leave the term out"),
    (lambda: math.nan * FEW, "weight=nan of 'few a'"),
    (lambda: "2" * FEW, r"'few a' \* '2' weighs an objective with a string: pass a number"),
    (lambda: np.array([1, 2]) * FEW, "weighs an objective with a ndarray"),
    (lambda: FEW + 1, r"'few a' \+ 1 adds a number to an objective: only objectives add up"),
    (lambda: 1 + FEW, r"1 \+ 'few a' adds an objective to a number: only objectives add up; wrap a function"),
    (lambda: -FEW, "-'few a' would reward what the term forbids: energies add up"),
    (lambda: FEW - FEW, "'few a' - .* takes something away from an objective: energies add up"),
    (lambda: FEW / "a", "'few a' / 'a' divides an objective by a string"),
    (lambda: FEW / 0, "weight=0 below 'few a' must be a positive number"),
    (lambda: Sum((FEW, FEW)), r"terms\[0\]=.* is no pair of a weight and an objective"),
    (lambda: run(objective=FunctionObjective(lambda texts: [None] * len(texts), name="f")), r"'f' gave \[None\] for 1"),
    # tasks: no such models, so none has been loaded
    (
        lambda: keywords(["dog", "park"], causal="no"),
        r"sets=.* is a list of strings; pass one list of words for each sen",
    ),
    (lambda: keywords("dog park", causal="no"), "sets='dog park' is one string; pass a list of lists of words"),
    (lambda: keywords([["dog"], "cat"], causal="no"), r"sets\[1\]='cat' is one string; pass one list of words"),
    (lambda: keywords([["dog"]], causal="no", chains=0), "chains=0 must be at least 1"),
    (lambda: keywords([["dog"]], causal="no", drafts=0), "drafts=0 must be at least 1"),
    (lambda: keywords([["dog"]], causal=5), "causal=5 is a number, not a causal language model"),
    (lambda: keywords([["dog"]], causal=MASKED), "causal=.* is a masked language model, not a causal"),
    (lambda: keywords([["dog"]], causal=" "), "causal=' ' is empty"),
    (lambda: keywords([["dog"]], causal="no", sampler=CHAIN), "sampler=.* is a sampler already"),
    (lambda: keywords([["dog"]], causal="no", sampler="mh"), "sampler='mh' is a string: pass what makes a sampler"),
    (lambda: keywords([["dog"]], causal="no", until=5), "until=5 is a number"),
    (lambda: keywords([["dog"]], causal="no", lang=["en"]), r"lang=\['en'\] is no language"),
    (lambda: paraphrase("How?", causal="no"), r"texts='How\?' is one string; pass a list of texts"),
    (lambda: paraphrase(["How?"], causal="no", weights={"diversity": 2}), r"weights=.* is a dictionary: pass Weights"),
    (lambda: Weights(diversity=math.nan), "diversity=nan must be a positive number"),
    (lambda: correct("He go.", causal="no"), r"texts='He go.' is one string"),
    (
        lambda: correct(["He go."], causal="no", strictness=math.inf, confusions=ANY),
        "strictness=inf must be a positive",
    ),
    (lambda: infill("The [MASK].", causal="no"), r"texts='The \[MASK\].' is one string"),
    (lambda: write({"prefix": "The"}, causal="no"), "requests=.* is a dictionary; pass a list of requests"),
    (lambda: write([{"prefix": "The"}], causal="no", label_weight=math.nan), "label_weight=nan must be a positive"),
    (lambda: write([{"prefix": "The"}], causal="no", classifier=5), "classifier=5 is a number, not a text classifier"),
    (lambda: stream(["a"], paraphrase), r"task=\['a'\] is a list, not a task"),
    (lambda: stream(paraphrase, "a"), r"inputs='a' is one string"),
    (lambda: stream(paraphrase, ["a"], stepz=3), "takes no such settings .*'stepz'.*: choose from chains, steps"),
    # models and laws
    (lambda: masked_lm(device="gpu"), "device='gpu' is no device of torch"),
    (lambda: causal_lm(5), "name_or_path=5 is a number: pass a model, or the name or folder of one"),
    (lambda: causal_lm("a" * 300), "is no name or folder of a model"),
    (lambda: causal_lm(dtype="float32"), "dtype='float32' is a string: pass torch.float32"),
    (lambda: seq2seq_lm(None), "there is no default model of this kind"),
    (lambda: check_sampler(MOVES, ["a", "b"]), "sampler=.* is a proposal, not a sampler"),
    (lambda: check_objective(["a", "b"], FEW), "objective=.* is a list, not an objective"),
    # results
    (lambda: run().summary(), "tells nothing of convergence: run at least 2"),
    (lambda: run(steps=1, chains=2).summary(), "1 draws a chain are too few: at least 4 are needed"),
    (
        lambda: run(steps=9, chains=2, thin=1).summary(quantities=[len]),
        "quantities=.* is a list; pass a dictionary",
    ),
    (lambda: run(steps=9, chains=2, thin=1).summary(quantities={"b": str}), "quantity=.* is a class"),
    (lambda: run().plot("energy"), "warm_up='energy' must be a whole number"),
    (lambda: run().plot(3), "warm_up=3 must be at most 2, below the 3 steps taken"),
    (lambda: run().table("a"), "rows='a' must be a whole number"),
    (lambda: run().plot(names=["energy"]), "unexpected keyword argument 'names'"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_a_wrong_call_is_one_sentence(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert re.search(message, str(caught.value)), caught.value
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    plain = run(steps=3, seed=1, chains=2, temperature=0.5, warm_up=1, thin=1)
    for whole, real in ((np.int64, np.float64), (np.int32, np.float32), (torch.tensor, torch.tensor)):
        counts = {"steps": whole(3), "seed": whole(1), "chains": whole(2), "warm_up": whole(1), "thin": whole(1)}
        found = run(**counts, temperature=real(0.5))
        assert found.texts == plain.texts and type(found.warm_up) is int
    assert MultipleTry(MOVES, np.int64(3)) == MultipleTry(MOVES, 3)
    assert repr(Settled(np.int64(3))) == "Settled(patience=3)"
    assert repr(Budget(rows=torch.tensor(5), seconds=np.float64(2))) == repr(Budget(rows=5, seconds=2.0))
    assert Length(np.array([3, 4]), np.float64(2)) == Length((3, 4), 2.0)
    assert LengthBetween(np.int64(3), torch.tensor(5)) == LengthBetween(3, 5)
    assert ParallelTempering(CHAIN, np.array([1, 2])).temperatures == (1, 2)
    assert Only(FEW, np.array([0, 2])).inputs == (0, 2)
    for weight in (np.float64(2), np.int64(2), np.float32(2), torch.tensor(2.0), torch.tensor(2)):
        assert weight * FEW == FEW * weight == 2 * FEW
    assert sum([FEW, FEW]) == FEW + FEW
    assert InsertDelete(MASKED, insert=np.float32(0.5)).table == {(0, 1): 0.5, (1, 0): 0.5}


def test_whatever_goes_in_order_is_a_sequence() -> None:
    texts = ["ab", "b"]
    plain = run(inputs=texts)
    for given in (tuple(texts), np.array(texts), iter(texts), (text for text in texts), dict.fromkeys(texts).keys()):
        assert run(inputs=given).texts == plain.texts
    assert Keywords(np.array(["a", "b"])) == Keywords(["a", "b"])
    assert Fluency(CAUSAL, ["a", "b"]) == Fluency(CAUSAL, ("a", "b"))
    assert hash(Fluency(CAUSAL, ["a", "b"])) == hash(Fluency(CAUSAL, ("a", "b")))
    found = [
        answer.result.texts
        for answer in generate_each(FEW, CHAIN, iter(texts), steps=3, seed=0, in_order=True)
        if answer.result
    ]
    assert [text for texts in found for text in texts] == plain.texts


def test_parts_are_told_by_their_methods() -> None:
    """Somebody else's classes, that hand on to ours or have nothing of ours."""
    proposal: Any = Outer(MOVES)
    sampler: Any = Outer(MetropolisHastings(proposal))
    assert run(sampler=sampler).texts == run().texts
    model: Any = Outer(CAUSAL)
    assert run(objective=Fluency(model)).texts == run(objective=Fluency(CAUSAL)).texts
    assert run(objective=Outer(FEW)).texts == run().texts
    assert (FEW / 4).energy(WORDS.encode(["aa"])).tolist() == (0.25 * FEW).energy(WORDS.encode(["aa"])).tolist()
    near = Similarity(ArrayEncoder(), "a").energy(WORDS.encode(["a", "bb"])).tolist()
    assert near[0] == 0 < near[1]


def outcome(call: Callable[[], Any]) -> str:
    """What came of a call; fails unless it is a result, or a sentence that was written for it."""
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            # a warning is a result that says more
            warnings.simplefilter("ignore")
            call()
        answer = "result"
    except (ValueError, TypeError) as error:
        answer = "ValueError" if isinstance(error, ValueError) else "TypeError"
        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = Path(last.filename).is_relative_to(ROOT) and "raise" in (last.line or "")
        # of classes, whose constructors dataclasses write
        pythons = re.search(r"missing \d+ required|unexpected keyword|positional arguments? but", str(error))
        assert ours or pythons, "".join(traceback.format_exception(error))
        assert 10 < len(str(error)) < 1000, error
    assert time.process_time() - began < 5
    return answer


def test_random_calls_end_in_a_result_or_a_sentence() -> None:
    found = [outcome(Calls(seed, odds).call) for seed in range(75) for odds in (8, 40)]
    assert {"result", "ValueError", "TypeError"} == set(found)


@pytest.mark.reliability
def test_thousands_of_random_calls_end_in_a_result_or_a_sentence() -> None:
    found = [outcome(Calls(seed, odds).call) for seed in range(75, 1150) for odds in (8, 40)]
    assert found.count("result") > 300 < found.count("ValueError")


@pytest.fixture(scope="module")
def models(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("models")
    yield {
        "causal": str(roomy_causal(folder / "causal")),
        "masked": tiny.masked_path,
        "encoder": sentence_encoder(tiny_encoder(folder / "encoder"), device="cpu"),
    }


def test_random_calls_of_tasks(models: dict[str, Any]) -> None:
    found = [outcome(Calls(seed, 12, models).task) for seed in range(30)]
    assert {"result", "ValueError", "TypeError"} == set(found)


@pytest.mark.reliability
def test_thousands_of_random_calls_of_tasks(models: dict[str, Any]) -> None:
    found = [outcome(Calls(seed, odds, models).task) for seed in range(30, 560) for odds in (8, 40)]
    assert found.count("result") > 100 < found.count("TypeError")


def test_the_outcome_that_must_not_be_is_found() -> None:
    """The control: an error that nobody wrote fails."""
    for broken in (lambda: len(5), lambda: "a" + 5, lambda: int("x")):
        with pytest.raises(AssertionError, match="Error"):
            outcome(broken)
    with pytest.raises(IndexError):
        outcome(lambda: [][0])
