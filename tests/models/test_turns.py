"""Threads that share a model: every answer is that of one thread alone, at once and later."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier
from typing import Any, final

import pytest
import torch
from torch import Tensor

from tests.models.test_classifier import folder as classifier_path
from tests.models.tiny import PIECES, TEXTS, Tiny, every_position, tiny_encoder
from tests.models.tiny import tiny as tiny
from tests.models.tiny_seq2seq import bart_path as bart_path
from tests.models.tiny_seq2seq import load as load_seq2seq
from textsearch.models import sentence_encoder, text_classifier
from textsearch.models.encoder import SentenceEncoder
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.reading import turns
from textsearch.models.reading.insertions import next_at_places
from textsearch.models.reading.turns import lock_of
from textsearch.models.unilm import UniLM
from textsearch.models.usage import Usage
from textsearch.rng import Rng
from textsearch.tasks import resolve as given

classifier_path = classifier_path

THREADS = 8
Ask = Callable[[Any, int], Tensor]


@final
@dataclass(frozen=True)
class Shared:
    """An adapter: how to make one that has seen nothing, and questions, whose answers are all different."""

    fresh: Callable[[], Any]
    asks: Sequence[Ask]

    def restless(self) -> Shared:
        """The same with a model that lets other threads run in the middle of each pass."""
        model = self.fresh()
        embeddings = getattr(model, "masked", model).model.get_input_embeddings()
        embeddings.register_forward_pre_hook(lambda *_: time.sleep(1e-3))
        return self

    def answers(self, model: Any, number: int) -> list[Tensor]:
        return [ask(model, number) for ask in self.asks]


def text(number: int) -> str:
    return TEXTS[3][: 12 + 4 * number]


def _masked(lm: Any, number: int) -> Tensor:
    batch = lm.vocabulary.encode([text(number)])
    rows, places = every_position(batch.lengths)
    return torch.as_tensor(lm.log_probs(batch, rows, places))


def _tokens(lm: Any, number: int) -> Tensor:
    batch = lm.vocabulary.encode([text(number)])
    rows, places = every_position(batch.lengths)
    return torch.as_tensor(lm.token_log_probs(batch, rows, places, batch.tokens[0]))


def _score(lm: Any, number: int) -> Tensor:
    return torch.as_tensor(lm.score(lm.vocabulary.encode([text(number)]), text(7 - number)[:9]).log_prob)


def _suffix(lm: Any, number: int) -> Tensor:
    batch, cut = lm.vocabulary.encode([text(number)]), torch.tensor([4])
    drawn, log_prob, _ = lm.draw_suffixes(batch, cut, Rng.start(number, 1), most=8)
    return torch.cat([drawn.tokens[0].double(), log_prob, lm.suffix_log_probs(batch, cut)])


def _written(lm: Any, number: int) -> Tensor:
    (found,) = lm.continuations(text(number), Rng.start(number, 1), most=3)
    return torch.tensor([ord(letter) for letter in found], dtype=torch.float64)


def _places(lm: Any, number: int) -> Tensor:
    return next_at_places(lm, lm.vocabulary.encode([text(number)]), [[3, 4]], [""])


def _texts(lm: Any, number: int) -> Tensor:
    return torch.as_tensor((lm.encode if isinstance(lm, SentenceEncoder) else lm.log_probs)([text(number)] * 2))


@pytest.fixture(params=["masked", "causal", "guided", "unilm", "seq2seq", "encoder", "classifier"])
def shared(request: pytest.FixtureRequest, tiny: Tiny, tmp_path: Path) -> Shared:
    kind = request.param
    if kind == "masked":
        return Shared(tiny.masked().forgetful, [_masked, _tokens])
    if kind == "causal":
        return Shared(tiny.causal().forgetful, [_score, _suffix, _written, _places])
    if kind == "guided":
        both = tiny.masked(), tiny.causal()
        return Shared(lambda: GuidedMaskedLM(both[0].forgetful(), both[1].forgetful()), [_masked])
    if kind == "unilm":
        masked = tiny.masked()
        return Shared(lambda: UniLM(masked.forgetful(), ends=True), [_score, lambda lm, i: _masked(lm.masked, i)])
    if kind == "seq2seq":
        return Shared(load_seq2seq(request.getfixturevalue("bart_path")).forgetful, [_score])
    if kind == "encoder":
        encoder = sentence_encoder(tiny_encoder(tmp_path), device="cpu")
        return Shared(lambda: replace(encoder, usage=Usage()), [_texts])
    classifier: Any = text_classifier(request.getfixturevalue("classifier_path"), device="cpu")
    return Shared(lambda: replace(classifier, usage=Usage()), [_texts])


def answer(ask: Callable[[int], Any], number: int) -> Any:
    """What is answered, or what is raised."""
    try:
        return ask(number)
    except Exception as error:
        return error


def together(ask: Callable[[int], Any]) -> list[Any]:
    """What 8 threads that start at once are answered, or what they raise."""
    barrier = Barrier(THREADS)

    def run(number: int) -> Any:
        barrier.wait()
        return answer(ask, number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def same(found: Any, wanted: Sequence[Tensor]) -> bool:
    return not isinstance(found, Exception) and all(one.equal(other) for one, other in zip(found, wanted, strict=True))


def right_answers(shared: Shared) -> list[bool]:
    """Whether each answer of 8 threads is that of a thread alone: cold, warm, and of one thread afterwards."""
    alone, model = shared.fresh(), shared.fresh()
    wanted = [shared.answers(alone, number) for number in range(THREADS)]
    right = []
    for _ in ("cold", "warm"):
        found = together(lambda number: shared.answers(model, number))
        right += [same(one, other) for one, other in zip(found, wanted, strict=True)]
        # one text for all: they race for the same place in the memory
        right += [same(one, wanted[2]) for one in together(lambda _: shared.answers(model, 2))]
    return right + [
        same(answer(lambda number: shared.answers(model, number), number), own) for number, own in enumerate(wanted)
    ]


def test_threads_get_the_answers_of_one(shared: Shared) -> None:
    assert all(right_answers(shared.restless()))


def test_without_turns_the_same_check_fails(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: the same adapter without a lock. A module that it leaves unusable is a copy."""
    monkeypatch.setattr(turns, "lock_of", lambda _: nullcontext())
    monkeypatch.setattr("textsearch.models.causal.lock_of", lambda _: nullcontext())
    shared = Shared(copy.deepcopy(tiny.causal()).forgetful, [_score, _suffix]).restless()
    assert not all(all(right_answers(shared)) for _ in range(5))


