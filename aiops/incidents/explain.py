"""What ties services together -> what it explains of a case, and the reasons that its record gives for belonging together."""

from __future__ import annotations

from aiops.causes.rank import PLACE
from aiops.causes.scatter import apart
from aiops.incidents.environment import Environment
from aiops.incidents.lifecycle import Case

MOST = 8  # reasons of ties that a case keeps
MOST_PAIRS = 200  # of which a case remembers that calls reached nobody


def explain(case: Case, within: set[int], environment: Environment) -> None:
    """Keep which machines explain the trouble of services near a case, and forget those that do so no more."""
    for machine in environment.cleared:
        if machine < len(case.peak):
            case.peak[machine, PLACE] = 0.0
        case.notes.pop((machine, PLACE), None)
        of = {s: [m for m in machines if m != machine] for s, machines in case.runs_on.items()}
        case.runs_on = {s: machines for s, machines in of.items() if machines}
    near = sorted(pair for pair in environment.unreached if within.intersection(pair))
    case.unreached += [list(pair) for pair in near if list(pair) not in case.unreached][
        : MOST_PAIRS - len(case.unreached)
    ]
    for _, tie in environment.ties.all():
        if tie.hub >= 0:
            for service in sorted(tie.services & within - {tie.hub}):
                machines = case.runs_on.setdefault(service, [])
                if tie.hub not in machines:
                    case.runs_on[service] = sorted([*machines, tie.hub])


def pairs_apart(case: Case) -> int:
    """How many calls that reached nobody no single service explains, nor a machine (``aiops.causes.scatter``)."""
    return apart((a, b) for a, b in case.unreached if a not in case.runs_on and b not in case.runs_on)


def remark(case: Case, environment: Environment) -> None:
    """Say why services of a case belong together that no call relates, and call it what a rule wants it to be called."""
    if case.settled:
        return
    for key, tie in environment.ties.between(case.services):
        about = "/".join(("tie", *key))
        if about in case.remarks or sum(name.startswith("tie/") for name in case.remarks) < MOST:
            case.remarks[about] = [tie.type, tie.statement]
        if tie.title and not case.called:
            case.called = tie.title
