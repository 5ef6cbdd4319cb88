"""Columns of whole numbers, cells and buckets come back bit for bit, and take as few bytes as what they hold."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from aiops.ingest.exact_sums import add_to_sum, clear_sum
from aiops.signals import CELL
from streams import codec_kernels as kernels
from streams.codec_buckets import buckets_body, read_buckets
from streams.codec_cells import _sum_of
from streams.codec_columns import Column, close, few, numbers
from streams.codec_frame import CodecError

LEAST, MOST = -(1 << 63), (1 << 63) - 1


def sent(value: Any) -> Any:
    """A column or buckets as they come out of a value of a topic."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value))


def size(column: Column) -> int:
    return column.planes.nbytes + column.places.nbytes


@pytest.mark.parametrize("write", [close, few])
@pytest.mark.parametrize(
    ("values", "width"),
    [
        ([], 0), ([5], 0), ([7, 7, 7], 0), ([0, 255], 1), ([-3, 252], 1), ([-3, 253], 2), ([10**18, 10**18 + 65_535], 2),
        ([0, 1 << 24], 4), ([0, (1 << 32) - 1], 4), ([0, 10**10], 5), ([LEAST, MOST], 8), ([MOST, LEAST, 0], 8),
        ([-1, MOST - 1], 8),
    ],
)  # fmt: skip
def test_numbers_come_back_and_take_as_many_bytes_as_their_range(write, values, width):
    given = np.array(values, np.int64)
    column = sent(write(given))
    assert (column.width, size(column)) == (width, width * len(values))
    assert numbers("x", column, len(values)).tolist() == values


def test_numbers_of_any_range_come_back(rng):
    for bits in range(1, 64):
        given = rng.integers(-(1 << bits - 1), 1 << bits - 1, 50)
        for write in (close, few):
            assert np.array_equal(numbers("x", sent(write(given)), 50), given)


@pytest.mark.parametrize(("distinct", "places"), [(3, 1), (256, 1), (257, 2), (2500, 2)])
def test_few_distinct_numbers_are_written_once_each(rng, distinct, places):
    some = rng.choice(1 << 60, distinct, replace=False)
    given = np.concatenate([some, rng.choice(some, 10_000 - distinct)])
    column = sent(few(given))
    assert size(column) == distinct * column.width + places * 10_000
    assert np.array_equal(numbers("x", column, 10_000), given)
    assert numbers("x", column, 10_000).flags.writeable


def test_many_distinct_numbers_are_written_one_by_one(rng):
    given = rng.choice(1 << 60, 10_000)
    assert not len(few(given).places)
    assert not len(few(np.repeat(given[:2], 3)).places), "so few rows that places would only add bytes"


def unmixed(h: int) -> int:
    """The number whose ``aiops.identity.mix`` is `h`."""

    def unshifted(x: int) -> int:
        return x ^ x >> 33

    for factor in (0xC4CEB9FE1A85EC53, 0xFF51AFD7ED558CCD):
        h = unshifted(h) * pow(factor, -1, 1 << 64) % (1 << 64)
    return unshifted(h)


def test_numbers_made_to_meet_in_the_table_of_who_compares_them_cost_no_time():
    # All of them in one slot: to compare each with each would take minutes.
    hashes = [(k + 1) << 40 for k in range(20_000)]
    same = np.array([unmixed(h) - 1 & (1 << 64) - 1 for h in hashes], np.uint64).view(np.int64)
    given = np.repeat(same, 5)
    assert not len(few(given).places)
    assert np.array_equal(numbers("x", sent(few(given)), len(given)), given)
    first = unmixed(1 << 40)
    pairs = np.array([(first, (unmixed(h) - (1 << 40)) & (1 << 64) - 1) for h in hashes], np.uint64)
    assert len(kernels.distinct_pairs(pairs)[0]) == 0
    assert len(kernels.distinct_pairs(np.repeat(pairs[:5], 9, 0))[0]) == 5


