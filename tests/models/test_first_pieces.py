"""Vocabularies matched: what is kept is what would be worked out, and is worked out anew when it may not be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch.models import first_pieces as module
from textsearch.models.first_pieces import first_pieces


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in which small vocabularies are kept too."""
    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_SMALL", 0)
    return tmp_path / "cache"


def test_what_is_kept_is_what_would_be_worked_out(tiny: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masked, causal = tiny.masked().vocabulary, tiny.causal().vocabulary
    found = first_pieces(masked, causal)
    assert torch.equal(found, module._matched(masked, causal))
    (path,) = cache.iterdir()

    def refuse(*_: object) -> object:
        raise AssertionError("it is there")

    with monkeypatch.context() as kept:
        kept.setattr(module, "_matched", refuse)
        # other objects of the same tokens, as the next process has
        assert torch.equal(first_pieces(tiny.masked().vocabulary, causal), found)
        # what decides on the answer is in the name
        with pytest.raises(AssertionError, match="it is there"):
            first_pieces(causal, masked)
    for damage in (b"", path.read_bytes()[:-9], b"hello"):
        path.write_bytes(damage)
        assert torch.equal(first_pieces(tiny.masked().vocabulary, causal), found)
    np.save(path, np.full((2, masked.size), causal.size), allow_pickle=False)
    assert torch.equal(first_pieces(tiny.masked().vocabulary, causal), found)


def test_other_code_that_spells_is_another_answer(
    tiny: Tiny, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked, causal = tiny.masked().vocabulary, tiny.causal().vocabulary
    before = module._place(masked, causal)
    assert before == module._place(tiny.masked().vocabulary, tiny.causal().vocabulary)
    assert all(file.is_file() for file in module._SPELLING)
    other = tmp_path / "surface.py"
    other.write_bytes(module._SPELLING[-1].read_bytes() + b"\n")
    monkeypatch.setattr(module, "_SPELLING", (*module._SPELLING[:-1], other))
    assert module._place(masked, causal) != before


def test_small_vocabularies_are_not_kept(tiny: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SMALL", 10_000)
    first_pieces(tiny.masked().vocabulary, tiny.causal().vocabulary)
    assert not cache.exists()
