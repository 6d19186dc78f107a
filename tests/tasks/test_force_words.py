"""Words that must occur in what a model writes after a prompt: always there, and the law is the model's."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import SuffixResampling
from samplers.starts.phrase_beams import PhraseBeams
from tests.models.tiny import Tiny, roomy_causal
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective, force_words, generate
from textsearch.batch import Batch
from textsearch.models import adapted_causal_lm
from textsearch.models.phrases import Phrase, PhraseLM, Wanted
from textsearch.per_input import PerInput
from textsearch.rng import Rng
from textsearch.sampler import Guarantee
from textsearch.tasks.forcing import expression
from textsearch.testing import LawBroken, TableCausalLM, check_proposal, letters

TOY = TableCausalLM.random(letters("abc"), seed=2)
WANTED = Wanted((Phrase(((1, 2),)), Phrase(((3,),), ((2, 3),))))
LED = PhraseLM(TOY, PerInput("wanted", (WANTED,)), room=4)
TEXTS = ["".join(text) for size in range(5) for text in itertools.product("abc", repeat=size)]


class Unpriced:
    """A model that is led and says that it is not."""

    vocabulary = LED.vocabulary

    def draw_suffixes(self, *arguments: Any, **settings: Any) -> Any:
        batch, _, ended = LED.draw_suffixes(*arguments, **settings)
        log_prob = TOY.suffix_log_probs(batch, arguments[1], prompt=settings["prompt"])
        return batch, log_prob, ended

    def suffix_log_probs(self, batch: Batch, cuts: Tensor, **settings: Any) -> Tensor:
        return TOY.suffix_log_probs(batch, cuts, **settings)


def test_what_the_lead_does_is_priced() -> None:
    """Metropolis-Hastings takes the lead out again; where it is not priced, it is found."""
    assert "laws hold" in str(check_proposal(SuffixResampling(LED, max_length=4), TEXTS, chains=4000))
    with pytest.raises(LawBroken):
        check_proposal(SuffixResampling(Unpriced(), max_length=4), TEXTS, chains=4000)


@pytest.mark.parametrize("in_order", [False, True])
def test_a_draw_costs_what_it_says(in_order: bool) -> None:
    led = replace(LED, wanted=PerInput("wanted", (replace(WANTED, in_order=in_order),)))
    start = TOY.vocabulary.encode([""] * 200)
    none = torch.zeros(200, dtype=torch.int64)
    drawn, log_prob, ended = led.draw_suffixes(start, none, Rng.start(1, 200), prompt="b", temperature=0.7, most=5)
    priced = led.suffix_log_probs(drawn, none, prompt="b", temperature=0.7)
    assert bool(ended.any()) and not bool(ended.all())
    assert torch.allclose(log_prob[ended], priced[ended], atol=1e-9)


def score(texts: Sequence[str]) -> Tensor:
    return TOY.score(TOY.vocabulary.encode(texts), "b").log_prob


@pytest.mark.parametrize("glued", [frozenset(), frozenset({1})])
@pytest.mark.parametrize(
    ("phrases", "in_order", "holds"),
    [
        (WANTED.phrases, False, r"(?=.*abG)(?=.*cG|bcG)"),
        (WANTED.phrases, True, r".*abG.*cG"),
        ((Phrase(((3,),)), Phrase(((3,),))), False, r".*cG.*cG"),
        ((Phrase(((1, 1), (3, 3, 3))),), False, r".*(?:aaG|cccG)"),
    ],
)
def test_the_search_finds_the_likeliest_texts(
    phrases: tuple[Phrase, ...], in_order: bool, holds: str, glued: frozenset[int]
) -> None:
    """Among all texts, listed and told by an expression, if it keeps many; a narrow one finds texts that hold."""
    pattern = regex.compile(holds.replace("G", "(?!a)" if glued else ""))
    texts = [text for size in range(6) for text in map("".join, itertools.product("abc", repeat=size))]
    texts = [text for text in texts if pattern.match(text)]
    best = sorted(zip(score(texts).tolist(), texts, strict=True), reverse=True)[:5]
    beams = PhraseBeams(TOY, room=5, width=200, count=5, glued=glued)
    found = beams.search(["", "b"], [Wanted(phrases, in_order)] * 2)[1]
    assert [TOY.vocabulary.decode(Batch.of([one.tokens], TOY.vocabulary))[0] for one in found] == [t for _, t in best]
    assert [one.log_prob for one in found] == pytest.approx([value for value, _ in best])
    narrow = replace(beams, width=6).search(["b"], [Wanted(phrases, in_order)])[0]
    assert narrow
    assert {one.tokens for one in narrow} <= {tuple("_abc".index(letter) for letter in text) for text in texts}


def test_phrases_come_far_more_often_than_by_themselves() -> None:
    wanted = Wanted((Phrase(((1, 1, 2),)), Phrase(((3, 3, 1),))), in_order=True)
    wide = PhraseLM(TOY, PerInput("wanted", (wanted,)), room=30)
    start, none = TOY.vocabulary.encode([""] * 100), torch.zeros(100, dtype=torch.int64)
    shares = []
    for lm in (wide, TOY):
        texts, _, _ = lm.draw_suffixes(start, none, Rng.start(0, 100), prompt="", most=30)
        shares.append(np.mean([regex.search("aab.*cca", text) is not None for text in texts.texts()]))
    assert shares[0] > 0.9 > 0.2 > shares[1]


@pytest.mark.parametrize(
    ("words", "in_order", "text", "holds"),
    [
        (["rain"], False, "It may rain.", True),
        (["rain"], False, "A train.", False),
        (["rain"], False, "Rain!", False),
        (["sun", "rain"], False, "rain, then sun", True),
        (["sun", "rain"], True, "rain, then sun", False),
        (["sun", "rain"], True, "sun,\nthen rain", True),
        ([["cat", "cats"]], False, "two cats", True),
        (["New York"], False, "in New York.", True),
        (["公园"], False, "他在公园里。", True),
        (["C++"], False, "C++11 or C++", True),
        (["a.b"], False, "a-b", False),
        (["rain", "rain"], False, "rain", False),
        (["rain", "rain"], True, "rain, rain", True),
    ],
)
def test_whole_words_choices_and_order(words: Any, in_order: bool, text: str, holds: bool) -> None:
    choices = [[word] if isinstance(word, str) else word for word in words]
    assert (regex.search(expression(choices, in_order), text) is not None) is holds
    behind_a_word = regex.search(expression(choices, in_order, apart=False), text)
    assert (behind_a_word is not None) is (holds and not text.startswith(("rain", "sun")))
    assert (regex.search(expression(choices, in_order, apart=False), " " + text) is not None) is holds


@pytest.fixture(scope="module")
def pair(tiny: Tiny) -> tuple[Any, Any]:
    """As users of transformers have them: a model of eight words, whose texts have one spelling each."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(tiny.words_path), AutoTokenizer.from_pretrained(tiny.words_path)


