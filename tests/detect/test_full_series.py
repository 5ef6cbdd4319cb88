"""Which signals the bank judges, within a budget; and that it opens nothing by a single odd point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.detect.full_series import GOLDEN
from aiops.detect.rules import DetectConfig, MetricRule
from aiops.signals import WINDOW
from tests.detect.scraped import Point, Scraped


def fed(scraped: Scraped, values: list[float], every: int = 1, pods: str = "a", metric: str = "latency") -> Scraped:
    """One value each `every` windows, of each pod."""
    for value in values:
        for k in range(every):
            at = WINDOW // 10**9 * scraped.window
            points = [Point(pod, metric, value, "s") for pod in pods] if k == 0 else []
            scraped.take([*points, Point("beside", "uptime", float(at), "s")])
    return scraped


def usual(rng: np.random.Generator, n: int) -> list[float]:
    return [float(x) for x in 0.2 + 0.01 * rng.normal(size=n)]


def opened(scraped: Scraped) -> list[Any]:
    return [a for a in scraped.opened() if a.signal == "latency"]


def test_one_odd_point_of_many_a_minute_opens_nothing_and_a_lasting_one_does(rng):
    before = usual(rng, 140)
    assert not opened(fed(Scraped(), [*before, 5.0, *usual(rng, 20)]))
    (anomaly,) = opened(fed(Scraped(), [*before, *(5.0 + 0.1 * float(x) for x in rng.normal(size=8))]))
    assert anomaly.detector == "bank"
    assert anomaly.expected == pytest.approx(0.2, rel=0.1), "what was expected before, not what it got used to"


def test_a_signal_that_comes_once_a_minute_speaks_with_one_point(rng):
    scraped = fed(Scraped(), usual(rng, 105), every=6)
    fed(scraped, [5.0], every=6)
    (anomaly,) = opened(scraped)
    assert anomaly.score >= 4.0


def test_golden_signals_leave_room_for_what_rules_ask_for_and_for_what_moves():
    config = DetectConfig(full_series=8, metrics=(MetricRule(metric="asked.*", watch="full"),))
    scraped = Scraped(config)
    pods = [f"p{n}" for n in range(10)]
    for _ in range(3):
        points = [Point(pod, "latency", 0.2, "s") for pod in pods]
        scraped.take([*points, Point("a", "asked.one", 1.0, "Cel"), Point("a", "other", 1.0, "Cel")])
    full = scraped.detect.metrics.signals.full
    names = [scraped.detect.metrics.signals._info[signal].name for signal in full.signal.tolist()]
    assert names.count("asked.one") == 1
    assert len(names) == int(GOLDEN * 8)
    assert scraped.detect.gauges()["detect_refused_full_signals_total"] == 10 - (int(GOLDEN * 8) - 1)


def test_what_moves_while_its_service_is_suspect_is_full_from_then_on(rng):
    scraped = Scraped()
    for k in range(150):
        off = 5.0 if k >= 120 else 0.0
        points = [Point(pod, "cpu.utilization", 0.3 + off / 10 + 0.01 * float(rng.normal())) for pod in "ab"]
        points += [Point("a", "temperature", 40.0 + 10 * off + float(rng.normal()), "Cel")]
        scraped.take(points)
    signals = scraped.detect.metrics.signals
    assert "temperature" in {signals._info[signal].name for signal in signals.full.signal.tolist()}


def test_rows_of_the_bank_do_not_depend_on_the_order_in_which_series_are_told(rng):
    def full(order: list[int]) -> set[str]:
        scraped = Scraped(DetectConfig(full_series=8))
        points = [Point(f"p{n}", "latency", 0.2, "s") for n in range(20)]
        for _ in range(3):
            scraped.take([points[n] for n in order])
        signals = scraped.detect.metrics.signals
        return {signals._info[signal].instance for signal in signals.full.signal.tolist()}

    assert full(list(range(20))) == full(rng.permutation(20).tolist())
