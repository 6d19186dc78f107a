"""Grammars, schemas and patterns: a parser is the truth, proofs follow from it, and the mask engine gives hints."""

from __future__ import annotations

import itertools
import json
import pickle
import random
from collections.abc import Callable

import pytest
import torch

from objectives import Grammar, JSONSchema, Pattern, earley, mask_engine, reading
from objectives.earley import Word
from objectives.grammar import shipped
from objectives.language import LanguageObjective
from objectives.mask_engine import Differences, differences
from objectives.partial_search import PartialSearch
from textsearch.beginnings import Beginnings
from textsearch.testing import ByteVocabulary, check_beginnings, every_row, letters

PIECES = ByteVocabulary((b"_", b"a", b"b", b"ab", b"ba", b"(", b")"))
MARKS = ByteVocabulary((b"_", b"[", b"]", b"1", b",", b'"', b'",', b" "))
ROWS = every_row(PIECES, 3)
PAIRS = {"type": "array", "items": {"type": ["integer", "string"]}, "maxItems": 2}


def texts_of(language: LanguageObjective, texts: list[str]) -> list[str]:
    return [text for text in texts if language.languages.of(0).accepts(text)]


CASES: dict[str, tuple[Callable[[], LanguageObjective], ByteVocabulary, Differences]] = {
    "pattern": (lambda: Pattern("(ab)+|a", full=True), PIECES, Differences(211, 0, 0)),
    "found": (lambda: Pattern("ba"), PIECES, Differences(211, 0, 0)),
    "forbidden": (lambda: Pattern("ba", forbid=True), PIECES, Differences(211, 0, 0)),
    # the engine knows no backreference: it takes "ab" for one
    "backtracking": (lambda: Pattern(r"(a|b)\1*", full=True), PIECES, Differences(211, 0, 0)),
    "lookarounds": (lambda: Pattern("(?=.*b)(?!ba)^[ab]+(?<!bb)$", full=True), PIECES, Differences(211, 0, 0)),
    "grammar": (lambda: Grammar('start: "(" start ")" | "ab" | "a"'), PIECES, Differences(211, 0, 0)),
    "ignored": (lambda: Grammar('start: x\nx: "a" | "a" x "b"\n%ignore "("'), PIECES, Differences(211, 5, 0)),
    # the engine writes no space in front of a document
    "schema": (lambda: JSONSchema(PAIRS), MARKS, Differences(385, 2, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_laws_of_beginnings_and_what_the_mask_gets_wrong(name: str) -> None:
    make, vocabulary, expected = CASES[name]
    objective, rows = make(), every_row(vocabulary, 3)
    assert "proven" in str(check_beginnings(objective, rows))
    assert differences(objective, rows, 0) == expected
    again = pickle.loads(pickle.dumps(objective))
    assert again == objective and again.energy(rows).equal(objective.energy(rows))


def test_a_mask_that_allows_all_or_nothing_is_counted() -> None:
    """The control of the differences."""

    class Open(LanguageObjective):
        inner = Pattern("ab", full=True)
        languages = inner.languages
        tokens = True

        def allowed_next(self, beginnings: Beginnings) -> torch.Tensor:
            return torch.full((len(beginnings), PIECES.size), self.tokens)

    rows = PIECES.encode(["ab", "a", "b"])
    assert differences(Open(), rows, 0) == Differences(3, 0, 2)
    Open.tokens = False
    assert differences(Open(), rows, 0) == Differences(3, 1, 0)


def check_random_grammars(seed: int, count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """What is proven of grammars, and of all tokens at once, holds of Lark's parser; how many beginnings are dead."""
    rng = random.Random(seed)
    texts = ["".join(text) for size in range(5) for text in itertools.product("ab", repeat=size)]
    proven = 0
    for _ in range(count):
        symbols = ["start", "x", "y"]

        def expansion(symbols: list[str] = symbols) -> str:
            parts = [
                rng.choice(['"a"', '"b"', "/a+/", "/ab?/", "/b*a/", *symbols[1:]]) for _ in range(rng.randint(1, 3))
            ]
            return " ".join(part + rng.choice(["", "", "?", "*"]) for part in parts)

        source = "\n".join(f"{symbol}: " + " | ".join(expansion() for _ in range(2)) for symbol in symbols)
        source += rng.choice(["", "", "", '\n%ignore "b"'])
        try:
            grammar, told = Grammar(source), Grammar(source).languages.of(0)
        except ValueError as error:
            assert "derives no text" in str(error) or "no grammar" in str(error), error
            continue
        # by Lark alone
        monkeypatch.setattr(grammar.languages.of(0).reading, "is_dead", lambda text, rest: False)
        allowed = set(texts_of(grammar, texts))
        alive = {text[:size] for text in allowed for size in range(len(text) + 1)}
        for text in texts:
            dead = told.is_dead(text, b"")
            assert not (dead and text in alive), (source, text)
            assert told.accepts(text) == (text in allowed), (source, text)
            proven += dead
            for token, may in enumerate(told.reading.living(PIECES, 0, text.encode()).tolist()):
                after = text + PIECES.token_bytes[token].decode()
                assert may or (text not in allowed if token == 0 else after not in alive), (source, text, token)
    return proven


def test_random_grammars_are_those_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_random_grammars(0, 25, monkeypatch) > 150


def test_random_grammars_of_which_little_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earley, "MAX_SETS", 1)
    monkeypatch.setattr(earley, "MAX_ITEMS", 12)
    monkeypatch.setattr(reading, "MAX_STATES", 1)
    assert check_random_grammars(1, 10, monkeypatch) > 10


def test_words_that_end_where_they_must_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken twin: a word is as long as it can be."""
    monkeypatch.setattr(
        Word, "may_end", lambda self, state: self.step(state, "a") is None and self.step(state, "b") is None
    )
    with pytest.raises(AssertionError):
        check_random_grammars(0, 10, monkeypatch)


def test_masks_of_random_expressions_leave_no_match_out() -> None:
    """With lookarounds, places and what only backtracking can decide; most are not too wide either."""
    rng = random.Random(1)

    def expression(depth: int) -> str:
        if depth == 0 or rng.random() < 0.2:
            return rng.choice(["a", "b", "[ab]", "a?", r"\b", "$", "^", r"\Z", "(?!b)", "(?<=a)", r"(a)\1"])
        part = expression(depth - 1)
        return rng.choice([part + expression(depth - 1), f"(?:{part}|b)", f"(?:{part})*", f"(?={part})", f"(?>{part})"])

    rows, wide, texts = every_row(PIECES, 2), 0, 0
    for _ in range(20):
        pattern = Pattern(expression(3), full=rng.random() < 0.7)
        found = differences(pattern, rows, 0)
        assert found.too_narrow == 0, pattern
        wide, texts = wide + found.too_wide, texts + found.texts
    assert 0 < wide < 0.5 * texts


def test_an_engine_without_an_end_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_engine, "PATIENCE", 0.05)
    monkeypatch.setattr(mask_engine._OfVocabulary, "learn", lambda self, rows: __import__("time").sleep(0.5))
    grammar, asked = Grammar('start: "a"'), Beginnings(PIECES, 0, [[]], [0])
    with pytest.warns(UserWarning, match="found no end"):
        assert grammar.allowed_next(asked) is None
    assert grammar.allowed_next(asked) is None  # and is not asked again


def test_without_the_engine_nothing_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_engine, "engine", lambda: None)
    assert Grammar('start: "a"').allowed_next(Beginnings(PIECES, 0, [[]], [0])) is None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("arithmetic", ["1", "12*(3+4)-5", "--2"], ["", "01", "(1", "1+"]),
        ("email", ["jane.doe@example.org"], ["a@b", ".a@b.org", "a@-b.org"]),
        (
            "iso_date",
            ["2024-02-29", "1999-12-31", "2000-02-29"],
            ["2023-02-29", "1900-02-29", "2024-04-31", "2024-2-1"],
        ),
        ("json", ['{"a": [1, true, "\\u00e9"]}', " [] ", "1e5"], ["{a: 1}", "[1,]", "01", "NaN"]),
        (
            "sql_select",
            ["SELECT * FROM t", "SELECT COUNT(*), a.b FROM t JOIN u ON t.x = u.x WHERE a = 'it''s' LIMIT 3;"],
            ["SELECT FROM t", "SELECT * FROM", "select * from t", "SELECT * FROM t WHERE a = 'x"],
        ),
    ],
)
def test_grammars_that_come_along(name: str, good: list[str], bad: list[str]) -> None:
    language = Grammar(shipped(name))
    assert texts_of(language, [*good, *bad]) == good
    derived = language.languages.of(0)
    assert not any(derived.is_dead(text[:size], b"") for text in good for size in range(len(text) + 1))


def test_many_optional_parts_are_rules_of_their_own() -> None:
    """As the refusal of too many expansions says; written out in one rule they would be 2^32."""
    parts = "".join(f'p{n}: "{n},"?\n' for n in range(32))
    language = Grammar(f"start: {' '.join(f'p{n}' for n in range(32))}\n{parts}")
    assert texts_of(language, ["0,7,31,", "", "7,0,"]) == ["0,7,31,", ""]


def test_documents() -> None:
    person = {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}, "born": {"type": "string", "format": "date"}},
        "required": ["name", "born"],
        "additionalProperties": False,
    }
    good = ['{"name": "Zoë", "born": "2001-02-03"}', '\n{ "born":"2000-02-29" ,"name":"\\u00e9"}\n']
    bad = [
        '{"name": "Zoë"}',
        '{"name": "", "born": "2001-02-03"}',
        '{"name": "Zoë", "born": "2001-02-30"}',
        '{"name": "Zoë", "born": "2001-02-03", "age": 3}',
        '{"name": "a", "name": "b", "born": "2001-02-03"}',
        good[0] + "x",
        "[" * 200,
    ]
    assert texts_of(JSONSchema(person), [*good, *bad]) == good
    assert texts_of(JSONSchema(json.dumps(person)), [*good, *bad]) == good
    assert texts_of(JSONSchema({"type": "number"}), ["1", "NaN", "Infinity", "1" * 5000]) == ["1", "1" * 5000][:1]
    assert texts_of(JSONSchema(True, max_characters=3), ["123", "1234"]) == ["123"]
    own = JSONSchema([{"type": "integer"}, {"type": "string"}])
    assert own.languages.of(1).accepts('"a"') and not own.languages.of(0).accepts('"a"')
    # draft 4 has a flag where later ones have a number
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 2, "exclusiveMinimum": True}
    assert texts_of(JSONSchema(old), ["2", "3"]) == ["3"]

    # and nothing beside a reference counts, up to draft 7
    beside = {"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "type": "string"}
    assert texts_of(JSONSchema(beside | {"definitions": {"a": {"type": "integer"}}}), ["2", '"a"']) == ["2"]
    # the first draft has types of its own
    first = {"$schema": "http://json-schema.org/draft-03/schema#", "type": ["integer", {"type": "null"}]}
    assert texts_of(JSONSchema(first), ["2", "null", '"a"']) == ["2", "null"]


def test_documents_that_a_validator_does_not_end_on() -> None:
    """Or fails at: patterns with searches exponential in the text, numbers beyond floats, levels within levels."""
    endless = "^(a+)+$"
    hard = JSONSchema(
        {
            "type": ["object", "string", "number"],
            "pattern": endless,
            "patternProperties": {endless: {"type": "integer"}},
            "additionalProperties": {"type": "string"},
            "multipleOf": 0.5,
        }
    )
    many = "a" * 60
    good = ['"a"', '{"a": 1, "b": ""}', f'{{"{many}b": ""}}', "1.5", "1e999", "1" + "0" * 400]
    bad = [f'"{many}b"', '{"a": ""}', f'{{"{many}b": 1}}', "1.25", "1e-999", "1." + "0" * 5000]
    assert texts_of(hard, [*good, *bad]) == good
    only = JSONSchema({"patternProperties": {"^a": {}, "^b": True}, "additionalProperties": False})
    assert texts_of(only, ['{"ab": 1, "b": 2}', '{"ab": 1, "c": 2}', "{}"]) == ['{"ab": 1, "b": 2}', "{}"]
    node: dict[str, object] = {"allOf": [{"anyOf": [{"$ref": f"#/$defs/{n}"}]} for n in range(3)]}
    deep = {"$defs": {str(n): {"items": {"$ref": "#"}} for n in range(3)}} | node
    assert texts_of(JSONSchema(deep), ["[[1]]"]) == ["[[1]]"]


@pytest.mark.parametrize(
    ("divisor", "good", "bad"),
    [
        (0.01, ["4.35", "0.07", "-1.1", "435e-2", "1e300", "0", "1e999999999"], ["4.355", "1e-3", "435e-5"]),
        (1e-300, ["3e-300", "1"], ["1e-301"]),
        (3, ["3e5", "111.0", "3e999999999"], ["1e999999999", "4", "3.1"]),
        (1e300, ["1e300", "2e300", "0.0"], ["1e299", "1"]),
    ],
)
def test_multiples_are_those_of_decimal_numbers(divisor: float, good: list[str], bad: list[str]) -> None:
    assert texts_of(JSONSchema({"multipleOf": divisor}), [*good, *bad]) == good
    old = {"$schema": "http://json-schema.org/draft-03/schema#", "divisibleBy": divisor}
    assert texts_of(JSONSchema(old), [*good, *bad]) == good


def test_references_lead_to_schemas_under_the_address_that_they_stand_in() -> None:
    inner = {"$id": "https://example.org/a", "$defs": {"b": {"type": "integer"}}, "$ref": "#/$defs/b"}
    assert texts_of(JSONSchema({"$defs": {"a": inner}, "$ref": "#/$defs/a"}), ["1", '"a"']) == ["1"]
    # a reference within a value is none
    assert texts_of(JSONSchema({"const": {"$ref": "#/nowhere"}}), ['{"$ref": "#/nowhere"}', "1"])[1:] == []


def each_in_each(count: int, **last: object) -> dict[str, object]:
    """A schema of objects each of which needs one of all the others, or of the last."""
    names = [*map(str, range(count)), *last]
    parts = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    each = {"type": "object", "required": names, "properties": parts}
    return {"$ref": "#/$defs/0", "$defs": dict.fromkeys(names, each) | last}


def test_a_schema_that_something_satisfies_is_not_refused() -> None:
    """Whatever the draft, the names of places, and the ways round that a document may or may not go."""
    old: dict[str, object] = {"$schema": "http://json-schema.org/draft-04/schema#"}
    assert texts_of(JSONSchema(old | {"enum": [1], "minimum": 0, "exclusiveMinimum": True}), ["1", "2"]) == ["1"]
    named: dict[str, object] = {"$defs": {"x": {"$anchor": "here", "type": "array", "items": {"$ref": "#here"}}}}
    assert texts_of(JSONSchema(named | {"$ref": "#here"}), ["[[]]", "1"]) == ["[[]]"]
    # under an address of its own, # is another place
    own = {"$id": "https://example.org/a", "$defs": {"x": {"type": "integer"}}, "$ref": "#/$defs/x"}
    assert texts_of(JSONSchema({"$defs": {"x": False, "a": own}, "$ref": "#/$defs/a"}), ["1", "[]"]) == ["1"]
    held = {"$defs": {"%": {"const": [1], "items": {"$ref": "#/$defs/one"}}, "one": {"type": "integer"}}}
    assert texts_of(JSONSchema(held | {"$ref": "#/$defs/%25"}), ["[1]", "1"]) == ["[1]"]
    tree = {
        "type": "object",
        "required": ["next"],
        "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
    }
    assert texts_of(JSONSchema(tree), ['{"next": {"next": null}}', "{}"]) == ['{"next": {"next": null}}']
    any_of_all = each_in_each(12, last={"type": "null"})
    any_of_all["$defs"] |= {str(n): {"anyOf": [{"$ref": f"#/$defs/{m}"} for m in (n + 1, "last")]} for n in range(11)}  # type: ignore[operator]
    assert texts_of(JSONSchema(any_of_all), ["null", "1"]) == ["null"]


WRONG: dict[str, Callable[[], object]] = {
    "is no JSON": lambda: JSONSchema("{"),
    "no JSON schema: at type": lambda: JSONSchema({"type": "strin"}),
    "leads to no place within the schema": lambda: JSONSchema({"$ref": "https://example.org/schema"}),
    "'#/nowhere' leads to no place": lambda: JSONSchema({"properties": {"enum": {"$ref": "#/nowhere"}}}),
    "leads to 5, which is no schema": lambda: JSONSchema({"$ref": "#/x", "x": 5}),
    "leads to no JSON schema: 'strin'": lambda: JSONSchema({"$ref": "#/x", "x": {"type": "strin"}}),
    "'#' leads back to where it came from": lambda: JSONSchema({"$ref": "#"}),
    "leads back to where it came from without": lambda: JSONSchema({"anyOf": [{"type": "null"}, {"$ref": "#"}]}),
    "is nested too deeply": lambda: JSONSchema("[" * 100_000),
    "nested too deeply: name its parts": lambda: JSONSchema('{"items":' * 800 + "{}" + "}" * 800),
    "$schema=5 is no address": lambda: JSONSchema({"$schema": 5}),
    "minItems=3 is above maxItems=2": lambda: JSONSchema({"type": "array", "minItems": 3, "maxItems": 2}),
    "at its top, it is false": lambda: JSONSchema(False),
    "'a' is required, and at /properties/a": lambda: JSONSchema(
        {"type": "object", "required": ["a"], "properties": {"a": {"enum": []}}}
    ),
    "no type suits": lambda: JSONSchema({"type": "string", "allOf": [{"type": "integer"}]}),
    "exclusiveMinimum=1 is above exclusiveMaximum=1": lambda: JSONSchema(
        {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1}
    ),
    "no whole number is from": lambda: JSONSchema({"type": "integer", "minimum": 1.2, "maximum": 1.8}),
    "minProperties=2 is above its 1 properties": lambda: JSONSchema(
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False, "minProperties": 2}
    ),
    "'#/$defs/0' leads on for ever": lambda: JSONSchema(each_in_each(12)),
    "and at #/$defs/last, it is false": lambda: JSONSchema(each_in_each(12, last=False)),
    "enum has no value": lambda: JSONSchema({"enum": ["a"], "type": "integer"}),
    "schema=3 is a number": lambda: JSONSchema(3),  # type: ignore[arg-type]
    "is no grammar in Lark's form": lambda: Grammar("start: ("),
    "no grammar in Lark's form: missing )": lambda: Grammar("start: /(/"),
    "with start='sum'": lambda: Grammar('start: "a"', start="sum"),
    "derives no text": lambda: Grammar('start: "a" start'),
    "expansions, above the limit": lambda: Grammar("start: " + " | ".join(f'"{n}"' for n in range(5100))),
    "4,294,967,296 expansions in 'many', above the limit": lambda: Grammar(
        "start: many\nmany: " + " ".join(f'"{n}"?' for n in range(32))
    ),
    "take one of arithmetic": lambda: shipped("yaml"),
    "max_characters=0": lambda: Grammar('start: "a"', max_characters=0),
    "is no regular expression": lambda: Pattern("(", full=True),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_is_named(message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        WRONG[message]()
    assert message in str(caught.value)


def test_what_the_texts_are_is_asked_of_each_input() -> None:
    vocabulary = letters("ab")
    both = Grammar(['start: "a"', 'start: "b"'])
    begun = Beginnings(vocabulary, 0, [[], []], [0, 1])
    mask = both.allowed_next(begun)
    assert mask is None or mask.int().tolist() == [[0, 1, 0], [0, 0, 1]]


def test_a_mask_knows_which_token_ends_a_text() -> None:
    """Of one vocabulary with two ends."""
    grammar = Grammar('start: "a"')
    masks = [grammar.allowed_next(Beginnings(PIECES, end, [[1]], [0])) for end in (0, 6, 0)]
    assert [mask if mask is None else mask.nonzero().tolist() for mask in masks] == [[[0, 0]], [[0, 6]], [[0, 0]]]


def test_a_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs for all beginnings of a text take as many steps as it has characters."""
    steps = 0
    step = PartialSearch.step

    def counted(self: PartialSearch, state: object, character: str) -> object:
        nonlocal steps
        steps += 1
        return step(self, state, character)

    monkeypatch.setattr(PartialSearch, "step", counted)
    pattern = Pattern("(?!.*bbb)[ab]+", full=True)
    row = [1, 2] * 100
    begun = Beginnings(PIECES, 0, [row[:size] for size in range(len(row) + 1)], [0] * (len(row) + 1))
    assert not bool(pattern.impossible(begun).any())  # type: ignore[union-attr]
    assert steps == len(row)
