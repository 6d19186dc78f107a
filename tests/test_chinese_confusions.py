"""Confusions of Chinese characters by their sounds, and listed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from textsearch.language.chinese_confusions import KINDS, ChineseConfusions, lines_of_file, listed_in, near_shapes


def test_characters_that_sound_alike() -> None:
    pytest.importorskip("pypinyin")
    chinese = ChineseConfusions()
    found = {
        pair: chinese.of(pair[0]).get(pair[1])
        for pair in ("做作", "由有", "近进", "心星", "园圆", "未末", "材村", "行航", "人山")
    }
    assert found == {
        "做作": "same sound",
        "由有": "other tone",
        "近进": "same sound",
        "心星": "near sound",
        "园圆": "same sound",
        "未末": "near shape",
        "材村": "near shape",
        "行航": "same sound",  # one reading of several will do
        "人山": None,
    }
    assert "做" not in chinese.of("做") and not chinese.of("A") and not chinese.of("。")
    assert set(chinese.of("做").values()) <= set(KINDS)
    assert "near sound" not in ChineseConfusions(near=False).of("心").values()
    assert "末" not in ChineseConfusions(shapes=False).of("未")


def test_who_looks_like_whom_goes_both_ways() -> None:
    table = near_shapes()
    assert len(table) > 6000 and all(one in table[other] for one, others in table.items() for other in others)


def test_listed_ones_come_first(tmp_path: Path) -> None:
    pytest.importorskip("pypinyin")
    file = tmp_path / "confusions.txt"
    file.write_text("未 末\n\n做作\n", encoding="utf-8")
    chinese = ChineseConfusions(listed_in(lines_of_file(file)))
    assert chinese.of("未")["末"] == chinese.of("做")["作"] == "listed"
    assert chinese.of("末")["未"] == "near shape"


def test_a_line_of_anything_else_is_refused() -> None:
    for line in ("a b", "未", "未 x"):
        with pytest.raises(ValueError, match="is no line of confusions"):
            listed_in([line])
