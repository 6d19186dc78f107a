"""JSON schemas of growing depth: are all draws valid, are they different, and are their fields right?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import jsonschema
import numpy as np

from benchmarks.grammars import infinite, methods
from benchmarks.grammars.infinite import Effort
from benchmarks.grammars.rows import Clock, Rows, fill, spread_out
from objectives import JSONSchema
from textsearch.models.causal import TransformersCausalLM

FILE = Path(__file__).with_name("schemas.jsonl")
ABSENT = "(absent)"
LONG_RUN = "long run"


@final
@dataclass(frozen=True)
class Schema:
    """A schema with a request.

    Attributes:
        name: one word.
        depth: objects and lists within one another.
        request: what the model is asked for.
        schema: of JSON Schema.
        fields: paths whose values are compared, such as "people.0.name".
    """

    name: str
    depth: int
    request: str
    schema: Mapping[str, Any]
    fields: tuple[str, ...]


def every() -> list[Schema]:
    """All schemas of the file."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [Schema(**(line | {"fields": tuple(line["fields"])})) for line in map(json.loads, lines)]


def chosen(count: int) -> list[Schema]:
    """So many, spread over the depths; all for 0."""
    known = every()
    if not count or count >= len(known):
        return known
    return [known[round(i * (len(known) - 1) / max(1, count - 1))] for i in range(count)]


def field(document: Any, path: str) -> str:
    """The value at a path, as JSON.

    >>> field({"a": [{"b": 1}]}, "a.0.b"), field({}, "a")
    ('1', '(absent)')
    """
    for key in path.split("."):
        if isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        elif isinstance(document, dict) and key in document:
            document = document[key]
        else:
            return ABSENT
    return json.dumps(document)


def marginal_distance(one: Iterable[Any], other: Iterable[Any], path: str) -> float:
    """Total variation between the values that documents have at a path.

    >>> marginal_distance([{"a": 1}, {"a": 2}], [{"a": 1}], "a")
    0.5
    """
    left, right = (Counter(field(document, path) for document in own) for own in (one, other))
    sizes = max(1, left.total()), max(1, right.total())
    return sum(abs(left[key] / sizes[0] - right[key] / sizes[1]) for key in left | right) / 2


def valid_documents(schema: Schema, texts: Iterable[str]) -> list[Any]:
    """The documents of the texts that the validator accepts."""
    check = jsonschema.validators.validator_for(schema.schema, default=jsonschema.Draft202012Validator)(schema.schema)
    found = []
    for text in texts:
        try:
            document = json.loads(text)
        except ValueError:
            continue
        if check.is_valid(document):
            found.append(document)
    return found


def run(
    given: Sequence[Schema],
    names: Sequence[str],
    lm: TransformersCausalLM,
    rows: Rows,
    *,
    effort: Effort,
    long_run: int,
    deepest: int,
    seed: int,
    clock: Clock,
    tell: Callable[[str], None],
) -> None:
    """Figures of the methods on every schema, as far as there is time; what is in the rows is not run again.

    Args:
        given: the schemas.
        names: of the methods; the long runs are by adaptive rejection, and are left out without it.
        lm: the model.
        rows: what is known, and where figures go.
        effort: of each method on each schema.
        long_run: independent draws of schemas that are not deeper than `deepest`, for the marginals of fields.
        deepest: see there.
        seed: of all of it; that of long runs is the next.
        clock: ends it.
        tell: what is going on.
    """
    longer = replace(effort, draws=long_run, tries=20, seconds=4 * effort.seconds)
    jobs: list[tuple[tuple[str, ...], Callable[[], dict[str, Any]]]] = []
    for schema in spread_out(given):
        jobs += [((schema.name, method), partial(record, schema, method, lm, effort, seed)) for method in names]
        if schema.depth <= deepest and infinite.REJECTION in names:
            long = partial(record, schema, infinite.REJECTION, lm, longer, seed + 1)
            jobs.append(((schema.name, LONG_RUN), long))
    fill(rows, jobs, clock, tell)


def record(schema: Schema, method: str, lm: TransformersCausalLM, effort: Effort, seed: int) -> dict[str, Any]:
    """Figures of a method, its texts judged by the validator alone."""
    request = f"{schema.request} Answer in JSON."
    setting = methods.Setting(lm, lm.ask(request), JSONSchema(dict(schema.schema)), 32 + 20 * schema.depth)
    found = infinite.record(method, setting, effort, seed)
    return found | {"depth": schema.depth, "valid": len(valid_documents(schema, found["texts"]))}


def distances(known: Mapping[tuple[str, ...], Mapping[str, Any]]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By method and schema, for each field: total variation to the long run, and what as many draws of it have.

    The second is the mean over draws of the method's number from the documents of the long run.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    rng = np.random.default_rng(0)
    for schema in every():
        long = valid_documents(schema, known.get((schema.name, LONG_RUN), {}).get("texts", ()))
        if not long:
            continue
        for method in infinite.METHODS:
            own = valid_documents(schema, known.get((schema.name, method), {}).get("texts", ()))
            if not own:
                continue
            found.setdefault(method, {})[schema.name] = [
                (
                    marginal_distance(own, long, path),
                    float(
                        np.mean(
                            [
                                marginal_distance([long[i] for i in rng.integers(0, len(long), len(own))], long, path)
                                for _ in range(200)
                            ]
                        )
                    ),
                )
                for path in schema.fields
            ]
    return found
