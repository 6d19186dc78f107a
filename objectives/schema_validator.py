"""The validator of a JSON schema, without the searches by backtracking that the package has for patterns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, final

from objectives.pattern import Search, search_for

Errors = Iterator[Any]

_DIGITS = 4_000  # of a number that is divided


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
    multiples = {name: _multiple_of for name in ("multipleOf", "divisibleBy") if name in kind.VALIDATORS}
    return extend(kind, own | multiples)


@final
class Written(float):
    """A number of a document, with its digits as they were written."""

    def __new__(cls, text: str) -> Written:
        """Of its text."""
        return super().__new__(cls, text)

    def __init__(self, text: str) -> None:
        self.text = text


def _multiple_of(validator: Any, divisor: float, instance: Any, schema: Any) -> Errors:
    """Of decimal numbers as they are written: the package divides binary ones, where 4.35 is no multiple of .01."""
    from jsonschema.exceptions import ValidationError

    if validator.is_type(instance, "number") and not is_multiple(instance, divisor):
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


def is_multiple(value: float, divisor: float) -> bool:
    """Whether a number is a whole multiple of one that is not 0, both as decimal numbers, whatever their exponents.

    >>> is_multiple(4.35, 0.01), is_multiple(4.355, 0.01), is_multiple(Written("1e999999999"), 3)
    (True, False, False)
    """
    (digits, power), (own, own_power) = _decimal(value), _decimal(divisor)
    shift = power - own_power
    if shift >= 0:
        return digits * pow(10, shift, own) % own == 0
    # no number of so few digits is a multiple of 10 so many times
    return digits == 0 or (-shift <= len(str(digits)) and digits % (own * 10**-shift) == 0)


def _decimal(value: float) -> tuple[int, int]:
    """Digits, and the power of ten that they are taken times; without a sign."""
    _, digits, power = Decimal(value if isinstance(value, int) else getattr(value, "text", repr(value))).as_tuple()
    if not isinstance(power, int) or len(digits) > _DIGITS:
        raise OverflowError(f"{value!r} is no number, or one of too many digits")
    return int("".join(map(str, digits))), power


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