@pytest.mark.parametrize("of", [40, 1_000_000])
def test_codes_are_renumbered_in_order_of_first_sight_whatever_the_size_of_their_table(of):
    codes = np.array([7, 3, 7, 39, 0, 3], np.int32)
    distinct, place = kernels.renumbered(codes, of)
    assert distinct.tolist() == [7, 3, 39, 0]
    assert place.tolist() == [0, 1, 0, 2, 3, 1]
    assert [column.dtype for column in (distinct, place)] == [np.int32, np.int32]


# ---- cells --------------------------------------------------------------------------------------------------------------
def test_the_sum_of_one_value_is_what_an_exact_sum_holds_after_it(rng):
    edges = [0.0, -0.0, 1.0, -1.0, 2.0**40, 2.0**40 - 1, 2.0**-40, 5e-324, 2.2e-308, 1.7e308, np.inf, -np.inf, np.nan]
    powers = [sign * 2.0**k for k in range(-1074, 1024) for sign in (1, -1)]
    drawn = rng.integers(0, 1 << 64, 20_000, np.uint64).view(np.float64)
    values = np.concatenate([edges, powers, np.nextafter(powers, 0.0), np.nextafter(powers, np.inf), drawn])
    cell = np.zeros(1, CELL)
    for value, bits in zip(values.tolist(), values.view(np.uint64), strict=True):
        clear_sum(cell[0])
        add_to_sum(cell[0], value)
        wanted = tuple(int(cell[name][0]) for name in ("sum_high", "sum_mid", "sum_low", "sum_grid"))
        assert _sum_of(bits) == wanted, value


# ---- buckets ------------------------------------------------------------------------------------------------------------
def bucketed(vectors: list[list[float]]):
    """Vectors as they stand in metric rows: buckets, offsets, rows, and flags of which 8 says that there are some."""
    lengths = np.array([len(vector) for vector in vectors], np.int64)
    flat = np.array([x for vector in vectors for x in vector], np.float64)
    return (
        flat,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.arange(len(vectors)),
        np.where(lengths > 0, 9, 1).astype(np.uint8),
    )


@pytest.mark.parametrize(
    ("vectors", "each"),
    [
        ([[0.0, 1.0, 255.0]], 1), ([[256.0, 1.0], [], [300.0, 65535.0]], 2), ([[0.0, 2.0**53 - 1]], 7), ([[5.0], [5.0]], 1),
        ([[0.5, 1.0]], 8), ([[-1.0]], 8), ([[2.0**53]], 8), ([[np.nan], [1.0]], 8), ([[np.inf]], 8), ([[-0.0, 1.0]], 8),
    ],
)  # fmt: skip
def test_buckets_come_back_and_counts_take_few_bytes(vectors, each):
    flat, offsets, rows, flags = bucketed(vectors)
    body = sent(buckets_body(flat, offsets, rows))
    assert len(body.doubles) + (size(body.counts) if body.counts is not None else 0) == len(flat) * each
    found, edges = read_buckets(body, flags, 8)
    assert (found.tobytes(), edges.tolist()) == (flat.tobytes(), offsets.tolist())


def test_some_rows_take_their_buckets_along():
    flat, offsets, _, flags = bucketed([[1.0, 2.0], [], [3.0], [4.5, 6.0, 7.0]])
    for some, wanted, at in (
        ([0, 2], [1.0, 2.0, 3.0], [0, 2, 3]), ([1, 3], [4.5, 6.0, 7.0], [0, 0, 3]), ([1], [], [0, 0])
    ):  # fmt: skip
        rows = np.array(some)
        body = buckets_body(flat, offsets, rows)
        assert (body is None) == (not wanted)
        found, edges = read_buckets(body and sent(body), flags[rows], 8)
        assert (found.tolist(), edges.tolist()) == (wanted, at)


def test_the_memory_of_buckets_is_bounded_by_the_bytes_that_came():
    """A column of one number takes no bytes, however many there are said to be."""
    flat, offsets, rows, flags = bucketed([[5.0] * 10] * 4)
    body = sent(buckets_body(flat, offsets, rows))
    body.lengths, body.n = close(np.array([1 << 30])), 4 << 30
    with pytest.raises(CodecError, match="buckets: counts has 40 bytes"):
        read_buckets(body, flags, 8)
    body.counts = close(np.array([5]))
    with pytest.raises(CodecError, match="buckets: counts take no bytes"):
        read_buckets(body, flags, 8)
