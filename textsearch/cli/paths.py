"""Names of files and folders that are typed."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from textsearch.files import check_folder
from textsearch.kinds import shown


def path(given: str | os.PathLike[str]) -> Path:
    """A name; the empty one, which a shell makes of a variable that is not set, would be the folder one stands in."""
    if not os.fspath(given):
        raise typer.BadParameter("the name is empty: write one, or leave the option out")
    return Path(given)


def kept_in(given: Path | None) -> Path | None:
    """A folder in which something is to be kept, looked at before anything is loaded."""
    if given is not None:
        try:
            check_folder(given)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return given


def readable(given: Path | None) -> Path | None:
    """A file that is to be read; pipes are files too."""
    if given is None:
        return None
    said = shown(str(given), 200)
    if given.is_dir():
        raise typer.BadParameter(f"{said} is a folder: name a file with a text on each line")
    if not given.exists():
        raise typer.BadParameter(f"there is no file {said}: name one with a text on each line")
    if not os.access(given, os.R_OK):
        raise typer.BadParameter(f"the file {said} may not be read: change its permissions, or name another")
    return given
