"""Anomaly detectors of river beside the bank, on the same values: scored, compared, and never heard.

Who wants another detector sees first what it would have said.  Its raw scores mean something else for every detector, so each is
given the meaning that all scores have here: -log10 of the share of its own past scores of that series that were as high.  How
often both spoke, or one alone, is counted.

A challenger is a Python object a series and takes 2 to 500 microseconds a point, a hundred times the bank: `most` bounds it.  It
is no part of a snapshot: after a restart it begins anew, and nothing that is published depends on it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter, deque
from fnmatch import translate
from re import compile as compiled
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.rules import DETECTORS, OF_VALUES
from aiops.errors import UserError

if TYPE_CHECKING:
    from aiops.detect.retention import Kept
    from aiops.detect.rules import Challenger

SPEAKS = 3.0  # score from which a detector is said to speak; one point in a thousand if all is as usual
NEAR = 3  # points within which two detectors speak of the same thing
PAST = 2_000  # scores of a series by which its later ones are calibrated
WARM_UP = 200  # scores before any is

DRAWING = ("HalfSpaceTrees", "LODA")  # those that draw at random


def made(challenger: Challenger) -> Any:
    """A new detector.

    Raises
    ------
    UserError
        river is not installed, or it does not know the detector or a parameter.
    """
    if challenger.detector not in DETECTORS:
        raise UserError(
            f"detect.challengers: {challenger.detector!r} is no detector that may run here; there are {', '.join(DETECTORS)}"
        )
    try:
        from river import anomaly, preprocessing
    except ImportError:
        raise UserError("detect.challengers: river is not installed: pip install 'aiops[river]'") from None
    parameters = {name: parsed(text) for name, text in sorted(challenger.parameters.items())}
    if challenger.detector in DRAWING:
        parameters.setdefault("seed", 1)  # the same telemetry, the same counts
    try:
        detector = getattr(anomaly, challenger.detector)(**parameters)
    except (TypeError, ValueError) as error:
        raise UserError(f"detect.challengers: {challenger.detector}: {error}") from None
    return detector if challenger.detector in OF_VALUES else preprocessing.MinMaxScaler() | detector


def parsed(text: str) -> int | float | bool | str | None:
    """A parameter as it stands in the configuration -> the value that it writes.

    >>> parsed("25"), parsed("0.1"), parsed("true"), parsed("none"), parsed("x")
    (25, 0.1, True, None, 'x')
    """
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class _Run:
    """One challenger on one series."""

    __slots__ = ("_before", "_detector", "_of_values", "_ordered", "_past", "bank", "heard", "point")

    def __init__(self, challenger: Challenger) -> None:
        self._detector = made(challenger)
        self._of_values = challenger.detector in OF_VALUES
        self._past: deque[float] = deque()
        self._ordered: list[float] = []
        self._before = math.nan
        self.point = 0
        self.bank = self.heard = -NEAR - 1  # points at which the bank and the challenger spoke last

    def score(self, value: float) -> float:
        """Calibrated score of the next value."""
        if self._of_values:
            raw = float(self._detector.score_one(None, value))
            self._detector.learn_one(None, value)
        else:
            features = {"value": value, "change": 0.0 if math.isnan(self._before) else value - self._before}
            raw = float(self._detector.score_one(features))
            self._detector.learn_one(features)
        self._before = value
        self.point += 1
        n = len(self._past)
        above = n - bisect_left(self._ordered, raw)
        if not math.isfinite(raw):
            return 0.0
        self._past.append(raw)
        insort(self._ordered, raw)
        if n >= PAST:
            del self._ordered[bisect_left(self._ordered, self._past.popleft())]
        return -math.log10((above + 0.5) / (n + 1)) if n >= WARM_UP else 0.0


class Challengers:
    """All challengers of a partition.

    Attributes
    ----------
    counts : Counter
        By (place of the challenger, what): ``points`` judged, ``alone`` the challenger spoke and the bank did not within
        ``NEAR`` points, ``bank`` the bank spoke and the challenger did not, ``both``; since the process began.
    """

    def __init__(self, challengers: tuple[Challenger, ...]) -> None:
        for challenger in challengers:
            made(challenger)  # what is wrong with one is said at once
        self._challengers = challengers
        self._watch = [compiled(translate(challenger.watch)) for challenger in challengers]
        self._runs: list[dict[int, _Run]] = [{} for _ in challengers]  # by level
        self.counts: Counter[tuple[int, str]] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def watch(self, level: int, metric: str) -> None:
        """A level that is full from now on."""
        for challenger, watch, runs in zip(self._challengers, self._watch, self._runs, strict=True):
            if watch.match(metric) and len(runs) < challenger.most and level not in runs:
                runs[level] = _Run(challenger)

    def add(self, level: NDArray[np.int64], value: NDArray[np.float64], bank: NDArray[np.float64]) -> None:
        """Values of full levels, and the bank's scores of them."""
        if not self._challengers:
            return
        for of, x, score in zip(level.tolist(), value.tolist(), bank.tolist(), strict=True):
            for k, runs in enumerate(self._runs):
                if of in runs:
                    self._judge(k, runs[of], x, score)

    def _judge(self, k: int, run: _Run, value: float, bank: float) -> None:
        heard = run.score(value) >= SPEAKS
        spoke = bank >= SPEAKS
        n = run.point
        self.counts[k, "points"] += 1
        # Each spell of one is counted when it is over and the other has had its time.
        for who, other, what in ((run.heard, run.bank, "alone"), (run.bank, run.heard, "bank")):
            if who == n - NEAR - 1:
                together = abs(who - other) <= NEAR
                if not together:
                    self.counts[k, what] += 1
                elif what == "alone":
                    self.counts[k, "both"] += 1
        run.heard, run.bank = (n if heard else run.heard), (n if spoke else run.bank)

    def keep(self, levels: Kept) -> None:
        """Only these levels stay."""
        code = levels.code.tolist()
        self._runs = [{code[of]: run for of, run in runs.items() if code[of] >= 0} for runs in self._runs]

    def gauges(self) -> dict[str, float]:
        """What was counted, by the detector's name and its place in the configuration."""
        out: dict[str, float] = {}
        for k, challenger in enumerate(self._challengers):
            name = f"challenger_{k}_{challenger.detector.lower()}"
            out[f"{name}_series"] = float(len(self._runs[k]))
            for what in ("points", "both", "alone", "bank"):
                out[f"{name}_{what}_total"] = float(self.counts[k, what])
        return out
