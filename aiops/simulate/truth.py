"""What was injected, as ``truth.json`` tells it: a plan in, rows about faults, decoys and incidents to expect out.

One incident should tell together what nobody could tell apart: faults that overlap in time and lie on one way of calls,
or fail one caller.  Everything else is an incident of its own; a decoy is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from aiops.simulate.alerting import USELESS, about
from aiops.simulate.changes import ChangePlan, first_version
from aiops.simulate.cluster import pod_name
from aiops.simulate.faults import Fault
from aiops.simulate.injection import LOST_PODS_REPLICA
from aiops.simulate.kinds import DEPLOYED, ON_HOSTS
from aiops.simulate.mesh import Mesh
from aiops.simulate.pods import STEP
from aiops.times import unix_ns

AFTERMATH_S = 300.0
"""Seconds after its end for which a fault still overlaps with another."""

LEAK_SHOWS = 0.5
"""Share of the time that a leak takes after which collections begin to slow its service down."""

Hosts = dict[str, tuple[str, ...]]
"""For each service the hosts of its replicas."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to happen, and where.

    Parameters
    ----------
    hosts
        Hosts of the replicas of every service.
    """

    mesh: Mesh
    seed: int
    start_unix: int
    environment: str
    faults: Sequence[Fault]
    disturbances: Sequence[Fault]
    changes: Sequence[ChangePlan]
    hosts: Hosts


def fault_rows(plan: Plan) -> list[dict[str, Any]]:
    """The members of ``faults``, in order of time; ``pod`` is empty where a fault hits every replica."""
    groups = incident_groups(plan.mesh, plan.faults, plan.hosts)
    return [_fault(plan, fault, f"g{group + 1}") for fault, group in zip(plan.faults, groups, strict=True)]


def decoy_rows(plan: Plan) -> list[dict[str, Any]]:
    """The members of ``decoys``: what happened and must not be blamed, in order of time."""
    rows = []
    for one in plan.disturbances:
        row = _row(plan, one)
        change = next((c for c in plan.changes if c.decoy is one), None)
        if change is not None:
            row["change_id"] = _change_id(plan, change)
        rows.append(row)
    return rows


def alert_rows(plan: Plan, lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Each alert among some lines once, in order of time, with the group of the fault that it comes of.

    It comes of a fault that is at work, or was until a few minutes before, on its host, in its service, or in one that this
    calls; ``incident_group`` is empty where there is none.
    """
    below = _reach(plan.mesh)
    groups = incident_groups(plan.mesh, plan.faults, plan.hosts)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for line in map(orjson.loads, lines):
        key = (line["alert_id"], line["starts_at"])
        if key in rows:
            continue
        began, who, name = unix_ns(line["starts_at"]) / 1e9 - plan.start_unix, about(line), line["name"]
        group = ""
        for fault, number in zip(plan.faults, groups, strict=True):
            hit = touched(plan.mesh, fault, plan.hosts) | {fault.host}
            felt = who in hit or bool(below.get(who, set()) & hit)
            if who and name not in USELESS and fault.start <= began <= fault.end + AFTERMATH_S and felt:
                group = f"g{number + 1}"
        rows[key] = {
            "alert_id": line["alert_id"], "name": name, "about": who, "time_unix": plan.start_unix + int(began),
            "incident_group": group,
        }  # fmt: skip
    return sorted(rows.values(), key=lambda row: (row["time_unix"], row["name"], row["alert_id"]))


def incident_groups(mesh: Mesh, faults: Sequence[Fault], hosts: Hosts) -> list[int]:
    """For each fault the number of the incident that should tell it, counted from 0 in order of the faults."""
    below = _reach(mesh)
    callers: dict[str, set[str]] = {}
    for caller, callee in mesh.edges():
        callers.setdefault(callee, set()).add(caller)
    entry = mesh.services[0].name

    def related(one: str, other: str) -> bool:
        shared = callers.get(one, set()) & callers.get(other, set()) - {entry}
        return other in below[one] or one in below[other] or bool(shared)

    groups: list[int] = []
    for at, fault in enumerate(faults):
        joined = {
            groups[earlier]
            for earlier, other in enumerate(faults[:at])
            if other.end + AFTERMATH_S > fault.start
            and any(related(a, b) for a in touched(mesh, fault, hosts) for b in touched(mesh, other, hosts))
        }
        into = min(joined, default=len(set(groups)))
        groups = [into if group in joined else group for group in groups]
        groups.append(into)
    order = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return [order[group] for group in groups]


