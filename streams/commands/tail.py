"""``aiops tail``: what the engine writes, followed as it comes, in words or as JSON; or how it stands now."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from aiops.errors import UserError
from aiops.noise_report import NoiseReport
from aiops.notify.notification import Notification
from aiops.records import Anomaly, Incident, Notice, rfc3339
from aiops.replay import findings_json
from aiops.status import Status
from aiops.topology import Topology
from aiops.topology_text import plain
from streams import clients_common
from streams.client import Anomalies, Event, Incidents, NoiseReports, Notices, Reader, Topologies
from streams.client_notify import Notifications, Statuses
from streams.codec import CodecError, Findings, decode_findings
from streams.records import FINDINGS

_MOST = 3  # names in a line


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tail``."""
    parser.description = "Follow what the engine writes, one line a record; Ctrl-C ends it."
    parser.add_argument("what", choices=tuple(_KINDS), metavar="|".join(_KINDS))
    clients_common.add_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, as it stands in the topic")
    parser.add_argument(
        "--final",
        action="store_true",
        help="only the last version of each incident, anomaly or topology until now, by id",
    )
    parser.add_argument("--from-beginning", action="store_true", help="from the oldest record on (default: new ones)")
    parser.add_argument("--prefix", help="of the topics (default: that of the configuration, or aiops)")


def run(args: argparse.Namespace) -> int:
    """Write what comes to stdout; returns the exit status."""
    kind = _KINDS[args.what]
    if args.final and not kind.versions:
        raise UserError(f"--final is for what has versions, incidents, anomalies and topology: {args.what} have none")
    if args.final and args.from_beginning:
        raise UserError("--final reads from the beginning and ends: leave out --from-beginning")
    settings = clients_common.settings_of(args)
    topic = f"{args.prefix or settings.prefix}.{args.what}"
    # New ones only, unless asked otherwise: a topic holds months.
    start = "earliest" if args.from_beginning else "latest"
    with kind.reader(settings, topic, start=start, undecodable="yield") as reader:
        return _write(_final(reader) if args.final else reader, kind.json if args.json else kind.words)


def _final(reader: Any) -> Iterable[Event[Any]]:
    newest = reader.snapshot_events()
    return [newest[name] for name in sorted(newest)]


def _write(events: Iterable[Event[Any]], shown: Callable[[Event[Any]], bytes | None]) -> int:
    refused = False
    for event in events:
        error = event.error
        if not error:
            try:
                line = shown(event)
            except CodecError as found:
                error = str(found)
            else:
                if line is not None:
                    sys.stdout.buffer.write(line + b"\n")
                    sys.stdout.buffer.flush()
        if error:
            refused = True
            sys.stderr.write(f"aiops tail: {event.place} does not decode: {error}\n")
    return int(refused)


# ---- a record in words -------------------------------------------------------------------------------------------------
def incident_line(incident: Incident, transition: str = "") -> str:
    """An incident in a line.

    Parameters
    ----------
    transition : str
        What happened to it, by the record's ``ce_type``; empty: its state.
    """
    cause = "no confident cause"
    if incident.causes and not incident.no_confident_cause:
        first = incident.causes[0]
        cause = f"cause {first.service} ({first.kind}, confidence {first.confidence:.2f})"
    what = transition or incident.state
    if incident.merged_into:
        what += f" into {incident.merged_into}"
    services = _few(incident.services)
    where = f"{services} in {incident.environment}" if services else incident.environment
    about = f"{incident.severity.upper()} {what}: {where}: {incident.title}; {cause}"
    return plain(f"{_time(incident.updated_at)}  {about}  [{incident.incident_id} v{incident.version}]")


def anomaly_line(anomaly: Anomaly) -> str:
    """An anomaly in a line."""
    where = f"{anomaly.service} in {anomaly.environment}"
    about = f"{anomaly.state}: {where}: {anomaly.signal}: {anomaly.statement}; score {anomaly.score:.1f}"
    return plain(f"{_time(anomaly.window.end)}  {about}  [{anomaly.anomaly_id} v{anomaly.version}]")


def notice_line(notice: Notice) -> str:
    """A notice in a line."""
    state = f"over since {_time(notice.until)}" if notice.until else "lasts"
    return plain(f"{_time(notice.since)}  {notice.kind} in {notice.environment}, {state}: {notice.text}")


