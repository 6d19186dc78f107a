"""Causal language models from transformers checkpoints."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.projection import project_only
from textsearch.models.protocols import Scores
from textsearch.models.tiles import Tile, tiles
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng, categorical

_TEXTS, _PROMPTS = 200_000, 64  # remembered


@final
@dataclass(frozen=True, eq=False)
class Prefix:
    """What every text of a call begins after.

    Attributes:
        states: per layer, the (1, heads, P, size) keys and values of all its tokens but the last.
        length: P.
        last: its last token, which the text's first token is predicted from.
    """

    states: tuple[tuple[Tensor, Tensor], ...]
    length: int
    last: int


@final
@dataclass(frozen=True, eq=False)
class TransformersCausalLM:
    """log p(text) of a GPT-like model, from a start to an end token; after a prompt, log p(text | prompt).

    Texts scored before are remembered: a chain that returns to a text does not pay for it again. A prompt is read
    once, and its keys and values serve all texts.

    Attributes:
        model: a transformers causal language model, on its device.
        vocabulary: its tokenizer.
        bos: the token that a text without a prompt begins after.
        eos: the token that ends a text.
        most_tokens: tokens in one forward pass, padding included; more are cut into several passes.
        usage: what has been asked of the model so far.
    """

    model: Any
    vocabulary: TokenizerVocabulary
    bos: int
    eos: int
    most_tokens: int = 512
    usage: Usage = field(default_factory=Usage)
    _known: OrderedDict[tuple[str, tuple[int, ...]], float] = field(default_factory=OrderedDict, repr=False)
    _prefixes: OrderedDict[str, Prefix] = field(default_factory=OrderedDict, repr=False)

    def score(self, batch: Batch, prompt: str = "") -> Scores:
        """log p of each row's text; its token ids are taken as they are if the tokenizer is this model's own."""
        if batch.vocabulary is self.vocabulary:
            rows = batch.token_lists()
        else:
            rows = self.vocabulary.encode(batch.texts()).token_lists()
        keys = [(prompt, tuple(row)) for row in rows]
        fresh = [key for key in dict.fromkeys(keys) if key not in self._known]
        found = dict(zip(fresh, self._log_probs([row for _, row in fresh], prompt), strict=True))
        values = [found[key] if key in found else self._known[key] for key in keys]
        self._known.update(found)
        while len(self._known) > _TEXTS:
            self._known.popitem(last=False)
        return Scores(
            torch.tensor(values, dtype=torch.float64, device=batch.device),
            torch.tensor([len(row) + 1 for row in rows], device=batch.device),
        )

    def next_log_probs(self, texts: Sequence[str], prompt: str = "") -> Tensor:
        """(B, V) float32 log-probabilities of the token that follows each text."""
        prefix = self._prefix(prompt)
        framed = [[prefix.last, *row] for row in self.vocabulary.encode(texts).token_lists()]
        out = torch.empty(len(framed), self.vocabulary.size, device=self.model.device)
        for tile in self._tiles(framed):
            row = torch.arange(len(tile.rows), device=self.model.device)
            logits = self._logits(tile, prefix, row, tile.lengths - 1)
            out[tile.rows] = logits[:, : self.vocabulary.size].log_softmax(-1)
        return out

    def continuations(
        self, prompt: str, rng: Rng, *, temperature: float = 1.0, top_p: float = 1.0, most: int = 40
    ) -> list[str]:
        """One text after `prompt` for each row of `rng`, drawn token by token until the end token.

        Args:
            prompt: what the texts go on from; an empty one stands for the start token.
            rng: a stream for each text.
            temperature: of the token distribution.
            top_p: draw from the likeliest tokens that hold this much probability (Holtzman et al., 2020).
            most: tokens; longer texts are cut.
        """
        prefix = self._prefix(prompt)
        count, device = len(rng.chain), self.model.device
        cache = self._cache(prefix, count)
        token = torch.full((count, 1), prefix.last, device=device)
        written: list[Tensor] = []
        ended = torch.zeros(count, dtype=torch.bool, device=device)
        for place in range(most):
            logits = self.model(input_ids=token, past_key_values=cache, use_cache=True).logits[:, -1]
            self.usage.count(token.shape)
            log_probs = _nucleus((logits[:, : self.vocabulary.size].double() / temperature).log_softmax(-1), top_p)
            token = categorical(log_probs, rng.uniform(place).to(device))[:, None]
            ended |= token[:, 0] == self.eos
            written.append(token.masked_fill(ended[:, None], self.eos))
            if bool(ended.all()):
                break
        rows = torch.cat(written, 1).tolist() if written else [[]] * count
        texts = [row[: row.index(self.eos)] if self.eos in row else row for row in rows]
        return [str(text) for text in self.vocabulary.tokenizer.batch_decode(texts, skip_special_tokens=True)]

    def ask(self, request: str, examples: Sequence[tuple[str, str]] = ()) -> str:
        """A prompt in the model's own chat format, after which it answers `request`.

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
        messages = [{"role": role, "content": text} for role, text in [*turns, ("user", request)]]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _log_probs(self, rows: Sequence[tuple[int, ...]], prompt: str) -> list[float]:
        """log p(row, end | prompt) of each."""
        if not rows:
            return []
        prefix = self._prefix(prompt)
        device = self.model.device
        out = torch.zeros(len(rows), dtype=torch.float64, device=device)
        for tile in self._tiles([[prefix.last, *row] for row in rows]):
            row, column = tile.attention_mask.nonzero(as_tuple=True)
            # what comes after each token: the next one, and the end after the last
            ended = torch.nn.functional.pad(tile.tokens, (0, 1), value=self.eos)
            ended = ended.scatter(1, tile.lengths[:, None], self.eos)
            target = ended[row, column + 1]
            logits = self._logits(tile, prefix, row, column)
            each = logits.gather(1, target[:, None])[:, 0] - logits.logsumexp(-1)
            grid = torch.zeros(tile.tokens.shape, dtype=torch.float64, device=device)
            grid[row, column] = each.double()
            out[tile.rows] = grid.sum(1)
        return [float(value) for value in out.tolist()]

    def _tiles(self, framed: Sequence[Sequence[int]]) -> list[Tile]:
        return list(tiles(framed, pad=self.eos, most_tokens=self.most_tokens, device=self.model.device))

    def _logits(self, tile: Tile, prefix: Prefix, rows: Tensor, columns: Tensor) -> Tensor:
        """(K, V) float32 at (`rows`, `columns`) of the tile, read after the prefix."""
        mask = torch.nn.functional.pad(tile.attention_mask, (prefix.length, 0), value=1)
        cache = self._cache(prefix, len(tile.rows)) if prefix.length else None
        with project_only(self.model, rows, columns):
            answer = self.model(
                input_ids=tile.tokens, attention_mask=mask, past_key_values=cache, use_cache=cache is not None
            )
        self.usage.count(tile.tokens.shape)
        logits: Tensor = answer.logits.float()
        return logits

    def _cache(self, prefix: Prefix, rows: int) -> Any:
        from transformers import DynamicCache

        if not prefix.length:
            return DynamicCache(config=self.model.config)
        # views of one copy: the model appends to its own, and leaves the prefix as it is
        shared = [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in prefix.states]
        return DynamicCache(shared, config=self.model.config)

    def _prefix(self, prompt: str) -> Prefix:
        if prompt not in self._prefixes:
            tokens = self.vocabulary.encode([prompt]).token_lists()[0] if prompt else [self.bos]
            states: tuple[tuple[Tensor, Tensor], ...] = ()
            if len(tokens) > 1:
                tile = torch.tensor([tokens[:-1]], device=self.model.device)
                cache = self.model.base_model(input_ids=tile, use_cache=True).past_key_values
                states = tuple((layer.keys, layer.values) for layer in cache.layers)
                self.usage.count(tile.shape)
            self._prefixes[prompt] = Prefix(states, len(tokens) - 1, tokens[-1])
            while len(self._prefixes) > _PROMPTS:
                self._prefixes.popitem(last=False)
        return self._prefixes[prompt]


def _nucleus(log_probs: Tensor, top_p: float) -> Tensor:
    """`log_probs` (B, V) with all but the likeliest tokens that hold `top_p` of the probability set to -inf."""
    if top_p >= 1.0:
        return log_probs
    ordered, index = log_probs.sort(dim=-1, descending=True, stable=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()
    return log_probs.scatter(-1, index, ordered.masked_fill(before >= top_p, -torch.inf))
