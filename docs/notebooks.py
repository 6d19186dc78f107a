"""Run the tutorials and store them with what they show: `make notebooks`.

python docs/notebooks.py docs/tutorial/*.ipynb

A notebook must come to its end in five minutes, without an error or a word on standard error. What differs from one
machine to the next is not stored: the times of cells, the release of Python.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LIMIT = 300.0
"""Seconds that one notebook may take."""


def run(path: Path) -> float:
    """Run a notebook and store it; the seconds that it took."""
    notebook = nbformat.read(path, as_version=4)
    began = time.monotonic()
    client = NotebookClient(notebook, timeout=LIMIT, record_timing=False, resources={"metadata": {"path": path.parent}})
    client.execute()
    seconds = time.monotonic() - began
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise SystemExit(f"{path}: a cell writes to standard error:\n{output['text']}\n{cell['source']}")
            # the table is shown, and not the `repr`, which has paths of this machine
            if "text/html" in output.get("data", ()):
                output["data"].pop("text/plain", None)
        if cell.cell_type == "code":
            cell.metadata = {}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)
    if seconds > LIMIT:
        raise SystemExit(f"{path} took {seconds:.0f} s; a tutorial has {LIMIT:.0f}")
    return seconds


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {run(Path(name)):.0f} s", flush=True)
