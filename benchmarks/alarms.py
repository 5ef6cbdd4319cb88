"""Anomalies above the alerting bar: how often they open where nothing is wrong, and how soon where something is.

Days go through the whole engine, and what counts is an anomaly that *opens* (``aiops.detect.anomalies.OPEN``), before incidents.
Quiet: simulated days without faults, and what recorded days hold outside of [fault - 90 s, fault + 600 s].  A series is one
watched signal (a facet of a metric, a log rate, an operation, an edge; three of a service: instances, traffic, visits); they are
counted from the engine's gauges in every window.  Faults: a fault is *told* by an anomaly that opens within 120 s of it on its
service, or on an edge into it; recorded labels are late by up to 90 s, so there it may be so early.  *By chance*: how likely
some anomaly opens on a service in a span of that length, by the rate of openings outside of faults.  Times are event times: a
window is judged 20 s after its end.

    python -m benchmarks.alarms [--seeds 11-15] [--hours 5] [--rate 3] [--only PART ...] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from aiops.scoring import Fault
from benchmarks import results, seeds
from benchmarks.alarm_days import Day, Opening, recorded, simulated

PARTS = ("quiet", "faults", "recorded")
WITHIN = 120.0  # seconds
PER = 2000.0  # series-hours
MOST_FALSE, LEAST_TOLD = 1.0, 0.9
RECORDED = ("2022-08-22", "2023-01-29")  # below AIOPS_DATA/nezha


class Told(NamedTuple):
    """What became of one fault: the opening that told of it first, if any, and the seconds until then."""

    day: str
    fault: Fault
    opening: Opening | None
    delay: float | None


def tellings(day: Day) -> list[Told]:
    """Of each fault, the first anomaly on its service that opened in time."""
    out = []
    for fault in day.faults:
        begin, end = fault.time_unix - day.early, fault.time_unix + WITHIN
        fit = [o for o in day.openings if o.service == fault.service and begin <= o.at <= end]
        first = min(fit, key=lambda o: (o.at, -o.score, o.detector), default=None)
        out.append(Told(day.name, fault, first, None if first is None else first.at - fault.time_unix))
    return out


def false_ones(day: Day) -> list[Opening]:
    """Anomalies that opened where nothing was wrong."""
    return [o for o in day.openings if o.at <= day.end + 60.0 and day.quiet(o.at)]


def by_chance(days: list[Day]) -> float:
    """Mean probability that an anomaly opens on a service in a span as long as a fault's, where nothing is wrong."""
    chances = []
    for day in days:
        rate = Counter(o.service for o in false_ones(day))
        span = (day.early + WITHIN) / 3600.0
        chances += [1.0 - math.exp(-rate[s] / max(day.hours, 1e-9) * span) for s in day.services]
    return sum(chances) / len(chances) if chances else 0.0


def quiet_result(days: list[Day]) -> dict[str, Any]:
    """Openings where nothing was wrong: in all, by detector, and against series-hours."""
    false = [o for day in days for o in false_ones(day)]
    watched = sum(day.watched for day in days)
    return {
        "hours": round(sum(day.hours for day in days), 2), "series_hours": round(watched), "openings": len(false),
        "per_2000_series_hours": round(len(false) / watched * PER, 3) if watched else None, "most": MOST_FALSE,
        "by_chance": round(by_chance(days), 4),
        "by_detector": dict(sorted(Counter(f"{o.detector} {o.kind}" for o in false).items())),
    }  # fmt: skip


def fault_results(told: list[Told]) -> dict[str, dict[str, Any]]:
    """Share told, median delay and who told first, of each kind."""
    kinds: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        kinds[one.fault.kind].append(one)
    out = {}
    for kind, some in sorted(kinds.items()):
        delays = [one.delay for one in some if one.delay is not None]
        first = Counter(f"{one.opening.detector} {one.opening.kind}" for one in some if one.opening)
        out[kind] = {
            "faults": len(some), "told": len(delays), "share": round(len(delays) / len(some), 3), "least": LEAST_TOLD,
            "median_delay_s": median(delays) if delays else None, "told_first_by": dict(sorted(first.items())),
            "not_told": sorted(f"{one.day} {one.fault.service}" for one in some if one.opening is None),
        }  # fmt: skip
    return out


def _counted(of: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(of.items(), key=lambda item: (-item[1], item[0])))


def _quiet_line(name: str, r: dict[str, Any]) -> str:
    rate = "-" if r["per_2000_series_hours"] is None else f"{r['per_2000_series_hours']:.2f}"
    return (
        f"{name:22s} {r['hours']:7.1f} {r['series_hours']:9d} {r['openings']:9d} {rate:>9s} {r['by_chance']:9.3f}"
        f"  {_counted(r['by_detector'])}"
    )


