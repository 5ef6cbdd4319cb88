"""Stores in SQLite and, where its server is installed, in PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.history.store import Store

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def missing(reason: str) -> None:
    """Skip, or fail where all tools are required."""
    if os.environ.get("AIOPS_REQUIRE_TOOLS") == "1":
        pytest.fail(f"AIOPS_REQUIRE_TOOLS is 1, and {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of the server; its databases are named by the tests."""
    if not BINARIES:
        missing("PostgreSQL is not installed: /usr/lib/postgresql has no server")
    pytest.importorskip("psycopg", reason="psycopg comes with the extra console")
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="aiops-pg-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        run = [str(BINARIES[-1] / "initdb"), "-A", "trust", "-U", "aiops", "--no-sync", "-D", str(folder / "data")]
        subprocess.run(run, check=True, capture_output=True, user=user, cwd=folder)
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        ctl = [str(BINARIES[-1] / "pg_ctl"), "-D", str(folder / "data"), "-w"]
        # Its output to a file: a server that inherits a pipe would keep it open.
        start = [*ctl, "-l", str(folder / "log"), "-o", options, "start"]
        subprocess.run(start, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield f"postgresql+psycopg://aiops@/{{}}?host={folder}"
        finally:
            subprocess.run([*ctl, "-m", "immediate", "stop"], check=True, capture_output=True, user=user, cwd=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'history.db'}"
        return
    server = request.getfixturevalue("postgres")
    import psycopg

    folder = server.partition("host=")[2]
    with psycopg.connect(f"host={folder} user=aiops dbname=postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS history")
        connection.execute("CREATE DATABASE history")
    yield server.format("history")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Store]:
    """An empty store in SQLite."""
    opened = Store(f"sqlite:///{tmp_path / 'light.db'}")
    yield opened
    opened.close()
