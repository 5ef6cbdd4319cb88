"""Full-text search over incidents: the words of their titles, causes, signals and templates, in SQLite or PostgreSQL.

What a person types is taken for words, never for the query language of the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sqlalchemy import ColumnElement, Connection, String, bindparam, column, select, table, text
from sqlalchemy.sql import Select

from aiops.records import Incident
from streams.history.tables import WORDS

LONGEST = 20_000  # characters kept of an incident
MOST_WORDS = 16  # of a question
_WORD = re.compile(r"\w+")
_words = table(WORDS, column("incident_id", String), column("words", String))


def of(incident: Incident) -> str:
    """The words that an incident is found by."""
    return " ".join(dict.fromkeys(_parts(incident)))[:LONGEST].replace("\0", " ")


def _parts(incident: Incident) -> Iterator[str]:
    yield incident.incident_id
    yield incident.title
    yield incident.summary
    yield from incident.services
    for cause in incident.causes:
        yield cause.summary
        yield from (evidence.statement for evidence in cause.evidence)
    yield from (change.summary for change in incident.changes)
    yield from (member.signal for member in incident.members)  # of log lines, their templates
    yield from (f"{name} {value}" for name, value in sorted(incident.labels.items()))
    yield from (decision.effect for decision in incident.log)
    yield from filter(None, (incident.team, incident.assignee, incident.resolution))


def write(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Take the words of these versions in the place of older ones."""
    rows = [{"incident_id": incident.incident_id, "words": of(incident)} for incident in incidents]
    if rows:
        forget(connection, [row["incident_id"] for row in rows])
        connection.execute(_words.insert(), rows)


def forget(connection: Connection, names: list[str]) -> None:
    """Remove the words of incidents."""
    if names:
        statement = _words.delete().where(_words.c.incident_id == bindparam("name"))
        connection.execute(statement, [{"name": name} for name in names])


def matching(dialect: str, question: str) -> Select[tuple[str]] | None:
    """The ids of incidents that have every word of a question, the last one as a beginning; None: it has no words.

    >>> matching("sqlite", '" OR *') is not None, matching("sqlite", "--")
    (True, None)
    """
    asked = [word.lower() for word in _WORD.findall(question)][:MOST_WORDS]
    if not asked:
        return None
    condition: ColumnElement[bool]
    if dialect == "sqlite":
        said = " ".join(f'"{word}"' for word in asked) + "*"
        condition = text(f"{WORDS} MATCH :asked").bindparams(asked=said)  # type: ignore[assignment]
    else:
        said = " & ".join(asked) + ":*"
        condition = text("to_tsvector('simple', words) @@ to_tsquery('simple', :asked)").bindparams(asked=said)  # type: ignore[assignment]
    return select(_words.c.incident_id).where(condition)
