"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create everything."""
    _incidents()
    _telemetry()
    op.create_table(
        "commands",
        sa.Column("command_id", COUNTER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("incident_id", sa.String(64), nullable=False),
        sa.Column("command", sa.String(16), nullable=False),
        sa.Column("said", sa.LargeBinary, nullable=False),
        sa.Column("told_before", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("effect", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("commands_incident", "commands", ["incident_id", "command_id"])
    op.create_index("commands_status", "commands", ["status"])
    op.create_table(
        "positions",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE incident_words USING fts5(incident_id UNINDEXED, words, tokenize = 'unicode61')"
        )
    else:
        op.execute("CREATE TABLE incident_words (incident_id varchar(64) PRIMARY KEY, words text NOT NULL)")
        op.execute("CREATE INDEX incident_words_found ON incident_words USING gin (to_tsvector('simple', words))")


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("episode", sa.Integer, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("cause_service", sa.Text),
        sa.Column("cause_kind", sa.String(16)),
        sa.Column("confidence", sa.Float),
        sa.Column("team", sa.Text),
        sa.Column("assignee", sa.Text),
        sa.Column("onset_at", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("incidents_opened", "incidents", ["opened_at", "incident_id"])
    op.create_index("incidents_state", "incidents", ["state", "opened_at", "incident_id"])
    op.create_index("incidents_environment", "incidents", ["environment", "opened_at", "incident_id"])
    op.create_index("incidents_updated", "incidents", ["updated_at"])
    op.create_table(
        "incident_services",
        sa.Column("service", sa.Text, primary_key=True),
        sa.Column("incident_id", sa.String(64), primary_key=True),
    )
    op.create_index("incident_services_incident", "incident_services", ["incident_id"])
    op.create_table(
        "transitions",
        sa.Column("seq", COUNTER, primary_key=True, autoincrement=True),
        sa.Column("incident_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.UniqueConstraint("incident_id", "version", name="transitions_once"),
        sqlite_autoincrement=True,
    )


def _telemetry() -> None:
    op.create_table(
        "anomalies",
        sa.Column("anomaly_id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("onset", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("template_id", sa.Text),
        sa.Column("template", sa.Text),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("anomalies_onset", "anomalies", ["onset", "anomaly_id"])
    op.create_index("anomalies_service", "anomalies", ["service", "onset", "anomaly_id"])
    op.create_index("anomalies_until", "anomalies", ["until"])
    op.create_table(
        "anomaly_points",
        sa.Column("anomaly_id", sa.String(64), primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("observed", sa.Float),
        sa.Column("expected", sa.Float),
        sa.Column("lower", sa.Float),
        sa.Column("upper", sa.Float),
        sa.Column("score", sa.Float, nullable=False),
    )
    op.create_table(
        "evidence",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("evidence_at", "evidence", ["at"])
    op.create_table(
        "topology",
        sa.Column("topology_id", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("topology_environment", "topology", ["environment"])
    op.create_table(
        "noise",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.String(32), primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("notices_since", "notices", ["since"])
    op.create_table(
        "changes",
        sa.Column("change_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("changes_at", "changes", ["at"])
