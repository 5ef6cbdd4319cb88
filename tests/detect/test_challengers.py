"""Detectors of river beside the bank: from a list, compared, never heard."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aiops.detect.challengers import NEAR, WARM_UP, Challengers, _Run
from aiops.detect.rules import DETECTORS, Challenger, DetectConfig
from aiops.errors import UserError
from aiops.records import encode
from tests.detect.scraped import Point, Scraped

pytest.importorskip("river")
SMALL = {"HalfSpaceTrees": {"n_trees": "3", "height": "4", "window_size": "50"}}


def of(detector: str, **more: Any) -> Challenger:
    return Challenger(detector=detector, parameters=SMALL.get(detector, {}), **more)


@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_of_the_list_runs_and_scores_the_unusual_higher(rng, detector):
    run = _Run(of(detector))
    usual = [run.score(float(x)) for x in rng.normal(100.0, 5.0, WARM_UP + 150)]
    assert usual[:WARM_UP] == [0.0] * WARM_UP
    assert max(usual) < 3.0
    assert np.mean(usual[WARM_UP:]) < 1.5
    odd = max(run.score(float(x)) for x in (300.0, 500.0, -200.0, 100.0))
    assert odd > np.quantile(usual[WARM_UP:], 0.9)


@pytest.mark.parametrize(
    ("challenger", "said"),
    [
        (Challenger(detector="os.system"), "is no detector that may run here; there are GaussianScorer"),
        (Challenger(detector="HalfSpaceTrees", parameters={"trees": "3"}), "HalfSpaceTrees: .*trees"),
    ],
)
def test_what_is_not_on_the_list_or_not_a_parameter_is_an_error_at_once(challenger, said):
    with pytest.raises(UserError, match=said):
        Challengers((challenger,))


def test_without_river_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(UserError, match=r"river is not installed: pip install 'aiops\[river\]'"):
        Challengers((of("GaussianScorer"),))
    Challengers(())


def test_spells_of_both_or_of_one_alone_are_counted_once():
    challengers = Challengers((of("GaussianScorer"),))
    run: Any = SimpleNamespace(point=0, heard=-NEAR - 1, bank=-NEAR - 1)
    heard = [0] * 20 + [5, 5, 5] + [0] * 10 + [5] + [0] * 10 + [0] * 10
    bank = [0] * 20 + [0, 5, 0] + [0] * 10 + [0] + [0] * 10 + [5] + [0] * 9
    for mine, banks in zip(heard, bank, strict=True):
        run.score = lambda _value, mine=mine: float(mine)
        run.point += 1
        challengers._judge(0, run, 0.0, float(banks))
    counted = {what: challengers.counts[0, what] for what in ("points", "both", "alone", "bank")}
    assert counted == {"points": len(heard), "both": 1, "alone": 1, "bank": 1}


def test_a_challenger_watches_what_is_full_and_changes_nothing_that_is_published(rng):
    values = rng.normal(0.3, 0.01, 260).tolist()
    values[230:] = [0.9] * 30

    def run(config: DetectConfig) -> Scraped:
        scraped = Scraped(config)
        for k, value in enumerate(values):
            if k == 150:
                scraped.restart()
            scraped.take(
                [Point(p, "cpu.utilization", value) for p in "abc"] + [Point("a", "temperature", value, "Cel")]
            )
        return scraped

    challenger = of("HalfSpaceTrees", watch="cpu.*", most=2)
    beside, alone = run(DetectConfig(challengers=(challenger,))), run(DetectConfig())
    assert [encode(a) for a in beside.anomalies] == [encode(a) for a in alone.anomalies]
    gauges = beside.detect.gauges()
    assert gauges["detect_challenger_0_halfspacetrees_series"] == 2
    assert gauges["detect_challenger_0_halfspacetrees_points_total"] > 0
    assert not [name for name in alone.detect.gauges() if "challenger" in name]
