"""Similar past incidents: when a fault comes again, is its earlier incident among the three that are named?

Each simulated day has some faults of the usual kinds and, in the same order, all of them again with another strength, far enough
apart that the second time is an incident of its own.  An incident is *again* if one that had closed before answers for a fault of
the same service and kind.  *Recall*: of these, the share whose list names such an earlier one (among three; or first).
*Precision*: of all that is listed, by whatever incident, the share that answers for a fault of the same service and kind as the
one that lists it.
*New ones*: incidents that are not *again* and list something although nothing like them was.  *All days*: the incidents
of all days in one memory, where many more are to be told apart.  Beside it, in the same run: to name the three that closed last,
and to name those whose first cause has the same service and kind.

    python -m benchmarks.similar [--seeds 661-670] [--faults 3] [--rate 3] [--choose] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from aiops import state
from aiops.engine import Engine
from aiops.incidents.similar import LEAST, LISTED, WEIGHTS, Marks, Memory, Past
from aiops.ingest.stage import Message
from aiops.recording import SIGNALS, Sourced
from aiops.records import Incident, unix_ns
from aiops.replay import drive
from aiops.scoring import Context, Truth, score
from aiops.signals import SECOND
from aiops.simulate import Fault, Simulation
from aiops.simulate.kinds import RANGES
from benchmarks import results, seeds

Kind = tuple[str, str]  # service and kind of a fault
SETTLED = 300.0  # seconds after opening at which the list is made for the second time
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
# Declared before the choice: what ships, each kind of mark alone left out, and all alike.
GRID = {
    "usual": WEIGHTS,
    **{f"without {kind}": {k: w for k, w in WEIGHTS.items() if k != kind} for kind in WEIGHTS},
    "all alike": dict.fromkeys(WEIGHTS, 1.0),
    "the cause alone": {"cause": 1.0},
}


class Seen(NamedTuple):
    """An incident of a day; times in Unix seconds; `fault` is the one that it answers for."""

    incident_id: str
    opened: float
    closed: float
    fault: Kind | None
    marks: Marks
    at_opening: list[str]  # ids that its first version named
    listed: list[str]  # and its last


@dataclass(slots=True)
class Counts:
    """What is counted over days."""

    again: int = 0
    named: int = 0
    first: int = 0
    listed: int = 0
    right: int = 0
    new: int = 0
    new_listing: int = 0

    def rates(self) -> dict[str, float | int | None]:
        """As shares."""
        return {
            "again": self.again, "recall_at_3": _share(self.named, self.again), "recall_at_1": _share(self.first, self.again),
            "listed": self.listed, "precision": _share(self.right, self.listed), "new": self.new,
            "new_that_list": _share(self.new_listing, self.new),
        }  # fmt: skip


def twice(seed: int, faults: int, rate: float) -> Simulation:
    """A day with so many faults, then all of them again; the seed decides everything."""
    drawn = Simulation(seed, 12.0, "auto", rate=rate).faults
    chosen = list({(fault.service, fault.kind): fault for fault in reversed(drawn[: 2 * faults])}.values())[::-1][
        :faults
    ]
    shift = chosen[-1].end - chosen[0].start + 1800.0
    rng = np.random.default_rng(seed)
    again = []
    for fault in chosen:
        strength = fault.strength
        if fault.kind in RANGES:
            low, high = RANGES[fault.kind]
            strength = min(high, max(low, strength * float(rng.uniform(0.8, 1.25))))
        again.append(replace(fault, start=fault.start + shift, strength=strength))
    both: list[Fault] = [*chosen, *again]
    return Simulation(seed, (both[-1].end + 1200.0) / 3600.0, both, rate=rate)


def day(seed: int, faults: int, rate: float) -> list[Seen]:
    """The incidents of a day, in order of opening."""
    simulation = twice(seed, faults, rate)
    engine = Engine({f"{signal}/0": signal for signal in SIGNALS})
    incidents = [incident for at in drive(engine, _messages(simulation)) for incident in at.step.incidents]
    truth, context = msgspec.convert(simulation.truth(), Truth), msgspec.convert(simulation.context(), Context)
    of: dict[str, Kind] = {}
    for outcome in score(truth, context, incidents).final.outcomes:
        if outcome.incident is not None:
            of.setdefault(outcome.incident.incident_id, (outcome.fault.service, outcome.fault.kind))
    first: dict[str, Incident] = {}
    for incident in incidents:
        first.setdefault(incident.incident_id, incident)
    last = {incident.incident_id: incident for incident in incidents}
    out = []
    for environment in state.unpack(engine.respond.snapshot())["states"]:
        for name, _, closed, _, marks in environment["memory"]:
            out.append(
                Seen(
                    name, unix_ns(first[name].opened_at) / SECOND, closed / SECOND, of.get(name), marks,
                    [s.incident_id for s in first[name].similar_incidents],
                    [s.incident_id for s in last[name].similar_incidents],
                )
            )  # fmt: skip
    return sorted(out, key=lambda seen: (seen.opened, seen.incident_id))


def count(days: list[list[Seen]], names: Callable[[Seen, list[Seen]], list[str]]) -> Counts:
    """Count what `names` lists for each incident, given those that had closed when its causes were settled."""
    counts = Counts()
    for seens in days:
        kinds = {seen.incident_id: seen.fault for seen in seens}
        for seen in seens:
            before = [one for one in seens if one.opened < seen.opened and one.closed <= seen.opened + SETTLED]
            alike = {one.incident_id for one in before if seen.fault is not None and one.fault == seen.fault}
            listed = names(seen, before)
            counts.listed += len(listed)
            counts.right += sum(seen.fault is not None and kinds.get(name) == seen.fault for name in listed)
            if alike:
                counts.again += 1
                counts.named += bool(alike & set(listed))
                counts.first += bool(listed) and listed[0] in alike
            else:
                counts.new += 1
                counts.new_listing += bool(listed)
    return counts


def pooled(days: list[list[Seen]]) -> list[Seen]:
    """The incidents of all days as if they were one system's, a day after another: many more to be told apart."""
    out = []
    for number, seens in enumerate(days):
        for seen in seens:
            shift = number * 86_400.0 - seens[0].opened
            name = f"{number}/{seen.incident_id}"
            out.append(seen._replace(incident_id=name, opened=seen.opened + shift, closed=seen.closed + shift))
    return out


