"""Tables of others in and out: a column of a pandas `DataFrame` or a `Dataset` of datasets, and such a table back.

Both are told by their methods, and loaded only where one is to be made.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

from textsearch.kinds import Kind, nature, shown

FRAME = Kind("a DataFrame of pandas", ("columns", "iloc", "to_dict", "groupby"), "")
DATASET = Kind("a Dataset of datasets", ("column_names", "features", "num_rows", "select"), "")

Form = Literal["pandas", "datasets"]
"""What a table is made with."""


def form_of(table: object) -> Form | None:
    """Which package a table is of; None for what is no table.

    >>> form_of(["a", "b"]) is None
    True
    """
    return "pandas" if FRAME.of(table) else "datasets" if DATASET.of(table) else None


def column_of(table: Any, name: Hashable | None) -> list[Any]:
    """The values of a column, row by row.

    Raises:
        ValueError: no column is named, or there is none of that name.
        TypeError: it is no table that can be read.
    """
    form = form_of(table)
    if form is None:
        streamed = " (a streamed one: take rows of it first, list(table.take(1000)))" if _streamed(table) else ""
        raise TypeError(
            f"{shown(table, 40)} is {nature(table)}{streamed}, not a DataFrame or a Dataset: leave column= out"
        )
    names = list(table.columns if form == "pandas" else table.column_names)
    if name is None:
        raise ValueError(f"a table of the columns {shown(names)} says not which of them holds the inputs: pass column=")
    if name not in names:
        near = difflib.get_close_matches(str(name), [one for one in names if isinstance(one, str)], 1)
        meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, names))}"
        raise ValueError(f"column={shown(name)} is no column of the table: {meant}")
    if names.count(name) > 1:
        raise ValueError(f"column={shown(name)} is the name of {names.count(name)} columns of the table: rename them")
    if form == "pandas":
        values: list[Any] = table[name].tolist()
        missing = table[name].isna().tolist()
    else:
        values = list(table[name])
        missing = [value is None or value != value for value in values]
    for row, (value, lacks) in enumerate(zip(values, missing, strict=True)):
        if lacks:
            raise ValueError(f"row {row} of the column {name!r} holds {shown(value)}: leave such rows out")
    return values


def table_of(columns: Mapping[Any, Sequence[Any]], form: Form, method: str) -> Any:
    """The columns as a table.

    Raises:
        ImportError: the package is not installed.
    """
    try:
        if form == "pandas":
            import pandas as pd

            return pd.DataFrame(columns)
        import datasets

        return datasets.Dataset.from_dict({name: list(values) for name, values in columns.items()})
    except ImportError as error:
        raise ImportError(f"{method} needs {form}: pip install 'textsearch-sampling[{form}]'") from error


def flat(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns of records as tasks give them: one for each key, and one for each term of the energy.

    >>> flat([{"text": "a", "energy": 1.0, "terms": {"length": 1.0}}, {"text": "b", "energy": 0.0, "terms": {}}])
    {'text': ['a', 'b'], 'energy': [1.0, 0.0], 'length (term)': [1.0, None]}
    """
    rows = []
    for record in records:
        row = {name: value for name, value in record.items() if name != "terms"}
        row |= {f"{name} (term)": value for name, value in record.get("terms", {}).items()}
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _streamed(table: object) -> bool:
    return hasattr(table, "take") and hasattr(table, "column_names")
