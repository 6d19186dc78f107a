"""JSON schemas of growing depth: are all draws valid, are they different, and are their fields right?"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import jsonschema
import torch

from benchmarks.grammars import infinite, methods
from objectives import JSONSchema
from textsearch.models.causal import TransformersCausalLM

FILE = Path(__file__).with_name("schemas.jsonl")
ABSENT = "(absent)"


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


def record(
    schema: Schema, lm: TransformersCausalLM, *, draws: int, long_run: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Figures of masked decoding and of exact chains, and their fields against those of longer runs of other chains."""
    began = time.perf_counter()
    request = f"{schema.request} Answer in JSON."
    setting = methods.Setting(lm, lm.ask(request), JSONSchema(dict(schema.schema)), 32 + 20 * schema.depth)
    found, begun = infinite.masked(setting, draws, seed)
    if not len(begun.batch):
        tell(f"{schema.name}: none of {draws} masked draws is valid")
        return {"depth": schema.depth, "methods": {infinite.MASKED: found}}
    short = infinite.chains(setting, begun, draws, 6, seed)
    # other random numbers, and every chain from a text of its own as far as there are
    order = torch.randperm(len(begun.batch), generator=torch.Generator().manual_seed(seed))
    long = infinite.chains(
        setting, type(begun)(begun.batch.rows(order), begun.evaluation.rows(order)), long_run, 18, seed + 1
    )
    documents = {
        name: valid_documents(schema, own["all"])
        for name, own in ((infinite.MASKED, found), (infinite.CHAINS, short), ("long", long))
    }
    for name, own in ((infinite.MASKED, found), (infinite.CHAINS, short)):
        own["fields"] = {path: marginal_distance(documents[name], documents["long"], path) for path in schema.fields}
    short["valid"] = len(documents[infinite.CHAINS]) / draws
    long["valid"] = len(documents["long"]) / long_run
    for own in (found, short, long):
        del own["all"]
    tell(f"{schema.name}: {short['valid']:.2f} of chain draws valid, {time.perf_counter() - began:.0f} s")
    return {
        "depth": schema.depth,
        "methods": {infinite.MASKED: found, infinite.CHAINS: short, "long run": long},
    }
