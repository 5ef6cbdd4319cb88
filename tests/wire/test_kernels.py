"""Every kernel against a few lines of plain Python on random input."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1 import common_pb2

from aiops.identity import DEFAULT_KEY, hash_bytes
from aiops.wire.attributes import AttributeArena, AttributeHashes, split_keyvalue
from aiops.wire.buckets import CELLS, GRID, exponential_buckets, grid_cell
from aiops.wire.ids import id64
from aiops.wire.layout import packed
from aiops.wire.logs import body_text
from aiops.wire.spans import failed_http
from tests.wire import odd_batches, official

AnyValue: Any = common_pb2.AnyValue  # stubs do not know that dictionaries make sub-messages
KeyValue: Any = common_pb2.KeyValue


def test_attribute_hash_is_that_of_the_canonical_encoding(seed):
    rnd, pairs = random.Random(seed), []
    for _ in range(600):
        pair = KeyValue(key=rnd.choice(odd_batches.KEYS))
        if rnd.random() < 0.95:
            odd_batches.any_value(rnd, pair.value)
        pairs.append(pair)
    hashes = AttributeHashes(DEFAULT_KEY).of(packed([p.SerializeToString() for p in pairs]))
    assert hashes.tolist() == [hash_bytes(p.SerializeToString(deterministic=True)) for p in pairs]


def test_an_attribute_in_another_encoding_is_the_same_attribute():
    plain = KeyValue(key="a", value={"string_value": "x"}).SerializeToString()
    number = KeyValue(key="b", value={"int_value": 5}).SerializeToString()
    text = KeyValue(key="b", value={"string_value": "5"}).SerializeToString()
    value_first, long_varint = b"\x12\x03\x0a\x01x" + b"\x0a\x01a", b"\x0a\x01b\x12\x03\x18\x85\x00"
    long_length = b"\x0a\x81\x00a\x12\x03\x0a\x01x"
    rows = [plain, value_first, long_length, number, long_varint, text]
    a, b, c, d, e, f = AttributeHashes(DEFAULT_KEY).of(packed(rows)).tolist()
    assert a == b == c
    assert d == e
    assert len({a, d, f}) == 3


def test_only_canonical_encodings_take_the_fast_path(seed):
    rnd = random.Random(seed)
    for _ in range(3000):
        pair = KeyValue(key=rnd.choice(odd_batches.KEYS))
        odd_batches.any_value(rnd, pair.value)
        raw = bytearray(pair.SerializeToString())
        if raw and rnd.random() < 0.8:
            raw[rnd.randrange(len(raw))] = rnd.randrange(256)
        key, _, _ = split_keyvalue(np.frombuffer(bytes(raw), np.uint8), 0, len(raw))
        if key >= 0:
            try:
                again = KeyValue.FromString(bytes(raw))
            except DecodeError:  # text that is no UTF-8
                continue
            assert again.SerializeToString(deterministic=True) == raw


def test_a_keyed_hash_depends_on_the_key():
    row = packed([KeyValue(key="a", value={"int_value": 1}).SerializeToString()])
    assert AttributeHashes(1).of(row) != AttributeHashes(2).of(row)


def test_the_arena_gives_back_the_sets_that_were_put_in(seed):
    rnd, arena, sets = random.Random(seed), AttributeArena(), []
    for _ in range(30):
        new = [
            [rnd.randbytes(rnd.choice([0, 1, 127, 128, 200, 20_000])) for _ in range(rnd.randrange(4))]
            for _ in range(20)
        ]
        offsets = np.cumsum([0] + [len(s) for s in new]).astype(np.int32)
        rows = np.array(sorted(rnd.sample(range(20), 7)), np.int32)
        arena.append(packed([p for s in new for p in s]), offsets, rows)
        sets += [new[r] for r in rows]
    assert [arena[i] for i in range(arena.size)] == sets


def test_bodies_are_stripped_or_rendered(seed):
    rnd, bodies = random.Random(seed), [b""]
    for _ in range(400):
        value = AnyValue()
        odd_batches.any_value(rnd, value)
        bodies.append(value.SerializeToString())
    text = body_text(packed(bodies))
    expected = [official.text(official.scalar(AnyValue.FromString(b))).encode() for b in bodies]
    assert [text.raw(i) for i in range(len(bodies))] == expected


def test_a_structured_body_is_one_line_of_json_with_sorted_keys():
    body = AnyValue(kvlist_value={"values": [
        {"key": "z", "value": {"int_value": 1}}, {"key": "a", "value": {"string_value": "two\nlines"}},
        {"key": "n", "value": {"double_value": math.nan}}, {"key": "b", "value": {"bytes_value": b"\xff"}},
    ]})  # fmt: skip
    line = body_text(packed([body.SerializeToString()])).raw(0)
    assert line == rb'{"a":"two\nlines","b":"/w==","n":null,"z":1}'


def test_text_that_is_no_utf8_stays_as_it_came():
    assert body_text(packed([b"\x0a\x03a\xff\xfe"])).raw(0) == b"a\xff\xfe"
    inside_a_list = b"\x2a\x05\x0a\x03\x0a\x01\xff"
    assert body_text(packed([inside_a_list])).raw(0) == '["�"]'.encode()


def test_ids_are_big_endian_and_bad_when_of_another_length_or_zero(seed):
    rnd = random.Random(seed)
    rows = [rnd.randbytes(rnd.choice([0, 8, 15, 16, 16, 17])) for _ in range(100)] + [bytes(16)]
    halves, bad = id64(packed(rows), 16)
    assert halves.tolist() == [official.halves(r, 16) for r in rows]
    assert bad.tolist() == [len(r) != 16 or not any(r) for r in rows]


def test_http_status_of_500_or_more_is_found_among_all_attributes(seed):
    rnd, spans = random.Random(seed), []
    for _ in range(2000):
        value = KeyValue()
        odd_batches.attributes(rnd, holder := spans_attributes())
        spans.append([*holder.attributes, value])
    rows = [p.SerializeToString() for s in spans for p in s]
    offsets = np.cumsum([0] + [len(s) for s in spans]).astype(np.int32)
    assert failed_http(packed(rows), offsets).tolist() == [official.server_error(s) for s in spans]


def spans_attributes():
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    class Holder:
        def __init__(self):
            self.attributes = Span().attributes

        def add(self, key):
            return self.attributes.add(key=key)

    return Holder()


def test_http_status_in_an_unusual_encoding_is_found():
    key, value = b"\x0a\x10http.status_code", b"\x12\x03\x18\xf4\x03"
    late = b"\x0a\x10http.status_code\x12\x83\x00\x18\xf4\x03"
    rows = [key + value, value + key, late, b"\x0a\x10http.status_code\x12\x03\x18\xf3\x03", key, value, key + b"\x12"]
    offsets = np.arange(len(rows) + 1, dtype=np.int32)
    assert failed_http(packed(rows), offsets).tolist() == [True, True, True, False, False, False, False]


def test_grid_cells_hold_the_upper_bound_of_their_buckets():
    for scale in range(-11, 21):
        for index in [*range(-40, 40), -(2**31), 2**31 - 1, 1000 << max(scale, 0), -1000 << max(scale, 0)]:
            exponent = (index + 1) * 2.0**-scale
            expected = min(max(math.ceil(2 * exponent) + 64, 0), CELLS - 1)
            assert grid_cell(index, scale) == expected, (scale, index)


def test_a_measurement_counts_in_the_cell_that_its_value_belongs_to(seed):
    rnd = random.Random(seed)
    for _ in range(500):
        scale = rnd.choice([1, 2, 3, 5, 8])
        value = 2.0 ** rnd.uniform(-34, 34)
        index = math.ceil(math.log2(value) * 2**scale) - 1
        cell = grid_cell(index, scale)
        assert cell == np.searchsorted(GRID, value, side="left")


def test_wild_scales_and_offsets_stay_inside_the_grid():
    for scale in (-(2**31), -63, -40, 31, 64, 2**31 - 1):
        for first in (-(2**31), -1, 0, 2**31 - 1):
            out = np.zeros((1, CELLS))
            counts, at = np.array([1, 2, 3], np.uint64), np.array([0, 3], np.int32)
            nothing, none_at = np.empty(0, np.uint64), np.zeros(2, np.int32)
            exponential_buckets(
                np.array([scale], np.int32), np.array([4], np.uint64), counts, at, np.array([first], np.int32),
                nothing, none_at, np.ones(1, np.bool_), out,
            )  # fmt: skip
            assert out.sum() == 10
