"""Causal models behind an HTTP server that completes texts as OpenAI's API does: vLLM, and others with prompt log p.

The server is sent the token ids of whole texts, and gives the log-probability of each of them after those before it:
`prompt_logprobs` of vLLM, or `echo` with `logprobs` of OpenAI's completions. So the tokens are those of the tokenizer
that is named here, which has to be the served model's own; a server that reads others is told apart by what it answers.
"""

from __future__ import annotations

import json
import math
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.calls import told
from textsearch.checks import keep, model_name, positive, string, whole
from textsearch.kinds import nature, shown
from textsearch.models.checkpoints.loading import load_tokenizer
from textsearch.models.checkpoints.silence import silenced
from textsearch.models.protocols import Scores
from textsearch.models.reading.memory import recall
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary

_TEXTS = 200_000  # remembered
_AGAIN = (408, 429, 500, 502, 503, 504)
"""Codes after which the same question may be answered: too many at once, or a server that is starting."""

Tokens = tuple[int, ...]


class NoPromptLogProbsError(RuntimeError):
    """A server that does not say how likely the tokens of a prompt are."""


@final
@dataclass(frozen=True, eq=False)
class CompletionsLM:
    """log p(text) of a model that a server holds; after a prompt, log p(text | prompt).

    It scores, which is what `Fluency`, `FluencyPerToken`, `Conditional`, `Coherence` and `correct` ask of a model;
    drafts and proposals come from models that are here. Texts scored before are remembered. The server decides about
    rounding: what it answers may depend in the last digits on what else it reads at that moment.

    Attributes:
        url: of the API, up to and with its version, such as "http://127.0.0.1:8000/v1".
        model: the name under which the server knows the model.
        vocabulary: of the model's own tokenizer; `completions_lm` makes it.
        bos: the token that a text without a prompt begins after.
        eos: the token that ends a text.
        batch_texts: texts in one request.
        timeout: seconds that one request may take.
        retries: times that a request is sent again, after 0.5 s, 1 s, 2 s, ..., where the server cannot be reached, is
            starting or has too much to do.
        usage: counts what the server was asked to read.
    """

    url: str
    model: str
    vocabulary: TokenizerVocabulary
    bos: int
    eos: int
    batch_texts: int = 32
    timeout: float = 60.0
    retries: int = 3
    usage: Usage = field(default_factory=Usage)
    _api_key: str | None = field(default=None, repr=False)  # private, so that it gets into no checkpoint
    _known: OrderedDict[tuple[Tokens, Tokens], float] = field(default_factory=OrderedDict, repr=False)
    _way: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        url = string("url", self.url).rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url={shown(self.url)} is no address of a server: write http://127.0.0.1:8000/v1")
        if not string("model", self.model).strip():
            raise ValueError("model='' is no name: the server lists those that it has at /v1/models")
        keep(
            self,
            url=url,
            batch_texts=whole("batch_texts", self.batch_texts, 1),
            timeout=positive("timeout", self.timeout, "number of seconds"),
            retries=whole("retries", self.retries),
        )

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text given its prompt: one for all rows, or one for each.

        Token ids are used as they are if the batch has this model's vocabulary; otherwise the texts are encoded again.

        Raises:
            NoPromptLogProbsError: the server does not give the log-probabilities of a prompt's tokens.
            RuntimeError: it cannot be reached, refuses the question, or reads other tokens.
        """
        own = batch.vocabulary is self.vocabulary
        rows = batch.token_lists() if own else self.vocabulary.encode(batch.texts()).token_lists()
        prompts = [prompt] * len(rows) if isinstance(prompt, str) else list(prompt)
        starts = {one: tuple(row) or (self.bos,) for one, row in self._encoded(dict.fromkeys(prompts))}
        keys = [(starts[one], tuple(row)) for one, row in zip(prompts, rows, strict=True)]
        values = recall(self._known, keys, self._log_probs, _TEXTS, self.usage)
        return Scores(
            torch.tensor(values, dtype=torch.float64, device=batch.device),
            torch.tensor([len(row) + 1 for row in rows], device=batch.device),
        )

    def _encoded(self, texts: Mapping[str, None]) -> list[tuple[str, list[int]]]:
        return list(zip(texts, self.vocabulary.encode(list(texts)).token_lists(), strict=True))

    def _log_probs(self, keys: Sequence[tuple[Tokens, Tokens]]) -> list[float]:
        """log p(row, end | start) in nats of each (start, row)."""
        found: list[float] = []
        for first in range(0, len(keys), self.batch_texts):
            part = keys[first : first + self.batch_texts]
            wholes = [[*start, *row, self.eos] for start, row in part]
            for (start, _), whole_text, values in zip(part, wholes, self._asked(wholes), strict=True):
                own = values[len(start) : len(whole_text)]
                if not all(math.isfinite(value) or value == -math.inf for value in own):
                    raise RuntimeError(f"{self._who} gives a log-probability of nan")
                found.append(math.fsum(own))
            sizes = list(map(len, wholes))
            self.usage.count((1, sum(sizes)), sum(sizes), rows=len(sizes))
        return found

    def _asked(self, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each row of token ids log p of each token after those before it; of the first, which has none, nan."""
        refusals = []
        for name in self._way or WAYS:
            way = WAYS[name]
            try:
                choices = self._choices({"prompt": rows, **way.ask}, len(rows))
                found = [way.read(choice, row) for choice, row in zip(choices, rows, strict=True)]
            except _RefusedError as error:
                refusals.append(f"{name}: {error}")
                continue
            self._way[:] = [name]
            return found
        raise NoPromptLogProbsError(
            f"{self._who} gives no log-probabilities of a prompt ({'; '.join(refusals)}): use a server that does, such "
            "as vLLM, or load the model here with textsearch.causal_lm"
        )

    def _choices(self, question: Mapping[str, Any], count: int) -> list[Any]:
        """The answers to one request, one for each prompt in order."""
        # one token more is asked for, since many servers refuse to write none; it is not looked at
        whole_question = {"model": self.model, "max_tokens": 1, "temperature": 0, "seed": 0, **question}
        answer = self._post("/completions", whole_question)
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list) or len(choices) != count or not all(isinstance(one, dict) for one in choices):
            raise RuntimeError(
                f"{self._who} gave {shown(choices)} for {count} texts: one choice for each was asked for"
            )
        return sorted(choices, key=lambda one: int(one.get("index", 0)))

    def _post(self, path: str, question: Mapping[str, Any]) -> Any:
        """What the server answers.

        Raises:
            _RefusedError: it does not take such a question.
            RuntimeError: it cannot be reached, or fails.
        """
        urllib3 = _urllib3()
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        try:
            answer = self._pool.request(
                "POST", self.url + path, body=json.dumps(question), headers=headers, timeout=self.timeout
            )
        except urllib3.exceptions.HTTPError as error:
            raise RuntimeError(
                f"{self._who} does not answer within {self.timeout:g} s, asked {self.retries + 1} times "
                f"({_reason(error)}): start it, or look at url= and timeout="
            ) from error
        said = _text_of(answer.data)
        if answer.status in (400, 404, 405, 422):
            raise _RefusedError(f"HTTP {answer.status}, {said}")
        if answer.status in (401, 403):
            raise RuntimeError(f"{self._who} wants another api_key (HTTP {answer.status}, {said})")
        if answer.status != 200:
            raise RuntimeError(f"{self._who} fails (HTTP {answer.status}, {said}), asked {self.retries + 1} times")
        try:
            return json.loads(answer.data)
        except ValueError as error:
            raise RuntimeError(f"{self._who} gives no JSON ({said}): look at url=") from error

    @cached_property
    def _pool(self) -> Any:
        urllib3 = _urllib3()
        retry = urllib3.Retry(
            total=self.retries,
            status_forcelist=_AGAIN,
            allowed_methods=None,  # a question may be asked twice
            backoff_factor=0.5,
            raise_on_status=False,
        )
        return urllib3.PoolManager(retries=retry)

    @property
    def _who(self) -> str:
        return f"the server of {self.model!r} at {self.url}"

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: no connections."""
        return {name: value for name, value in vars(self).items() if name != "_pool"}


class _RefusedError(Exception):
    """The server does not know this way of asking."""


@final
@dataclass(frozen=True)
class Way:
    """A way of asking for the log-probabilities of a prompt.

    Attributes:
        ask: what the request holds besides.
        read: (choice, row) -> log p of each token of the row.
    """

    ask: Mapping[str, Any]
    read: Callable[[Mapping[str, Any], Sequence[int]], list[float]]


def _read_prompt_logprobs(choice: Mapping[str, Any], row: Sequence[int]) -> list[float]:
    """Of vLLM: a dictionary for each token of the prompt, by token id; None for the first."""
    given = choice.get("prompt_logprobs")
    if not isinstance(given, list) or not given:
        raise _RefusedError("the answer has none")
    _check_count(len(given), row)
    found = [math.nan]
    for token, own in zip(row[1:], given[1:], strict=True):
        if not isinstance(own, dict) or str(token) not in own:
            raise RuntimeError(
                f"the server read other tokens than were sent: {shown(list(own or ()))} where {token} stood; the "
                "tokenizer here must be that of the model there"
            )
        found.append(float(own[str(token)]["logprob"]))
    return found


def _read_echo(choice: Mapping[str, Any], row: Sequence[int]) -> list[float]:
    """Of OpenAI's completions: the prompt comes back before what was written, each token with its log p."""
    given = (choice.get("logprobs") or {}).get("token_logprobs")
    # a server that knows no echo gives the one token that it wrote
    if not isinstance(given, list) or (len(given) <= 1 < len(row)):
        raise _RefusedError("the answer has none")
    # with it or without it came the token that was asked for besides
    _check_count(len(given), row, more=1)
    if any(value is None for value in given[1 : len(row)]):
        raise _RefusedError("it leaves tokens out")
    return [math.nan, *map(float, given[1 : len(row)])]


