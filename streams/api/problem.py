"""What is refused, as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.responses import Response


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused; ``detail`` says what to do about it."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class RefusedError(Exception):
    """A request that is refused.

    Parameters
    ----------
    status : int
        4xx or 503.
    headers : dict, optional
        Of the answer.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers

    def response(self) -> Response:
        """The answer."""
        return response(self.status, self.detail, self.headers)


def response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says what is wrong."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(msgspec.json.encode(problem), status, headers, "application/problem+json")
