"""Texts that end in time: what is left out beside the room that is left, against all short texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import pytest
import torch
from torch import Tensor

from objectives import Choices, Grammar, JSONSchema, Only, Pattern
from objectives.document_reader import DocumentReader
from objectives.document_ways import Way
from objectives.language import LanguageObjective
from objectives.nearest_end import NearestEnd
from samplers.proposals import FromLeft, suffix
from tests.objectives.test_languages import MARKS, PAIRS, PIECES
from textsearch import in_time
from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.in_time import InTime
from textsearch.living import living_by
from textsearch.objective import Objective, impossible_by, next_allowed_by
from textsearch.rng import Rng
from textsearch.spelling import canonical
from textsearch.tasks.sampling import check_room
from textsearch.testing import ByteVocabulary, TableCausalLM, every_row, letters

SPLIT = ByteVocabulary((b"_", b"a", b"\xc3", b"\xa9", b"\xa9a", "é".encode(), b"b"))
CASES: dict[str, tuple[Callable[[], Objective], ByteVocabulary]] = {
    "pattern": (lambda: Pattern("(ab){2,}|a", full=True), PIECES),
    "lookahead": (lambda: Pattern("(?=.*b)[ab]{2,}", full=True), PIECES),
    "forbidden": (lambda: Pattern("^a*$", forbid=True), PIECES),
    "within a character": (lambda: Pattern("[aé]*éa*b", full=True), SPLIT),
    "grammar": (lambda: Grammar('start: "(" start ")" | "ab" | "a"'), PIECES),
    "choices": (lambda: Choices(["ab", "abab", "(a)"]), PIECES),
    "schema": (lambda: JSONSchema(PAIRS), MARKS),
    "of some inputs": (lambda: Only(Pattern("(ab){2,}|a", full=True), inputs=range(2_000)), PIECES),
}


def check_proofs(objective: Objective, vocabulary: ByteVocabulary, longest: int = 3) -> int:
    """Nothing that is proven too long is a beginning of a text in time; how much is proven."""
    rows = [tuple(row) for row in every_row(vocabulary, longest).token_lists()]
    batch = Batch.of(rows, vocabulary)
    good = (objective.energy(batch) < torch.inf) & canonical(batch)
    texts = {row for row, fine in zip(rows, good.tolist(), strict=True) if fine}
    proven = 0
    for most in range(longest + 1):
        asked = [row for row in rows if len(row) <= most]
        told, begun = InTime(objective, most), Beginnings(vocabulary, 0, asked, [0] * len(asked))
        living, dead = living_by(told, begun), impossible_by(told, begun)
        assert dead is not None
        short = [text for text in texts if len(text) <= most]
        alive = {(*text, 0)[:size] for text in short for size in range(len(text) + 2)}
        for place, row in enumerate(asked):
            assert not (dead[place] and row in alive), (most, row)
            proven += int(dead[place])
            if living is None:
                continue
            for token in range(vocabulary.size):
                assert living[place, token] or (*row, token) not in alive, (most, row, token)
                proven += not living[place, token]
    return proven


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_left_out_that_ends_in_time(name: str) -> None:
    make, vocabulary = CASES[name]
    assert check_proofs(make(), vocabulary) > 100


def test_one_token_too_many_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken twin: of the room that is left one token is not used."""
    plain = NearestEnd.within
    monkeypatch.setattr(
        NearestEnd, "within", lambda self, v, e, w, room, **more: plain(self, v, e, w, room - 1, **more)
    )
    with pytest.raises(AssertionError):
        check_proofs(Pattern("(ab){2,}|a", full=True), PIECES)


def mass(constraint: Objective, longest: int, free: float = 0.0) -> float:
    """Of all texts of at most `longest` letters, drawn under the mask."""
    lm = TableCausalLM.random(letters("ab"), seed=0)
    proposal = FromLeft(lm, "", 1.0, longest, constraint, free=free)
    return float(proposal.log_prob(every_row(letters("ab"), longest)).exp().sum())


