"""root-cause-bench: small synthetic incidents with alerts, logs, metrics, traces, and changes of which one is to blame.

A case holds 31-215 log lines, a point a minute of 3-7 metrics, 2-61 spans: too little for baselines in a stream, so services
are ranked by first onset (``root_cause_onsets``), changes by ``aiops.causes.changes``, as the engine does.  All telemetry until
300 s after the alert counts.  `engine_lines` turns a case into what the engine reads, to see what that makes of so little.

What is known of a change: its time, its service, its version, the message and files of its commit, and the lines that it
added and took away.  Remarks of the set's authors inside of diffs are left out.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from aiops.causes.changes import Candidate, Weighing, plausibilities, relations
from aiops.engine import Engine
from aiops.ingest.stage import Message
from aiops.recording import Sourced
from aiops.records import Incident, rfc3339
from aiops.replay import drive
from aiops.signals import SECOND
from benchmarks.root_cause_onsets import HEAD, WARNING, Onset, failing_first, log_onset, series_onset

AFTER_ALERT = 300.0  # seconds of telemetry after the alert
SEVERITY = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
_TEXT = ("error", "status_message", "error.message")
LOAD = re.compile(r"(request|quer(y|ie)|message|rate)s?_?(rate)?_?(per_sec(ond)?)$|_(rps|qps)$")  # names of load
_STEM = re.compile(r"(-?(service|svc))?$")


class Line(NamedTuple):
    """A log line; `text` holds its message and what else it says in words."""

    at: float
    service: str
    severity: int
    text: str


class Span(NamedTuple):
    """A span of a trace, `parent` its caller's service or None."""

    at: float
    service: str
    name: str
    trace: int
    span: str
    parent: str | None
    parent_service: str | None
    duration_ms: float
    error: str | None


class Shipped(NamedTuple):
    """A change: a commit that was deployed, or a flag; `at` is when it took effect."""

    id: str
    at: float
    service: str
    kind: str
    version: str
    text: str


