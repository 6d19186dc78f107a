"""A mixture of causal models, token by token: p(v | left) = sum_i w_i p_i(v | left).

Each law of the next token is a mean of the models' laws, so the product over a text is a law of texts again, and its
log-probability is exact. A network and n-grams of the same tokens err in different places: n-grams know what stands
together and forget all else, a small network knows how sentences go and spells badly. Their mixture has fewer nats
than either (Jelinek and Mercer, 1980; Mikolov et al., "Empirical evaluation and combination of advanced language
modeling techniques", 2011).
"""

from __future__ import annotations

import json
import math
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep, reals, sequence, strings
from textsearch.models.protocols import Scores
from textsearch.models.reading.memory import recall
from textsearch.models.reading.next_tokens import log_probs_after
from textsearch.models.reading.suffixes import Reader
from textsearch.models.reading.token_by_token import TokenByToken, of_each
from textsearch.models.reading.turns import alone
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary

FILE = "mixture.json"
"""What makes a folder a mixture: {"models": [folders, from this one on], "weights": [numbers]}."""

_TEXTS = 200_000  # remembered
_BEGIN = -1  # stands for what each model begins a text with


class Part(Reader, Protocol):
    """A causal model that is read token by token, and what it counts."""

    @property
    def model(self) -> Any:
        """The weights or the tables."""

    @property
    def usage(self) -> Usage:
        """What it has read."""


