"""The peers' environment: a folder with a Python of its own, made from the package index when it is first asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGES = ("torch==2.13.0", "genlm-control==0.4.1", "llguidance", "transformers>=5,<6")


def interpreter(folder: Path) -> Path:
    """The Python of the environment in `folder`, which is made if it is not there or has been made for other packages.

    Raises:
        RuntimeError: it cannot be made; the message ends with what was said.
    """
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done, wanted = folder / "packages.txt", "\n".join(PACKAGES)
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return python
    # the packages of the Python that we run under are no part of it
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    ):
        found = subprocess.run(command, capture_output=True, text=True, env=clean, check=False)
        if found.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {found.stderr.strip()[-600:]}")
    done.write_text(wanted, encoding="utf-8")
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed, of what matters."""
    code = (
        "import importlib.metadata as m, json; "
        "print(json.dumps({n: m.version(n) for n in ('torch', 'transformers', 'genlm-control', 'llguidance')}))"
    )
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    answer: dict[str, str] = json.loads(found.stdout)
    return answer
