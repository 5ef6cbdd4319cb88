"""Records of the internal topics: a kind and a source in the headers, a value; and what a stage wants to be sent.

============ ============================================= ===========================================================
kind         value                                         meaning
============ ============================================= ===========================================================
sources      MessagePack, ``streams.control``              the set of sources that this partition waits for
items        ``streams.codec.encode_items``                spans and log lines of traces
rows         a part of ``streams.codec.encode_rows``       all that a source says about a window, in parts
findings     ``streams.codec.encode_findings``             what a detect partition found in a window of an environment
change       JSON of the change                            a deploy, a flag, ...; arrival and offset in the headers
alert        JSON of the alert                             another tool says that something is wrong; headers likewise
command      JSON of the command                           what a person says of an incident; headers likewise
notice       JSON of the notice                            something is wrong with the telemetry or the pipeline
clock        decimal Unix ns                               the source has reached this; its data comes before
straggler    the name of a source                          the source is not waited for from here on
join         the name of a source                          it is waited for again
============ ============================================= ===========================================================
"""

from __future__ import annotations

from typing import NamedTuple

VERSION = b"1"

TRACED = ("traces", "logs")  # signals whose items belong to traces
CONTROL, END = "aiops.control", b"end"  # header of a record of a raw topic that is not telemetry, and what it says

SOURCES, ITEMS, ROWS, FINDINGS = "sources", "items", "rows", "findings"
KIND_OF = {"changes": "change", "alerts": "alert", "commands": "command"}  # signal that is told -> kind of its records
SIGNAL_OF = {kind: signal for signal, kind in KIND_OF.items()}
NOTICE, CLOCK, STRAGGLER, JOIN = "notice", "clock", "straggler", "join"

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """A record of an internal topic, as a stage takes it in."""

    offset: int
    headers: dict[str, bytes]
    value: bytes

    @property
    def kind(self) -> str:
        """What the value is; empty where it does not say."""
        return self.headers.get("kind", b"").decode("utf-8", "replace")

    @property
    def source(self) -> str:
        """Who says it; empty where it does not say."""
        return self.headers.get("source", b"").decode("utf-8", "replace")


class Raw(NamedTuple):
    """A message of a raw topic."""

    offset: int
    arrival: int  # Unix ns
    key: bytes | None
    value: bytes
    headers: Headers


class Out(NamedTuple):
    """A record to be sent.

    `partition`: None leaves the choice to the producer's partitioner, which hashes `key`.
    """

    topic: str
    partition: int | None
    value: bytes | None
    headers: Headers
    key: bytes | None = None


class Refused(ValueError):  # noqa: N818 - what happened to the record, as in aiops.columns.Refusal
    """A record of an internal topic that cannot be read; the message says why."""


def headers_of(kind: str, source: str, more: Headers | None = None) -> Headers:
    """Headers of an internal record."""
    return [("kind", kind.encode()), ("v", VERSION), ("source", source.encode()), *(more or [])]


def clock_record(topic: str, partition: int, source: str, clock: int) -> Out:
    """`source` has reached `clock` (Unix ns)."""
    return Out(topic, partition, b"%d" % clock, headers_of(CLOCK, source))


def clock_of(record: Record) -> int:
    """Unix ns of a clock record.

    Raises
    ------
    Refused
    """
    try:
        clock = int(record.value)
    except ValueError:
        raise Refused(f"clock {record.value[:32]!r} is no whole number") from None
    if not -1 <= clock < 1 << 62:
        raise Refused(f"clock {clock} is outside 1970-01-01 .. 2116-02-20")
    return clock
