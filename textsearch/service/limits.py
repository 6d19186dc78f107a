"""What a visitor may ask for at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from textsearch.checks import keep, whole
from textsearch.kinds import shown

_OF: Final = {
    "steps": "steps",
    "chains": "chains",
    "draws": "chains",
    "drafts": "drafts",
    "pool": "drafts",
    "tries": "drafts",
    "max_length": "tokens",
}
"""Setting of a task, or of an energy -> its limit."""


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of what is asked of a service by people that it does not know.

    Attributes:
        steps: of every chain.
        chains: for each input.
        inputs: of one run.
        terms: of one energy.
        drafts: texts that a causal model writes for one input before its chains begin.
        characters: of one input, one word of a term or one grammar.
        tokens: of a text that is drawn.
        runs: that wait, run or are paused at one time.
        running: that take turns at one time; the others are queued.
    """

    steps: int = 2000
    chains: int = 32
    inputs: int = 32
    terms: int = 32
    drafts: int = 64
    characters: int = 2000
    tokens: int = 256
    runs: int = 64
    running: int = 4

    def __post_init__(self) -> None:
        keep(self, **{name: whole(name, value, 1) for name, value in vars(self).items()})

    def check(self, inputs: int, settings: Mapping[str, Any], given: Any) -> None:
        """Refuse what is above a limit.

        Args:
            inputs: how many there are.
            settings: of the task or the energy, its defaults among them.
            given: the plain data that it came as, whose texts are measured.

        Raises:
            ValueError: the message names the value, and the limit.
        """
        self.refuse("inputs", inputs, self.inputs)
        for name, limit in _OF.items():
            if isinstance(settings.get(name), int):
                self.refuse(name, settings[name], getattr(self, limit))
        for text in texts_of(given):
            if len(text) > self.characters:
                raise ValueError(
                    f"{shown(text)} has {len(text):,} characters, above the limit of {self.characters:,} of this "
                    "service: shorten it"
                )

    def refuse(self, name: str, value: Any, most: int) -> None:
        """Refuse a number above its limit.

        Raises:
            ValueError: it is.
        """
        if value > most:
            raise ValueError(f"{name}={value:,} is above the limit of {most:,} of this service: ask for fewer")


def texts_of(part: Any) -> list[str]:
    """All texts in plain data."""
    if isinstance(part, str):
        return [part]
    if isinstance(part, Mapping):
        return [text for pair in part.items() for one in pair for text in texts_of(one)]
    return [text for one in part for text in texts_of(one)] if isinstance(part, list | tuple) else []
