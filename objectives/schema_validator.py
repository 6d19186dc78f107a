"""The validator of a JSON schema, without the searches by backtracking that the package has for patterns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from objectives.pattern import Search, search_for

Errors = Iterator[Any]


def validator_of(schema: Any) -> Any:
    r"""A validator of `jsonschema` for the draft that the schema names, the newest by default; it fetches nothing.

    A pattern such as `^(a+)+$` takes the package, which has the searches of Python, time exponential in a string.

    >>> validator_of({"type": "string", "pattern": "^(a+)+$"}).is_valid("a" * 200 + "b")
    False
    """
    try:
        import jsonschema
        from referencing import Registry
    except ImportError as error:
        raise ImportError("JSONSchema needs jsonschema: pip install 'textsearch-sampling[grammar]'") from error
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    return _bounded(kind)(schema, format_checker=kind.FORMAT_CHECKER, registry=Registry())


@cache
def _bounded(kind: Any) -> Any:
    """A kind of validator with searches in bounded time."""
    from jsonschema.validators import extend

    own = {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional}
    return extend(kind, own)


@cache
def _search(pattern: str) -> Search:
    return search_for(pattern)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Errors:
    from jsonschema.exceptions import ValidationError

    if validator.is_type(instance, "string") and not _search(pattern).found(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Errors:
    if validator.is_type(instance, "object"):
        for pattern, part in patterns.items():
            for key, value in instance.items():
                if _search(pattern).found(key):
                    yield from validator.descend(value, part, path=key, schema_path=pattern)


def _additional(validator: Any, part: Any, instance: Any, schema: Any) -> Errors:
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(instance, "object"):
        return
    patterns = schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in schema.get("properties", {}) or any(_search(pattern).found(key) for pattern in patterns):
            continue
        if part is False:
            yield ValidationError(f"{key!r} is no property of the schema")
        elif part is not True:
            yield from validator.descend(value, part, path=key)
