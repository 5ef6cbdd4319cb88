"""Evidence of an incident -> is it felt: does anything fail, answer late, or get lost, or is only a resource short?

A processor at its limit that nobody feels is worth knowing and not worth waking anybody.  Such an incident is ``info`` and
says so, until a symptom is seen.
"""

from __future__ import annotations

from aiops.findings import RESOURCE
from aiops.incidents.environment import ACTIVE, STRONG, Environment
from aiops.incidents.lifecycle import Case
from aiops.incidents.terms import GRAVE, SYMPTOMS

NO_SYMPTOM = "no symptom seen: neither these services nor their callers show failing, slow or lost requests"


def grave(case: Case) -> bool:
    """Has a service of the case failed, lost instances or gone down, with evidence that needs no other?"""
    return bool(case.peak[sorted(case.services)][:, GRAVE].max(initial=0.0) >= STRONG)


def seen(case: Case, environment: Environment) -> bool:
    """Has any symptom been seen, at the services of the case or who calls them, up to now?"""
    near = sorted(case.services.union(*(environment.callers.get(s, ()) for s in case.services)))
    before = [s for s in near if s < len(case.peak)]  # it does not grow any more once the case has settled
    strongest = max(
        case.peak[before][:, SYMPTOMS].max(initial=0.0), environment.evidence[near][:, SYMPTOMS].max(initial=0.0)
    )
    return bool(strongest >= ACTIVE)


def unfelt(case: Case) -> bool:
    """Is a resource short, and no symptom of it has been seen?"""
    return not case.symptom and bool(case.peak[sorted(case.services), RESOURCE].max(initial=0.0) >= ACTIVE)
