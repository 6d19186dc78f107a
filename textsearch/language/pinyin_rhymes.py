"""Rhymes of Chinese characters: the fourteen classes of modern Mandarin, by the finals of pypinyin.

Classes are those of the "New Rhymes of China" (2005); any tone rhymes with any other, as in songs. A character of
several readings rhymes by each of them.
"""

from __future__ import annotations

import re
from functools import cache

from textsearch.language.chinese_confusions import readings, sounds_of

_CLASSES = (
    "a ia ua", "o e uo", "ie ve", "ai uai", "ei ui uei", "ao iao", "ou iu iou", "an ian uan van", "en in un vn uen",
    "ang iang uang", "eng ing ong iong ueng", "i er v", "-i", "u",
)  # fmt: skip
_CLASS = {final: number for number, finals in enumerate(_CLASSES) for final in finals.split()}
_INITIAL = re.compile("(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]?)(.+)")


def rhyme_class(syllable: str) -> int | None:
    """The class of a syllable of pinyin without its tone; None for one that has none, such as "m".

    >>> rhyme_class("tian") == rhyme_class("yuan") == rhyme_class("fan"), rhyme_class("shi") == rhyme_class("xi")
    (True, False)
    >>> rhyme_class("yu") == rhyme_class("lv"), rhyme_class("wu") == rhyme_class("yu"), rhyme_class("ye")
    (True, False, 2)
    """
    found = _INITIAL.fullmatch(syllable.replace("ü", "v"))
    if found is None:
        return None
    initial, final = found.groups()
    if initial in {"j", "q", "x", "y"} and final.startswith("u"):
        final = "v" + final[1:]
    if initial == "y" and final == "e":
        final = "ie"
    if final == "i" and initial in {"zh", "ch", "sh", "r", "z", "c", "s"}:
        final = "-i"
    return _CLASS.get(final)


@cache
def chinese_rhymes(character: str) -> frozenset[str]:
    """The characters that rhyme with one, itself left out; none if it is no Chinese character that is known.

    Raises:
        ImportError: pypinyin or jieba is not installed.

    >>> {"家", "下"} <= chinese_rhymes("花"), "花" in chinese_rhymes("花"), "天" in chinese_rhymes("花")
    (True, False, False)
    """
    own = _classes(character)
    return frozenset(one for one in readings() if one != character and own & _classes(one))


@cache
def _classes(character: str) -> frozenset[int]:
    found = (rhyme_class(sound[:-1]) for sound in sounds_of(character))
    return frozenset(number for number in found if number is not None)