def _check_count(count: int, row: Sequence[int], more: int = 0) -> None:
    if not len(row) <= count <= len(row) + more:
        raise RuntimeError(
            f"the server read {count} tokens where {len(row)} were sent: the tokenizer here must be that of the model "
            "there, and the server must add none"
        )


WAYS: Mapping[str, Way] = {
    "prompt_logprobs": Way({"prompt_logprobs": 0}, _read_prompt_logprobs),
    "echo": Way({"echo": True, "logprobs": 1}, _read_echo),
}
"""In the order in which they are tried: the first names tokens by their ids."""


def _urllib3() -> Any:
    try:
        import urllib3
    except ImportError as error:
        raise ImportError(
            "models behind a server need urllib3: pip install 'textsearch-sampling[completions]'"
        ) from error
    return urllib3


def _reason(error: BaseException) -> str:
    """What went wrong, without the address that urllib3 repeats."""
    inner = getattr(error, "reason", None) or error
    return shown(str(inner).rpartition(": ")[2] or type(inner).__name__, 200)


def _text_of(data: bytes) -> str:
    """What a server says of an error, in few words."""
    text = data.decode("utf-8", "replace")
    try:
        found = json.loads(text)
        found = found.get("error", found.get("message", found)) if isinstance(found, dict) else found
        text = str(found.get("message", found) if isinstance(found, dict) else found)
    except ValueError:
        pass
    return shown(text, 200)