@pytest.mark.parametrize("source", ["a*b", "(?=.*bb)[ab]*", "(ab|b){2,}a"])
def test_no_draw_is_lost_for_want_of_room_and_each_has_its_probability(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = Pattern(source, full=True)
    assert mass(pattern, 5) == pytest.approx(1, abs=1e-9)
    assert mass(pattern, 5, 0.3) > 0.7
    lm = TableCausalLM.random(letters("ab"), seed=0)
    proposal = FromLeft(lm, "", 1.0, 5, pattern, free=0.0)
    drawn, log_q = proposal.draw(letters("ab").encode([""] * 200), Rng.start(1, 200))
    assert bool((pattern.energy(drawn) == 0).all())
    assert log_q.tolist() == pytest.approx(proposal.log_prob(drawn).tolist())
    # the control: a mask that does not know the room
    monkeypatch.setattr(suffix, "in_time", lambda constraint, max_length: constraint)
    assert mass(pattern, 5) < 1 - 1e-5


def test_too_many_places_prove_nothing_and_a_short_ending_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = Pattern("[ab]{3}|b", full=True)
    reading = pattern.languages.of(0).reading
    assert reading is not None
    near = NearestEnd(reading, places=1)
    told = [near.within(PIECES, 0, b"a", 1, proven=proven).tolist() for proven in (True, False)]
    assert told[0][1] and not told[1][1] and told[1][3]
    assert near.is_too_long(PIECES, b"a", 0) is False


LINK = {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/$defs/x"}}}
ADULTS = {"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 18}}
SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"a": {"enum": ["x", 1, None]}, "b": {"type": "array", "minItems": 2}},
     "required": ["b", "a"], "additionalProperties": False},
    {"type": "array", "minItems": 1, "maxItems": 2, "items": ADULTS},
    {"type": "string", "pattern": "^[A-Z]{2}-[0-9]$"},
    {"$ref": "#/$defs/x", "$defs": {"x": {"anyOf": [LINK, {"const": "end"}]}}},
    {"allOf": [{"properties": {"a": {"maximum": 3}}}, {"type": "object", "required": ["a"]}],
     "properties": {"a": {"type": "integer"}}},
    {"properties": {"a": {"minLength": 3, "type": "string"}}, "required": ["a"], "type": "object",
     "patternProperties": {"^b": False}},
]  # fmt: skip
DOCUMENTS = [
    '{"b": [1, {}], "a": "\\u0078"}', '{ "a" : 1.0 ,"b":[[],2e1]}', "[[18, 180e-1]]", "[[20,19],[18,18,18]]", '"AB-7"',
    '{"n": {"n":"end"}}', '"end"', '{"a": -1, "c": "é\\n"}', '{"a": 2e0}', '{"\\u0061": "xyz"}', '{"a": "\\"\\\\/"}',
]  # fmt: skip


def check_reader(make: Callable[[Any], LanguageObjective]) -> int:
    """Every document of a schema is read to its end, and what ends its beginnings ends them."""
    count = 0
    for schema, text in itertools.product(SCHEMAS, DOCUMENTS):
        own = make(schema).languages.of(0)
        if not own.accepts(text):
            continue
        for size in range(len(text) + 1):
            assert not own.reading.is_dead(text[:size], b""), (schema, text[:size])
            ending = own.reading.ending(own.reading.node(text[:size].encode())[0])
            # an escape may be of any character
            told = ending is not None and "\\" not in text[:size]
            assert not told or own.accepts(text[:size] + str(ending)), (schema, text[:size], ending)
            count += told
    return count


def test_documents_are_read_to_their_end() -> None:
    assert check_reader(JSONSchema) > 150


def test_a_reader_that_does_not_count_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken twin: items are not counted."""
    monkeypatch.setattr(DocumentReader, "_ended", lambda self, way: Way(way.around, "more"))
    with pytest.raises(AssertionError):
        check_reader(JSONSchema)


def test_a_spelling_that_the_tokenizer_has_not_is_left_out() -> None:
    pieces = ByteVocabulary((b"_", b"n", b"o", b"no", b"y"))
    told = next_allowed_by(InTime(Pattern("no|y", full=True), 4), Beginnings(pieces, 0, [[], [1]], [0, 0]))
    assert told is not None and told.int().tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]


DEAD_ENDS = ByteVocabulary((b"_", b"n", b"o", b"no", b"y", b"t", b"ot"))


def test_what_no_spelling_goes_on_from_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row that the mask writes is the spelling of a text; with a broken twin, which does not look ahead."""

    def written(pattern: str, room: int) -> tuple[set[str], int]:
        texts, rows, dead = set[str](), [list[int]()], 0
        told = InTime(Pattern(pattern, full=True), room)
        while rows:
            mask = next_allowed_by(told, Beginnings(DEAD_ENDS, 0, rows, [0] * len(rows)))
            assert mask is not None
            dead += int((~mask.any(1)).sum())
            pairs = mask.nonzero().tolist()
            texts |= {Batch.of([rows[at]], DEAD_ENDS).texts()[0] for at, token in pairs if token == 0}
            rows = [[*rows[at], token] for at, token in pairs if token]
        return texts, dead

    assert written("no|not|yo", 3) == ({"no", "not", "yo"}, 0)
    assert written("(no|t){1,3}", 2) == ({"no", "t", "tt", "not", "nono", "tno"}, 0)
    monkeypatch.setattr(InTime, "_ahead", lambda self, beginnings, mask, few: mask)
    assert written("no|not|yo", 3)[1] > 0


