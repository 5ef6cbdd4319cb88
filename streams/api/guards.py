"""What every request passes and every answer carries: limits on sizes, strict types, headers that a browser obeys.

Plain ASGI, so that a stream of events passes through as it comes.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.api.problem import RefusedError

LONGEST_BODY = 64 << 10  # bytes
LONGEST_QUERY = 4_096
MOST_HEADERS = 100

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Refuses what is too large before anything reads it, and gives every answer its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI wants it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            _look(scope)
        except RefusedError as error:
            await error.response()(scope, receive, dressed)
            return
        await self.app(scope, receive, dressed)


def _look(scope: Scope) -> None:
    if len(scope.get("query_string", b"")) > LONGEST_QUERY or len(scope.get("raw_path") or b"") > LONGEST_QUERY:
        raise RefusedError(414, f"the address is longer than {LONGEST_QUERY} bytes")
    if len(scope["headers"]) > MOST_HEADERS:
        raise RefusedError(431, f"more than {MOST_HEADERS} headers")
    length = Headers(scope=scope).get("content-length")
    if length is not None and (not length.isascii() or not length.isdigit() or int(length) > LONGEST_BODY):
        raise RefusedError(413, f"a body has at most {LONGEST_BODY} bytes")


async def json_body(request: Request) -> bytes:
    """The body of a request that says that it is JSON.

    Raises
    ------
    RefusedError
        Another type or encoding, or too much of it, whatever its length was said to be.
    """
    kind, _, parameter = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json" or parameter.strip().lower() not in ("", "charset=utf-8"):
        raise RefusedError(415, "content-type: application/json is expected")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(415, "content-encoding: a body that is not compressed is expected")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise RefusedError(413, f"a body has at most {LONGEST_BODY} bytes")
    return bytes(body)
