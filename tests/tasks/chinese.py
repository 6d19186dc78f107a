"""Tiny random checkpoints that write Chinese: one character a token, and nothing but a `vocab.txt` for a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

import pytest

from tests.models.tiny import bert, llama
from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.checkpoints.characters import SPECIALS
from textsearch.models.checkpoints.silence import silenced
from textsearch.models.masked import TransformersMaskedLM

CHARACTERS = (
    "，。！？、：；“”《》（）0129ABab春天公园孩子河流域山区学校学生数火车站城市的在是有里一个了很多花风雪月夏秋冬人大小"
)
MORE = "".join(map(chr, range(0x4E00, 0x4E96)))
PIECES = [*SPECIALS.values(), *dict.fromkeys(CHARACTERS + MORE)]
SETS = [["春天", "公园", "孩子"], ["河流", "山区"], ["学校", "学生", "数学", "大"]]


@final
@dataclass(frozen=True)
class Chinese:
    """Folders with a masked and a causal model."""

    masked_path: Path
    causal_path: Path

    def masked(self) -> TransformersMaskedLM:
        """A fresh adapter."""
        return masked_lm(self.masked_path, device="cpu")

    def causal(self) -> TransformersCausalLM:
        """A fresh adapter."""
        return causal_lm(self.causal_path, device="cpu")


@pytest.fixture(scope="session")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Chinese:
    """The checkpoints, written once a session."""
    return _write(tmp_path_factory.getbasetemp() / "chinese")


@cache
def _write(folder: Path) -> Chinese:
    masked, causal = folder / "masked", folder / "causal"
    end = PIECES.index("[SEP]")
    for path, model in ((masked, bert(len(PIECES))), (causal, llama(len(PIECES), end=end))):
        with silenced():
            model.save_pretrained(path)
        write_vocabulary(path, PIECES)
    return Chinese(masked, causal)


def write_vocabulary(folder: Path, pieces: Sequence[str]) -> None:
    """One piece a line."""
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
