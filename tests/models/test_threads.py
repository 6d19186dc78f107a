"""Passes that threads share out: the same bits on any number of threads, and a sound model whatever happens."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from objectives import Conditional, Fluency, PseudoLikelihood, Similarity
from samplers import MetropolisHastings
from samplers.proposals import InsertDelete, Mixture, Replace
from tests.models.test_turns import Shared, answer, right_answers, same
from tests.models.tiny import (
    PIECES,
    TEXTS,
    Tiny,
    byte_tokenizer,
    save,
    seeded,
    shape,
    tiny_encoder,
    wordpiece_tokenizer,
)
from tests.models.tiny import tiny as tiny
from tests.models.tiny_seq2seq import bart_path as bart_path
from tests.models.tiny_seq2seq import load as load_seq2seq
from textsearch import generate
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.reading import hooks, packing, threads
from textsearch.models.reading.threads import abreast, count_of, even, shares
from textsearch.models.usage import Usage
from textsearch.objective import Objective
from textsearch.proposal import Proposal

CPU = torch.device("cpu")
COUNTS = (1, 2, 3, 4, 8)
KINDS = ("masked", "causal", "guided", "encoder", "seq2seq")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def shared_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tasks were run at once, each time that there were several."""
    counts: list[int] = []
    whole = threads._run

    def counted(*arguments: Any) -> Any:
        counts.append(threading.get_ident())
        return whole(*arguments)

    monkeypatch.setattr(threads, "_run", counted)
    return counts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random models as wide as the default ones, of two layers."""
    from transformers import BertConfig, BertForMaskedLM, BertModel, LlamaConfig, LlamaForCausalLM

    base = tmp_path_factory.mktemp("wide")
    small: dict[str, Any] = {"num_hidden_layers": 2, "initializer_range": 0.08}
    bert = BertConfig(**shape(len(PIECES), hidden_size=384, intermediate_size=1536, num_attention_heads=12, **small))
    save(base / "masked", seeded(BertForMaskedLM, bert), wordpiece_tokenizer())
    save(base / "encoder", seeded(BertModel, bert), wordpiece_tokenizer())
    tokenizer = byte_tokenizer()
    llama = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3, **small}
    config = LlamaConfig(**shape(len(tokenizer), **llama), bos_token_id=0, eos_token_id=0)
    save(base / "causal", seeded(LlamaForCausalLM, config), tokenizer)
    return base


Problem = tuple[Objective, Proposal]


@pytest.fixture
def problem(folder: Path, bart_path: Path) -> Callable[[str], Problem]:
    """An energy and moves of models that have read nothing."""

    def made(kind: str) -> Problem:
        masked, causal = masked_lm(folder / "masked", device="cpu"), causal_lm(folder / "causal", device="cpu")
        if kind == "masked":
            return PseudoLikelihood(masked), Replace(masked)
        if kind == "causal":
            return Fluency(causal, "I saw"), Mixture({Replace(masked): 0.5, InsertDelete(masked): 0.5})
        if kind == "guided":
            return PseudoLikelihood(masked), Replace(GuidedMaskedLM(masked, causal))
        if kind == "encoder":
            encoder = sentence_encoder(folder / "encoder", device="cpu")
            return 9.0 * Similarity(encoder, [TEXTS[0]]), Replace(masked)
        return Conditional(load_seq2seq(bart_path), [TEXTS[0]]), Replace(masked)

    return made


def chain(problem: Problem, count: int, chains: int = 6) -> tuple[list[list[float]], list[list[int]]]:
    """Energies of all steps and the last texts, on so many threads."""
    torch.set_num_threads(count)
    objective, proposal = problem
    found = generate(objective, MetropolisHastings(proposal), [TEXTS[0]], steps=3, seed=1, chains=chains)
    return found.trace.tolist(), found.batch.token_lists()


@pytest.mark.parametrize("kind", KINDS)
def test_chains_are_the_same_on_any_number_of_threads(
    problem: Callable[[str], Problem], kind: str, shared_out: list[int]
) -> None:
    energies, texts = chain(problem(kind), 1)
    assert not shared_out
    for count in COUNTS[1:]:
        assert chain(problem(kind), count) == (energies, texts)
        assert len(set(shared_out)) > 1, "nothing was shared out"
        shared_out.clear()
    # a single chain is what it is among others
    alone = chain(problem(kind), 2, chains=1)
    assert alone[1] == texts[:1] and [row[0] for row in alone[0]] == [row[0] for row in energies]


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_pass_that_mixes_its_rows_is_noticed(
    problem: Callable[[str], Problem], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: numbers in which all rows of a pass have a part, as with one scale of activations for them all."""
    whole = packing.read_flat

    def mixed(*arguments: Any, **settings: Any) -> Tensor:
        found = whole(*arguments, **settings)
        # less than what would be noticed when a model is tried
        return found + 1e-6 * found.amax(0)

    for module in ("packing", "prefix_tree"):
        monkeypatch.setattr(f"textsearch.models.reading.{module}.read_flat", mixed)
    assert chain(problem(kind), 1)[0] != chain(problem(kind), 2)[0]


