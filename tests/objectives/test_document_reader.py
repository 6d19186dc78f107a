"""What is read of JSON documents from the left: nothing is proven dead that the schema allows, and nothing explodes."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from objectives import JSONSchema, Pattern, document_reader
from objectives.document_reader import DocumentReader
from objectives.schema_validator import validator_of
from objectives.schema_views import Views
from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.in_time import InTime
from textsearch.neighbours import neighbourly
from textsearch.testing import ByteVocabulary

BYTES = [byte for byte in range(1, 256) if byte != ord("_")]
VOCABULARY = ByteVocabulary((b"_", *(bytes([byte]) for byte in BYTES)))
TOKENS = {byte: token for token, byte in enumerate(BYTES, 1)}
ELSEWHERE = {
    "$ref": "#/$defs/a/$defs/b",
    "$defs": {
        "c": {"type": "string"},
        "a": {"$id": "http://x/a", "$defs": {"b": {"$ref": "#/$defs/c"}, "c": {"type": "integer"}}},
    },
}
SCHEMAS: list[Any] = [
    {"type": ["array", "string", "object"]},
    {"type": "integer"},
    {"type": "integer", "minimum": 1, "maximum": 3},
    {"enum": [1, "a", True, None, 2**53 + 1, {"a": 1}]},
    {"type": "string", "minLength": 1.0, "maxLength": 3},
    {"type": "array", "minItems": 1.0, "items": {"type": "integer", "minimum": -(10**400)}},
    {"properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
    {"type": ["array", "integer"], "items": {"$ref": "#"}},
    {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 0, "exclusiveMinimum": True},
    ELSEWHERE,
]
PLAIN = [
    *("1", "1.0", "10e-1", "-0", "2.5", "-1e400", "9007199254740993", "true", "null", '""', '"a"', '"😀"', "[]", "{}"),
    *(r'"\u0061\n"', r'"\\\u0061\""', r'"\ud83d\ude00\t"', r'["\u0061\n", "b"]', "[1, 2.0,3]", "[[1],-1e400]"),
    *('{"a":1}', r'{"\u0061":1}', r'{"\u0061\n":1,"a":2}', '{"b":1,"a":3.0}', '{"aa": 1e0}', '{"a":{"a":1}}'),
]
WRITTEN = [*PLAIN, *(f" {text}\n" for text in PLAIN)]


def dead(schema: Any) -> tuple[list[str], int]:
    """Documents that the schema allows and that something is proven against, and how many it allows."""
    objective, found, allowed = JSONSchema(schema), [], 0
    for text in WRITTEN:
        row = [TOKENS[byte] for byte in text.encode()]
        if float(objective.energy(Batch.of([row], VOCABULARY))[0]) == torch.inf:
            continue
        allowed += 1
        begun = Beginnings(VOCABULARY, 0, [row[:size] for size in range(len(row) + 1)], [0] * (len(row) + 1))
        following = torch.tensor([[*row, 0]]).T
        told = InTime(objective, len(row))
        living, proven = told.living_next(begun), told.impossible(begun)
        if (living is not None and not living.gather(1, following).all()) or (proven is not None and proven.any()):
            found.append(text)
    return found, allowed


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_no_document_that_is_allowed_is_proven_dead(schema: Any) -> None:
    found, allowed = dead(schema)
    assert found == [] and allowed > 1


def test_broken_twins_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """An escape that never ends, and numbers that are read wrong."""
    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "_written", lambda self, way, text, character: (way,))
        assert dead(SCHEMAS[0])[0]
    monkeypatch.setattr(document_reader, "number_of", lambda written: 0.5)
    assert dead(SCHEMAS[1])[0]


def nested(levels: int, **others: Any) -> Any:
    """Objects within one another, each with the properties "a" and `others`."""

    def level(number: int) -> Any:
        inner = {"$ref": f"#/$defs/{number + 1}"}
        properties = {"a": inner} | {key: inner if one is None else one for key, one in others.items()}
        return {"type": "object", "properties": properties, "required": [*properties]}

    return {"$defs": {str(n): level(n) for n in range(levels)} | {str(levels): {"type": "null"}}, "$ref": "#/$defs/0"}


@pytest.mark.parametrize(
    "schema",
    [
        nested(40, b=None),
        nested(40, b={"type": "integer", "minimum": 5000}),
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 10**9},
    ],
    ids=["doubles", "chain", "long", "many"],
)
def test_no_schema_takes_long(schema: Any) -> None:
    """Short endings are told where they are short."""
    reader = DocumentReader(Views(validator_of(schema)))
    ending = reader.ending(reader.start)
    assert ending is None or len(ending) < 10_000


def test_white_space_is_no_matter_of_neighbours() -> None:
    """How much of a run of it is one token depends on what stands behind it."""
    pieces = ByteVocabulary((b"_", b"a", b"\n", b"\n\n", b"aa"))
    told = neighbourly(Beginnings(pieces, 0, [[1, 2], [1]], [0, 0]), torch.ones(2, 5, dtype=torch.bool))
    assert told.int().tolist() == [[1, 1, 1, 1, 1], [1, 0, 1, 1, 0]]


def test_what_is_known_of_a_vocabulary_does_not_keep_it() -> None:
    pieces, pattern = ByteVocabulary((b"_", b"a", b"b", b"ab")), Pattern("[ab]{2,5}", full=True)
    begun = Beginnings(pieces, 0, [[], [1]], [0, 0])
    InTime(pattern, 4).allowed_next(begun)
    InTime(pattern, 4).living_next(begun)
    kept = weakref.ref(pieces)
    del pieces, begun
    gc.collect()
    assert kept() is None
