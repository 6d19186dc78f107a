"""N-grams: probabilities that add up to 1, equal to a plain reference, and the same however they are stored."""

from __future__ import annotations

import gc
import itertools
import math
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from objectives import Fluency, FluencyPerToken
from samplers import DelayedAcceptance, MetropolisHastings
from samplers.proposals import FromLeft, SuffixResampling
from samplers.starts.drafts import drafts
from tests.models.ngrams import BEGIN, END, TEXTS, reference, saved, tokenizer, toy
from textsearch import generate
from textsearch.batch import Batch
from textsearch.models import ngram_lm
from textsearch.models.ngram import kneser_ney
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.tables import NOTHING, NgramTables
from textsearch.models.ngram.training import train_ngrams
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng

MODELS = {
    "unigrams": (1, (0,)),
    "bigrams": (2, (0, 0)),
    "trigrams": (3, (0, 0, 0)),
    "four, singletons left out": (4, (0, 0, 1, 1)),
    "five, pruned harder the longer": (5, (0, 1, 1, 2, 2)),
}
every_model = pytest.mark.parametrize(("order", "cutoffs"), MODELS.values(), ids=MODELS.keys())


def contexts(tables: NgramTables) -> np.ndarray[Any, Any]:
    """Every context of up to two tokens, behind a beginning and behind nothing, and those of the texts."""
    size, reach = tables.settings.tokens, tables.settings.order - 1
    found = {tuple(row) for length in (0, 1, 2) for row in itertools.product(range(size), repeat=length)}
    found |= {(size, *row) for row in found if len(row) < 2}
    for row in tokenizer()(TEXTS, add_special_tokens=False)["input_ids"]:
        found |= {tuple([size, *row][:end]) for end in range(1, len(row) + 2)}
    padded = [([NOTHING] * reach + list(row))[len(row) :] for row in sorted(found)]
    return np.array(padded, dtype=np.int64).reshape(len(padded), reach)


def sums(tables: NgramTables) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = np.exp(tables.next_log_probs(contexts(tables))).sum(1)
    return found


@every_model
@pytest.mark.parametrize("direction", ["left_to_right", "right_to_left"])
def test_probabilities_add_up_to_one_behind_every_context(order: int, cutoffs: Sequence[int], direction: str) -> None:
    np.testing.assert_allclose(sums(toy(order, cutoffs, direction).model), 1, atol=1e-6)


def test_a_model_that_loses_mass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what is taken from counts is not handed on, or handed on and not taken."""
    tables = toy(3).model
    lost = replace(tables, log_backoff=tuple(np.full_like(values, -np.inf) for values in tables.log_backoff))
    assert sums(lost).min() < 0.9
    monkeypatch.setattr(kneser_ney, "taken_from", lambda counts, amounts: np.zeros(len(counts)))
    untaken = replace(toy(3).model, log_backoff=tables.log_backoff)
    assert sums(untaken).max() > 1.1


@every_model
@pytest.mark.parametrize("direction", ["left_to_right", "right_to_left"])
def test_probabilities_are_those_of_the_reference(order: int, cutoffs: Sequence[int], direction: str) -> None:
    tables, plain = toy(order, cutoffs, direction).model, reference(order, cutoffs, direction)
    assert min(tables.settings.counts) > 0
    names = {tables.begin: BEGIN}
    some = contexts(tables)
    found = np.exp(tables.next_log_probs(some))
    end = tables.settings.end
    for row, law in zip(some.tolist()[::3], found[::3], strict=True):
        context = tuple(names.get(token, token) for token in row if token != NOTHING)
        wanted = [plain.probability(END if token == end else token, context) for token in range(len(law))]
        np.testing.assert_allclose(law, wanted, atol=1e-6, err_msg=str(context))


FAULTS: dict[str, tuple[str, Any]] = {
    "raw counts below the highest order": ("seen_behind", lambda own, longer, begins: np.asarray(own.counts)),
    "one discount for all": ("discounts", lambda counts: (0.5, 0.5, 0.5)),
}


@pytest.mark.parametrize(("name", "wrong"), FAULTS.values(), ids=FAULTS.keys())
def test_the_reference_tells_another_smoothing(name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of probabilities that add up to 1, too."""
    right = toy(3).model
    monkeypatch.setattr(kneser_ney, name, wrong)
    other = toy(3).model
    np.testing.assert_allclose(sums(other), 1, atol=1e-6)
    assert np.abs(other.next_log_probs(contexts(other)) - right.next_log_probs(contexts(right))).max() > 0.05


