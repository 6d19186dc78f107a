"""What can be taken away from a run: its texts, its figure, and what makes it again."""

from __future__ import annotations

import csv
import io
import json
from importlib.util import find_spec
from typing import Any, Final

from textsearch.service.exporting import command_line, python
from textsearch.service.running import ServiceRun
from textsearch.service.summaries import table

KINDS: Final = {
    "texts.jsonl": "application/jsonl; charset=utf-8",
    "texts.csv": "text/csv; charset=utf-8",
    "figure.svg": "image/svg+xml",
    "run.py": "text/x-python; charset=utf-8",
    "command.txt": "text/plain; charset=utf-8",
    "submission.json": "application/json",
}
"""Name of a file -> its media type."""


def download(run: ServiceRun, kind: str) -> bytes:
    """One of `KINDS`.

    Raises:
        ValueError: it is not there yet.
    """
    if kind == "texts.jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _answers(run)).encode()
    if kind == "texts.csv":
        return _table(_flat(_answers(run))).encode("utf-8-sig")
    if kind == "figure.svg":
        return _figure(run)
    if kind == "run.py":
        return python(run.submission, _stopped_after(run)).encode()
    if kind == "command.txt":
        return (command_line(run.submission, _stopped_after(run)) + "\n").encode()
    return (json.dumps(run.submission.plain(), ensure_ascii=False, indent=2) + "\n").encode()


def _answers(run: ServiceRun) -> list[dict[str, Any]]:
    """Those of a run that is done or stopped; else its chains after the last step."""
    if run.state in ("done", "stopped"):
        return run.answers()
    last = run.events.read(max(len(run.events) - 1, 0), 1)
    if not last:
        raise ValueError(f"the run {run.name} is {run.state}, and has taken no step yet: wait for the first")
    return table(last[0])


def _flat(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with a column for each term."""
    return [
        {name: value for name, value in row.items() if name != "terms"}
        | {f"term {name}": value for name, value in row.get("terms", {}).items()}
        for row in rows
    ]


def _table(rows: list[dict[str, Any]]) -> str:
    """Values apart by commas; a text that a spreadsheet would take for a formula is a text there too."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
                for name, value in row.items()
            }
        )
    return file.getvalue()


def _figure(run: ServiceRun) -> bytes:
    folder = run.folder / "result"
    if not folder.exists():
        raise ValueError(f"the run {run.name} is {run.state}: its figure is drawn once it is done, or stopped")
    from textsearch import load

    if find_spec("matplotlib") is None:
        raise ValueError("matplotlib is not installed: pip install 'textsearch-sampling[plots]'")
    data = io.BytesIO()
    load(folder).plot().savefig(data, format="svg")
    return data.getvalue()


def _stopped_after(run: ServiceRun) -> int | None:
    """Steps of all its searches after which it was stopped, if it was."""
    last = run.events.read(max(len(run.events) - 1, 0), 1)
    return last[0]["step"] if run.state == "stopped" and last else None
