"""Two faults at once: a plan of single faults in, the same plan with a second fault beside some of them out.

The second begins within two minutes of the first and ends with it, in services that the first does not touch.  Whether
the two are one incident or two is for ``truth`` to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aiops.simulate.faults import TAKE_TIME, Fault, drawn
from aiops.simulate.kinds import ON_HOSTS, targets
from aiops.simulate.mesh import Mesh
from aiops.simulate.truth import Hosts, touched

WITHIN_S = 120.0
"""Seconds within which the second begins."""

LONGEST_S = 600.0
"""Longest time of the second, in seconds."""


def with_company(
    mesh: Mesh,
    rng: np.random.Generator,
    faults: Sequence[Fault],
    rate: float,
    kinds: Sequence[str],
    share: float,
    hosts: Hosts,
) -> list[Fault]:
    """Give some faults company, in order of time.

    Parameters
    ----------
    mesh, rng
        Whom to hit, and the generator that decides.
    faults
        The plan, with hosts where a fault needs one.
    rate
        Mean requests per second.
    kinds
        Kinds to choose the second from; those on hosts and those that take their time are left out.
    share
        Share of the faults that get company, in [0, 1].
    hosts
        Hosts of the replicas of every service.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"company is {share}: it is a share of the faults, from 0 to 1")
    fitting = {kind: targets(mesh, kind, rate) for kind in kinds if kind not in ON_HOSTS and kind not in TAKE_TIME}
    found = list(faults)
    for fault in faults:
        if rng.random() >= share:
            continue
        taken = touched(mesh, fault, hosts)
        free = {kind: [name for name in names if name not in taken] for kind, names in fitting.items()}
        choices = [kind for kind, names in free.items() if names]
        if not choices:
            continue
        kind = choices[int(rng.integers(len(choices)))]
        service = free[kind][int(rng.integers(len(free[kind])))]
        start = fault.start + float(rng.uniform(0.0, WITHIN_S))
        second = drawn(mesh, rng, Fault(kind, start, min(LONGEST_S, fault.end - start), service))
        if not taken & touched(mesh, second, hosts):
            found.append(replace(second, duration=min(LONGEST_S, fault.end - second.start)))
    return sorted(found, key=lambda one: one.start)
