"""The inputs of a command: from its arguments, then from a file, one a line, each with its own number."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import typer

from textsearch.checks import MAX_INPUT
from textsearch.cli.console import shortened
from textsearch.kinds import shown

_BOM = b"\xef\xbb\xbf"


@final
@dataclass(frozen=True)
class Input:
    """One input of a command.

    Attributes:
        value: what the task is given.
        source: what the console shows above its answers.
        line: of the file that it came from, the first is 1; None for an argument.
        error: why it is refused; None if it is not.
    """

    value: Any
    source: str
    line: int | None = None
    error: str | None = None

    @staticmethod
    def of(text: str, line: int | None = None) -> Input:
        """A text as it was given; one that nothing can be made of is refused here."""
        if len(text) > MAX_INPUT:
            few = shortened(text)
            return Input(
                few, few, line, f"{shown(text)} has {len(text):,} characters, more than {MAX_INPUT:,}: split it"
            )
        if not text.strip():
            return Input(text, text, line, f"{text!r} is an empty text: leave it out")
        return Input(text, text, line)

    def then(self, read: Callable[[str], tuple[Any, str]]) -> Input:
        """With what `read` makes of its text, a value and a source, or with the error that it raises."""
        if self.error is not None:
            return self
        try:
            value, source = read(self.value)
        # one input's trouble, of whatever kind, is its own
        except Exception as error:
            return replace(self, error=str(error) or type(error).__name__)
        return replace(self, value=value, source=source)

    def head(self, number: int) -> dict[str, Any]:
        """The beginning of its record."""
        line = {} if self.line is None else {"line": self.line}
        return {"number": number, **line, "input": self.value}


def inputs_of(arguments: Sequence[str] | None, file: Path | None) -> list[Input]:
    """The inputs named on the command line, then those of the file, - for standard input; its empty lines left out.

    Lines end with \\n or \\r\\n, and with nothing else.

    Raises:
        typer.BadParameter: the file cannot be read, holds nothing, or is no UTF-8: the message names line and byte.
    """
    found = []
    for number, argument in enumerate(arguments or [], 1):
        text = as_utf8(argument)
        if broken := re.search("[\ud800-\udfff]", text):
            byte = ord(broken[0]) - 0xDC00
            what = f"byte 0x{byte:02x}" if 0x80 <= byte <= 0xFF else f"half of a character, {broken[0]!r}"
            raise typer.BadParameter(
                f"argument {number} is no text in UTF-8: {what} at character {broken.start() + 1} of {shown(text)}"
            )
        if "\0" in text:
            raise typer.BadParameter(f"argument {number} holds a NUL byte: {shown(text)} is no text")
        found.append(Input.of(text))
    if file is not None:
        found += _lines(_bytes(file), "standard input" if str(file) == "-" else str(file))
    return found


def as_utf8(argument: str) -> str:
    """An argument whose bytes are UTF-8, where the locale took them for something else; any other as it is."""
    try:
        return os.fsencode(argument).decode("utf-8") if re.search("[\ud800-\udfff]", argument) else argument
    except UnicodeError:
        return argument


def _bytes(file: Path) -> bytes:
    try:
        if str(file) != "-":
            return file.read_bytes()
        if sys.stdin is None:
            raise OSError("it is closed")
        return sys.stdin.buffer.read()
    except IsADirectoryError:
        raise typer.BadParameter(f"{shown(str(file))} is a folder: name a file", param_hint="--file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        name = "standard input" if str(file) == "-" else shown(str(file), 200)
        raise typer.BadParameter(f"cannot read {name}: {reason}", param_hint="--file") from error


def _lines(data: bytes, name: str) -> list[Input]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise typer.BadParameter(f"{name} is in UTF-16: save it as UTF-8", param_hint="--file")
    found = []
    for number, line in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        place = line.find(b"\0")
        if place >= 0:
            raise typer.BadParameter(
                f"line {number} of {name} holds a NUL byte (byte {place + 1} of the line): it is no text",
                param_hint="--file",
            )
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise typer.BadParameter(
                f"line {number} of {name} is not UTF-8: byte 0x{line[error.start]:02x} (byte {error.start + 1} of the "
                f"line); if it is in Latin-1, convert it: iconv -f latin1 -t utf-8",
                param_hint="--file",
            ) from error
        if text.strip():
            found.append(Input.of(text, number))
    if not found:
        raise typer.BadParameter(f"{name} is empty: one input a line is wanted", param_hint="--file")
    return found


def same_file(one: Path, other: Path) -> bool:
    """Whether both name one file, by whatever links; - is what standard input was opened from."""
    try:
        first = os.fstat(sys.stdin.fileno()) if str(one) == "-" else one.stat()
        return os.path.samestat(first, other.stat())
    except (OSError, ValueError, AttributeError):
        return False
