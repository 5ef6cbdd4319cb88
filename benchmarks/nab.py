"""The bank on NAB, the Numenta Anomaly Benchmark: every file is fed as a stream, without its length, minimum, maximum
or labels.

Writes OUT/<category>/<file>.csv with the columns timestamp and anomaly_score, as NAB's own detectors do, and prints
NAB's score of the files whose labels are in DATA (numenta/NAB, `data` and `labels`): with the best threshold, as on
NAB's scoreboard; with the threshold of one random half of the files on the other; with the setting chosen on one half
too, among the usual one and its neighbours; and with all terms and weights chosen on one half, among many random settings.

    python -m benchmarks.nab DATA OUT [--cv N] [--random N] [--json FILE]
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import results, settings

LABELS = "labels/combined_windows.json"
# Worth of a window found at once, of a false point, of a window missed.
PROFILES = {
    "standard": (1.0, 0.11, 1.0),
    "reward_low_FP_rate": (1.0, 0.22, 1.0),
    "reward_low_FN_rate": (1.0, 0.11, 2.0),
}
PROBATION, LONGEST_PROBATION = 0.15, 750.0  # share of a file that is not scored, at most so many points
THRESHOLDS, SMOOTH = (
    np.arange(30, 140) / 20.0,
    5,
)  # scores tried in cross-validation, and over how many of them the mean is taken
FULL = 2.0 / (1.0 + math.exp(-5.0)) - 1.0  # sigmoid at the left edge of a window


class File(NamedTuple):
    """One file: what it holds, and where NAB puts each point."""

    name: str
    stamps: list[str]
    time: Any  # int64[n], Unix ns
    value: Any  # float64[n]
    worth: Any  # float64[n], of a detection here, before weights
    window: Any  # int64[n], -1 = outside
    scored: Any  # bool[n]
    windows: int


def nanoseconds(text: str) -> int:
    stamp = dt.datetime.fromisoformat(text.split(".", maxsplit=1)[0]).replace(tzinfo=dt.UTC)
    return int(stamp.timestamp()) * 1_000_000_000


def sigmoid(y: float) -> float:
    return -1.0 if y > 3 else 2.0 / (1.0 + math.exp(5.0 * y)) - 1.0


def placed(time: Any, windows: Sequence[tuple[int, int]]) -> tuple[Any, Any]:
    """Worth of a detection at each point, and the window that it lies in, as NAB's sweeper has them.

    Time stamps repeat when clocks are set back: a window begins and ends at the first point with its time, as in NAB.
    """
    first: dict[int, int] = {}
    for i, t in enumerate(time.tolist()):
        first.setdefault(t, i)
    worth, window = np.zeros(len(time)), np.full(len(time), -1)
    last: tuple[int, float] | None = None
    now: tuple[int, int, float, int] | None = None
    ahead = list(enumerate(windows))
    for i, t in enumerate(time.tolist()):
        if ahead and t == ahead[0][1][0]:
            number, (start, end) = ahead.pop(0)
            now = (end, first[end], float(first[end] - first[start] + 1), number)
        if now:
            worth[i], window[i] = sigmoid(-(now[1] - i + 1) / now[2]), now[3]
            if t == now[0]:
                last, now = (i, now[2]), None
        else:
            worth[i] = -1.0 if last is None else sigmoid((i - last[0]) / (last[1] - 1.0))
    return worth, window


def read(data: Path) -> list[File]:
    labels = json.loads((data / LABELS).read_text())
    out = []
    for name in sorted(labels):
        path = data / "data" / name
        if not path.exists():
            continue
        with path.open() as file:
            rows = list(csv.DictReader(file))
        time = np.array([nanoseconds(row["timestamp"]) for row in rows])
        windows = [(nanoseconds(start), nanoseconds(end)) for start, end in labels[name]]
        worth, window = placed(time, windows)
        scored = np.arange(len(rows)) >= min(math.floor(PROBATION * len(rows)), LONGEST_PROBATION)
        value = np.array([float(row["value"]) for row in rows])
        out.append(File(name, [row["timestamp"] for row in rows], time, value, worth, window, scored, len(windows)))
    return out


def swept(files: Sequence[File], scores: Sequence[Any], profile: str) -> tuple[Any, Any]:
    """Scores of all points that alert, descending, and NAB's score of the files together with the first so many of them."""
    tp, fp, fn = PROFILES[profile]
    score, points, window, base, there = [], [], [], 0, 0
    for file, s in zip(files, scores, strict=True):
        hit = np.flatnonzero(file.scored & (s > 0))
        inside = file.window[hit]
        score.append(s[hit])
        points.append(np.where(inside >= 0, file.worth[hit] * tp / FULL, file.worth[hit] * fp))
        window.append(np.where(inside >= 0, inside + base, -1))
        base += file.windows
        there += len(np.unique(file.window[file.scored & (file.window >= 0)]))
    s, p, w = np.concatenate(score), np.concatenate(points), np.concatenate(window)
    order = np.argsort(-s, kind="stable")
    s, p, w = s[order], p[order], w[order]
    gain, best = np.where(w < 0, p, 0.0), np.full(base, -fn)
    for i in np.flatnonzero(w >= 0):  # a window is worth its best point so far
        if p[i] > best[w[i]]:
            gain[i], best[w[i]] = p[i] - best[w[i]], p[i]
    null, perfect = -fn * there, tp * base
    raw = np.concatenate([[0.0], np.cumsum(gain)])
    return s, 100.0 * raw / (perfect - null) if perfect > null else 0.0 * raw


