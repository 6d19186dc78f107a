"""The files of JFLEG (Napoles et al., 2017): learners' sentences, each corrected by several people."""

from __future__ import annotations

from pathlib import Path


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Sources, and the lines of each annotator; `path` is the beginning of the files' names."""
    lines = [
        [" ".join(line.split()) for line in file.read_text(encoding="utf-8").splitlines()]
        for file in (Path(f"{path}.src"), *sorted(path.parent.glob(f"{path.name}.ref*")))
    ]
    return lines[0], lines[1:]
