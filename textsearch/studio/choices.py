"""What the page offers: tasks with their settings, terms, samplers, limits, each with its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from textsearch.cli.building import words_of
from textsearch.service.limits import Limits
from textsearch.service.samplers import SAMPLERS
from textsearch.service.submission import ENERGY_CHAINS, ENERGY_STEPS, PYTHON_ONLY, RUN, TASKS
from textsearch.service.terms import TERMS
from textsearch.studio.words import LABELS, TASK_WORDS
from textsearch.tasks.constraints import table

_KINDS: Final = {"bool": "flag", "int": "whole", "float": "number", "str": "text", "str | None": "text"}

SAYS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "keywords": (
        "Sentences from keywords",
        "关键词造句",
        "Words apart by spaces, or phrases by commas",
        "词语以空格分隔，短语以逗号分隔",
    ),
    "paraphrase": ("Paraphrase", "改写", "Text", "文本"),
    "correct": ("Correct", "纠错", "Text", "文本"),
    "infill": ("Fill gaps", "填空", "Text with gaps ___", "带空位 ___ 的文本"),
    "write": ("Write under constraints", "约束写作", "", ""),
    "ask": ("Questions about a passage", "就文段提问", "Passage", "文段"),
    "sample": ("Text that must parse", "合法文本抽样", "Prompt", "提示"),
}
"""Task -> its label and that of its input, in English and Chinese."""

EXAMPLES: Final = {
    "keywords": "dog frisbee park",
    "paraphrase": "How can I improve my English?",
    "correct": "She go to school yesterday becouse she have a exam.",
    "infill": "The ___ ___ ran home.",
    "ask": "Marie Curie won the Nobel Prize in Physics in 1903.",
    "sample": "When is the leap day of 2024?",
}

WRITE: Final = ("prefix", "suffix", "template", "required", "forbidden", "words", "regex", "rhyme", "acrostic", "topic")
"""What a request may ask for on the page."""


def choices(limits: Limits, folders: bool) -> dict[str, Any]:
    """All of it, as JSON has it.

    Args:
        limits: of the service.
        folders: whether folders of this machine may be opened.
    """
    return {
        "tasks": [_task(name) for name in TASKS],
        "terms": [
            {
                "name": term.name,
                "says": term.says,
                "arguments": [asdict(argument) for argument in term.arguments],
            }
            for term in TERMS.values()
        ],
        "samplers": [{"name": name, "says": own.says} for name, own in SAMPLERS.items()],
        "chinese": TASK_WORDS,
        "energy": {"steps": ENERGY_STEPS, "chains": ENERGY_CHAINS},
        "limits": vars(limits),
        "folders": folders,
    }


def _task(name: str) -> dict[str, Any]:
    kind = TASKS[name][1]
    label, chinese, asked, asked_chinese = SAYS[name]
    said = words_of(kind)
    own = [one for one in fields(kind) if one.name not in (*RUN, *PYTHON_ONLY, "lang", "script", "draws", "keep")]
    chains = "draws" if name == "sample" else "chains"
    defaults: Any = kind
    return {
        "name": name,
        "says": [label, chinese],
        "asked": [asked, asked_chinese],
        "example": EXAMPLES.get(name, ""),
        "fields": [
            {"name": one.name, "says": LABELS[one.name], "help": one.help}
            for one in table.CONSTRAINTS
            if name == "write" and one.name in WRITE
        ],
        "steps": defaults.steps,
        "chains": getattr(defaults, chains),
        "settings": [
            {
                "name": one.name,
                "says": LABELS[one.name],
                "kind": _KINDS[str(one.type)],
                "default": one.default,
                "help": said.get(one.name, ""),
            }
            for one in own
            if str(one.type) in _KINDS
        ],
    }


def as_written(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A submission as the page sends it: what is typed for a constraint is read as the command line reads it.

    Raises:
        ValueError: something cannot be read.
    """
    told = dict(asked)
    if told.get("task") == "write" and isinstance(told.get("inputs"), list):
        known = {one.name: one for one in table.CONSTRAINTS}
        told["inputs"] = [
            {
                name: known[name].typed(value) if name in known and isinstance(value, str) else value
                for name, value in one.items()
                if value != ""
            }
            if isinstance(one, dict)
            else one
            for one in told["inputs"]
        ]
    return told