def several(number: int) -> list[str]:
    """Texts of which others are asked something else."""
    return [text[: len(text) - number] for text in TEXTS if len(text) > 20]


def _masked(lm: Any, number: int) -> Tensor:
    batch = lm.vocabulary.encode(several(number))
    rows = torch.arange(len(batch))
    return torch.as_tensor(lm.log_probs(batch, rows, rows % 3))


def _score(lm: Any, number: int) -> Tensor:
    return torch.as_tensor(lm.score(lm.vocabulary.encode(several(number)), TEXTS[0]).log_prob)


def _vectors(lm: Any, number: int) -> Tensor:
    return torch.as_tensor(lm.encode(several(number)))


@pytest.fixture(params=["masked", "causal", "encoder"])
def asked(request: pytest.FixtureRequest, tiny: Tiny, tmp_path: Path) -> Shared:
    if request.param == "masked":
        return Shared(tiny.masked().forgetful, [_masked])
    if request.param == "causal":
        return Shared(tiny.causal().forgetful, [_score])
    encoder = sentence_encoder(tiny_encoder(tmp_path), device="cpu")
    return Shared(lambda: replace(encoder, usage=Usage()), [_vectors])


def test_threads_of_the_user_get_the_answers_of_one(asked: Shared, shared_out: list[int]) -> None:
    torch.set_num_threads(2)
    assert all(right_answers(asked.restless()))
    assert len(set(shared_out)) > 1


