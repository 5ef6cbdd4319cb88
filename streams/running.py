"""Settings -> a running role, to its end; every error that ends it is one clear line."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from aiops.errors import UserError
from aiops.signals import SECOND
from streams import log_format
from streams.admin import Admin, verify
from streams.roles import IngestRole, LogRole
from streams.sender import DeliveryError
from streams.settings import Settings, faust_broker
from streams.settings_clients import client_error
from streams.tasks.assemble import AssembleTask
from streams.tasks.detect import DetectTask
from streams.tasks.respond import RespondTask
from streams.topics import needed
from streams.topics_sync import current
from streams.worker import Worker, WorkerError

log = logging.getLogger(__name__)

ROLES = ("ingest", "assemble", "detect", "respond")


def run(settings: Settings, role: str) -> int:
    """Run a role until it is told to stop; returns the exit status.

    Raises
    ------
    UserError
        It cannot begin: topics are missing, the broker does not answer, a property is wrong.
    """
    log_format.set_up(role, settings.logging.format, settings.logging.level)
    verify(Admin(settings.admin_properties()), settings, needed(settings, role))
    return _respond(settings) if role == "respond" else _worker(settings, role)


def _worker(settings: Settings, role: str) -> int:
    group = settings.group(role)
    consumer = settings.consumer_properties(group)
    with client_error(consumer):
        worker: Worker[Any] = Worker(_role(settings, role, group), consumer, settings.producer_properties())
    worker.handle_signals()
    log.info("running", extra={"group": group})
    try:
        worker.run()
    except (WorkerError, DeliveryError) as error:
        log.error("%s", error)
        return 1
    except KafkaException as error:
        log.error("kafka: %s", error.args[0].str())
        return 1
    log.info("stopped")
    return 0


def _role(settings: Settings, role: str, group: str) -> Any:
    layout, clocks = settings.layout(), settings.clocks
    if role == "ingest":
        return IngestRole(
            settings.raw,
            layout,
            group,
            _seconds(clocks.idle_after),
            clocks.tick_every / SECOND,
            sources=_told(settings),
        )
    make: Callable[[int], Any] = {
        "assemble": lambda p: AssembleTask(p, layout),
        "detect": lambda p: DetectTask(p, layout),
        "respond": lambda p: RespondTask(p, layout, settings.engine_config()),
    }[role]
    topic = {"assemble": "traces", "detect": "signals", "respond": "findings"}[role]
    reader = settings.consumer_properties(f"{group}-snapshots")
    return LogRole(
        make, topic, layout, group, settings.snapshots.every, settings.snapshots.replay_limit / SECOND,
        _seconds(clocks.hold_limit), reader,
    )  # fmt: skip


def _told(settings: Settings) -> frozenset[str]:
    """Sources that the partitions downstream know of."""
    state = current(settings)
    if state is None:
        raise UserError("no partition has been told its sources: aiops topics sync --config FILE tells them")
    return frozenset(source for of in state.sets.values() for source in of)


def _respond(settings: Settings) -> int:
    from streams.respond_app import RespondApp

    group = settings.group("respond")
    urls, credentials = faust_broker(settings)
    broker: dict[str, Any] = {"broker": urls}
    if credentials is not None:
        broker["broker_credentials"] = credentials
    consumer, producer = settings.consumer_properties(group), settings.producer_properties()
    app = RespondApp(_role(settings, "respond", group), settings.layout(), broker, consumer, producer)
    log.info("running", extra={"group": group})
    status: int = app.run()
    return status


def _seconds(duration: int | None) -> float | None:
    return None if duration is None else duration / SECOND


def supervise(path: Path) -> int:
    """All roles, a process each; when one ends, all end."""
    processes = {
        role: subprocess.Popen([sys.executable, "-m", "streams.cli", "run", "--role", role, "--config", str(path)])  # noqa: S603
        for role in ROLES
    }
    asked = 0

    def stop(_number: int, _frame: object) -> None:
        nonlocal asked
        asked += 1
        for process in processes.values():
            if asked > 1:
                process.kill()
            elif process.poll() is None:
                process.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while all(process.poll() is None for process in processes.values()):
        time.sleep(0.2)
    first = next(role for role, process in processes.items() if process.poll() is not None)
    if not asked:
        sys.stderr.write(f"aiops run: {first} ended with status {processes[first].returncode}; so do the others\n")
        stop(signal.SIGTERM, None)
    for process in processes.values():
        process.wait()
    codes: list[int] = [abs(process.returncode) for process in processes.values()]
    return max(codes)
