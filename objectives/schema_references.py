"""References within a JSON schema: each leads to a schema, and none leads back without going into the document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from textsearch.kinds import shown

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# what these hold judges the same part of the document as the schema that they stand in
_SAME_PART = ("allOf", "anyOf", "oneOf", "extends", "not", "if", "then", "else")


def check_references(name: str, validator: Any) -> None:
    """Refuse references that lead outside, to what is no schema, or round in a circle.

    Args:
        name: of the schema in messages.
        validator: of `jsonschema`, with the whole schema.

    Raises:
        ValueError: there is one.

    >>> import jsonschema
    >>> check_references("s", jsonschema.Draft202012Validator({"items": {"$ref": "#"}}))
    >>> check_references("s", jsonschema.Draft202012Validator({"not": {"$ref": "#"}}))
    Traceback (most recent call last):
    ValueError: s: '#' leads back to where it came from without going into the document, so that no validator ends: ...
    """
    from jsonschema.exceptions import SchemaError
    from referencing import Resource
    from referencing.jsonschema import specification_with

    kind = type(validator)
    specification = specification_with(kind.ID_OF(kind.META_SCHEMA))
    same: dict[int, list[int]] = {}
    references: dict[int, str] = {}
    waiting = [(specification.create_resource(validator.schema), validator._resolver)]
    while waiting:
        resource, resolver = waiting.pop()
        schema = resource.contents
        if id(schema) in same or not isinstance(schema, Mapping):
            continue
        inner = [part for part in specification.subresources_of(schema) if isinstance(part, Mapping | bool)]
        parts = [Resource.from_contents(part, default_specification=specification) for part in inner]
        waiting += [(part, resolver.in_subresource(part)) for part in parts]
        same[id(schema)] = [id(part) for part in _parts_of_the_same(schema)]
        for reference in [schema[key] for key in _REFERENCES if isinstance(schema.get(key), str)]:
            found = _found(name, resolver, reference)
            if not isinstance(found.contents, Mapping | bool):
                raise ValueError(f"{name}: {reference!r} leads to {shown(found.contents)}, which is no schema")
            try:
                kind.check_schema(found.contents)
            except SchemaError as error:
                raise ValueError(f"{name}: {reference!r} leads to no JSON schema: {error.message}") from error
            references[id(schema)] = reference
            same[id(schema)].append(id(found.contents))
            target = Resource.from_contents(found.contents, default_specification=specification)
            waiting.append((target, found.resolver))
    try:
        TopologicalSorter(same).prepare()
    except CycleError as error:
        [reference, *_] = [references[one] for one in error.args[1] if one in references]
        raise ValueError(
            f"{name}: {reference!r} leads back to where it came from without going into the document, so that no "
            "validator ends: put it under properties or items, or leave it out"
        ) from error


def _parts_of_the_same(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The parts of a schema that judge the same part of a document."""
    for key in _SAME_PART:
        part = schema.get(key, ())
        yield from part if isinstance(part, list | tuple) else (part,)
    dependent = schema.get("dependentSchemas", {})
    yield from dependent.values() if isinstance(dependent, Mapping) else ()


def _found(name: str, resolver: Any, reference: str) -> Any:
    from referencing.exceptions import Unresolvable

    try:
        return resolver.lookup(reference)
    except Unresolvable as error:
        raise ValueError(
            f"{name}: {reference!r} leads to no place within the schema, and nothing is fetched; write what it refers "
            "to under $defs"
        ) from error
