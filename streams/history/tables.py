"""Tables of the store, as the last migration leaves them.

Times are Unix nanoseconds, records the bytes of their canonical JSON.  What lists are filtered and ordered by has a column
of its own; the rest is read from the record.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
# SQLite numbers rows by itself only where the type is exactly INTEGER.
COUNTER = BigInteger().with_variant(Integer, "sqlite")

incidents = Table(
    "incidents", metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("cause_service", Text),  # of the first cause, null where no cause is confident
    Column("cause_kind", String(16)),
    Column("confidence", Float),
    Column("team", Text),
    Column("assignee", Text),
    Column("onset_at", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("resolved_at", BigInteger),
    Column("record", LargeBinary, nullable=False),
    Index("incidents_opened", "opened_at", "incident_id"),
    Index("incidents_state", "state", "opened_at", "incident_id"),
    Index("incidents_environment", "environment", "opened_at", "incident_id"),
    Index("incidents_updated", "updated_at"),
)  # fmt: skip

incident_services = Table(
    "incident_services", metadata,
    Column("service", Text, primary_key=True),
    Column("incident_id", String(64), primary_key=True),
    Index("incident_services_incident", "incident_id"),
)  # fmt: skip

# A row a version.  `seq` is the order in which the store came to know them, by which those who follow go on.
transitions = Table(
    "transitions", metadata,
    Column("seq", COUNTER, primary_key=True, autoincrement=True),
    Column("incident_id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("environment", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", Text, nullable=False),
    UniqueConstraint("incident_id", "version", name="transitions_once"),
    sqlite_autoincrement=True,  # a number is never given twice, also after the newest rows were deleted
)  # fmt: skip

anomalies = Table(
    "anomalies", metadata,
    Column("anomaly_id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("environment", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("signal", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("onset", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),  # end of its last window
    Column("template_id", Text),
    Column("template", Text),
    Column("record", LargeBinary, nullable=False),
    Index("anomalies_onset", "onset", "anomaly_id"),
    Index("anomalies_service", "service", "onset", "anomaly_id"),
    Index("anomalies_until", "until"),
)  # fmt: skip

anomaly_points = Table(
    "anomaly_points", metadata,
    Column("anomaly_id", String(64), primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("observed", Float),
    Column("expected", Float),
    Column("lower", Float),
    Column("upper", Float),
    Column("score", Float, nullable=False),
)  # fmt: skip

# What detect found in a window of an environment; several partitions may speak of one.
evidence = Table(
    "evidence", metadata,
    Column("environment", Text, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("part", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Index("evidence_at", "at"),
)  # fmt: skip

topology = Table(
    "topology", metadata,
    Column("topology_id", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("topology_environment", "environment"),
)  # fmt: skip

noise = Table(
    "noise", metadata,
    Column("environment", Text, primary_key=True),
    Column("until", BigInteger, primary_key=True),
    Column("record", LargeBinary, nullable=False),
)  # fmt: skip

notices = Table(
    "notices", metadata,
    Column("notice_id", String(32), primary_key=True),
    Column("environment", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("record", LargeBinary, nullable=False),
    Index("notices_since", "since"),
)  # fmt: skip

changes = Table(
    "changes", metadata,
    Column("change_id", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("changes_at", "at"),
)  # fmt: skip

# What people commanded through the API: the audit trail, and the overlay until the engine has obeyed.
commands = Table(
    "commands", metadata,
    Column("command_id", COUNTER, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),  # wall clock
    Column("author", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("client", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("incident_id", String(64), nullable=False),
    Column("command", String(16), nullable=False),
    Column("said", LargeBinary, nullable=False),  # the record that was sent
    Column("told_before", Integer, nullable=False),  # equal decisions in the log of the incident when it was sent
    Column("status", String(16), nullable=False),
    Column("effect", Text, nullable=False),
    Index("commands_incident", "incident_id", "command_id"),
    Index("commands_status", "status"),
    sqlite_autoincrement=True,
)  # fmt: skip

# How far topics were read; written with what was read, so that a crash repeats and never skips.
positions = Table(
    "positions", metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, nullable=False),
)  # fmt: skip

# `clock`: the greatest event time that the store was told, by which it forgets.
meta = Table(
    "meta", metadata, Column("name", String(32), primary_key=True), Column("value", BigInteger, nullable=False)
)

# The words of incidents; how they are searched depends on the database (``streams.history.words``).
WORDS = "incident_words"