def normalised(
    files: Sequence[File], scores: Sequence[Any], profile: str, threshold: float | None = None
) -> tuple[float, float]:
    """NAB's score of these files together, and its threshold: the best one unless one is given."""
    s, value = swept(files, scores, profile)
    if threshold is None:
        whole = np.concatenate([[True], s[1:] != s[:-1], [True]]) if len(s) else np.ones(1, bool)
        i = int(np.argmax(np.where(whole, value, -np.inf)))
        threshold = float(s[i - 1]) if i else math.inf
    return float(value[int((s >= threshold).sum())]), threshold


def curve(files: Sequence[File], scores: Sequence[Any], profile: str) -> Any:
    """NAB's score of these files together at each of `THRESHOLDS`."""
    s, value = swept(files, scores, profile)
    return value[np.searchsorted(-s, -THRESHOLDS, side="right")]


def halves(n: int, splits: int, seed: int = 0) -> list[tuple[Any, Any]]:
    """Random halves of `n` files, each way."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(splits):
        order = rng.permutation(n)
        out += [(order[: n // 2], order[n // 2 :]), (order[n // 2 :], order[: n // 2])]
    return out


def crossed(files: list[File], by_setting: dict[str, list[Any]], profile: str, splits: int) -> list[float]:
    """Score of each half with the setting and the threshold that were the best on the other.

    The best is that of the mean over neighbouring thresholds: of a noisy curve the highest point is luck.
    """
    found = []
    for a, b in halves(len(files), splits):
        here, there = [files[i] for i in a], [files[i] for i in b]
        best, threshold, name = -math.inf, math.inf, ""
        for setting, scores in by_setting.items():
            smooth = np.convolve(curve(here, [scores[i] for i in a], profile), np.full(SMOOTH, 1.0 / SMOOTH), "valid")
            if smooth.max() > best:
                best, threshold, name = float(smooth.max()), float(THRESHOLDS[smooth.argmax() + SMOOTH // 2]), setting
        found.append(normalised(there, [by_setting[name][i] for i in b], profile, threshold)[0])
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="NAB: the folder that holds data and labels")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--cv", type=int, default=10, metavar="N", help="random splits of the files (default 10)")
    parser.add_argument(
        "--random", type=int, default=500, metavar="N", help="random settings to choose from (default 500)"
    )
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    files = read(options.data)
    details = [settings.judged(file.time, file.value) for file in files]
    usual = [detail.alerts(settings.USUAL) for detail in details]
    for file, scores in zip(files, usual, strict=True):
        path = options.out / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{stamp},{x:.9f}\n" for stamp, x in zip(file.stamps, scores, strict=True))
        path.write_text("timestamp,anomaly_score\n" + rows)
    drawn = settings.random_settings(options.random)
    grids = {
        "half": {"usual": usual},
        "neighbours": {name: [detail.alerts(setting) for detail in details] for name, setting in settings.GRID.items()},
        "random": {name: [detail.alerts(setting) for detail in details] for name, setting in drawn.items()},
    }
    windows = sum(file.windows for file in files)
    results.introduce(
        f"{len(files)} files, {windows} windows; {options.cv} random halves, each way.\nChosen on one half, scored on the other; "
        f"half: the threshold; neighbours: that and one of {len(settings.GRID)} settings; "
        f"random: that and one of {len(drawn)} random settings"
    )
    print(f"{'profile':22s}{'best threshold':>16s}" + "".join(f"{name:>18s}" for name in grids))
    found = {}
    for profile in PROFILES:
        best, threshold = normalised(files, usual, profile)
        row: dict[str, Any] = {"score": best, "threshold": threshold}
        line = f"{profile:22s}{best:16.1f}"
        for name, grid in grids.items():
            if not grid:
                continue
            scores = crossed(files, grid, profile, options.cv)
            row[name], row[f"{name}_deviation"] = float(np.mean(scores)), float(np.std(scores))
            line += f"{np.mean(scores):12.1f} +-{np.std(scores):4.1f}"
        found[f"nab.{profile}"] = row
        print(line, flush=True)
    results.write(options.json, found, files=len(files), windows=windows)


if __name__ == "__main__":
    main()
