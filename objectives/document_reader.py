"""Reads JSON documents (RFC 8259) character by character, as a schema allows them; see `objectives.reading.Machine`.

A state is all ways in which the beginning of a document may have come about: for each of them what is open around the
place, and what the place itself is within. A way ends where the schema rules it out, whatever follows; what the schema
says is followed as far as `objectives.schema_views` knows it, so some that lead to no document go on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, final

import regex

from objectives.alphabet import standing_for_all
from objectives.document_ways import Open, Text, Way, counted, inside, number_of, shortest, stepped, told_apart
from objectives.json_beginning import MAX_DEPTH
from objectives.schema_views import ANYTHING, View, Views

MAX_WAYS = 64
"""Ways of one state; where there are more, nothing is told any more."""

UNKNOWN: Final = "unknown"
"""The state of a beginning of which nothing is told."""

_SPACE, _ESCAPES = " \t\n\r", {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"t": ("true", "boolean", True), "f": ("false", "boolean", False), "n": ("null", "null", None)}
_NUMBER = regex.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UNICODE = regex.compile(r"\\u[0-9a-fA-F]{0,4}")
_BEGUN = regex.compile("-?[0-9]*")
_CONTENT = 400  # ways of a string that are looked at for a short ending
_TO_TRY = 3  # digits behind the beginning of a number
_MOST_ENDINGS = 10_000  # states whose endings are remembered
_LONGEST = 1_000  # characters of a value that is told as a short one


@final
class DocumentReader:
    """Reads the documents of a schema, and perhaps others.

    Args:
        views: of the schema.

    >>> from objectives.reading import Reading
    >>> from objectives.schema_validator import validator_of
    >>> item = {"properties": {"a": {"enum": ["xy"]}}, "required": ["a"], "additionalProperties": False}
    >>> schema = {"type": "array", "items": item | {"type": "object"}, "minItems": 1}
    >>> reader = DocumentReader(Views(validator_of(schema)))
    >>> [Reading(reader).is_dead(text, b"") for text in ("[{", "[]", '[{"b', '[{"a": "x', '[{}', '[{"a":"xy"}] ')]
    [False, True, True, False, True, False]
    >>> reader.ending(reader.start)
    '[{"a":"xy"}]'
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        searches = views.searches
        self._own = frozenset("".join(views.strings)) | set(map(chr, range(0x20, 0x7F))) | set(_SPACE)
        self._searches = searches
        self.start: Any = self._state([Way((), "value", views.top)]) if views.top else None
        self._endings: dict[Any, str | None] = {}
        self._least: dict[tuple[View, ...], str] = {}
        self._find_least()

    def kind(self, character: str) -> Hashable:
        """The character itself where it is one of the schema or of ASCII; else what it is to the patterns."""
        if character in self._own:
            return character
        return character < " ", tuple(search.kind(character) for search in self._searches)

    @property
    def tests(self) -> list[Any]:
        """Expressions of one character: two characters that pass the same are of one kind."""
        own = [regex.compile(regex.escape(one)) for one in sorted(self._own)]
        return [*own, regex.compile(r"[\x00-\x1f]"), *(test for search in self._searches for test in search.tests)]

    def step(self, state: Any, character: str) -> Any:
        """The state of a document with one character more; None if nothing leads on."""
        if state == UNKNOWN:
            return UNKNOWN
        return self._state([after for way in state for after in self._after(way, character)])

    def may_end(self, state: Any) -> bool:
        """False proves that the text itself is no document of the schema."""
        return state == UNKNOWN or any(self._closed(way) for way in state)

    def ending(self, state: Any) -> str | None:
        """A short text behind which a document may end; None where none is seen."""
        if state == UNKNOWN:
            return None
        if state not in self._endings:
            if len(self._endings) >= _MOST_ENDINGS:
                self._endings.clear()
            every = (self._ending(way) for way in state)
            self._endings[state] = shortest(every)
        return self._endings[state]

    def _state(self, ways: Sequence[Way]) -> Any:
        found = frozenset(ways)
        return UNKNOWN if len(found) > MAX_WAYS else found or None

    def _after(self, way: Way, character: str) -> Iterable[Way]:
        """Where one character leads."""
        if way.at == "string":
            return self._in_string(way, character)
        if way.at == "word":
            return self._in_word(way, character)
        if way.at == "number":
            longer = str(way.told) + character
            if _NUMBER.fullmatch(longer, partial=True):
                return (told_apart(replace(way, told=longer)),)
            return self._after(self._ended(way), character) if self._is_number(way) else ()
        if character in _SPACE:
            return (way,)
        if way.at == ":":
            return (Way(way.around, "value", way.views),) if character == ":" else ()
        if way.at in ("value", "first"):
            inner = way.around[-1] if way.around else None
            if character == "]":
                closes = way.at == "first" and inner is not None and inner.view.least <= inner.count
                return (self._ended(replace(way, around=way.around[:-1])),) if closes else ()
            return [one for view in way.views for one in self._begun(way.around, view, character)]
        return self._between(way, character)

    def _between(self, way: Way, character: str) -> Iterable[Way]:
        """Where a value has ended, or a key may begin."""
        if not way.around:
            return ()
        around, inner = way.around[:-1], way.around[-1]
        if inner.missing is None:
            if character == "," and inner.count < inner.view.most:
                return (Way(way.around, "value", self._item(inner)),)
            return (self._ended(Way(around, "value")),) if character == "]" and inner.count >= inner.view.least else ()
        if character == "}" and way.at != "key":
            return () if inner.missing else (self._ended(Way(around, "value")),)
        if character == "," and way.at == "more":
            return (Way(way.around, "key"),)
        if character == '"' and way.at != "more":
            return (Way(way.around, "string", (), Text(None)),)
        return ()

    def _keys(self, inner: Open) -> list[str]:
        """The keys that the schema names and that may follow."""
        # a required key that is not missing is there, and none is there twice
        there = {*inner.view.required} - {*(inner.missing or ())}
        names = dict.fromkeys((*(inner.missing or ()), *inner.view.properties))
        return [key for key in names if key not in there and self._of_key(inner.view, key)]

    def _of_key(self, view: View, key: str | None) -> tuple[View, ...]:
        """Of the value of a key; None for one that the schema does not name."""
        if view.closed and key not in view.properties:
            return ()
        return self._views.of(view.other if key is None else view.properties.get(key, view.other))

    def _item(self, inner: Open) -> tuple[View, ...]:
        """Of the next item of a list."""
        first = inner.view.first
        return self._views.of(first[inner.count] if inner.count < len(first) else inner.view.items)

    def _begun(self, around: tuple[Open, ...], view: View, character: str) -> Iterator[Way]:
        """What a value begins with."""
        if character == "{" and view.has("object") and len(around) < MAX_DEPTH:
            own = view if view.values is None else ANYTHING
            yield Way((*around, Open(own, own.required, 0)), "key or }")
        elif character == "[" and view.has("array") and len(around) < MAX_DEPTH:
            inner = Open(view if view.values is None else ANYTHING, None, 0)
            yield Way((*around, inner), "first", self._item(inner) if inner.view.most > 0 else ())
        elif character == '"' and view.has("string"):
            texts = None if view.texts is None else frozenset(view.texts)
            searches = tuple(one.start for one in view.patterns)
            yield Way(around, "string", (view,), Text(view, texts=texts, searches=searches))
        elif character in "-0123456789" and view.has("number"):
            yield told_apart(Way(around, "number", (view,), character))
        elif character in _WORDS:
            word, kind, value = _WORDS[character]
            if view.has(kind) and (view.values is None or any(one is value for one in view.values)):
                yield Way(around, "word", (view,), word[1:])

    def _ended(self, way: Way) -> Way:
        """Behind a value."""
        if not way.around:
            return Way((), "more")
        inner = way.around[-1]
        if inner.missing is None:
            limit = max(inner.view.least, len(inner.view.first), 0 if inner.view.most == math.inf else inner.view.most)
            inner = replace(inner, count=min(inner.count + 1, int(limit)))
        return Way((*way.around[:-1], inner), "more")

    def _in_word(self, way: Way, character: str) -> Iterable[Way]:
        left = str(way.told)
        if not left.startswith(character):
            return ()
        return (replace(way, told=left[1:]),) if left[1:] else (self._ended(way),)

    def _is_number(self, way: Way) -> bool:
        """Whether a number may end here."""
        written = str(way.told)
        return _NUMBER.fullmatch(written) is not None and any(view.may_be(number_of(written)) for view in way.views)

    def _in_string(self, way: Way, character: str) -> Iterable[Way]:
        text = way.told
        assert isinstance(text, Text)
        if text.escape:
            return self._in_escape(way, text, character)
        if character == "\\":
            return (replace(way, told=replace(text, escape="\\")),)
        if character == '"':
            return self._string_ended(way, text)
        return self._written(way, text, character) if character >= " " else ()

    def _in_escape(self, way: Way, text: Text, character: str) -> Iterable[Way]:
        written = text.escape + character
        if written[1] == "u":
            if not _UNICODE.fullmatch(written):
                return ()
            # a character, or half of one: what it is is not followed
            free = Text(text.view, None, free=True)
            return (replace(way, told=free if len(written) == 6 else replace(text, escape=written)),)
        if written[1] not in _ESCAPES:
            return ()
        return self._written(way, replace(text, escape=""), _ESCAPES[written[1]])

    def _written(self, way: Way, text: Text, character: str) -> Iterable[Way]:
        """With one character more in the string."""
        if text.free:
            return (replace(way, told=text),)
        if text.view is None:
            return self._longer_key(way, text, character)
        texts = text.texts
        if texts is not None:
            texts = frozenset(one[1:] for one in texts if one.startswith(character))
            if not texts:
                return ()
        if text.count >= text.view.longest:
            return ()
        searches = stepped(text.view, text.searches, character)
        if searches is None:
            return ()
        count = counted(text.view, text.count + 1)
        return (replace(way, told=replace(text, count=count, texts=texts, searches=searches)),)

    def _longer_key(self, way: Way, text: Text, character: str) -> Iterable[Way]:
        inner = way.around[-1]
        key = None if text.key is None else text.key + character
        if key is None or not any(one.startswith(key) for one in (*inner.view.properties, *inner.view.required)):
            key = None
        if inner.view.closed and (key is None or not any(one.startswith(key) for one in self._keys(inner))):
            return ()
        return (replace(way, told=replace(text, key=key)),)

    def _string_ended(self, way: Way, text: Text) -> Iterable[Way]:
        if text.view is None:
            return self._key_ended(way, text)
        if not text.free:
            if text.texts is not None and "" not in text.texts:
                return ()
            if text.count < text.view.shortest:
                return ()
            each = zip(text.view.patterns, text.searches, strict=True)
            if not all(one.may_end(state) for one, state in each):
                return ()
        return (self._ended(way),)

    def _key_ended(self, way: Way, text: Text) -> Iterable[Way]:
        inner = way.around[-1]
        assert inner.missing is not None
        if text.free:
            # it may be any of those that are missing
            return (Way((*way.around[:-1], replace(inner, view=ANYTHING, missing=())), ":", (ANYTHING,)),)
        key = text.key
        if key is not None and key in inner.view.required and key not in inner.missing:
            return ()
        views = self._of_key(inner.view, key)
        left = replace(inner, missing=tuple(one for one in inner.missing if one != key))
        return (Way((*way.around[:-1], left), ":", views),) if views else ()

    def _closed(self, way: Way) -> bool:
        return not way.around and (way.at == "more" or (way.at == "number" and self._is_number(way)))

    # short endings

    def _ending(self, way: Way) -> str | None:
        """A short text that ends what a way has begun."""
        rest = self._rest(way)
        if rest is None:
            return None
        written, around = rest
        for depth, inner in reversed(list(enumerate(around))):
            # what is open within a list is an item of it
            closing = self._closing(replace(inner, count=inner.count + (depth + 1 < len(around))))
            if closing is None:
                return None
            written += closing
        return written

    def _rest(self, way: Way) -> tuple[str, Sequence[Open]] | None:
        """What ends the value, and what is open then."""
        if way.at == "more":
            return "", way.around
        if way.at == "number":
            return self._digits(way), self._ended(way).around
        if way.at == "word":
            return str(way.told), self._ended(way).around
        if way.at == "string":
            text = way.told
            assert isinstance(text, Text)
            if text.view is not None:
                content = self._content(text.view, text)
                return None if content is None else (content + '"', self._ended(way).around)
            return self._rest_of_key(way, text)
        inner = way.around[-1] if way.around else None
        if way.at == "first" and inner is not None and inner.view.least == 0:
            return "]", self._ended(replace(way, around=way.around[:-1])).around
        if way.at in ("value", "first", ":"):
            least = self._least.get(way.views)
            colon = ":" if way.at == ":" else ""
            return None if least is None else (colon + least, self._ended(way).around)
        assert inner is not None and inner.missing is not None
        if way.at == "key or }" and not inner.missing:
            return "}", self._ended(replace(way, around=way.around[:-1])).around
        key = next(iter(self._keys(inner)), "")
        own = self._pair(inner.view, key)
        left = replace(inner, missing=tuple(one for one in inner.missing if one != key))
        return None if own is None else (own, (*way.around[:-1], left))

    def _rest_of_key(self, way: Way, text: Text) -> tuple[str, Sequence[Open]] | None:
        inner = way.around[-1]
        assert inner.missing is not None
        written = text.key
        key = next((one for one in self._keys(inner) if written is not None and one.startswith(written)), None)
        least = self._least.get(self._of_key(inner.view, key))
        if least is None:
            return None
        left = replace(inner, missing=tuple(one for one in inner.missing if one != key))
        tail = "" if key is None else inside(key[len(written or "") :])
        return f'{tail}":{least}', (*way.around[:-1], left)

    def _closing(self, inner: Open) -> str | None:
        """What ends an object or a list behind a value."""
        if inner.missing is not None:
            pairs = [self._pair(inner.view, key) for key in inner.missing]
            return None if None in pairs else "".join(f",{one}" for one in pairs) + "}"
        if inner.view.least > inner.count + _LONGEST:
            return None
        items = [self._least.get(self._item(replace(inner, count=at))) for at in range(inner.count, inner.view.least)]
        return None if None in items else "".join(f",{one}" for one in items) + "]"

    def _pair(self, view: View, key: str) -> str | None:
        least = self._least.get(self._of_key(view, key))
        return None if least is None else f"{json.dumps(key, ensure_ascii=False)}:{least}"

    def _find_least(self) -> None:
        """A short value of each part of the schema that has one: from those that need no others on."""
        waiting = self._views.every
        while True:
            found = {views: shortest(map(self._shortest_of, views)) for views in waiting}
            # texts of two parts within one another double: what is long is told as if there were none
            new = {views: one for views, one in found.items() if one is not None and len(one) <= _LONGEST}
            if not new:
                return
            self._least |= new
            waiting = [views for views in waiting if views not in new]

    def _shortest_of(self, view: View) -> str | None:
        if view.values is not None:
            return shortest(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in view.values)
        found: list[str | None] = []
        if view.has("number"):
            bounds = [math.ceil(view.low)] if view.low > -math.inf else []
            bounds += [math.floor(view.high)] if view.high < math.inf else []
            near = [str(one) for bound in bounds for one in (bound - 1, bound, bound + 1)]
            found += [one for one in (*"0123456789", *near) if view.may_be(number_of(one))]
            found += [f"{view.low + (view.high - view.low) / 2:f}"] if not found and len(bounds) == 2 else []
            found = [one for one in found if one is not None and view.may_be(number_of(one))]
        if view.has("string"):
            text = Text(view, searches=tuple(one.start for one in view.patterns))
            content = self._content(view, text)
            found.append(None if content is None else f'"{content}"')
        if view.has("null") or view.has("boolean"):
            found.append("null" if view.has("null") else "true")
        if not found and view.has("array"):
            few = range(view.least if view.least <= _LONGEST else 0)
            items = [self._least.get(self._item(Open(view, None, at))) for at in few]
            found.append(None if None in items or len(few) < view.least else f"[{','.join(map(str, items))}]")
        if not found and view.has("object"):
            pairs = [self._pair(view, key) for key in view.required]
            found.append(None if None in pairs else f"{{{','.join(map(str, pairs))}}}")
        return shortest(found)

    def _digits(self, way: Way) -> str:
        """What ends a number, within the bounds if that is seen."""
        written = str(way.told)
        if self._is_number(way):
            return ""
        for count in range(1, _TO_TRY + 1) if _BEGUN.fullmatch(written) else ():
            for number in range(10**count):
                longer = replace(way, told=f"{written}{number:0{count}d}")
                if self._is_number(longer):
                    return str(longer.told)[len(written) :]
        return "" if _NUMBER.fullmatch(written) else "0"

    def _content(self, view: View, text: Text) -> str | None:
        """What ends a string but for the quotation mark; None where none is seen."""
        if text.escape:
            return "n" if text.escape == "\\" else "0" * (6 - len(text.escape))
        if text.texts is not None:
            return inside(shortest(text.texts) or "")
        if text.free:
            return ""
        if not view.patterns:
            lacking = view.shortest - text.count
            return "a" * lacking if lacking <= _LONGEST else None
        start = text.searches, text.count
        found = {start: ""}
        for searches, count in (waiting := [start]):
            fits = all(one.may_end(state) for one, state in zip(view.patterns, searches, strict=True))
            if fits and count >= view.shortest:
                return inside(found[searches, count])
            if len(found) > _CONTENT:
                return None
            for character in self._plain if count < view.longest else ():
                after = stepped(view, searches, character)
                longer = after or (), counted(view, count + 1)
                if after is not None and longer not in found:
                    found[longer] = found[searches, count] + character
                    waiting.append(longer)
        return None

    @cached_property
    def _plain(self) -> Sequence[str]:
        """A character of each kind that the patterns tell apart."""
        tests = [test for search in self._searches for test in search.tests]
        return [one for one in standing_for_all(tests) if one >= " " and one not in '"\\']
