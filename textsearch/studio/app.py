"""The web application: a page, what it asks for as JSON, and the steps of a run as server-sent events.

Starlette and a page written by hand, and no framework of widgets: steps arrive as events, colours and labels are the
page's own, and nothing is fetched from elsewhere. Nothing here waits for a model: runs have threads of their own.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textsearch.addresses import is_loopback
from textsearch.service import Service
from textsearch.service.running import ServiceRun
from textsearch.service.summaries import StepCounts, brief
from textsearch.studio.choices import as_written, choices
from textsearch.studio.downloads import KINDS, download
from textsearch.studio.words import ARVIZ

PAGE: Final = Path(__file__).parent / "page"

_COOKIE: Final = "textsearch-token"
_LARGEST: Final = 1_000_000  # bytes of a request
_POLL: Final = 0.1  # seconds
_BATCH: Final = 200  # steps in one event
_ALIVE: Final = 15.0  # seconds after which something is said in any case
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def application(service: Service, token: str | None = None, *, folders: bool = False) -> Starlette:
    """The application over a service.

    Args:
        service: whose runs are shown.
        token: that every request must bring; None for a server that only this machine reaches.
        folders: whether run folders of this machine may be opened by their name.
    """

    tallies: dict[str, tuple[StepCounts, Lock]] = {}

    def run_of(request: Request) -> ServiceRun:
        try:
            return service.run(request.path_params["name"])
        except KeyError as error:
            raise HTTPException(404, str(error.args[0])) from error

    async def index(request: Request) -> Response:
        if "token" in request.query_params and token is not None:
            # the token goes from the address into a cookie, so that it is in no history
            answer = RedirectResponse("/", 303)
            answer.set_cookie(_COOKIE, request.query_params["token"], httponly=True, samesite="strict")
            return answer
        return FileResponse(PAGE / "index.html")

    async def offered(request: Request) -> Response:
        return JSONResponse(choices(service.limits, folders))

    async def listed(request: Request) -> Response:
        return JSONResponse(service.runs())

    async def submit(request: Request) -> Response:
        asked = await _body(request)
        paused = bool(asked.pop("paused", False))
        run = await run_in_threadpool(lambda: service.submit(as_written(asked), paused=paused))
        return JSONResponse(run.status(), 201)

    async def opened(request: Request) -> Response:
        if not folders:
            raise HTTPException(403, "folders are opened on the machine of the server alone: textsearch studio")
        asked = await _body(request)
        run = await run_in_threadpool(lambda: service.open(str(asked.get("folder", ""))))
        return JSONResponse(run.status(), 201)

    async def status(request: Request) -> Response:
        return JSONResponse(run_of(request).status())

    async def act(request: Request) -> Response:
        run = run_of(request)
        actions: dict[str, Callable[[], None]] = {
            "resume": run.proceed,
            "step": lambda: run.proceed(1),
            "pause": run.pause,
            "stop": run.stop,
        }
        await _body(request)
        name = request.path_params["action"]
        if name not in actions:
            raise HTTPException(404, f"a run cannot {name}: choose from {', '.join(actions)}")
        await run_in_threadpool(actions[name])
        return JSONResponse(run.status())

    async def event(request: Request) -> Response:
        found = run_of(request).events.read(request.path_params["number"], 1)
        if not found:
            raise HTTPException(404, f"there is no step number {request.path_params['number']}")
        return JSONResponse(found[0])

    async def explain(request: Request) -> Response:
        run, asked = run_of(request), await _body(request)
        text, search, own = asked.get("text"), asked.get("search", 0), asked.get("input", 0)
        if not isinstance(text, str) or len(text) > service.limits.characters:
            raise ValueError(f"text must be a text of {service.limits.characters:,} characters at most")
        if not isinstance(search, int) or not isinstance(own, int):
            raise ValueError("search and input must be whole numbers")
        return JSONResponse(await run_in_threadpool(run.explain, text, search, own))

    async def numbers(request: Request) -> Response:
        run = run_of(request)
        return JSONResponse(
            await run_in_threadpool(_numbers, run, tallies.setdefault(run.name, (StepCounts(), Lock())))
        )

    async def events(request: Request) -> Response:
        first = request.query_params.get("from", "0")
        stream = _stream(run_of(request), int(first) if first.isdigit() else 0)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def taken_away(request: Request) -> Response:
        run, kind = run_of(request), request.path_params["kind"]
        if kind not in KINDS:
            raise HTTPException(404, f"there is no {kind}: choose from {', '.join(KINDS)}")
        data = await run_in_threadpool(download, run, kind)
        return Response(
            data,
            media_type=KINDS[kind],
            headers={"Content-Disposition": f'attachment; filename="{run.name}-{kind}"'},
        )

    one = "/api/runs/{name}"
    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/choices", offered),
            Route("/api/runs", listed),
            Route("/api/runs", submit, methods=["POST"]),
            Route("/api/open", opened, methods=["POST"]),
            Route(one, status),
            Route(f"{one}/do/{{action}}", act, methods=["POST"]),
            Route(f"{one}/events", events),
            Route(f"{one}/events/{{number:int}}", event),
            Route(f"{one}/explain", explain, methods=["POST"]),
            Route(f"{one}/numbers", numbers),
            Route(f"{one}/files/{{kind}}", taken_away),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[Middleware(_Guard, token=token)],
        exception_handlers={ValueError: _refused, HTTPException: _refused},
    )


async def _body(request: Request) -> dict[str, Any]:
    """The JSON of a request."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        # a form of another site can send anything but this
        raise HTTPException(415, "send application/json")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _LARGEST:
            raise HTTPException(413, f"a request has {_LARGEST:,} bytes at most")
    try:
        told = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the request is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise HTTPException(400, "the request must be a mapping of names to values")
    return told


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    return JSONResponse({"error": error.detail if isinstance(error, HTTPException) else str(error)}, status)


