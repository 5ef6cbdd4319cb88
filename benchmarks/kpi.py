"""The bank on long labelled series of key indicators, fed as a stream, without their length, minimum, maximum or labels.

DATA/<id>.npz holds `time_unix` (s), `value`, `label` and `split`, the length of the first part.  Writes OUT/<id>.npz
with `score`, and prints F1 of the second parts with one threshold for all series, fitted on the first parts: delay 7
(a labelled segment counts whole, as found where one of its first 8 points is reported), and by event (a segment counts
once, every false point counts).  `chosen`: the setting was chosen on the first parts too, among the usual one and its
neighbours.

    python -m benchmarks.kpi DATA OUT [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import results, settings

DELAY = 7  # points
MEASURES = ("delay_7", "event")


class Series(NamedTuple):
    """One series and its labelled segments."""

    name: str
    time: Any  # int64[n], Unix ns
    value: Any  # float64[n]
    label: Any  # bool[n]
    split: int


class Part(NamedTuple):
    """What is reported of a part: greatest score of each segment within the delay, its length, scores of other points."""

    segment: Any
    length: Any
    other: Any


def read(data: Path) -> list[Series]:
    out = []
    for path in sorted(data.glob("*.npz")):
        with np.load(path) as held:
            time, value = held["time_unix"].astype(np.int64) * 1_000_000_000, held["value"].astype(float)
            out.append(Series(path.stem, time, value, held["label"].astype(bool), int(held["split"])))
    if not out:
        raise SystemExit(f"no *.npz in {data}")
    return out


def part(series: Series, score: Any, start: int, end: int) -> Part:
    label, score = series.label[start:end], score[start:end]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], label.view(np.int8), [0]])))
    first, last = edges[::2], edges[1::2]
    best = [score[a : min(b, a + DELAY + 1)].max() for a, b in zip(first, last, strict=True)]
    other = score[~label]
    return Part(np.array(best, float), last - first, other[other > 0])


def f1(parts: Sequence[Part], measure: str, threshold: float | None = None) -> tuple[float, float]:
    """F1 of all parts together, and its threshold: the best one unless one is given."""
    segment, length, other = (np.concatenate([getattr(p, name) for p in parts]) for name in Part._fields)
    weight = length.astype(float) if measure == "delay_7" else np.ones(len(segment))
    if threshold is None:
        score = np.concatenate([segment, other])
        order = np.argsort(-score, kind="stable")
        hits = np.cumsum(np.concatenate([weight, np.zeros(len(other))])[order])
        false = np.cumsum(np.concatenate([np.zeros(len(segment)), np.ones(len(other))])[order])
        score = score[order]
        whole = np.concatenate([score[1:] != score[:-1], [True]]) & (score > 0)
        threshold = float(score[np.where(whole, 2.0 * hits / (hits + false + weight.sum()), -1.0).argmax()])
    found = weight[segment >= threshold].sum()
    return 2.0 * found / (found + (other >= threshold).sum() + weight.sum()), threshold


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="folder of the labelled series")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    everything = read(options.data)
    first: dict[str, list[Part]] = {name: [] for name in settings.GRID}
    second: dict[str, list[Part]] = {name: [] for name in settings.GRID}
    for series in everything:
        judged = settings.judged(series.time, series.value)
        for name, setting in settings.GRID.items():
            score = judged.alerts(setting)
            first[name].append(part(series, score, 0, series.split))
            second[name].append(part(series, score, series.split, len(score)))
            if setting is settings.USUAL:
                np.savez_compressed(options.out / f"{series.name}.npz", score=score)
    segments = sum(len(p.segment) for p in second["usual"])
    results.introduce(f"{len(everything)} series, {segments} labelled segments in the second parts")
    print(f"{'F1':10s}{'fitted threshold':>18s}{'best threshold':>18s}{'chosen':>10s}   setting chosen")
    found = {}
    for measure in MEASURES:
        fitted = {name: f1(parts, measure) for name, parts in first.items()}
        f, best = f1(second["usual"], measure, fitted["usual"][1])[0], f1(second["usual"], measure)[0]
        name = max(fitted, key=lambda name: fitted[name][0])
        chosen = f1(second[name], measure, fitted[name][1])[0]
        found[f"kpi.{measure}"] = {
            "f1": f,
            "best": best,
            "chosen": chosen,
            "setting": name,
            "threshold": fitted["usual"][1],
        }
        print(f"{measure:10s}{f:18.3f}{best:18.3f}{chosen:10.3f}   {name}", flush=True)
    results.write(options.json, found, series=len(everything))


if __name__ == "__main__":
    main()
