"""Schemas that nothing satisfies, as far as that is seen without a search: what cannot be is named before a run."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

# keywords that are judged here and that not every draft has
_LATER = ("allOf", "anyOf", "oneOf", "const", "prefixItems", "minProperties", "maxProperties")

_RANGES = {
    "string": (("minLength", "maxLength"),),
    "array": (("minItems", "maxItems"),),
    "object": (("minProperties", "maxProperties"),),
    "number": (("minimum", "maximum"), ("exclusiveMinimum", "maximum"), ("minimum", "exclusiveMaximum")),
}


def why_nothing_fits(
    schema: Any,
    root: Any,
    path: str = "",
    seen: frozenset[str] = frozenset(),
    known: Container[str] = frozenset((*_LATER, "$dynamicRef")),
) -> str | None:
    """Why no document satisfies the schema; None where one may.

    Args:
        schema: a schema, or a part of one.
        root: the whole, which references lead into.
        path: of the part.
        seen: references that are being followed.
        known: the keywords of the draft.

    >>> why_nothing_fits({"type": "array", "minItems": 3, "maxItems": 2}, {})
    'at its top, minItems=3 is above maxItems=2'
    >>> why_nothing_fits({"type": ["array", "string"], "minItems": 3, "maxItems": 2}, {})
    """
    where = f"at {path or 'its top'}, "
    if schema is False:
        return f"{where}it is false"
    if not isinstance(schema, Mapping):
        return None
    schema = of_draft(schema, known)
    if isinstance(reference := schema.get("$ref"), str):
        target = None if reference in seen else _target(root, reference)
        if target is not None and (
            why := why_nothing_fits(target, root, path + "/" + reference, seen | {reference}, known)
        ):
            return why
    for number, part in enumerate(schema.get("allOf", ())):
        if why := why_nothing_fits(part, root, f"{path}/allOf/{number}", seen, known):
            return why
    for name in ("anyOf", "oneOf"):
        parts = [
            why_nothing_fits(part, root, f"{path}/{name}/{i}", seen, known)
            for i, part in enumerate(schema.get(name, ()))
        ]
        if parts and all(parts):
            return parts[0]
    for name in ("const", "enum"):
        if name in schema:
            values = [schema[name]] if name == "const" else schema[name]
            return (
                None if any(_fits(value, schema) for value in values) else f"{where}{name} has no value that it allows"
            )
    reasons = [_of_type(kind, schema, root, path, seen, known) for kind in _types(schema)]
    if not reasons:
        return f"{where}no type suits all of its parts"
    return reasons[0] if all(reasons) else None


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema names; all where it names none, or others, as old drafts may.

    >>> types_of({"type": "string"}), types_of({"type": "any"}) == list(TYPES)
    (['string'], True)
    """
    own = schema.get("type", TYPES)
    found = [own] if isinstance(own, str) else list(own)
    return found if all(one in TYPES for one in found) else list(TYPES)


def of_draft(schema: Mapping[str, Any], known: Container[str]) -> Mapping[str, Any]:
    """What of a schema counts: up to draft 7 nothing beside a reference, and no keyword of a later one."""
    if "$ref" in schema and "$dynamicRef" not in known and "$recursiveRef" not in known:
        return {"$ref": schema["$ref"]}
    return {key: value for key, value in schema.items() if key in known or key not in _LATER}


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


def _of_type(
    kind: str, schema: Mapping[str, Any], root: Any, path: str, seen: frozenset[str], known: Container[str]
) -> str | None:
    """Why no document of one type satisfies the schema."""
    where = f"at {path or 'its top'}, "
    for low, high in _RANGES.get("number" if kind == "integer" else kind, ()):
        if low in schema and high in schema and _above(low, high, schema[low], schema[high]):
            return f"{where}{low}={schema[low]} is above {high}={schema[high]}"
    if kind == "object":
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        for name in required if isinstance(required, list) else ():  # a flag in draft 3
            inner = properties.get(name)
            if inner is None and "patternProperties" not in schema:
                inner = schema.get("additionalProperties")
            if inner is not None and (why := why_nothing_fits(inner, root, f"{path}/properties/{name}", seen, known)):
                return f"{name!r} is required, and {why}"
    if kind == "array" and schema.get("minItems", 0) > len(schema.get("prefixItems", ())):
        return why_nothing_fits(schema.get("items"), root, f"{path}/items", seen, known)
    return None


def _above(low: str, high: str, least: Any, most: Any) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (least, most))
    return numbers and (least > most or (least == most and "exclusive" in (low + high).lower()))


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value satisfies what the schema says besides; references are taken to hold."""
    import jsonschema

    rest = {key: inner for key, inner in schema.items() if key not in {"$ref", "$dynamicRef", "enum", "const"}}
    if "enum" in schema and value not in schema["enum"]:
        return False
    try:
        return bool(jsonschema.Draft202012Validator(rest).is_valid(value))
    except Exception:  # a part of it refers to another place
        return True


def _target(root: Any, reference: str) -> Any:
    """What a reference within the whole leads to; None where it is not of that kind."""
    if not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found
