"""Incidents of whole days: are faults found and named, by how few incidents, and does the confidence keep what it promises.

Simulated days over all kinds of faults and three meshes (``benchmarks/incident_days.py``), and recorded days, go through the
engine with one set of constants.  Found, top-1, top-3, false and delay by the rules of ``aiops/scoring.py``.  *Right* is top-1,
but where no service is to blame (a host, a network, users) an incident that says so (no confident cause) is right as well, and
the host and any service that it took along.  *Kind*: where the true service is first, is the kind of cause right.  *A fault*:
incidents of which it is the cause, late ones too; in the line of all, every incident.  Two faults of one group are one problem,
which one incident should tell.

    python -m benchmarks.incidents [--seeds 601-650] [--hours 2.5] [--rate 2] [--only PART ...] [--processes 2] [--quick]
                                   [--keep DIR] [--kept DIR] [--list] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from aiops.scoring import Outcome, Problem, Score, found, right, score, top
from aiops.verdicts import Verdict, verdicts
from benchmarks import reliability, results, seeds
from benchmarks.incident_days import (
    MESHES,
    RECORDED,
    Played,
    all_simulated,
    for_choosing,
    keep,
    kept,
    recorded,
)
from benchmarks.reliability import Said

PARTS = ("simulated", "recorded")
LEAST_FOUND, LEAST_RIGHT, MOST_A_FAULT, MOST_ERROR = 0.97, 0.85, 1.2, 0.10
AFTER = 300.0  # seconds after a disturbance in which an incident may still come of it


@dataclass(frozen=True, slots=True)
class Judged:
    """A day, the score of its faults, and what each of its incidents is worth."""

    day: Played
    score: Score
    verdicts: list[Verdict]

    def came_of(self, problem: Problem | None) -> int:
        """How many incidents came of a problem, or of nothing."""
        return sum(verdict.problem == problem for verdict in self.verdicts)


def judged(day: Played) -> Judged:
    """Hold a day's incidents against its truth."""
    return Judged(day, score(day.truth, day.context, day.incidents), verdicts(day.truth, day.context, day.incidents))


# ---- what is counted -------------------------------------------------------------------------------------------------
def figures(outcomes: Sequence[Outcome], incidents: int) -> dict[str, Any]:
    """Of some problems and the incidents that came of them."""
    delays = [o.delay for o in outcomes if o.delay is not None]
    kinds = [o.kind_right for o in outcomes if o.kind_right is not None]
    n = len(outcomes)
    return {
        "faults": n, "found": round(found(outcomes), 3), "top_1": round(top(outcomes, 1), 3),
        "right": round(right(outcomes), 3), "top_3": round(top(outcomes, 3), 3),
        "kind_right": round(sum(kinds) / len(kinds), 3) if kinds else None, "kind_judged": len(kinds),
        "median_delay_s": round(median(delays), 1) if delays else None,
        "incidents_a_fault": round(incidents / n, 3) if n else None,
    }  # fmt: skip


