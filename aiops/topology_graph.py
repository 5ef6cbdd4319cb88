"""Records of the topology, any versions in any order -> the graph at a time, and what differs between two times.

A record says how its service or edge was before, so the newest of each is enough; older ones add what that has left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from aiops.errors import UserError
from aiops.incidents.topology import FACTOR, POINTS
from aiops.times import rfc3339, unix_ns
from aiops.topology import Topology, TopologyEntity, TopologyRelation, TopologySpan

Place = tuple[str, str, str, str]  # tenant, environment, service or caller, callee or nothing


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service at a time; ``last_seen`` is null where it was seen after that time too.

    ``entity`` says what ``service`` names where it is none: a machine (``node``) or a ``zone``.
    """

    tenant: str
    environment: str
    service: str
    requests_per_minute: float | None
    error_ratio: float | None
    first_seen: str | None
    last_seen: str | None
    entity: TopologyEntity = "service"


class Edge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls from one service to another at a time, or what it runs on."""

    tenant: str
    environment: str
    caller: str
    callee: str
    calls_per_minute: float | None
    error_ratio: float | None
    first_seen: str | None
    last_seen: str | None
    relation: TopologyRelation = "calls"


class Graph(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All services and edges at a time, in order of their names."""

    at: str
    services: tuple[Node, ...]
    edges: tuple[Edge, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service (``callee`` is empty) or an edge whose rate or share of errors is another."""

    tenant: str
    environment: str
    service: str
    callee: str
    calls_per_minute: tuple[float | None, float | None]
    error_ratio: tuple[float | None, float | None]


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is there at ``until`` and was not at ``since``, what was and is not, and what is another."""

    since: str
    until: str
    added_services: tuple[Node, ...]
    removed_services: tuple[Node, ...]
    added_edges: tuple[Edge, ...]
    removed_edges: tuple[Edge, ...]
    changed: tuple[Change, ...]


@dataclass(slots=True)
class _Line:
    """Of one service or edge: its newest record, and how it was from each time on."""

    newest: Topology
    spans: dict[int, tuple[int, TopologySpan]] = field(default_factory=dict)  # since, Unix ns -> (version, how)

    def add(self, record: Topology) -> None:
        if record.version >= self.newest.version:
            self.newest = record
        now = TopologySpan(
            since=record.since,
            state=record.state,
            calls_per_minute=record.calls_per_minute,
            error_ratio=record.error_ratio,
        )
        for span in (*record.earlier, now):  # of two that begin at one time the later holds
            since = unix_ns(span.since)
            if record.version >= self.spans.get(since, (0, span))[0]:
                self.spans[since] = record.version, span

    def at(self, time: int) -> TopologySpan | None:
        """How it was at a time (Unix ns); None: it was not there."""
        known = [since for since in self.spans if since <= time]
        if known:
            span = self.spans[max(known)][1]
            return span if span.state == "present" else None
        if unix_ns(self.newest.first_seen) <= time:  # what it was then has been left out
            return TopologySpan(since=self.newest.first_seen, state="present")
        return None


class History:
    """What some records say of all times.

    Parameters
    ----------
    environment : str, optional
        None: all.
    """

    def __init__(self, records: Iterable[Topology], environment: str | None = None) -> None:
        self._lines: dict[Place, _Line] = {}
        for record in records:
            if environment is None or record.environment == environment:
                self._lines.setdefault(_place(record), _Line(record)).add(record)

    def at(self, time: int | None = None) -> Graph:
        """The graph at a time (Unix ns); None: as it is now.

        Raises
        ------
        UserError
            Nothing is known of that time.
        """
        if not self._lines:
            raise UserError("there is no record of the topology")
        if time is None:
            time = max(unix_ns(line.newest.updated_at) for line in self._lines.values())
        first = min(unix_ns(line.newest.first_seen) for line in self._lines.values())
        if time < first:
            raise UserError(f"nothing is known of {rfc3339(time)}: what was seen first was seen at {rfc3339(first)}")
        nodes: dict[Place, Node] = {}
        edges: list[Edge] = []
        for place, line in sorted(self._lines.items(), key=lambda item: item[0]):
            span = line.at(time)
            if span is None:
                continue
            last = line.newest.last_seen
            last_seen = last if unix_ns(last) <= time else None
            tenant, environment, service, callee = place
            if callee:
                edges.append(
                    Edge(
                        tenant=tenant, environment=environment, caller=service, callee=callee,
                        calls_per_minute=span.calls_per_minute, error_ratio=span.error_ratio,
                        first_seen=line.newest.first_seen, last_seen=last_seen, relation=line.newest.relation,
                    )
                )  # fmt: skip
            else:
                nodes[place] = _node(place, span, line.newest.first_seen, last_seen, line.newest.entity)
        for edge in edges:  # a service of which there is no record, because there were too many
            below: TopologyEntity = "node" if edge.relation == "runs_on" else "service"
            ends: list[tuple[str, TopologyEntity]] = [(edge.caller, "service"), (edge.callee, below)]
            for name, entity in ends:
                place = (edge.tenant, edge.environment, name, "")
                nodes.setdefault(place, _node(place, TopologySpan(since="", state="present"), None, None, entity))
        return Graph(at=rfc3339(time), services=tuple(nodes[place] for place in sorted(nodes)), edges=tuple(edges))

    def difference(self, since: int, until: int | None = None) -> Difference:
        """What differs between two times (Unix ns); None: now.

        Raises
        ------
        UserError
            Nothing is known of one of them, or the first is not before now.
        """
        now = self.at(until)
        if until is None and since >= unix_ns(now.at):
            raise UserError(f"{rfc3339(since)} is not before {now.at}, the last that is known")
        return difference(self.at(since), now)


def difference(before: Graph, after: Graph) -> Difference:
    """What differs between two graphs."""
    old_nodes, new_nodes = ({_node_place(n): n for n in graph.services} for graph in (before, after))
    old_edges, new_edges = ({_edge_place(e): e for e in graph.edges} for graph in (before, after))
    rates = {
        **{
            place: (old.requests_per_minute, new.requests_per_minute, old.error_ratio, new.error_ratio)
            for place, old in old_nodes.items()
            if (new := new_nodes.get(place)) is not None
        },
        **{
            place: (one.calls_per_minute, other.calls_per_minute, one.error_ratio, other.error_ratio)
            for place, one in old_edges.items()
            if (other := new_edges.get(place)) is not None
        },
    }
    return Difference(
        since=before.at,
        until=after.at,
        added_services=tuple(n for place, n in new_nodes.items() if place not in old_nodes),
        removed_services=tuple(n for place, n in old_nodes.items() if place not in new_nodes),
        added_edges=tuple(e for place, e in new_edges.items() if place not in old_edges),
        removed_edges=tuple(e for place, e in old_edges.items() if place not in new_edges),
        changed=tuple(
            Change(
                tenant=place[0], environment=place[1], service=place[2], callee=place[3],
                calls_per_minute=(rate, rate_now), error_ratio=(errors, errors_now),
            )
            for place, (rate, rate_now, errors, errors_now) in sorted(rates.items())
            if _moved(rate, rate_now, errors, errors_now)
        ),
    )  # fmt: skip


def _moved(rate: float | None, rate_now: float | None, errors: float | None, errors_now: float | None) -> bool:
    if rate is not None and rate_now is not None:
        low, high = sorted((rate, rate_now))
        if high > 0 and high >= FACTOR * low:
            return True
    return errors is not None and errors_now is not None and abs(errors_now - errors) >= POINTS


def _place(record: Topology) -> Place:
    if record.kind == "edge":
        return record.tenant, record.environment, record.caller or "", record.callee or ""
    return record.tenant, record.environment, record.service or "", ""


def _node_place(node: Node) -> Place:
    return node.tenant, node.environment, node.service, ""


def _edge_place(edge: Edge) -> Place:
    return edge.tenant, edge.environment, edge.caller, edge.callee


def _node(
    place: Place, span: TopologySpan, first_seen: str | None, last_seen: str | None, entity: TopologyEntity
) -> Node:
    return Node(
        tenant=place[0], environment=place[1], service=place[2], requests_per_minute=span.calls_per_minute,
        error_ratio=span.error_ratio, first_seen=first_seen, last_seen=last_seen, entity=entity,
    )  # fmt: skip
