"""Python and a command line that make the run of a submission again, bit for bit."""

from __future__ import annotations

import json
import shlex
from dataclasses import is_dataclass
from typing import Any

from textsearch.service.samplers import OWN, SAMPLERS
from textsearch.service.submission import RUN, TASKS, Submission


def command_line(submission: Submission, stopped_after: int | None = None) -> str:
    """A command that makes the run and prints its texts as JSON lines.

    Args:
        submission: what was asked for.
        stopped_after: steps after which the run was stopped, if it was.

    >>> print(command_line(Submission(task="infill", inputs=["A ___."], steps=5)))
    textsearch run --jsonl '{"task": "infill", "inputs": ["A ___."], "steps": 5, "seed": 0}'
    """
    empty = Submission(task="infill", inputs=["."]).plain()
    plain = submission.plain()
    told = {name: value for name, value in plain.items() if name in ("seed",) or value != empty[name]}
    if submission.task is not None:
        told = {"task": submission.task, "inputs": plain["inputs"]} | told
    else:
        told.pop("task", None), told.pop("inputs", None)
    ended = "" if stopped_after is None else f"--stop-after {stopped_after} "
    return f"textsearch run --jsonl {ended}{shlex.quote(json.dumps(told, ensure_ascii=False))}"


def python(submission: Submission, stopped_after: int | None = None) -> str:
    """A program that makes the run and prints its texts as JSON lines.

    Args:
        submission: what was asked for.
        stopped_after: steps after which the run was stopped, if it was.

    >>> print(python(Submission(task="infill", inputs=["A ___."], steps=5)))
    import json
    <BLANKLINE>
    from textsearch.tasks import infill
    <BLANKLINE>
    result = infill(
        ['A ___.'],
        steps=5,
        seed=0,
    )
    for record in result.to_records():
        print(json.dumps(record, ensure_ascii=False))
    <BLANKLINE>
    """
    imports: dict[str, set[str]] = {}
    own = SAMPLERS.get(submission.sampler)
    for name in own.names if own else ():
        imports.setdefault("textsearch" if name == "geometric" else "samplers", set()).add(name)
    arguments: list[str] = []
    if submission.task is None:
        imports.setdefault("textsearch", set()).add("generate")
        imports["samplers.proposals.usual"] = {"EDITS as moves"}
        imports["objectives"] = {term.name for term in submission.terms}
        if own is None:
            imports.setdefault("samplers", set()).add("MetropolisHastings")
        energy = " + ".join(
            f"{term.weight!r} * {term.name}({', '.join(f'{k}={v!r}' for k, v in term.arguments.items())})"
            for term in submission.terms
        )
        before = [f"objective = {energy}"]
        arguments += ["objective", own.code if own else "MetropolisHastings(moves)"]
        arguments += [repr([submission.start])] if submission.start else []
        function = "generate"
    else:
        function, before = submission.task, []
        imports.setdefault("textsearch.tasks", set()).add(function)
        arguments.append(repr([list(one) if isinstance(one, tuple) else one for one in submission.inputs]))
        for name, value in _settings(submission).items():
            if is_dataclass(value):
                imports["textsearch.tasks"].add(type(value).__name__)
            arguments.append(f"{name}={value!r}")
        if submission.sampler != OWN and own:
            arguments.append(f"sampler=lambda moves: {own.code}")
    arguments += [f"{name}={value!r}" for name, value in submission.run_settings().items()]
    if stopped_after is not None:
        # of all searches of the run
        imports["itertools"] = {"count"}
        before.append("steps = count(1)")
        arguments.append(f"callbacks=[lambda progress: next(steps) == {stopped_after}]")
    lines = ["import json", ""]
    lines += [f"from {home} import {', '.join(sorted(names))}" for home, names in sorted(imports.items())]
    lines += ["", *before, f"result = {function}(", *(f"    {one}," for one in arguments), ")"]
    lines += ["for record in result.to_records():", "    print(json.dumps(record, ensure_ascii=False))", ""]
    return "\n".join(lines)


def _settings(submission: Submission) -> dict[str, Any]:
    """Those of the task that were given, as the task's function takes them."""
    assert submission.task in TASKS
    told = submission.task_settings()
    return {name: getattr(told, name) for name in submission.settings if name not in RUN}