def test_hooks_that_all_threads_feel_are_noticed(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: each half of a pass changes what the other's modules are called with, too."""
    torch.set_num_threads(2)
    shared = Shared(tiny.masked().forgetful, [_masked]).restless()
    wanted = shared.answers(shared.fresh(), 0)
    # the first answer of all tries out the model, alone
    lm = shared.fresh()
    shared.answers(lm, 1)
    assert same(answer(lambda number: shared.answers(lm, number), 0), wanted)
    lm = shared.fresh()
    shared.answers(lm, 1)
    monkeypatch.setattr(hooks, "get_ident", lambda: 0)
    # halves that happen to go one after the other feel nothing
    again = (same(answer(lambda number: shared.answers(lm, number), 0), wanted) for _ in range(20))
    assert not all(again)


def questions(tiny: Tiny, kind: str) -> tuple[Callable[[], Any], Callable[[Any], Tensor]]:
    """A fresh adapter, and what it is asked."""
    if kind == "masked":
        lm = tiny.masked()
        batch = lm.vocabulary.encode(TEXTS)
        places = (batch.lengths > 2).nonzero()[:, 0]
        return lm.forgetful, lambda lm: torch.as_tensor(lm.log_probs(batch, places, torch.ones_like(places)))
    causal = tiny.causal()
    texts = causal.vocabulary.encode(TEXTS)
    if kind == "causal":
        # the first pass of a tree is not shared out
        def ask(lm: Any) -> Tensor:
            lm.score(texts.rows([0]))
            return torch.as_tensor(lm.score(texts).log_prob)

        return causal.forgetful, ask
    raise AssertionError(kind)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs a signal to one thread")
@pytest.mark.parametrize("kind", ["masked", "causal"])
@pytest.mark.parametrize("waits", [True, False], ids=["as it is", "the twin"])
def test_ctrl_c_in_a_pass_that_is_shared_out(
    tiny: Tiny, kind: str, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(2)
    fresh, ask = questions(tiny, kind)
    lm, wanted = fresh(), ask(fresh())
    running: list[int] = []
    left: list[str] = []
    embeddings, main = lm.model.get_input_embeddings(), threading.main_thread().ident or 0

    def interrupt(*_: object) -> None:
        if threading.get_ident() == main or left:
            return
        running.append(1)
        if len(running) == 2:
            # whoever asked has begun to wait
            time.sleep(0.1)
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.5)
        left.append("a pass")

    handle = embeddings.register_forward_pre_hook(interrupt)
    stopped: list[int] = []

    def careless(started: Any) -> None:
        """Waits until the first Ctrl-C, and then no more."""
        try:
            if not stopped:
                wait(started)
        except KeyboardInterrupt:
            stopped.append(1)
            raise

    if not waits:
        monkeypatch.setattr(threads, "join", careless)
    with pytest.raises(KeyboardInterrupt):
        ask(lm)
    assert len(running) == 2
    if not waits:
        assert not left
        time.sleep(1.0)
        return
    assert len(left) == 2, "a pass was still under way"
    handle.remove()
    assert not any(module._forward_pre_hooks for module in lm.model.modules())
    assert lm.model.config._attn_implementation != packing._NAME
    assert ask(lm).equal(wanted) and ask(fresh()).equal(wanted)


def test_an_error_is_raised_when_all_have_ended() -> None:
    torch.set_num_threads(2)
    ended: list[int] = []

    def slow() -> None:
        time.sleep(0.1)
        ended.append(1)

    def wrong() -> None:
        raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        abreast([wrong, slow])
    assert ended == [1]


def test_the_setting_of_other_threads_is_left_alone() -> None:
    torch.set_num_threads(2)
    threads._POOLS.clear()
    assert abreast([torch.get_num_threads, torch.get_num_threads]) == [1, 1]
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert found == [2] and torch.get_num_threads() == 2


def test_whoever_shares_out_has_one_thread_an_operation_and_gets_the_others_back() -> None:
    torch.set_num_threads(2)
    seen: list[int] = []
    with threads.sharing():
        assert torch.get_num_threads() == 2
        with threads.sharing():
            abreast([torch.get_num_threads] * 2)
        assert torch.get_num_threads() == 1 and count_of(CPU) == 2
        # what nothing runs beside has them all
        assert abreast([torch.get_num_threads]) == [2] and torch.get_num_threads() == 1
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
    assert seen == [2] and torch.get_num_threads() == 2
    with pytest.raises(ValueError, match="no such row"), threads.sharing():
        abreast([torch.get_num_threads] * 2)
        raise ValueError("no such row")
    assert torch.get_num_threads() == 2
    with threads.sharing():
        abreast([torch.get_num_threads] * 2)
        torch.set_num_threads(3)
    assert torch.get_num_threads() == 3


def test_tasks_run_as_whoever_asked() -> None:
    torch.set_num_threads(2)

    def modes() -> tuple[bool, bool, int]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), count_of(CPU)

    with torch.inference_mode():
        assert abreast([modes] * 2) == [(False, True, 1)] * 2
    with torch.no_grad():
        assert abreast([modes] * 2) == [(False, False, 1)] * 2
    assert abreast([modes] * 2) == [(True, False, 1)] * 2
    assert count_of(CPU) == 2 and count_of(torch.device("meta")) == 1


def test_a_task_may_have_tasks() -> None:
    torch.set_num_threads(2)
    assert abreast([lambda: abreast([lambda: 1, lambda: 2])] * 4) == [[1, 2]] * 4


@pytest.mark.parametrize("most", [20, 64, 10_000])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_are_even_and_leave_nothing_out(most: int, count: int) -> None:
    sizes = torch.randint(8, 17, (60,), generator=torch.Generator().manual_seed(count)).tolist()
    found = shares(sizes, most, count)
    tokens = [sum(sizes[i] for i in part) for part in found]
    assert len(found) <= count and all(0 < own <= most for own in tokens)
    assert found[0].start == 0 and all(one.stop == other.start for one, other in pairwise(found))
    if most >= sum(sizes):
        assert found[-1].stop == len(sizes) and max(tokens) - min(tokens) <= 32
    assert [i for part in even(len(sizes), count) for i in range(len(sizes))[part]] == list(range(len(sizes)))
