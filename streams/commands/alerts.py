"""``aiops alerts``: take alerts of other tools by HTTP, and write them where the engine reads them."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import time
from pathlib import Path

import msgspec

from aiops.errors import UserError
from aiops.records import Alert, encode
from aiops.told import partition_key
from streams import log_format
from streams.health import parse_address
from streams.receiver import AlertServer, Hand
from streams.settings import Settings, load

log = logging.getLogger(__name__)

PATIENCE = 8.0  # seconds for Kafka to take alerts: less than senders wait


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the action and its options."""
    parser.description = "Take alerts of Alertmanager, Grafana and other tools by HTTP, until SIGTERM."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    receive = actions.add_parser("receive", help="listen where the section receiver of the configuration says")
    receive.add_argument("--config", required=True, type=Path, metavar="FILE", help="settings (docs/configuration.md)")
    receive.add_argument("--http", metavar="HOST:PORT", help="where to listen, instead of receiver in the settings")
    receive.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="append to this file, an alerts.jsonl of a recording, instead of Kafka",
    )


def run(args: argparse.Namespace) -> int:
    """Listen until SIGTERM or SIGINT.

    Raises
    ------
    UserError
    """
    settings = load(args.config)
    receiver = settings.receiver
    if args.http is not None:
        host, port = parse_address(args.http)
        receiver = msgspec.structs.replace(receiver, host=host, port=port)
        receiver.__post_init__()  # the address may need a token now
    log_format.set_up("alerts", settings.logging.format, settings.logging.level)
    hand = _to_file(args.file) if args.file is not None else _to_kafka(settings)
    server = AlertServer(receiver, hand)
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: asked.set())
    server.start()
    try:
        asked.wait()
    finally:
        server.stop()
    return 0


def _to_file(path: Path) -> Hand:
    lock = threading.Lock()

    def hand(alerts: list[Alert]) -> bool:
        with lock, path.open("ab") as file:
            file.write(b"".join(encode(alert) + b"\n" for alert in alerts))
        return True

    return hand


def _to_kafka(settings: Settings) -> Hand:
    from confluent_kafka import KafkaError, KafkaException, Message, Producer

    from streams.clients_common import Connection

    topic = next((raw.topic for raw in settings.raw if raw.signal == "alerts"), None)
    if topic is None:
        raise UserError("raw names no topic of alerts: there is nowhere to write them")
    # A sender that is not answered comes again: what cannot be delivered soon is given up, and the sender told.
    limit = {"delivery.timeout.ms": str(int(PATIENCE * 1000)), "linger.ms": "0"}
    connection = Connection(Producer, {**settings.producer_properties(), **limit})
    connection.partitions(topic)
    producer: Producer = connection.client

    def hand(alerts: list[Alert]) -> bool:
        came: list[KafkaError | None] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            came.append(error)

        until = time.monotonic() + PATIENCE + 1
        try:
            for alert in alerts:
                producer.produce(topic, encode(alert), partition_key(alert).encode(), on_delivery=delivered)
        except (BufferError, KafkaException) as error:
            log.warning("kafka: %s", error)
            return False
        while len(came) < len(alerts) and time.monotonic() < until:
            producer.poll(0.05)
        failed = [error for error in came if error is not None]
        if failed or len(came) < len(alerts):
            log.warning("kafka: %s", failed[0].str() if failed else "no acknowledgement")
            return False
        return True

    return hand