def test_the_answers_of_the_check_differ(shared: Shared) -> None:
    model = shared.fresh()
    for ask in shared.asks:
        answers = [ask(model, number) for number in range(8)]
        assert len({tuple(answer.flatten().tolist()) for answer in answers}) == 8


def test_adapters_of_one_model_share_a_lock_and_copies_have_their_own(tiny: Tiny) -> None:
    lm = tiny.masked()
    lock = lock_of(lm.model)
    assert lock is lock_of(lm.forgetful().model) is lock_of(UniLM(lm).model)
    # its bare encoder is the same module within
    assert lock is lock_of(lm.model.bert)
    # what is pickled is loaded once a process
    one, another = (pickle.loads(pickle.dumps(lm)) for _ in range(2))
    assert lock_of(one.model) is lock_of(another.model)
    for other in (copy.deepcopy(lm), tiny.masked()):
        assert lock_of(other.model) is not lock
        assert _masked(other, 1).equal(_masked(lm, 1))
    assert not any("lock" in name.lower() for name in vars(lm))
    with lock, lock:
        assert _masked(lm, 0).shape[1] == len(PIECES)


@pytest.mark.parametrize("load", [given.causal, given.masked])
def test_threads_that_load_the_same_model_get_one(tiny: Tiny, load: Callable[[Any], Any]) -> None:
    path = tiny.causal_path if load is given.causal else tiny.masked_path
    first, *others = together(lambda _: load(path))
    assert not isinstance(first, Exception)
    assert all(other is first for other in others)


def test_threads_that_load_leave_the_settings_of_transformers_alone(tiny: Tiny) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    assert not any(isinstance(found, Exception) for found in together(lambda _: tiny.causal()))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
