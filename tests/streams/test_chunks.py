"""Large values travel in parts: mixed, repeated, lost or damaged parts never give a wrong value, and memory is bounded."""

from __future__ import annotations

import itertools

import pytest

from streams.chunks import ChunkError, Joiner, split

KEY = ("otlp_metrics/0", 1_700_000_000)


def parts_of(value: bytes, limit: int = 10) -> list[tuple[dict[str, bytes], bytes]]:
    return [(dict(headers), part) for headers, part in split(value, limit)]


def joined(joiner: Joiner, parts: list[tuple[dict[str, bytes], bytes]], key: object = KEY) -> list[bytes]:
    return [whole for headers, part in parts if (whole := joiner.add(key, headers, part)) is not None]


def test_a_value_that_fits_is_one_part_without_headers_and_no_copy():
    value = bytes(10)
    ((headers, part),) = split(value, 10)
    assert headers == []
    assert part is value
    assert Joiner().add(KEY, {}, value) is value


@pytest.mark.parametrize("n", [11, 20, 21, 1000])
def test_parts_give_the_value_back_in_any_order(n, rng):
    value = rng.bytes(n)
    parts = parts_of(value)
    assert all(len(part) <= 10 for _, part in parts)
    assert len(parts) == -(-n // 10)
    for _ in range(5):
        joiner = Joiner()
        assert joined(joiner, [parts[k] for k in rng.permutation(len(parts))]) == [value]
        assert joiner.waiting == 0


def test_headers_beside_those_of_the_parts_do_not_matter():
    joiner, value = Joiner(), bytes(range(25))
    assert joined(joiner, [({**headers, "kind": b"rows"}, part) for headers, part in parts_of(value)]) == [value]


def test_a_part_that_comes_again_does_no_harm():
    value, joiner = bytes(range(25)), Joiner()
    first, second, third = parts_of(value)
    assert joined(joiner, [first, first, second, first, third]) == [value]
    assert joined(joiner, [first, second, third]) == [], "the value was given back already"


def test_of_two_values_of_one_key_the_first_to_be_complete_counts():
    """Two senders, or one that restarted, may have cut different values for the same window."""
    a, b = bytes(range(25)), bytes(range(100, 125))
    for order in set(itertools.permutations("aaabbb")):
        waiting = {"a": parts_of(a), "b": parts_of(b)}
        got = joined(Joiner(), [waiting[which].pop(0) for which in order])
        first = a if order[:5].count("a") == 3 else b
        assert got == [first], order


def test_values_of_different_keys_do_not_mix():
    value, joiner = bytes(range(25)), Joiner()
    first, second, third = parts_of(value)
    assert joined(joiner, [first, second], "k") == []
    assert joined(joiner, [third], "other") == []
    assert joined(joiner, [third], "k") == [value]


def test_what_is_forgotten_takes_no_memory_and_may_come_again():
    value, joiner = bytes(range(25)), Joiner()
    parts = parts_of(value)
    joined(joiner, parts[:2], "waits")
    joined(joiner, parts, "done")
    assert set(joiner) == {"waits", "done"}
    assert joiner.waiting == 20
    joiner.forget(list(joiner))
    assert (list(joiner), len(joiner), joiner.waiting) == ([], 0, 0)
    joiner.forget(["waits"])
    assert joined(joiner, parts, "done") == [value]


def test_what_has_waited_longest_is_given_up_when_memory_is_short():
    value = bytes(range(25))
    parts, joiner = parts_of(value), Joiner(memory=50)
    for key in range(4):
        joined(joiner, parts[:2], key)
        assert joiner.waiting <= 50
    assert joiner.evicted == 2
    assert joined(joiner, parts[2:], 3) == [value]
    assert joined(joiner, parts[2:], 0) == [], "its other parts were given up"


def test_a_value_larger_than_the_memory_is_given_up_and_counted():
    joiner = Joiner(memory=30)
    assert joined(joiner, parts_of(bytes(100))) == []
    assert joiner.evicted >= 1
    assert joiner.waiting <= 30


def test_keys_remembered_as_complete_are_bounded(monkeypatch):
    monkeypatch.setattr("streams.chunks.MAX_DONE", 3)
    joiner = Joiner()
    for key in range(10):
        joined(joiner, parts_of(bytes(range(25))), key)
    assert list(joiner) == [7, 8, 9]


def test_parts_that_do_not_give_their_value_are_refused():
    joiner = Joiner()
    first, second, third = parts_of(bytes(range(25)))
    joined(joiner, [first, second])
    with pytest.raises(ChunkError, match="the 3 parts do not give the value with digest"):
        joiner.add(KEY, third[0], b"other")
    assert joiner.waiting == 0


@pytest.mark.parametrize(
    "change",
    [
        {"digest": b"short"}, {"part": b"3"}, {"part": b"-1"}, {"part": b"x"}, {"parts": b"0"}, {"parts": b"x"},
        {"parts": b"999999999"}, {"digest": None}, {"part": None},
    ],
)  # fmt: skip
def test_headers_that_are_none_are_refused(change):
    headers, part = parts_of(bytes(range(25)))[0]
    damaged = {name: value for name, value in {**headers, **change}.items() if value is not None}
    with pytest.raises(ChunkError, match="headers of a part"):
        Joiner().add(KEY, damaged, part)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="limit of 0 bytes"):
        split(b"x", 0)