@final
@dataclass(frozen=True, eq=False)
class MixtureLM(TokenByToken):
    """log p(text) of causal models that share their tokens, each token drawn from the weighted mean of their laws.

    It takes no prompts: what answers a request and what knows none do not mix.

    Attributes:
        lms: models with one tokenizer and one end token, such as those of `causal_lm` and `ngram_lm`.
        weights: of the models, positive; they are divided by their sum.

    Raises:
        ValueError: fewer than two models, other tokens, or weights that are none.
    """

    lms: Sequence[Part]
    weights: Sequence[float]
    _known: OrderedDict[tuple[int, ...], float] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        lms, given = sequence("lms", self.lms, "models"), reals("weights", self.weights, "be a number")
        if len(lms) < 2 or len(given) != len(lms):
            raise ValueError(f"{len(lms)} models and {len(given)} weights: give two models or more, each its weight")
        weights = tuple(float(weight) / sum(given) if sum(given) else 0.0 for weight in given)
        if not all(0 < weight < 1 for weight in weights):
            raise ValueError(f"weights={given} must be positive, and none next to nothing: leave out that model")
        tokens = [(lm.vocabulary.tokenizer.get_vocab(), lm.eos) for lm in lms]
        if any(own != tokens[0] for own in tokens):
            raise ValueError(
                "the models have other tokens, or other ends: train n-grams with --tokenizer of the network"
            )
        keep(self, lms=lms, weights=weights)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @property
    def vocabulary(self) -> TokenizerVocabulary:
        """The tokens of all, as the model with the shortest texts has them."""
        return min((lm.vocabulary for lm in self.lms), key=lambda own: own.longest)

    @property
    def eos(self) -> int:
        """The token that ends a text."""
        return self.lms[0].eos

    @property
    def usage(self) -> Usage:
        """What the first model has read."""
        return self.lms[0].usage

    @property
    def tree(self) -> MixtureTree:
        """What the models have read. Hold their locks while you use slots of it."""
        return MixtureTree(self.lms, self.weights)

    def after(self, rows: Sequence[Sequence[int]], prompts: Sequence[str]) -> list[list[int]]:
        """The rows behind what stands for the beginning of a text.

        Raises:
            ValueError: there is a prompt.
        """
        if any(prompts):
            raise ValueError(f"prompt={next(filter(None, prompts))!r}: a mixture takes no prompts; leave it empty")
        return [[_BEGIN, *row] for row in rows]

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text. `least` saves nothing here."""
        own = batch if batch.vocabulary is self.vocabulary else self.vocabulary.encode(batch.texts())
        rows = own.token_lists()
        self.after([], [prompt] if isinstance(prompt, str) else prompt)
        with self._alone():
            values = recall(self._known, [tuple(row) for row in rows], self._log_probs, _TEXTS, self.usage)
        return Scores(torch.tensor(values, dtype=torch.float64, device=batch.device), own.lengths.to(batch.device) + 1)

    def next_log_probs(self, texts: Sequence[str], prompt: str | Sequence[str] = "") -> Tensor:
        """(B, V) float64 log-probabilities of the token that follows each text."""
        prompts = of_each(prompt, len(texts))
        with self._alone():
            return log_probs_after(self, self.vocabulary.encode(texts).token_lists(), prompts, 0)

    def _alone(self) -> AbstractContextManager[Any]:
        return alone(*(lm.model for lm in self.lms))

    def _log_probs(self, keys: Sequence[tuple[int, ...]]) -> list[float]:
        """log p of each row and its end."""
        rows = self.after(keys, [""] * len(keys))
        out: list[float] = []
        for part in self.tree.portions(rows):
            found = self.tree.read([rows[i] for i in part])
            values = iter(
                self.tree.log_probs(
                    [slot for slots in found for slot in slots],
                    [token for i in part for token in (*keys[i], self.eos)],
                )
            )
            # one by one: the order of the sum does not depend on the batch
            out += [sum(next(values) for _ in slots) for slots in found]
        return out


@final
@dataclass(frozen=True)
class MixtureTree:
    """What `textsearch.models.reading` asks of a model that it draws from: slots are those of all the models.

    Attributes:
        lms: the models.
        weights: of the models; their sum is 1.
    """

    lms: Sequence[Part]
    weights: Sequence[float]

    def portions(self, rows: Sequence[Sequence[int]], more: int = 0) -> Iterator[range]:
        """Rows side by side that every model can keep at the same time."""
        parts: Iterator[range] = iter([range(len(rows))])
        for lm in self.lms:
            parts = self._within(parts, lm, rows, more)
        yield from parts

    def read(self, rows: Sequence[Sequence[int]]) -> list[list[tuple[Any, ...]]]:
        """The slots of each row's tokens."""
        each = []
        for lm in self.lms:
            found = lm.tree.read(_own(lm, rows))
            each.append([slots[len(slots) - len(row) :] for slots, row in zip(found, rows, strict=True)])
        return [list(zip(*slots, strict=True)) for slots in zip(*each, strict=True)]

    def logits(self, slots: Sequence[tuple[Any, ...]]) -> Tensor:
        """(K, V) float64 log-probabilities of what follows."""
        own = [
            lm.tree.logits(list(each)).double().log_softmax(-1).cpu() + math.log(weight)
            for lm, weight, each in zip(self.lms, self.weights, zip(*slots, strict=True), strict=True)
        ]
        return torch.stack(own).logsumexp(0)

    def log_probs(self, slots: Sequence[tuple[Any, ...]], tokens: Sequence[int]) -> list[float]:
        """log p of each of the `tokens`, given what ends in its slot."""
        own = [
            torch.tensor(lm.tree.log_probs(list(each), tokens), dtype=torch.float64) + math.log(weight)
            for lm, weight, each in zip(self.lms, self.weights, zip(*slots, strict=True), strict=True)
        ]
        found: list[float] = torch.stack(own).logsumexp(0).tolist()
        return found

    def _within(self, parts: Iterator[range], lm: Part, rows: Sequence[Sequence[int]], more: int) -> Iterator[range]:
        for part in parts:
            for own in lm.tree.portions(_own(lm, [rows[i] for i in part]), more):
                yield range(part.start + own.start, part.start + own.stop)


def _own(lm: Part, rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """The rows as a model begins them."""
    return lm.after([row[1:] for row in rows], [""] * len(rows))


def is_mixture_folder(name: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a mixture."""
    return (Path(name) / FILE).is_file()


def mixture_lm(folder: str | os.PathLike[str]) -> MixtureLM:
    """The mixture of a folder, as `training/mixture.py` writes it: its models are loaded from where they are.

    Raises:
        ValueError: its file cannot be read, or the models do not belong together.
    """
    from textsearch.models import causal_lm, ngram_lm
    from textsearch.models.ngram.tables import is_ngram_folder

    file = Path(folder) / FILE
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        names = [Path(folder) / name for name in strings("models", told["models"], "folders")]
        weights = told["weights"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f'{str(file)!r} says no mixture: write {{"models": [folders], "weights": [numbers]}}, as '
            "training/mixture.py does"
        ) from error
    for name in names:
        if is_mixture_folder(name):
            raise ValueError(f"{str(file)!r} names {str(name)!r}, a mixture itself: name the models that it mixes")
    lms: list[Any] = [ngram_lm(name) if is_ngram_folder(str(name)) else causal_lm(name) for name in names]
    return MixtureLM(lms, weights)
