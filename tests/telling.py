"""Recordings in which somebody says something: alerts of a tool and commands of people, beside simulated telemetry."""

from __future__ import annotations

from pathlib import Path

from aiops.recording import Recording
from aiops.records import Alert, Command, CommandName, decode_incident, encode, rfc3339
from aiops.simulate import Simulation, write
from tests.replaying import driven, last_incidents

SECOND = 10**9


def write_alerts(folder: Path, *alerts: Alert) -> None:
    (folder / "alerts.jsonl").write_bytes(b"".join(encode(alert) + b"\n" for alert in alerts))


def write_commands(folder: Path, *commands: Command) -> None:
    (folder / "commands.jsonl").write_bytes(b"".join(encode(command) + b"\n" for command in commands))


def replayed(folder: Path) -> bytes:
    """What ``aiops replay --final`` writes."""
    recording = Recording(folder)
    return last_incidents(driven(recording.sources, recording.messages()))


def answered_alert(folder: Path) -> None:
    """Twelve quiet minutes in which a tool reports a service, which opens an incident, and a person answers."""
    simulation = Simulation(3, 0.2, None, rate=1.0, wrong_clock=False)
    write(simulation, folder)
    arrivals = [message.arrival for _, message in Recording(folder).messages()]
    begin = (arrivals[0] + arrivals[-1]) // 2
    service = min(simulation.mesh.by_name)

    def alert(status: str, ends: int | None = None) -> Alert:
        return Alert(
            name="Slow", status=status, starts_at=rfc3339(begin), ends_at=None if ends is None else rfc3339(ends),  # type: ignore[arg-type]
            service=service, severity="critical", environment=simulation.environment, source="am",
        )  # fmt: skip

    write_alerts(folder, alert("firing"), alert("resolved", begin + 200 * SECOND))
    (line,) = replayed(folder).splitlines()
    incident = decode_incident(line).incident_id

    def command(after: int, name: CommandName, **arguments: str) -> Command:
        return Command(
            command=name, incident_id=incident, author="ann", environment=simulation.environment,
            time=rfc3339(begin + after * SECOND), arguments=arguments,
        )  # fmt: skip

    write_commands(
        folder, command(60, "acknowledge"), command(61, "label", team="shop"), command(90, "reject", service=service),
        command(91, "reopen"), command(120, "resolve", resolution="restarted"),
    )  # fmt: skip
