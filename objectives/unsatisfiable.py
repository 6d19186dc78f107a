"""Schemas that nothing satisfies, as far as that is seen without a search: what cannot be is named before a run."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any, final
from urllib.parse import unquote

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

# keywords that are judged here and that not every draft has
_LATER = ("allOf", "anyOf", "oneOf", "const", "prefixItems", "minProperties", "maxProperties")

_RANGES = {
    "string": (("minLength", "maxLength"),),
    "array": (("minItems", "maxItems"),),
    "object": (("minProperties", "maxProperties"),),
    "number": (
        ("minimum", "maximum"),
        ("exclusiveMinimum", "maximum"),
        ("minimum", "exclusiveMaximum"),
        ("exclusiveMinimum", "exclusiveMaximum"),
    ),
}


def why_nothing_fits(validator: Any) -> str | None:
    """Why no document satisfies a schema; None where one may.

    Args:
        validator: of `jsonschema`, with the whole schema, whose references all lead to schemas.

    >>> from jsonschema import Draft202012Validator as of
    >>> why_nothing_fits(of({"type": "array", "minItems": 3, "maxItems": 2}))
    'at its top, minItems=3 is above maxItems=2'
    >>> why_nothing_fits(of({"type": ["array", "string"], "minItems": 3, "maxItems": 2}))
    >>> why_nothing_fits(of({"type": "array", "minItems": 1, "items": {"$ref": "#"}}))
    "at /items, '#' leads on for ever, and a document has an end"
    """
    search, schema = _Search(validator), validator.schema
    why = search.of(schema, "")
    # what contradicts itself, first where nothing leads further
    while search.learn():
        why = search.of(schema, "")
    if why is None and search.reasons:
        search.end()
        why = search.of(schema, "")
    return why


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema names; all where it names none, or others, as old drafts may.

    >>> types_of({"type": "string"}), types_of({"type": "any"}) == list(TYPES)
    (['string'], True)
    """
    own = schema.get("type", TYPES)
    found = [own] if isinstance(own, str) else list(own)
    return found if all(one in TYPES for one in found) else list(TYPES)


def of_draft(schema: Mapping[str, Any], known: Container[str]) -> Mapping[str, Any]:
    """What of a schema counts, of the keywords `known`: up to draft 7 nothing beside a reference, nothing later."""
    if "$ref" in schema and "$dynamicRef" not in known and "$recursiveRef" not in known:
        return {"$ref": schema["$ref"]}
    return {key: value for key, value in schema.items() if key in known or key not in _LATER}


