"""The defaults of a task's arguments: the only place that the command line has its own from.

They are read from the task's source. Importing it would take the seconds that torch takes, and `--help` has no use for
torch.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

_TASKS = Path(__file__).parent.parent / "tasks"


@cache
def defaults(task: str) -> dict[str, Any]:
    """Name -> default of what can be given to a task; of an argument that is a dataclass, of each of its fields.

    Raises:
        LookupError: no such task, or a default that is neither plain data, nor a constant of its module, nor a
            dataclass of its module.

    >>> defaults("paraphrase")["diversity"], defaults("write")["lang"]
    (12.0, 'en')
    """
    for file in sorted(_TASKS.glob("*.py")):
        source = file.read_text(encoding="utf-8")
        if f"\ndef {task}(" in source:
            return _of_function(ast.parse(source), task)
    raise LookupError(f"there is no task {task!r} in {_TASKS}")


def _of_function(module: ast.Module, task: str) -> dict[str, Any]:
    function = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == task)
    found: dict[str, Any] = {}
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if isinstance(default, ast.Call) and isinstance(default.func, ast.Name) and not (default.args):
            found |= _of_fields(module, default.func.id)
        elif default is not None:
            found[argument.arg] = _value(module, default)
    return found


def _of_fields(module: ast.Module, name: str) -> dict[str, Any]:
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            fields = [line for line in node.body if isinstance(line, ast.AnnAssign) and line.value is not None]
            return {ast.unparse(line.target): _value(module, line.value) for line in fields if line.value is not None}
    raise LookupError(f"there is no class {name} beside the task that has it for a default")


def _value(module: ast.Module, default: ast.expr) -> Any:
    if isinstance(default, ast.Name):
        for node in module.body:
            if isinstance(node, ast.Assign) and any(
                isinstance(name, ast.Name) and name.id == default.id for name in node.targets
            ):
                return _value(module, node.value)
    try:
        return ast.literal_eval(default)
    except ValueError as error:
        raise LookupError(f"the default {ast.unparse(default)} is neither plain data nor a constant") from error
