"""Causal language models from transformers checkpoints."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.memory import recall
from textsearch.models.projection import project
from textsearch.models.protocols import Scores
from textsearch.models.suffixes import draw_suffixes, suffix_log_probs
from textsearch.models.tiles import Tile, padded_width, tiles
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng, categorical

_TEXTS, _PROMPTS = 200_000, 64  # remembered


@final
@dataclass(frozen=True, eq=False)
class Prefix:
    """What a text begins after.

    Attributes:
        states: per layer, the (1, heads, P, size) keys and values of all its tokens but the last, with zeros before
            them up to a width P that prompts of like length share.
        width: P.
        length: how many of the P are tokens.
        last: its last token, which the text's first token is predicted from.
    """

    states: tuple[tuple[Tensor, Tensor], ...]
    width: int
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

    def score(self, batch: Batch, prompt: str | Sequence[str] = "") -> Scores:
        """log p of each row's text given its prompt: one for all rows, or one for each.

        Token ids are taken as they are if the batch's tokenizer is this model's own, else the text is encoded anew.
        """
        if batch.vocabulary is self.vocabulary:
            rows = batch.token_lists()
        else:
            rows = self.vocabulary.encode(batch.texts()).token_lists()
        prompts = [prompt] * len(rows) if isinstance(prompt, str) else prompt
        keys = [(own, tuple(row)) for own, row in zip(prompts, rows, strict=True)]
        values = recall(self._known, keys, self._log_probs, _TEXTS, self.usage)
        return Scores(
            torch.tensor(values, dtype=torch.float64, device=batch.device),
            torch.tensor([len(row) + 1 for row in rows], device=batch.device),
        )

    def forgetful(self) -> TransformersCausalLM:
        """The same model with nothing remembered and nothing counted: for measurements that start afresh."""
        return TransformersCausalLM(self.model, self.vocabulary, self.bos, self.eos, self.most_tokens)

    def next_log_probs(self, texts: Sequence[str], prompt: str | Sequence[str] = "") -> Tensor:
        """(B, V) float32 log-probabilities of the token that follows each text after its prompt."""
        prompts = [prompt] * len(texts) if isinstance(prompt, str) else prompt
        prefixes = [self._prefix(own) for own in prompts]
        rows = self.vocabulary.encode(texts).token_lists()
        out = torch.empty(len(rows), self.vocabulary.size, device=self.model.device)
        for tile, own in self._tiles(rows, prefixes):
            row = torch.arange(len(tile.rows), device=self.model.device)
            logits = self._logits(tile, own, row, tile.lengths - 1)
            out[tile.rows] = logits.log_softmax(-1)
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
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be above 0; for the likeliest tokens take a small one")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p={top_p} must be in (0, 1]")
        prefix = self._prefix(prompt)
        count, device = len(rng.chain), self.model.device
        if not count:
            return []
        inputs = self._after([prefix] * count, 1)
        cache, mask, position = inputs["past_key_values"], inputs["attention_mask"], inputs["position_ids"]
        written = torch.full((count, most), self.eos, device=device)
        going = torch.arange(count, device=device)
        token = torch.full((count, 1), prefix.last, device=device)
        for place in range(most):
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            self.usage.count(token.shape, len(token))
            logits = self.model(
                input_ids=token,
                past_key_values=cache,
                attention_mask=mask,
                position_ids=position[: len(going)] + place,
                use_cache=True,
            ).logits[:, -1, : self.vocabulary.size]
            log_probs = _nucleus((logits.double() / temperature).log_softmax(-1), top_p)
            token = categorical(log_probs, rng.rows(going.to(rng.chain.device)).uniform(place).to(device))[:, None]
            written[going, place] = token[:, 0]
            # a text that has ended is no longer read
            on = (token[:, 0] != self.eos).nonzero().squeeze(-1)
            if len(on) == 0:
                break
            if len(on) < len(going):
                going, token, mask = going[on], token[on], mask[on]
                cache.batch_select_indices(on)
        rows = written.tolist()
        texts = [row[: row.index(self.eos)] if self.eos in row else row for row in rows]
        return [str(text) for text in self.vocabulary.tokenizer.batch_decode(texts, skip_special_tokens=True)]

    def draw_suffixes(
        self,
        batch: Batch,
        cuts: Tensor,
        rng: Rng,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        most: int,
    ) -> tuple[Batch, Tensor, Tensor]:
        """Row b with what is behind its first `cuts[b]` tokens drawn anew; see `SuffixLM`.

        Token ids are taken as they are: the batch must be one of this model's own vocabulary.
        """
        prompts = [prompt] * len(batch) if isinstance(prompt, str) else prompt
        return draw_suffixes(self, batch, cuts, rng, prompts, temperature, most)

    def suffix_log_probs(
        self, batch: Batch, cuts: Tensor, *, prompt: str | Sequence[str] = "", temperature: float = 1.0
    ) -> Tensor:
        """(B,) float64, how likely `draw_suffixes` is to write what stands behind the first `cuts[b]` tokens."""
        prompts = [prompt] * len(batch) if isinstance(prompt, str) else prompt
        return suffix_log_probs(self, batch, cuts, prompts, temperature)

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

    def _log_probs(self, keys: Sequence[tuple[str, tuple[int, ...]]]) -> list[float]:
        """log p(row, end | prompt) for each (prompt, row)."""
        device = self.model.device
        prefixes = [self._prefix(prompt) for prompt, _ in keys]
        out = torch.zeros(len(keys), dtype=torch.float64, device=device)
        for tile, own in self._tiles([row for _, row in keys], prefixes):
            row, column = tile.attention_mask.nonzero(as_tuple=True)
            # what comes after each token: the next one, and the end after the last
            ended = torch.nn.functional.pad(tile.tokens, (0, 1), value=self.eos)
            ended = ended.scatter(1, tile.lengths[:, None], self.eos)
            target = ended[row, column + 1]
            logits = self._logits(tile, own, row, column)
            each = logits.gather(1, target[:, None])[:, 0] - logits.logsumexp(-1)
            grid = torch.zeros(tile.tokens.shape, dtype=torch.float64, device=device)
            grid[row, column] = each.double()
            out[tile.rows] = grid.sum(1)
        return [float(value) for value in out.tolist()]

    def _tiles(
        self, rows: Sequence[Sequence[int]], prefixes: Sequence[Prefix]
    ) -> Iterator[tuple[Tile, Sequence[Prefix]]]:
        """The rows in tiles, each row led by its prefix's last token; prefixes of one width share tiles."""
        framed = [[prefix.last, *row] for prefix, row in zip(prefixes, rows, strict=True)]
        groups = [prefix.width for prefix in prefixes]
        for tile in tiles(framed, pad=self.eos, most_tokens=self.most_tokens, device=self.model.device, groups=groups):
            yield tile, [prefixes[i] for i in tile.rows.tolist()]

    def _logits(self, tile: Tile, prefixes: Sequence[Prefix], rows: Tensor, columns: Tensor) -> Tensor:
        """(K, V) float32 at (`rows`, `columns`) of the tile, read after each row's prefix."""
        mask = tile.attention_mask
        inputs: dict[str, Any] = {"use_cache": False}
        if prefixes[0].width:
            inputs = self._after(prefixes, tile.tokens.shape[1])
            mask = torch.cat([inputs.pop("attention_mask"), mask], 1)
        self.usage.count(tile.tokens.shape, tile.read)
        logits = project(self.model, rows, columns, input_ids=tile.tokens, attention_mask=mask, **inputs)
        # some models have more outputs than their tokenizer has tokens
        return logits[:, : self.vocabulary.size]

    def _after(self, prefixes: Sequence[Prefix], width: int) -> dict[str, Any]:
        """Inputs of a pass over `width` more tokens after the prefixes; the mask is for the prefixes alone."""
        from transformers import DynamicCache

        device = self.model.device
        lengths = torch.tensor([prefix.length for prefix in prefixes], device=device)[:, None]
        wide = prefixes[0].width
        if all(prefix is prefixes[0] for prefix in prefixes):
            # views of one copy: the model appends to its own, and leaves the prefix as it is
            rows = len(prefixes)
            states = [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in prefixes[0].states]
        else:
            layers = zip(*(prefix.states for prefix in prefixes), strict=True)
            states = [(torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer])) for layer in layers]
        cache = DynamicCache(states, config=self.model.config) if wide else DynamicCache(config=self.model.config)
        return {
            "past_key_values": cache,
            "use_cache": True,
            # padding may run past a table of learned positions, tokens never do
            "position_ids": (lengths + torch.arange(width, device=device)).clamp(max=self.vocabulary.longest),
            "attention_mask": (torch.arange(wide, device=device) >= wide - lengths).to(torch.int64),
        }

    def _prefix(self, prompt: str) -> Prefix:
        if prompt not in self._prefixes:
            tokens = self.vocabulary.encode([prompt]).token_lists()[0] or [self.bos]
            states: tuple[tuple[Tensor, Tensor], ...] = ()
            width, length = 0, len(tokens) - 1
            if length:
                tile = torch.tensor([tokens[:-1]], device=self.model.device)
                cache = self.model.base_model(input_ids=tile, use_cache=True).past_key_values
                width = padded_width(length)
                states = tuple(
                    (_pad_front(layer.keys, width - length), _pad_front(layer.values, width - length))
                    for layer in cache.layers
                )
                self.usage.count(tile.shape, length)
            self._prefixes[prompt] = Prefix(states, width, length, tokens[-1])
            while len(self._prefixes) > _PROMPTS:
                self._prefixes.popitem(last=False)
        return self._prefixes[prompt]


def _pad_front(states: Tensor, count: int) -> Tensor:
    """(1, heads, P, size) with `count` zero positions put before the P."""
    return torch.nn.functional.pad(states, (0, 0, count, 0))


def _nucleus(log_probs: Tensor, top_p: float, most: int = 1024) -> Tensor:
    """`log_probs` (B, V) with all but the likeliest tokens that hold `top_p` of the probability set to -inf."""
    if top_p >= 1.0:
        return log_probs
    # the likeliest few hold it nearly always; sorting the whole vocabulary is for the rest
    ordered = log_probs.topk(min(most, log_probs.shape[-1])).values
    if bool((ordered.exp().sum(-1) < top_p).any()):
        ordered = log_probs.sort(dim=-1, descending=True).values
    before = ordered.exp().cumsum(-1) - ordered.exp()
    # the least likely that is kept, with all that are as likely: no order among equals, so no row depends on another
    least = ordered.masked_fill(before >= top_p, torch.inf).amin(-1, keepdim=True)
    return log_probs.masked_fill(log_probs < least, -torch.inf)
