"""The command ``aiops`` as it is installed: the embedded commands of ``aiops.cli`` and those that speak to Kafka."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from aiops import cli

COMMANDS = (
    cli.Command("kafka", "start and stop a local Kafka broker, to try things out", "streams.commands.kafka"),
    cli.Command("config", "check and show the configuration", "streams.commands.config"),
    cli.Command("topics", "create, check and list the topics of the engine", "streams.commands.topics"),
    cli.Command("run", "run a role of the engine on Kafka", "streams.commands.run"),
    cli.Command("produce", "send recorded telemetry to Kafka, as a Collector would", "streams.commands.produce"),
    cli.Command("tail", "follow incidents, anomalies, notices, topology or findings", "streams.commands.tail"),
    cli.Command("topology", "show who calls whom, and what differs between two times", "streams.commands.topology"),
    cli.Command("command", "acknowledge, resolve, merge, silence, ...: tell the engine", "streams.commands.command"),
    cli.Command("sinks", "tell people and tools of incidents", "streams.commands.sinks"),
    cli.Command("route", "try whom routes would tell of recorded incidents", "streams.commands.route"),
    cli.Command("alerts", "take alerts of other tools by HTTP", "streams.commands.alerts"),
    cli.Command("console", "incidents on a page and through an API, live", "streams.commands.console"),
)
_EXTRA = {"confluent_kafka", "faust", "prometheus_client", "yaml"}
_CONSOLE = {"alembic", "psycopg", "sqlalchemy", "starlette", "uvicorn"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    try:
        return cli.main(argv, [command for command in COMMANDS if importlib.util.find_spec(command.module)])
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA | _CONSOLE:
            raise
        extra = "kafka" if missing in _EXTRA else "console"
        sys.stderr.write(f"aiops: {error.name} is not installed: pip install 'aiops[{extra}]'\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
