"""A model behind a server that completes texts: the energies are those of the model itself."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import torch

from objectives import Conditional, Fluency
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from textsearch import completions_lm
from textsearch.language.confusions import ListedConfusions
from textsearch.models.completions import CompletionsLM, NoPromptLogProbsError
from textsearch.run.fingerprint import fingerprint
from textsearch.tasks import correct

FEW = ListedConfusions({"dog": {"dogs": "inflection", "cat": "look-alike"}})
PROMPTS = ["", "The dog", "<user>A cat?\n<assistant>"]


class Served:
    """A server of completions in a thread: real log-probabilities of a transformers model.

    Attributes:
        way: "prompt_logprobs", "echo", "both" or "neither": what it can say of a prompt.
        spoil: changes an answer before it is sent.
        busy: so many requests are refused with 503 first.
        asked: the requests, decoded, with their headers.
    """

    def __init__(self, model: Any, way: str = "both") -> None:
        self.model, self.way, self.busy = model, way, 0
        self.spoil: Callable[[Any], Any] = lambda answer: answer
        self.asked: list[tuple[dict[str, Any], Any]] = []

    def answer(self, question: dict[str, Any]) -> tuple[int, Any]:
        if self.busy:
            self.busy -= 1
            return 503, {"error": {"message": "starting"}}
        if self.way == "echo" and "prompt_logprobs" in question:
            return 400, {"error": {"message": "prompt_logprobs: unknown field"}}
        choices = []
        for index, row in enumerate(question["prompt"]):
            log_probs = self._log_probs(row)
            choice: dict[str, Any] = {"index": index, "text": "a", "logprobs": None}
            if self.way in ("prompt_logprobs", "both") and "prompt_logprobs" in question:
                told = [{str(token): {"logprob": own}} for token, own in zip(row[1:], log_probs, strict=True)]
                choice["prompt_logprobs"] = [None, *told]
            if self.way in ("echo", "both") and question.get("echo"):
                choice["logprobs"] = {"token_logprobs": [None, *log_probs, -1.0]}
            choices.append(choice)
        return 200, self.spoil({"choices": choices[::-1]})

    def _log_probs(self, row: list[int]) -> list[float]:
        with torch.inference_mode():
            found = self.model(input_ids=torch.tensor([row])).logits[0, :-1].double().log_softmax(-1)
        return [float(value) for value in found.gather(1, torch.tensor(row[1:])[:, None])[:, 0]]


@contextmanager
def serving(served: Served) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append((question, self.headers))
            status, answer = (200, b"not json") if served.way == "no json" else served.answer(question)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def served(tiny: Tiny) -> Served:
    return Served(tiny.causal().model)


def there(url: str, tiny: Tiny, **settings: Any) -> CompletionsLM:
    return completions_lm(url, "tiny", tokenizer=tiny.causal_path, retries=0, **settings)


@pytest.mark.parametrize("way", ["both", "prompt_logprobs", "echo"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_energies_are_those_of_the_model_itself(way: str, prompt: str, served: Served, tiny: Tiny) -> None:
    served.way = way
    with serving(served) as url:
        lm = there(url, tiny, batch_texts=4)
        batch = lm.vocabulary.encode(TEXTS)
        found = lm.score(batch, prompt)
        again = lm.score(batch, prompt)
    own = tiny.causal()
    expected = own.score(own.vocabulary.encode(TEXTS), prompt)
    assert torch.allclose(found.log_prob, expected.log_prob, atol=1e-4, rtol=0)
    assert torch.equal(found.tokens, expected.tokens) and torch.equal(found.log_prob, again.log_prob)
    # by hand: the sum over the tokens of the text and its end
    start = own.vocabulary.encode([prompt]).token_lists()[0] or [own.bos]
    for row, value in zip(batch.token_lists(), found.log_prob.tolist(), strict=True):
        assert value == pytest.approx(sum(served._log_probs([*start, *row, own.eos])[len(start) - 1 :]), abs=1e-9)
    # each text once, in requests of 4 at most; a way that did not work is not tried again
    answered = [len(question["prompt"]) for question, _ in served.asked[way == "echo" :]]
    assert sum(answered) == len(set(TEXTS)) and max(answered) <= 4


def test_objectives_and_tasks_take_it(served: Served, tiny: Tiny) -> None:
    with serving(served) as url:
        lm, own = there(url, tiny), tiny.causal()
        batch = tiny.masked().vocabulary.encode(["The dog sat.", "cats ran"])
        for make in (Fluency, lambda model: Conditional(model, ["dog:", "cat:"])):
            assert torch.allclose(make(lm).energy(batch), make(own).energy(batch), atol=1e-4, rtol=0)
        settings: dict[str, Any] = {"masked": tiny.masked(), "steps": 4, "seed": 0, "confusions": FEW}
        there_found = correct(["The dog sat on the mat."], causal=lm, **settings)
        here_found = correct(["The dog sat on the mat."], causal=own, **settings)
    assert there_found.best_texts == here_found.best_texts
    assert there_found.best_energies == pytest.approx(here_found.best_energies, abs=1e-3)


def test_a_server_that_says_nothing_of_prompts_is_told(served: Served, tiny: Tiny) -> None:
    served.way = "neither"
    with serving(served) as url, pytest.raises(NoPromptLogProbsError, match=r"(?s)prompt_logprobs: .*echo: .*vLLM"):
        there(url, tiny).score(tiny.causal().vocabulary.encode(["dog"]))


def test_other_tokens_are_told(served: Served, tiny: Tiny) -> None:
    def other(answer: Any) -> Any:
        for choice in answer["choices"]:
            choice["prompt_logprobs"][1] = {"7": {"logprob": -1.0}}
        return answer

    def more(answer: Any) -> Any:
        for choice in answer["choices"]:
            choice["prompt_logprobs"].insert(1, {"0": {"logprob": -1.0}})
        return answer

    for spoil, message in ((other, "read other tokens than were sent"), (more, "read 5 tokens where 4 were sent")):
        served.spoil = spoil
        with serving(served) as url, pytest.raises(RuntimeError, match=message):
            there(url, tiny).score(tiny.causal().vocabulary.encode(["ab"]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda answer: {"choices": answer["choices"][1:]}, r"gave \[.*\] for 2 texts: one choice for each"),
        (lambda answer: [], "gave None for 2 texts"),
    ],
)
def test_answers_that_do_not_fit(spoil: Any, message: str, served: Served, tiny: Tiny) -> None:
    served.spoil = spoil
    with serving(served) as url, pytest.raises(RuntimeError, match=message):
        there(url, tiny).score(tiny.causal().vocabulary.encode(["ab", "b"]))


def test_a_busy_server_is_asked_again_and_a_dead_one_named(served: Served, tiny: Tiny) -> None:
    batch = tiny.causal().vocabulary.encode(["dog"])
    served.busy = 1
    with serving(served) as url:
        lm = completions_lm(url, "tiny", tokenizer=tiny.causal_path, retries=1, api_key="secret")
        assert bool(lm.score(batch).log_prob.isfinite().all())
        assert len(served.asked) == 2 and served.asked[0][1]["Authorization"] == "Bearer secret"
        served.busy = 9
        with pytest.raises(RuntimeError, match=r"fails \(HTTP 503, 'starting'\), asked 2 times"):
            lm.score(tiny.causal().vocabulary.encode(["cat"]))
        # the key is in no checkpoint and no repr; another process can go on
        assert "secret" not in f"{lm} {fingerprint(lm=lm)}"
        copy = pickle.loads(pickle.dumps(lm))
        assert torch.equal(copy.score(batch).log_prob, lm.score(batch).log_prob)
    with pytest.raises(RuntimeError, match=r"at http://127.0.0.1:\d+/v1 does not answer within 60 s, asked 1 times"):
        there(url, tiny).score(batch)


def test_what_is_no_server(served: Served, tiny: Tiny) -> None:
    served.way = "no json"
    with serving(served) as url, pytest.raises(RuntimeError, match="gives no JSON"):
        there(url, tiny).score(tiny.causal().vocabulary.encode(["dog"]))
    with pytest.raises(ValueError, match=r"url='localhost:8000' is no address of a server: write http://"):
        there("localhost:8000", tiny)
    with pytest.raises(ValueError, match="model='' is no name"):
        completions_lm("http://127.0.0.1:1/v1", "", tokenizer=tiny.causal_path)
    with pytest.raises(TypeError, match="not a fast tokenizer"):
        completions_lm("http://127.0.0.1:1/v1", "tiny", tokenizer=3)
