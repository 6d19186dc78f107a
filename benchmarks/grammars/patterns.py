r"""Hard regular expressions of a file, and sentences with all words of a set, in the way of CommonGen (Lin, 2020).

A text is valid where the whole of it matches. The bounds on words of a sentence are a part of its expression, as are
its words, `(?=.*\bdog\b)`, in any order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import regex

from benchmarks.grammars import infinite, methods
from benchmarks.grammars.infinite import Effort
from benchmarks.grammars.rows import Clock, Rows, fill, spread_out
from objectives import Pattern
from textsearch.beginnings import Beginnings
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
        words: whether it is a sentence with all words of a set.
    """

    name: str
    pattern: str
    request: str
    max_length: int
    words: bool


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
    chosen = list(dict.fromkeys(line for line in lines if line))
    if count and len(chosen) > count:
        chosen = [chosen[round(i * (len(chosen) - 1) / max(1, count - 1))] for i in range(count)]
    found = [
        Problem(line, line, f"Write a short text that matches the regular expression {line}", 16, words=False)
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


def run(
    given: Sequence[Problem],
    names: Sequence[str],
    lm: TransformersCausalLM,
    rows: Rows,
    *,
    effort: Effort,
    seed: int,
    clock: Clock,
    tell: Callable[[str], None],
) -> None:
    """Figures of the methods on every problem, as far as there is time; what is in the rows is not run again."""
    jobs = (
        ((problem.name, method), partial(record, problem, method, lm, effort, seed))
        for problem in spread_out(given)
        for method in names
    )
    fill(rows, jobs, clock, tell)


def record(problem: Problem, method: str, lm: TransformersCausalLM, effort: Effort, seed: int) -> dict[str, Any]:
    """Figures of a method; or what is wrong with the expression, or with a search for it."""
    about: dict[str, Any] = {"pattern": problem.pattern, "words": problem.words}
    try:
        constraint = Pattern(problem.pattern, full=True)
    except ValueError as error:
        return about | {"error": str(error)}
    mask = constraint.allowed_next(Beginnings(lm.vocabulary, lm.eos, [[]], [0]))
    about["mask"] = mask is not None
    setting = methods.Setting(lm, lm.ask(problem.request), constraint, problem.max_length)
    return about | infinite.record(method, setting, effort, seed)
