"""The windowing of metrics by Faust alone and by quixstreams: the programs that `benchmarks.kafka_peers` measures.

    python -m benchmarks.kafka_peer_jobs NAME BOOTSTRAP TOPIC_IN TOPIC_OUT MESSAGES

It needs nothing of the engine, so that a peer may have an environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks import plain_protobuf

PARTITIONS = 4
CHUNK = 1_000  # cells of a message that goes out


class Windows:
    """The job of a peer for one partition: payloads in, JSON of closed windows out."""

    def __init__(self) -> None:
        self._work = plain_protobuf.Metrics()

    def take(self, payload: bytes, arrival: int) -> list[bytes]:
        """Take in a message that arrived at `arrival` (Unix ns)."""
        self._work.process(payload, arrival)
        out = []
        for window, cells in self._work.sealed:
            rows = [[hash(key), *cell[:9]] for key, cell in cells.items()]
            out += [json.dumps([window, rows[i : i + CHUNK]]).encode() for i in range(0, len(rows), CHUNK)]
        self._work.sealed.clear()
        return out


def faust_app(bootstrap: str, source: str, to: str, most: int) -> None:
    """One agent; leaves after so many messages, or at once where there are none."""
    import faust

    app: Any = faust.App(
        f"{to}-faust", broker=f"kafka://{bootstrap}", store="memory://", topic_partitions=PARTITIONS,
        topic_allow_declare=False, topic_disable_leader=True, consumer_auto_offset_reset="earliest", web_enabled=False,
        producer_acks=-1, producer_compression_type="lz4", stream_wait_empty=False, producer_max_request_size=16 << 20,
        datadir=tempfile.mkdtemp(prefix="faust-bench-"),
    )  # fmt: skip
    topic = app.topic(source, value_type=bytes, value_serializer="raw", partitions=PARTITIONS)
    below = app.topic(to, value_type=bytes, value_serializer="raw", partitions=PARTITIONS)
    windows, seen = [Windows() for _ in range(PARTITIONS)], [0]

    async def work(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            for value in windows[message.partition].take(message.value, round(message.timestamp * 1e9)):
                await below.send(value=value)
            seen[0] += 1
            if seen[0] >= most:
                await app.producer.flush()
                _leave(seen[0])

    async def nothing() -> None:
        if most == 0:
            _leave(0)

    app.agent(topic, name="windows")(work)
    app.task(nothing)
    sys.argv = ["faust", "worker", "-l", "warn", "--without-web"]
    app.main()


def quixstreams_app(bootstrap: str, source: str, to: str, most: int) -> None:
    """A streaming dataframe with a function of our own."""
    from quixstreams import Application

    app = Application(
        broker_address=bootstrap, consumer_group=f"{to}-quixstreams", auto_offset_reset="earliest",
        auto_create_topics=False, state_dir=tempfile.mkdtemp(prefix="quixstreams-bench-"), loglevel="WARNING",
        producer_extra_config={"compression.type": "lz4", "message.max.bytes": 16 << 20},
    )  # fmt: skip
    topic = app.topic(source, value_deserializer="bytes", key_deserializer="bytes")
    below = app.topic(to, value_serializer="bytes", key_serializer="bytes")
    windows: dict[int, Windows] = {}

    def take(value: bytes, _key: Any, timestamp: int, _headers: Any) -> list[bytes]:
        from quixstreams import message_context

        of = windows.setdefault(message_context().partition, Windows())
        return of.take(value, timestamp * 1_000_000)

    frame = app.dataframe(topic).apply(take, expand=True, metadata=True)
    frame.to_topic(below, key=lambda _value: b"")
    if most:
        app.run(count=most, timeout=60.0)
    else:
        app.run(timeout=0.5)
    _leave(most)


def _leave(messages: int) -> None:
    """Say how much was done, and go without a farewell, which would be timed; Faust makes log lines of sys.stdout."""
    os.write(1, b"\n%d\n" % messages)
    os._exit(0)


def main() -> None:
    """Run a peer."""
    name, bootstrap, source, to, most = sys.argv[1:]
    run: Callable[[str, str, str, int], None] = {"faust": faust_app, "quixstreams": quixstreams_app}[name]
    run(bootstrap, source, to, int(most))


if __name__ == "__main__":
    main()
