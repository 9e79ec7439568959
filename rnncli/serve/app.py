"""The HTTP side: addresses, JSON in and out, server-sent events, the page. Starlette's."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rnncli.errors import RnncliError
from rnncli.models.held import Held
from rnncli.output import encoded, json_text
from rnncli.serve.requests import SampleOf, checked
from rnncli.serve.tasks import Sampling, Service, service_of
from rnncli.serve.worker import Overloaded, Worker

MOST_BYTES = 16 * 2**20  # of a request's body
_JSON = "application/json"
_LEFT = 499  # what servers note where a client has left; nobody receives it


def application(model: Any, held: Held, hosts: list[str]) -> Starlette:
    """A model as a web application.

    Args:
        model: what `rnncli.load` gives.
        held: what its checkpoint says.
        hosts: the names under which it may be asked, so that no other page in a browser asks it.

    Raises RnncliError: the model cannot be served.
    """
    worker = Worker()
    service = service_of(model, held.task, worker)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await worker.run(service.warm)
        yield
        worker.shutdown()

    async def page(_: Request) -> Response:
        text = resources.files("rnncli.serve").joinpath("page.html").read_text(encoding="utf-8")
        return HTMLResponse(text, headers={"Content-Security-Policy": "default-src 'self' 'unsafe-inline'"})

    async def describe(_: Request) -> Response:
        about = {"model": held.path.resolve().name, "task": held.task, "path": service.path, "figure": str(held.figure)}
        return _json({**about, **service.describe(), "config": held.config, "scores": held.scores})

    async def healthy(_: Request) -> Response:
        return _json({"status": "ok"})

    routes = [
        Route("/", page),
        Route("/model", describe),
        Route("/health", healthy),
        Route(service.path, partial(_answer, service), methods=["POST"]),
    ]
    served = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={RnncliError: _at_fault, Overloaded: _overloaded, HTTPException: _refused},
    )
    served.state.close = worker.close
    return served


async def _answer(service: Service, request: Request) -> Response:
    body = await _body(request)
    if isinstance(service, Sampling) and (body.get("stream") is True or _asks_for_events(request)):
        wanted = checked(SampleOf, body)
        events = service.stream(wanted)
        first = await anext(events)  # what is wrong with the request is said by the status
        return StreamingResponse(_events(first, events), media_type="text/event-stream")
    answer = asyncio.create_task(service.answer(body))  # pyright: ignore[reportArgumentType]
    gone = asyncio.create_task(_gone(request))
    await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not answer.done():  # nobody waits for it
        answer.cancel()
        return Response(status_code=_LEFT)
    return await asyncio.to_thread(_json, answer.result())  # which may be long, and others wait


async def _gone(request: Request) -> None:
    """Until the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request. Raises HTTPException: there is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise HTTPException(415, f"send JSON, and say so: Content-Type: {_JSON}")
    raw = bytearray()
    try:
        async for piece in request.stream():
            raw += piece
            if len(raw) > MOST_BYTES:
                raise HTTPException(413, f"the request has more than {MOST_BYTES // 2**20} MiB; send it in parts")
    except ClientDisconnect as error:
        raise HTTPException(_LEFT, "the client has left") from error
    return await asyncio.to_thread(_parsed, bytes(raw))


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw.decode())
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise HTTPException(400, "the request has half of a surrogate pair, which is no character") from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the request is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "the request has to be a JSON object")
    return body


def _asks_for_events(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")


async def _events(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    """Server-sent events: `text` for each piece, `done` at last."""
    yield _event(first)
    async for piece in rest:
        yield _event(piece)


def _event(piece: dict[str, Any]) -> str:
    return f"event: {'done' if 'stopped' in piece else 'text'}\ndata: {json_text(piece)}\n"


def _json(document: Mapping[str, Any]) -> Response:
    return Response(encoded(json_text(document)), media_type=_JSON)


async def _at_fault(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": " ".join(str(error).split())}, 422)


async def _overloaded(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": "too many requests wait; come again"}, 503, {"Retry-After": "1"})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
