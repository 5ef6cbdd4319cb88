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
    words = [
        f"[bold]A shop of {len(simulated.mesh.services)} services[/bold], {simulated.rate:g} requests a second, "
        f"{clock(first)} to {clock(last)} UTC (seed {simulated.seed}).",
        f"The first {quiet / 60:.0f} minutes are quiet: the engine learns what is normal. Then things break, while "
        f"{len(simulated.changes())} deploys and other changes go on; most are harmless.",
    ]
    if simulated.wrong_clock_ns:
        words.append("The clock of one host is wrong all the time.")
    if live:
        words.append("Live: a simulated second takes a second, and nothing will happen before the quiet is over.")
    return Group(" ".join(words), "")


def opened(incident: Incident) -> RenderableType:
    """The incident as somebody on call first sees it."""
    again = "" if incident.episode == 1 else f" again (episode {incident.episode})"
    lines = [_title(incident, f"opened{again}"), _row("services", ", ".join(incident.services))]
    if incident.causes:
        lines.append(_row("looks like", incident.causes[0].summary))
    return Group(*lines, "")


def settled(incident: Incident) -> RenderableType:
    """The incident when its causes will change no more: hypotheses with their evidence, changes, who feels it."""
    lines = [_title(incident, "explained"), _row("services", ", ".join(incident.services))]
    if incident.first_symptom:
        symptom = incident.first_symptom
        lines.append(_row("first seen", f"{symptom.service}, {symptom.signal}, at {_clock(symptom.at)}"))
    if incident.no_confident_cause:
        lines.append(_row("cause", "no confident cause; the best hypotheses are"))
    for cause in incident.causes[:2]:
        lines += _cause(cause)
    for change in incident.changes:
        lines.append(_row("change", f"{change.summary}: {change.reason}"))
    impact = incident.impact
    felt = ", ".join(impact.services) or "no caller"
    share = impact.requests_affected_ratio
    asked = "" if share is None else f", {share:.1%} of requests affected"
    lines.append(_row("felt by", f"{felt} (blast radius {impact.blast_radius}{asked})"))
    return Group(*lines, "")


def closed(incident: Incident) -> RenderableType:
    """One line when it is over."""
    if incident.state == "merged":
        return Group(_title(incident, f"merged into {incident.merged_into}"), "")
    lasted = (unix_ns(incident.resolved_at or incident.updated_at) - unix_ns(incident.opened_at)) // SECOND
    return Group(_title(incident, f"resolved after {lasted // 60} min {lasted % 60:02d} s"), "")


def comparison(simulated: Simulation, result: Score, items: int, seconds: float) -> RenderableType:
    """What was injected, what the engine said about it, and the counts."""
    outcomes = result.final.outcomes
    lines: list[RenderableType] = ["[bold]What was injected, and what the engine said[/bold]"]
    lines += [Padding(_outcome(outcome), (0, 0, 0, 2), expand=False) for outcome in outcomes]
    lines += [
        Padding(f"[red]false[/red]  {_clock(i.opened_at)}  {escape(i.title)}", (0, 0, 0, 2), expand=False) for i in result.false
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
    hours = f"{minutes / 60:g}"
    return Group(
        "[bold]Next[/bold]",
        Padding(
            f"aiops demo --seed {seed + 1}                            another shop day\n"
            f"aiops simulate --seed {seed} --hours {hours} --out day        the like as files, all kinds of faults\n"
            "aiops replay day --out incidents.jsonl          the incidents of such a day as JSON\n"
            "aiops score day incidents.jsonl                 against the truth in day/truth.json",
            (0, 0, 0, 2), expand=False,
        ),
    )


def clock(ns: int) -> str:
    """Time of day, UTC.

    >>> clock(1_740_988_805 * SECOND)
    '08:00:05'
    """
    return rfc3339(ns)[11:19]


def _clock(text: str) -> str:
    return clock(unix_ns(text))


def _title(incident: Incident, what: str) -> str:
    colour = _COLOURS[incident.severity]
    severity = f"[{colour}]{incident.severity.upper()}[/{colour}]"
    return f"{_clock(incident.updated_at)}  {severity} {what}  [bold]{escape(incident.title)}[/bold]"


def _row(name: str, words: str) -> RenderableType:
    return Padding(f"[dim]{name:<12s}[/dim]{escape(words)}", (0, 0, 0, _INDENT), expand=False)


def _cause(cause: Cause) -> list[RenderableType]:
    head = f"[bold]{cause.rank}. {escape(cause.service)}[/bold] ({cause.kind}, confidence {cause.confidence:.2f})"
    lines: list[RenderableType] = [Padding(f"{head}  {escape(cause.summary)}", (0, 0, 0, _INDENT), expand=False)]
    for evidence in cause.evidence[:_MOST]:
        sign = "[green]+[/green]" if evidence.weight >= 0 else "[red]-[/red]"
        since = f" (since {_clock(evidence.onset)})" if evidence.onset else ""
        words = f"{sign} {evidence.type}: {escape(evidence.statement)}{since}"
        lines.append(Padding(words, (0, 0, 0, _INDENT + 3), expand=False))
    lines += [Padding(f"[yellow]![/yellow] {escape(caveat)}", (0, 0, 0, _INDENT + 3), expand=False) for caveat in cause.caveats]
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
    return f"[{colour}]found[/{colour}]   {what}: {after}, the culprit is {place} among {len(outcome.incident.causes)} causes"
