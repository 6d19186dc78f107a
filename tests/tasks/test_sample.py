"""Draws that parse: the law by enumeration, what is refused, what goes on, and what is said of the draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from torch import Tensor

from objectives import Choices, Pattern
from objectives.grammar import shipped
from objectives.language import LanguageObjective
from samplers import MetropolisHastings, MultipleTry, SimulatedAnnealing
from tests.models.tiny import roomy_causal
from textsearch import FunctionObjective, Generations, Objective, causal_lm, load, partial_result, sample
from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.models.causal import TransformersCausalLM
from textsearch.sampler import Guarantee
from textsearch.schedule import constant
from textsearch.tasks import Models, Sampling, stream
from textsearch.tasks.sampling import build, constraint_of
from textsearch.tasks.trust import FORGOTTEN, Account, accounts, report
from textsearch.testing import TableCausalLM, letters

TOY = TableCausalLM.random(letters("abc"), seed=3, scale=0.8)
LANGUAGE = ("ab", "c", "a", "bb", "cab")


def law(texts: Sequence[str], prompt: str, power: float = 1.0) -> np.ndarray[Any, Any]:
    """(S,) the probability of each text among them, by enumeration."""
    log_prob = power * TOY.score(TOY.vocabulary.encode(texts), prompt).log_prob
    return np.asarray(log_prob.softmax(0))


def fits(found: Sequence[str], texts: Sequence[str], wanted: np.ndarray[Any, Any]) -> float:
    """p-value of draws under a law."""
    counts = Counter(found)
    assert set(counts) <= set(texts)
    observed = np.array([counts[text] for text in texts])
    expected = wanted * len(found)
    rare = expected < 8
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    return float(scipy.stats.chisquare(observed[kept], expected[kept]).pvalue)


@pytest.mark.parametrize(
    ("method", "power", "steps"),
    [
        ("rejection", 1.0, 0),
        ("rejection", 2.0, 0),
        ("chains", 1.0, 80),
        ("chains", 2.0, 80),
        ("particle-gibbs", 1.0, 6),
    ],
)
def test_draws_follow_the_law_of_the_model_over_what_is_allowed(method: str, power: float, steps: int) -> None:
    """In rows of two prompts, each with its own law."""
    result = sample(
        ["a", "cb"],
        choices=LANGUAGE,
        draws=500,
        method=method,
        power=power,
        steps=steps,
        tries=2000,
        causal=TOY,
        max_length=6,
    )
    assert len(result) == 1000 and result.drawn and result.guarantee is Guarantee.EXACT
    for number, prompt in enumerate(["a", "cb"]):
        own = [text for text, of in zip(result.texts, result.inputs, strict=True) if of == number]
        assert fits(own, LANGUAGE, law(LANGUAGE, prompt, power)) > 1e-4
        # the control: the law after another prompt, or of another power, is told from it
        assert fits(own, LANGUAGE, law(LANGUAGE, "b", power)) < 1e-4
        assert fits(own, LANGUAGE, law(LANGUAGE, prompt, 3.0 - power)) < 1e-4


@pytest.mark.parametrize("method", ["rejection", "chains"])
def test_what_finds_no_end_is_no_draw(method: str) -> None:
    """The texts are those of at most three letters, each with its end; one that was cut would be too likely."""
    anything = FunctionObjective(lambda texts: [0.0 if text else math.inf for text in texts], name="anything")
    bounded = anything if method == "chains" else Bounded(anything)
    result = sample(["a"], constraint=bounded, draws=2000, method=method, steps=30, tries=500, causal=TOY, max_length=3)
    texts = [a + b + c for a in "abc" for b in ("", *"abc") for c in ("", *"abc") if b or not c]
    assert fits(result.texts, texts, law(texts, "a")) > 1e-4
    cut = np.asarray(TOY.score(TOY.vocabulary.encode(texts), "a").log_prob.exp())
    cut[[len(text) == 3 for text in texts]] *= 2.0
    assert fits(result.texts, texts, cut / cut.sum()) < 1e-4


class Bounded(Objective):
    """A term that says that it is never negative."""

    lower_bound = 0.0

    def __init__(self, term: Objective) -> None:
        self.term = term

    def energy(self, batch: Batch) -> Tensor:
        return self.term.energy(batch)


class Narrow(LanguageObjective):
    """Some texts, of which the mask leaves one out and lets one pass that is none."""

    languages = Pattern("|".join(LANGUAGE), full=True).languages

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        return Choices((*LANGUAGE[1:], "ca")).allowed_next(beginnings)


@pytest.mark.parametrize("method", ["chains", "particle-gibbs"])
def test_what_a_mask_leaves_out_is_drawn_too_and_counted(method: str) -> None:
    """And what it lets through that is not allowed is not."""
    settings: dict[str, Any] = {"draws": 150, "method": method, "steps": 12, "tries": 2, "causal": TOY, "max_length": 6}
    result = sample(["a"], constraint=Narrow(), **settings)
    assert "ab" in result.texts and set(result.texts) <= set(LANGUAGE)
    assert fits(result.texts, LANGUAGE, law(LANGUAGE, "a")) > 1e-4
    (account,) = accounts(result)
    # two texts that differ, each counted once a step
    assert 0 < account.narrow <= result.steps and 0 < account.wide <= result.steps
    assert account.narrow + account.wide < account.judged
    said = f"mask and parser differ on {account.narrow + account.wide} of {account.judged} texts"
    shown = " ".join(str(report(result)).split())
    assert said in shown and f"the mask forbids {account.narrow} that it accepts" in shown


def test_a_mask_that_is_right_has_nothing_to_count() -> None:
    settings: dict[str, Any] = {"draws": 20, "tries": 2, "steps": 5, "causal": TOY, "max_length": 6}
    result = sample(["a"], regex="|".join(LANGUAGE), **settings)
    (account,) = accounts(result)
    assert account.judged and not account.narrow and not account.wide
    assert f"agree on the {account.judged} texts" in str(report(result))
    # where there is no mask there is nothing to compare
    (nothing,) = accounts(sample(["a"], constraint=Pattern("b", forbid=True), **settings))
    assert nothing.judged == 0


def test_weighted_texts_are_picked_by_their_weights() -> None:
    """Of large populations, so that the law is near; the weights left out are told from it."""
    settings: dict[str, Any] = {"choices": LANGUAGE, "method": "weighted-rejection", "causal": TOY, "max_length": 6}
    result = sample(["a", "cb"], draws=2000, **settings)
    assert len(result) == 4000 and result.guarantee is Guarantee.CONSISTENT
    for number, prompt in enumerate(["a", "cb"]):
        own = [text for text, of in zip(result.texts, result.inputs, strict=True) if of == number]
        wanted = law(LANGUAGE, prompt)
        found = np.array([own.count(text) for text in LANGUAGE]) / len(own)
        assert abs(found - wanted).sum() / 2 < 0.04
        assert abs(found - law(LANGUAGE, "b")).sum() / 2 > 0.05
    few = sample(["a"], draws=3, **settings)
    (account,) = accounts(few)
    assert len(few) == 3 and account.word.startswith("nearly: ") and 3 < account.effective <= 64
    log_z = float(TOY.score(TOY.vocabulary.encode(LANGUAGE), "a").log_prob.logsumexp(0))
    assert abs(account.log_z - log_z) < 0.5 and not account.trusted
    with pytest.raises(ValueError, match="max_length=1 is too small for pattern: each text that is allowed has more"):
        sample(["a"], draws=3, **{**settings, "max_length": 1, "choices": None, "regex": "c{8}"})
    nothing = FunctionObjective(lambda texts: [math.inf] * len(texts))
    with pytest.raises(ValueError, match="64 particles, all of which came to nothing: raise draws"):
        sample(["a"], draws=3, **{**settings, "choices": None, "constraint": nothing})


def test_masked_decoding_is_another_law_and_says_so() -> None:
    result = sample(["a"], choices=LANGUAGE, draws=1500, method="masked", causal=TOY, max_length=6)
    assert len(result) == 1500 and result.guarantee is Guarantee.BIASED
    assert fits(result.texts, LANGUAGE, law(LANGUAGE, "a")) < 1e-4
    (account,) = accounts(result)
    assert not account.trusted and account.word.startswith("no: ") and math.isnan(account.log_z)


def test_soft_terms_tilt_the_law() -> None:
    few = FunctionObjective(lambda texts: [0.7 * text.count("a") for text in texts], name="few a")
    result = sample(["a"], constraint=Choices(LANGUAGE) + few, draws=600, steps=60, causal=TOY, max_length=6)
    wanted = law(LANGUAGE, "a") * np.exp([-0.7 * text.count("a") for text in LANGUAGE])
    assert fits(result.texts, LANGUAGE, wanted / wanted.sum()) > 1e-4
    assert fits(result.texts, LANGUAGE, law(LANGUAGE, "a")) < 1e-4


class Unseen(Narrow):
    """The language, of which nothing is proven before a text is whole: some draws find none."""

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        return None

    def living_next(self, beginnings: Beginnings) -> Tensor | None:
        return None

    def too_long(self, beginnings: Beginnings, room: Sequence[int]) -> Tensor | None:
        return None

    def within(self, beginnings: Beginnings, room: Sequence[int], *, proven: bool) -> Tensor | None:
        return None


def test_chains_take_over_where_rejection_has_no_luck() -> None:
    result = sample(["a"], constraint=Unseen(), draws=300, tries=4, steps=120, causal=TOY, max_length=6)
    (account,) = accounts(result)
    assert 0 < account.independent < account.draws == 300
    assert account.trusted and account.word.startswith("yes: ") and "from chains" in account.word
    assert fits(result.texts, LANGUAGE, law(LANGUAGE, "a")) > 1e-4
    assert "rest" not in result.acceptance
    again = sample(["a"], choices=LANGUAGE, draws=300, tries=1000, steps=30, causal=TOY, max_length=6)
    (account,) = accounts(again)
    assert (
        account.independent == 300
        and again.steps < 300
        and account.word == "yes: independent draws by rejection, exact"
    )


def test_an_answer_is_every_draw_in_order(tmp_path: Path) -> None:
    result = sample(["a", "b"], choices=["ab", "c"], draws=6, causal=TOY, max_length=4)
    records = result.to_records()
    assert [record["text"] for record in records] == result.texts and len(records) == 12
    assert [record["input"] for record in records] == [0] * 6 + [1] * 6
    assert result.sources == ["a", "b"]
    assert sum(result.texts[0] in line for line in str(result).splitlines()) > 1
    result.save(tmp_path / "kept")
    assert load(tmp_path / "kept").to_records() == records


def test_no_draw_is_an_error_that_carries_the_others() -> None:
    only = Choices([["ab", "c"], ["cccccccc"]])
    with pytest.raises(ValueError, match="no text that is allowed was found after 'cc'") as caught:
        sample(["a", "cc"], constraint=only, draws=5, tries=30, method="rejection", causal=TOY, max_length=6)
    assert "raise tries" in str(caught.value)
    partial = partial_result(caught.value)
    assert partial is not None and set(partial.inputs.tolist()) == {0} and set(partial.texts) <= {"ab", "c"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "nothing says what a text must be"),
        ({"choices": ["a"], "regex": "a"}, "regex and choices both say what a text must be"),
        ({"choices": []}, "choices is empty"),
        ({"choices": "ab"}, "choices='ab' is one string"),
        ({"choices": ["a", " "]}, "choices holds ' ', which is no text to read"),
        ({"regex": "a+\n"}, "ends with the end of a line"),
        ({"regex": ""}, "matches the empty text alone"),
        ({"constraint": 2 * Pattern("", forbid=True)}, "allows no text at all"),
        ({"grammar": " "}, "is empty"),
        ({"json_schema": 3}, "json_schema=3 is a number"),
        ({"constraint": "a"}, "constraint='a' is a string, not an objective"),
        ({"choices": ["abc", "abab"], "max_length": 2}, "max_length=2 is too small for choices: .* has 3 tokens"),
        ({"choices": ["a"], "draws": 0}, "draws=0 must be at least 1"),
        ({"choices": ["a"], "power": 0}, "power=0 must be a positive number"),
        (
            {"choices": ["a"], "method": "nuts"},
            "method='nuts' is none of auto, rejection, chains, particle-gibbs, weighted",
        ),
        ({"choices": ["a"], "max_length": 0}, "max_length=0 must be at least 1 token"),
        ({"choices": ["a"], "method": "rejection", "power": 0.5}, "power=0.5 is below 1"),
        ({"choices": ["a"], "temperature": 0.7}, r"sample\(\) has no argument temperature=0.7"),
        ({"choices": ["a"], "steps": -1}, "steps=-1"),
    ],
)
def test_a_wrong_call_is_told_before_anything_runs(settings: dict[str, Any], said: str) -> None:
    before = TOY.usage.rows
    with pytest.raises((ValueError, TypeError), match=said):
        sample(["a"], causal=TOY, **settings)
    assert TOY.usage.rows == before


def test_prompts_must_be_there() -> None:
    for prompts, said in (([], "prompts is empty"), ("a", "prompts='a' is one string")):
        with pytest.raises((ValueError, TypeError), match=said):
            sample(prompts, choices=["a"], causal=TOY)


class Asked:
    """A model that puts a request between marks."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(TOY, name)

    def ask(self, request: str, examples: Sequence[tuple[str, str]] = ()) -> str:
        self.seen.append(request)
        return f"c{request}c"


