"""What a JSON schema says of a document part by part, as far as that is seen from the left.

A view is one way in which a value may satisfy a schema: a branch of each `anyOf` and `oneOf`, with all that `allOf` and
references add. What a view does not know it allows, so a document that no view allows is none of the schema.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from objectives.linear_search import NotRegularError, tree_of
from objectives.partial_search import PartialSearch
from objectives.unsatisfiable import TYPES, of_draft, target, types_of

MAX_VIEWS = 16
"""Ways to satisfy one part of a schema; where there are more, anything is allowed."""

MAX_PARTS = 500
"""Parts of a schema, several schemas that hold together among them; where there are more, anything is allowed."""

MAX_CALLS = 2_000
"""Schemas that are looked at for one part, some of them again and again; where there are more, anything is allowed."""

_DEEPEST = 8  # references and combinations within one another


@final
@dataclass(frozen=True, eq=False)
class View:
    """One way in which a value may satisfy a part of a schema; equal to itself alone.

    Attributes:
        types: of the value.
        values: all that it may be, of enum and const; None for anything.
        parts: the schemas that it rests on.
        properties: key -> schemas of its value.
        required: keys that an object must have, in the order of the schema.
        closed: whether an object has no other keys.
        other: schemas of the values of other keys.
        first: schemas of the first items of a list.
        items: schemas of the others.
        least: items that a list must have.
        most: items that it may have; inf where there is no limit.
        shortest: characters that a string must have.
        longest: characters that it may have; inf where there is no limit.
        patterns: that a string must match.
        low: the minimum of a number.
        high: its maximum.
    """

    types: frozenset[str]
    values: tuple[Any, ...] | None
    properties: Mapping[str, tuple[Any, ...]]
    required: tuple[str, ...]
    closed: bool
    other: tuple[Any, ...]
    first: tuple[tuple[Any, ...], ...]
    items: tuple[Any, ...]
    least: int
    most: float
    shortest: int
    longest: float
    patterns: tuple[PartialSearch, ...]
    low: float
    high: float

    def may_be(self, number: float) -> bool:
        """Whether a number may be the value, as far as types, bounds and values tell."""
        if self.values is not None and not any(_is_number(one) and _as_float(one) == number for one in self.values):
            return False
        whole = "number" in self.types or math.isinf(number) or number == math.floor(number)
        return whole and self.low <= number <= self.high

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The strings that it may be; None for any."""
        return None if self.values is None else tuple(one for one in self.values if isinstance(one, str))

    def has(self, kind: str) -> bool:
        """Whether a value of a type may satisfy it."""
        if self.values is None:
            return kind in self.types or (kind == "number" and "integer" in self.types)
        return any(_kind_of(one) == kind for one in self.values)