SMALL: dict[str, Any] = {"chains": 4, "steps": 8, "max_length": 16, "seed": 1}
WORDS: list[str | Sequence[str]] = ["old dog", ["red", "cat"]]


def test_every_text_holds_the_words(pair: tuple[Any, Any]) -> None:
    result = force_words(*pair, ["the dog", "the cat sat"], WORDS, in_order=True, **SMALL)
    assert set(result.inputs.tolist()) == {0, 1} and result.sources == ["the dog", "the cat sat"]
    for text in [*result.texts, *result.best_texts]:
        assert regex.search(r"(?s)\bold dog\b.*\b(?:red|cat)\b", text), text
    assert (result.best_energies <= result.energies).all() and result.acceptance["suffix"].accepted > 8


def test_a_model_and_its_tokenizer_are_as_good_as_a_name(pair: tuple[Any, Any], tiny: Tiny) -> None:
    loaded = force_words(*pair, "the dog", WORDS, **SMALL)
    assert force_words(str(tiny.words_path), None, "the dog", WORDS, **SMALL).texts == loaded.texts
    assert force_words(tiny.words(), None, "the dog", WORDS, **SMALL).texts == loaded.texts
    ours, theirs = adapted_causal_lm(*pair), tiny.words()
    scores = [lm.score(lm.vocabulary.encode(["the dog sat"])).log_prob.item() for lm in (ours, theirs)]
    assert scores[0] == scores[1]


def test_a_text_may_end_with_a_mark_of_one_s_own(pair: tuple[Any, Any]) -> None:
    result = force_words(*pair, "the dog", ["cat"], end="and", **SMALL)
    assert all("cat" in text and "and" not in text for text in result.texts)


def test_no_text_is_an_error(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PhraseBeams, "search", lambda self, prompts, wanted: [[] for _ in prompts])
    with pytest.raises(ValueError, match="was found after 'the dog' by the search and 0 steps: raise max_length"):
        force_words(*pair, "the dog", WORDS, **SMALL | {"steps": 0})
    assert "cat" in force_words(*pair, "the dog", ["cat"], **SMALL).texts[0]  # chains find some by themselves


def test_each_prompt_may_have_words_of_its_own(pair: tuple[Any, Any]) -> None:
    """What the search finds for one does not depend on the others."""
    prompts = ["the dog", "the cat sat"]
    words: list[list[str | list[str]]] = [["cat", "cat"], ["red", ["old dog", "old cat"]]]
    result = force_words(*pair, prompts, words, each=True, **SMALL | {"steps": 0})
    assert len(result.texts) == 2 * SMALL["chains"] and result.texts == result.best_texts
    for text, number in zip(result.texts, result.inputs.tolist(), strict=True):
        held = regex.search(r"(?s)\A(?=.*\bred\b).*\bold (?:dog|cat)\b" if number else r"\bcat\b.*\bcat\b", text)
        assert held, text
    alone = force_words(*pair, prompts[1], words[1], **SMALL | {"steps": 0})
    assert alone.texts == result.texts[SMALL["chains"] :]
    moved = force_words(*pair, prompts[1], words[1], **SMALL | {"steps": 1})
    assert (alone.guarantee, moved.guarantee) == (Guarantee.BIASED, Guarantee.EXACT)


