"""Open incidents and what their environment shows -> whom each touches, what share of requests it makes fail, how severe it is.

Two incidents at once never share a figure: a failed request is counted for the incident whose services explain it.
"""

from __future__ import annotations

from aiops.findings import HEARTBEAT
from aiops.incidents import symptoms
from aiops.incidents.criticality import Criticalities
from aiops.incidents.environment import ACTIVE, STRONG, Environment
from aiops.incidents.lifecycle import Case
from aiops.incidents.terms import DENIED, ERRONEOUS

CRITICAL, HIGH = 0.2, 0.05  # share of requests that fail at the entries above the incident
LEVELS = ("info", "low", "medium", "high", "critical")


def share_out(cases: list[Case], environment: Environment) -> None:
    """Of each open incident, keep the share of requests that fail because of it where this minute is its worst."""
    for case, share in zip(cases, affected(cases, environment), strict=True):
        case.affected = max(case.affected, share)


def assess(case: Case, cases: list[Case], environment: Environment, criticality: Criticalities) -> None:
    """Who feels an incident, until its causes are settled, and how severe it is; `cases` are those that are open."""
    if not case.settled:
        case.felt = felt(case, cases, environment)
    case.symptom = case.symptom or symptoms.seen(case, environment)
    case.severity, case.severity_reason = severity(case, environment, criticality)


# ---- whom it touches -----------------------------------------------------------------------------------------------------
def above(services: set[int], environment: Environment) -> set[int]:
    """Services that call into some, directly or not; those themselves only where they call each other in a circle."""
    reached: set[int] = set()
    frontier = set(services)
    while frontier:
        frontier = {c for s in frontier for c in environment.callers.get(s, ())} - reached
        reached |= frontier
    return reached


def upstream(case: Case, environment: Environment) -> set[int]:
    """Services that may feel it: they call into its first cause, directly or not."""
    start = {case.causes[0].service} if case.causes else set(case.services)
    # Of a machine those on it: they may feel it, and so may who calls them.
    on = {s for s, machines in case.runs_on.items() if start.intersection(machines)}
    return (above(start | on, environment) | on) - start


def felt(case: Case, others: list[Case], environment: Environment) -> list[str]:
    """Names of those that do feel it, sorted: callers of the first cause with evidence of their own.

    Evidence is to take part in the incident, or to fail; a service that only another open incident holds feels that one.
    """
    taken: set[int] = set()
    for other in others:
        if other is not case:
            taken |= other.services
    out = []
    for s in upstream(case, environment):
        fails = s < len(case.peak) and float(case.peak[s, DENIED].max()) >= ACTIVE
        if s in case.services or (fails and s not in taken):
            out.append(environment.services[s])
    return sorted(out)


# ---- what share of requests fails ------------------------------------------------------------------------------------------
def affected(cases: list[Case], environment: Environment) -> list[float]:
    """Share of requests that fail because of each of the open incidents in the last minute, in [0, 1]; -1: not known.

    The requests are those at the entries (services with visits that nobody calls) from which the services of the incident
    can be reached; where no such entry has visits, those of its own services.  Of the failed requests of an entry an
    incident explains as many as fail in that of its services in which most do; one that holds the entry itself explains what
    the others leave.  Where they explain more than there are, each has its share.
    """
    visits, failed = environment.visits.tolist(), environment.failed.tolist()
    entries = {s for s, n in enumerate(visits) if n > 0 and not environment.callers.get(s, set()) - {s}}
    doors: list[list[int]] = []
    claims: dict[int, dict[int, float]] = {}  # entry -> number of the incident -> failed requests that it explains
    for number, case in enumerate(cases):
        own = case.services | above(case.services, environment)
        doors.append(sorted(entries & own) or sorted(s for s in case.services if s < len(visits) and visits[s] > 0))
        for entry in doors[-1]:
            deep = max((failed[s] for s in case.services if s != entry and s < len(failed)), default=0.0)
            claims.setdefault(entry, {})[number] = min(failed[entry], deep)
    for entry, of in claims.items():
        holding = [number for number in of if entry in cases[number].services]
        left = failed[entry] - sum(n for number, n in of.items() if number not in holding)
        for number in holding:
            of[number] = max(of[number], left)
    out = []
    for number, mine in enumerate(doors):
        total = sum(visits[entry] for entry in mine)
        hurt = sum(_part(claims[entry], number, failed[entry]) for entry in mine)
        out.append(min(1.0, hurt / total) if total > 0 else -1.0)
    return out


def _part(claims: dict[int, float], number: int, failed: float) -> float:
    explained = sum(claims.values())
    return claims[number] * min(1.0, failed / explained) if explained > 0 else 0.0


# ---- how severe it is --------------------------------------------------------------------------------------------------
def severity(case: Case, environment: Environment, criticality: Criticalities) -> tuple[str, str]:
    """Severity and why: from the share of requests that fail, the evidence of its services, and how much they matter."""
    level, why = _plain(case)
    if level in ("low", "medium") and symptoms.unfelt(case):
        level, why = "info", f"a resource is short, and {symptoms.NO_SYMPTOM}"
    names = sorted({environment.services[s] for s in case.services}.union(case.felt))
    levels = {name: criticality.of(name) for name in names}
    high = [name for name in names if levels[name] == "high"]
    if high and level != "critical":
        level = LEVELS[LEVELS.index(level) + 1]
        why += f"; one step more, for {', '.join(high[:3])} {'is' if len(high) == 1 else 'are'} of high criticality"
    elif not high and names and all(levels[name] == "low" for name in names):
        level = LEVELS[max(0, LEVELS.index(level) - 1)]
        why += "; one step less, for all that is touched is of low criticality"
    return level, why


def _plain(case: Case) -> tuple[str, str]:
    peaks = case.peak[sorted(case.services)]
    failing = float(peaks[:, ERRONEOUS].max())
    fails = "requests to its services fail or take another way"
    share = f"{100 * max(0.0, case.affected):.1f} % of the requests that can reach it fail"
    if failing >= STRONG and case.affected >= CRITICAL:
        return "critical", f"{share}, and {fails}"
    if case.affected >= HIGH:
        return "high", share
    if failing >= STRONG:
        return "high", f"{fails} beyond doubt"
    if failing >= ACTIVE:
        return "medium", fails
    if len(case.services) > 1:
        return "medium", f"{len(case.services)} services show it"
    if peaks[:, HEARTBEAT].max() > 0:
        return "medium", "instances are lost"
    return "low", "one service shows it, and no request of its callers is seen to fail"
