"""Which disturbances there are and when: kinds and a plan of faults in, what happens beside the faults out.

Loads that harm nobody come where no fault is near, so that what is seen of them is theirs; missing telemetry and wrong
clocks come at any time; decoy changes come shortly before a fault with which they have nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiops.simulate.faults import Fault, drawn
from aiops.simulate.kinds import DISTURBANCES, targets
from aiops.simulate.mesh import Mesh
from aiops.simulate.pods import STEP

CLEAR_S = 180.0
"""Seconds between a harmless load and the next fault, before and after."""

FIRST_S = 900.0
"""Seconds before which no load comes."""

LEAST_S, MOST_S = 300.0, 600.0
"""Shortest and longest time of a harmless load."""

COLLECTION = ("missing_traces", "missing_logs", "sampling", "clock_skew")
COLLECTION_S = 1200.0


def plan_disturbances(
    mesh: Mesh, rng: np.random.Generator, seconds: float, rate: float, kinds: Sequence[str], faults: Sequence[Fault]
) -> list[Fault]:
    """Draw one disturbance of each kind that fits, in order of time.

    Parameters
    ----------
    mesh, rng
        What is disturbed, and the generator that decides.
    seconds, rate
        Length of the simulation and its mean requests per second.
    kinds
        Which kinds.
    faults
        What else happens.
    """
    unknown = [kind for kind in kinds if kind not in DISTURBANCES]
    if unknown:
        raise ValueError(f"no disturbance {unknown[0]!r}: there are {', '.join(DISTURBANCES)}")
    found = []
    gaps = _gaps(seconds, faults)
    for kind in kinds:
        fitting = targets(mesh, kind, rate)
        if kind.startswith("decoy_"):
            fault = faults[int(rng.integers(len(faults)))] if faults else None
            fitting = [name for name in fitting if fault and name not in _near(mesh, fault)]
            begin, length = (fault.start if fault else 0.0) - float(rng.uniform(60.0, 240.0)), 12 * STEP
        elif kind == "error_bursts":
            begin, length = 0.0, seconds
        elif kind in COLLECTION:
            begin, length = seconds * float(rng.uniform(0.15, 0.6)), min(COLLECTION_S, 0.25 * seconds)
        elif gaps:
            begin, end = gaps.pop(int(rng.integers(len(gaps))))
            length = min(end - begin, float(rng.uniform(LEAST_S, MOST_S)))
        else:
            continue
        if fitting and begin >= 0.0:
            service = fitting[int(rng.integers(len(fitting)))]
            found.append(drawn(mesh, rng, Fault(kind, begin, length, service)))
    return sorted(found, key=lambda one: (one.start, one.kind))


def _gaps(seconds: float, faults: Sequence[Fault]) -> list[tuple[float, float]]:
    """Spans of time in which a load is alone, long enough for one."""
    begin, gaps = FIRST_S, []
    for fault in sorted(faults, key=lambda one: one.start):
        gaps.append((begin, fault.start - CLEAR_S))
        begin = max(begin, fault.end + CLEAR_S)
    gaps.append((begin, seconds - CLEAR_S))
    return [(start, end) for start, end in gaps if end - start >= LEAST_S]


def _near(mesh: Mesh, fault: Fault) -> set[str]:
    """The service of a fault, those it cuts off, and who calls or is called by them."""
    core = {fault.service, *fault.others}
    return core | {name for edge in mesh.edges() if core & set(edge) for name in edge}
