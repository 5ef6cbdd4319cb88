"""What the benchmarks on Kafka send and how they judge: without a broker."""

from __future__ import annotations

import json
from itertools import islice

import pytest

pytest.importorskip("confluent_kafka", reason="the benchmarks on Kafka need pip install -e '.[kafka]'")

from aiops.errors import UserError
from aiops.ingest.stage import Ingest, Message
from aiops.signals import SECOND, WINDOW
from benchmarks import kafka_end_to_end, kafka_live, kafka_rates
from benchmarks.kafka_load import Load, Mix
from benchmarks.kafka_peer_jobs import Windows
from benchmarks.kafka_rates import Line
from benchmarks.kafka_site import PARTITIONS

MIX = Mix(100, 200, 200)
START = 1_790_000_000 * SECOND


def test_a_load_holds_as_many_items_as_it_says_and_each_is_in_time():
    load = Load.of(MIX, 50)
    span = 2 * WINDOW
    messages = list(load.messages(START, START + span))
    taken = 0
    for signal in ("metrics", "logs", "traces"):
        stages = [Ingest(f"{signal}/{p}", signal) for p in range(PARTITIONS)]
        for offset, message in enumerate(m for m in messages if m.signal == signal):
            stages[message.partition].process([Message(offset, message.time, message.value)])
        counted = [stage.counters for stage in stages]
        taken += sum(c.items for c in counted)
        assert sum(c.refused + c.late + c.repeats + c.replaced_times for c in counted) == 0
    # Spans come in whole traces, a few more or less.
    assert taken == load.items(span) == pytest.approx(MIX.items * span // SECOND, rel=0.05)


def test_messages_come_in_the_order_of_their_arrivals_and_to_every_partition():
    messages = list(islice(Load.of(MIX, 50).messages(START, START + WINDOW), 200))
    assert messages == sorted(messages, key=lambda m: m.time)
    assert {m.partition for m in messages} == set(range(PARTITIONS))


def test_a_service_fails_only_while_it_is_told_to():
    load = Load.of(Mix(0, 0, 200), 50, fault=True)

    def failed(begin: int, end: int) -> list[bool]:
        found = load.messages(START, START + WINDOW, (begin, end))
        return [b"connection pool exhausted" in m.value for m in found]

    assert not any(failed(0, 0))
    assert any(failed(START, START + WINDOW))


def test_peers_count_every_point_of_a_series_once():
    load = Load.of(Mix(100, 0, 0), 50)
    windows, cells = [Windows() for _ in range(PARTITIONS)], 0
    for message in load.messages(START, START + 5 * WINDOW):
        for value in windows[message.partition].take(message.value, message.time):
            cells += len(json.loads(value)[1])
    # A window closes 10 s after its end: of five the first three, less what the last scrape has not reached.
    assert cells == pytest.approx(3 * 1000, rel=0.05)


def test_a_long_run_less_a_short_one_is_free_of_what_starting_costs():
    start = kafka_rates.Cost(0.0, 3.0, 0.1)
    short, long = (kafka_rates.Cost(*(n * x + y for x, y in zip((1.0, 2.0, 0.5), start, strict=True))) for n in (2, 8))
    assert long.less(short) == pytest.approx((6.0, 12.0, 3.0))


def test_half_of_saturation_comes_from_the_same_run_or_is_given():
    with pytest.raises(UserError, match="--rate"):
        kafka_live.half([], quick=True, rate=None)
    assert kafka_live.half([], quick=True, rate=5_000.0).items == 5_000
    found = [Line("kafka.chain.all", "", 9e9, ""), Line("kafka.saturation", "", 200_000.0, "items/s")]
    assert kafka_live.half(found, quick=False, rate=None).items == pytest.approx(100_000, rel=0.01)


def test_results_are_kept_under_their_ids():
    found = kafka_end_to_end.by_id([Line("kafka.x", "", 2.0, "s", "< 1 s", False, {"p50": 1.0})])
    assert found == {"kafka.x": {"value": 2.0, "unit": "s", "bar": "< 1 s", "met": False, "p50": 1.0}}


def test_what_could_not_be_measured_is_no_number(capsys):
    kafka_rates.told(Line("kafka.x", "a peer", None, "items/s/core", more={"why": "it is not installed"}))
    assert capsys.readouterr().out.split() == ["a", "peer", "-", "items/s/core", "why", "it", "is", "not", "installed"]