@pytest.mark.parametrize("order", [1, 2, 4])
def test_counting_in_small_blocks_changes_nothing(order: int, tmp_path: Path) -> None:
    whole = toy(order).model
    for block in (7, 50):
        parts = toy(order, block=block, scratch=tmp_path).model
        assert parts.settings == whole.settings
        for name in ("keys", "log_prob", "log_backoff"):
            for one, other in zip(getattr(whole, name), getattr(parts, name), strict=True):
                np.testing.assert_array_equal(one, other)
    assert not list(tmp_path.iterdir())


def test_a_text_read_backwards_is_a_text_of_the_other_direction() -> None:
    backwards = train_ngrams([text[::-1] for text in TEXTS], tokenizer(), order=3)
    other = toy(3, direction="right_to_left").model
    for name in ("keys", "log_prob", "log_backoff"):
        for one, two in zip(getattr(backwards, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(one, two)


NEW = ["the cat sat", "", "tac eht", "xyz a", "a hat on the mat that sat"]


def test_mapped_read_pickled_and_trained_are_one_bit_for_bit(tmp_path: Path) -> None:
    lm = toy(4, (0, 0, 1))
    path = saved(tmp_path / "model", lm)
    mapped, read = ngram_lm(path), NgramLM(NgramTables.load(path, mapped=False), lm.vocabulary)
    assert isinstance(mapped, NgramLM)
    data = pickle.dumps(mapped)
    assert len(data) < 3000 < len(pickle.dumps(lm))
    sent = pickle.loads(data)
    assert sent.model is mapped.model
    some = contexts(lm.model)
    for other in (mapped, read, sent, pickle.loads(pickle.dumps(lm))):
        assert other.surprises(NEW) == lm.surprises(NEW)
        assert other.model.next_log_probs(some).tobytes() == lm.model.next_log_probs(some).tobytes()


def test_a_changed_file_is_no_longer_the_model_that_was_sent(tmp_path: Path) -> None:
    path = saved(tmp_path / "model", toy(3))
    data = pickle.dumps(ngram_lm(path))
    values = np.load(path / "log_prob_2.npy")
    np.save(path / "log_prob_2.npy", values - 1)
    gc.collect()
    with pytest.raises(ValueError, match="is not what it was"):
        pickle.loads(data)


@every_model
def test_a_text_is_scored_as_its_tokens_one_after_the_other(order: int, cutoffs: Sequence[int]) -> None:
    lm = toy(order, cutoffs)
    scores = lm.score(Batch.of(lm.vocabulary.read(NEW), lm.vocabulary))
    for text, row, total in zip(NEW, lm.vocabulary.read(NEW), scores.log_prob.tolist(), strict=True):
        assert scores.tokens.tolist()[NEW.index(text)] == len(row) + 1
        each = [
            float(lm.tree.logits(lm.tree.read([[lm.model.begin, *row[:place]]])[0][-1:])[0, token])
            for place, token in enumerate([*row, lm.eos])
        ]
        assert total == pytest.approx(sum(each), abs=1e-9)
        told = lm.surprises([text])[0]
        assert [-value for _, value in told] == pytest.approx(each, abs=1e-9)
        assert "".join(piece for piece, _ in told).replace("[UNK]", "?") == text.replace("z", "?").replace(
            "y", "?"
        ).replace("x", "?")


def test_a_text_s_score_is_its_own() -> None:
    """Whatever else is in the batch, bit for bit; after a prompt, and in tokens of another vocabulary."""
    lm, prompt = toy(4), "the "
    texts = [text for text in TEXTS if text]
    batch = lm.vocabulary.encode(texts)
    whole = lm.score(batch, prompt).log_prob
    assert torch.cat([lm.score(batch.rows([row]), prompt).log_prob for row in range(len(batch))]).equal(whole)
    assert lm.score(batch.rows([3, 1]).widen(90), [prompt] * 2).log_prob.equal(whole[[3, 1]])
    other = TokenizerVocabulary(tokenizer(), 10_000).encode(texts)
    assert lm.score(other, prompt).log_prob.equal(whole)
    both = lm.score(lm.vocabulary.encode([prompt + text for text in texts])).log_prob
    first = torch.tensor([-sum(value for _, value in lm.surprises([prompt])[0][:-1])], dtype=torch.float64)
    torch.testing.assert_close(whole + first, both, atol=1e-9, rtol=0)


def test_it_is_a_causal_model_to_all_that_want_one() -> None:
    lm = toy(3)
    energy, batch = Fluency(lm), lm.vocabulary.encode(["the cat", "tac"])
    assert energy.energy(batch).equal(-lm.score(batch).log_prob)
    laws = lm.next_log_probs(["the ca", ""], ["", "the ca"])
    assert laws[0].equal(laws[1])
    after = lm.log_probs_after(lm.vocabulary.read(["the ca"]), [""])
    torch.testing.assert_close(after, laws[:1], atol=1e-6, rtol=0)
    ids = [[5, 6], [7]]
    told = lm.next_token_log_probs(batch, ids, ["", ""])
    torch.testing.assert_close(told[0, 3, :2], lm.next_log_probs(["the"])[0, ids[0]])
    assert told[1, 4:].eq(-math.inf).all() and told[1, :, 1].eq(-math.inf).all()
    rng = Rng.start(0, 4)
    written = lm.continuations("the", rng, most=30)
    assert len(written) == 4 and written == lm.continuations("the", rng, most=30)
    assert lm.continuations("the", rng.rows([2]), most=30) == written[2:3]
    kept = drafts(lm, ["the "], FluencyPerToken(lm), lm.vocabulary, chains=2, seed=0, finish=str)
    assert len(kept) == 2


@pytest.mark.parametrize("heat", [1.0, 0.6])
def test_what_it_writes_has_the_probability_that_it_gives(heat: float) -> None:
    lm = toy(3)
    law = FromLeft(lm, temperature=heat, max_length=40)
    drawn, log_prob = law.draw(lm.vocabulary.encode([""] * 400), Rng.start(seed=1, chains=400))
    ended = log_prob < math.inf
    torch.testing.assert_close(law.log_prob(drawn.rows(ended)), log_prob[ended], atol=1e-9, rtol=0)
    if heat == 1:  # what may not be written is left out, and so the rest is a little likelier
        excess = log_prob[ended] - lm.score(drawn.rows(ended)).log_prob
        assert float(excess.min()) >= 0
        empty = float((drawn.rows(ended).lengths == 0).double().mean())
        assert empty == pytest.approx(math.exp(float(law.log_prob(lm.vocabulary.encode([""])))), abs=0.05)


def test_suffixes_under_its_own_energy_are_nearly_always_taken() -> None:
    """The proposal draws from the target: only the lengths, and what may not be written, decide."""
    lm = toy(3)
    sampler = MetropolisHastings(SuffixResampling(lm, max_length=40))
    batch = lm.vocabulary.encode(["the cat"] * 200)
    _, info = sampler.step(Fluency(lm), sampler.init(Fluency(lm), batch), Rng.start(0, 200))
    assert info.accepted.double().mean() > 0.5


def test_it_serves_as_a_surrogate() -> None:
    lm, large = toy(2), toy(4)
    sampler = DelayedAcceptance(SuffixResampling(lm, max_length=30), Fluency(lm))
    result = generate(Fluency(large), sampler, ["the cat"] * 10, steps=20, seed=0)
    begun = -large.score(large.vocabulary.encode(["the cat"])).log_prob
    assert result.best_energies.mean() < float(begun) and result.guarantee == sampler.guarantee


def test_nonsense_is_told_by_what_a_character_costs() -> None:
    lm = toy(4)
    cost = FluencyPerToken(lm)
    sound = cost.energy(lm.vocabulary.encode(["the fat cat sat", "the hat ate a mat"]))
    wrong = cost.energy(lm.vocabulary.encode(["tac taf eht tas", "hhh ttt ccc mmm"]))
    assert float(sound.max()) + 1 < float(wrong.min())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 0}, "order=0 must be at least 1 token"),
        ({"direction": "up"}, "direction='up' is neither"),
        ({"cutoffs": (1,)}, "must begin with 0 and not fall"),
        ({"cutoffs": (0, 2, 1)}, "must begin with 0 and not fall"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_ngrams(TEXTS, tokenizer(), **settings)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no text to train on"):
        train_ngrams([], tokenizer())
    with pytest.raises(ValueError, match=r"cannot load the n-gram model .*training/ngram.py"):
        ngram_lm(tmp_path / "none")
    with pytest.raises(TypeError, match="not the name of a folder"):
        ngram_lm(3)  # type: ignore[arg-type]
    path = saved(tmp_path / "model", toy(3))
    np.save(path / "log_prob_2.npy", np.zeros(3, dtype=np.float32))
    with pytest.raises(ValueError, match="its files are of other sizes"):
        ngram_lm(path)
    with pytest.raises(ValueError, match="do not belong together"):
        NgramLM(replace(toy(2).model, settings=replace(toy(2).model.settings, tokens=9)), toy(2).vocabulary)
