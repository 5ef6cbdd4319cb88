"""Seeded OTLP payloads of a small shop, and the same payloads later: every run sees the same bytes.

Sizes are those of real exporters: a point has 5 attributes and 260 bytes, a log record 6 and 340, a span 12 and 560, a
resource 15 and 530.  Event time passes at 20,000 log records or spans a second, and a metric is scraped every 10 s.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECOND = 1_000_000_000
T0 = 1_754_049_600 * SECOND  # a multiple of 10 s
RATE = 20_000  # log records and spans a second of event time, unless told otherwise
SCRAPE = 10 * SECOND
SERVICES = ("web", "checkout", "cart", "payment", "shipping", "recommendation", "catalog", "quote")
PODS = 2  # of each service
TRACES = 1 << 16  # more traces than a poll has
TRACE_TAG = 0x5A17_B3C9_E4  # first 5 bytes of a trace id; the next 3 number the traces
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

LINES = {
    "web": ("GET /api/products/{n} {s} in {ms}ms", "session {hex} started from 10.0.{b}.{b}:{p}", "rendered page in {ms}ms"),
    "checkout": ("order {n} placed by user {hex} in {ms} ms via gateway stripe; retry={b} upstream=10.0.{b}.{b}:8443",
                 "order {n} rejected: payment declined after {b} attempts", "lock on order {n} held for {ms} ms"),
    "cart": ("cart {hex} has {b} items worth {f} EUR, cached for {b} s", "redis GET cart:{n} took {ms} ms"),
    "payment": ("charge {hex} of {f} EUR authorised by acquirer in {ms} ms, card ending {p}",
                "connection to 10.0.{b}.{b}:5432 failed: timeout after {ms} ms, attempt {b} of 5"),
    "shipping": ("parcel {n} booked with carrier dhl, label {hex}, weight {f} kg, pick up in {b} h",),
    "recommendation": ("model v{b} scored {n} products for user {hex} in {ms} ms, cache hit ratio {f}",),
    "catalog": ("loaded {n} products of category {b} from shard {b} in {ms} ms", "index refreshed, {n} documents changed"),
    "quote": ("quote {hex} computed: {f} EUR for {b} items to zone {b} within {ms} ms",),
}  # fmt: skip
ROUTES = ("/api/cart", "/api/checkout", "/api/products/{id}", "/api/recommendations", "/healthz")

# A call tree: (service, calls); what is called is a tree, the name of a database that sends no spans, or work inside.
Tree = tuple[str, tuple[Any, ...]]
TREES: tuple[Tree, ...] = (
    ("web", (("checkout", (("payment", ("postgres",)), ("cart", ("redis",)), "")),)),
    ("web", (("recommendation", (("catalog", ("postgres",)),)), ("cart", ("redis",)), "")),
    ("web", (("checkout", (("shipping", (("quote", (("catalog", ()),)),)),)), "")),
    ("web", (("checkout", (("cart", ()), ("payment", ()), ("shipping", (("quote", ()),)))),)),
)


@dataclass(slots=True)
class Poll:
    """Messages of one poll.

    ``arrival`` is the Unix ns at which each one arrives, ``span`` how far event time moves from one poll to the next.
    """

    payloads: list[bytes]
    arrival: list[int]
    items: int
    span: int
    _bytes: NDArray[np.uint8] = field(init=False)
    _edges: list[int] = field(init=False)
    _times: NDArray[np.int64] = field(init=False)
    _traces: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._bytes = np.frombuffer(b"".join(self.payloads) + bytes(8), np.uint8)
        self._edges = np.cumsum([0, *map(len, self.payloads)]).tolist()
        low, high = np.uint64(T0 - SECOND), np.uint64(max(self.arrival) + SECOND)
        self._times = self._positions("<u8", lambda words: (words >= low) & (words < high))
        self._traces = self._positions(">u8", lambda words: words >> np.uint64(24) == np.uint64(TRACE_TAG))

    def _positions(self, dtype: str, wanted: Any) -> NDArray[np.int64]:
        """Where 8 bytes are a time, or the first half of a trace id: found by value, no other bytes come near."""
        found = []
        for shift in range(8):
            words = self._bytes[shift : shift + (len(self._bytes) - shift) // 8 * 8].view(dtype)
            found.append(np.flatnonzero(wanted(words)) * 8 + shift)
        return np.concatenate(found)

    def later(self, ns: int, traces: int = 0) -> tuple[list[bytes], list[int]]:
        """The same messages `ns` later, with other traces; only the bytes of times and trace ids differ."""
        data = self._bytes.copy()
        for at, dtype, step in ((self._times, "<u8", ns), (self._traces, ">u8", traces)):
            where = at[:, None] + np.arange(8)
            words = np.ascontiguousarray(data[where]).view(dtype)
            data[where] = (words + np.uint64(step)).astype(dtype).view(np.uint8)
        raw = data.tobytes()
        edges = zip(self._edges, self._edges[1:], strict=False)
        return [raw[a:b] for a, b in edges], [time + ns for time in self.arrival]

    @property
    def times(self) -> int:
        """How many times the payloads hold."""
        return len(self._times)


def _put(attributes: Any, values: Mapping[str, str | int]) -> None:
    for key, value in values.items():
        target = attributes.add(key=key).value
        if isinstance(value, int):
            target.int_value = value
        else:
            target.string_value = value


def _describe(resource: Any, service: str, pod: int) -> None:
    _put(resource.attributes, {
        "service.name": service, "service.namespace": "shop", "service.version": f"1.4.{pod}",
        "service.instance.id": f"627cc493-f310-47de-96bd-7141{pod:08d}", "deployment.environment.name": "production",
        "k8s.cluster.name": "eu-prod-1", "k8s.namespace.name": "shop", "k8s.pod.name": f"{service}-7c9d6b5f4-{pod:05d}",
        "k8s.pod.uid": f"275ecb36-5aa8-4c2a-9c47-{pod:012d}", "k8s.node.name": f"ip-10-0-{pod}-17",
        "k8s.deployment.name": service, "host.name": f"ip-10-0-{pod}-17", "cloud.provider": "aws",
        "cloud.region": "eu-west-1", "telemetry.sdk.language": "java",
    })  # fmt: skip


# ---- metrics ------------------------------------------------------------------------------------------------------------
def metrics(series: int, per_message: int, items: int) -> list[Poll]:
    """Polls of `items` points: 40 % gauges, 40 % cumulative counters, 20 % histograms of 15 buckets."""
    draw = random.Random(1)
    scrapes = max(1, items // series)
    payloads, arrival = [], []
    for scrape in range(scrapes):
        for first in range(0, series, per_message):
            time = T0 + scrape * SCRAPE + first * SCRAPE // series  # targets are scraped one after the other
            payloads.append(_metrics(draw, first, per_message, time))
            arrival.append(time + SECOND // 20)
    size = items // per_message
    polls = [
        Poll(payloads[i : i + size], arrival[i : i + size], items, scrapes * SCRAPE)
        for i in range(0, len(payloads), size)
    ]
    assert sum(poll.times for poll in polls) == scrapes * series
    return polls


def _metrics(draw: random.Random, first: int, n: int, time: int) -> bytes:
    request = ExportMetricsServiceRequest()
    for i in range(0, n, 50):
        number = (first + i) // 50
        resource = request.resource_metrics.add()
        _describe(resource.resource, SERVICES[number % len(SERVICES)], number)
        scope = resource.scope_metrics.add()
        scope.scope.name = "io.opentelemetry.runtime"
        for k in range(10):
            kind = ("gauge", "sum", "histogram", "sum", "gauge")[k % 5]
            metric = scope.metrics.add(name=f"http.server.{kind}.{k}", unit="s", description="x" * 40)
            data = getattr(metric, kind)
            if kind != "gauge":
                data.aggregation_temporality = 2
            if kind == "sum":
                data.is_monotonic = True
            for route in ROUTES:
                point = data.data_points.add(time_unix_nano=time)
                if kind == "gauge":
                    point.as_double = draw.random() * 1e9
                else:
                    point.start_time_unix_nano = T0 - 1000 * SECOND
                if kind == "sum":
                    point.as_int = draw.randrange(10**7)
                elif kind == "histogram":
                    counts = [draw.randrange(1000) for _ in range(15)]
                    point.explicit_bounds.extend(BOUNDS)
                    point.bucket_counts.extend(counts)
                    point.count, point.sum, point.min, point.max = sum(counts), draw.random() * 1e4, 0.001, 9.0
                _put(point.attributes, {
                    "http.request.method": "GET", "http.route": route, "http.response.status_code": 200,
                    "network.protocol.version": "1.1", "server.address": "checkout.shop.svc",
                })  # fmt: skip
    raw: bytes = request.SerializeToString()
    return raw


# ---- logs ---------------------------------------------------------------------------------------------------------------
def logs(per_message: int, items: int, rate: int = RATE) -> list[Poll]:
    """One poll of `items` log records; 7 of 10 belong to a trace."""
    draw = random.Random(2)
    payloads, arrival = [], []
    for first in range(0, items, per_message):
        request, newest = ExportLogsServiceRequest(), 0
        scopes: dict[tuple[str, int], Any] = {}
        for number in range(first, min(first + per_message, items)):
            service, pod = SERVICES[draw.randrange(4) + number // per_message % 2 * 4], 1
            time = T0 + number * SECOND // rate
            newest = max(newest, time)
            if (service, pod) not in scopes:
                resource = request.resource_logs.add()
                _describe(resource.resource, service, pod)
                scopes[service, pod] = resource.scope_logs.add()
                scopes[service, pod].scope.name = f"com.shop.{service}.Controller"
            record = scopes[service, pod].log_records.add(time_unix_nano=time, observed_time_unix_nano=time)
            record.severity_number = draw.choice((9, 9, 9, 9, 13, 17))
            record.severity_text = {9: "INFO", 13: "WARN", 17: "ERROR"}[record.severity_number]
            record.body.string_value = _line(draw, service)
            _put(record.attributes, {
                "http.request.method": draw.choice(("GET", "POST")), "http.response.status_code": 200,
                "http.route": draw.choice(ROUTES), "thread.name": f"http-nio-8080-exec-{draw.randrange(40)}",
                "log.iostream": "stdout", "code.function.name": "com.shop.OrderService.place",
            })  # fmt: skip
            if draw.random() < 0.7:
                record.trace_id, record.span_id, record.flags = _trace_id(draw, number), draw.randbytes(8), 1
        payloads.append(request.SerializeToString())
        arrival.append(newest + SECOND // 20)
    poll = Poll(payloads, arrival, items, items * SECOND // rate)
    assert poll.times == 2 * items
    return [poll]


def _line(draw: random.Random, service: str) -> str:
    return draw.choice(LINES[service]).format(
        n=draw.randrange(10**6), s=draw.choice((200, 404, 500)), ms=draw.randrange(2000), b=draw.randrange(255),
        p=draw.randrange(1024, 9999), f=f"{draw.random() * 100:.2f}", hex=f"{draw.randrange(1 << 28):07x}7",
    )  # fmt: skip


# ---- spans --------------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Span:
    trace: bytes
    id: bytes
    parent: bytes
    service: str
    name: str
    kind: int
    start: int
    end: int
    peer: str
    error: bool


def spans(per_message: int, items: int, rate: int = RATE, by_trace: bool = False) -> list[Poll]:
    """One poll of some `items` spans: traces of 9-11 spans over 4-5 services, 1 span in 10 an error.

    `by_trace`: a Collector routes by trace id, so a message holds `per_message` spans of one trace at most, and the
    messages of a trace are two or three, with those of others between them.  Else a message holds the spans that ended
    one after the other.
    """
    draw = random.Random(3)
    traces: list[list[_Span]] = []
    count = 0
    while count < items:
        spans: list[_Span] = []
        start = T0 + count * SECOND // rate
        _walk(draw, spans, draw.choice(TREES), _trace_id(draw, len(traces)), b"", start, draw.randrange(10**7, 10**8))
        traces.append(sorted(spans, key=lambda span: span.end))
        count += len(spans)
    if by_trace:
        messages = [trace[i : i + per_message] for trace in traces for i in range(0, len(trace), per_message)]
        messages.sort(key=lambda message: message[-1].end)
    else:
        everything = sorted((span for trace in traces for span in trace), key=lambda span: span.end)
        messages = [everything[i : i + per_message] for i in range(0, count, per_message)]
    arrival = [message[-1].end + SECOND // 20 for message in messages]
    poll = Poll([_spans(draw, message) for message in messages], arrival, count, count * SECOND // rate)
    assert len(poll._traces) == count  # noqa: SLF001 - as many trace ids as spans, or others look like one
    return [poll]


def _trace_id(draw: random.Random, number: int) -> bytes:
    return (TRACE_TAG << 24 | number).to_bytes(8, "big") + draw.randbytes(8)


def _walk(
    draw: random.Random, out: list[_Span], tree: Tree, trace: bytes, parent: bytes, start: int, length: int
) -> None:
    """Append the spans of a service and of what it calls, children inside their parents."""
    service, calls = tree

    def add(parent: bytes, name: str, kind: int, start: int, length: int, peer: str = "") -> bytes:
        span = draw.randbytes(8)
        error = draw.random() < 0.1
        out.append(_Span(trace, span, parent, service, name, kind, start, start + length, peer, error))
        return span

    server = add(parent, f"GET {ROUTES[SERVICES.index(service) % 4]}", 2, start, length)
    part = length // (len(calls) + 1)
    for i, call in enumerate(calls):
        begin, inner = start + i * part, part - draw.randrange(part // 4)
        if isinstance(call, tuple):
            client = add(server, f"GET {call[0]}", 3, begin, inner, f"{call[0]}.shop.svc")
            _walk(draw, out, call, trace, client, begin + inner // 10, inner * 8 // 10)
        elif call:
            add(server, f"SELECT {call}", 3, begin, inner, f"{call}.shop.svc")
        else:
            add(server, "render", 1, begin, inner)


def _spans(draw: random.Random, message: Iterable[_Span]) -> bytes:
    request = ExportTraceServiceRequest()
    scopes: dict[tuple[str, int], Any] = {}
    for s in message:
        pod = s.trace[7] % PODS  # one pod serves all that a trace asks of its service
        if (s.service, pod) not in scopes:
            resource = request.resource_spans.add()
            _describe(resource.resource, s.service, pod)
            scopes[s.service, pod] = resource.scope_spans.add()
            scopes[s.service, pod].scope.name = "io.opentelemetry.tomcat-10.0"
        span = scopes[s.service, pod].spans.add(
            trace_id=s.trace, span_id=s.id, parent_span_id=s.parent, name=s.name, kind=s.kind,
            start_time_unix_nano=s.start, end_time_unix_nano=s.end,
        )  # fmt: skip
        _put(span.attributes, {
            "http.request.method": "GET", "http.response.status_code": draw.choice((200, 200, 200, 404)),
            "http.route": draw.choice(ROUTES), "url.scheme": "https", "url.path": f"/api/products/{draw.randrange(10**5)}",
            "server.address": s.peer or f"{s.service}.shop.svc", "server.port": 8443,
            "client.address": f"10.0.{draw.randrange(255)}.{draw.randrange(255)}", "network.protocol.version": "1.1",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "thread.id": draw.randrange(60),
            "thread.name": f"http-nio-8080-exec-{draw.randrange(40)}",
        })  # fmt: skip
        if s.error:
            span.status.code, span.status.message = 2, "Connection reset by peer"
            event = span.events.add(name="exception", time_unix_nano=s.end)
            _put(event.attributes, {
                "exception.type": "java.net.SocketException", "exception.message": "Connection reset",
                "exception.stacktrace": "java.net.SocketException\n" + "\tat com.shop.Foo.bar(Foo.java:42)\n" * 12,
            })  # fmt: skip
    raw: bytes = request.SerializeToString()
    return raw
