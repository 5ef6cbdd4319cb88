"""``aiops console``: incidents of a recording or of the roles' topics, on a page and through an API."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiops.cli import _positive, compile_once
from aiops.errors import UserError

if TYPE_CHECKING:
    from streams.api.tokens import Role, Token
    from streams.history.store import Store

_SIMULATED = ("metrics", "traces", "logs", "changes")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``console``."""
    parser.description = (
        "Serve incidents on a page and through an HTTP API: of a recording, which an engine in this process replays, or of "
        "the topics that the roles write."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="a recording, as of aiops replay")
    what.add_argument("--config", type=Path, metavar="FILE", help="the configuration that the roles run with")
    what.add_argument("--new-token", metavar="NAME", help="print a new token and what to write into the configuration")
    parser.add_argument(
        "--role", choices=("reader", "operator"), default="reader", help="of the new token (default: reader)"
    )
    parser.add_argument(
        "--speed", type=_positive, default=0.0, metavar="N", help="DIR: N times real time (default: as fast)"
    )
    parser.add_argument("--commands", type=Path, metavar="FILE", help="DIR: append what is commanded to this file")
    parser.add_argument(
        "--history", metavar="URL", help="database (default: that of the configuration; DIR: a temporary one)"
    )
    _http(parser)


def configure_demo(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``demo`` that begin a console."""
    parser.add_argument("--console", action="store_true", help="show it on a page instead of printing it")
    _http(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status.

    Raises
    ------
    UserError
    """
    if args.new_token is not None:
        return _new_token(args.new_token, args.role)
    if args.config is not None:
        return _on_kafka(args)
    return _of_recording(args)


def demo(args: argparse.Namespace) -> int:
    """Serve a simulated day.

    Raises
    ------
    UserError
    """
    compile_once()
    from aiops.demo import MINUTES, RATE, SEED, live_messages, recorded_messages, simulation

    minutes, rate = args.minutes or MINUTES, args.rate or RATE
    seed = SEED if args.seed is None else args.seed
    try:
        simulated = simulation(seed, minutes, rate, time.time() if args.live else None)
    except ValueError as error:
        raise UserError(str(error)) from None
    messages = live_messages(simulated) if args.live else recorded_messages(simulated)
    sources = {f"{signal}/0": signal for signal in _SIMULATED}
    return _embedded(args, messages, sources, speed=1.0 if args.live else 0.0)


def _http(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--http", metavar="HOST:PORT", help="where it answers (default: 127.0.0.1:8080); port 0: any free one"
    )


def _new_token(name: str, role: Role) -> int:
    from streams.api.tokens import Token, digest, new, problems

    token = new()
    entry = Token(name=name, sha256=digest(token).hex(), role=role)
    if found := problems([entry]):
        raise UserError("; ".join(found))
    print(f"token, shown this once: {token}")
    print("for the configuration:")
    print(f"console:\n  tokens:\n    - {{name: {_quoted(name)}, role: {role}, sha256: {entry.sha256}}}")
    return 0


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)  # a text of JSON is one of YAML


def _of_recording(args: argparse.Namespace) -> int:
    from aiops.recording import Recording

    recording = Recording(args.folder)
    compile_once()

    def progress() -> float | None:
        return min(1.0, recording.read / recording.size) if recording.size else None

    return _embedded(args, recording.messages(), recording.sources, args.speed, args.commands, progress)


def _embedded(
    args: argparse.Namespace, messages: Iterator[Any], sources: dict[str, str], speed: float = 0.0,
    commands: Path | None = None, progress: Any = lambda: None,
) -> int:  # fmt: skip
    from aiops.wire import keep_memory
    from streams.api.tokens import Tokens
    from streams.console.embedded import Embedded
    from streams.history.store import Store

    keep_memory()
    token, tokens = _made("you", "operator")
    with _database(getattr(args, "history", None)) as url:
        store = Store(url)
        backend = Embedded(store, messages, sources, speed=speed, commands=commands, progress=progress)
        return _serve(store, backend, Tokens(tokens), _address(args, "127.0.0.1", 8080), token)


def _on_kafka(args: argparse.Namespace) -> int:
    from streams.api.tokens import Tokens
    from streams.console.cluster import Cluster
    from streams.history.store import Store
    from streams.settings import load

    settings = load(args.config)
    config = settings.console
    token, tokens = (None, config.tokens) if config.tokens else _made("anybody", "reader")
    store = Store(args.history or config.history)
    return _serve(store, Cluster(settings, store), Tokens(tokens), _address(args, config.host, config.port), token)


def _serve(store: Store, backend: Any, tokens: Any, where: tuple[str, int], token: str | None) -> int:
    from streams.api.app import application
    from streams.console.serving import announce, bound, server

    listening = bound(*where)
    serving = server(application(store, backend, tokens))
    backend.start()
    announce(where[0], listening, token)
    try:
        serving.run(sockets=[listening])
    finally:
        backend.stop()
        store.close()
    return 0


def _made(name: str, role: Role) -> tuple[str, list[Token]]:
    """A token for this run alone."""
    from streams.api.tokens import Token, digest, new

    token = new()
    return token, [Token(name=name, sha256=digest(token).hex(), role=role)]


def _address(args: argparse.Namespace, host: str, port: int) -> tuple[str, int]:
    from streams.health import parse_address

    return (host, port) if args.http is None else parse_address(args.http)


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="aiops-console-", ignore_cleanup_errors=True) as folder:
        yield f"sqlite:///{folder}/history.db"
