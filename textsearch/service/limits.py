"""What a visitor may ask for at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from textsearch.checks import keep, whole


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of what is asked of a service by people that it does not know.

    Attributes:
        steps: of every chain.
        chains: for each input.
        inputs: of one run.
        drafts: texts that a causal model writes for one input before its chains begin.
        characters: of one input, one word of a term or one grammar.
        tokens: of a text that is drawn.
        runs: that wait, run or are paused at one time.
        running: that take turns at one time; the others are queued.
    """

    steps: int = 2000
    chains: int = 32
    inputs: int = 32
    drafts: int = 64
    characters: int = 2000
    tokens: int = 256
    runs: int = 64
    running: int = 4

    def __post_init__(self) -> None:
        keep(self, **{name: whole(name, value, 1) for name, value in vars(self).items()})

    def refuse(self, name: str, value: Any, most: int, unit: str = "") -> None:
        """Refuse a number above its limit.

        Raises:
            ValueError: it is.
        """
        if value > most:
            raise ValueError(f"{name}={value:,} is above the limit of {most:,}{unit} of this service: ask for fewer")
