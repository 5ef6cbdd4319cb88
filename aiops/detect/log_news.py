"""Lines that a service has never said -> how rare news is for that very service: a chance from its own history.

A service that says something new every hour is no news when it does so again.  By severity (any, warning or worse, error) the
windows are counted in which a service had news, and those in which it said anything; the chance of a window with news is
(n + 1/2) / (windows + 1), the estimate of Good and Turing with a prior for what has not been seen yet.  It is taken before the
window is counted, and it stays with the template.  What is new while the service is suspect counts by ``LEAK``: a fault's own
lines do not make the next one usual.

References
----------
Good, I. J. (1953). The population frequencies of species and the estimation of population parameters. Biometrika 40, 237-264.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.columns import ERROR_SEVERITY
from aiops.detect.contrast import LEAK
from aiops.detect.retention import Kept, refitted
from aiops.detect.tails import CAP

WARN_SEVERITY = 13  # SEVERITY_NUMBER_WARN
LEARN = 60.0  # windows of a service before its news counts: at first everything is new
CLASSES = 3  # any severity, warning or worse, error
BURST = 100.0  # lines beyond which more of them say no more
PRIOR = (0.0, 0.5, 1.0)  # powers of ten by which news of a class matters more often than the next

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def class_of(severity: int) -> int:
    """0 plain, 1 warning, 2 error."""
    return 2 if severity >= ERROR_SEVERITY else 1 if severity >= WARN_SEVERITY else 0


class News:
    """History of news of every service; float64 by service code, and the rarity of every key when it came."""

    def __init__(self) -> None:
        self._windows: F64 = np.zeros(64)  # in which the service said anything
        self._news: F64 = np.zeros((64, CLASSES))  # windows with news of a class or worse
        self._rarity: F64 = np.zeros((64, CLASSES))  # by key: -log10 of the chance of such news, 0 = not judged
        self._keys = 0

    def add(self, services: I64, service: I64, severity: I64, suspect: NDArray[np.bool_]) -> None:
        """One window.

        Parameters
        ----------
        services : int64 array, ascending
            Those that said anything.
        service, severity : int64 arrays, shape (n,)
            Of the keys that are new, in the order of their codes.
        suspect : bool array, by service
        """
        if not len(services):
            return
        self._windows = _longer(self._windows, int(services[-1]) + 1)
        self._news = _longer(self._news, int(services[-1]) + 1)
        windows = self._windows[services]
        self._windows[services] += 1.0
        if not len(service):
            return
        self._rarity = _longer(self._rarity, self._keys + len(service))
        had = np.zeros((len(self._news), CLASSES), bool)
        chance = (self._news[service] + 0.5) / (self._windows[service, None])  # this window is counted already: + 1
        learned = self._windows[service] > LEARN
        for k, worst in enumerate(severity.tolist()):
            had[service[k], : class_of(worst) + 1] = True
            if learned[k]:
                self._rarity[self._keys + k] = [max(0.0, -math.log10(p)) for p in chance[k].tolist()]
        self._keys += len(service)
        learned_services = services[windows >= LEARN]
        weight = np.where(suspect[learned_services], LEAK, 1.0)[:, None]
        self._news[learned_services] += had[learned_services] * weight

    def judged(self, keys: I64) -> NDArray[np.bool_]:
        """Which keys came when their service was known: bool array, shape (n,)."""
        out: NDArray[np.bool_] = self._rarity[keys, CLASSES - 1] > 0.0
        return out

    def rarity(self, key: int, severity: int) -> float:
        """-log10 of the chance of news of this severity when the key came; 0 where its service was not known yet."""
        return float(self._rarity[key, class_of(severity)])

    def score(self, key: int, severity: int, lines: int) -> float:
        """How much a new template of this severity says by its `lines` so far."""
        rarity = self.rarity(key, severity)
        return (
            min(CAP, rarity + PRIOR[class_of(severity)] + math.log10(min(BURST, max(1, lines)))) if rarity > 0 else 0.0
        )

    def keep(self, keys: Kept, services: Kept) -> None:
        """Only these stay."""
        n = len(services.code)
        self._windows = refitted(_longer(self._windows, n)[:n], services, 0.0)
        self._news = refitted(_longer(self._news, n)[:n], services, 0.0)
        self._rarity = refitted(self._rarity[: self._keys], keys, 0.0)
        self._keys = len(keys.rows)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        used = int(np.flatnonzero(self._windows).max(initial=-1)) + 1
        return {"windows": self._windows[:used], "news": self._news[:used], "rarity": self._rarity[: self._keys]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._windows, self._news, self._rarity = state["windows"], state["news"], state["rarity"]
        self._keys = len(self._rarity)


def _longer(array: F64, size: int) -> F64:
    if size <= len(array):
        return array
    out = np.zeros((2 * size, *array.shape[1:]))
    out[: len(array)] = array
    return out