def topology_line(record: Topology) -> str:
    """A service or an edge in a line."""
    what = record.service if record.kind == "service" else f"{record.caller} -> {record.callee}"
    kind = record.entity if record.kind == "service" else "placement" if record.relation == "runs_on" else record.kind
    rate = "" if record.calls_per_minute is None else f", {record.calls_per_minute:g} a minute"
    errors = f", {100 * record.error_ratio:.1f} % of them fail" if record.error_ratio else ""
    about = f"{record.reason}: {kind} {what} in {record.environment}{rate}{errors}; last seen {_time(record.last_seen)}"
    return plain(f"{_time(record.updated_at)}  {about}  [{record.topology_id}]")


def noise_line(report: NoiseReport) -> str:
    """Noise figures in a line: the funnel, and what was suppressed."""
    suppressed = ", ".join(f"{n} {reason}" for reason, n in report.suppressed.items())
    funnel = (
        f"{report.items} items, {report.records} records, {report.anomalies} anomalies, {report.incidents} incidents"
    )
    about = (
        f"{report.environment}: {funnel}; suppressed: {suppressed or 'nothing'}{'; a storm' if report.storm else ''}"
    )
    return plain(f"{_time(report.until)}  {about}")


def notification_line(record: Notification) -> str:
    """A decision in a line: what was told to whom, or why not."""
    to = ", ".join(f"{delivery.sink} ({delivery.state})" for delivery in record.deliveries)
    what = f"{record.outcome}{f' to {to}' if to else ''}: {record.trigger}"
    about = f"{what} in {record.environment}: {record.title}; {record.reason}"
    return plain(f"{_time(record.time)}  {about}  [{record.notification_id} v{record.version}]")


def status_line(status: Status) -> str:
    """How far the engine sees, in a line."""
    silent = f"; no {', no '.join(status.silent)}" if status.silent else ""
    known = f"{100 * status.learned:.0f} % of {status.services} services known"
    return plain(
        f"{_time(status.clock)}  {status.environment}: {known}, {status.open_incidents} incidents open{silent}"
    )


def findings_line(found: Findings) -> str:
    """Findings of a window in a line: how much was looked at, and the anomalies that changed."""
    changed = _few([f"{a.service} {a.signal} ({a.state})" for a in found.anomalies])
    looked = f"{len(found.services)} services, {len(found.edges)} edges, {sum(found.totals.values())} items"
    about = f"{found.environment}: {looked}; {f'anomalies: {changed}' if changed else 'no anomaly changed'}"
    return plain(f"{_time(rfc3339(found.time))}  {about}")


def _few(names: Iterable[str]) -> str:
    named = list(names)
    more = len(named) - _MOST
    return ", ".join(named[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _time(text: str) -> str:
    return f"{text[:10]} {text[11:19]}"


# ---- what is followed --------------------------------------------------------------------------------------------------
class _Records(Reader[bytes]):
    """Records of the engine's internal topics, whose headers say what they are."""

    decode = staticmethod(bytes)


class _Kind(NamedTuple):
    reader: Callable[..., Any]
    words: Callable[[Event[Any]], bytes | None]
    json: Callable[[Event[Any]], bytes | None]
    versions: bool = False


def _words(line: Callable[..., str]) -> Callable[[Event[Any]], bytes | None]:
    def words(event: Event[Any]) -> bytes | None:
        if event.tombstone:
            return plain(f"forgotten  [{(event.key or b'').decode('utf-8', 'replace')}]").encode()
        return line(event.record).encode()

    return words


def _incident(event: Event[Incident]) -> bytes | None:
    # aiops.incident.opened.v1 -> opened
    parts = event.headers.get("ce_type", "").split(".")
    return _words(lambda incident: incident_line(incident, parts[2] if len(parts) > 2 else ""))(event)


def _value(event: Event[Any]) -> bytes | None:
    return event.value  # a tombstone has none


def _findings(shown: Callable[[Findings], bytes]) -> Callable[[Event[Any]], bytes | None]:
    def line(event: Event[Any]) -> bytes | None:
        if event.headers.get("kind") != FINDINGS:
            return None  # clocks, changes and what else respond is told
        return shown(decode_findings(event.value or b""))

    return line


_KINDS = {
    "incidents": _Kind(Incidents, _incident, _value, versions=True),
    "anomalies": _Kind(Anomalies, _words(anomaly_line), _value, versions=True),
    "topology": _Kind(Topologies, _words(topology_line), _value, versions=True),
    "notices": _Kind(Notices, _words(notice_line), _value),
    "noise": _Kind(NoiseReports, _words(noise_line), _value),
    "notifications": _Kind(Notifications, _words(notification_line), _value),
    "status": _Kind(Statuses, _words(status_line), _value),
    "findings": _Kind(_Records, _findings(lambda found: findings_line(found).encode()), _findings(findings_json)),
}
