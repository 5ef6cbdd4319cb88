"""Snapshots: what goes in comes out, bit for bit, and what cannot come out does not go in."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.signals import CELL
from aiops.state import pack, unpack
from aiops.traces.join import RECORD, SPAN

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(-(2**63), 2**64 - 1), inner),
    max_leaves=20,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(values)
def test_nested_values_come_back_as_they_were(value):
    assert unpack(pack(value)) == value
    assert pack(unpack(pack(value))) == pack(value)


ARRAYS = [
    np.array([], np.float64), np.array(3.5), np.arange(6, dtype=np.int32).reshape(2, 3), np.zeros((0, 4), np.uint64),
    np.array([math.nan, math.inf, -0.0]), np.array([True, False]), np.array([2**64 - 1], np.uint64),
    np.array([1.5], np.float32), np.array([-5], np.int8), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(10)[::3], np.array([1], ">i4"), np.ones(3, CELL), np.ones(2, SPAN), np.zeros(0, RECORD),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_arrays_come_back_with_their_type_shape_and_bits(array):
    found = unpack(pack({"a": [array]}))["a"][0]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_an_array_that_was_read_can_be_written_to():
    packed = pack(np.zeros(3))
    found = unpack(packed)
    found[0] = 1.0
    assert unpack(packed)[0] == 0.0


def test_tuples_come_back_as_lists():
    assert unpack(pack((1, (2, 3)))) == [1, [2, 3]]


def test_a_dict_keeps_its_order():
    assert list(unpack(pack({"b": 1, "a": 2, 3: 0}))) == ["b", "a", 3]


def test_scalars_of_numpy_come_back_as_plain_ones():
    assert unpack(pack([np.int64(5), np.float32(0.5), np.bool_(True), np.uint64(2**64 - 1)])) == [
        5,
        0.5,
        True,
        2**64 - 1,
    ]


def test_equal_states_are_equal_bytes():
    assert pack({"a": np.arange(5), "b": (1, 2)}) == pack({"a": np.arange(10)[:5], "b": [1, 2]})


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, np.array([object()]), np.array(["a", None]), np.zeros(1, [("a", object)]), 1j]
)
def test_what_could_not_be_read_again_is_refused(value):
    with pytest.raises(TypeError, match="a snapshot cannot hold"):
        pack([value])


def test_an_integer_beyond_64_bits_is_refused():
    with pytest.raises(OverflowError):
        pack(2**64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        pack([1, 2])[:-1],
        pack(np.arange(4))[:-1],
        pack(np.arange(4))[:12],
        b"\xc1" + bytes(20),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(9, b"x")),
    ],
)
def test_bytes_that_are_no_snapshot_are_refused(data):
    with pytest.raises((msgspec.DecodeError, ValueError)):
        unpack(data)


def test_arrays_are_copied_once_and_lie_one_behind_the_other():
    arrays: dict[str, Any] = {"a": np.arange(3, dtype=np.uint16), "b": np.array([7], np.uint8), "c": np.arange(2)}
    packed = pack(arrays)
    assert packed.endswith(b"".join(array.tobytes() for array in arrays.values()))
    assert {name: array.tolist() for name, array in unpack(packed).items()} == {"a": [0, 1, 2], "b": [7], "c": [0, 1]}