@told
def completions_lm(
    url: str,
    model: str,
    *,
    tokenizer: Any,
    bos: int | None = None,
    eos: int | None = None,
    api_key: str | None = None,
    max_length: int = 2048,
    batch_texts: int = 32,
    timeout: float = 60.0,
    retries: int = 3,
) -> CompletionsLM:
    """A causal model behind a server that speaks OpenAI's completions and tells the log-probabilities of a prompt.

    Args:
        url: of the API, up to and with its version: `"http://127.0.0.1:8000/v1"`.
        model: the name under which the server knows it.
        tokenizer: the model's own: a hub id, a folder, or a fast tokenizer of transformers.
        bos: token id that texts begin after; by default the tokenizer's, or else the end token.
        eos: token id that ends texts; by default the tokenizer's.
        api_key: sent as a bearer token.
        max_length: tokens of the longest text that the server reads, its prompt not counted.
        batch_texts: texts in one request.
        timeout: seconds that one request may take.
        retries: times that a request is sent again where the server cannot be reached, is starting, or is too busy.

    Raises:
        ValueError: no such tokenizer, one without start and end tokens, or an address that is none.

    >>> completions_lm("http://localhost:8000/v1", "gpt2", tokenizer=3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    TypeError: tokenizer=3 is a number, not a fast tokenizer of transformers: pass ...
    """
    if isinstance(tokenizer, str | os.PathLike):
        name = os.fspath(tokenizer)
        model_name("tokenizer", name)
        with silenced():
            tokenizer = load_tokenizer(name, False)
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise TypeError(
            f"tokenizer={shown(tokenizer)} is {nature(tokenizer)}, not a fast tokenizer of transformers: pass its name "
            "or folder, or load one with AutoTokenizer.from_pretrained(name)"
        )
    eos = tokenizer.eos_token_id if eos is None else whole("eos", eos)
    bos = next((one for one in (bos, tokenizer.bos_token_id, eos) if one is not None), None)
    if bos is None or eos is None:
        raise ValueError(f"the tokenizer of {shown(model)} names no start and end tokens: pass bos= and eos=")
    vocabulary = TokenizerVocabulary(tokenizer, whole("max_length", max_length, 1))
    return CompletionsLM(
        url, model, vocabulary, whole("bos", bos), eos, batch_texts, timeout, retries, _api_key=api_key
    )
