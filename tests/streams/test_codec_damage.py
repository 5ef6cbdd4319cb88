"""A damaged value is refused by name, or it is read as something that the stages can take in: nothing fails behind."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from aiops.detect.stage import Detect
from aiops.incidents.stage import Respond
from aiops.signals import CELL, END_OF_TIME, WINDOW
from aiops.traces.assemble import Assemble
from streams import codec
from streams.codec_frame import HEAD, KINDS
from streams.records import Refused
from tests.detect.telemetry import T
from tests.streams.sampled import sample
from tests.streams.test_codec import items_of, two_points

DECODE = {b"R": codec.decode_rows, b"I": codec.decode_items, b"F": codec.decode_findings}


@pytest.fixture(scope="module")
def values() -> dict[str, bytes]:
    """One value of each sort."""
    sent = sample()
    rows = {
        "metrics": next(r for r in sent.rows if r.metrics),
        "logs": next(r for r in sent.rows if r.logs),
        "traces": next(r for r in sent.rows if r.traces is not None),
    }
    return {
        **{name: codec.encode_rows(r) for name, r in rows.items()},
        "spans": codec.encode_items(next(i for i in sent.items if i.spans is not None)),
        "records": codec.encode_items(next(i for i in sent.items if i.logs is not None)),
        "findings": codec.encode_findings(next(f for f in sent.findings if f.anomalies and f.notes and f.edges)),
    }


SORTS = ("metrics", "logs", "traces", "spans", "records", "findings")


def decoded(data: bytes) -> Any:
    return DECODE[data[1:2]](data)


def changed(data: bytes, *path: Any, value: Any) -> bytes:
    """The value with one field replaced; a function gives the new value from the old."""
    body = msgspec.msgpack.decode(data[HEAD:])
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value(place[path[-1]]) if callable(value) else value
    return data[:HEAD] + msgspec.msgpack.encode(body)


def used(data: bytes) -> None:
    """What stands behind takes in what was read."""
    read = decoded(data)
    with np.errstate(all="ignore"):
        if data[1:2] == b"I":
            stage = Assemble("t/0", [read.source])
            stage.process(read)
            stage.advance(read.source, END_OF_TIME)
        elif data[1:2] == b"R":
            detect = Detect([read.source])
            detect.process(read)
            detect.advance(read.source, read.window + 3 * WINDOW)
        else:
            respond = Respond(["d"])
            respond.process("d", [read])
            respond.advance("d", END_OF_TIME)


@pytest.mark.parametrize("sort", SORTS)
def test_another_version_is_refused(values, sort):
    data = values[sort]
    what = KINDS[data[1:2]]
    for version in (2, 4):
        with pytest.raises(codec.CodecError, match=f"{what}: format version {version}, this release reads version 3"):
            decoded(bytes([version]) + data[1:])


def test_another_kind_is_refused(values):
    with pytest.raises(codec.CodecError, match="findings expected, the value is trace items"):
        codec.decode_findings(values["spans"])
    with pytest.raises(codec.CodecError, match="findings expected, the value is unknown kind b'Z'"):
        codec.decode_findings(b"\x03Z")
    with pytest.raises(codec.CodecError, match="the value has 0 bytes"):
        codec.decode_rows(b"")


def test_the_error_is_one_that_tasks_count_as_a_refused_record():
    assert issubclass(codec.CodecError, Refused)


@pytest.mark.parametrize("sort", SORTS)
def test_a_value_that_was_cut_is_refused(values, sort):
    data = values[sort]
    for n in {*range(40), *range(0, len(data), 101), len(data) - 1}:
        with pytest.raises(codec.CodecError):
            decoded(data[:1] + data[1:2] + data[2:n])


shorter = slice(0, -1)


def column(base: int, width: int = 0, planes: bytes = b"", places: bytes = b"") -> list[Any]:
    """A column of whole numbers as it stands in a value: of one number where nothing else is given."""
    return [base, width, planes, places]


def role(service: int, name: int, peer: int, about: int) -> Any:
    """Changes all roles to one; `peer` 0 is none."""
    return lambda b: np.array([service << 32 | name, peer << 32 | about], "<u8").tobytes() * (len(b) // 16)


@pytest.mark.parametrize(
    ("sort", "path", "value", "says"),
    [
        ("spans", ("spans", "span"), lambda b: b[shorter], "trace items: spans.span has"),
        ("spans", ("spans", "trace", 0), lambda b: b[shorter], "trace items: spans.trace has"),
        ("spans", ("spans", "trace", 1), lambda b: b"\xff" * len(b), "spans.trace holds code 255 of a table of"),
        ("spans", ("spans", "n"), lambda n: n + 1, "spans.span has"),
        ("spans", ("spans", "n"), -1, "spans.span has"),
        ("spans", ("spans", "role", 0), lambda b: b[shorter], "spans.role has"),
        ("spans", ("spans", "role", 0), role(3, 0, 0, 0), "spans.role holds what is no service of 3"),
        ("spans", ("spans", "role", 0), role(0, 1000, 0, 0), "spans.role holds what is no name of"),
        ("spans", ("spans", "role", 0), role(0, 0, 1, 0), "spans.role holds what is no peer of 0"),
        ("spans", ("spans", "role", 0), role(0, 0, 0, 1 << 17), "spans.role holds what is no kind and error"),
        ("spans", ("spans", "role", 1), b"", "spans.role has"),
        ("spans", ("spans", "role", 1), lambda b: b"\xff" * len(b), "spans.role holds code 255"),
        ("spans", ("spans", "end"), column(-1), "spans.end holds -1 .. -1, not 0 .."),
        ("spans", ("spans", "end", 1), 9, "spans.end has numbers of 9 bytes"),
        ("spans", ("spans", "end", 0), 1 << 63, "spans.end has numbers of"),
        ("spans", ("spans", "end", 2), lambda b: b[shorter], "spans.end has"),
        ("spans", ("spans", "length"), column(-1), "spans.length holds -1 .. -1, not 0 .."),
        ("spans", ("spans", "offset"), column(-1), "spans.offset holds -1 .. -1, not 0 .."),
        ("spans", ("services",), [], "spans.role holds what is no service of 0"),
        ("spans", ("services", 0), ["prod"], "Expected `array` of length 2"),
        ("spans", ("source",), 7, r"Expected `str`, got `int` - at `\$.source`"),
        ("records", ("logs", "stems"), [], "logs.stems has 0 entries, logs.texts"),
        ("records", ("logs", "role", 0), role(0, 1000, 0, 0), "logs.role holds what is no name of"),
        ("records", ("logs", "role", 0), role(0, 0, 1, 0), "logs.role holds what is no peer of 0"),
        ("records", ("logs", "time"), column(-1), "logs.time holds -1 .. -1, not 0 .."),
        ("metrics", ("window",), lambda w: w + 1, "is not the start of one"),
        ("metrics", ("metrics", 0, "series"), lambda b: bytes(len(b)), "metrics.series are not in ascending order"),
        ("metrics", ("metrics", 0, "metric"), lambda b: b"\x09" * len(b), "metrics.metric holds code 9 of a table of 3"),
        ("metrics", ("metrics", 0, "entity"), lambda b: b"\x09" * len(b), "metrics.entity holds code 9"),
        ("metrics", ("metrics", 0, "attributes"), lambda b: b"\x09" * len(b), "metrics.attributes holds code 9"),
        ("metrics", ("metrics", 0, "sets"), b"\x0b\x01a", "set_lengths add up to 0, not 3"),
        ("metrics", ("metrics", 0, "metrics", 0, 2), 9, r"metrics.metrics\[0\] has kind 9"),
        ("metrics", ("metrics", 0, "cells", 0), lambda b: bytes(len(b)), "metrics.others has 0 columns, not the 16"),
        ("metrics", ("metrics", 0, "cells", 0), lambda b: b"\x02" * len(b), "metrics.flags holds 2, which no row can be"),
        ("metrics", ("metrics", 0, "cells", 0), lambda b: b"\x31" * len(b), "metrics.flags holds 49, which no row can be"),
        ("metrics", ("metrics", 0, "cells", 0), lambda b: b"\x41" * len(b), "metrics.flags holds 65, which no row can be"),
        ("metrics", ("metrics", 0, "cells", 0), lambda b: b[shorter], "metrics.flags has"),
        ("metrics", ("metrics", 0, "cells", 1), column(-1), "metrics.times holds -1 .. -1"),
        ("metrics", ("metrics", 0, "cells", 1), column(WINDOW), "metrics.times holds 10000000000"),
        ("metrics", ("metrics", 0, "cells", 1), column(0, 0, b"", b"\0"), "metrics.times has 0 bytes, not"),
        ("metrics", ("metrics", 0, "cells", 1), column(0, 2, b"\0\0\0", b"\0"), "metrics.times has 3 bytes, not"),
        ("metrics", ("metrics", 0, "cells", 2), column(1 << 31), "metrics.wholes holds 2147483648"),
        ("metrics", ("metrics", 0, "cells", 3), lambda b: b + bytes(8), "metrics.doubles has"),
        ("metrics", ("metrics", 0, "cells", 4), column(-1), "metrics.counts holds -1 .."),
        ("metrics", ("metrics", 0, "cells", 4), column(1 << 53), "metrics.counts holds 9007199254740992"),
        ("metrics", ("metrics", 0, "cells", 6), [column(0)], "metrics.others has 1 columns, not the 16 of a cell"),
        ("metrics", ("metrics", 0, "buckets"), None, "metrics.buckets are missing of"),
        ("metrics", ("metrics", 0, "buckets", 0), column(0), "metrics.buckets: lengths holds 0 .. 0"),
        ("metrics", ("metrics", 0, "buckets", 0), column(1 << 62), "metrics.buckets: lengths holds"),
        ("metrics", ("metrics", 0, "buckets", 0), column(1), "metrics.buckets: lengths add up to"),
        ("metrics", ("metrics", 0, "buckets", 1), lambda n: n + 1, "metrics.buckets: lengths add up to"),
        ("metrics", ("metrics", 0, "buckets", 2, 2), lambda b: b[shorter], "metrics.buckets: counts has"),
        ("metrics", ("metrics", 0, "buckets", 2), column(0), "metrics.buckets: counts take no bytes"),
        ("metrics", ("metrics", 0, "buckets", 2, 0), -1, "metrics.buckets: counts holds -1"),
        ("metrics", ("metrics", 0, "buckets", 2, 0), 1 << 53, "metrics.buckets: counts holds 9007199254740992"),
        ("metrics", ("metrics", 0, "buckets", 2), None, "metrics.buckets: doubles has"),
        ("logs", ("logs", "lines"), lambda b: b"\xff" * len(b), "logs.lines holds -1, less than 0"),
        ("logs", ("logs", "exemplar_time"), lambda b: bytes(len(b)), "logs.exemplar_time holds 0 .. 0"),
        ("logs", ("logs", "exemplars"), lambda x: x[1:], "logs.exemplars has"),
        ("traces", ("traces", "rows"), lambda x: x[1:], "traces.rows has 6 entries"),
        ("traces", ("traces", "rows", 0, 1, 1), lambda b: b"\xf0" * len(b), r"traces.op\[1\] holds code 240"),
        ("traces", ("traces", "rows", 0, 2), lambda b: b[8:], "traces.op_counts has"),
        ("traces", ("traces", "hashes"), lambda b: bytes(len(b)), "traces.hashes are not in ascending order"),
        ("traces", ("traces", "members"), lambda b: b"\xff" * len(b), "traces.members holds code 255"),
        ("traces", ("traces", "times"), lambda b: b"\x05" * len(b), "traces.times holds a number that is not one of 1 .. 4"),
        ("traces", ("traces", "events", 0, 0), 9, "an event of type 9"),
        ("findings", ("terms",), lambda b: b[8:], "findings: terms has"),
        ("findings", ("terms",), lambda b: b"\xff" * len(b), "terms holds a number that is not finite"),
        ("findings", ("notes", 0, 0), ["nobody", "loss"], "is no term of a service or an edge"),
        ("findings", ("anomalies", 0, "onset"), "yesterday", "anomalies: "),
        ("findings", ("anomalies", 0, "score"), float("inf"), "anomaly score is inf"),
    ],
)  # fmt: skip
def test_damage_is_named(values, sort, path, value, says):
    with pytest.raises(codec.CodecError, match=says):
        decoded(changed(values[sort], *path, value=value))


def test_offsets_that_fall_are_refused():
    data = codec.encode_items(items_of(3, []))
    for sort in ("spans", "logs"):
        with pytest.raises(codec.CodecError, match=f"{sort}.offset falls"):
            codec.decode_items(changed(data, sort, "offset", 2, value=lambda planes: planes[::-1]))


def test_other_cells_than_points_must_be_of_their_window():
    """Two points in a window: such a cell is written as it is."""
    rows = two_points()
    data = codec.encode_rows(rows)
    for name, base, says in (
        ("points", -1, "points holds -1, less than 0"), ("first_time", 0, "first_time holds 0 .. 0"),
        ("last_time", T + WINDOW, "last_time holds"), ("stale_time", 7, "stale_time holds 7 .. 7"),
    ):  # fmt: skip
        place = list(CELL.names or ()).index(name)
        with pytest.raises(codec.CodecError, match=f"metrics.others: {says}"):
            codec.decode_rows(changed(data, "metrics", 0, "cells", 6, place, value=column(base)))
        with pytest.raises(codec.CodecError, match=f"metrics.others: {name} has 0 bytes"):
            codec.decode_rows(changed(data, "metrics", 0, "cells", 6, place, value=column(0, 4)))


def test_a_short_value_does_not_ask_for_much_memory(values):
    """Columns of one number take no bytes: what says how many rows there are is one that does."""
    for sort, path in (
        ("spans", ("spans", "n")), ("records", ("logs", "n")), ("metrics", ("metrics", 0, "n")),
    ):  # fmt: skip
        for n in (1 << 40, 1 << 62):
            with pytest.raises(codec.CodecError):
                decoded(changed(values[sort], *path, value=n))


def test_a_set_of_attributes_that_is_none_is_refused(values):
    body = msgspec.msgpack.decode(values["metrics"][HEAD:])
    part = body["metrics"][0]
    for sets in (b"\x0b\x01a", b"\x0a\x7fa", b"\x0a\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x0a"):
        part["sets"], part["set_lengths"] = sets, np.array([len(sets)], "<u4").tobytes()
        with pytest.raises(codec.CodecError, match=r"metrics.sets\[0\] is no list of attributes"):
            codec.decode_rows(values["metrics"][:HEAD] + msgspec.msgpack.encode(body))


def test_rows_of_services_that_detect_could_not_place_are_refused(values):
    for part in (1, 2):
        body = msgspec.msgpack.decode(values["traces"][HEAD:])
        body["traces"]["rows"][part][1][0] = bytes([len(body["traces"]["services"])]) * body["traces"]["rows"][part][0]
        body["traces"]["services"].append(["prod", "nobody"])
        with pytest.raises(codec.CodecError, match="is of a service without an operation, a call or an edge"):
            codec.decode_rows(values["traces"][:HEAD] + msgspec.msgpack.encode(body))


@pytest.mark.parametrize("sort", SORTS)
def test_flipped_bits_are_refused_or_do_no_harm(values, sort, rng):
    data = bytearray(values[sort])
    refused = 0
    for _ in range(150):
        at = int(rng.integers(HEAD, len(data)))
        before = data[at]
        data[at] ^= 1 << int(rng.integers(8))
        try:
            used(bytes(data))
        except codec.CodecError:
            refused += 1
        data[at] = before
    assert refused, "not one change was noticed"
