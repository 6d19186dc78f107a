"""Hard regular expressions of a file, and sentences with all words of a set, in the way of CommonGen (Lin, 2020)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import regex

from benchmarks.grammars import infinite, methods
from objectives import Pattern
from textsearch.models.causal import TransformersCausalLM

WORDS = (
    (("dog", "ball", "park"), 6, 14),
    (("cat", "window", "sleep"), 6, 14),
    (("boy", "bike", "street"), 6, 14),
    (("woman", "coffee", "book"), 6, 16),
    (("man", "guitar", "song"), 6, 16),
    (("girl", "snow", "hill", "sled"), 8, 18),
    (("team", "goal", "game", "win"), 8, 18),
    (("bird", "tree", "nest", "egg"), 8, 18),
    (("cook", "pan", "kitchen", "egg", "salt"), 10, 22),
    (("car", "road", "rain", "light", "night"), 10, 22),
)
"""Words that a sentence must hold, in any order, and the bounds on its number of words."""


@final
@dataclass(frozen=True)
class Problem:
    """A regular expression that the whole text must match.

    Attributes:
        name: of the problem.
        pattern: in the syntax of `regex`.
        request: what the model is asked for.
        max_length: tokens.
        whole: whether the whole text must match; else a part of it.
    """

    name: str
    pattern: str
    request: str
    max_length: int
    whole: bool


def family(words: Sequence[str], least: int, most: int) -> str:
    """All words within one sentence of `least` to `most` words, in any order.

    >>> pattern = family(["dog", "park"], 3, 5)
    >>> texts = ("The park dog.", "The dog ran.", "A dog in the big old park.")
    >>> [bool(regex.fullmatch(pattern, text)) for text in texts]
    [True, False, False]
    """
    ahead = "".join(rf"(?=.*\b{regex.escape(word)}\b)" for word in words)
    return rf"{ahead}[A-Z][a-z]*(?: [a-z]+){{{least - 1},{most - 1}}}\."


def problems(lines: Sequence[str], count: int, families: int) -> list[Problem]:
    """`count` lines spread over the file, or all for 0; and so many sets of words."""
    chosen = [line for line in lines if line]
    if count and len(chosen) > count:
        chosen = [chosen[round(i * (len(chosen) - 1) / max(1, count - 1))] for i in range(count)]
    found = [
        Problem(line, line, f"Write a short text that matches the regular expression {line}", 32, whole=False)
        for line in chosen
    ]
    return found + [
        Problem(
            " ".join(words),
            family(words, least, most),
            f"Write one sentence with the words {', '.join(words)}.",
            40,
            True,
        )
        for words, least, most in itertools.islice(WORDS, families)
    ]


def record(
    problem: Problem, lm: TransformersCausalLM, *, draws: int, seed: int, tell: Callable[[str], None], steps: int = 6
) -> dict[str, Any]:
    """Figures of masked decoding and of exact chains; or what was wrong with the pattern, before a model ran."""
    began = time.perf_counter()
    try:
        constraint = Pattern(problem.pattern, full=True)
        setting = methods.Setting(lm, lm.ask(problem.request), constraint, problem.max_length)
        found, begun = infinite.masked(setting, draws, seed)
        methods_found: dict[str, Any] = {infinite.MASKED: found}
        if len(begun.batch):
            methods_found[infinite.CHAINS] = infinite.chains(setting, begun, draws, steps, seed)
    except ValueError as error:
        tell(f"{problem.name[:60]}: {error}")
        return {"pattern": problem.pattern, "error": str(error)[:300]}
    tell(f"{problem.name[:60]}: {found['valid']:.2f} of masked draws valid, {time.perf_counter() - began:.0f} s")
    for own in methods_found.values():
        del own["all"]
    return {"pattern": problem.pattern, "whole": problem.whole, "methods": methods_found}


def summary(found: dict[str, Any], whole: bool) -> dict[str, Any]:
    """Over patterns, or over sets of words: shares satisfied, medians of tokens, seconds and KL."""
    own = [one for one in found.values() if one.get("whole") is whole]
    out: dict[str, Any] = {"problems": len(own)}
    for name in (infinite.MASKED, infinite.CHAINS):
        parts = [one["methods"].get(name) for one in own]
        some = [part for part in parts if part and part["valid"] > 0]
        out[name] = {
            "satisfied": len(some) / max(1, len(own)),
            "valid": float(np.mean([part["valid"] if part else 0.0 for part in parts])) if parts else 0.0,
            **{
                key: _middle([part[key] for part in some if part.get(key) is not None])
                for key in ("tokens_a_draw", "seconds_a_draw", "distinct", "kl", "energy")
            },
        }
    return out


def _middle(values: Sequence[float]) -> list[float] | None:
    """Median and quartiles."""
    return [float(value) for value in np.quantile(values, (0.5, 0.25, 0.75))] if values else None
