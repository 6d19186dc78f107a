"""Random texts of all that people write, and of what they do not: to be given back character by character."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np

PLANES = (*range(4), 14, 15, 16)
"""Of Unicode, those that hold characters."""

_KINDS = (
    "the dog",
    "The  old\tdog ",
    "NASA's iPhone costs $5.00 at 3:00pm, OK?",
    "don't",
    "C++",
    "café",
    "cafe\u0301",
    "Zürich\u00a0–",
    "你好，世界。",
    "東京",
    "नमस्ते",
    "שלום",
    "مرحبا\u200f",
    "👩\u200d👩\u200d👧",
    "❤\ufe0f",
    "👍🏽",
    "🇫🇷",
    "\n",
    "\r\n",
    "\n\n  ",
    "\t",
    "   ",
    "# Title\n",
    "* **bold** _it_",
    "`x = f(1)[0]`",
    "if (x is not None):\n    return x_1 + 2\n",
    "https://www.Example.com/My-Page?q=1&r=2#a",
    "jon.smith@example.com",
    "<|endoftext|>",
    "<gap>",
    "[UNK]",
    "1,234.50",
    "ﬁ",
    "İ",
    "ß",
    "Ⅷ",
    "\u2028",
    "\ufeff",
    "a\u0300\u0301\u0302",
)


def unicode_texts(count: int, seed: int, planes: tuple[int, ...] = PLANES) -> list[str]:
    """`count` texts of what is listed here, of random characters of all `planes`, and of letters, mixed."""
    rng = np.random.default_rng(seed)
    kinds: tuple[Callable[[], str], ...] = (
        lambda: str(rng.choice(_KINDS)),
        lambda: "".join(_character(rng, planes) for _ in range(rng.integers(1, 4))),
        lambda: "".join(rng.choice(list("abé .,'\u0301"), size=rng.integers(1, 5))),
    )
    between = ("", " ", " ", "  ", "\n")
    return [
        "".join(kinds[rng.integers(3)]() + str(rng.choice(between)) for _ in range(rng.integers(1, 7)))
        for _ in range(count)
    ]


def _character(rng: np.random.Generator, planes: tuple[int, ...]) -> str:
    """One that has a name or a use; no half of a pair."""
    while True:
        one = chr(0x10000 * int(rng.choice(planes)) + int(rng.integers(0x10000)))
        if unicodedata.category(one) not in ("Cs", "Cc"):
            return one
