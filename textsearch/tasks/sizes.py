"""Limits on what may be asked of one text, checked before any slow work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from objectives.keywords import words
from objectives.template import Gap, parse
from textsearch.checks import MAX_CHARACTERS, MAX_INPUT, MAX_PHRASES, MAX_TOKENS, MAX_WORDS
from textsearch.kinds import shown

MOST = {"words": MAX_WORDS, "characters": MAX_CHARACTERS}
"""Of the bounds of one text."""

LEAST = {"words": MAX_TOKENS - 1, "characters": 8 * MAX_TOKENS}
"""The most that can be asked for as the fewest: a word has a token or more, and so has the mark at the end."""

MAX_GAPS = 40
"""Of one template."""


def check_least(request: Any, needed: int, sources: Sequence[str]) -> None:
    """Refuse what takes more tokens than a text may grow to, however short its words are; `request` is a `Request`."""
    taken = {"words": [(needed, " and ".join(sources))], "characters": []}
    taken["words"].append((len("".join(request.acrostic.split())), f"acrostic={shown(request.acrostic)}"))
    for unit, limit in LEAST.items():
        bounds = getattr(request, unit)
        least, what = max([*taken[unit], (bounds[0] if bounds else 0, f"{unit}={bounds}")])
        if least > limit:
            raise ValueError(
                f"{what} takes {least} {unit} or more, above the limit of {limit} {unit} in one text: ask for fewer"
            )


def check_sizes(request: Any) -> None:
    """Refuse a request that is too long to be laid out, before any slow work."""
    for name in ("prefix", "suffix", "template", "regex", "rhyme", "acrostic", "label", "topic", "context"):
        _check_size(name, getattr(request, name), MAX_INPUT if name in ("context", "topic") else MOST["characters"])
    for name in ("required", "forbidden"):
        check_phrases(name, getattr(request, name))
    for name in ("prefix", "suffix", "template", "required", "acrostic"):
        value = getattr(request, name)
        count = len(value) if name == "acrostic" else len(words(value if isinstance(value, str) else " ".join(value)))
        if count > MOST["words"]:
            raise ValueError(
                f"{name}={shown(value)} has {count:,} words and marks, above the limit of {MOST['words']} in one "
                "request: shorten it"
            )
    gaps = [part for part in parse(request.template) if isinstance(part, Gap)] if request.template else []
    if len(gaps) > MAX_GAPS:
        raise ValueError(
            f"template={shown(request.template)} has {len(gaps)} gaps, above the limit of {MAX_GAPS} in one request: "
            "take fewer"
        )
    for gap in gaps:
        if max(gap.low, gap.high or 0) > MOST["words"]:
            raise ValueError(
                f"template={shown(request.template)} has a gap of {max(gap.low, gap.high or 0):,} words, above the "
                f"limit of {MOST['words']} in one request: narrow it, or write * for a gap of any length"
            )


def check_phrases(name: str, phrases: Sequence[str]) -> None:
    """Refuse more words and phrases than one text can be about."""
    _check_size(name, "".join(phrases), MOST["characters"])
    if len(phrases) > MAX_PHRASES:
        raise ValueError(f"{name} has {len(phrases):,} phrases, above the limit of {MAX_PHRASES}: name fewer")


def _check_size(name: str, value: str, most: int) -> None:
    if len(value) > most:
        raise ValueError(
            f"{name} has {len(value):,} characters, above the limit of {most:,} in one request: shorten it"
        )