def _fault_lines(of: dict[str, dict[str, Any]]) -> Iterator[str]:
    for kind, r in of.items():
        delay = "-" if r["median_delay_s"] is None else f"{r['median_delay_s']:.0f}"
        yield f"{kind:22s} {r['faults']:7d} {r['told']:9d} {r['share']:9.3f} {delay:>9s}  {_counted(r['told_first_by'])}"


def _options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    seeds.add(parser, "11-15")
    parser.add_argument("--hours", type=float, default=5.0, help="of a simulated day (default 5)")
    parser.add_argument("--rate", type=float, default=3.0, help="requests a second (default 3)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run")
    parser.add_argument("--quick", action="store_true", help="one seed of two hours: to see that it works")
    parser.add_argument("--list", action="store_true", help="say what opened in quiet, and what was not told")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.hours = options.seeds[:1], 2.0
    return options


def _days(options: argparse.Namespace) -> Iterator[tuple[str, Day]]:
    """(part, day) of all that is asked for, each said as it is done."""
    todo: list[tuple[str, str, Callable[[], Day]]] = []
    for part, faults in (("quiet", False), ("faults", True)):
        if part in options.only:
            shape = (options.hours, options.rate, faults)
            todo += [(part, f"seed {seed}", partial(simulated, seed, *shape)) for seed in options.seeds]
    data = os.environ.get("AIOPS_DATA")
    if "recorded" in options.only and data:
        todo += [("recorded", day, partial(recorded, Path(data) / "nezha" / day)) for day in RECORDED]
    elif "recorded" in options.only:
        print("no recorded days: AIOPS_DATA does not name their folder")
    for part, name, make in todo:
        began = time.process_time()
        day = make()
        false, told = len(false_ones(day)), sum(one.opening is not None for one in tellings(day))
        what = f"{told} of {len(day.faults)} faults told, {false} openings in {day.hours:.1f} h of quiet"
        print(f"  {part} {name}: {what}, {time.process_time() - began:.0f} s CPU", flush=True)
        if options.list:
            _list(day)
        yield part, day


def _list(day: Day) -> None:
    for o in false_ones(day):
        print(
            f"    quiet {o.at - day.begin:8.0f} s  {o.score:4.1f} {o.detector} {o.kind} {o.service}: {o.statement[:150]}"
        )
    for one in tellings(day):
        if one.opening is None:
            late = [o for o in day.openings if o.service == one.fault.service and one.fault.time_unix < o.at]
            later = f"; {late[0].detector} after {late[0].at - one.fault.time_unix:.0f} s" if late else ""
            print(
                f"    not told {one.fault.kind} on {one.fault.service} at {one.fault.time_unix - day.begin:.0f} s{later}"
            )


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, print the tables, write the results."""
    options = _options(arguments)
    results.introduce(
        f"Anomalies above the alerting bar. Told: within {WITHIN:.0f} s. Simulated: {options.hours:g} h a seed."
    )
    days: dict[str, list[Day]] = defaultdict(list)
    for part, day in _days(options):
        days[part if part != "recorded" else f"recorded.{day.name}"].append(day)
    out: dict[str, Any] = {}
    print(
        f"\n{'quiet':22s} {'hours':>7s} {'series-h':>9s} {'openings':>9s} {'per 2000':>9s} {'chance':>9s}  by detector"
    )
    for name, of in days.items():
        if name != "faults":
            source = "simulated" if name == "quiet" else name
            out[f"alarms.quiet.{source}"] = result = quiet_result(of)
            print(_quiet_line(source, result))
    told = {
        "simulated": [one for day in days["faults"] for one in tellings(day)],
        "recorded": [one for day in RECORDED for of in days[f"recorded.{day}"] for one in tellings(of)],
    }
    for source, some in told.items():
        if some:
            print(
                f"\n{source + ' faults':22s} {'faults':>7s} {'told':>9s} {'share':>9s} {'delay s':>9s}  told first by"
            )
            of_kinds = fault_results(some)
            out |= {f"alarms.faults.{source}.{kind}": result for kind, result in of_kinds.items()}
            for line in _fault_lines(of_kinds):
                print(line)
    print(
        f"\nbars: at most {MOST_FALSE:g} opening in {PER:.0f} series-hours of quiet; told {LEAST_TOLD:.0%} of each kind"
    )
    seeds = f"{options.seeds[0]}-{options.seeds[-1]}"
    results.write(options.json, out, seeds=seeds, hours=options.hours, rate=options.rate)


if __name__ == "__main__":
    main()
