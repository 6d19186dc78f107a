"""A few characters that stand for all: of those that no test tells apart, one with ASCII and one beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

_MOST = 60  # tests whose answers fit one number


def standing_for_all(tests: Iterable[Any]) -> Sequence[str]:
    r"""Characters among which there is one for each way to pass or fail some tests; letters and digits come first.

    Args:
        tests: compiled expressions of one character.

    >>> "".join(standing_for_all([regex.compile("[ab]"), regex.compile("c"), regex.compile("é")]))
    '0acé\x80'
    """
    literals, sets = list[str](), list[Any]()
    for test in dict.fromkeys(tests):
        own = _literal(test)
        if own is None:
            sets.append(test)
        else:
            literals.append(own)
    every = _every()
    code = np.zeros(len(every), dtype=np.int64)
    for number, test in enumerate(sets):
        if number % _MOST == _MOST - 1:
            code = np.unique(code, return_inverse=True)[1].astype(np.int64)
        code = 2 * code + _passing(test)
    order = _order()
    free = order[~np.isin(every[order], [ord(one) for one in literals])]
    found = {*literals}
    for part in (free, free[every[free] >= 128]):
        _, first = np.unique(code[part], return_index=True)
        found |= {chr(every[one]) for one in part[first]}
    return sorted(found, key=_plainness)


def _plainness(character: str) -> tuple[bool, bool, bool, str]:
    return not character.isascii(), not character.isalnum(), not character.isprintable(), character


def _literal(test: Any) -> str | None:
    """The one character that passes a test, where that is seen at once."""
    source = test.pattern
    plain = source[1:] if len(source) == 2 and source[0] == "\\" and not source[1].isalnum() else source
    return plain if len(plain) == 1 and source != "." and not test.flags & regex.IGNORECASE else None


@cache
def _every() -> NDArray[np.int64]:
    """All code points but halves of pairs, which no text holds."""
    return np.array([*range(0xD800), *range(0xE000, 0x110000)], dtype=np.int64)


@cache
def _order() -> NDArray[np.int64]:
    """Their places, plain ones first."""
    ascii_ = sorted(range(128), key=lambda one: _plainness(chr(one)))
    return np.array([*ascii_, *range(128, len(_every()))], dtype=np.int64)


@cache
def _text() -> str:
    return "".join(map(chr, _every().tolist()))


@lru_cache(maxsize=256)
def _passing(test: Any) -> NDArray[np.bool_]:
    """Which of them pass a test."""
    found = np.zeros(len(_every()), dtype=np.bool_)
    for run in regex.compile(f"(?:{test.pattern})+", test.flags).finditer(_text()):
        found[run.start() : run.end()] = True
    return found
