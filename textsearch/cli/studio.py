"""`textsearch studio`."""

from __future__ import annotations

import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from textsearch.addresses import at_fault, is_loopback
from textsearch.cli import options
from textsearch.cli.application import app
from textsearch.cli.console import say
from textsearch.cli.helping import HelpedCommand
from textsearch.cli.leaving import REFUSED
from textsearch.cli.paths import kept_in, path
from textsearch.waiting import waiting


@app.command("studio", cls=HelpedCommand)
def studio(
    folder: Annotated[
        Path,
        typer.Option(
            parser=path,
            callback=kept_in,
            metavar="FOLDER",
            help="Where runs are kept; a page that is started there again goes on.",
        ),
    ] = Path("textsearch-runs"),
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for one that is free.")] = 7861,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="What every visitor must bring; one is made where it is needed.",
            callback=options.token,
            show_default=False,
        ),
    ] = None,
    running: Annotated[int, typer.Option(min=1, help="Runs that take turns at one time; the others are queued.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="The most steps that a run may have.")] = 2000,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Start a page on which chains can be watched, paused and stepped.

        textsearch studio

    Ctrl-C ends it; what was running goes on when it is started again with the same folder.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        say(f"{' and '.join(missing)} not installed: pip install 'textsearch-sampling[studio]'", error=True)
        raise typer.Exit(REFUSED)
    with waiting("loading PyTorch", not quiet):
        import uvicorn

        from textsearch.service import Limits, Service
        from textsearch.studio.app import application
        from textsearch.studio.listening import listening
    local = is_loopback(host)
    if token is None and not local:
        token = secrets.token_urlsafe(16)
    try:
        socket = listening(host, port)
    except OSError as error:
        say(f"cannot listen on {host} port {port} ({error.strerror}): choose another {at_fault(error)}", error=True)
        raise typer.Exit(REFUSED) from error
    try:
        service = Service(folder, limits=Limits(running=running, steps=steps))
    except (ValueError, OSError) as error:
        say(error, error=True)
        raise typer.Exit(REFUSED) from error
    with service:
        where = f"http://{f'[{host}]' if ':' in host else host}:{socket.getsockname()[1]}/"
        say(f"textsearch studio is at {where}{f'?token={token}' if token else ''} (Ctrl-C ends it)")
        for name, why in service.damaged.items():
            say(f"the run {name} cannot be opened: {why}")
        config = uvicorn.Config(
            application(service, token, folders=local and token is None),
            log_level="error",
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[socket])
