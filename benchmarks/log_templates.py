"""Log templates: how well lines are grouped, and how many lines a core takes from OTLP bytes to counts of templates.

    python -m benchmarks.log_templates DATA OUT [--drain3 PYTHON] [--seconds S] [--json FILE]

``DATA`` holds ``loghub/<System>/<System>_2k.log_structured.csv`` and ``nezha/<day>/logs.jsonl.gz``, or is that loghub folder.
``OUT`` gets a file a system: ``line_id,template_id,emitted_template_id``, the id at the end and as it was given out.
One configuration, one pass, an empty miner for each system.
"""

from __future__ import annotations

import argparse
import csv
import gc
import gzip
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aiops.detect.stage import Detect
from aiops.detect.templates import Templates
from aiops.ingest.shapes import shape_of
from aiops.ingest.stage import Ingest, Message
from aiops.wire import keep_memory
from benchmarks import results
from benchmarks.payloads import RATE, SECOND, T0, TRACE_TAG, Poll

BARS = {"ga": 0.99, "fga": 0.96, "ga_emitted": 0.98}
SITE_BARS = {"ga": 0.84, "fga": 0.88, "ga_emitted": 0.84}
SPEED_BAR, RATIO_BAR = 800_000, 20
POLL, MESSAGE = 20_000, 500  # lines
WARM_UP = 3  # passes over all lines before one is timed
PEER_LINES = 60_000  # that Drain3 gets
SOURCE = "bench/0"
# A line as logback wrote it: time, level, class#line, ids of trace and span, text.
_LINE = re.compile(r"^\S+\s+(?:TRACE|DEBUG|INFO|WARN|ERROR)\s+(\S+#\d+)\s+TraceID: \S* SpanID: \S* ?(.*)$", re.DOTALL)
_IDS = re.compile(rb"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


class Corpus(NamedTuple):
    """Lines with what they truly are; of a recorded day, who wrote them and the whole line."""

    lines: list[bytes]
    true: Sequence[Hashable]
    services: list[str]
    whole: list[str]


class Accuracy(NamedTuple):
    ga: float
    fga: float
    ga_emitted: float
    fga_emitted: float
    groups: int
    true: int


# ---- corpora ------------------------------------------------------------------------------------------------------------
def loghub(data: Path) -> dict[str, Corpus]:
    folder = data / "loghub" if (data / "loghub").is_dir() else data
    out = {}
    for path in sorted(folder.glob("*/*.log_structured.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        lines = [row["Content"].encode() for row in rows]
        out[path.parent.name] = Corpus(lines, [row["EventId"] for row in rows], [""] * len(rows), [])
    return out


def recorded_days(data: Path) -> dict[str, Corpus]:
    """Days whose lines name their call site."""
    out = {}
    for root in (data, data.parent):
        for path in sorted(root.glob("nezha/*/logs.jsonl.gz")):
            records = list(_records(path))
            sites, texts = [site for _, site, _, _ in records], [text for _, _, text, _ in records]
            if sum(map(bool, sites)) > len(sites) // 2:
                name = f"TrainTicket {path.parent.name}"
                out[name] = Corpus(texts, _told_apart(sites, texts), [r[0] for r in records], [r[3] for r in records])
        if out:
            break
    return out


def _records(path: Path) -> Iterator[tuple[str, str, bytes, str]]:
    """Service, call site, text and whole line of every record."""
    with gzip.open(path, "rb") as file:
        for line in file:
            for resource in json.loads(line)["resourceLogs"]:
                about = {a["key"]: a["value"].get("stringValue", "") for a in resource["resource"]["attributes"]}
                for record in (record for scope in resource["scopeLogs"] for record in scope["logRecords"]):
                    body = record["body"]["stringValue"]
                    match = _LINE.match(body)
                    site, text = match.groups() if match else ("", body)
                    yield about["service.name"], site, text.encode(), body


def _told_apart(sites: list[str], texts: list[bytes]) -> list[str]:
    """Call sites, those united that ever print the same text but for numbers and ids: no text tells them apart."""
    parent: dict[str, str] = {}

    def find(site: str) -> str:
        while parent.setdefault(site, site) != site:
            site = parent[site]
        return site

    first: dict[bytes, str] = {}
    for site, text in zip(sites, texts, strict=True):
        other = find(first.setdefault(_IDS.sub(b"", text), site))
        if other != find(site):
            parent[other] = find(site)
    return [find(site) for site in sites]


# ---- accuracy -----------------------------------------------------------------------------------------------------------
def grouping(true: Sequence[Hashable], found: Sequence[Hashable]) -> tuple[float, float]:
    """Share of lines whose group is exactly a true one (GA), and F1 of groups (FGA)."""
    n_true, n_found = Counter(true), Counter(found)
    pairs = Counter(zip(true, found, strict=True))
    right = [n for (a, b), n in pairs.items() if n == n_true[a] == n_found[b]]
    return sum(right) / len(true), 2 * len(right) / (len(n_true) + len(n_found))


def mined(lines: Iterable[bytes], services: Iterable[str]) -> tuple[list[str], list[str]]:
    """Id of every line's template at the end, and as it was given out."""
    templates, shapes = Templates(), dict[bytes, bytes]()
    clusters, emitted = [], []
    for line, service in zip(lines, services, strict=True):
        shape = shapes.get(line)
        if shape is None:
            shape = shapes[line] = shape_of(line)
        clusters.append(templates.match(service, shape))
        emitted.append(templates.id(clusters[-1]))
    return [templates.id(cluster) for cluster in clusters], emitted


def judged(true: Sequence[Hashable], final: list[str], emitted: list[str]) -> Accuracy:
    return Accuracy(*grouping(true, final), *grouping(true, emitted), len(set(final)), len(set(true)))


def accuracy(data: Path, out: Path, peer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    head = f"{'system':32s}{'GA':>8s}{'FGA':>8s}{'GA em.':>8s}{'FGA em.':>8s}{'groups':>8s}{'true':>6s}"
    print(head + f"{'Drain3 ini: GA':>17s}{'FGA':>7s}{'default: GA':>14s}{'FGA':>7s}")

    def say(name: str, a: Accuracy, theirs: Sequence[tuple[float, float]]) -> None:
        row = f"{name:32s}{a.ga:8.3f}{a.fga:8.3f}{a.ga_emitted:8.3f}{a.fga_emitted:8.3f}{a.groups:8d}{a.true:6d}"
        if theirs:
            row += f"{theirs[0][0]:17.3f}{theirs[0][1]:7.3f}{theirs[1][0]:14.3f}{theirs[1][1]:7.3f}"
        print(row, flush=True)

    def of_peer(name: str, true: Sequence[Hashable]) -> list[tuple[float, float]]:
        groups = peer.get("groups", {}).get(name)
        return [grouping(true, groups[kind]) for kind in ("ini", "default")] if groups else []

    systems, theirs = [], []
    for system, corpus in loghub(data).items():
        final, emitted = mined(corpus.lines, corpus.services)
        _write(out / f"{system}.csv", final, emitted)
        systems.append(judged(corpus.true, final, emitted))
        theirs.append(of_peer(system, corpus.true))
        found[f"log_templates.{system}"] = systems[-1]._asdict()
        say(system, systems[-1], theirs[-1])
    if systems:
        mean = Accuracy(*(sum(column) / len(systems) for column in zip(*systems, strict=True)))
        peers = [tuple(sum(t[k][j] for t in theirs) / len(theirs) for j in (0, 1)) for k in (0, 1)] if theirs[0] else []
        found["log_templates.mean"] = {**mean._asdict(), "bars": BARS}
        say("mean", mean._replace(groups=int(mean.groups), true=int(mean.true)), peers)  # type: ignore[arg-type]
        print(f"{'bar':32s}{BARS['ga']:8.3f}{BARS['fga']:8.3f}{BARS['ga_emitted']:8.3f}")
    for day, corpus in recorded_days(data).items():
        one_stream = judged(corpus.true, *mined(corpus.lines, [""] * len(corpus.lines)))
        by_service = judged(list(zip(corpus.services, corpus.true, strict=True)), *mined(corpus.lines, corpus.services))
        found[f"log_templates.{day}"] = {**one_stream._asdict(), "bars": SITE_BARS}
        found[f"log_templates.{day} by service"] = by_service._asdict()
        say(f"{day}, by call site", one_stream, of_peer(day, corpus.true))
        say("  the same, by service", by_service, [])
        print(f"{'bar':32s}{SITE_BARS['ga']:8.3f}{SITE_BARS['fga']:8.3f}{SITE_BARS['ga_emitted']:8.3f}")
    return found


def _write(path: Path, final: list[str], emitted: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["line_id", "template_id", "emitted_template_id"])
        rows.writerows((i, *ids) for i, ids in enumerate(zip(final, emitted, strict=True), 1))


# ---- speed --------------------------------------------------------------------------------------------------------------
def polls(corpus: Corpus) -> list[Poll]:
    """The whole lines of a day as OTLP protobuf, at ``RATE`` lines a second of event time, 500 a message, all of traces."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    out = []
    n = len(corpus.whole) // POLL * POLL or len(corpus.whole)
    for first in range(0, n, POLL):
        payloads, arrival = [], []
        last = min(first + POLL, n)
        for begin in range(first, last, MESSAGE):
            request, scopes = ExportLogsServiceRequest(), dict[str, Any]()
            for number in range(begin, min(begin + MESSAGE, last)):
                service = corpus.services[number]
                if service not in scopes:
                    resource = request.resource_logs.add()
                    for key, value in (
                        ("service.name", service), ("service.instance.id", f"{service}-5c66d57d58-6mp2b"),
                        ("k8s.pod.name", f"{service}-5c66d57d58-6mp2b"), ("deployment.environment.name", "train-ticket"),
                    ):  # fmt: skip
                        resource.resource.attributes.add(key=key).value.string_value = value
                    scopes[service] = resource.scope_logs.add()
                when = T0 + number * SECOND // RATE
                record = scopes[service].log_records.add(time_unix_nano=when, observed_time_unix_nano=when)
                record.severity_number, record.severity_text = 9, "INFO"
                record.body.string_value = corpus.whole[number]
                record.trace_id = (TRACE_TAG << 24 | number // 4).to_bytes(8, "big") + bytes(7) + b"\1"
                record.span_id = number.to_bytes(8, "big", signed=False)[:7] + b"\1"
            payloads.append(request.SerializeToString())
            arrival.append(when + SECOND // 20)
        out.append(Poll(payloads, arrival, last - first, (last - first) * SECOND // RATE))
    return out


def speed(corpus: Corpus, seconds: float) -> float:
    """Lines per CPU second of the best pass over the day: bytes -> ingest -> detect, sealed windows and evidence included."""
    day = polls(corpus)
    span, lines = sum(poll.span for poll in day), sum(poll.items for poll in day)
    ingest, detect = Ingest(SOURCE, "logs"), Detect([SOURCE])
    best, spent, passes, offset, counted = 0.0, 0.0, 0, 0, 0
    gc.collect()
    gc.disable()
    while passes < WARM_UP + 3 or spent < seconds:
        took = 0.0
        for poll in day:
            raw, arrival = poll.later(passes * span)
            begin = time.process_time()
            out = ingest.process(list(map(Message, range(offset, offset + len(raw)), arrival, raw)))
            for rows in out.rows:
                detect.process(rows)
            detect.advance(SOURCE, out.clock)
            took += time.process_time() - begin
            offset += len(raw)
            counted += sum(row.lines for rows in out.rows for row in rows.logs)
        passes += 1
        if passes > WARM_UP:
            best, spent = max(best, lines / took), spent + took
    gc.enable()
    ingest.advance(1 << 61)
    counters = ingest.counters
    if counters.late or counters.repeats or counters.refused or counters.items != passes * lines:
        raise SystemExit(f"not every line was counted: {counters}")
    if not 0.5 * lines < counted <= passes * lines or detect.gauges()["detect_log_templates"] < 1:
        raise SystemExit(f"{counted} lines of {passes * lines} came out as counts of templates")
    return best


# ---- the peer -----------------------------------------------------------------------------------------------------------
def drain3(python: str, corpora: dict[str, Corpus]) -> dict[str, Any]:
    """What Drain3 makes of the same lines, in the same run; empty where it is not installed."""
    if python == sys.executable and importlib.util.find_spec("drain3") is None:
        print("drain3 is not installed here: name an interpreter that has it with --drain3\n")
        return {}
    days = [corpus for corpus in corpora.values() if corpus.whole]
    work = {
        "corpora": {name: [line.decode("utf-8", "replace") for line in c.lines] for name, c in corpora.items()},
        "speed": days[0].whole[:PEER_LINES] if days else [],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.json"
        path.write_text(json.dumps(work))
        program = [python, "-m", "benchmarks.log_template_peer", path]
        done = subprocess.run(program, check=True, capture_output=True, text=True)  # noqa: S603 - our own module
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument(
        "--drain3", metavar="PYTHON", default=sys.executable, help="an interpreter that has drain3, if this one has not"
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="CPU seconds of the measurement of speed (default 3)"
    )
    parser.add_argument("--json", type=Path, help="write the results there")
    arguments = parser.parse_args()
    days = recorded_days(arguments.data)
    corpora = {**loghub(arguments.data), **days}
    if not corpora:
        parser.error(f"{arguments.data} holds no loghub/*/*_2k.log_structured.csv and no nezha/*/logs.jsonl.gz")
    results.introduce(
        "GA, FGA: shares of lines and F1 of groups; em.: as emitted; rates are of one core's CPU seconds."
    )
    peer = drain3(arguments.drain3, corpora)
    found = accuracy(arguments.data, arguments.out, peer)
    keep_memory()
    for day, corpus in days.items():
        ours = speed(corpus, arguments.seconds)
        found[f"log_templates.speed {day}"] = result = {"lines_per_core_second": round(ours), "target": SPEED_BAR}
        print(f"\n{day}, OTLP bytes to counts of templates: {ours / 1e3:.0f}k lines/s (bar {SPEED_BAR // 1000}k)")
        for kind, theirs in peer.get("speed", {}).items():
            result[f"drain3_{kind}"] = round(theirs)
            result[f"ratio_{kind}"] = round(ours / theirs, 1)
            print(f"  Drain3 ({kind}), text to templates: {theirs / 1e3:.1f}k lines/s; ratio {ours / theirs:.1f}")
    results.write(arguments.json, found)


if __name__ == "__main__":
    main()