ANYTHING: Final = View(
    frozenset(TYPES), None, {}, (), False, (), (), (), 0, math.inf, 0, math.inf, (), -math.inf, math.inf
)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind_of(value: Any) -> str:
    kinds = ((bool, "boolean"), (str, "string"), (int | float, "number"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


@final
class Views:
    """The views of all parts of one schema, made as they are asked for.

    Args:
        validator: of `jsonschema`, with the whole schema.
    """

    def __init__(self, validator: Any) -> None:
        self._known, self._root = validator.VALIDATORS, validator.schema
        self._found: dict[tuple[int, ...], tuple[View, ...]] = {}
        self._searches: dict[str, PartialSearch | None] = {}
        self.top = self.of((validator.schema,))

    def of(self, schemas: Sequence[Any]) -> tuple[View, ...]:
        """The ways to satisfy all of some schemas; none where nothing does."""
        each = {id(schema): schema for schema in schemas}  # one that holds twice holds once
        schemas, key = list(each.values()), tuple(sorted(each))
        if key not in self._found:
            if len(self._found) >= MAX_PARTS:
                return (ANYTHING,)
            self._calls = 0
            try:
                ways = [own for one in self._together(schemas, 0) if (own := self._view(one)) is not None]
            except _TooManyError:
                ways = [ANYTHING]
            self._found[key] = tuple(ways)
        return self._found[key]

    @property
    def every(self) -> list[tuple[View, ...]]:
        """The ways to satisfy each part that was asked for."""
        return list(dict.fromkeys(self._found.values()))

    @property
    def searches(self) -> list[PartialSearch]:
        """Of all patterns of the schema; makes the views of all its parts."""
        waiting, seen = [*self.top], set(self.top)
        for view in waiting:
            inner = [*view.properties.values(), view.other, *view.first, view.items]
            new = [one for schemas in inner for one in self.of(schemas) if one not in seen]
            seen.update(new)
            waiting += dict.fromkeys(new)
        return [search for search in self._searches.values() if search is not None]

    @property
    def strings(self) -> set[str]:
        """All that the schema names: keys, and texts that values may be."""
        return {text for views in self._found.values() for view in views for text in _named(view)}

    def _together(self, schemas: Sequence[Any], depth: int) -> list[tuple[Mapping[str, Any], ...]]:
        """The ways to satisfy all schemas, each a row of plain keywords that hold together."""
        ways: list[tuple[Mapping[str, Any], ...]] = [()]
        for schema in schemas:
            ways = [(*way, *own) for way in ways for own in self._ways(schema, depth)]
            if len(ways) > MAX_VIEWS:
                raise _TooManyError
        return ways

    def _ways(self, schema: Any, depth: int) -> list[tuple[Mapping[str, Any], ...]]:
        self._calls += 1
        if depth > _DEEPEST or self._calls > MAX_CALLS:
            raise _TooManyError
        if schema is False:
            return []
        if not isinstance(schema, Mapping) or (schema is not self._root and ("$id" in schema or "id" in schema)):
            return [()]
        schema = of_draft(schema, self._known)
        inner = [*schema.get("allOf", ())]
        if isinstance(schema.get("$ref"), str):
            led = target(self._root, schema["$ref"])
            inner += () if led is None else (led,)
        ways = [(schema, *own) for own in self._together(inner, depth + 1)]
        for name in ("anyOf", "oneOf"):
            if name in schema:
                branches = [own for part in schema[name] for own in self._ways(part, depth + 1)]
                ways = [(*way, *own) for way in ways for own in branches]
                if len(ways) > MAX_VIEWS:
                    raise _TooManyError
        return ways

    def _view(self, parts: Sequence[Mapping[str, Any]]) -> View | None:
        types = set(TYPES)
        for part in parts:
            named = set(types_of(part))
            types &= named | ({"integer"} if "number" in named else set())
        values: tuple[Any, ...] | None = None
        for part in parts:
            for own_values in ([part["const"]] if "const" in part else None, part.get("enum")):
                if isinstance(own_values, list):
                    values = tuple(own_values if values is None else [one for one in values if one in own_values])
        if values is not None:
            # true is no 1 in JSON, and a number may be written in many ways: of the rest types tell enough
            values = tuple(
                one for one in values if _kind_of(one) in types | ({"number"} if "integer" in types else set())
            )
            if not values:
                return None
        if not types:
            return None
        keys = dict.fromkeys(key for part in parts for key in part.get("properties", {}))
        others = [part for part in parts if "additionalProperties" in part]
        patterned = any("patternProperties" in part for part in parts)

        def of_key(key: str) -> tuple[Any, ...]:
            named = [part["properties"][key] for part in parts if key in part.get("properties", {})]
            beside = [part for part in others if key not in part.get("properties", {})]
            return (*named, *(() if patterned else (part["additionalProperties"] for part in beside)))

        lists = [self._of_list(part) for part in parts]
        count = max((len(first) for first, _ in lists), default=0)
        return View(
            frozenset(types),
            values,
            {key: of_key(key) for key in keys},
            tuple(dict.fromkeys(key for part in parts for key in _names(part.get("required")))),
            not patterned and any(part["additionalProperties"] is False for part in others),
            () if patterned else tuple(part["additionalProperties"] for part in others),
            tuple(tuple(first[at] if at < len(first) else rest for first, rest in lists) for at in range(count)),
            tuple(rest for _, rest in lists),
            math.ceil(max((part.get("minItems", 0) for part in parts), default=0)),
            min((part.get("maxItems", math.inf) for part in parts), default=math.inf),
            math.ceil(max((part.get("minLength", 0) for part in parts), default=0)),
            min((part.get("maxLength", math.inf) for part in parts), default=math.inf),
            tuple(own for part in parts if (own := self._search(part.get("pattern"))) is not None),
            max((_bound(part, "minimum", "exclusiveMinimum", -math.inf, max) for part in parts), default=-math.inf),
            min((_bound(part, "maximum", "exclusiveMaximum", math.inf, min) for part in parts), default=math.inf),
        )

    def _of_list(self, part: Mapping[str, Any]) -> tuple[Sequence[Any], Any]:
        """Schemas of the first items, and that of the others."""
        items = part.get("items", True)
        if isinstance(items, list):
            return items, part.get("additionalItems", True)
        first = part.get("prefixItems", ())
        return first if isinstance(first, list) else (), items

    def _search(self, pattern: Any) -> PartialSearch | None:
        if not isinstance(pattern, str):
            return None
        if pattern not in self._searches:
            try:
                self._searches[pattern] = PartialSearch(tree_of(pattern))
            except NotRegularError:
                self._searches[pattern] = None
        return self._searches[pattern]


def _as_float(number: float) -> float:
    """As `number_of` has what is written: large integers are no longer told apart."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


class _TooManyError(Exception):
    """The ways to satisfy a part are too many."""


def _names(required: Any) -> Sequence[str]:
    return [one for one in required if isinstance(one, str)] if isinstance(required, list) else []


def _bound(part: Mapping[str, Any], name: str, exclusive: str, none: float, both: Any) -> float:
    own = [part[key] for key in (name, exclusive) if _is_number(part.get(key))]
    try:
        return float(both(own)) if own else none
    except OverflowError:
        return none


def _named(view: View) -> list[str]:
    values = [json.dumps(one, ensure_ascii=False) for one in view.values or ()]
    return [*view.properties, *view.required, *values]