def test_a_prompt_is_a_request_if_the_model_takes_requests() -> None:
    settings: dict[str, Any] = {"choices": LANGUAGE, "draws": 30, "steps": 5, "max_length": 6}
    asked = sample(["a"], causal=Asked(), **settings)
    assert asked.texts == sample(["cac"], causal=TOY, **settings).texts
    assert asked.texts != sample(["a"], causal=Asked(), chat=False, **settings).texts
    assert asked.sources == ["a"]


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> TransformersCausalLM:
    return causal_lm(roomy_causal(tmp_path_factory.mktemp("causal")), device="cpu")


SMALL: dict[str, Any] = {"choices": ["the dog", "a cat", "no"], "draws": 3, "steps": 6, "max_length": 12}


def test_a_run_that_was_broken_off_goes_on(lm: TransformersCausalLM, tmp_path: Path) -> None:
    prompts = ["who?", "and what?"]
    settings = SMALL | {"method": "chains"}
    whole = sample(prompts, causal=lm, **settings)
    broken = sample(
        prompts,
        causal=lm,
        checkpoint=tmp_path / "run",
        every=0.001,
        until=lambda progress: progress.step == 4,
        **settings,
    )
    assert broken.steps == 4
    again = sample(prompts, causal=lm, checkpoint=tmp_path / "run", **settings)
    assert again.texts == whole.texts and again.trace.tolist() == whole.trace.tolist()


