"""The benchmarks of the bank: their scores on cases worked out by hand, and that they run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aiops.bank import Bank, fusion
from benchmarks import kpi, nab, noise, settings

MINUTE = 60_000_000_000


def file(windows: list[tuple[int, int]], n: int = 20) -> nab.File:
    time = np.arange(n)
    worth, window = nab.placed(time, windows)
    return nab.File("x", [], time, np.zeros(n), worth, window, np.arange(n) >= 3, len(windows))


def at(**score: float) -> np.ndarray:
    out = np.zeros(20)
    for place, x in score.items():
        out[int(place[1:])] = x
    return out


@pytest.mark.parametrize(
    ("profile", "threshold", "worth"),
    [
        ("standard", None, 100.0), ("standard", 0.8, 94.5), ("reward_low_FP_rate", 0.8, 89.0),
        ("reward_low_FN_rate", 0.8, 100 * 2.89 / 3), ("standard", 2.0, 0.0),
    ],
)  # fmt: skip
def test_a_window_found_at_once_is_worth_100_and_a_false_point_costs_what_the_profile_says(profile, threshold, worth):
    found, _ = nab.normalised([file([(10, 13)])], [at(_10=0.9, _5=0.8)], profile, threshold)
    assert found == pytest.approx(worth)


def test_a_late_detection_is_worth_less_and_one_behind_the_window_costs():
    found, threshold = nab.normalised([file([(10, 13)])], [at(_13=1.0, _14=1.0)], "standard", 1.0)
    assert found == pytest.approx(74.354, abs=0.001)
    assert threshold == 1.0


def test_halves_are_disjoint_and_each_is_scored_by_the_other():
    for a, b in nab.halves(7, 3):
        assert sorted([*a, *b]) == list(range(7))
    assert len(nab.halves(7, 3)) == 6


def test_a_segment_counts_whole_where_one_of_its_first_points_is_reported():
    label = np.zeros(60, bool)
    label[20:30] = label[40:45] = True
    series = kpi.Series("x", np.arange(60), np.zeros(60), label, 20)
    score = np.zeros(60)
    score[28], score[41], score[50:52] = 0.95, 0.95, 0.95  # 8 points after the onset: too late
    parts = [kpi.part(series, score, 20, 60)]
    assert kpi.f1(parts, "delay_7", 0.9)[0] == pytest.approx(10 / 22)
    assert kpi.f1(parts, "event", 0.9)[0] == pytest.approx(2 / 5)
    score[27] = 0.95
    assert kpi.f1([kpi.part(series, score, 20, 60)], "delay_7", 0.9)[0] == pytest.approx(30 / 32)


def test_the_usual_setting_alerts_as_the_bank_does():
    rng = np.random.default_rng(1)
    value, time = rng.standard_normal(3000), MINUTE * np.arange(3000)
    value[2500] += 20.0
    bank = Bank()
    bank.grow(1)
    out = bank.feed(np.zeros(3000, np.int64), time, value)
    alerts = settings.judged(time, value).alerts(settings.USUAL)
    assert np.where(out.alert, out.score, 0.0).tobytes() == alerts.tobytes()


def test_every_setting_to_choose_from_is_another():
    assert len(set(settings.GRID.values())) == len(settings.GRID)
    assert all(0 <= term < len(fusion.WEIGHTS) for s in settings.GRID.values() for term, _ in s.factors)


def test_noise_is_counted_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(noise, "POINTS", 3000)
    noise.main(["--points", "1e5", "--only", "bank_t3", "--json", str(tmp_path / "noise.json")])
    row = json.loads((tmp_path / "noise.json").read_text())["results"]["noise.bank_t3"]
    assert row["points"] == 3000
    assert "worst" in capsys.readouterr().out


def test_nab_files_are_read_and_results_written(tmp_path):
    data, out = tmp_path / "nab", tmp_path / "out"
    (data / "data" / "a").mkdir(parents=True)
    (data / "labels").mkdir()
    stamps = [f"2024-01-{1 + k // 288:02d} {k % 288 // 12:02d}:{k % 12 * 5:02d}:00" for k in range(600)]
    rng = np.random.default_rng(2)
    names = ["a/one.csv", "a/two.csv"]
    for name in names:
        value = rng.standard_normal(600)
        value[500:] += 15.0
        rows = "".join(f"{stamp},{x}\n" for stamp, x in zip(stamps, value, strict=True))
        (data / "data" / name).write_text("timestamp,value\n" + rows)
    labels = {name: [[f"{stamps[490]}.000000", f"{stamps[520]}.000000"]] for name in names}
    (data / nab.LABELS).write_text(json.dumps(labels))
    nab.main([str(data), str(out), "--cv", "1", "--random", "2", "--json", str(tmp_path / "nab.json")])
    lines = (out / "a" / "one.csv").read_text().splitlines()
    assert lines[0] == "timestamp,anomaly_score"
    assert len(lines) == 601
    assert json.loads((tmp_path / "nab.json").read_text())["results"]["nab.standard"]["score"] > 60.0
