"""Gaps of unknown length, words of which the beginning is given, and what their probabilities are."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from samplers import MetropolisHastings
from samplers.proposals import SpanEdit
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from tests.samplers.laws import chi_square
from textsearch import FunctionObjective, Generations, generate
from textsearch.batch import Batch
from textsearch.models.rendered import gapped
from textsearch.objective import Objective
from textsearch.tasks import infill
from textsearch.tasks.gaps import Gap, GapWords, parts_of
from textsearch.tasks.infilling import EDITS, closed, gap_words_of, longer
from textsearch.tasks.met import listed
from textsearch.testing import TableMaskedLM, letters

MODEL = TableMaskedLM.random(letters("abc"), seed=1)
TEXT = "a[MASK{1,3}]b"
LAW_TEXTS = ["a" + "".join(word) + "b" for size in (1, 2, 3) for word in itertools.product("abc", repeat=size)]
ENERGIES = dict(zip(LAW_TEXTS, (0.9 * np.random.default_rng(5).normal(size=len(LAW_TEXTS))).tolist(), strict=True))
TABLE = FunctionObjective(lambda texts: [ENERGIES.get(text, 1.0) for text in texts], name="table")


def gaps_of(text: str) -> tuple[Batch, GapWords]:
    """The row of a text, and its constraint."""
    one = parts_of(text, stems=False)
    parts, _ = one.masks("")
    _, gaps = gapped(MODEL.vocabulary, [parts])
    return gaps, gap_words_of([one], gaps)


def numbers_of(objective: Objective, start: Batch, steps: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The numbers of the final texts of chains that start on the law."""
    chain = MetropolisHastings(SpanEdit(MODEL, EDITS, (1.0,), 8))
    run = generate(objective, chain, start, steps=steps, seed=2)
    places = {text: number for number, text in enumerate(LAW_TEXTS)}
    return np.array([places.get(text, -1) for text in run.texts])


def start_on_the_law(chains: int) -> tuple[Batch, GapWords, np.ndarray[Any, np.dtype[np.float64]]]:
    """Rows drawn exactly, with only the gap editable."""
    gaps, words = gaps_of(TEXT)
    law = np.exp(-np.array(list(ENERGIES.values())))
    law /= law.sum()
    drawn = np.random.default_rng(0).choice(len(law), size=chains, p=law)
    batch = MODEL.vocabulary.encode([LAW_TEXTS[number] for number in drawn])
    last = torch.arange(batch.width) == batch.lengths[:, None] - 1
    first = torch.arange(batch.width) == 0
    batch = replace(batch.frozen(first | last), inputs=torch.zeros(chains, dtype=torch.int64))
    assert gaps.texts() == ["a_b"]
    return batch, words, law


def test_a_gap_of_unknown_length_is_drawn_from_the_law_of_all_that_fits() -> None:
    batch, words, law = start_on_the_law(1500)
    # what closing saves is passes: a word outside the gap is forbidden in any case
    for start in (batch, closed(batch, [True])):
        right = numbers_of(TABLE + words, start, 4)
        assert right.min() >= 0 and chi_square(right, law) > 1e-4
    # broken twins: lengths that nobody minds, and a bound that is too low
    assert numbers_of(TABLE, closed(batch, [True]), 4).min() == -1
    few = replace(words, high=words.high - (words.high == 3).long())
    short = batch.rows(batch.lengths < 5).repeat(3)
    assert chi_square(numbers_of(TABLE + few, closed(short, [True]), 4), law) < 1e-9


def test_chains_start_from_gaps_of_several_lengths() -> None:
    gaps, words = gaps_of("[MASK*]a[MASK{2,3}]b[MASK]")
    rows = longer(gaps, words, 6)
    assert rows.texts() == ["_a__b_", "__a___b_", "___a__b_", "____a___b_", "_a__b_", "__a___b_"]
    assert rows.inputs.tolist() == [0] * 6
    assert words.energy(rows).tolist() == [0.0] * 6
    too_long = longer(gaps, replace(words, high=words.high + 9), 4)
    assert words.energy(too_long).tolist() == [0.0, math.inf, math.inf, math.inf]


