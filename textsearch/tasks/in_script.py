"""Chinese tasks in the script of the user: the models read simplified characters, and the user sees what was typed.

Each task says what of an input was typed (`Typed`), and its problem is built of the input in simplified characters.
The answer is converted, and what was typed stands in it character by character; where conversion or full-width marks
could break what was asked for, the energy and `told` see to it. See `textsearch.language.typed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import Any, TypeVar, final

import regex
import torch
from torch import Tensor

from objectives import Keywords, Only
from objectives.pattern import search_for
from objectives.template import Gap, parse
from textsearch import Generations
from textsearch.batch import Batch
from textsearch.checks import sequence, string_lists, strings
from textsearch.language.literals import Kept
from textsearch.language.scripts import SIMPLIFIED, check, is_here, script_of, simplified
from textsearch.language.typed import Typed, as_read, without_spaces
from textsearch.objective import Cost, Objective
from textsearch.outline import Room
from textsearch.tasks.gaps import parts_of
from textsearch.tasks.languages import CHINESE
from textsearch.tasks.problem import Build, Models, Problem
from textsearch.tasks.request import Request
from textsearch.tasks.sentences import marked
from textsearch.tasks.settings import Infilling, Worded
from textsearch.tasks.wishes import wanted

Input = TypeVar("Input")
Told = TypeVar("Told", bound=Worded)


def anything(text: str) -> bool:
    """Nothing is asked of a text."""
    return True


@final
@dataclass(frozen=True)
class Reading:
    """An input of a Chinese task.

    Attributes:
        value: as the models read it.
        typed: of its text.
        said: the input in one line.
        fits: whether a text, as it is shown, is what the input asks for, so far as its characters and marks decide.
    """

    value: Any
    typed: Typed
    said: str
    fits: Callable[[str], bool] = anything

    @property
    def converts(self) -> bool:
        """Whether what is shown has other characters than what models wrote."""
        return self.typed.script != SIMPLIFIED or any(as_read(part) != part for part in self.typed.parts)

    def told(self, written: str) -> str:
        """What models wrote as it is shown: with full-width marks, unless that is not what was asked for."""
        shown = self.typed.text(written)
        if self.fits is anything or self.fits(shown):
            return shown
        plain = self.typed.text(written, marks=False)
        return plain if self.fits(plain) else shown


@final
@dataclass(frozen=True, eq=False)
class AsTyped(Objective):
    """What is shown is what was asked for, with the characters that were typed: energy 0, or +inf.

    Attributes:
        readings: of the inputs.
    """

    readings: Sequence[Reading]

    @property
    def name(self) -> str:
        """In results."""
        return "as typed"

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 or +inf."""
        own = [self.readings[number] for number in batch.inputs.tolist()]
        good = [one.fits(one.told(text)) for one, text in zip(own, batch.texts(), strict=True)]
        return torch.zeros(len(good), dtype=torch.float64, device=batch.device).masked_fill(
            ~torch.tensor(good, dtype=torch.bool, device=batch.device), torch.inf
        )


def in_script(read: Callable[[Sequence[Any], Any], list[Reading]]) -> Callable[[Build[Any, Told]], Build[Any, Told]]:
    """Makes the `build` of a task one that takes Chinese in any script; `read` is one of the functions below."""

    def around(build: Build[Any, Told]) -> Build[Any, Told]:
        @wraps(build)
        def built(
            inputs: Sequence[Any],
            settings: Told,
            models: Models,
            *,
            numbers: Sequence[int] | None = None,
            progress: bool = False,
        ) -> Problem:
            if settings.lang != CHINESE.code or settings.script == "none":
                return build(inputs, settings, models, numbers=numbers, progress=progress)
            readings = read(inputs, settings)
            values = [one.value for one in readings]
            problem = build(values, _read_too(settings), models, numbers=numbers, progress=progress)
            asked = [number for number, one in enumerate(readings) if one.converts and one.fits is not anything]
            if asked:
                own = Only(AsTyped([readings[number] for number in asked]), asked)
                problem = replace(problem, objective=problem.objective + own)
            finish = problem.finish
            return replace(problem, finish=lambda result: as_shown(finish(result), readings))

        return built

    return around


def as_shown(result: Generations, readings: Sequence[Reading]) -> Generations:
    """A result with its texts as the users of each input are shown them."""
    own = [readings[number] for number in result.inputs.tolist()]

    def shown(texts: Sequence[str]) -> list[str]:
        return [one.told(text) for one, text in zip(own, texts, strict=True)]

    return replace(
        result,
        texts=shown(result.texts),
        best_texts=shown(result.best_texts),
        samples=[shown(texts) for texts in result.samples],
        sources=[one.said for one in readings],
        listed=_merged(readings, result.listed),
    )


def _merged(readings: Sequence[Reading], records: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, object], ...]:
    """Records as they are shown; texts that are shown alike as one, the best, which is as probable as all together."""
    found = dict[tuple[int, str], dict[str, Any]]()
    for record in records:
        one = {**record, "text": readings[record["input"]].told(record["text"])}
        first = found.setdefault((one["input"], one["text"]), one)
        if first is not one and "probability" in one:
            first["probability"] += one["probability"]
    return tuple(found.values())


def _script(settings: Worded, *texts: str) -> str:
    """Of what is new in the answer to an input."""
    if settings.script == "auto":
        return script_of("".join(texts))
    check(settings.script)
    return settings.script