@final
class _Search:
    """Looks at each part of a schema for itself; what a reference leads to is judged once, and remembered.

    Attributes:
        reasons: reference -> why nothing satisfies what it leads to; None as long as that is not known.
    """

    def __init__(self, validator: Any) -> None:
        self._validator, self._root = validator, validator.schema
        self.reasons: dict[str, str | None] = {}

    def learn(self) -> bool:
        """Judge the references once more; False if nothing is new."""
        before = dict(self.reasons)
        for reference, why in before.items():
            if why is None:
                self.reasons[reference] = self.of(target(self._root, reference), reference)
        return self.reasons != before

    def end(self) -> None:
        """Take for empty what leads back to itself whatever a document chooses, since documents have an end.

        Nothing is taken to have an end at first, and what has one without the others has one.
        """
        endless = [reference for reference, why in self.reasons.items() if why is None]
        while True:
            self.reasons |= {one: f"{one!r} leads on for ever, and a document has an end" for one in endless}
            ending = [one for one in endless if self.of(target(self._root, one), one) is None]
            if not ending:
                return
            self.reasons |= dict.fromkeys(ending)
            endless = [one for one in endless if one not in ending]

    def of(self, schema: Any, path: str) -> str | None:
        """Why no document satisfies a part of the schema, as far as is known of its references."""
        where = f"at {path or 'its top'}, "
        if schema is False:
            return f"{where}it is false"
        if not isinstance(schema, Mapping) or (path and ("$id" in schema or "id" in schema)):
            return None  # references within a part of another address lead elsewhere
        schema = of_draft(schema, self._validator.VALIDATORS)
        if (why := self._of_reference(schema.get("$ref"))) is not None:
            return why if why.startswith("at ") else where + why
        for number, part in enumerate(schema.get("allOf", ())):
            if why := self.of(part, f"{path}/allOf/{number}"):
                return why
        for name in ("anyOf", "oneOf"):
            parts = [self.of(part, f"{path}/{name}/{i}") for i, part in enumerate(schema.get(name, ()))]
            if parts and all(parts):
                return parts[0]
        for name in ("const", "enum"):
            if name in schema:
                values = [schema[name]] if name == "const" else schema[name]
                found = any(self._fits(value, schema) for value in values)
                return None if found else f"{where}{name} has no value that it allows"
        reasons = [self._of_type(kind, schema, path) for kind in _types(schema)]
        if not reasons:
            return f"{where}no type suits all of its parts"
        return reasons[0] if all(reasons) else None

    def _of_reference(self, reference: Any) -> str | None:
        if not isinstance(reference, str) or target(self._root, reference) is None:
            return None
        return self.reasons.setdefault(reference, None)

    def _of_type(self, kind: str, schema: Mapping[str, Any], path: str) -> str | None:
        """Why no document of one type satisfies the schema."""
        where = f"at {path or 'its top'}, "
        for low, high in _RANGES.get("number" if kind == "integer" else kind, ()):
            if low in schema and high in schema and _above(low, high, schema[low], schema[high]):
                return f"{where}{low}={schema[low]} is above {high}={schema[high]}"
        if kind == "integer" and _between_integers(schema.get("minimum"), schema.get("maximum")):
            return f"{where}no whole number is from minimum={schema['minimum']} to maximum={schema['maximum']}"
        if kind == "object":
            properties = schema.get("properties", {})
            required = schema.get("required", ())
            for name in required if isinstance(required, list) else ():  # a flag in draft 3
                inner = properties.get(name)
                if inner is None and "patternProperties" not in schema:
                    inner = schema.get("additionalProperties")
                if inner is not None and (why := self.of(inner, f"{path}/properties/{name}")):
                    return f"{name!r} is required, and {why}"
            closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
            if closed and schema.get("minProperties", 0) > len(properties):
                return f"{where}minProperties={schema['minProperties']} is above its {len(properties)} properties"
        if kind == "array" and schema.get("minItems", 0) > len(schema.get("prefixItems", ())):
            return self.of(schema.get("items"), f"{path}/items")
        return None

    def _fits(self, value: Any, schema: Mapping[str, Any]) -> bool:
        """Whether a value satisfies the part."""
        own = {key: inner for key, inner in schema.items() if key != "$schema"}
        try:
            return bool(self._validator.evolve(schema=own).is_valid(value))
        except (OverflowError, RecursionError, TimeoutError):
            return True


def _types(schema: Mapping[str, Any]) -> list[str]:
    """Those that the schema and all parts of its allOf allow."""
    found = types_of(schema)
    for part in schema.get("allOf", ()):
        if isinstance(part, Mapping):
            others = set(_types(part))
            if "number" in others:
                others.add("integer")
            found = [kind for kind in found if kind in others or (kind == "number" and "integer" in others)]
    return found


def _above(low: str, high: str, least: Any, most: Any) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (least, most))
    return numbers and (least > most or (least == most and "exclusive" in (low + high).lower()))


def _between_integers(least: Any, most: Any) -> bool:
    numbers = all(isinstance(one, int) or (isinstance(one, float) and math.isfinite(one)) for one in (least, most))
    return numbers and math.ceil(least) > math.floor(most)


def target(root: Any, reference: str) -> Any:
    """What a reference within the whole leads to; None where it is not of that kind."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found = root
    for part in reference.split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
        # from here on references would be those of another document
        if isinstance(found, Mapping) and any(isinstance(found.get(name), str) for name in ("$id", "id")):
            return None
    return found
