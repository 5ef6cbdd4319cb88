"""A damaged value is refused by name, or it is read as something that the stages can take in: nothing fails behind."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from aiops.detect.stage import Detect
from aiops.incidents.stage import Respond
from aiops.signals import END_OF_TIME, WINDOW
from aiops.traces.assemble import Assemble
from streams import codec
from streams.codec_frame import HEAD, KINDS
from streams.records import Refused
from tests.streams.sampled import sample

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
    with pytest.raises(codec.CodecError, match=f"{what}: format version 2, this release reads version 1"):
        decoded(bytes([2]) + data[1:])


def test_another_kind_is_refused(values):
    with pytest.raises(codec.CodecError, match="findings expected, the value is trace items"):
        codec.decode_findings(values["spans"])
    with pytest.raises(codec.CodecError, match="findings expected, the value is unknown kind b'Z'"):
        codec.decode_findings(b"\x01Z")
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


@pytest.mark.parametrize(
    ("sort", "path", "value", "says"),
    [
        ("spans", ("spans", "trace"), lambda b: b[shorter], "trace items: spans.trace has"),
        ("spans", ("spans", "n"), lambda n: n + 1, "spans.start has"),
        ("spans", ("spans", "n"), -1, "spans.start has"),
        ("spans", ("spans", "service"), lambda b: b"\xff" * len(b), "spans.service holds code 255 of a table of 3"),
        ("spans", ("spans", "name"), lambda b: b"\xff" * len(b), "spans.name holds code 255"),
        ("spans", ("spans", "peer"), lambda b: b"\x01" * len(b), "spans.peer holds code 1 of a table of 1"),
        ("spans", ("spans", "error"), lambda b: b"\x02" * len(b), "spans.error holds 2, not 0 or 1"),
        ("spans", ("spans", "end"), lambda b: b"\0" * len(b), "spans.start is after spans.end"),
        ("spans", ("spans", "offset"), lambda b: b"\x09" + b[1:], "spans.offset falls"),
        ("spans", ("services",), [], "spans.service holds code"),
        ("spans", ("services", 0), ["prod"], "Expected `array` of length 2"),
        ("spans", ("source",), 7, r"Expected `str`, got `int` - at `\$.source`"),
        ("records", ("logs", "stems"), [], "logs.stems has 0 entries, logs.texts"),
        ("records", ("logs", "shape"), lambda b: b"\xff" * len(b), "logs.shape holds code 255"),
        ("metrics", ("window",), lambda w: w + 1, "is not the start of one"),
        ("metrics", ("metrics", 0, "series"), lambda b: bytes(len(b)), "metrics.series are not in ascending order"),
        ("metrics", ("metrics", 0, "metric"), lambda b: b"\x09" * len(b), "metrics.metric holds code 9 of a table of 3"),
        ("metrics", ("metrics", 0, "entity"), lambda b: b"\x09" * len(b), "metrics.entity holds code 9"),
        ("metrics", ("metrics", 0, "attributes"), lambda b: b"\x09" * len(b), "metrics.attributes holds code 9"),
        ("metrics", ("metrics", 0, "sets"), b"\x0b\x01a", "set_lengths add up to 0, not 3"),
        ("metrics", ("metrics", 0, "buckets"), lambda b: b[8:], "bucket_lengths add up to"),
        ("metrics", ("metrics", 0, "metrics", 0, 2), 9, r"metrics.metrics\[0\] has kind 9"),
        ("metrics", ("metrics", 0, "times"), lambda b: bytes(len(b)), "first_time holds 0 .."),
        ("metrics", ("metrics", 0, "plain"), lambda b: bytes(len(b)), "metrics.times has"),
        ("logs", ("logs", "lines"), lambda b: b"\xff" * len(b), "logs.lines holds -1, less than 0"),
        ("logs", ("logs", "exemplar_time"), lambda b: bytes(len(b)), "logs.exemplar_time holds 0 .. 0"),
        ("logs", ("logs", "exemplars"), lambda x: x[1:], "logs.exemplars has"),
        ("traces", ("traces", "rows"), lambda x: x[1:], "traces.rows has 5 entries"),
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
