"""The peer: the same work on plain protobuf objects, dictionaries and one Python iteration an item.

Official OTLP messages, decoded by upb; as short and as fast as this style goes.  Where the two differ, the difference
favours the peer: its sums are plain float additions, its shapes one regular expression, and it neither redacts nor
checks that times are plausible.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

WIDTH = LATENESS = 10_000_000_000
SERVER, CLIENT, ERROR = 2, 3, 2
_VARIABLE = re.compile(r"[^\s=,;()]*\d[^\s=,;()]*")


class _Windows:
    """Open windows of one source, its clock, and the messages seen."""

    def __init__(self) -> None:
        self.clock = -1
        self.open: dict[int, dict[Any, Any]] = {}
        self.sealed: list[tuple[int, dict[Any, Any]]] = []
        self._seen: dict[int, int] = {}

    def cells(self, time: int) -> dict[Any, Any] | None:
        """Cells of the window of an item, None where it is late."""
        window = time - time % WIDTH
        if window + WIDTH + LATENESS <= self.clock:
            return None
        cells = self.open.get(window)
        if cells is None:
            cells = self.open[window] = {}
        return cells

    def repeated(self, payload: bytes) -> bool:
        digest = hash(payload)
        if digest in self._seen:
            return True
        self._seen[digest] = self.clock
        return False

    def reach(self, clock: int) -> None:
        self.clock = max(self.clock, clock)
        for window in sorted(w for w in self.open if w + WIDTH + LATENESS <= self.clock):
            self.sealed.append((window, self.open.pop(window)))
            self._seen = {digest: at for digest, at in self._seen.items() if at + WIDTH + LATENESS > self.clock}

    def end(self) -> None:
        self.reach(1 << 62)


def _attributes(pairs: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((p.key, getattr(p.value, p.value.WhichOneof("value"))) for p in pairs))


def _service(resource: Any) -> str:
    name = namespace = ""
    for p in resource.attributes:
        if p.key == "service.name":
            name = p.value.string_value
        elif p.key == "service.namespace":
            namespace = p.value.string_value
    return f"{namespace}/{name}"


class Metrics(_Windows):
    """Points -> one cell a (window, series): points, sum, min, max, first, last, counts, buckets."""

    def process(self, payload: bytes, arrival: int) -> None:
        if self.repeated(payload):
            return
        newest = 0
        for r in ExportMetricsServiceRequest.FromString(payload).resource_metrics:
            resource = _attributes(r.resource.attributes)
            for scope in r.scope_metrics:
                for metric in scope.metrics:
                    kind, name = metric.WhichOneof("data"), metric.name
                    number = kind in ("gauge", "sum")
                    for p in getattr(metric, kind).data_points:
                        time = p.time_unix_nano
                        newest = max(newest, time)
                        cells = self.cells(time)
                        if cells is None:
                            continue
                        if number:
                            value, count, buckets = getattr(p, p.WhichOneof("value")), 1, None
                        else:
                            value, count, buckets = p.sum, p.count, tuple(p.bucket_counts)
                        key = (resource, name, kind, _attributes(p.attributes))
                        cell = cells.get(key)
                        if cell is None:
                            cells[key] = [1, value, value, value, time, value, time, value, count, buckets]
                            continue
                        cell[0] += 1
                        cell[1] += value
                        cell[8] += count
                        if value < cell[2]:
                            cell[2] = value
                        elif value > cell[3]:
                            cell[3] = value
                        if time < cell[4]:
                            cell[4], cell[5] = time, value
                        elif time >= cell[6]:
                            cell[6], cell[7], cell[9] = time, value, buckets
        self.reach(min(newest, arrival))


class Logs(_Windows):
    """Records -> one cell a (window, service, shape): lines, errors, worst severity, time and text of the first line."""

    def process(self, payload: bytes, arrival: int) -> None:
        if self.repeated(payload):
            return
        newest = 0
        for r in ExportLogsServiceRequest.FromString(payload).resource_logs:
            service = _service(r.resource)
            for scope in r.scope_logs:
                for x in scope.log_records:
                    time = x.time_unix_nano or x.observed_time_unix_nano
                    newest = max(newest, time)
                    cells = self.cells(time)
                    if cells is None:
                        continue
                    text, severity = x.body.string_value, x.severity_number
                    key = (service, _VARIABLE.sub("\1", text))
                    cell = cells.get(key)
                    if cell is None:
                        cells[key] = [1, severity >= 17, severity, time, text]
                        continue
                    cell[0] += 1
                    cell[1] += severity >= 17
                    if severity > cell[2]:
                        cell[2] = severity
                    if (time, text) < (cell[3], cell[4]):
                        cell[3], cell[4] = time, text
        self.reach(min(newest, arrival))


class Spans:
    """Spans -> traces -> one table a window: visits by operation, own times, edges, gaps, calls, sets of events."""

    def __init__(self) -> None:
        self.windows = _Windows()
        self.traces: dict[bytes, list[tuple[Any, ...]]] = {}
        self.last: dict[bytes, int] = {}
        self.sealed: list[tuple[int, dict[Any, Any]]] = []

    def process(self, payload: bytes, arrival: int) -> None:
        windows = self.windows
        if windows.repeated(payload):
            return
        newest = 0
        for r in ExportTraceServiceRequest.FromString(payload).resource_spans:
            service = _service(r.resource)
            for scope in r.scope_spans:
                for x in scope.spans:
                    end, kind = x.end_time_unix_nano, x.kind
                    newest = max(newest, end)
                    if windows.cells(end) is None:
                        continue
                    error, peer = x.status.code == ERROR, ""
                    for p in x.attributes:
                        key = p.key
                        if key == "http.response.status_code":
                            error = error or p.value.int_value >= 500
                        elif kind == CLIENT and key == "server.address":
                            peer = p.value.string_value.partition(".")[0]
                    trace = x.trace_id
                    span = (
                        x.span_id,
                        x.parent_span_id,
                        x.start_time_unix_nano,
                        end,
                        service,
                        x.name,
                        kind,
                        error,
                        peer,
                    )
                    waiting = self.traces.get(trace)
                    if waiting is None:
                        self.traces[trace], self.last[trace] = [span], end
                    else:
                        waiting.append(span)
                        self.last[trace] = max(self.last[trace], end)
        windows.reach(min(newest, arrival))
        self._advance()

    def end(self) -> None:
        self.windows.end()
        self._advance()
        self._step(1 << 62)

    def _advance(self) -> None:
        for window, _ in self.windows.sealed:
            self._step(window)
        self.windows.sealed.clear()

    def _step(self, window: int) -> None:
        """Window `window` is complete: so are the traces of which nothing ended in it."""
        table: dict[Any, Any] = defaultdict(int)
        for trace in [t for t, last in self.last.items() if last < window]:
            del self.last[trace]
            _count(self.traces.pop(trace), table)
        if table:
            self.sealed.append((window - WIDTH, table))


def _count(spans: list[tuple[Any, ...]], table: dict[Any, int]) -> None:
    """Join one trace and count what happened; rows of `table` are (what, its key ..., bin of the duration)."""
    by_id = {s[0]: s for s in spans}
    children: dict[bytes, list[tuple[Any, ...]]] = {}
    for s in by_id.values():
        if s[1] in by_id:
            children.setdefault(s[1], []).append(s)
    roots: dict[bytes, bytes] = {}
    visits: dict[bytes, list[Any]] = {}
    own: dict[bytes, int] = defaultdict(int)
    for s in by_id.values():
        span_id, _, start, end, service, name, kind, error, peer = s
        covered, reach, far = 0, start, None
        for c in sorted(children.get(span_id, ()), key=lambda c: (c[2], c[0])):
            low, high = max(c[2], reach), min(c[3], end)
            if high > low:
                covered, reach = covered + high - low, high
            if c[4] != service:
                far = c
        path, at = [], s
        while at[0] not in roots:
            path.append(at[0])
            up = by_id.get(at[1])
            if up is None or at[6] == SERVER or up[4] != at[4]:
                roots[at[0]] = at[0]
                break
            at = up
        root = roots[at[0]]
        for step in path:
            roots[step] = root
        above = by_id.get(s[1])
        if above is not None and above[4] != service:
            table["edge", above[4], service] += 1
            table["edge errors", above[4], service] += error
            table["gap", above[4], service, max(0, above[3] - above[2] - end + start).bit_length()] += 1
        if kind == CLIENT:
            table["call", service, name] += 1
            if far is None:
                table["missing", service, name] += not peer or error
                if peer:
                    table["edge", service, peer] += 1
                    table["edge errors", service, peer] += error
                    table["gap" if error else "unseen", service, peer, (end - start).bit_length()] += 1
            event = ("call", name, peer) if far is None else ("call", name, far[4], far[5])
        else:
            own[root] += end - start - covered
            event = ("op", name, error)
        visits.setdefault(root, []).append(event)
    for root, events in visits.items():
        _, _, start, end, service, name, _, error, _ = by_id[root]
        table["op", service, name] += 1
        table["op errors", service, name] += error
        table["duration", service, name, (end - start).bit_length()] += 1
        table["own", service, name, own[root].bit_length()] += 1
        times: dict[Any, int] = {}
        for event in events:
            times[event] = min(times.get(event, 0) + 1, 4)
        table["visit", service, frozenset(times.items())] += 1