class Case(NamedTuple):
    """An incident and its truth."""

    name: str
    alerted: str
    fired: float
    lines: list[Line]
    series: dict[tuple[str, str], tuple[Any, Any]]  # (service, metric) -> float64[n] seconds, float64[n]
    spans: list[Span]
    shipped: list[Shipped]
    others: list[str]  # commits that were not shipped
    deploys: list[tuple[float, str]]  # (seconds, commit), in order of the file
    first_failing: str
    culprit: str | None


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def read(folder: Path) -> Case:
    data = folder / "data"
    truth, alert = json.loads((folder / "ground_truth.json").read_text()), json.loads((data / "alert.json").read_text())
    fired = seconds(alert["fired_at"])
    end = fired + AFTER_ALERT
    lines = [_line(json.loads(text)) for text in (data / "logs.ndjson").read_text().splitlines() if text.strip()]
    lines = [line for line in lines if line.at <= end]
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with (data / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["value"] and seconds(row["timestamp"]) <= end:
                points.setdefault((row["service"], row["metric"]), []).append(
                    (seconds(row["timestamp"]), float(row["value"]))
                )
    series = {key: (np.array([t for t, _ in of]), np.array([v for _, v in of])) for key, of in sorted(points.items())}
    spans = [s for s in _spans(json.loads((data / "traces.json").read_text())) if s.at <= end]
    deploys = json.loads((data / "context" / "deploys.json").read_text())
    commits = {c["sha"]: c for c in json.loads((data / "context" / "commits.json").read_text())}
    shipped = [*_shipped(commits, deploys), *_flags(data / "context" / "flags.json")]
    taken = {c.id for c in shipped}
    others = [_about(c) for sha, c in sorted(commits.items()) if sha not in taken and seconds(c["timestamp"]) <= end]
    culprit = truth.get("root_cause_commit")
    return Case(
        folder.name, alert["service"], fired, lines, series, spans, [c for c in shipped if c.at <= end], others,
        [(seconds(d["timestamp"]), d["commit_sha"]) for d in deploys],
        truth["first_failing_service"], None if culprit in {None, "none"} else culprit,
    )  # fmt: skip


def _line(of: dict[str, Any]) -> Line:
    said = [str(of["msg"])]
    said += [
        str(v) for k, v in sorted(of.items()) if k not in {"timestamp", "service", "severity_text", "msg", "trace_id"}
    ]
    return Line(seconds(of["timestamp"]), of["service"], SEVERITY[of["severity_text"]], " ".join(said))


def _spans(found: list[dict[str, Any]]) -> Iterator[Span]:
    trace, ids, of = -1, {}, ""
    for span in found:
        if span["trace_id"] not in {"same", of}:
            trace, ids, of = trace + 1, {}, span["trace_id"]
        ids[span["span_id"]] = span["service"]
        about = {**span, **span.get("attributes", {})}
        said = " ".join(str(about[key]) for key in _TEXT if key in about)
        parent = span.get("parent_id")
        yield Span(
            seconds(span["start"]), span["service"], span["name"], trace, span["span_id"], parent, ids.get(parent or ""),
            float(span["duration_ms"]), (said or "error") if span["status"] == "ERROR" else None,
        )  # fmt: skip


def _shipped(commits: dict[str, Any], deploys: list[dict[str, Any]]) -> Iterator[Shipped]:
    """Deployed commits, and those that ride along with the next deploy of the service whose folder they touch."""
    for deploy in deploys:
        text = _about(commits[deploy["commit_sha"]]) if deploy["commit_sha"] in commits else ""
        yield Shipped(
            deploy["commit_sha"], seconds(deploy["timestamp"]), deploy["service"], "deploy", deploy["version"], text
        )
    named = {deploy["commit_sha"] for deploy in deploys}
    for sha, commit in sorted(commits.items()):
        if sha in named:
            continue
        folders = {part for path in commit["files_changed"] for part in path.split("/")[:-1]}
        later = [
            d for d in deploys
            if folders & {d["service"], _STEM.sub("", d["service"])} and seconds(d["timestamp"]) >= seconds(commit["timestamp"])
        ]  # fmt: skip
        if later:
            first = min(later, key=lambda d: (seconds(d["timestamp"]), d["commit_sha"]))
            yield Shipped(
                sha, seconds(first["timestamp"]), first["service"], "deploy", first["version"], _about(commit)
            )


def _flags(path: Path) -> Iterator[Shipped]:
    for flag in json.loads(path.read_text()):
        yield Shipped(flag["flag"], seconds(flag["timestamp"]), flag["service"], "flag", flag["change"], flag["flag"])


def _about(commit: dict[str, Any]) -> str:
    changed = [line for line in (commit.get("diff") or "").splitlines() if re.match(r"[+-](?![+-])", line)]
    return "\n".join([commit["message"], *commit["files_changed"], *changed])


# ---- what began when, and who failed first ---------------------------------------------------------------------------------
def shape(text: str) -> str:
    """A line without what varies."""
    return re.sub(r"\b\w*\d\w*\b", "#", text)


def onsets(case: Case) -> dict[str, Onset]:
    """Since when each service deviates, by its series, its lines, and its spans that failed.

    How much is asked of a service is no sign that something is wrong with it.
    """
    begin = min(line.at for line in case.lines)
    end = max(line.at for line in case.lines)
    found: dict[str, list[tuple[float, bool]]] = {}
    for (service, metric), (times, values) in case.series.items():
        at = series_onset(times, values)
        if at is not None and not LOAD.search(metric):
            found.setdefault(service, []).append((at, False))
    for service in sorted({line.service for line in case.lines}):
        mine = [(line.at, line.severity, shape(line.text)) for line in case.lines if line.service == service]
        at, failing = log_onset(mine, begin, end)
        if at is not None:
            found.setdefault(service, []).append((at, failing))
    for span in case.spans:
        if span.error is not None and span.at >= begin + HEAD * (end - begin):
            found.setdefault(span.service, []).append((span.at, True))
    return {s: Onset(min(at for at, _ in of), any(failing for _, failing in of)) for s, of in sorted(found.items())}


def calls(case: Case) -> set[tuple[str, str]]:
    """Who calls whom: by spans, and by a new line of one service that names another."""
    out = {(s.parent_service, s.service) for s in case.spans if s.parent_service and s.parent_service != s.service}
    names = sorted(
        {line.service for line in case.lines} | {s for s, _ in case.series} | {s.service for s in case.spans}
    )
    for line in case.lines:
        if line.severity >= WARNING:
            said = set(re.findall(r"[\w.-]+", line.text))
            out |= {(line.service, name) for name in names if name in said and name != line.service}
    return out  # type: ignore[return-value]  # parents without a service are left out above


def services(case: Case) -> list[str]:
    """Services in the order in which they are suspected of having failed first."""
    return failing_first(onsets(case), calls(case), case.alerted)


# ---- which change ----------------------------------------------------------------------------------------------------------
class Blame(NamedTuple):
    """A change, how plausible it is beside its rivals, and how much of what it is about the evidence names."""

    change: Shipped
    plausible: float
    related: float


def blames(case: Case, withhold: str | None = None, weighing: Weighing | None = None) -> list[Blame]:
    """Changes of services that deviate, the most plausible first; as if that of id `withhold` had not been."""
    since = onsets(case)
    rivals = [c for c in case.shipped if c.service in since and c.id != withhold]
    early = min(line.at for line in case.lines)
    head = early + HEAD * (max(line.at for line in case.lines) - early)
    evidence = {shape(line.text) for line in case.lines if line.severity >= WARNING and line.at >= head}
    evidence |= {span.error for span in case.spans if span.error is not None and span.at >= head}
    evidence |= {metric for (_, metric), of in case.series.items() if series_onset(*of) is not None}
    usual = {shape(line.text) for line in case.lines if line.at < head}
    texts = [c.text for c in rivals]
    first = min((o.at for o in since.values()), default=0.0)
    candidates = [Candidate(since[c.service].at - c.at, c.text, behind=since[c.service].at - first) for c in rivals]
    names = sorted(since)
    plausible = plausibilities(candidates, sorted(evidence), sorted(usual), names, case.others, weighing)
    related = relations(texts, sorted(evidence), sorted(usual), names, case.others)
    found = [Blame(*of) for of in zip(rivals, plausible, related, strict=True)]
    return sorted((b for b in found if b.plausible > 0.0), key=lambda b: (-b.plausible, b.change.at, b.change.id))


def latest(case: Case) -> str | None:
    """The rule to beat: the latest deploy before the alert; of several at once the last in the file."""
    before = [(at, k, sha) for k, (at, sha) in enumerate(case.deploys) if at <= case.fired]
    return max(before)[2] if before else None


# ---- through the engine ----------------------------------------------------------------------------------------------------
def engine_lines(case: Case) -> list[Sourced]:
    """The case as messages of an engine, in order of arrival: a line of OTLP/JSON an item, and changes."""
    found: list[tuple[float, str, Any]] = []
    for (service, metric), (times, values) in case.series.items():
        for at, value in zip(times.tolist(), values.tolist(), strict=True):
            point = {"timeUnixNano": _ns(at), "asDouble": value}
            metrics = [{"name": metric, "gauge": {"dataPoints": [point]}}]
            found.append((at, "metrics", _request("resourceMetrics", "scopeMetrics", service, metrics=metrics)))
    for line in case.lines:
        record = {"timeUnixNano": _ns(line.at), "severityNumber": line.severity, "body": {"stringValue": line.text}}
        found.append(
            (line.at, "logs", _request("resourceLogs", "scopeLogs", service=line.service, logRecords=[record]))
        )
    for k, span in enumerate(case.spans):
        end = span.at + span.duration_ms / 1e3
        record = {
            "traceId": f"{span.trace + 1:032x}", "spanId": _span_id(span.trace, span.span), "name": span.name,
            "parentSpanId": _span_id(span.trace, span.parent) if span.parent else "", "kind": 2,
            "startTimeUnixNano": _ns(span.at), "endTimeUnixNano": _ns(end + k * 1e-6),
            "status": {"code": 2, "message": span.error} if span.error is not None else {},
        }  # fmt: skip
        found.append((end, "traces", _request("resourceSpans", "scopeSpans", service=span.service, spans=[record])))
    for change in case.shipped:
        record = {
            "change_id": change.id, "time": rfc3339(round(change.at * SECOND)), "kind": change.kind,
            "service": change.service, "environment": "bench", "version_to": change.version,
            "summary": change.text.split("\n", 1)[0],
        }  # fmt: skip
        found.append((change.at, "changes", record))
    found.sort(key=lambda item: (item[0], item[1]))
    offsets: dict[str, int] = {}
    out = []
    for at, signal, value in found:
        offset = offsets[signal] = offsets.get(signal, -1) + 1
        out.append(Sourced(f"{signal}/0", Message(offset, round(at * 1e3) * 1_000_000, orjson.dumps(value))))
    return out


def _span_id(trace: int, span: str | None) -> str:
    return f"{trace + 1:08x}{int.from_bytes((span or '').encode()[:4].ljust(4)):08x}"


def _ns(at: float) -> str:
    return str(round(at * SECOND))


def _request(resources: str, scopes: str, service: str, **items: Any) -> dict[str, Any]:
    about = {"service.name": service, "deployment.environment.name": "bench"}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in about.items()]
    return {resources: [{"resource": {"attributes": attributes}, scopes: [items]}]}


def through_engine(case: Case) -> list[Incident]:
    """The last versions of the incidents that the engine makes of a case."""
    lines = engine_lines(case)
    sources = {f"{signal}/0": signal for signal in ("metrics", "logs", "traces", "changes")}
    last: dict[str, Incident] = {}
    for _, step in drive(Engine(sources), lines):
        for incident in step.incidents:
            last[incident.incident_id] = incident
    return [last[key] for key in sorted(last)]
