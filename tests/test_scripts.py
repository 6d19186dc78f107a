"""Simplified and traditional characters, full-width marks, and what a user typed: it comes back as it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import pytest

from textsearch.language import scripts
from textsearch.language.full_width import full_width
from textsearch.language.scripts import in_script, script_of, simplified
from textsearch.language.typed import Typed, as_read
from textsearch.outline import Room

pytest.importorskip("opencc")
pytest.importorskip("jieba")

ALIKE = "發髮发裡裏里後后乾幹干臺台頭头麵面著着雲云鐘鍾钟隻只係系繫松鬆長长"
PIECES = [
    *ALIKE,
    *ALIKE,
    *"春天公園园孩子皇在的，。,.!?:：「」“”()（）",
    "iPhone",
    "NASA",
    "3.5",
    " ",
    "\u3000",
    "1,000",
    "a.b/c",
]
WRITES = ("simplified", "traditional", "hongkong")


def texts(count: int, seed: int = 0, most: int = 14) -> list[str]:
    """Random texts of both scripts, Latin words, numbers and marks."""
    draw = random.Random(seed)
    return ["".join(draw.choices(PIECES, k=draw.randint(1, most))) for _ in range(count)]


def kept(text: str) -> bool:
    """Whether there is more than white space."""
    return bool(text.strip())


def test_a_text_that_is_not_edited_comes_back_byte_for_byte() -> None:
    for number, text in enumerate(texts(3000)):
        typed = Typed(WRITES[number % 3], source=text, in_place=number % 2 == 0)
        assert typed.text(as_read(text)) == text


def test_white_space_and_capitals_that_a_model_lost_come_back() -> None:
    for text in texts(1500, seed=1):
        lost = "".join(as_read(text).split()).lower()
        if lost:
            assert Typed("traditional", source=text).text(lost).strip() == text.strip()


def test_conversion_alone_does_not_bring_it_back() -> None:
    """The control: 发 is one character and was two."""
    other = [text for text in texts(1000) if in_script(as_read(text), "traditional") != text]
    assert len(other) > 800


def test_phrases_come_back_wherever_they_stand() -> None:
    draw, filler = random.Random(2), "春天的水和火山人大小口"
    for number, phrase in enumerate(filter(kept, texts(3000, seed=2, most=4))):
        around = ["".join(draw.choices(filler, k=draw.randint(1, 5))) for _ in range(2)]
        written = around[0] + as_read(phrase) + around[1]
        assert phrase.strip() in Typed(WRITES[number % 3], phrases=(phrase,)).text(written)


def test_fixed_parts_come_back_in_order_and_nothing_else_is_lost() -> None:
    draw = random.Random(3)
    for number, text in enumerate(texts(700, seed=3)):
        cut = draw.randint(0, len(text))
        parts, gap = (text[:cut], text[cut:]), "".join(draw.choices("水火山人", k=draw.randint(1, 3)))
        typed = Typed(WRITES[number % 3], layouts=((parts[0], Room(1, 3), parts[1]),))
        # a model may have lost the white space
        written = "".join(as_read(parts[0]).split()) + gap + "".join(as_read(parts[1]).split())
        assert typed.text(written) == parts[0] + gap + parts[1]


def test_edits_in_place_change_what_they_change_and_nothing_besides() -> None:
    draw = random.Random(4)
    for text in texts(2000, seed=4):
        place = draw.randrange(len(text))
        read = as_read(text)
        found = Typed("traditional", source=text, in_place=True).text(read[:place] + "们" + read[place + 1 :])
        assert found[:place] + found[place + 1 :] == text[:place] + text[place + 1 :]
        assert found[place] in "們们"


@pytest.mark.parametrize(
    ("source", "written", "shown"),
    [
        ("他的頭髮很長", "他发现很长", "他發現很長"),
        ("皇后以後", "以后的皇后", "以後的皇后"),
        ("他在臺灣看著雲", "她在台湾看着云", "她在臺灣看著雲"),
        ("他在台灣看着雲", "她在台湾看着云", "她在台灣看着雲"),
        ("看 NASA 的 iPhone", "看nasa的新iphone", "看 NASA 的新iPhone"),
    ],
)
def test_a_character_of_another_word_is_no_character_that_was_typed(source: str, written: str, shown: str) -> None:
    assert Typed("traditional", source=source).text(written) == shown


def test_a_phrase_of_letters_is_no_part_of_a_word() -> None:
    assert Typed("traditional", phrases=("AI",)).text("用mail和ai") == "用mail和AI"


def test_two_keywords_that_are_one_character_to_the_models() -> None:
    assert Typed("traditional", phrases=("發", "髮")).text("发来发去") == "發來髮去"
    assert Typed("traditional", phrases=("发",)).text("头发") == "頭发"


@pytest.mark.parametrize("convert", [simplified, lambda text: in_script(text, "traditional")])
def test_conversions_keep_lengths_and_what_is_not_chinese(convert: Callable[[str], str]) -> None:
    draw = random.Random(5)
    for _ in range(500):
        text = "".join(chr(draw.choice((draw.randrange(0x4E00, 0x9FFF), draw.randrange(32, 0x2FF)))) for _ in range(20))
        found = convert(text)
        assert len(found) == len(text)
        assert all(new == old for new, old in zip(found, text, strict=True) if ord(old) < 0x300)
    assert convert("") == ""


def test_scripts_are_told_apart() -> None:
    assert script_of("春天 3.5 OK") == "simplified" and script_of("看著雲") == "traditional"
    # 著 alone is in both
    assert as_read("看著") == "看著" and as_read("看著雲") == "看着云"


def test_full_width_marks_keep_lengths_and_what_was_typed() -> None:
    draw = random.Random(6)
    for text in texts(2000, seed=6):
        own = [draw.random() < 0.5 for _ in text]
        found = full_width(text, own)
        assert len(found) == len(text) and all(a == b for a, b, mine in zip(found, text, own, strict=True) if mine)
        assert full_width(text, [True] * len(text), corners=True) == text
        once = full_width(text, [False] * len(text))
        assert full_width(once, [False] * len(text)) == once
        assert "3.5" not in text or "3.5" in once


def test_without_opencc_simplified_texts_do_and_others_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opencc", None)
    for cached in (scripts._converter, scripts.is_here):
        cached.cache_clear()
    try:
        assert script_of("头发 OK。") == "simplified" and as_read("头发") == "头发"
        with pytest.raises(ImportError, match=r"'發' is a traditional character.*\[chinese\]"):
            script_of("头發頭")
        with pytest.raises(ImportError, match=r"\[chinese\]"):
            scripts.check("traditional")
    finally:
        scripts.is_here.cache_clear()