def _numbers(run: ServiceRun, counted: tuple[StepCounts, Lock]) -> dict[str, Any]:
    """Acceptance by move, and R-hat and effective draws as they grow."""
    counts, lock = counted
    with lock:
        while steps := run.events.read(counts.taken, _BATCH):
            counts.take(steps)
        try:
            found = counts.convergence()
        except ImportError:
            found = {"points": [], "why": ARVIZ}
        return {"acceptance": counts.acceptance(), "convergence": found}


def _steps(first: int, events: list[dict[str, Any]]) -> str:
    """Steps for a page: all in brief, the newest whole."""
    return json.dumps({"from": first, "steps": [brief(event) for event in events], "last": events[-1]})


async def _stream(run: ServiceRun, first: int) -> AsyncIterator[str]:
    """How the run stands, whenever that changes, and its steps: all in brief, the newest whole."""
    told, quiet = "", 0.0
    while True:
        status = run.status()
        while first < status["events"]:
            found = await run_in_threadpool(run.events.read, first, _BATCH)
            if not found:
                break
            first += len(found)
            data = await run_in_threadpool(_steps, first - len(found), found)
            yield f"id: {first}\nevent: steps\ndata: {data}\n\n"
        now = json.dumps(status)
        if now != told:
            told, quiet = now, 0.0
            yield f"event: status\ndata: {now}\n\n"
        elif quiet > _ALIVE:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_POLL)
        quiet += _POLL


class _Guard:
    """Lets in who brings the token, and without one only requests that are addressed to this machine."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        if refusal is not None:
            await JSONResponse({"error": refusal}, 401)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, request: Request) -> str | None:
        if self._token is None:
            # another site whose name leads here would be another host
            host = request.url.hostname or ""
            return None if is_loopback(host) else f"the host {host} is not this machine: start with --host and a token"
        brought = [
            request.headers.get("authorization", "").removeprefix("Bearer "),
            request.cookies.get(_COOKIE, ""),
            request.query_params.get("token", "") if request.url.path == "/" else "",
        ]
        if any(hmac.compare_digest(one.encode(), self._token.encode()) for one in brought):
            return None
        return "this page needs its token: open the address that the server printed"
