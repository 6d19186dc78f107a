"""p^4 over finite languages, where it is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.grammars import truth as finite
from benchmarks.grammars.languages import LANGUAGES
from benchmarks.grammars.tables import Truth
from textsearch.models.causal import TransformersCausalLM

POWER = 4.0
TOYS = ("cities",)


def toys(
    lm: TransformersCausalLM, *, chains: int, steps: int, populations: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Distances from p^4 over finite languages."""
    found = {}
    for language in LANGUAGES:
        if language.name in TOYS:
            known = Truth.of(language, lm, (1.0, 1.0 / POWER))
            found[language.name] = finite.records(
                known, chains=chains, steps=steps, populations=populations, power=POWER, seed=seed, tell=tell
            )
    return found