def by_kind(days: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """Figures of each kind of fault, and of faults that are one problem together."""
    of: dict[str, list[tuple[Outcome, int]]] = {}
    for one in days:
        for outcome in one.score.final.outcomes:
            of.setdefault(outcome.kind, []).append((outcome, one.came_of(outcome.problem)))
    return {kind: figures([o for o, _ in some], sum(n for _, n in some)) for kind, some in sorted(of.items())}


def altogether(days: Sequence[Judged]) -> dict[str, Any]:
    """Figures of all faults of some days; every incident counts, and what is false has a rate."""
    outcomes = [o for one in days for o in one.score.final.outcomes]
    hours = sum(one.score.hours for one in days)
    false = sum(len(one.score.false) for one in days)
    nothing = sum(one.came_of(None) for one in days)
    return {
        **figures(outcomes, sum(len(one.verdicts) for one in days)), "days": len(days), "hours_outside": round(hours, 2),
        "false": false, "false_an_hour": round(false / hours, 3) if hours > 0 else None,
        "of_nothing": nothing, "of_nothing_an_hour": round(nothing / hours, 3) if hours > 0 else None,
        "extra": sum(one.score.final.extra for one in days), "cpu_s": round(sum(one.day.cpu for one in days)),
    }  # fmt: skip


def counts(days: Sequence[Judged]) -> dict[str, Any]:
    """Incidents against the number that there should be, day by day."""
    differences = [len(one.verdicts) - len(one.score.final.outcomes) for one in days]
    return {
        "expected": sum(len(one.score.final.outcomes) for one in days),
        "incidents": sum(len(one.verdicts) for one in days), "days": len(days),
        "days_as_expected": differences.count(0), "too_many": sum(d for d in differences if d > 0),
        "too_few": -sum(d for d in differences if d < 0),
    }  # fmt: skip


def decoys(days: Sequence[Judged]) -> dict[str, Any]:
    """Harmless changes near a fault: how many are held to be a first cause, or part of it."""
    of: dict[str, list[bool]] = {}
    for one in days:
        for decoy in one.day.truth.decoys:
            if decoy.change_id:
                of.setdefault(decoy.kind, []).append(any(v.blames(decoy) for v in one.verdicts))
    every = [blamed for some in of.values() for blamed in some]
    return {
        "decoys": len(every), "blamed": sum(every), "share": round(sum(every) / len(every), 3) if every else None,
        "by_kind": {kind: f"{sum(some)} of {len(some)}" for kind, some in sorted(of.items())},
    }  # fmt: skip


def external(days: Sequence[Judged]) -> dict[str, Any]:
    """Faults for which no service is to blame: what is said of them first."""
    outcomes = [o for one in days for o in one.score.final.outcomes if o.problem is not None and o.problem.external]
    said = [o.incident for o in outcomes if o.incident is not None]
    return {
        **figures(outcomes, 0),
        "incidents_a_fault": None,
        "no_confident_cause": sum(i.no_confident_cause for i in said),
    }


def of_nothing(days: Sequence[Judged]) -> dict[str, int]:
    """Incidents that come of no fault, by the shortest disturbance that went on when they opened."""
    out: Counter[str] = Counter()
    for one in days:
        for verdict in one.verdicts:
            if verdict.problem is None:
                going = [
                    d
                    for d in one.day.truth.decoys
                    if d.time_unix <= verdict.opened <= d.time_unix + d.duration_s + AFTER
                ]
                out[min(going, key=lambda d: d.duration_s).kind if going else "nothing"] += 1
    return dict(sorted(out.items()))


def measured(days: Sequence[Judged]) -> list[Verdict]:
    """The incidents on which confidence is measured: of recorded days only those of the half on which nothing is chosen."""
    return [
        verdict
        for one in days
        for verdict in one.verdicts
        if one.day.simulated or not for_choosing(one.day, verdict.problem, verdict.opened)
    ]


def said(some: Sequence[Verdict]) -> list[Said]:
    """The confidence of each incident's first cause in the end, and whether it is right; those of false ones are wrong."""
    return [Said(v.last.causes[0].confidence, v.right(v.last)) for v in some if v.last.causes]


def confidence(some: Sequence[Verdict]) -> dict[str, Any]:
    """How far confidences are from what they promise, and what *no confident cause* is worth."""
    all_ = said(some)
    sure = [v.right(v.last) for v in some if not v.last.no_confident_cause]
    unsure = [v.right(v.last) for v in some if v.last.no_confident_cause]
    apart = reliability.told_apart(all_)
    return {
        "answers": len(all_), "right": _share([one.right for one in all_]),
        "mean_confidence": _share([one.confidence for one in all_]), "ece": round(reliability.error(all_), 4),
        "bins": f"{reliability.BINS} of equal mass", "most": MOST_ERROR, "ece_by_luck": round(reliability.by_luck(all_), 4),
        "told_apart": None if apart is None else round(apart, 3),
        "confident": len(sure), "right_where_confident": _share(sure),
        "not_confident": len(unsure), "right_where_not": _share(unsure),
        "table": [[part.answers, round(part.confidence, 3), round(part.right, 3)] for part in reliability.bins(all_)],
    }  # fmt: skip


def _share(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


# ---- what is printed -------------------------------------------------------------------------------------------------
HEAD = f"{'faults':>7s} {'found':>6s} {'top-1':>6s} {'right':>6s} {'top-3':>6s} {'kind':>6s} {'delay s':>8s} {'a fault':>8s}"


def _line(name: str, r: dict[str, Any]) -> str:
    def shown(value: float | None, form: str, width: int) -> str:
        return f"{'-':>{width}s}" if value is None else f"{value:{width}{form}}"

    words = [f"{name:24s}", f"{r['faults']:7d}"]
    words += [shown(r[key], ".3f", 6) for key in ("found", "top_1", "right", "top_3", "kind_right")]
    words += [shown(r["median_delay_s"], ".0f", 8), shown(r["incidents_a_fault"], ".2f", 8)]
    if "false_an_hour" in r:
        words.append(f"  false {r['false']} = {shown(r['false_an_hour'], '.2f', 4)}/h, of nothing {r['of_nothing']}")
    elif r["right"] < LEAST_RIGHT:
        words.append("  below the bar")
    return " ".join(words)


def _confidence_lines(name: str, r: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{name:24s} {r['answers']:4d} first causes, {r['right']:.3f} right, mean confidence {r['mean_confidence']:.3f}: "
        f"ECE {r['ece']:.3f} (by luck {r['ece_by_luck']:.3f}), right told from wrong {r['told_apart']}"
    )
    yield (
        f"{'':24s} confident {r['confident']}, right {r['right_where_confident']}; "
        f"no confident cause {r['not_confident']}, right {r['right_where_not']}"
    )


def report(days: Sequence[Judged]) -> dict[str, Any]:
    """Print the table; the results by their permanent ids."""
    out: dict[str, Any] = {}
    simulated = [one for one in days if one.day.simulated]
    print(f"\n{'':24s} {HEAD}")
    splits = {"simulated.all": simulated}
    splits |= {f"simulated.mesh.{mesh}": [one for one in simulated if one.day.mesh == mesh] for mesh in MESHES}
    splits["simulated.disturbed"] = [one for one in simulated if one.day.disturbed]
    splits["simulated.plain"] = [one for one in simulated if not one.day.disturbed]
    splits |= {f"recorded.{one.day.name}": [one] for one in days if not one.day.simulated}
    for name, some in splits.items():
        if some:
            out[f"incidents.{name}"] = result = altogether(some)
            print(_line(name, result))
    if simulated:
        print()
        for kind, result in by_kind(simulated).items():
            out[f"incidents.simulated.kind.{kind}"] = result
            print(_line(kind, result))
        out["incidents.simulated.external"] = result = external(simulated)
        print(_line("no service to blame", result) + f"  ({result['no_confident_cause']} without a confident cause)")
        out["incidents.simulated.count"] = c = counts(simulated)
        out["incidents.simulated.decoys"] = d = decoys(simulated)
        out["incidents.simulated.of_nothing"] = nothing = of_nothing(simulated)
        print(
            f"\n{c['incidents']} incidents for {c['expected']}; as many as expected on {c['days_as_expected']} of "
            f"{c['days']} days, {c['too_many']} too many, {c['too_few']} too few\n"
            f"harmless changes blamed: {d['blamed']} of {d['decoys']} {d['by_kind']}\n"
            f"incidents of nothing, by what went on: {nothing}"
        )
    print()
    parts = {"simulated": simulated, "recorded": [one for one in days if not one.day.simulated], "together": days}
    for name, some in parts.items():
        held = measured(some)
        if said(held):
            out[f"incidents.confidence.{name}"] = result = confidence(held)
            for line in _confidence_lines(name, result):
                print(line)
    print("\n" + "\n".join(reliability.lines(said(measured(days)))))
    bars = f"found {LEAST_FOUND:g}, right {LEAST_RIGHT:g} of each kind, {MOST_A_FAULT:g} incidents a fault, ECE {MOST_ERROR:g}"
    print(f"\nbars: {bars}")
    return out


def show(one: Judged) -> None:
    """Say what was missed or named wrongly, and what opened for nothing."""
    begin = one.day.context.start_unix
    for outcome in one.score.final.outcomes:
        if not outcome.right:
            fault, incident = outcome.fault, outcome.incident
            blamed = (
                "missed"
                if incident is None
                else ", ".join(f"{c.service} ({c.kind} {c.score:.1f}, {c.confidence:.2f})" for c in incident.causes[:3])
            )
            print(f"    {fault.time_unix - begin:7.0f} s  {outcome.kind} on {fault.service}: {blamed}")
    for verdict in one.verdicts:
        if verdict.problem is None:
            print(f"    {verdict.opened - begin:7.0f} s  of nothing: {verdict.last.title[:150]}")


# ---- what is run -----------------------------------------------------------------------------------------------------
def options_of(arguments: list[str] | None = None, default: str = "601-650", doc: str = __doc__) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc.split("\n", maxsplit=1)[0])
    seeds.add(parser, default)
    parser.add_argument("--hours", type=float, default=2.5, help="of a simulated day (default 2.5)")
    parser.add_argument("--rate", type=float, default=2.0, help="requests a second (default 2)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1, help="that simulate and judge (default 1)")
    parser.add_argument("--quick", action="store_true", help="one seed a mesh, of an hour: to see that it works")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the incidents of each day there")
    parser.add_argument("--kept", type=Path, metavar="DIR", help="judge what was kept there, and run nothing")
    parser.add_argument("--list", action="store_true", help="say what was missed, what was wrong, what came of nothing")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.hours = options.seeds[: len(MESHES)], 1.0
        options.only = ("simulated",)
    return options


def played(options: argparse.Namespace) -> Iterator[Played]:
    """The days that are asked for, one after the other."""
    data = os.environ.get("AIOPS_DATA")
    if options.kept is not None:
        names = [str(seed) for seed in options.seeds] if "simulated" in options.only else []
        names += [day for day in RECORDED if "recorded" in options.only and (options.kept / day).is_dir()]
        yield from (kept(options.kept, name) for name in names)
        return
    if "simulated" in options.only:
        yield from all_simulated(options.seeds, options.hours, options.rate, options.processes)
    if "recorded" in options.only and data:
        yield from (recorded(Path(data) / "nezha" / day) for day in RECORDED)
    elif "recorded" in options.only:
        print("no recorded days: AIOPS_DATA does not name their folder")


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, print the table, write the results."""
    options = options_of(arguments)
    results.introduce(
        f"Incidents of whole days. Simulated: {options.hours:g} h a seed, {options.rate:g} requests a second."
    )
    days = []
    for day in played(options):
        if options.keep is not None:
            keep(options.keep, day)
        one = judged(day)
        outcomes = one.score.final.outcomes
        what = f"{sum(o.found for o in outcomes)} of {len(outcomes)} found, {sum(o.right for o in outcomes)} right"
        where = f"{day.mesh or 'recorded'}{' disturbed' if day.disturbed else ''}"
        print(f"  {day.name} {where}: {what}, {len(one.verdicts)} incidents, {day.cpu:.0f} s CPU", flush=True)
        if options.list:
            show(one)
        days.append(one)
    out = report(days)
    seeds = f"{options.seeds[0]}-{options.seeds[-1]}"
    results.write(options.json, out, seeds=seeds, hours=options.hours, rate=options.rate)


if __name__ == "__main__":
    main()
