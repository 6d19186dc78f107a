"""`textsearch serve`."""

from __future__ import annotations

import os
import secrets
from typing import Annotated

import typer

from textsearch.addresses import at_fault, is_loopback
from textsearch.cli import options
from textsearch.cli.application import app
from textsearch.cli.console import say
from textsearch.cli.helping import HelpedCommand
from textsearch.cli.leaving import REFUSED
from textsearch.cli.models import model_name
from textsearch.cli.server.wire import PORT, TOKEN, Address, announce, withdraw
from textsearch.waiting import waiting


def _names(given: list[str] | None) -> list[str]:
    """Names of models, each if it can be one."""
    return [name for name in (model_name(one) for one in given or []) if name is not None]


def _named(kind: str) -> object:
    return typer.Option(
        metavar="MODEL",
        callback=_names,
        help=f"Hold this {kind} too, for commands that name it; may come several times.",
    )


@app.command("serve", cls=HelpedCommand)
def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen at; by default programs on this machine alone.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = PORT,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            callback=options.token,
            envvar=TOKEN,
            help="What requests must bear. On any address but loopback there is one in any case, and it is printed.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    causal: Annotated[list[str] | None, _named("causal model")] = None,
    masked: Annotated[list[str] | None, _named("masked model")] = None,
    encoder: Annotated[list[str] | None, _named("encoder")] = None,
    classifier: Annotated[list[str] | None, _named("classifier")] = None,
    max_steps: Annotated[int, typer.Option(min=1, max=options.MAX_STEPS, help="Steps of a chain at most.")] = 10_000,
    max_chains: Annotated[int, typer.Option(min=1, max=options.MAX_CHAINS, help="Chains at most.")] = 256,
    max_inputs: Annotated[int, typer.Option(min=1, help="Inputs of one command at most.")] = 10_000,
    max_characters: Annotated[int, typer.Option(min=1, help="Characters of an input at most.")] = 10_000,
    max_runs: Annotated[int, typer.Option(min=1, help="Commands that wait for answers at most.")] = 64,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Keep the models in memory for other commands, which ask this one with --server.

        textsearch serve &  textsearch keywords "dog frisbee park" --server

    The answers are those of the command alone, byte for byte. Commands take turns, first come, first served. Ctrl-C
    ends it; commands that were waiting say so.
    """
    with waiting("loading PyTorch", not quiet):
        from textsearch.cli.server.answering import Held
        from textsearch.cli.server.http import Server
        from textsearch.service.limits import Limits
        from textsearch.tasks import keywords

    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(18)
    names = {"causal": causal or [], "masked": masked or [], "encoder": encoder or [], "classifier": classifier or []}
    limits = Limits(
        steps=max_steps,
        chains=max_chains,
        inputs=max_inputs,
        characters=max_characters,
        runs=max_runs,
        drafts=10_000,
        tokens=4096,
    )
    try:
        # a port that is taken is told before the models are loaded
        server = Server(host, port, token=token, limits=limits)
    except OSError as error:
        say(f"cannot listen at {host}:{port}: {error.strerror or error}; name another {at_fault(error)}", error=True)
        raise typer.Exit(REFUSED) from error
    try:
        with waiting("loading models", not quiet):
            server.held = Held.of(names)
            # the default models, their vocabularies and dictionaries; what a first command would wait for
            keywords([["dog"]], chains=1, steps=1, drafts=1)
        announce(Address(server.url, token))
        say(f"serving at {server.url}, process {os.getpid()}; Ctrl-C ends it")
        if token is not None and not os.environ.get(TOKEN):
            say(f"for other machines: {TOKEN}={token}")
        server.serve_forever(poll_interval=0.1)
    finally:
        withdraw()
        if waiters := server.end_all():
            say(f"{waiters} commands were waiting; they are told")
        server.server_close()
