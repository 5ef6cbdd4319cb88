"""A database -> the same with the tables of this release; what an older release has written stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from aiops.errors import UserError
from streams.history.tables import metadata

FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Run the migrations that the database has not seen, in one transaction.

    There is no ``env.py`` as of Alembic's command line: the store brings itself up to date when it is opened.

    Raises
    ------
    UserError
        A newer release has written the database.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}

    def upgrade(revision: Any, _context: Any) -> Any:
        stands = revision if isinstance(revision, str) else next(iter(revision), None)
        if stands is not None and stands not in known:
            raise UserError(
                f"history: the store is of revision {stands}, which a newer release has written: use that one"
            )
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what Alembic's own command calls

    with EnvironmentContext(config, script, fn=upgrade, destination_rev="head") as environment:
        environment.configure(connection=connection, target_metadata=metadata)
        with environment.begin_transaction():
            environment.run_migrations()