def test_no_word_goes_on_with_the_last_word_of_the_prompt(tiny: Tiny) -> None:
    for prompt, before in (("the dog", r"\W"), ("the dog ", r"(?<!\w)")):
        result = force_words(str(tiny.causal_path), None, prompt, ["cat"], chains=4, steps=3, max_length=12)
        assert all(regex.search(rf"{before}cat(?!\w)", text) for text in result.texts + result.best_texts)


def test_a_word_that_no_text_can_hold_is_told(pair: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="the tokenizer cannot write 'zebra': 'zebra' comes back as"):
        force_words(*pair, "the dog", ["cat", "zebra"], **SMALL)
    assert "cat" in force_words(*pair, "the dog", [["zebra", "cat"]], **SMALL | {"steps": 0}).texts[0]


PAGE = Path(__file__).parents[2] / "docs" / "force_words.md"


def test_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a random model in the place of the page's."""
    page = PAGE.read_text("utf-8")
    code = "\n".join(regex.findall(r"(?s)```python\n(.*?)```", page))
    name = '"HuggingFaceTB/SmolLM2-135M-Instruct"'
    assert code.count(name) == 1 and len(page.splitlines()) <= 60
    names: dict[str, Any] = {}
    exec(compile(code.replace(name, repr(str(roomy_causal(tmp_path)))), str(PAGE), "exec"), names)
    assert "New York" in names["result"].best_texts[0]
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"words": []}, "words is empty"),
        ({"words": "rain"}, "words='rain' is one string"),
        ({"words": ["a", []]}, r"words\[1\] is an empty choice"),
        ({"words": [" a"]}, r"words\[0\] holds ' a': write it without spaces"),
        ({"words": [["a"], ["b"]], "each": True}, "words holds 2 lists, for 1 prompts: pass one for each"),
        ({"words": [["a", []]], "each": True}, r"words\[0\]\[1\] is an empty choice"),
        ({"each": 3}, "each=3"),
        ({"words": [3]}, r"words\[0\]=3"),
        ({"words": ["a"] * 21}, "21 words are more than the 20"),
        ({"prompts": []}, "prompts is empty"),
        ({"prompts": 3}, "prompts=3"),
        ({"chains": 0}, "chains=0"),
        ({"max_length": 2, "words": ["old dog", "red cat"]}, "max_length=2 leaves no room"),
        ({"power": 0}, "power=0"),
        ({"num_beams": 4}, r"force_words\(\) has no argument num_beams=4"),
        ({"end": "two words"}, "and must be one"),
        ({"tokenizer": None}, "pass the tokenizer that belongs to it"),
        ({"model": "gpt2"}, "pass None, the name says which it is"),
        ({"model": 3}, "model=3 is a number, not a model of transformers"),
        ({"tokenizer": 3}, "tokenizer=3 is a number, not a fast tokenizer"),
    ],
)
def test_a_wrong_call_is_told(settings: dict[str, Any], said: str, pair: tuple[Any, Any]) -> None:
    given = {"model": pair[0], "tokenizer": pair[1], "prompts": "the cat", "words": ["dog"], **SMALL, **settings}
    with pytest.raises((ValueError, TypeError), match=said):
        force_words(**given)


def test_the_law_is_that_of_the_model_among_texts_with_the_words() -> None:
    """On a toy, by enumeration: chains that are led end where the model's own law has them."""
    texts = [
        "".join(text)
        for size in range(5)
        for text in itertools.product("abc", repeat=size)
        if "ab" in "".join(text) and "c" in text
    ]
    hold = FunctionObjective(lambda found: [0.0 if "ab" in text and "c" in text else np.inf for text in found])
    sampler = MetropolisHastings(SuffixResampling(LED, max_length=4))
    result = generate(Fluency(TOY) + hold, sampler, ["abc"], steps=15, seed=0, chains=600)
    law = TOY.score(TOY.vocabulary.encode(texts)).log_prob.softmax(0).numpy()
    counts = Counter(result.texts)
    off = [(counts[text] - 600 * p) ** 2 / (600 * p) for text, p in zip(texts, law, strict=True)]
    assert sum(off) < 2.5 * len(texts)
    free = Counter(
        TOY.vocabulary.decode(
            LED.draw_suffixes(
                TOY.vocabulary.encode([""] * 1000), torch.zeros(1000, dtype=torch.int64), Rng.start(5, 1000), most=4
            )[0]
        )
    )
    held = sum(free[text] for text in texts)
    control = [(free[text] - held * p) ** 2 / (held * p) for text, p in zip(texts, law, strict=True)]
    assert sum(control) > 2.5 * len(texts)
