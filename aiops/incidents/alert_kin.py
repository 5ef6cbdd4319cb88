"""An alert that names no service -> the open incident that it can only belong to: by a trace, or by what both talk about.

Two records that name one trace are about one request.  Words are a weaker reason, so they must be many and rare: what an alert
says must be found, for the greater part, in what one incident says, and no other open incident may come near.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from aiops.causes.changes import COMMON, WORD
from aiops.incidents.environment import Environment
from aiops.incidents.lifecycle import Case
from aiops.records import Anomaly

MOST_ASKED = 200  # alerts of a window of which this is asked
SHARE = 0.5  # of the words of an alert that an incident must have, so that most of it is explained
LEAST = 3  # words: one or two may be there by chance
SHORTEST = 3  # letters
# What alerts are full of names nothing, beside what code and logs are full of.
_SAID = frozenset(
    """alert alerts alertmanager critical firing high low above below above more than less much many rate ratio count total
    service services instance instances node nodes pod pods usage unusual usually percent seconds minute minutes hour reports
    reported rule severity warning too has have been its all any""".split()
)
_TRACE = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{32}(?![0-9a-fA-F])")
_NAMED = ("label.trace_id", "label.traceId", "label.traceid", "label.trace")


class Kin(NamedTuple):
    """The incident to which an alert belongs, and why: type and statement of the reason."""

    case: Case
    type: str
    statement: str


class Kinship:
    """What the open incidents of an environment say, looked at when the first alert of a window asks.

    Parameters
    ----------
    cases : iterable of Case
        In any order; of equally good ones the earliest is taken.
    """

    def __init__(self, cases: Iterable[Case], environment: Environment) -> None:
        self._cases = sorted(cases, key=lambda c: (c.opened, c.incident_id))
        self._environment = environment
        self._asked = 0
        self._said: list[tuple[Case, frozenset[str], frozenset[str]]] | None = None

    def of(self, alert: Anomaly) -> Kin | None:
        """Where an alert belongs; None where nothing says so for certain."""
        self._asked += 1
        if not self._cases or self._asked > MOST_ASKED:
            return None
        if self._said is None:
            self._said = [(case, *self._about(case)) for case in self._cases]
        traces, words = traces_of(alert), words_of(alert.statement)
        for case, known, _ in self._said:
            if both := sorted(traces & known):
                return Kin(case, "trace", f"{alert.signal} and others of it name trace {both[0]}")
        if len(words) < LEAST:
            return None
        found = sorted(((len(words & said), -k) for k, (_, _, said) in enumerate(self._said)), reverse=True)
        shared, place = found[0]
        if shared < max(LEAST, SHARE * len(words)) or (len(found) > 1 and found[1][0] == shared):
            return None
        case, _, said = self._said[-place]
        return Kin(case, "text", f"{alert.signal} and others of it talk about {', '.join(sorted(words & said)[:5])}")

    def _about(self, case: Case) -> tuple[frozenset[str], frozenset[str]]:
        members = case.members.values()
        names = " ".join(self._environment.services[s] for s in case.services)
        words = words_of(names).union(*(words_of(m.statement) for m in members))
        return frozenset[str]().union(*(traces_of(m) for m in members)), words


def traces_of(anomaly: Anomaly) -> frozenset[str]:
    """Ids of traces that an anomaly names: its exemplars, labels made for it, and its text.

    Returns
    -------
    frozenset of str, 32 hex digits
    """
    texts = [*anomaly.exemplars.trace_ids, *anomaly.exemplars.logs, anomaly.statement]
    texts += [anomaly.attributes[name] for name in _NAMED if name in anomaly.attributes]
    return frozenset(found.lower() for text in texts for found in _TRACE.findall(text))


@lru_cache(20_000)  # statements repeat from window to window
def words_of(text: str) -> frozenset[str]:
    """Words of a text that name something, in lower case.

    >>> sorted(words_of("alertmanager reports ReplicationLagHigh: follower of orders is 40 s behind"))
    ['behind', 'follower', 'lag', 'orders', 'replication']
    """
    words = (word.lower() for word in WORD.findall(text))
    return frozenset(word for word in words if len(word) >= SHORTEST and word not in COMMON and word not in _SAID)
