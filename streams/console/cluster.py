"""The topics of the roles -> the store, and commands to the topic of commands: the backend of a console on Kafka."""

from __future__ import annotations

import logging
import threading
import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from aiops.errors import UserError
from aiops.records import Command, encode, rfc3339
from streams.api.operations import Status
from streams.clients_common import PATIENCE, Connection
from streams.history.follow import Follower
from streams.history.retention import Forgetting
from streams.history.store import Store
from streams.settings import Settings

log = logging.getLogger(__name__)

AGAIN = 5.0  # seconds before topics that could not be read are tried again


class Cluster:
    """Follows the topics in a thread, and commands.

    Parameters
    ----------
    settings : Settings
        The roles' configuration.

    Raises
    ------
    UserError
        The cluster does not answer, or a topic is not there or may not be read.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._forgetting = Forgetting(store, settings.console.retention)
        self._follower = Follower(settings, store, self._forgetting)
        self._topic = settings.topic("commands")
        self._connection = Connection(Producer, settings.producer_properties())
        self._stop = threading.Event()
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="topics", daemon=True)

    def status(self) -> Status:
        """How it stands."""
        behind = {f"{topic}/{partition}": n for (topic, partition), n in sorted(self._follower.behind.items())}
        return Status(
            kind="kafka", now=rfc3339(self.now()), trouble=self._trouble, refused=self._follower.refused, behind=behind,
        )  # fmt: skip

    def now(self) -> int:
        """Wall clock, Unix ns."""
        return time.time_ns()

    def send(self, command: Command) -> None:
        """Write a command to its topic, and wait until it is there.

        Raises
        ------
        UserError
        """
        producer: Producer = self._connection.client
        answers: list[KafkaError | None] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            answers.append(error)

        key = (command.incident_id or command.environment).encode()
        try:
            producer.produce(self._topic, encode(command), key, on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            raise UserError(f"{self._topic} does not take it: {error}") from None
        until = time.monotonic() + PATIENCE
        while not answers and time.monotonic() < until:
            producer.poll(0.1)
        if not answers:
            raise UserError(f"{self._topic}: no acknowledgement after {PATIENCE:g} s; it may still be taken")
        if answers[0] is not None:
            raise self._connection.failed(f"{self._topic} does not take it", answers[0])

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the cluster."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self._connection.client.flush(PATIENCE)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follower.step(0.5)
                self._trouble = None
            except Exception as error:  # noqa: BLE001 - the page goes on with what it has, and says why nothing comes
                self._trouble = str(error)
                log.warning("the topics cannot be followed: %s", error)
                self._follower.close()
                if not self._stop.wait(AGAIN):
                    self._begin_again()
        self._follower.close()

    def _begin_again(self) -> None:
        while not self._stop.is_set():
            try:
                self._follower = Follower(self._settings, self._store, self._forgetting)
            except UserError as error:
                self._trouble = str(error)
                self._stop.wait(AGAIN)
            else:
                return
