"""Confusions of Chinese characters: which one may have been written for another, with the kind of mistake.

Most mistakes of those who type or learn Chinese sound like what was meant (Liu et al., "Visually and phonologically
similar characters in incorrect Chinese words", 2011: some four in five). Sounds are those of pypinyin, all readings of
a character; near sounds are those that dialects do not tell apart. What looks alike is not known here: list it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import regex

KINDS = ("listed", "same sound", "other tone", "near sound")
"""Kinds of mistakes, the more plausible one first where a pair is of several."""

_HAN = regex.compile(r"\p{Han}")
_NEAR = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("r", "l"), ("h", "f"))
_ENDS = (("ang", "an"), ("eng", "en"), ("ing", "in"))
_NONE: Mapping[str, Mapping[str, str]] = MappingProxyType({})


@final
@dataclass(frozen=True)
class ChineseConfusions:
    """Characters that sound alike, and what is listed besides.

    Attributes:
        listed: character -> candidate -> kind, before what sounds alike; see `listed_in` for a file.
        near: whether sounds that are not the same but near count.
        inserted: nothing may be missing or too much.

    Raises:
        ImportError: pypinyin or jieba is not installed.
    """

    listed: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: _NONE)
    near: bool = True
    inserted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _sounds()

    def of(self, word: str) -> Mapping[str, str]:
        """Candidate -> kind of mistake, of a single character; nothing of anything else."""
        found = dict(self.listed.get(word, {}))
        for kind, candidates in _alike(word).items():
            if self.near or kind != "near sound":
                for one in candidates:
                    found.setdefault(one, kind)
        return found


def listed_in(lines: Iterable[str] | Path) -> dict[str, dict[str, str]]:
    """A table from lines of characters that are mistaken for one another: the first for any of the others.

    Raises:
        ValueError: a line holds something else.

    >>> listed_in(["未 末", "己已巳"])
    {'未': {'末': 'listed'}, '己': {'已': 'listed', '巳': 'listed'}}
    """
    table: dict[str, dict[str, str]] = {}
    for line in lines.read_text(encoding="utf-8").splitlines() if isinstance(lines, Path) else lines:
        characters = "".join(line.split())
        if not characters:
            continue
        if len(characters) < 2 or len(_HAN.findall(characters)) < len(characters):
            raise ValueError(f"{line!r} is no line of confusions: write a character, and those it is mistaken for")
        table.setdefault(characters[0], {}).update(dict.fromkeys(characters[1:], "listed"))
    return table


@cache
def _alike(character: str) -> Mapping[str, tuple[str, ...]]:
    """Kind -> the characters that sound like this one."""
    by_character, by_tone, by_syllable, by_near = _sounds()
    found: dict[str, tuple[str, ...]] = {}
    seen = {character}
    for kind, table, key in (
        ("same sound", by_tone, lambda sound: sound),
        ("other tone", by_syllable, lambda sound: sound[:-1]),
        ("near sound", by_near, lambda sound: _near(sound[:-1])),
    ):
        own = {one for sound in by_character.get(character, ()) for one in table[key(sound)]} - seen
        seen |= own
        found[kind] = tuple(sorted(own))
    return found


def _near(syllable: str) -> str:
    """What syllables that are mistaken for one another have in common.

    >>> _near("zhang"), _near("zan"), _near("nin")
    ('zan', 'zan', 'lin')
    """
    for one, other in _NEAR:
        if syllable.startswith(one):
            syllable = other + syllable.removeprefix(one)
            break
    for one, other in _ENDS:
        if syllable.endswith(one):
            return syllable.removesuffix(one) + other
    return syllable


Table = Mapping[str, tuple[str, ...]]


@cache
def _sounds() -> tuple[Table, Table, Table, Table]:
    """Character -> its sounds ("hang2"); sound, syllable and near syllable -> the characters of them."""
    try:
        pypinyin: Any = import_module("pypinyin")
    except ImportError as error:
        raise ImportError("Chinese confusions need pypinyin: pip install 'textsearch-sampling[chinese]'") from error
    from textsearch.language.segmentation import dictionary

    characters = [word for word, count in dictionary().items() if count and _HAN.fullmatch(word)]
    by_character: dict[str, tuple[str, ...]] = {}
    tables: tuple[dict[str, list[str]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
    for one in characters:
        readings = pypinyin.pinyin(one, style=pypinyin.Style.TONE3, heteronym=True, neutral_tone_with_five=True)[0]
        by_character[one] = tuple(str(sound) for sound in readings if str(sound)[-1:].isdigit())
        for sound in by_character[one]:
            for table, key in zip(tables, (sound, sound[:-1], _near(sound[:-1])), strict=True):
                if one not in table[key]:
                    table[key].append(one)
    by_tone, by_syllable, by_near = ({key: tuple(own) for key, own in table.items()} for table in tables)
    return by_character, by_tone, by_syllable, by_near
