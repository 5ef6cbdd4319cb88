"""Incidents and scores -> words for a terminal: what ``aiops demo`` prints.

Everything that comes out of telemetry is escaped: a log line is no markup.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding

from aiops.records import Cause, Incident, rfc3339, unix_ns
from aiops.scoring import Outcome, Score
from aiops.signals import SECOND
from aiops.simulate import Simulation

_COLOURS = {"critical": "bold white on red", "high": "bold red", "medium": "bold yellow", "low": "cyan", "info": "dim"}
_MOST = 4  # evidence statements shown of a cause
_INDENT = 10


def introduction(simulated: Simulation, quiet: float, live: bool) -> RenderableType:
    """What is simulated, and what will be seen when."""
    first = simulated.start_unix * SECOND
    last = first + int(simulated.seconds) * SECOND
    services, changes = len(simulated.mesh.services), len(simulated.changes())
    words = [
        f"[bold]A shop of {services} services[/bold], {simulated.rate:g} requests a second (seed {simulated.seed})."
    ]
    words.append(f"It runs from {clock(first)} to {clock(last)} UTC; in the first {quiet / 60:.0f} minutes all is well")
    words.append(f"and the engine learns what is normal. Then things break. Of {changes} changes most are harmless.")
    if simulated.wrong_clock_ns:
        words.append("The clock of one host is wrong all the time.")
    if live:
        words.append("Live: a simulated second takes a second, and nothing will happen before the quiet is over.")
    return Group(" ".join(words), "")


def opened(incident: Incident) -> RenderableType:
    """The incident as somebody on call first sees it."""
    again = "" if incident.episode == 1 else f" again (episode {incident.episode})"
    lines = [_head(incident, f"opened{again}"), _text(incident.title)]
    if incident.causes:
        lines.append(_row("looks like", _short(incident.causes[0])))
    return Group(*lines, "")


def settled(incident: Incident) -> RenderableType:
    """The incident when its causes will change no more: hypotheses with their evidence, changes, who feels it."""
    lines = [_head(incident, "explained"), _text(incident.title)]
    if incident.first_symptom:
        symptom = incident.first_symptom
        lines.append(_row("first seen", f"{symptom.service}, {symptom.signal}, at {_clock(symptom.at)}"))
    if incident.no_confident_cause:
        lines.append(_row("cause", "no confident cause; the best hypotheses are"))
    for cause in incident.causes[:2]:
        lines += _cause(cause)
    lines += [_row("change", f"{change.summary}: {change.reason}") for change in incident.changes]
    impact = incident.impact
    felt = ", ".join(impact.felt) or "no caller that shows it"
    others = [name for name in impact.services if name not in impact.felt]
    share = impact.requests_affected_ratio
    asked = "" if share is None else f", {share:.1%} of requests affected"
    lines.append(_row("felt by", f"{felt} (blast radius {impact.blast_radius}{asked})"))
    if others:
        lines.append(_row("perhaps by", ", ".join(others)))
    if incident.severity_reason:
        lines.append(_row("severity", f"{incident.severity}: {incident.severity_reason}"))
    return Group(*lines, "")


def closed(incident: Incident) -> RenderableType:
    """One line when it is over."""
    if incident.state == "merged":
        return Group(_head(incident, f"merged into {incident.merged_into}"), "")
    lasted = (unix_ns(incident.resolved_at or incident.updated_at) - unix_ns(incident.opened_at)) // SECOND
    return Group(_head(incident, f"resolved after {lasted // 60} min {lasted % 60:02d} s"), "")


def comparison(simulated: Simulation, result: Score, items: int, seconds: float) -> RenderableType:
    """What was injected, what the engine said about it, and the counts."""
    outcomes = result.final.outcomes
    lines: list[RenderableType] = ["[bold]What was injected, and what the engine said[/bold]"]
    lines += [Padding(_outcome(outcome), (0, 0, 0, 2), expand=False) for outcome in outcomes]
    lines += [
        Padding(f"[red]false[/red]  {_clock(i.opened_at)}  {escape(i.title)}", (0, 0, 0, 2), expand=False)
        for i in result.false
    ]
    found = sum(o.found for o in outcomes)
    first = sum(o.rank == 1 for o in outcomes)
    lines.append(
        f"{len(outcomes)} faults, {found} found, {first} with the culprit first; {len(result.false)} false and "
        f"{result.final.extra} extra incidents in {simulated.seconds / 60:.0f} minutes; "
        f"{items} items in {seconds:.1f} s ({items / max(seconds, 1e-9):,.0f} a second, simulation included)."
    )
    return Group(*lines, "")


def next_steps(seed: int, minutes: float) -> RenderableType:
    """Commands to try."""
    day = f"aiops simulate --seed {seed} --hours {minutes / 60:g} --out day"
    commands = {
        f"aiops demo --seed {seed + 1}": "another day",
        day: "a day as files, with faults of all kinds",
        "aiops replay day --out incidents.jsonl": "its incidents as JSON",
        "aiops score day incidents.jsonl": "against the truth in day/truth.json",
    }
    width = max(map(len, commands))
    return Group(
        "[bold]Next[/bold]", *(f"  {command:<{width}s}   [dim]{what}[/dim]" for command, what in commands.items())
    )


def clock(ns: int) -> str:
    """Time of day, UTC.

    >>> clock(1_740_988_805 * SECOND)
    '08:00:05'
    """
    return rfc3339(ns)[11:19]


def _clock(text: str) -> str:
    return clock(unix_ns(text))


def _head(incident: Incident, what: str) -> RenderableType:
    colour = _COLOURS[incident.severity]
    severity = f"[{colour}]{incident.severity.upper()}[/{colour}]"
    services = escape(", ".join(incident.services))
    return f"{_clock(incident.updated_at)}  {severity} {what}: [bold]{services}[/bold]"


def _text(words: str) -> RenderableType:
    return Padding(escape(words), (0, 0, 0, _INDENT), expand=False)


def _short(cause: Cause) -> str:
    """What is thought, without the evidence that the summary repeats."""
    summary = cause.summary
    for evidence in cause.evidence:
        summary = summary.removesuffix(f": {evidence.statement}")
    return summary


def _row(name: str, words: str) -> RenderableType:
    return Padding(f"[dim]{name:<12s}[/dim]{escape(words)}", (0, 0, 0, _INDENT), expand=False)


def _cause(cause: Cause) -> list[RenderableType]:
    head = f"[bold]{cause.rank}. {escape(cause.service)}[/bold] ({cause.kind}, confidence {cause.confidence:.2f})"
    lines: list[RenderableType] = [Padding(f"{head}  {escape(_short(cause))}", (0, 0, 0, _INDENT), expand=False)]
    for evidence in cause.evidence[:_MOST]:
        sign = "[green]+[/green]" if evidence.weight >= 0 else "[red]-[/red]"
        since = f" (since {_clock(evidence.onset)})" if evidence.onset else ""
        words = f"{sign} {evidence.type}: {escape(evidence.statement)}{since}"
        lines.append(Padding(words, (0, 0, 0, _INDENT + 3), expand=False))
    lines += [
        Padding(f"[yellow]![/yellow] {escape(caveat)}", (0, 0, 0, _INDENT + 3), expand=False)
        for caveat in cause.caveats
    ]
    return lines


def _outcome(outcome: Outcome) -> str:
    fault = outcome.fault
    what = f"{clock(int(fault.time_unix) * SECOND)}  {fault.kind} in [bold]{escape(fault.service)}[/bold]"
    if outcome.incident is None:
        return f"[red]missed[/red]  {what}"
    after = "" if outcome.delay is None else f"{outcome.delay:.0f} s later"
    if outcome.rank is None:
        return f"[yellow]found[/yellow]   {what}: {after}, but the culprit is not among the causes"
    colour, place = ("green", "first") if outcome.rank == 1 else ("yellow", f"number {outcome.rank}")
    causes = len(outcome.incident.causes)
    return f"[{colour}]found[/{colour}]   {what}: {after}, the culprit is {place} of {causes} causes"
