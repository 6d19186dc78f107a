"""Classifiers of texts: any transformers sequence classifier, or logistic regression on sentence vectors."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
import torch
from torch import Tensor

from textsearch.models.protocols import Encoder, unit_vectors
from textsearch.models.reading.finite import check_finite
from textsearch.models.reading.length_buckets import Tile, whole_blocks
from textsearch.models.reading.threads import read_tiles
from textsearch.models.reading.turns import in_turn
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2)


class TextClassifier(Protocol):
    """Probabilities of labels given a text."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the L labels."""

    def log_probs(self, texts: Sequence[str]) -> Tensor:
        """(B, L) float64 log p(label | text); a row depends on its own text alone."""


@final
@dataclass(frozen=True, eq=False)
class TransformersClassifier:
    """A transformers checkpoint with a classification head over single texts.

    Attributes:
        model: on its device.
        tokenizer: its fast tokenizer.
        labels: the names of its outputs.
        longest: tokens in a text, special tokens included; a longer text is an error.
        max_tokens: tokens in one forward pass, padding included; more are cut into several passes.
        usage: counts what the model has read so far.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    longest: int
    max_tokens: int = 4096
    usage: Usage = field(default_factory=Usage)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @in_turn
    def log_probs(self, texts: Sequence[str]) -> Tensor:
        """(B, L) float64 log p(label | text).

        Raises:
            ValueError: a text is longer than the model can read, or a logit is nan or infinite.
        """
        rows = self.tokenizer(list(texts), return_attention_mask=False, verbose=False)["input_ids"] if texts else []
        for text, row in zip(texts, rows, strict=True):
            if len(row) > self.longest:
                raise ValueError(
                    f"a text of {len(row)} tokens is over the classifier's limit of {self.longest}: {text[:60]!r}...; "
                    "shorten or split it"
                )
        device = self.model.device
        out = torch.zeros(len(rows), len(self.labels), dtype=torch.float64, device=device)
        pad = self.tokenizer.pad_token_id or 0
        with torch.inference_mode():
            for tile, log_probs in read_tiles(rows, self._read, pad=pad, max_tokens=self.max_tokens, device=device):
                out[tile.rows] = log_probs
        return out

    def _read(self, tile: Tile) -> Tensor:
        """(R, L) float64."""
        count = len(tile.rows)
        index = whole_blocks(count, self.model.device)
        logits = self.model(input_ids=tile.tokens[index], attention_mask=tile.attention_mask[index]).logits
        self.usage.count(tile.tokens.shape, tile.read)
        return check_finite(self.model, logits[:count], "logits").double().log_softmax(1)


@final
@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """Multinomial logistic regression on the vectors of a sentence encoder.

    Attributes:
        encoder: makes the vectors.
        labels: names of the L labels.
        weight: (L, D) float64.
        bias: (L,) float64.

    >>> class Vowels:
    ...     def encode(self, texts):
    ...         counts = torch.tensor([[text.count("a"), text.count("e")] for text in texts]).float()
    ...         return torch.nn.functional.normalize(counts, dim=1)
    >>> texts = ["aaa", "aae", "aab", "eee", "eea", "eeb"] * 5
    >>> model = LinearClassifier.fit(Vowels(), texts, ["a", "a", "a", "e", "e", "e"] * 5, seed=0)
    >>> model.labels, model.log_probs(["aab", "ee"]).argmax(1).tolist()
    (('a', 'e'), [0, 1])
    """

    encoder: Encoder
    labels: tuple[str, ...]
    weight: Tensor
    bias: Tensor

    @staticmethod
    def fit(
        encoder: Encoder, texts: Sequence[str], labels: Sequence[str], *, seed: int, folds: int = 5
    ) -> LinearClassifier:
        """The weights of largest penalised likelihood; the penalty by cross-validation over `folds` seeded parts.

        Raises:
            ValueError: texts and labels are not equally many, or there are fewer than two labels or `folds` texts.
        """
        names = tuple(sorted(set(labels)))
        if len(texts) != len(labels):
            raise ValueError(f"{len(texts)} texts have {len(labels)} labels: each needs its own")
        if len(names) < 2 or len(texts) < folds:
            raise ValueError(f"{len(texts)} texts with the labels {names} are too few to fit a classifier")
        vectors = unit_vectors(encoder, texts).numpy()
        numbers = np.array([names.index(label) for label in labels])
        part = np.random.default_rng(seed).permutation(len(texts)) % folds

        def loss(penalty: float) -> float:
            """Nats a text on the parts left out."""
            total = 0.0
            for number in range(folds):
                weight, bias = _logistic(vectors[part != number], numbers[part != number], len(names), penalty)
                left = part == number
                total -= float(
                    _log_softmax(vectors[left] @ weight.T + bias)[np.arange(left.sum()), numbers[left]].sum()
                )
            return total / len(texts)

        weight, bias = _logistic(vectors, numbers, len(names), min(_PENALTIES, key=loss))
        return LinearClassifier(encoder, names, torch.from_numpy(weight), torch.from_numpy(bias))

    def log_probs(self, texts: Sequence[str]) -> Tensor:
        """(B, L) float64 log p(label | text)."""
        vectors = unit_vectors(self.encoder, texts)
        # not a matrix product, whose rounding depends on the number of rows
        return ((vectors[:, None, :] * self.weight).sum(-1) + self.bias).log_softmax(-1)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the labels and weights into a folder; the encoder is not written."""
        from safetensors.torch import save_file

        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        save_file({"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}, path / "linear.safetensors")
        (path / "labels.json").write_text(json.dumps(self.labels, ensure_ascii=False), encoding="utf-8")

    @staticmethod
    def load(folder: str | os.PathLike[str], encoder: Encoder) -> LinearClassifier:
        """What `save` wrote, on the encoder that it was fitted on.

        Raises:
            ValueError: the folder holds no such classifier.
        """
        from safetensors.torch import load_file

        path = Path(folder)
        if not is_linear(path):
            raise ValueError(f"{str(folder)!r} holds no linear.safetensors and labels.json: save a classifier there")
        weights = load_file(path / "linear.safetensors")
        labels = json.loads((path / "labels.json").read_text(encoding="utf-8"))
        return LinearClassifier(encoder, tuple(labels), weights["weight"], weights["bias"])


def is_linear(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is one that `LinearClassifier.save` wrote."""
    return (Path(folder) / "linear.safetensors").exists() and (Path(folder) / "labels.json").exists()


def _logistic(
    vectors: NDArray[np.float64], numbers: NDArray[np.int64], count: int, penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(L, D) weights and (L,) biases of least mean loss + penalty / 2 * their squares."""
    from scipy.optimize import minimize

    size = vectors.shape[1]
    wanted = np.eye(count)[numbers]

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight, bias = flat[: count * size].reshape(count, size), flat[count * size :]
        log_probs = _log_softmax(vectors @ weight.T + bias)
        value = -float((wanted * log_probs).sum()) / len(vectors) + penalty / 2 * float((weight**2).sum())
        gap = (np.exp(log_probs) - wanted) / len(vectors)
        return value, np.concatenate([(gap.T @ vectors + penalty * weight).ravel(), gap.sum(0)])

    found = minimize(objective, np.zeros(count * (size + 1)), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return found[: count * size].reshape(count, size), found[count * size :]


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    top = logits - logits.max(1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(1, keepdims=True)))
