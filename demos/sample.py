"""Texts that must parse: people in JSON, dates of 2024, SQL over two tables; each checked by somebody else's parser.

python demos/sample.py
"""

import json
import sqlite3
from collections.abc import Callable
from datetime import date
from typing import Any

import jsonschema

from textsearch import Generations, causal_lm, sample
from textsearch.tasks.trust import report

PEOPLE = {
    "type": "array",
    "minItems": 3,
    "maxItems": 3,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[A-Z][a-z]{1,11}$"},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    },
}

# months of 31, of 30 and of 29 days: 2024 is a leap year
DATES = (
    "2024-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|[12][0-9]))"
)

TABLES = """
CREATE TABLE people (id INTEGER, name TEXT, age INTEGER, city_id INTEGER);
CREATE TABLE cities (id INTEGER, name TEXT, country TEXT);
"""

SELECTS = r"""
start: "SELECT " people_list " FROM people" people_where? people_order?
     | "SELECT " cities_list " FROM cities" cities_where?
     | "SELECT " both_list " FROM people JOIN cities ON people.city_id = cities.id" both_where?
people_list: "*" | "COUNT(*)" | "AVG(age)" | people_column (", " people_column)?
cities_list: "*" | "COUNT(*)" | cities_column (", " cities_column)?
both_list: both_column (", " both_column)?
people_where: " WHERE " people_test (" AND " people_test)?
cities_where: " WHERE " CITY_TEXT " = " STRING
both_where: " WHERE " both_test
people_order: " ORDER BY " people_column (" DESC")?
people_test: PEOPLE_NUMBER COMPARED NUMBER | "name = " STRING
both_test: "people.age" COMPARED NUMBER | "cities.country = " STRING | "cities.name = " STRING
people_column: PEOPLE_NUMBER | "name"
cities_column: "id" | CITY_TEXT
both_column: "people.name" | "people.age" | "cities.name" | "cities.country"
PEOPLE_NUMBER: "id" | "age" | "city_id"
CITY_TEXT: "name" | "country"
COMPARED: / (=|<|>|<=|>=) /
NUMBER: /[1-9][0-9]{0,2}/
STRING: /'[A-Z][a-z]{1,14}'/
"""


def is_people(text: str) -> bool:
    """By the json and jsonschema packages."""
    jsonschema.validate(json.loads(text), PEOPLE)
    return True


def is_date(text: str) -> bool:
    """By the datetime of Python, which knows how long months are."""
    return date.fromisoformat(text).year == 2024


def is_select(text: str) -> bool:
    """By SQLite, which runs it."""
    with sqlite3.connect(":memory:") as base:
        base.executescript(TABLES)
        base.execute(text).fetchall()
    return True


JOBS: tuple[tuple[str, str, dict[str, Any], Callable[[str], bool]], ...] = (
    (
        "people",
        "Write a JSON list of three people from a story, each with a name and an age.",
        {"json_schema": PEOPLE, "draws": 4, "max_length": 80},
        is_people,
    ),
    (
        "dates",
        "Our summer holidays in 2024 began on a Saturday in July. Write the date as YYYY-MM-DD.",
        {"regex": DATES, "draws": 10, "max_length": 16},
        is_date,
    ),
    (
        "selects",
        "There are two tables, people (id, name, age, city_id) and cities (id, name, country). Write an SQL query for "
        "the names of all people who are older than 30.",
        {"grammar": SELECTS, "draws": 5, "max_length": 64, "method": "chains", "steps": 30},
        is_select,
    ),
)


def run(job: str, **settings: Any) -> Generations:
    """The draws of one of the jobs."""
    (found,) = [(prompt, own, holds) for name, prompt, own, holds in JOBS if name == job]
    prompt, own, holds = found
    result = sample([prompt], **(own | settings))
    assert all(map(holds, result.texts))
    return result


if __name__ == "__main__":
    lm = causal_lm()
    for job, *_ in JOBS:
        result = run(job, causal=lm, seed=0, progress=True)
        print(result, report(result), sep="\n")
