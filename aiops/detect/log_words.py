"""What the log detectors found -> candidates of anomalies, each with a sentence that a person reads, and the rule of what opens.

A signal opens an anomaly of its own only if somebody can act on it: a warning or an error, said in more than one window.  All
else is held back by a gate, unless its service is suspect for other reasons: then it explains.
"""

from __future__ import annotations

from typing import NamedTuple

from aiops.columns import ERROR_SEVERITY
from aiops.detect import gates
from aiops.detect.anomalies import Candidate
from aiops.detect.explain import rarity
from aiops.detect.log_mix import Change
from aiops.detect.log_news import WARN_SEVERITY, class_of
from aiops.detect.log_values import Strange
from aiops.detect.rates import Rate
from aiops.records import rfc3339
from aiops.signals import ServiceKey

PLAIN = 0.5  # weight of a surge of lines that are no warning
WARNING = 0.8
LASTING = 2  # windows in which a line must have come


class Line(NamedTuple):
    """A template of a service; ``windows`` are those in which it came since it was first seen, ``first`` is Unix ns."""

    service: ServiceKey
    template: str
    template_id: str
    template_now: str  # the id of the template that it was merged into
    identity: str  # of the series: the id of the template as it was first emitted
    severity: int
    windows: int
    first: int
    exemplar: str
    suspect: bool


def weight(severity: int) -> float:
    """Of a surge of lines of this severity."""
    return 1.0 if severity >= ERROR_SEVERITY else WARNING if severity >= WARN_SEVERITY else PLAIN


def gate(line: Line, acts: bool) -> str:
    """Why a signal of the line opens nothing, whatever its score; empty where somebody can act on it, or it explains."""
    return "" if line.suspect or (acts and line.windows >= LASTING) else gates.PLAIN


def news(line: Line, rare: float, score: float, lines: int, seconds: int) -> Candidate:
    """A line that the service had never said; news of this severity is so rare for it, in -log10 of a chance."""
    what = ("lines", "warnings", "errors")[class_of(line.severity)]
    statement = (
        f'new log line "{line.template[:160]}": {lines} lines in {seconds} s, the first at {rfc3339(line.first)}, none '
        f"expected; {what} that it had never said come {rarity(rare, 'windows')} of this service"
    )
    held = gate(line, acts=line.severity >= WARN_SEVERITY)
    return _candidate(line, "log-news", score, held, statement, "up", float(lines), 0.0, line.first)


def rate(line: Line, found: Rate, seconds: int, fresh: bool) -> Candidate:
    """A line that comes far more often than usual, or no longer; `fresh`: it had never been said before."""
    surge = found.score > 0
    what = "new" if fresh else "surging" if surge else "vanished"
    most = f", at most {found.most:.0f} within a day" if surge and found.most > found.expected else ""
    statement = (
        f'{what} log line "{line.template[:160]}": {found.times} lines in {seconds} s, expected '
        f"about {found.expected:.1f}{most}; {rarity(abs(found.score), 'windows')}"
    )
    score = abs(found.score) * weight(line.severity)
    # A warning that ends is recovery, a plain line that ends is for the losses in visits.
    held = gate(line, acts=surge and line.severity >= WARN_SEVERITY)
    return _candidate(
        line, "log-rates", score, held, statement, "up" if surge else "down", float(found.times), found.expected
    )


def mix(line: Line, found: Change, seconds: int) -> Candidate:
    """A service whose lines are others than usual; `line` moved most."""
    statement = (
        f"the mix of {found.lines} log lines in {seconds} s is not the usual one ({rarity(found.score, 'windows')}): "
        f'"{line.template[:120]}" is {100 * found.now:.1f} % of them, usually {100 * found.usual:.1f} %'
    )
    held, direction = gate(line, acts=False), "up" if found.now > found.usual else "down"
    return _candidate(
        line, "log-mix", found.score, held, statement, direction, found.now, found.usual, signal="mix of log lines",
        series="mix",
    )  # fmt: skip


def number(line: Line, found: Strange) -> Candidate:
    """A number in a line that left its range."""
    nth = ("first", "second", "third", "fourth", "fifth", "sixth")[found.place]
    statement = (
        f'the {nth} number in log line "{line.template[:120]}" is {found.now:.6g}, usually {found.low:.4g} to '
        f"{found.high:.4g}: outside in {found.outside} of the last {found.values} windows, {rarity(found.score, 'windows')}"
    )
    held, up = gate(line, acts=False), found.now > found.high
    bound = found.high if up else found.low
    out = _candidate(
        line, "log-values", found.score, held, statement, "up" if up else "down", found.now, bound,
        signal=f'{nth} number in log line "{line.template[:60]}"', series=f"{line.identity}/{found.place}",
    )  # fmt: skip
    out.lower, out.upper = found.low, found.high
    return out


def _candidate(
    line: Line, detector: str, score: float, held: str, statement: str, direction: str, observed: float, expected: float,
    onset: int | None = None, signal: str = "", series: str = "",
) -> Candidate:  # fmt: skip
    attributes = {"template": line.template[:400], "template_id": line.template_id}
    if line.template_now != line.template_id:
        attributes["template_id_now"] = line.template_now
    return Candidate(
        line.service, "log", signal or f'log line "{line.template[:80]}"', detector, score, statement, direction,
        observed=observed, expected=expected, onset=onset, logs=(line.exemplar,),
        attributes=attributes, series=series or line.identity, gate=held,
    )  # fmt: skip
