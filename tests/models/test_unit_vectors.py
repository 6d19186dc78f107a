"""Encoders of others: numpy or tensors, of any length, a `SentenceTransformer` as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from objectives import Similarity, VectorLikeness, WordPreservation
from tests.models.tiny import tiny_encoder
from textsearch.models import sentence_encoder
from textsearch.models.classifier import LinearClassifier
from textsearch.models.protocols import unit_vectors
from textsearch.testing import check_objective, letters


class Foreign:
    """As sentence-transformers gives them: float32 of numpy, not of length 1, more arguments than are used."""

    def encode(self, sentences: Sequence[str], prompt: str | None = None, batch_size: int = 32) -> NDArray[np.float32]:
        counts = [[3.0 + text.count("a"), 4.0 * text.count("b"), len(text)] for text in sentences]
        return np.array(counts, dtype=np.float32)


class Ours:
    """The same vectors at length 1, as tensors."""

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.as_tensor(Foreign().encode(texts)).double(), dim=1)


TEXTS = ["abba", "", "b", "aaab"]


def test_lengths_are_made_1_and_those_that_are_stay_to_the_bit() -> None:
    found = unit_vectors(Foreign(), TEXTS)
    assert found.dtype == torch.float64 and torch.allclose(found.norm(dim=1), torch.ones(4, dtype=torch.float64))
    assert torch.equal(found, unit_vectors(Ours(), TEXTS))
    float32 = unit_vectors(Ours(), TEXTS).float()

    class Same:
        def encode(self, texts: Sequence[str]) -> torch.Tensor:
            return float32

    assert torch.equal(unit_vectors(Same(), TEXTS), float32.double())


@pytest.mark.parametrize("wrong", [[[1.0]], [1.0, 2.0], [[float("nan")], [1.0]]])
def test_what_is_no_vector_for_each_text_is_refused(wrong: Any) -> None:
    class Broken:
        def encode(self, texts: Sequence[str]) -> Any:
            return wrong

    with pytest.raises(ValueError, match=r"Broken.encode gives .* for 2 texts: \(texts, dimensions\) finite"):
        unit_vectors(Broken(), ["a", "b"])


@pytest.mark.parametrize("encoder", [Foreign(), Ours()], ids=["numpy, any length", "tensors of length 1"])
def test_every_user_of_an_encoder_takes_it(encoder: Any) -> None:
    batch = letters("ab ").encode(TEXTS)
    expected = 1 - unit_vectors(Ours(), TEXTS) @ unit_vectors(Ours(), ["ab"])[0]
    assert torch.allclose(Similarity(encoder, "ab", sharpness=1.0).energy(batch), expected)
    check_objective(Similarity(encoder, "ab"), batch)
    assert VectorLikeness(encoder)(["abba"], ["ab"]) == pytest.approx([1 - float(expected[0])])
    kept = WordPreservation(encoder, "ab b").energy(batch)
    assert torch.allclose(kept, WordPreservation(Ours(), "ab b").energy(batch)) and bool(kept[0].isfinite())
    fitted = LinearClassifier.fit(encoder, ["aa", "ab", "bb", "b"] * 5, ["a", "a", "b", "b"] * 5, seed=0)
    assert fitted.log_probs(["aaa", "bbb"]).argmax(1).tolist() == [0, 1]


def test_a_sentence_transformer_is_an_encoder(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    own = sentence_encoder(tiny_encoder(tmp_path))
    # of a folder without modules of its own the library makes a mean over tokens
    foreign = library.SentenceTransformer(str(tmp_path), device="cpu", local_files_only=True)
    texts = ["the dog sat.", "a cat ran", "dog"]
    assert torch.allclose(unit_vectors(foreign, texts), own.encode(texts).double(), atol=1e-5)
    assert bool(Similarity(foreign, "the cat sat.").energy(letters("a").encode(["a"])).isfinite())