def _read_too(settings: Told) -> Told:
    """The settings with words that they list in simplified characters besides."""
    changes: dict[str, Any] = {}
    names = {field.name for field in fields(settings)}
    if "keep" in names and not isinstance(kept := getattr(settings, "keep"), bool):  # noqa: B009
        words = Kept.of(kept).words.words
        changes["keep"] = tuple(
            dict.fromkeys(other for word in words for other in (word, as_read(word), *_without_spaces(as_read(word))))
        )
    if "sentences" in names and (sentences := getattr(settings, "sentences")):  # noqa: B009
        changes["sentences"] = tuple(map(as_read, sentences))
    if "listed" in names and (lines := getattr(settings, "listed")):  # noqa: B009
        changes["listed"] = tuple(dict.fromkeys([*lines, *map(as_read, lines)]))
    return replace(settings, **changes) if changes else settings


def _without_spaces(word: str) -> tuple[str, str]:
    """Without those beside Chinese characters, and without any, which a vocabulary of characters does not know."""
    return without_spaces(word), "".join(word.split())


def keyword_sets(sets: Sequence[Sequence[str]], settings: Worded) -> list[Reading]:
    """Of `keywords`: its words stand anywhere, and the sentence is one."""
    readings = []
    for own in string_lists("sets", sets, "words", "sentence"):
        asked = wanted(own)
        constraint = Keywords([asked.keywords])
        one = search_for(CHINESE.sentence(marked(map(constraint.forms, asked.keywords), CHINESE.ends)))
        typed = Typed(_script(settings, *own), phrases=asked.all)
        there = [word.strip() for word in asked.keywords]
        said = ", ".join([*asked.keywords, *(f"{word}?" for word in asked.all[len(asked.keywords) :])])
        readings.append(Reading([as_read(word) for word in own], typed, said, _Asked(there, search=one.found)))
    return readings


def gapped_texts(texts: Sequence[str], settings: Infilling) -> list[Reading]:
    """Of `infill`: all around the gaps stays where it is."""
    readings = []
    for text in strings("texts", texts):
        found = parts_of(text, settings.gap, stems=False)
        row: list[str | Room] = [found.parts[0]]
        for gap, part in zip(found.gaps, found.parts[1:], strict=True):
            row += [Room(gap.low, gap.high), part]
        value = as_read(text)
        if settings.gap is not None:
            # what stands for a gap is no text
            parts = iter(text.split(settings.gap))
            value, at = "", 0
            for part in parts:
                value += as_read(text)[at : at + len(part)] + settings.gap
                at += len(part) + len(settings.gap)
            value = value.removesuffix(settings.gap)
        readings.append(Reading(value, Typed(_script(settings, text), layouts=(tuple(row),)), text))
    return readings


def sentences(texts: Sequence[str], settings: Worded) -> list[Reading]:
    """Of `paraphrase`: words that stay are as they were, and so are those that are kept."""
    kept = Kept.of(getattr(settings, "keep"), chinese=True)  # noqa: B009
    return [
        Reading(
            without_spaces(as_read(text)),
            Typed(
                _script(settings, text), source=text, phrases=tuple(text[begin:end] for begin, end in kept.spans(text))
            ),
            text,
        )
        for text in strings("texts", texts)
    ]


def written_texts(texts: Sequence[str], settings: Worded) -> list[Reading]:
    """Of `correct`: all but what is exchanged stays as it is."""
    return [
        Reading(as_read(text), Typed(_script(settings, text), source=text, in_place=True), text)
        for text in strings("texts", texts)
    ]


def requests(given: Sequence[Any], settings: Worded) -> list[Reading]:
    """Of `write`: what is fixed stands where it was asked for, and what is required anywhere."""
    readings = []
    for one in sequence("requests", given, "requests", "[{'prefix': 'The book'}]"):
        asked = Request.of(one)
        words = [text for value in asked.asked.values() for text in _texts(value)]
        laid_out = asked.restated()
        layouts = [
            (asked.prefix, Room()) if asked.prefix else (),
            tuple(part if isinstance(part, str) else _room(part) for part in parse(laid_out.template))
            if laid_out.template
            else (),
            (Room(), asked.suffix) if asked.suffix else (),
        ]
        typed = Typed(_script(settings, *words), tuple(row for row in layouts if row), tuple(asked.required))
        fits = _Asked(typed.parts, [phrase for phrase in asked.forbidden if regex.search(r"\p{Han}|^\p{P}+$", phrase)])
        if asked.regex:
            fits = replace(fits, search=search_for(asked.regex).found)
        readings.append(Reading(_request_as_read(asked), typed, str(asked), fits))
    return readings


def _room(gap: Gap) -> Room:
    # marks in a gap are not counted
    return Room(gap.low, gap.high)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, tuple) else []


def _request_as_read(asked: Request) -> Request:
    """A request in simplified characters.

    What is forbidden is left to `AsTyped` where it is in what is fixed as well, once the characters of both are one.
    """

    def read(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(read, value))
        return as_read(value) if isinstance(value, str) else value

    fixed = [as_read(text) for _, _, text in asked.fixed()]
    # what is a mark of an expression is none of punctuation
    values = {
        name: (simplified(value) if is_here() else value) if name == "regex" else read(value)
        for name, value in asked.asked.items()
    }
    if asked.forbidden:
        values["forbidden"] = tuple(
            dict.fromkeys(phrase for phrase in values["forbidden"] if not any(phrase in text for text in fixed))
        )
    return asked if values == dict(asked.asked) else Request(**values)


@final
@dataclass(frozen=True)
class _Asked:
    """What a text must hold, must not hold, and what must be found in it."""

    there: Sequence[str]
    forbidden: Sequence[str] = ()
    search: Callable[[str], bool] = anything

    def __call__(self, text: str) -> bool:
        return (
            all(part in text for part in self.there)
            and not any(phrase in text for phrase in self.forbidden)
            and bool(self.search(text))
        )