def by(weights: dict[str, float], least: float) -> Callable[[Seen, list[Seen]], list[str]]:
    """The engine's way with other constants."""

    def names(seen: Seen, before: list[Seen]) -> list[str]:
        memory = Memory(weights, least)
        for one in sorted(before, key=lambda one: (one.closed, one.incident_id)):
            memory.remember(Past(one.incident_id, "", int(one.closed * SECOND), "", one.marks))
        return [found.incident_id for found in memory.similar(seen.incident_id, seen.marks)]

    return names


def newest(_seen: Seen, before: list[Seen]) -> list[str]:
    """Those that closed last: what a list in order of time shows."""
    return [one.incident_id for one in sorted(before, key=lambda one: -one.closed)[:LISTED]]


def same_cause(seen: Seen, before: list[Seen]) -> list[str]:
    """Those whose first cause has the same service and kind, the newest first."""
    mine = {mark for mark in seen.marks.get("cause", []) if "/" in mark}
    fit = [one for one in before if mine & set(one.marks.get("cause", []))]
    return [one.incident_id for one in sorted(fit, key=lambda one: -one.closed)[:LISTED]]


def _messages(simulation: Simulation) -> Iterator[Sourced]:
    offsets: dict[str, int] = dict.fromkeys(SIGNALS, 0)
    for arrival, signal, line in simulation.arrivals():
        yield Sourced(f"{signal}/0", Message(offsets[signal], arrival, line))
        offsets[signal] += 1


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _line(name: str, counts: Counts) -> str:
    texts = ["-" if value is None else f"{value:g}" for value in counts.rates().values()]
    return f"{name:34s} " + " ".join(f"{text:>12s}" for text in texts)


def _options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    seeds.add(parser, "661-670", "of the days")
    parser.add_argument("--faults", type=int, default=3, help="of a day, each of which comes twice (default 3)")
    parser.add_argument("--rate", type=float, default=3.0, help="requests a second (default 3)")
    parser.add_argument("--choose", action="store_true", help="also other constants: not on seeds to report on")
    parser.add_argument("--json", type=Path, help="write the results there")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the days, print the table, write the results."""
    options = _options(arguments)
    results.introduce(
        f"Similar past incidents: {options.faults} faults a day, each twice; listed from a score of {LEAST:g}."
    )
    days = []
    for seed in options.seeds:
        days.append(day(seed, options.faults, options.rate))
        print(f"seed {seed}: {len(days[-1])} incidents", flush=True)
    ways: dict[str, Callable[[Seen, list[Seen]], list[str]]] = {
        "engine": lambda seen, _: seen.listed,
        "engine, at opening": lambda seen, _: seen.at_opening,
        "as it ships": by(WEIGHTS, LEAST),
        "the newest three": newest,
        "same first cause": same_cause,
    }
    if options.choose:
        for name, weights in GRID.items():
            ways |= {f"{name}, from {least:g}": by(weights, least) for least in THRESHOLDS}
    columns = ("again", "recall@3", "recall@1", "listed", "precision", "new", "new list")
    print("\n" + " " * 35 + " ".join(f"{name:>12s}" for name in columns))
    out: dict[str, Any] = {}
    for name, way in ways.items():
        tried = {name: count(days, way)}
        if not name.startswith("engine"):  # which has seen each day by itself
            tried[f"{name}, all days"] = count([pooled(days)], way)
        for named, counts in tried.items():
            print(_line(named, counts))
            out[f"similar.{named.replace(', ', '.').replace(' ', '_')}"] = counts.rates()
    results.write(options.json, out, seeds=f"{options.seeds[0]}-{options.seeds[-1]}", faults=options.faults)


if __name__ == "__main__":
    main()
