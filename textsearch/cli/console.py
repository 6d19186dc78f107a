"""What goes to the terminal: user text as it is, nothing that could drive it, and messages of one line."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

import typer

LONGEST_MESSAGE = 400
"""Characters of a message; what it quotes may be longer than anybody wants to read."""

_BEHIND_ASCII = [*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SURROGATES = range(0xD800, 0xE000)
# controls of the terminal, ends of lines that only some programs know, marks that turn the direction of what follows,
# and halves of characters that no encoding has
_ESCAPES = {code: f"\\x{code:02x}" for code in [*range(0x20), *_BEHIND_ASCII[:0x21]]}
_ESCAPES |= {code: f"\\u{code:04x}" for code in [*_BEHIND_ASCII[0x21:], *_SURROGATES]}
_SHOWN = {code: escape for code, escape in _ESCAPES.items() if chr(code) not in "\t\n"}
_ONE_LINE = _ESCAPES | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_IN_JSON = {code: f"\\u{code:04x}" for code in [*_BEHIND_ASCII, *_SURROGATES]}


def visible(text: str) -> str:
    r"""The text with controls of the terminal as escapes; tabs and ends of lines stay.

    >>> print(visible("[b]:heart: C:\\temp\\ \x1b[31m"))
    [b]:heart: C:\temp\ \x1b[31m
    """
    return text.translate(_SHOWN)


def shortened(text: str, most: int = LONGEST_MESSAGE) -> str:
    """The text, its middle left out where it is longer than `most` characters.

    >>> shortened("a" * 1000, 40)
    'aaaaaaaaaaaaaaaaaaaa... (970 more) ...aaaaaaaaaa'
    """
    if len(text) <= most:
        return text
    start, end = most // 2, most // 4
    return f"{text[:start]}... ({len(text) - start - end:,} more) ...{text[-end:]}"


def one_line(message: object) -> str:
    r"""A message as one line that is not too long.

    >>> print(one_line("two\nlines"))
    two\nlines
    """
    return shortened(str(message).strip()).translate(_ONE_LINE)


def say(message: object, *, error: bool = False) -> None:
    """One line on standard error. Where nobody reads it any more, the work goes on."""
    with suppress(OSError, ValueError):
        typer.echo((typer.style("error: ", fg="red") if error else "") + one_line(message), sys.stderr, err=True)


def show(text: str, before: str = "", **style: Any) -> None:
    """User text on standard output, literally, behind something of ours."""
    write(typer.style(before, dim=True) + typer.style(visible(text), **style))


def write(line: str) -> None:
    """One line on standard output, in its own encoding."""
    typer.echo(line, sys.stdout)


def json_text(value: object, *, file: TextIO | None = None, indent: int | None = None) -> str:
    r"""JSON of one line, or of several with `indent`: only \n ends its lines, whatever a reader takes for an end.

    Args:
        value: plain data.
        file: where it will be written: escapes for all that its encoding may lack.
        indent: spaces.

    >>> print(json_text({"text": "a\u2028b é"}))
    {"text": "a\u2028b é"}
    """
    encoding = "utf-8" if file is None else (getattr(file, "encoding", None) or "utf-8")
    plain = encoding.lower().replace("-", "").replace("_", "") not in ("utf8", "utf8sig")
    return json.dumps(value, ensure_ascii=plain, indent=indent).translate(_IN_JSON)


def forgive_encodings() -> None:
    """A character that the terminal's encoding lacks is shown as an escape, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody watches."""
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False


def mute_output() -> None:
    """Nothing more goes to standard output: what is left in its buffer cannot be written either."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
