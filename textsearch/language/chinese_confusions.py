"""Confusions of Chinese characters: which one may have been written for another, with the kind of mistake.

Most mistakes of those who type or learn Chinese sound like what was meant, and many look like it (Liu et al., "Visually
and phonologically similar characters in incorrect Chinese words", 2011). Sounds are those of pypinyin, all readings of
a character; near sounds are those that dialects do not tell apart. What looks alike stands in a table, made of
decompositions and pictures by `training/near_shapes.py`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any, ClassVar, final

import regex

from textsearch.kinds import shown

KINDS = ("listed", "sound and shape", "same sound", "other tone", "near shape", "near sound")
"""Kinds of mistakes, the more plausible one first where a pair is of several."""

_HAN = regex.compile(r"\p{Han}")
_NEAR = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("r", "l"), ("h", "f"))
_ENDS = (("ang", "an"), ("eng", "en"), ("ing", "in"))


@final
@dataclass(frozen=True)
class ChineseConfusions:
    """Characters that sound or look alike, and what is listed besides.

    Attributes:
        listed: character -> candidate -> kind, before what is alike; see `listed_in` for a file.
        near: whether sounds that are not the same but near count.
        shapes: whether what looks alike counts.

    Raises:
        ImportError: pypinyin or jieba is not installed.
    """

    listed: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    near: bool = True
    shapes: bool = True
    inserted: ClassVar[tuple[str, ...]] = ()
    """Nothing may be missing or too much."""

    def __post_init__(self) -> None:
        _sounds()

    def of(self, word: str) -> Mapping[str, str]:
        """Candidate -> kind of mistake, of a single character; nothing of anything else."""
        found = dict(self.listed.get(word, {}))
        sounds = {
            one: kind
            for kind, candidates in _alike(word).items()
            if self.near or kind != "near sound"
            for one in candidates
        }
        shapes = near_shapes().get(word, "") if self.shapes else ""
        for one in shapes:
            found.setdefault(one, "sound and shape" if one in sounds else "near shape")
        for one, kind in sounds.items():
            found.setdefault(one, kind)
        return found


def listed_in(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """A table from lines of characters that are mistaken for one another: the first for any of the others.

    Raises:
        ValueError: a line holds something else.

    >>> listed_in(["未 末", "己已巳"])
    {'未': {'末': 'listed'}, '己': {'已': 'listed', '巳': 'listed'}}
    """
    table: dict[str, dict[str, str]] = {}
    for line in lines:
        characters = "".join(line.split())
        if not characters:
            continue
        others = [one for one in characters[1:] if one != characters[0]]
        if not others or len(_HAN.findall(characters)) < len(characters):
            raise ValueError(f"{line!r} is no line of confusions: write a character, and those it is mistaken for")
        table.setdefault(characters[0], {}).update(dict.fromkeys(others, "listed"))
    return table


def lines_of_file(name: str | os.PathLike[str]) -> tuple[str, ...]:
    """The lines of a file of confusions.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return tuple(Path(name).read_text(encoding="utf-8-sig").splitlines())
    except (OSError, ValueError) as error:  # an undecodable text is a ValueError, and so is a name with a NUL
        why = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else "is no file that can be read"
        raise ValueError(
            f"listed={shown(os.fspath(name))} {why}: name a file of lines such as 未末, or pass a list of them"
        ) from error


@cache
def near_shapes() -> Mapping[str, str]:
    """Character -> those that look like it, the nearest first.

    >>> "末" in near_shapes()["未"], "未" in near_shapes()["末"]
    (True, True)
    """
    lines = (resources.files("textsearch.language") / "near_shapes_zh.txt").read_text(encoding="utf-8").splitlines()
    return {line[0]: line[1:] for line in lines if not line.startswith("#")}


def readings() -> Mapping[str, tuple[str, ...]]:
    """Character -> its sounds, "hang2", of the characters of jieba's dictionary.

    Raises:
        ImportError: pypinyin or jieba is not installed.

    >>> sorted(readings()["行"])[:2]
    ['hang2', 'hang4']
    """
    return _sounds()[0]


@cache
def sounds_of(character: str) -> tuple[str, ...]:
    """The sounds of a Chinese character, the commonest first; traditional and rare ones have theirs, others none.

    Raises:
        ImportError: pypinyin or jieba is not installed.

    >>> sounds_of("绿"), sounds_of("綠"), sounds_of("x")
    (('lv4', 'lu4'), ('lv4',), ())
    """
    known = readings().get(character)
    return known if known is not None else _pinyin(character) if _HAN.fullmatch(character) else ()


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
    from textsearch.language.segmentation import dictionary

    characters = [word for word, count in dictionary().items() if count and _HAN.fullmatch(word)]
    by_character: dict[str, tuple[str, ...]] = {}
    tables: tuple[dict[str, list[str]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
    for one in characters:
        by_character[one] = _pinyin(one)
        for sound in by_character[one]:
            for table, key in zip(tables, (sound, sound[:-1], _near(sound[:-1])), strict=True):
                if one not in table[key]:
                    table[key].append(one)
    by_tone, by_syllable, by_near = ({key: tuple(own) for key, own in table.items()} for table in tables)
    return by_character, by_tone, by_syllable, by_near


def _pinyin(character: str) -> tuple[str, ...]:
    try:
        pypinyin: Any = import_module("pypinyin")
    except ImportError as error:
        raise ImportError("Chinese confusions need pypinyin: pip install 'textsearch-sampling[chinese]'") from error
    sounds = pypinyin.pinyin(character, style=pypinyin.Style.TONE3, heteronym=True, neutral_tone_with_five=True)[0]
    return tuple(str(sound) for sound in sounds if str(sound)[-1:].isdigit())
