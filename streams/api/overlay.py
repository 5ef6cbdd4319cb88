"""An incident as the store has it, and commands that wait -> the incident as it will be when the engine has obeyed.

So that who commands sees it at once, although the engine obeys when its clock reaches the command.  What the engine then says
takes its place; a command that it refuses leaves no trace but in the log.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aiops.incidents import arguments
from aiops.incidents.arguments import LONGEST_NAME, LONGEST_TEXT
from aiops.incidents.overlay import LOG, Judgement, judged
from aiops.records import Command, Decision, Feedback, Incident, Suppression, rfc3339
from streams.history.commands import Said

WAITS = "sent, not obeyed yet"


def laid_over(incident: Incident, waiting: Iterable[Said]) -> Incident:
    """The incident with what was commanded and not heard of yet; its version stays that of the store."""
    judgements: list[Judgement] = []
    for said in waiting:
        command, at = said.command, rfc3339(said.at)
        decision = Decision(
            time=at,
            author=arguments.author(command),
            command=command.command,
            asked=arguments.asked(command),
            effect=WAITS,
        )
        log = (*incident.log, decision)
        incident = msgspec.structs.replace(
            _obeyed(incident, command, at), log=log[-LOG:],
            log_truncated=incident.log_truncated + max(0, len(log) - LOG),
        )  # fmt: skip
        if command.command in ("confirm", "reject") and (service := command.arguments.get("service")):
            kind = command.arguments.get("kind") or None
            verdict = "confirmed" if command.command == "confirm" else "rejected"
            judgements.append(Judgement(service, kind, verdict, command.author))  # type: ignore[arg-type]
    return judged(incident, judgements) if judgements else incident


def _obeyed(incident: Incident, command: Command, at: str) -> Incident:
    replace, a = msgspec.structs.replace, command.arguments
    over = incident.state in ("resolved", "merged")
    match command.command:
        case "acknowledge" if not over:
            return replace(incident, state="acknowledged", acknowledged_by=arguments.author(command))
        case "assign":
            given = {name: a[name][:LONGEST_NAME] or None for name in ("assignee", "team") if name in a}
            return replace(incident, **given)
        case "label":
            labels = {name: value for name, value in {**incident.labels, **a}.items() if value}
            return replace(incident, labels=labels)
        case "resolve" if not over:
            resolution = a.get("resolution", "")[:LONGEST_TEXT] or None
            return replace(incident, state="resolved", resolved_at=at, resolution=resolution)
        case "reopen" if incident.state == "resolved":
            return replace(incident, state="open", resolved_at=None, acknowledged_by=None, resolution=None)
        case "silence":
            quiet = Suppression(
                by="silence", reason=arguments.reason(command), author=arguments.author(command), until=a.get("until")
            )
            return replace(incident, suppressed_by=(*incident.suppressed_by, quiet))
        case "merge" if not over:
            return replace(incident, state="merged", merged_into=a.get("into"))
        case "feedback":
            text = a.get("text", "")[:LONGEST_TEXT]
            word = Feedback(verdict=a["verdict"], author=arguments.author(command), time=at, text=text)  # type: ignore[arg-type]
            return replace(incident, feedback=word)
    return incident
