"""Causal language models from transformers checkpoints."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.protocols import Scores
from textsearch.models.reading.memory import recall
from textsearch.models.reading.prefix_tree import PrefixTree
from textsearch.models.reading.token_by_token import TokenByToken, of_each
from textsearch.models.reading.turns import alone, in_turn, lock_of
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary

_TEXTS, _PROMPTS = 200_000, 10_000  # remembered
_ROUND = 256  # tokens that all rows together read before it is asked whether to go on


@final
@dataclass(frozen=True, eq=False)
class TransformersCausalLM(TokenByToken):
    """log p(text) of a GPT-like model, from a start to an end token; after a prompt, log p(text | prompt).

    Texts scored before are remembered: a chain that returns to a text does not pay for it again. Of a new text, with
    its prompt, only the part behind the longest beginning that was read before is read: see `PrefixTree`. Threads may
    share the model; they take turns.

    Attributes:
        model: a transformers causal language model, on its device.
        vocabulary: its tokenizer.
        bos: the token that a text without a prompt begins after.
        eos: the token that ends a text.
        max_tokens: tokens in one forward pass; more are cut into several passes.
        max_bytes: memory for the keys and values of what was read.
        usage: counts what the model has read so far.
    """

    model: Any
    vocabulary: TokenizerVocabulary
    bos: int
    eos: int
    max_tokens: int = 512
    max_bytes: int = 2**30
    usage: Usage = field(default_factory=Usage)
    _known: OrderedDict[tuple[str, tuple[int, ...]], float] = field(default_factory=OrderedDict, repr=False)
    _starts: OrderedDict[str, list[int]] = field(default_factory=OrderedDict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def _alone(self) -> AbstractContextManager[Any]:
        return alone(self.model)

    @property
    def tree(self) -> PrefixTree:
        """What the model has read. Hold the model's lock while you use slots of it."""
        with lock_of(self.model):
            return self._tree

    @cached_property
    def _tree(self) -> PrefixTree:
        return PrefixTree(self.model, self.vocabulary.size, self.max_tokens, self.max_bytes, self.usage)

    @in_turn
    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text given its prompt: one for all rows, or one for each.

        Token ids are used as they are if the batch has this model's vocabulary; otherwise the texts are encoded again.
        A row is read only until it is known to lie below `least` (B,); its log p is then given as -inf.
        """
        if batch.vocabulary is self.vocabulary:
            rows = batch.token_lists()
        else:
            rows = self.vocabulary.encode(batch.texts()).token_lists()
        prompts = of_each(prompt, len(rows))
        keys = [(own, tuple(row)) for own, row in zip(prompts, rows, strict=True)]
        floors: dict[tuple[str, tuple[int, ...]], float] = {}
        for key, floor in zip(keys, [-math.inf] * len(keys) if least is None else least.tolist(), strict=True):
            floors[key] = min(floors.get(key, math.inf), floor)
        values = recall(
            self._known,
            keys,
            lambda fresh: self._log_probs(fresh, [floors[key] for key in fresh]),
            _TEXTS,
            self.usage,
            keep=lambda value: value > -math.inf,
        )
        return Scores(
            torch.tensor(values, dtype=torch.float64, device=batch.device),
            torch.tensor([len(row) + 1 for row in rows], device=batch.device),
        )

    def ending_with(self, eos: int) -> TransformersCausalLM:
        """The same model where another token ends a text; what was remembered had the old end and is left behind."""
        return TransformersCausalLM(self.model, self.vocabulary, self.bos, eos, self.max_tokens, self.max_bytes)

    def forgetful(self) -> TransformersCausalLM:
        """The same model with nothing remembered and nothing counted, for measurements."""
        return TransformersCausalLM(self.model, self.vocabulary, self.bos, self.eos, self.max_tokens, self.max_bytes)

    @in_turn
    def next_log_probs(self, texts: Sequence[str], prompt: str | Sequence[str] = "") -> Tensor:
        """(B, V) float32 log-probabilities of the token that follows each text after its prompt."""
        prompts = of_each(prompt, len(texts))
        rows = self.after(self.vocabulary.encode(texts).token_lists(), prompts)
        out = torch.empty(len(rows), self.vocabulary.size, device=self.model.device)
        for part in self.tree.portions(rows):
            found = self.tree.read([rows[i] for i in part])
            out[part.start : part.stop] = self.tree.logits([slots[-1] for slots in found]).log_softmax(-1)
        return out

    def ask(self, request: str, examples: Sequence[tuple[str, str]] = ()) -> str:
        """A prompt in the model's own chat format, after which it answers `request`.

        Special tokens that the request or an example spells out are read as text.

        Args:
            request: what is wanted.
            examples: requests with the answers that were wanted, shown as earlier turns.

        Raises:
            ValueError: the tokenizer has no chat template.
        """
        tokenizer = self.vocabulary.tokenizer
        if not tokenizer.chat_template:
            raise ValueError("this model's tokenizer has no chat template: write the prompt as plain text instead")
        turns = [(role, text) for pair in examples for role, text in zip(("user", "assistant"), pair, strict=True)]
        spoken = [(role, self.vocabulary.as_text(text)) for role, text in [*turns, ("user", request)]]
        messages = [{"role": role, "content": text} for role, text in spoken]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    @in_turn
    def after(self, rows: Sequence[Sequence[int]], prompts: Sequence[str]) -> list[list[int]]:
        """The rows, each behind the tokens of its prompt, or behind the start token."""
        return [[*self._start(prompt), *row] for prompt, row in zip(prompts, rows, strict=True)]

    def _start(self, prompt: str) -> list[int]:
        """The tokens of a prompt; the start token for an empty one."""

        def answer(fresh: list[str]) -> list[list[int]]:
            return [row or [self.bos] for row in self.vocabulary.encode(fresh).token_lists()]

        return recall(self._starts, [prompt], answer, _PROMPTS)[0]

    def _log_probs(self, keys: Sequence[tuple[str, tuple[int, ...]]], floors: Sequence[float]) -> list[float]:
        """log p(row, end | prompt) for each (prompt, row); -inf for a row that lies below its floor."""
        rows = self.after([row for _, row in keys], [prompt for prompt, _ in keys])
        begins = [len(row) - len(own) for row, (_, own) in zip(rows, keys, strict=True)]
        out: list[float] = []
        for part in self.tree.portions(rows):
            window = slice(part.start, part.stop)
            out += self._sums(rows[window], begins[window], floors[window])
        return out

    def _sums(self, rows: Sequence[Sequence[int]], begins: Sequence[int], floors: Sequence[float]) -> list[float]:
        """log p of each row from its place `begins` on, and of the end.

        Every token lowers the sum, so a row is given up once its sum is below its floor. Tokens that were read before
        are summed first; then each round reads twice as many tokens as the one before.
        """
        out, sums, done = [-math.inf] * len(rows), [0.0] * len(rows), list(begins)
        alive, more = list(range(len(rows))), 0
        while alive:
            reach = [
                len(rows[i])
                if floors[i] == -math.inf
                else min(len(rows[i]), max(done[i], self.tree.known(rows[i])) + more)
                for i in alive
            ]
            found = self.tree.read([rows[i][:end] for i, end in zip(alive, reach, strict=True)])
            slots, tokens = [], []
            for i, end, own in zip(alive, reach, found, strict=True):
                slots += own[done[i] - 1 : end]
                tokens += [*rows[i], self.eos][done[i] : end + 1]
            values = iter(self.tree.log_probs(slots, tokens))
            for i, end in zip(alive, reach, strict=True):
                for _ in range(done[i], end + 1):
                    sums[i] += next(values)
                done[i] = end + 1
                if end == len(rows[i]):
                    out[i] = sums[i]
            alive = [i for i in alive if done[i] <= len(rows[i]) and sums[i] >= floors[i]]
            more = 2 * more if more else -(-_ROUND // max(len(alive), 1))
        return out
