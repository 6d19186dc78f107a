"""The defaults of a command's options: those of its task's settings."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from textsearch.tasks.settings import Correction, Infilling, KeywordSentences, Paraphrasing, Settings, Writing

SETTINGS: dict[str, type[Settings]] = {
    "correct": Correction,
    "infill": Infilling,
    "keywords": KeywordSentences,
    "paraphrase": Paraphrasing,
    "write": Writing,
}


def defaults(task: str) -> dict[str, Any]:
    """Name -> default of what can be given to a task; of a setting that is a dataclass, of each of its fields.

    >>> defaults("paraphrase")["diversity"], defaults("write")["lang"]
    (12.0, 'en')
    """
    found: dict[str, Any] = dict.fromkeys(("causal", "masked", "encoder", "classifier"))
    for field in fields(SETTINGS[task]):
        inner = is_dataclass(field.default)
        found |= {one.name: one.default for one in fields(field.default)} if inner else {field.name: field.default}
    return found
