"""False alarms on noise: the share of points whose score reaches 3, 4, 5, 6, times 10^score.

1 is what the score promises, above 3 it promises too much.  Nothing is wrong in these series, so every point that
scores is a false alarm.  `alerts` are per 100,000 points: of a disturbance only the first point alerts.  A series'
first points are learned and not counted.

    python -m benchmarks.noise [--points N] [--seed N] [--only WORD] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

from aiops.bank import Bank
from aiops.detect.levels import Levels
from aiops.detect.suspicion import Suspicion
from benchmarks import results

MINUTE = 60_000_000_000  # ns between points
POINTS, LEARNING = 20_000, 2_000  # points of a series, and how many of them are not counted
AT_ONCE = 100  # series drawn and fed together
SCORES = (3, 4, 5, 6)
BAR = 3.0
Draw = Callable[[np.random.Generator, Any, Any], Any]  # generator, standard normal values, time in days -> values


def switched(rng: np.random.Generator, e: Any, _: Any) -> Any:
    return 10.0 * (np.cumsum(rng.random(e.shape) < 0.01, axis=1) % 2) + 0.3 * e


KINDS: dict[str, tuple[str, Draw]] = {
    "gaussian": ("Gaussian", lambda _, e, __: e),
    "t3": ("Student t, 3 degrees", lambda rng, e, _: rng.standard_t(3, e.shape)),
    "lognormal": ("log-normal", lambda _, e, __: np.exp(e)),
    "ar1": ("AR(1) .9", lambda _, e, __: lfilter([1.0], [1.0, -0.9], e, axis=1)),
    "walk": ("random walk", lambda _, e, __: np.cumsum(e, axis=1)),
    "season": ("day + drift", lambda _, e, day: 10.0 * np.sin(2 * np.pi * day) + day + e),
    "poisson_0.3": ("Poisson, mean .3", lambda rng, e, _: rng.poisson(0.3, e.shape).astype(float)),
    "poisson_3": ("Poisson, mean 3", lambda rng, e, _: rng.poisson(3.0, e.shape).astype(float)),
    "poisson_30": ("Poisson, mean 30", lambda rng, e, _: rng.poisson(30.0, e.shape).astype(float)),
    "on_off": ("on/off", switched),
}


def bank_scores(value: Any) -> tuple[Any, Any]:
    """Scores and alerts of the full tier; series by series, so that a series' state stays in the cache."""
    series, points = value.shape
    bank = Bank()
    bank.grow(series)
    out = bank.feed(np.repeat(np.arange(series), points), np.tile(MINUTE * np.arange(points), series), value.ravel())
    return out.score.reshape(value.shape), out.alert.reshape(value.shape)


def levels_scores(value: Any) -> tuple[Any, Any]:
    """Scores of the light tier; it alerts by what lasts, which is decided elsewhere."""
    series, points = value.shape
    suspicion = Suspicion()
    suspicion.grow(series)
    levels = Levels(suspicion)
    levels.grow(list(range(series)))
    score, rows = np.empty(value.shape), np.arange(series)
    for k in range(points):
        levels.add(rows, np.full(series, k * MINUTE), value[:, k])
        score[:, k] = np.abs(levels.score[:series, -1])
        levels.advance((k + 1) * MINUTE)
    return score, np.zeros(value.shape, bool)


TIERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {"bank": bank_scores, "levels": levels_scores}


def measure(tier: str, kind: str, series: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    day = np.arange(POINTS) / 1440.0
    reached, alerts, counted = np.zeros(len(SCORES)), np.zeros(len(SCORES)), 0
    for start in range(0, series, AT_ONCE):
        e = rng.standard_normal((min(AT_ONCE, series - start), POINTS))
        score, alert = TIERS[tier](KINDS[kind][1](rng, e, day))
        score, alert = score[:, LEARNING:], alert[:, LEARNING:]
        reached += [(score >= x).sum() for x in SCORES]
        alerts += [(alert & (score >= x)).sum() for x in SCORES]
        counted += score.size
    return {
        "points": counted,
        "times_nominal": [float(r / counted * 10.0**x) for r, x in zip(reached, SCORES, strict=True)],
        "alerts_in_100k": [float(a / counted * 1e5) for a in alerts],
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--points", type=float, default=2e6, help="of all kinds together, each tier (default 2e6)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", metavar="WORD", default="", help="cases whose id holds this word: bank, levels_t3")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    series = max(1, round(options.points / len(KINDS) / POINTS))
    results.introduce(
        f"{series} series of {POINTS} points a kind; share of points x 10^score: 1 is nominal, bar {BAR:g}"
    )
    print(f"{'':8s}{'noise':22s}" + "".join(f"{f'>= {x}':>8s}" for x in SCORES) + "   | alerts per 100,000 points")
    found = {}
    for tier in TIERS:
        for kind, (title, _) in KINDS.items():
            if options.only in (case := f"{tier}_{kind}"):
                found[f"noise.{case}"] = row = measure(tier, kind, series, options.seed)
                ratios = "".join(f"{x:8.2f}" for x in row["times_nominal"])
                alerts = "".join(f"{x:8.2f}" for x in row["alerts_in_100k"]) if tier == "bank" else ""
                print(f"{tier:8s}{title:22s}{ratios}   |{alerts}", flush=True)
    worst = max((max(row["times_nominal"]) for row in found.values()), default=0.0)
    print(f"worst: {worst:.2f} times nominal")
    results.write(options.json, found, points=options.points, seed=options.seed)


if __name__ == "__main__":
    main()