def test_the_end_is_allowed_of_whole_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a broken twin, that does not ask the parser: the engine alone lets other texts end, too."""

    def ended() -> list[bool]:
        told = next_allowed_by(InTime(pattern(), 4), Beginnings(letters("ab"), 0, rows, [0] * len(rows)))
        assert told is not None
        return [bool(one) for one in told[:, 0]]

    def pattern() -> Pattern:
        return Pattern(r"([ab])(?!$)[ab]?\1", full=True)

    rows = list(every_row(letters("ab"), 4).token_lists())
    texts = (pattern().energy(Batch.of(rows, letters("ab"))) == 0).tolist()
    assert ended() == texts
    monkeypatch.setattr(in_time, "ends_by", lambda objective, beginnings: None)
    assert ended() != texts


@final
@dataclass(frozen=True)
class Counted(Objective):
    """Knows of no ends: behind a row of n tokens token n is allowed; it keeps how many beginnings it was asked."""

    asked: list[int]

    def energy(self, batch: Batch) -> Tensor:
        return torch.zeros(len(batch), dtype=torch.float64)

    def allowed_next(self, beginnings: Beginnings) -> Tensor:
        self.asked.append(len(beginnings))
        lengths = torch.tensor([len(row) for row in beginnings.rows])
        return torch.arange(beginnings.vocabulary.size) == lengths[:, None]


def test_equal_beginnings_are_asked_for_once() -> None:
    asked = list[int]()
    told = next_allowed_by(InTime(Counted(asked), 4), Beginnings(PIECES, 0, [[1, 1], [], [1, 1], [1]], [0] * 4))
    assert told is not None and told.nonzero()[:, 1].tolist() == [2, 0, 2, 1] and asked == [3]


def test_what_holds_of_some_inputs_is_asked_of_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every method, each input by its own pattern; with a broken twin, that asks by the numbers of the whole."""
    vocabulary, rows = letters("ab"), [[1], [1], [2], [1], [1]]
    begun = Beginnings(vocabulary, 0, rows, [0, 1, 1, 3, 9])
    told = InTime(Only(Pattern(["ab", "a|bb"], full=True), inputs=(1, 3)), 2)
    mask, living, dead = next_allowed_by(told, begun), living_by(told, begun), impossible_by(told, begun)
    assert mask is not None and living is not None and dead is not None
    assert mask.int().tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1]]
    assert living.int().tolist() == mask.int().tolist() and dead.tolist() == [False, False, True, False, False]
    # what is said of another input does not depend on what is asked beside it
    alone = next_allowed_by(told, Beginnings(DEAD_ENDS, 0, [[1]], [2]))
    beside = next_allowed_by(told, Beginnings(DEAD_ENDS, 0, [[1], [1]], [1, 2]))
    assert alone is not None and beside is not None and alone[0].tolist() == beside[1].tolist()
    assert not alone.all()

    def by_the_numbers_of_the_whole(own: Only, beginnings: Beginnings, ask: Any, elsewhere: bool) -> Any:
        return ask(replace(beginnings, numbers=[number % 2 for number in beginnings.numbers]), range(len(beginnings)))

    monkeypatch.setattr(Only, "_told", by_the_numbers_of_the_whole)
    broken = next_allowed_by(InTime(Only(Pattern(["ab", "a|bb"], full=True), inputs=(1, 3)), 2), begun)
    assert broken is not None and broken.tolist() != mask.tolist()


@pytest.mark.parametrize("beside", [[0], [0, 0], [1]])
def test_what_stands_beside_a_beginning_changes_no_answer(beside: list[int]) -> None:
    """The second input has a language of which nothing is known."""
    pieces = ByteVocabulary((b"_", b"n", b"o", b"no"))

    def told(numbers: list[int]) -> list[Any]:
        language = InTime(Pattern(["no*", "(?:no){e<=1}"], full=True), 3)
        begun = Beginnings(pieces, 0, [[1, 2]] * len(numbers), numbers)
        answers = next_allowed_by(language, begun), living_by(language, begun), impossible_by(language, begun)
        return [None if one is None else one[-1].tolist() for one in answers]

    assert told([*beside, 1]) == told([1])


class _Slotted:
    """An objective that cannot be referred to weakly."""

    __slots__ = ("own",)

    def __init__(self, own: Objective) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "own"), name)


def test_an_objective_that_cannot_be_remembered_is_asked_anew() -> None:
    plain, begun = Pattern("a*b", full=True), Beginnings(PIECES, 0, [[], [1]], [0, 0])
    slotted: Any = _Slotted(plain)
    for _ in range(2):
        told, wanted = (InTime(one, 3).allowed_next(begun) for one in (slotted, plain))
        assert told is not None and wanted is not None and torch.equal(told, wanted)


def test_too_little_room_for_every_input_is_refused() -> None:
    with pytest.raises(ValueError, match="max_length=3 is too small"):
        check_room(Pattern(["b{8}", "b{9}"], full=True), PIECES, 3)
    # where one can be answered its answer is worth having
    for patterns in (["b", "b{9}"], ["b{9}", "b"]):
        check_room(Pattern(patterns, full=True), PIECES, 3)
