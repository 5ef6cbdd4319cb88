"""Settings -> a running role, to its end; every error that ends it is one clear line."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from aiops.errors import UserError
from aiops.signals import SECOND
from streams import log_format
from streams.acls import admit
from streams.health import Health, Server, address, somebody_owns
from streams.metrics import Metrics
from streams.past import ReadError
from streams.progress import WorkerError
from streams.records import Refused
from streams.roles import IngestRole, LogRole
from streams.sender import DeliveryError
from streams.settings import Http, Settings, faust_broker
from streams.settings_clients import client_error
from streams.tasks.assemble import AssembleTask
from streams.tasks.detect import DetectTask
from streams.tasks.respond import RespondTask
from streams.topics_sync import current
from streams.worker import Worker

log = logging.getLogger(__name__)

ROLES = ("ingest", "assemble", "detect", "respond")
LAST_PORT = 65_535


def run(settings: Settings, role: str) -> int:
    """Run a role until it is told to stop; returns the exit status.

    Raises
    ------
    UserError
        It cannot begin: topics are missing, the broker does not answer, a property is wrong.
    """
    log_format.set_up(role, settings.logging.format, settings.logging.level)
    health = Health(Metrics(role, settings.engine_config().digest()))
    server = Server(health, settings.http.host, settings.http.port)
    server.start()
    try:
        admit(settings, role)
        return (_respond if role == "respond" else _worker)(settings, role, health)
    finally:
        server.stop()


def _worker(settings: Settings, role: str, health: Health) -> int:
    group = settings.group(role)
    consumer = settings.consumer_properties(group)
    with client_error(consumer):
        worker: Worker[Any] = Worker(
            _role(settings, role, group, health), consumer, settings.producer_properties(), observer=health
        )
    worker.handle_signals()
    health.follow(lambda: worker.looped)
    health.watch(partial(somebody_owns, settings.admin_properties(), group))
    log.info("running", extra={"group": group})
    try:
        worker.run()
    except (WorkerError, DeliveryError, ReadError, Refused) as error:
        log.error("%s", error)
        return 1
    except KafkaException as error:
        log.error("kafka: %s", error.args[0].str())
        return 1
    log.info("stopped")
    return 0


def _role(settings: Settings, role: str, group: str, health: Health) -> Any:
    layout, clocks = settings.layout(), settings.clocks
    if role == "ingest":
        return IngestRole(
            settings.inputs(),
            layout,
            group,
            _seconds(clocks.idle_after),
            clocks.tick_every / SECOND,
            sources=partial(_told, settings),
            observer=health,
        )
    make: Callable[[int], Any] = {
        "assemble": lambda p: AssembleTask(p, layout),
        "detect": lambda p: DetectTask(p, layout, settings.engine_config()),
        "respond": lambda p: RespondTask(p, layout, settings.engine_config()),
    }[role]
    topic = {"assemble": "traces", "detect": "signals", "respond": "findings"}[role]
    reader = settings.consumer_properties(f"{group}-snapshots")
    return LogRole(
        make, topic, layout, group, settings.snapshots.every, settings.snapshots.replay_limit / SECOND,
        _seconds(clocks.hold_limit), reader, health,
    )  # fmt: skip


def _told(settings: Settings) -> frozenset[str]:
    """Sources that the partitions downstream know of."""
    state = current(settings)
    if state is None or not all(state.told.get(name) for name in state.sets):
        raise UserError("not every partition has been told its sources: aiops topics sync --config FILE tells them")
    return frozenset(source for of in state.sets.values() for source in of)


def _respond(settings: Settings, role: str, health: Health) -> int:
    from streams.respond_app import RespondApp

    group = settings.group(role)
    urls, credentials = faust_broker(settings)
    broker: dict[str, Any] = {"broker": urls}
    if credentials is not None:
        broker["broker_credentials"] = credentials
    consumer, producer = settings.consumer_properties(group), settings.producer_properties()
    with client_error(consumer):
        app = RespondApp(
            _role(settings, role, group, health), settings.layout(), broker, consumer, producer,
            health,
        )  # fmt: skip
    health.follow(app.turned)
    health.watch(partial(somebody_owns, settings.admin_properties(), group))
    log.info("running", extra={"group": group})
    status: int = app.run()
    return status


def _seconds(duration: int | None) -> float | None:
    return None if duration is None else duration / SECOND


def supervise(path: Path, http: Http) -> int:
    """All roles, a process each, answering at ports one after the other from `http`; when one ends, all end.

    Raises
    ------
    UserError
        There are not so many ports.
    """
    last = http.port + len(ROLES) - 1
    if http.port and last > LAST_PORT:
        raise UserError(f"http: {len(ROLES)} roles need ports {http.port} to {last}, and the last one is {LAST_PORT}")
    places = {role: address(http.host, http.port + i if http.port else 0) for i, role in enumerate(ROLES)}
    command = [sys.executable, "-m", "streams.cli", "run", "--config", str(path)]
    processes: dict[str, subprocess.Popen[bytes]] = {}
    asked: list[int] = []

    def stop(number: int, _frame: object) -> None:
        asked.append(number)
        for process in processes.values():
            if len(asked) > 1:
                process.kill()
            elif process.poll() is None:
                process.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    for role, place in places.items():
        # A group of its own: a terminal's Ctrl-C would reach it too, and a second signal means at once.
        processes[role] = subprocess.Popen([*command, "--role", role, "--http", place], process_group=0)  # noqa: S603
    if asked:  # while they were started: some have not heard of it, and none has begun
        stop(asked.pop(), None)
    while all(process.poll() is None for process in processes.values()):
        time.sleep(0.2)
    first = next(role for role, process in processes.items() if process.poll() is not None)
    told = bool(asked)
    if not told:
        sys.stderr.write(f"aiops run: {first} ended with status {processes[first].returncode}; so do the others\n")
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
    codes = {role: _status(process.wait()) for role, process in processes.items()}
    if len(asked) > 1:
        return 128 + asked[1]
    return max(codes.values()) if told else codes[first]


def _status(code: int) -> int:
    """As a shell says it: 128 and the number of the signal that ended a process."""
    return code if code >= 0 else 128 - code
