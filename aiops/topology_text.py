"""A graph of the topology, or what differs between two -> JSON, Graphviz's DOT, Mermaid, or lines that a person reads.

Names come out of telemetry: whatever they hold, they are text inside of quotes.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiops.codec import encode
from aiops.topology_graph import Change, Difference, Edge, Graph, Node

FORMATS = ("json", "dot", "mermaid")
_SHAPES = {"node": ", shape=box3d", "zone": ", shape=folder"}  # of what is no service
_RUNS_ON = "style=dashed"


def exported(graph: Graph, form: str) -> str:
    """The graph in one of ``FORMATS``, with the end of its last line."""
    return {"json": as_json, "dot": as_dot, "mermaid": as_mermaid}[form](graph)


def as_json(graph: Graph | Difference) -> str:
    """One JSON object on one line."""
    return encode(graph).decode() + "\n"


def as_dot(graph: Graph) -> str:
    """Graphviz: a cluster for each tenant and environment.

    >>> print(as_dot(Graph(at="2025-03-03T08:00:00.000Z", services=(), edges=())), end="")
    digraph topology {
      label="2025-03-03T08:00:00.000Z";
      rankdir=LR;
      node [shape=box];
    }
    """
    ids = _ids(graph)
    lines = [f'  label="{graph.at}";', "  rankdir=LR;", "  node [shape=box];"]
    for number, (where, nodes) in enumerate(_clusters(graph)):
        lines += [f"  subgraph cluster_{number} {{", f'    label="{_dot(where)}";']
        for node in nodes:
            about = _rate(node.requests_per_minute, node.error_ratio)
            text = _dot(node.service) + (f"\\n{about}" if about else "")
            shape = _SHAPES.get(node.entity, "")
            lines.append(f'    {ids[node.tenant, node.environment, node.service]} [label="{text}"{shape}];')
        lines.append("  }")
    for edge in graph.edges:
        about = _rate(edge.calls_per_minute, edge.error_ratio)
        about = _RUNS_ON if edge.relation == "runs_on" else f'label="{about}"' if about else ""
        label = f" [{about}]" if about else ""
        lines.append(f"  {_ends(edge, ids, ' -> ')}{label};")
    return "\n".join(["digraph topology {", *lines, "}"]) + "\n"


def as_mermaid(graph: Graph) -> str:
    """Mermaid's flowchart: a subgraph for each tenant and environment.

    >>> print(as_mermaid(Graph(at="2025-03-03T08:00:00.000Z", services=(), edges=())), end="")
    %% 2025-03-03T08:00:00.000Z
    flowchart LR
    """
    ids = _ids(graph)
    lines = [f"%% {graph.at}", "flowchart LR"]
    for number, (where, nodes) in enumerate(_clusters(graph)):
        lines.append(f'  subgraph e{number}["{_mermaid(where)}"]')
        for node in nodes:
            about = _rate(node.requests_per_minute, node.error_ratio)
            text = _mermaid(node.service) + (f"<br/>{about}" if about else "")
            lines.append(f'    {ids[node.tenant, node.environment, node.service]}["{text}"]')
        lines.append("  end")
    for edge in graph.edges:
        about = _rate(edge.calls_per_minute, edge.error_ratio)
        if edge.relation == "runs_on":
            lines.append(f"  {_ends(edge, ids, ' -.-> ')}")
            continue
        lines.append(f"  {_ends(edge, ids, f' -->|{chr(34)}{about}{chr(34)}| ' if about else ' --> ')}")
    return "\n".join(lines) + "\n"


def difference_text(found: Difference) -> str:
    """A line for each thing that was added (+), removed (-) or changed (~), services first."""
    lines = [f"{found.since} .. {found.until}"]
    lines += [f"+ {_said(_of(node))}" for node in found.added_services]
    lines += [f"- {_said(_of(node))}" for node in found.removed_services]
    lines += [f"+ {_said(_of(edge))}" for edge in found.added_edges]
    lines += [f"- {_said(_of(edge))}" for edge in found.removed_edges]
    lines += [f"~ {_said(_of(change))}: {_moved(change)}" for change in found.changed]
    if len(lines) == 1:
        lines.append("no difference")
    return "\n".join(lines) + "\n"


def _of(thing: Node | Edge | Change) -> tuple[str, str]:
    """Its name, and where it is."""
    if isinstance(thing, Edge):
        between = "on" if thing.relation == "runs_on" else "->"
        return f"{thing.caller} {between} {thing.callee}", thing.environment
    if isinstance(thing, Node) and thing.entity != "service":
        return f"{thing.entity} {thing.service}", thing.environment
    callee = thing.callee if isinstance(thing, Change) else ""
    return thing.service + (f" -> {callee}" if callee else ""), thing.environment


def _said(of: tuple[str, str]) -> str:
    return plain(f"{of[0]} in {of[1]}" if of[1] else of[0])


def _moved(change: Change) -> str:
    parts = []
    (rate, rate_now), (errors, errors_now) = change.calls_per_minute, change.error_ratio
    if rate is not None and rate_now is not None and rate != rate_now:
        parts.append(f"{rate:g} -> {rate_now:g} a minute")
    if errors is not None and errors_now is not None and errors != errors_now:
        parts.append(f"{100 * errors:g} % -> {100 * errors_now:g} % fail")
    return ", ".join(parts)


def plain(text: str) -> str:
    """Text without control sequences, on one line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _rate(rate: float | None, errors: float | None) -> str:
    parts = [] if rate is None else [f"{rate:g}/min"]
    if errors:
        parts.append(f"{100 * errors:.1f} % fail")
    return ", ".join(parts)


def _ids(graph: Graph) -> dict[tuple[str, str, str], str]:
    return {(n.tenant, n.environment, n.service): f"n{k}" for k, n in enumerate(graph.services)}


def _clusters(graph: Graph) -> Iterator[tuple[str, list[Node]]]:
    of: dict[tuple[str, str], list[Node]] = {}
    for node in graph.services:
        of.setdefault((node.tenant, node.environment), []).append(node)
    for (tenant, environment), nodes in of.items():
        yield f"{tenant}/{environment}", nodes


def _ends(edge: Edge, ids: dict[tuple[str, str, str], str], between: str) -> str:
    caller, callee = (ids[edge.tenant, edge.environment, name] for name in (edge.caller, edge.callee))
    return f"{caller}{between}{callee}"


def _dot(text: str) -> str:
    return plain(text).replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(text: str) -> str:
    # What Mermaid reads as markup or as the end of a label is written by its number.
    return "".join(c if c.isalnum() or c in " -_./:" else f"#{ord(c)};" for c in plain(text))