def test_a_population_that_is_kept_on_disk_is_picked_from(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"choices": LANGUAGE, "draws": 6, "max_length": 6, "method": "weighted-rejection"}
    whole = sample(["a", "cb"], causal=TOY, **settings)
    kept = sample(["a", "cb"], causal=TOY, checkpoint=tmp_path / "run", every=0.001, **settings)
    assert kept.texts == whole.texts and kept.inputs.tolist() == whole.inputs.tolist()


def test_a_stream_answers_as_one_call_does(lm: TransformersCausalLM) -> None:
    prompts = ["who?", "and what?", "why not the dog?"]
    whole = sample(prompts, causal=lm, **SMALL).to_records()
    for size in (1, 3):
        found: list[Any] = list(stream(sample, prompts, batch_inputs=size, causal=lm, **SMALL))
        assert [[one["text"] for one in record["texts"]] for record in found] == [
            [one["text"] for one in whole if one["input"] == number] for number in range(3)
        ]


def test_one_s_own_sampler_moves_by_new_ends(lm: TransformersCausalLM) -> None:
    problem = build(["who?"], Sampling(**{**SMALL, "draws": 2}), Models(causal=lm))
    assert problem.moves.kinds == ("suffix",)
    settings: dict[str, Any] = {"choices": LANGUAGE, "draws": 200, "steps": 60, "causal": TOY, "max_length": 6}
    result = sample(["a"], sampler=lambda moves: MultipleTry(moves, 2), **settings)
    assert result.acceptance["suffix"].proposed > 0 and accounts(result)[0].independent == 0
    assert fits(result.texts, LANGUAGE, law(LANGUAGE, "a")) > 1e-4
    assert sample(["a"], sampler=MetropolisHastings, **settings).guarantee is Guarantee.EXACT
    searched = sample(
        ["a"], sampler=lambda moves: SimulatedAnnealing(MetropolisHastings(moves), constant(0.5)), **settings
    )
    assert searched.guarantee is Guarantee.BIASED


