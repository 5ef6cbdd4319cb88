"""Spans and log lines as they are written: a pod, times and ids in, a fragment of OTLP/JSON in the pod's buffers out.

What is constant about a kind of span or a call site of the logger is made into text once; one write joins strings.
"""

from __future__ import annotations

from aiops.simulate.pods import STEP, Pod
from aiops.simulate.text import SEVERITY_NUMBERS, Body

OK, REFUSED, FAILED = 0, 1, 2
"""Outcomes of a visit: answered, turned away for a habitual reason (a status 4xx), failed (a status 5xx)."""

THROWN = 3
"""Not an outcome: the text of a server span whose operation failed with an exception of its own."""

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5


class Visit:
    """What one pod does for one request.  ``span`` is the span that children hang under, ``start`` in seconds."""

    __slots__ = ("outcome", "pod", "span", "start", "trace")

    def __init__(self, pod: Pod, trace: str, span: str, start: float) -> None:
        self.pod = pod
        self.trace = trace
        self.span = span
        self.start = start
        self.outcome = OK


class LogSite:
    """One call site of the logger."""

    __slots__ = ("_body", "_middle")

    def __init__(self, body: Body, severity: str) -> None:
        self._body = body
        self._middle = (
            f'","severityNumber":{SEVERITY_NUMBERS[severity]},"severityText":"{severity}","body":{{"stringValue":"'
        )

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        self.write(visit.pod, t, (t - visit.start) * 1000.0, visit.trace, visit.span)
        return t + 2e-5

    def write(self, pod: Pod, t: float, ms: float, trace: str = "", span: str = "") -> None:
        """Write the line at ``t``; without ids it belongs to no trace."""
        ns = pod.epoch_ns + int(t * 1e9)
        ids = f',"traceId":"{trace}","spanId":"{span}"}}' if trace else "}"
        pod.logs.setdefault(int((t + pod.node.phase) / STEP), []).append(
            f'{{"timeUnixNano":"{ns}","observedTimeUnixNano":"{ns + 1_200_000}{self._middle}{self._body(ms)}"}}{ids}'
        )


class SpanText:
    """The constant parts of one kind of span, for each outcome."""

    __slots__ = ("_middle", "_tails")

    def __init__(self, name: str, kind: int, tails: tuple[str, ...]) -> None:
        self._middle = f'","name":"{name}","kind":{kind},"startTimeUnixNano":"'
        self._tails = tails

    def write(self, visit: Visit, span: str, parent: str, start: float, end: float, outcome: int) -> None:
        """Write a span of the visit's pod; an empty ``parent`` makes it a root."""
        pod = visit.pod
        epoch = pod.epoch_ns
        above = f'","parentSpanId":"{parent}' if parent else ""
        pod.spans.setdefault(int((end + pod.node.phase) / STEP), []).append(
            f'{{"traceId":"{visit.trace}","spanId":"{span}{above}{self._middle}{epoch + int(start * 1e9)}'
            f'","endTimeUnixNano":"{epoch + int(end * 1e9)}{self._tails[outcome]}'
        )
