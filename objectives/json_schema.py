"""JSONSchema: the text is a JSON document that a schema allows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

from objectives.document_reader import DocumentReader
from objectives.json_beginning import may_begin
from objectives.language import LanguageObjective
from objectives.mask_engine import Masks
from objectives.nearest_end import NearestEnd
from objectives.reading import Reading
from objectives.schema_references import check_references
from objectives.schema_validator import Written, validator_of
from objectives.schema_views import Views
from objectives.unsatisfiable import TYPES, of_draft, types_of, why_nothing_fits
from textsearch.checks import keep, whole
from textsearch.kinds import shown
from textsearch.per_input import PerInput, per_input

_OPENINGS = {
    "object": "{",
    "array": "[",
    "string": '"',
    "number": "-0123456789",
    "integer": "-0123456789",
    "boolean": "tf",
    "null": "n",
}

Schema = Mapping[str, Any] | bool


@final
@dataclass(frozen=True)
class JSONSchema(LanguageObjective):
    r"""The whole text is a JSON document that a JSON schema allows: energy 0, or +inf where it is not.

    The truth is the parser of the standard library, made strict (RFC 8259: no NaN, no key twice in an object), and the
    validator of `jsonschema` for the draft that "$schema" names, the newest by default, formats included. Space between
    the parts of a document is allowed wherever JSON allows it. References lead to places within the schema; nothing is
    fetched.

    A `pattern` is searched for in time linear in the text where that can be; where it cannot, its time has the limit
    that `Pattern` has. `multipleOf` is decided of decimal numbers as they are written: 4.35 is a multiple of 0.01.

    `impossible` proves what JSON rules out, what the schema does as far as `objectives.schema_views` follows it, and
    texts that are too long.

    Attributes:
        schema: as `json.loads` gives it or as text, one for all inputs or a list with one for each.
        max_characters: longer documents are forbidden, as are those with more than 100 levels.

    Raises:
        ImportError: `jsonschema` is not installed.
        ValueError: no schema, one that leads outside itself, or one that nothing satisfies, as far as that is told.

    >>> from textsearch.testing import letters
    >>> batch = letters('[]1,"').encode(["[1,1]", '["1"]', "[1,", "[11]"])
    >>> JSONSchema({"type": "array", "items": {"type": "integer", "maximum": 9}}).energy(batch).tolist()
    [0.0, inf, inf, inf]
    """

    schema: Schema | str | Sequence[Schema | str]
    max_characters: int = 20_000
    _languages: PerInput[Documents] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        longest = whole("max_characters", self.max_characters, 1, unit="character")
        given = per_input("schema", self.schema, lambda one: isinstance(one, Mapping | bool | str), _read, "schemas")
        keep(self, schema=given.values, max_characters=longest)
        keep(self, _languages=given.map(lambda one: Documents(one, longest)))

    @property
    def languages(self) -> PerInput[Documents]:
        """Those of the schemas."""
        return self._languages


@final
class Documents:
    """The documents that one schema allows."""

    def __init__(self, schema: Schema, longest: int) -> None:
        self._schema, self._longest = schema, longest
        self._validator = validator_of(schema)
        names = types_of(of_draft(schema, self._validator.VALIDATORS)) if isinstance(schema, Mapping) else TYPES
        self._opening = "".join(dict.fromkeys("".join(_OPENINGS[name] for name in names)))
        self.reading = Reading(DocumentReader(Views(self._validator)))
        self.near = NearestEnd(self.reading, places=0)  # there are too many: the reader knows short endings
        self.masks = Masks(partial(_readable, json.dumps(schema)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Documents, (self._schema, self._longest)

    def accepts(self, text: str) -> bool:
        """Whether a text is a document that the schema allows."""
        if len(text) > self._longest or not may_begin(text, self._opening):
            return False
        try:
            document = json.loads(text, parse_float=Written, parse_constant=_refuse, object_pairs_hook=_object)
        except ValueError:
            return False
        try:
            return bool(self._validator.is_valid(document))
        except (OverflowError, RecursionError):
            # a number that cannot be divided, or levels that each take many of the validator's own
            return False

    def is_dead(self, beginning: str, rest: bytes) -> bool:
        """Whether no document of the schema begins so."""
        too_long = len(beginning) + bool(rest) > self._longest or not may_begin(beginning, self._opening)
        return too_long or self.reading.is_dead(beginning, rest)


def _readable(schema: str, matcher: Any) -> str:
    """What the mask engine reads."""
    return str(matcher.grammar_from_json_schema(schema))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _read(name: str, value: Any) -> Schema:
    """A schema, checked."""
    try:
        return _checked(name, json.loads(value) if isinstance(value, str) else value)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}={shown(value)} is no JSON: {error}; a schema is an object or true") from error
    except RecursionError as error:
        raise ValueError(f"{name}={shown(value)} is nested too deeply: name its parts under $defs") from error


def _checked(name: str, value: Any) -> Schema:
    if not isinstance(value, dict | bool):
        raise TypeError(
            f"{name}={shown(value)} is no JSON schema: pass an object, such as {{'type': 'array'}}, or text"
        )
    if isinstance(value, dict) and not isinstance(value.get("$schema", ""), str):
        raise ValueError(f"{name}={shown(value)} is no JSON schema: $schema={shown(value['$schema'])} is no address")
    validator = validator_of(value)
    from jsonschema.exceptions import SchemaError

    try:
        type(validator).check_schema(value)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise ValueError(f"{name}={shown(value)} is no JSON schema: at {place}, {error.message}") from error
    check_references(name, validator)
    if (why := why_nothing_fits(validator)) is not None:
        raise ValueError(f"{name}={shown(value)} is satisfied by nothing: {why}")
    return value
