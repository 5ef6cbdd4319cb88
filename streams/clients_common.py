"""What commands and programs that only produce or only read share: where the cluster is, and what it says in trouble."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from aiops.errors import UserError
from streams.settings import Settings, load
from streams.settings_clients import client_error, without_secrets

PATIENCE = 10.0  # seconds to wait for a first answer of a cluster
_silent = logging.getLogger("streams.librdkafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False  # librdkafka's own lines would stand between those of the command


class NoAnswerError(UserError):
    """The cluster does not answer; it may later."""


class Connection:
    """A client and what it complained about last: a failed request says that it failed, but not why.

    Parameters
    ----------
    make : callable
        ``Producer``, ``Consumer`` or ``AdminClient``.
    properties : mapping
        Of librdkafka.
    """

    def __init__(self, make: Callable[..., Any], properties: Mapping[str, Any]) -> None:
        self._properties = properties
        self.complaint = ""
        with client_error(properties):
            self.client = make({**properties, "error_cb": self._complained, "logger": _silent})

    def failed(self, what: str, error: KafkaError | KafkaException) -> UserError:
        """The error to raise where a request failed."""
        # Complaints are handed over in poll, which must not take a record away: a consumer that reads had them before.
        if not isinstance(self.client, Consumer) or not self.client.assignment():
            self.client.poll(0)
        inner = error.args[0] if isinstance(error, KafkaException) else error
        said = inner.str() if isinstance(inner, KafkaError) else str(inner)
        why = f"{said} ({self.complaint})" if self.complaint and self.complaint != said else said
        return UserError(f"{what}: {without_secrets(why, self._properties)}")

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises
        ------
        NoAnswerError
        UserError
            The cluster has no such topic, or does not let us see it.
        """
        try:
            found = self.client.list_topics(topic, timeout=PATIENCE).topics[topic]
        except KafkaException as error:
            servers = self._properties.get("bootstrap.servers", "")
            raise NoAnswerError(self.failed(f"no answer from Kafka at {servers}", error)) from None
        if found.error is not None:
            if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise UserError(f"topic {topic!r} does not exist: aiops topics create makes it")
            raise UserError(f"topic {topic!r}: {found.error.str()}")
        return len(found.partitions)

    def _complained(self, error: KafkaError) -> None:
        # That all brokers are down is said after every complaint that says why.
        if error.name() != "_ALL_BROKERS_DOWN" or not self.complaint:
            self.complaint = error.str()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--bootstrap`` and ``--config``, one of which says where the cluster is."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--bootstrap", metavar="HOST:PORT", help="a broker; all else is as without a configuration")
    where.add_argument("--config", type=Path, metavar="FILE", help="the configuration that the roles run with")


def settings_of(args: argparse.Namespace) -> Settings:
    """Settings of the file that was given, or the defaults."""
    if args.config is not None:
        return load(args.config)
    return Settings(kafka={"bootstrap.servers": args.bootstrap})
