"""Twelve finite languages, each with a list of all its strings that no grammar or pattern made.

A language is written down three times: as a list, which is the truth; as a regular expression, a grammar of Lark or a
set of choices, which is what samplers are given; and as a parser that others wrote, where there is one. Tests hold the
three against one another.
"""

from __future__ import annotations

import ast
import calendar
import datetime as dt
import ipaddress
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

import regex


@final
@dataclass(frozen=True)
class Language:
    """Finitely many strings.

    Attributes:
        name: one word.
        request: what the model is asked for.
        count: how many strings there are.
        every: makes the list of them.
        pattern: a regular expression for them, without look-around.
        grammar: the same in Lark's EBNF, for languages that are given to samplers as a grammar; else "".
        parses: whether a parser of the kind of text at hand accepts a string; some accept more than the language.
    """

    name: str
    request: str
    count: int
    every: Callable[[], Iterator[str]]
    pattern: str
    grammar: str
    parses: Callable[[str], bool]

    @cached_property
    def strings(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(sorted(self.every()))

    @cached_property
    def members(self) -> frozenset[str]:
        """All of them, to be asked whether one is there."""
        return frozenset(self.strings)


def _succeeds(parser: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether `parser` takes a text without an error."""

    def answer(text: str) -> bool:
        try:
            parser(text)
        except (ValueError, SyntaxError, sqlite3.Error):
            return False
        return True

    return answer


def _any_of(words: tuple[str, ...]) -> str:
    """As a regular expression."""
    return "(" + "|".join(map(regex.escape, words)) + ")"


def _one_of(words: tuple[str, ...]) -> str:
    """As a rule of Lark."""
    return "(" + " | ".join(map(json.dumps, words)) + ")"


# -- choices ---------------------------------------------------------------------------------------------------------

_CITIES = (
    "Amsterdam|Athens|Baghdad|Bangkok|Barcelona|Beijing|Berlin|Bogota|Boston|Brussels|Bucharest|Budapest|"
    "Buenos Aires|Cairo|Cape Town|Casablanca|Chicago|Copenhagen|Delhi|Dublin|Edinburgh|Geneva|Hanoi|Helsinki|"
    "Hong Kong|Istanbul|Jakarta|Kabul|Kuala Lumpur|Lagos|Lima|Lisbon|London|Los Angeles|Madrid|Manila|Melbourne|"
    "Mexico City|Milan|Montreal|Moscow|Mumbai|Munich|Nairobi|New Delhi|New Orleans|New York|New York City|Oslo|"
    "Paris|Prague|Rio de Janeiro|Rome|San Francisco|Santiago|Seoul|Shanghai|Singapore|Stockholm|Sydney|Tokyo|"
    "Toronto|Vienna|Warsaw"
)
CITIES = tuple(_CITIES.split("|"))


# -- dates -----------------------------------------------------------------------------------------------------------


def _dates() -> Iterator[str]:
    for month in range(1, 13):
        for day in range(1, calendar.monthrange(2024, month)[1] + 1):
            yield f"2024-{month:02d}-{day:02d}"


DATES = (
    r"2024-((01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])|(04|06|09|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
)


# -- arithmetic ------------------------------------------------------------------------------------------------------

DIGITS, SIGNS = "2357", "+-*"


def _sums() -> Iterator[str]:
    for a, s, b in itertools.product(DIGITS, SIGNS, DIGITS):
        yield f"{a} {s} {b}"
        for t, c in itertools.product(SIGNS, DIGITS):
            yield f"{a} {s} {b} {t} {c}"
            yield f"({a} {s} {b}) {t} {c}"
            yield f"{c} {t} ({a} {s} {b})"


PAIR = r"[2357] [+*\-] [2357]"
SUMS = rf"{PAIR}( [+*\-] [2357])?|\({PAIR}\) [+*\-] [2357]|[2357] [+*\-] \({PAIR}\)"
SUMS_LARK = r"""
start: pair | pair sign NUMBER | "(" pair ")" sign NUMBER | NUMBER sign "(" pair ")"
pair: NUMBER sign NUMBER
sign: " " ("+" | "-" | "*") " "
NUMBER: /[2357]/
"""


# -- small JSON ------------------------------------------------------------------------------------------------------

NAMES, AGES = ("Alice", "Bob", "Carla", "David", "Emma", "John", "Maria", "Noah"), range(18, 68)


def _people() -> Iterator[str]:
    for name, age in itertools.product(NAMES, AGES):
        yield json.dumps({"name": name, "age": age})


PEOPLE = rf'\{{"name": "{_any_of(NAMES)}", "age": (1[89]|[2-5][0-9]|6[0-7])\}}'
PEOPLE_LARK = rf"""
start: "{{\"name\": \"" name "\", \"age\": " AGE "}}"
name: {_one_of(NAMES)}
AGE: /1[89]|[2-5][0-9]|6[0-7]/
"""


# -- tiny SQL --------------------------------------------------------------------------------------------------------

COLUMNS, TABLES, ORDERS = ("*", "name", "age", "city"), ("people", "users"), ("name", "age", "city")
PLACES = ("Berlin", "London", "Paris", "Tokyo")
WHERES = (*(f"age {sign} {age}" for sign in "<>=" for age in (18, 21, 30, 65)), *(f"city = '{c}'" for c in PLACES))


def _selects() -> Iterator[str]:
    for column, table in itertools.product(COLUMNS, TABLES):
        for where in ("", *(f" WHERE {where}" for where in WHERES)):
            for order in ("", *(f" ORDER BY {column}" for column in ORDERS)):
                yield f"SELECT {column} FROM {table}{where}{order};"


def _explain(text: str) -> None:
    with sqlite3.connect(":memory:") as connection:
        for table in TABLES:
            connection.execute(f"CREATE TABLE {table} (name TEXT, age INTEGER, city TEXT)")
        connection.execute(text)


SELECTS = (
    rf"SELECT (\*|name|age|city) FROM (people|users)( WHERE (age [<>=] (18|21|30|65)|city = '{_any_of(PLACES)}'))?"
    r"( ORDER BY (name|age|city))?;"
)
SELECTS_LARK = rf"""
start: "SELECT " {_one_of(COLUMNS)} " FROM " {_one_of(TABLES)} (" WHERE " condition)? order? ";"
order: " ORDER BY " {_one_of(ORDERS)}
condition: "age " /[<>=]/ " " ("18" | "21" | "30" | "65") | "city = '" {_one_of(PLACES)} "'"
"""


# -- SMILES fragments ------------------------------------------------------------------------------------------------

VALENCES = {"C": 4, "N": 3, "O": 2}


def _molecules() -> Iterator[str]:
    """Chains of three or four atoms, single or double bonds, at most one branch of one atom, no valence exceeded."""
    for size in (3, 4):
        for atoms in itertools.product("CNO", repeat=size):
            for orders in itertools.product((1, 2), repeat=size - 1):
                used = [left + right for left, right in zip((0, *orders), (*orders, 0), strict=True)]
                free = [VALENCES[atom] - own for atom, own in zip(atoms, used, strict=True)]
                if min(free) < 0:
                    continue
                chain = [atoms[0], *("=" * (order - 1) + atom for order, atom in zip(orders, atoms[1:], strict=True))]
                yield "".join(chain)
                for place, (branch, order) in itertools.product(
                    range(1, size - 1), (("(C)", 1), ("(N)", 1), ("(O)", 1), ("(=O)", 2))
                ):
                    if free[place] >= order:
                        yield "".join([*chain[: place + 1], branch, *chain[place + 1 :]])


def valences(text: str) -> None:
    """Raise a ValueError unless a SMILES of C, N and O, with branches and double bonds, keeps all valences."""
    if not regex.fullmatch(r"[CNO](=?[CNO]|\(=?[CNO]\))*", text):
        raise ValueError(f"{text!r} is no SMILES")
    atoms: list[str] = []
    used: list[int] = []
    at, branching, order = -1, -1, 1
    for letter in text:
        if letter == "(":
            branching = at
        elif letter == ")":
            at = branching
        elif letter == "=":
            order = 2
        else:
            if at >= 0:
                used[at] += order
            atoms.append(letter)
            used.append(order if at >= 0 else 0)
            at, order = len(atoms) - 1, 1
    if any(own > VALENCES[atom] for own, atom in zip(used, atoms, strict=True)):
        raise ValueError(f"{text!r} has an atom with too many bonds")


def _beginnings(strings: tuple[str, ...]) -> str:
    """A regular expression for exactly these strings, sorted; common beginnings are written once."""
    heads: dict[str, list[str]] = {text[0]: [] for text in strings if text}
    for text in strings:
        if text:
            heads[text[0]].append(text[1:])
    parts = [regex.escape(head) + _beginnings(tuple(rest)) for head, rest in heads.items()]
    body = f"({'|'.join(parts)})" if parts else ""
    return f"{body}?" if body and "" in strings else body


# -- addresses, colours, Roman numerals ------------------------------------------------------------------------------


def _addresses() -> Iterator[str]:
    for net, host in itertools.product((0, 1, 2, 10), range(1, 255)):
        yield f"192.168.{net}.{host}"


def _romans() -> Iterator[str]:
    for number in range(1, 1000):
        yield "".join(
            ("", one, one * 2, one * 3, one + five, five, five + one, five + one * 2, five + one * 3, one + ten)[digit]
            for digit, (one, five, ten) in zip(
                map(int, f"{number:03d}"), map(tuple, ("CDM", "XLC", "IVX")), strict=True
            )
        )


ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman(text: str) -> int:
    """The number that a Roman numeral stands for; a ValueError for one that is not written in the usual way."""
    if not regex.fullmatch("M*(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})", text) or not text:
        raise ValueError(f"{text!r} is no Roman numeral")
    values = [ROMAN[letter] for letter in text]
    return sum(-own if own < after else own for own, after in zip(values, [*values[1:], 0], strict=True))


# -- calls, lists, sentences -----------------------------------------------------------------------------------------

TOOLS, UNITS = ("get_weather", "get_forecast", "get_time"), ("celsius", "fahrenheit")
TOWNS = ("Berlin", "London", "New York", "Oslo", "Paris", "Rome", "Tokyo")


def _calls() -> Iterator[str]:
    for tool, town in itertools.product(TOOLS, TOWNS):
        yield f'{tool}(city="{town}")'
        for unit in UNITS:
            yield f'{tool}(city="{town}", unit="{unit}")'
        for days in range(1, 8):
            yield f'{tool}(city="{town}", days={days})'


def _lists() -> Iterator[str]:
    for size in range(9):
        for chosen in itertools.combinations(range(1, 9), size):
            yield json.dumps(chosen)


def _ascending(first: int = 1) -> str:
    """The rest of a list of ascending numbers below 9, up to its bracket."""
    return "|".join([rf"{n}(, ({_ascending(n + 1)}))?" if n < 8 else "8" for n in range(first, 9)])


SUBJECTS = ("The old man", "A young woman", "My friend", "The teacher", "A small dog")
VERBS = ("walked to", "slept in", "ran across", "looked at", "talked about")
OBJECTS = ("the park", "the city", "a house", "the sea", "his garden", "the bridge")
TIMES = ("", " yesterday", " at night", " every morning")


def _sentences() -> Iterator[str]:
    for subject, verb, place, time in itertools.product(SUBJECTS, VERBS, OBJECTS, TIMES):
        yield f"{subject} {verb} {place}{time}."


def _single_sentence(text: str) -> None:
    if not regex.fullmatch(r"[A-Z][a-z]*( [a-z]+)+\.", text):
        raise ValueError(f"{text!r} is no sentence")


LANGUAGES = (
    Language(
        "cities",
        "Name one large city. Answer with its name only.",
        64,
        lambda: iter(CITIES),
        _any_of(CITIES),
        "",
        _succeeds(CITIES.index),
    ),
    Language(
        "dates",
        "On which day in 2024 was the party? Answer with an ISO date only.",
        366,
        _dates,
        DATES,
        "",
        _succeeds(dt.date.fromisoformat),
    ),
    Language(
        "sums",
        "Write one short sum of small numbers, such as (2 + 3) * 5. Answer with the sum only.",
        1_776,
        _sums,
        SUMS,
        SUMS_LARK,
        _succeeds(lambda text: ast.parse(text, mode="eval")),
    ),
    Language(
        "people",
        "Describe a person as JSON with the fields name and age. Answer with JSON only.",
        400,
        _people,
        PEOPLE,
        PEOPLE_LARK,
        _succeeds(json.loads),
    ),
    Language(
        "selects",
        "Write an SQL query for the table people(name, age, city). Answer with SQL only.",
        544,
        _selects,
        SELECTS,
        SELECTS_LARK,
        _succeeds(_explain),
    ),
    Language(
        "molecules",
        "Write the SMILES string of a small molecule. Answer with the string only.",
        1_557,
        _molecules,
        _beginnings(tuple(sorted(_molecules()))),
        "",
        _succeeds(valences),
    ),
    Language(
        "addresses",
        "What is the IP address of my printer? Answer with the address only.",
        1_016,
        _addresses,
        r"192\.168\.(0|1|2|10)\.([1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-4])",
        "",
        _succeeds(ipaddress.IPv4Address),
    ),
    Language(
        "colours",
        "Name a colour as a CSS hex code of three digits, such as #fa0. Answer with the code only.",
        4_096,
        lambda: (f"#{number:03x}" for number in range(16**3)),
        "#[0-9a-f]{3}",
        "",
        _succeeds(lambda text: int(text.removeprefix("#"), 16)),
    ),
    Language(
        "romans",
        "Write a Roman numeral. Answer with the numeral only.",
        999,
        _romans,
        "(C{1,3}|CD|DC{0,3}|CM)(X{0,3}|XL|LX{0,3}|XC)(I{0,3}|IV|VI{0,3}|IX)"
        "|(X{1,3}|XL|LX{0,3}|XC)(I{0,3}|IV|VI{0,3}|IX)|I{1,3}|IV|VI{0,3}|IX",
        "",
        _succeeds(roman),
    ),
    Language(
        "calls",
        "Call get_weather, get_forecast or get_time for a city. Answer with the call only.",
        210,
        _calls,
        rf'(get_weather|get_forecast|get_time)\(city="{_any_of(TOWNS)}"(, unit="(celsius|fahrenheit)"|, days=[1-7])?\)',
        "",
        _succeeds(lambda text: ast.parse(text, mode="eval")),
    ),
    Language(
        "lists",
        "Write a JSON list of different numbers from 1 to 8 in ascending order. Answer with the list only.",
        256,
        _lists,
        rf"\[({_ascending()})?\]",
        "",
        _succeeds(json.loads),
    ),
    Language(
        "sentences",
        "Write one short sentence about somebody and a place.",
        600,
        _sentences,
        rf"{_any_of(SUBJECTS)} {_any_of(VERBS)} {_any_of(OBJECTS)}( yesterday| at night| every morning)?\.",
        "",
        _succeeds(_single_sentence),
    ),
)
"""All twelve."""
