"""How long anomalies of a signal lasted -> how long one more may last before it is news: many heal by themselves.

Of each signal the last durations are kept.  With a uniform prior on the share of those that heal within d, the chance that the
next one does is (healed + 1) / (all + 2), the mean of the beta-binomial (Laplace's rule of succession).  The wait is the least
d for which that is `USUAL`; where no d up to `LONGEST` is enough, nothing waits.  So it takes 8 that all healed, or 17 of 18.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aiops.incidents.noise_names import Identity
from aiops.signals import SECOND, WINDOW

USUAL = 9, 10  # nine in ten, in whole numbers so that every machine decides alike
KEPT = 32  # durations of a signal
LONGEST = 180 * SECOND  # of a wait: evidence is remembered for as long (``aiops.incidents.environment.REMEMBER``)
MAX_SIGNALS = 20_000  # with durations, in an environment; those to which none was added for longest go first


class Wait(NamedTuple):
    """How long an anomaly of a signal may last, ns, and on what that rests: `healed` of `seen` were over by then."""

    ns: int
    healed: int
    seen: int


class Durations:
    """Of the signals of one environment.

    Attributes
    ----------
    evicted : int
        Signals whose durations were forgotten because there were too many, since the process began.
    """

    def __init__(self) -> None:
        self.evicted = 0
        self._of: dict[tuple[str, str, str], list[int]] = {}  # in the order of the last addition

    def __len__(self) -> int:
        return len(self._of)

    def add(self, identity: Identity, lasted: int | None) -> None:
        """One is over that lasted so long, ns; None: it did not heal by itself, or was part of something serious."""
        key = identity[:3]
        beyond = LONGEST // SECOND + 1
        seconds = beyond if lasted is None else min(max(0, lasted) // SECOND, beyond)
        self._of[key] = [*self._of.pop(key, ())[1 - KEPT :], seconds]
        if len(self._of) > MAX_SIGNALS:
            del self._of[next(iter(self._of))]
            self.evicted += 1

    def wait(self, identity: Identity) -> Wait | None:
        """How long the next one may last; None where they do not usually heal by themselves, or too few were seen."""
        lasted = sorted(self._of.get(identity[:3], ()))
        share, of = USUAL
        needed = -(-(share * (len(lasted) + 2) - of) // of)  # the least k with (k + 1) / (n + 2) >= USUAL
        if not 0 < needed <= len(lasted):
            return None
        longest = lasted[needed - 1] * SECOND
        if longest > LONGEST:
            return None
        return Wait(min(LONGEST, longest + WINDOW), sum(d * SECOND <= longest for d in lasted), len(lasted))

    def state(self) -> list[Any]:
        """For a snapshot."""
        return [[*key, lasted] for key, lasted in self._of.items()]

    def restore(self, state: list[Any]) -> None:
        """Take over the state of a snapshot."""
        self._of = {(service, kind, signal): lasted for service, kind, signal, lasted in state}