def touched(mesh: Mesh, fault: Fault, hosts: Hosts) -> set[str]:
    """The services in which, or at whose calls, a fault is at work."""
    if fault.kind in ON_HOSTS:
        return {fault.service} | {name for name, places in hosts.items() if fault.host in places}
    if fault.kind == "slow_dns" or (fault.kind == "partition" and fault.mode == "zone"):
        return set(mesh.by_name)
    return {fault.service, *fault.others}


def external(fault: Fault) -> str:
    """What outside of the services is the cause, empty where it is the service itself."""
    if fault.kind in ON_HOSTS:
        return fault.host
    if fault.kind == "third_party":
        return fault.service
    return {"slow_dns": "dns", "partition": "network", "overload": "users"}.get(fault.kind, "")


def _reach(mesh: Mesh) -> dict[str, set[str]]:
    """Each service with itself and everything that it calls, directly or not."""
    reached = {name: {name} for name in mesh.by_name}
    edges = mesh.edges()
    growing = True
    while growing:
        before = sum(map(len, reached.values()))
        for caller, callee in edges:
            reached[caller] |= reached[callee]
        growing = sum(map(len, reached.values())) > before
    return reached


def _row(plan: Plan, fault: Fault) -> dict[str, Any]:
    row: dict[str, Any] = {
        "time_unix": plan.start_unix + int(fault.start),
        "duration_s": int(fault.duration),
        "service": fault.service,
        "pod": "",
        "kind": fault.kind,
        "strength": round(fault.strength, 4),
    }
    if fault.kind in ON_HOSTS:
        row["host"] = fault.host
    if fault.caller:
        row["caller"] = fault.caller
    if fault.operation:
        row["operation"] = fault.operation
    return row


def _fault(plan: Plan, fault: Fault, group: str) -> dict[str, Any]:
    row = _row(plan, fault)
    if fault.kind == "lost_pod":
        row["pod"] = _pod_of(plan, fault, fault.start)
    if fault.kind in DEPLOYED:
        row["change_id"] = _change_id(plan, next(change for change in plan.changes if change.fault is fault))
        if fault.replicas:
            row["pod"] = _pod_of(plan, fault, fault.start + STEP)
    if fault.mode:
        row["mode"] = fault.mode
    if fault.kind == "late_leak":
        shows = int(LEAK_SHOWS * fault.strength * fault.duration // STEP * STEP)
        row["cause_unix"] = row["time_unix"]
        row["time_unix"] += shows
        row["duration_s"] -= shows
    everywhere = touched(plan.mesh, fault, plan.hosts)
    if len(everywhere) > 1:
        row["services"] = sorted(everywhere)
    row["incident_group"] = group
    row["cause_external"] = external(fault)
    return row


def _change_id(plan: Plan, change: ChangePlan) -> str:
    return str(change.row(plan.seed, plan.start_unix * 10**9, plan.environment)["change_id"])


def _pod_of(plan: Plan, fault: Fault, t: float) -> str:
    """Name of the fault's first replica at ``t``, from the changes and losses before."""
    history: list[tuple[float, ChangePlan | Fault]] = [
        (change.swap_at, change)
        for change in plan.changes
        if change.service == fault.service and change.swap_at is not None and LOST_PODS_REPLICA in change.replicas
    ]
    for other in plan.faults:
        lost = other.kind == "lost_pod" and other.service == fault.service
        gone = other.kind == "host_down" and plan.hosts[fault.service][LOST_PODS_REPLICA] == other.host
        if lost or gone:
            history.append((other.end, other))
    before = [event for at, event in sorted(history, key=lambda entry: entry[0]) if at < t]
    deployed = [event for event in before if isinstance(event, ChangePlan)]
    version = deployed[-1].version_to if deployed else first_version(fault.service)
    return pod_name(plan.seed, fault.service, version, LOST_PODS_REPLICA, len(before))
