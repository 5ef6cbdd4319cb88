"""An application -> an address at which it answers, until the process is told to stop."""

from __future__ import annotations

import socket
import sys

import uvicorn
from starlette.applications import Starlette

from aiops.errors import UserError
from streams.health import address

CONNECTIONS = 256
GRACE = 2  # seconds for answers that are under way; streams of events never end by themselves


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises
    ------
    UserError
        The address is taken, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches the delay of small packets off only where the protocol is named: 40 ms a request.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UserError(
            f"http: {address(host, port)}: {error.strerror or error}; --http HOST:PORT names another"
        ) from None
    listening.listen(128)
    return listening


def server(app: Starlette) -> uvicorn.Server:
    """A server for the application; ``run(sockets=[...])`` serves until a signal."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who calls is who connects: a header could say anything
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=32 << 10,
        lifespan="on",
    )
    return uvicorn.Server(config)


def announce(host: str, listening: socket.socket, token: str | None) -> None:
    """Say where it is; a token stands behind the #, which browsers send to nobody."""
    where = f"http://{address(host, listening.getsockname()[1])}/"
    sys.stderr.write(f"console at {where}{f'#token={token}' if token else ''}\n")
    sys.stderr.flush()
