"""A store, a backend and tokens -> the web application: operations, events, the page and its files.

Without a token there is nothing but ``/healthz`` and the files of the page, which hold no data.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from aiops.codec import encode
from streams.api import commanding, incidents, openapi, problem, surroundings
from streams.api.events import Events, TooManyError
from streams.api.guards import Guard, json_body
from streams.api.operations import Backend, Call, Operation
from streams.api.problem import RefusedError
from streams.api.requests import parse
from streams.api.tokens import Caller, Tokens
from streams.console import files
from streams.history.store import Store

log = logging.getLogger(__name__)

OPERATIONS: tuple[Operation, ...] = (*incidents.OPERATIONS, *commanding.OPERATIONS, *surroundings.OPERATIONS)
_NAME = re.compile(openapi.NAME)
_NUMBER = re.compile(r"[0-9]{1,19}")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="aiops"'}
_JSON = "application/json"


def application(store: Store, backend: Backend, tokens: Tokens) -> Starlette:
    """The application."""
    events = Events(store)
    document = msgspec.json.encode(openapi.document(OPERATIONS))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(events.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def described(request: Request) -> Response:
        _let_in(request, tokens)
        return Response(document, media_type=_JSON)

    paths: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        paths.setdefault(openapi.BASE + operation.path, {})[operation.method] = operation
    routes = [
        Route("/healthz", partial(_health, store), methods=["GET"]),
        Route(openapi.BASE + "/openapi.json", described, methods=["GET"]),
        Route(openapi.BASE + "/events", partial(_stream, events, tokens), methods=["GET"]),
    ]
    for path, of in paths.items():
        endpoint = partial(_operate, of, store, backend, tokens, events)
        routes.append(Route(path, endpoint, methods=sorted(of)))
    routes += [Route("/" + name, partial(_file, name), methods=["GET"]) for name in files.NAMES]
    routes.append(Route("/", partial(_file, files.PAGE), methods=["GET"]))
    handlers: dict[Any, Callable[..., Any]] = {RefusedError: _refused, HTTPException: _http, SQLAlchemyError: _store}
    app = Starlette(routes=routes, middleware=[Middleware(Guard)], exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False  # it would lead to whatever host the request names
    return app


async def _operate(
    of: dict[str, Operation], store: Store, backend: Backend, tokens: Tokens, events: Events, request: Request
) -> Response:
    caller = _let_in(request, tokens)
    operation = of["GET" if request.method == "HEAD" else request.method]
    if operation.role == "operator" and caller.role != "operator":
        raise RefusedError(403, f"{operation.name} needs the role operator; {caller.name} is a {caller.role}")
    for value in request.path_params.values():
        if not _NAME.fullmatch(value):
            raise RefusedError(404, "there is nothing of that name")
    query, body = parse(operation.query, request.query_params.multi_items()), None
    if operation.body is not None:
        body = _read(operation.body, await json_body(request))
    loop = asyncio.get_running_loop()

    def commanded(name: str) -> None:
        loop.call_soon_threadsafe(events.commanded, name)

    call = Call(
        store=store, backend=backend, caller=caller, client=request.client.host if request.client else "",
        path=dict(request.path_params), query=query, body=body,
        commanded=commanded,
    )  # fmt: skip
    answer = await run_in_threadpool(operation.run, call)
    return Response(encode(answer), operation.status, media_type=_JSON)


def _read(kind: type[msgspec.Struct], body: bytes) -> msgspec.Struct:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(422 if isinstance(error, msgspec.ValidationError) else 400, f"body: {error}") from None


def _let_in(request: Request, tokens: Tokens) -> Caller:
    given = request.headers.getlist("authorization")
    caller = tokens.caller(given[0]) if len(given) == 1 else None
    if caller is None:
        raise RefusedError(401, "a bearer token that is known is expected", _CHALLENGE)
    return caller


async def _stream(events: Events, tokens: Tokens, request: Request) -> Response:
    _let_in(request, tokens)
    after = request.headers.get("last-event-id")
    if after is not None and not _NUMBER.fullmatch(after):
        raise RefusedError(400, "Last-Event-ID: the number of an event is expected")
    told = events.listen(None if after is None else min(int(after), (1 << 63) - 1))
    try:
        first = await anext(told)
    except TooManyError:
        raise RefusedError(503, "too many listen already", {"Retry-After": "30"}) from None

    async def body() -> AsyncIterator[bytes]:
        async with contextlib.aclosing(told):
            yield first
            async for event in told:
                yield event

    return StreamingResponse(body(), media_type="text/event-stream")


def _health(store: Store, _request: Request) -> Response:
    try:
        store.clock()
    except SQLAlchemyError:
        return Response("the store cannot be read\n", 503, media_type="text/plain")
    return Response("ok\n", media_type="text/plain")


def _file(name: str, request: Request) -> Response:
    file = files.FILES[name]
    headers = {"etag": file.tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.kind, headers=headers)


def _refused(_request: Request, error: RefusedError) -> Response:
    return error.response()


def _http(_request: Request, error: HTTPException) -> Response:
    said = {404: "there is nothing at this address", 405: "this method is not for this address"}
    return problem.response(error.status_code, said.get(error.status_code, error.detail), dict(error.headers or {}))


def _store(request: Request, error: SQLAlchemyError) -> Response:
    log.error("the store cannot be used", extra={"path": request.url.path}, exc_info=error)
    return problem.response(503, "the store cannot be used", {"Retry-After": "5"})
