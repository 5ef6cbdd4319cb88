"""The set of sources as a record: what the partitions of an internal topic wait for.

``aiops topics sync`` writes it; a stage lets nothing happen before it has read one, and takes that of the highest generation.
"""

from __future__ import annotations

import msgspec

from streams.records import SOURCES, VERSION, Headers, Refused

KEY = b"sources"  # of the record in the topic that keeps the current set


class _Sources(msgspec.Struct, frozen=True):
    sources: list[str]
    generation: int


_decoder = msgspec.msgpack.Decoder(_Sources)


def sources_record(sources: list[str], generation: int) -> tuple[Headers, bytes]:
    """Headers and value of a record that names all sources of a topic.

    Parameters
    ----------
    sources : list of str
        In any order; each once.
    generation : int
        Counts the changes of the set; of two records the one with the higher generation holds.
    """
    headers: Headers = [("kind", SOURCES.encode()), ("v", VERSION)]
    return headers, msgspec.msgpack.encode(_Sources(sorted(set(sources)), generation))


def decode_sources(value: bytes) -> tuple[list[str], int]:
    """Sources, sorted, and generation.

    Raises
    ------
    Refused
    """
    try:
        record = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"sources: {error}") from None
    if record.generation < 0 or record.sources != sorted(set(record.sources)):
        raise Refused(
            f"sources: generation {record.generation} of {len(record.sources)} sources that are not each once"
        )
    return record.sources, record.generation