@pytest.mark.parametrize(
    ("text", "parts", "gaps"),
    [
        ("The [MASK] ran", ("The ", " ran"), (Gap(),)),
        ("[MASK*]", ("", ""), (Gap(1, None),)),
        ("a [mask{2}] b", ("a ", " b"), (Gap(2, 2),)),
        ("a [MASK{2,}] b", ("a ", " b"), (Gap(2, None),)),
        ("a [MASK{12,34}] b", ("a ", " b"), (Gap(12, 34),)),
        ("I wal[MASK].", ("I ", "."), (Gap(stem="wal"),)),
        ("(Wal___) 19<mask>", ("(", ") ", ""), (Gap(stem="Wal"), Gap(stem="19"))),
        ("[MASK]wal[MASK*]", ("", "", ""), (Gap(), Gap(1, None, "wal"))),
        ("semi-[MASK] [MASKED] 我[MASK]", ("semi-", " [MASKED] 我", ""), (Gap(), Gap())),
    ],
)
def test_how_gaps_are_written(text: str, parts: tuple[str, ...], gaps: tuple[Gap, ...]) -> None:
    found = parts_of(text)
    assert (found.parts, found.gaps) == (parts, gaps)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a [MASK+] b", r"'a \[MASK\+\] b': \[MASK\+\] is no gap: write \[MASK\] for one word, \[MASK\*\]"),
        ("a [MASK 2] b", r"\[MASK 2\] is no gap"),
        ("a [MASK{}] b", r"\[MASK\{\}\] is no gap"),
        ("a [MASK{0,2}] b", r"\[MASK\{0,2\}\] has room for no word"),
        ("a [MASK{4,1}] b", r"\[MASK\{4,1\}\] has room for no word: give it one at least, the fewest first"),
        ("a [MASK{1000}] b", r"\[MASK\{1000\}\] takes more than the 64 tokens"),
        ("a [MASK*] wal[MASK]", r"the beginning of a word right behind a gap of unknown length"),
    ],
)
def test_what_is_no_gap(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        infill([text], causal="no/such/model", masked="no/such/model")


@pytest.mark.parametrize(
    ("settings", "text", "message"),
    [
        ({"exact": True}, "a [MASK] [MASK]", r"exact=True reads every word in one gap of one word, and this has more"),
        ({"exact": True}, "a [MASK*]", "exact=True reads every word in one gap of one word"),
        ({"exact": True, "different": True}, "a [MASK]", "leave one of them out"),
        (
            {"different": True, "chains": 1},
            "a [MASK]",
            "different=True keeps the texts of an input apart, and chains=1",
        ),
        ({"different_weight": 0}, "a [MASK]", "different_weight=0 must be a positive number"),
    ],
)
def test_settings_that_contradict(settings: dict[str, Any], text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        infill([text], **settings, causal="no/such/model", masked="no/such/model")


LONG = [
    "NASA's iPhone [MASK*] costs $5.00 at 3:00pm, OK?",
    "The café\tin [MASK{2,3}] São Paulo is 😀 ___.",
    "[MASK{1,2}]\n\n你好 (see [mask])  ",
]


def test_nothing_outside_long_gaps_changes(tiny: Tiny) -> None:
    result = infill(LONG, chains=4, steps=20, causal=tiny.causal(), masked=tiny.masked(), seed=0)
    sizes: dict[int, set[int]] = {}
    for row, text in enumerate(result.texts):
        number = row // 4
        (before, *between, behind), gaps = parts_of(LONG[number]).parts, parts_of(LONG[number]).gaps
        assert text.startswith(before) and text.endswith(behind)
        middle = text[len(before) : len(text) - len(behind)]
        fills = [middle] if not between else list(middle.split(between[0]))
        assert len(fills) == len(gaps)
        for fill, gap in zip(fills, gaps, strict=True):
            words = fill.split(" ")
            assert all(word and word[0].isalnum() for word in words), fill
            assert gap.low <= len(words) <= (gap.high or 99)
        sizes.setdefault(number, set()).add(len(fills[0].split(" ")))
    assert len(sizes[0]) > 1
    shown = result.to_records()
    assert sum(record["probability"] for record in shown if record["input"] == 0) == pytest.approx(1.0)  # type: ignore[misc]


def test_a_word_begins_as_it_is_given(tiny: Tiny) -> None:
    texts = ["The s[MASK] ran.", "THE Sa[MASK] (so", "xq[MASK] is rare"]
    result = infill(texts, chains=6, steps=30, causal=tiny.causal(), masked=tiny.masked(), seed=0)
    for row, text in enumerate(result.texts):
        one = parts_of(texts[row // 6])
        begin, end = one.parts
        assert text.startswith(begin + one.gaps[0].stem) and text.endswith(end)
        assert text[len(begin) : len(text) - len(end)].isalnum()
    assert len(set(result.texts[:6])) > 1


def singles(tiny: Tiny) -> Batch:
    """Each token by itself."""
    from textsearch.batch import every_token

    vocabulary = tiny.masked().vocabulary
    return every_token(vocabulary).rows(vocabulary.allowed & ~vocabulary.continues)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_enumeration_gives_the_probabilities_of_the_law(tiny: Tiny, temperature: float) -> None:
    lm, text = tiny.causal(), "the dog [MASK] home"
    settings: dict[str, Any] = {"causal": lm, "masked": tiny.masked(), "temperature": temperature}
    run = infill([text], exact=True, chains=3, marks=True, **settings)
    records = run.to_records()
    found = {str(record["text"]): record for record in records}
    _, gaps = gapped(tiny.masked().vocabulary, [["the dog ", " home"]])
    tokens = singles(tiny).tokens[:, 0]
    every = gaps.repeat(len(tokens)).with_tokens(torch.full_like(tokens, 2), tokens).texts()
    assert all(text.startswith("the dog ") and text.endswith(" home") for text in every)
    batch = lm.vocabulary.encode(list(dict.fromkeys(every)))
    scores = dict(zip(dict.fromkeys(every), lm.score(batch).log_prob.tolist(), strict=True))
    total = sum(math.exp(score / temperature) for score in scores.values())
    for name, record in found.items():
        share = math.exp(scores[name] / temperature) / total
        assert record["probability"] == pytest.approx(share, rel=1e-4)
    assert run.steps == 0 and run.best_texts[0] == records[0]["text"] and len(set(run.best_texts)) == 3


def of_samples(texts: list[list[str]], energies: list[list[float]]) -> Generations:
    """A run with these texts and energies after each step."""
    table = {
        text: energy
        for own, other in zip(texts, energies, strict=True)
        for text, energy in zip(own, other, strict=True)
    }
    known = FunctionObjective(lambda texts: [table.get(text, 9.0) for text in texts], name="table")
    chain = MetropolisHastings(SpanEdit(MODEL, {(1, 1): 1.0}))
    run = generate(known, chain, texts[0], steps=len(texts), seed=0, thin=1)
    return replace(
        run,
        samples=texts,
        trace=np.array(energies),
        term_traces={"table": np.array(energies)},
        inputs=np.zeros(len(texts[0]), dtype=np.int64),
        best_texts=texts[0],
        best_energies=np.array(energies[0]),
        best_terms={"table": np.array(energies[0])},
        concerned={0: {"table": "table"}},
    )


def test_texts_that_were_met_share_the_probability() -> None:
    run = of_samples([["a", "b"], ["b", "c"], ["c", "a"]], [[1.0, 2.0], [2.0, 0.5], [0.5, 1.0]])
    told = listed(run, texts=["_"], temperature=0.5).to_records()
    total = sum(math.exp(-energy / 0.5) for energy in (1.0, 2.0, 0.5))
    assert [record["text"] for record in told] == ["c", "a", "b"]
    assert [record["probability"] for record in told] == pytest.approx(
        [math.exp(-energy / 0.5) / total for energy in (0.5, 1.0, 2.0)]
    )
    few = listed(run, texts=["_"], temperature=0.5, all_met=False).to_records()
    assert [record["text"] for record in few] == ["a", "b"] and few[0]["probability"] == told[1]["probability"]


def test_different_texts_for_one_gap(tiny: Tiny) -> None:
    settings: dict[str, Any] = {"chains": 6, "steps": 30, "causal": tiny.causal(), "masked": tiny.masked()}
    plain = infill(["the [MASK] dog ran [MASK]"], temperature=0.3, **settings)
    apart = infill(["the [MASK] dog ran [MASK]"], temperature=0.3, different=True, **settings)
    assert len(set(apart.best_texts)) >= len(set(plain.best_texts))
    assert len(set(apart.best_texts)) == 6
    assert len(apart.to_records()) == 6
