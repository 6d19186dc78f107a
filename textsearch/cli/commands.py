"""The application with all its commands: importing a command adds it."""

from textsearch.cli import (
    ask,
    correct,
    doctor,
    infill,
    keywords,
    mine,
    paraphrase,
    run,
    sample,
    serve,
    studio,
    watch,
    write,
)
from textsearch.cli.application import app

__all__ = [
    "app",
    "ask",
    "correct",
    "doctor",
    "infill",
    "keywords",
    "mine",
    "paraphrase",
    "run",
    "sample",
    "serve",
    "studio",
    "watch",
    "write",
]