def with_trace(trace: np.ndarray[Any, Any], recorded: dict[str, Any], result: Generations) -> Generations:
    return replace(result, trace=trace, recorded={**result.recorded, **recorded})


def test_a_word_on_chains_that_have_not_forgotten() -> None:
    result = sample(["a"], choices=LANGUAGE, draws=8, method="chains", steps=60, causal=TOY, max_length=6)
    rng = np.random.default_rng(0)
    free = rng.normal(size=(60, 8))
    stuck = np.arange(8.0) + 0.01 * free
    everywhere = {"moved": np.ones((60, 8), bool), "independent": np.zeros((60, 8), bool)}
    words: Callable[[Any], Account] = lambda trace: accounts(with_trace(trace, everywhere, result))[0]  # noqa: E731
    assert words(free).trusted and words(free).times > FORGOTTEN and words(free).effective == 8
    assert not words(stuck).trusted and "take more --steps" in words(stuck).word and words(stuck).effective < 8
    still = with_trace(np.zeros((60, 8)), everywhere | {"accepted": np.zeros((60, 8), bool)}, result)
    assert not accounts(still)[0].trusted
    biased = replace(with_trace(free, everywhere, result), guarantee=Guarantee.BIASED)
    assert not accounts(biased)[0].trusted and accounts(biased)[0].word.startswith("no: ")


def test_a_report_is_a_table_with_a_word_for_each_prompt() -> None:
    shown = str(report(sample(["a", "b"], choices=LANGUAGE, draws=20, tries=1000, causal=TOY, max_length=6)))
    assert "independent" in shown and "log Z" in shown and "trusted: 2 of 2 prompts" in shown


def test_a_grammar_that_comes_along_has_a_name() -> None:
    assert constraint_of(Sampling(grammar="iso_date")) == constraint_of(Sampling(grammar=shipped("iso_date")))
    with pytest.raises(ValueError, match="no grammar in Lark's form"):
        constraint_of(Sampling(grammar="iso_dates"))
