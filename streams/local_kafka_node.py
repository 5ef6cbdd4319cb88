"""One broker's process: started in the background or as a child, found again by its pid file, waited for, signalled."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from aiops.errors import UserError
from streams.local_kafka_cluster import HOST

_STARTED = "Kafka Server started"  # it answers requests, and the controllers let it lead partitions
_POLL = 0.05

# The log in bounded files; on stdout only that the broker is up, and what the JVM itself says.
LOGGING = """\
<Configuration status="ERROR">
  <Appenders>
    <Console name="console" target="SYSTEM_OUT"><PatternLayout pattern="%m%n"/></Console>
    <RollingFile name="file" fileName="${sys:node.folder}/server.log" filePattern="${sys:node.folder}/server.%i.log">
      <PatternLayout pattern="%d %p %c{1} %m%n"/>
      <Policies><SizeBasedTriggeringPolicy size="10 MB"/></Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"><AppenderRef ref="console"/></Logger>
    <Root level="INFO"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


class Node:
    """The process of a broker, of this program or of an earlier one.

    Parameters
    ----------
    number
        Of the node, from 1 on.
    folder
        Holds its data, its properties, its logs and its pid file.
    port
        On which it listens for clients.
    """

    def __init__(self, number: int, folder: Path, port: int) -> None:
        self.number = number
        self.folder = folder
        self.port = port
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def properties(self) -> Path:
        """Its properties file."""
        return self.folder / "server.properties"

    @property
    def pid(self) -> int | None:
        """Process id; None where it does not run."""
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else None
        try:
            pid = int((self.folder / "pid").read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # After a restart of the machine the number may be anybody's.
        return pid if os.fsencode(self.properties) in arguments else None

    def spawn(self, command: list[str], detach: bool) -> None:
        """Start the process.

        Parameters
        ----------
        command
            Program and arguments; its last argument is the properties file.
        detach
            It outlives this program.  Otherwise it is killed when this program ends, however it ends.
        """
        console = self.folder / "console.log"
        if detach:
            # The shell ends at once: the broker is nobody's child and leaves no zombie.
            script = '"$@" >"$0" 2>&1 </dev/null & echo $!'
            said = subprocess.run(  # noqa: S603 - our own script
                ["/bin/sh", "-c", script, str(console), *command],
                start_new_session=True,
                capture_output=True,
                check=True,
            )
            pid = int(said.stdout)
            self._child = None
        else:
            # The kernel watches the thread that starts the broker, so only the main thread may ask for that.
            if threading.current_thread() is threading.main_thread() and (setpriv := shutil.which("setpriv")):
                command = [setpriv, "--pdeathsig", "KILL", *command]
            with console.open("wb") as out:
                self._child = subprocess.Popen(  # noqa: S603 - the Java that was found, and our arguments
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                )
            pid = self._child.pid
        (self.folder / "pid").write_text(f"{pid}\n")

    def wait_started(self, deadline: float) -> None:
        """Wait until it serves clients, at most until `deadline` (monotonic seconds)."""
        console = self.folder / "console.log"
        while True:
            alive = self.pid is not None
            said = console.read_text(errors="replace") if console.exists() else ""
            if _STARTED in said and self.answers():
                return
            if not alive:
                raise UserError(
                    f"node {self.number} of the local Kafka ended while it started: {self._complaint(said)}"
                )
            if time.monotonic() > deadline:
                raise UserError(f"node {self.number} of the local Kafka does not get ready: {self._complaint(said)}")
            time.sleep(_POLL)

    def answers(self) -> bool:
        """Does it accept connections of clients?"""
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal; an error where the node does not run."""
        if (pid := self.pid) is None:
            raise UserError(f"node {self.number} of the local Kafka does not run")
        os.kill(pid, number)

    def freeze(self, seconds: float) -> None:
        """Stop all of its threads, and return when they stand: until then it may answer once more."""
        self.send(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        if not wait_until(lambda: all(_stands(task) for task in tasks.iterdir()), seconds):
            raise UserError(f"node {self.number} of the local Kafka does not stand still after {seconds:g} s")

    def end(self, number: signal.Signals, seconds: float) -> bool:
        """Ask it to end and wait; False if it still runs after `seconds`."""
        with contextlib.suppress(UserError, ProcessLookupError):  # it has ended already
            self.send(number)
            self.send(signal.SIGCONT)  # a paused process does not see the request
        if not wait_until(lambda: self.pid is None, seconds):
            return False
        self._child = None
        (self.folder / "pid").unlink(missing_ok=True)
        return True

    def _complaint(self, console: str) -> str:
        """Return what its log says went wrong, in one line, and where the rest is."""
        path = self.folder / "server.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        errors = [line for line in lines if " ERROR " in line or " FATAL " in line] or console.splitlines()
        return f"{errors[-1][:300] if errors else 'it says nothing'} (see {path})"


def _stands(task: Path) -> bool:
    """Is a thread stopped, or gone meanwhile?"""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until `condition` holds; False if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
