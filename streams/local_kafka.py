"""A real Apache Kafka on this machine, of one broker or three, for tests and newcomers: no container, no installation.

>>> from streams.local_kafka import LocalKafka
>>> with LocalKafka() as kafka:  # doctest: +SKIP
...     producer = confluent_kafka.Producer(kafka.client())

Needs Java (17 or newer), Maven for the first start, openssl where the cluster is secure.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from aiops.errors import UserError
from streams import local_kafka_cluster as clusters
from streams.local_kafka_java import jars, java, locked
from streams.local_kafka_node import LOGGING, Node

START_SECONDS = 90.0
STOP_SECONDS = 30.0

_KAFKA, _FORMAT = "kafka.Kafka", "kafka.tools.StorageTool"
_ARGUMENTS = "format.arguments"
# Short lives on small machines: one collector thread, no optimising compiler.
_JVM = ("-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class LocalKafka:
    """A cluster of brokers on the loopback address; as a context manager it runs inside the ``with``.

    Nodes count from 1.  Brokers end with the program that started them, unless ``start(detach=True)`` did.

    Parameters
    ----------
    nodes
        1, or 3: then topics have three copies, and a write is acknowledged when two brokers have it.
    secure
        Clients come by SASL_SSL with SCRAM-SHA-512 and need an access control entry for what they do.  Users: admin, who
        may do everything, worker and oncall (see `grant`); passwords are drawn for each cluster.
    folder
        Where data, logs, certificates and passwords are, and stay for the next start, whose other arguments must agree.
        None: a temporary folder, deleted by `stop`.
    properties
        Kafka's own settings, added to the cluster's and stronger than they.
    port
        Of the first broker; see `streams.local_kafka_cluster.draw`.  None: any free ones, or the folder's.
    heap
        Greatest heap of a broker, as Java writes it.
    """

    def __init__(
        self,
        nodes: int = 1,
        secure: bool = False,
        folder: Path | str | None = None,
        properties: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        heap: str = "384m",
    ) -> None:
        self._properties = dict(properties or {})
        self._heap = heap
        self._temporary = folder is None
        if folder is None:
            self.cluster = clusters.draw(nodes, secure, port)
            self.folder = Path(tempfile.mkdtemp(prefix="aiops-kafka-"))
        else:
            self.folder = Path(folder).expanduser().absolute()
            if (
                "," in str(self.folder) or not str(self.folder).isprintable()
            ):  # Kafka splits its list of folders at commas
                raise UserError(
                    f"{str(self.folder)!r} has a comma or a control character: Kafka cannot keep data there"
                )
            self.cluster = _agreeing(clusters.read(self.folder), self.folder, nodes, secure, port)
        self._nodes = [
            Node(number, self.folder / f"node-{number}", port)
            for number, port in enumerate(self.cluster.client_ports, start=1)
        ]

    @classmethod
    def at(cls, folder: Path | str) -> LocalKafka | None:
        """Return the cluster that a folder holds, running or not; None where there is none."""
        found = clusters.read(Path(folder).expanduser().absolute())
        return None if found is None else cls(found.nodes, found.secure, folder)

    @property
    def bootstrap(self) -> str:
        """Addresses of the brokers, as clients want them."""
        return self.cluster.bootstrap

    @property
    def users(self) -> dict[str, Path]:
        """For each user the file of its client's properties (YAML, under ``kafka:``); empty where it is not secure."""
        return {user: self.folder / f"{user}.yaml" for user in self.cluster.passwords}

    def client(self, user: str = "admin") -> dict[str, str]:
        """Return librdkafka's properties of a user's client; where the cluster is not secure, all users are equal."""
        return clusters.client(self.cluster, self.folder, user)

    def pid(self, node: int) -> int | None:
        """Return the process id of a node; None where it does not run."""
        return self._node(node).pid

    @property
    def running(self) -> list[int]:
        """The nodes that run."""
        return [node.number for node in self._nodes if node.pid is not None]

    def start(self, detach: bool = False) -> Self:
        """Start the nodes that do not run, and wait until they serve clients.

        Parameters
        ----------
        detach
            They outlive this program; `at` finds them again.

        Raises
        ------
        UserError
            Something is missing that Kafka needs, a port is taken, all nodes run already, or a broker failed.
        """
        runtime = java()
        path = jars(runtime)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.folder / "lock"):
            if clusters.read(self.folder) not in (None, self.cluster):
                raise UserError(f"another program has made a cluster in {self.folder} meanwhile: try again")
            missing = [node for node in self._nodes if node.pid is None]
            if not missing:
                raise UserError(f"the local Kafka in {self.folder} runs already: {self.bootstrap}")
            self._prepare(missing, [str(runtime), *_JVM, "-cp", ":".join(map(str, path))])
            try:
                for node in missing:
                    node.spawn(self._command(runtime, path, node), detach)
                deadline = time.monotonic() + START_SECONDS
                for node in missing:
                    node.wait_started(deadline)
            except BaseException:  # also Ctrl-C: half a cluster is of no use to anybody
                for node in missing:
                    node.end(signal.SIGKILL, STOP_SECONDS)
                raise
        return self

    def stop(self) -> None:
        """Stop all nodes: cleanly where the folder stays, at once where it is deleted."""
        if self._temporary:
            for node in self._nodes:
                node.end(signal.SIGKILL, STOP_SECONDS)
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.folder.exists():
            with locked(self.folder / "lock"):
                self._stop(self._nodes)

    def delete(self) -> None:
        """Stop all nodes and delete the folder."""
        if self._temporary:
            self.stop()
        elif self.folder.exists():
            with locked(self.folder / "lock"):
                self._stop(self._nodes)
                shutil.rmtree(self.folder)

    def kill(self, node: int) -> None:
        """End a node as a power failure would."""
        self._running(node).end(signal.SIGKILL, STOP_SECONDS)

    def stop_node(self, node: int) -> None:
        """Stop a node cleanly."""
        self._stop([self._running(node)])

    def restart(self, node: int) -> None:
        """Start a node that was killed or stopped, and wait until it serves clients."""
        this = self._node(node)
        if this.pid is not None:
            raise UserError(f"node {node} of the local Kafka runs already")
        runtime = java()
        this.spawn(self._command(runtime, jars(runtime), this), detach=False)
        this.wait_started(time.monotonic() + START_SECONDS)

    def pause(self, node: int) -> None:
        """Freeze a node (SIGSTOP): its connections stay open and nothing answers."""
        self._running(node).freeze(STOP_SECONDS)

    def resume(self, node: int) -> None:
        """Let a paused node go on (SIGCONT)."""
        self._running(node).send(signal.SIGCONT)

    def grant(self) -> None:
        """Give worker and oncall the access rights of `streams.acls`, under default settings; again changes nothing."""
        if not self.cluster.secure:
            raise UserError("a cluster that is not secure has no access control: everybody may do everything")
        from streams.acls import bindings, rights
        from streams.admin import Admin
        from streams.settings import Settings

        properties = self.client("admin")
        found = bindings(rights(Settings(kafka=properties)), {user: f"User:{user}" for user in ("worker", "oncall")})
        Admin(properties).create_acls(found)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _node(self, number: int) -> Node:
        if not 1 <= number <= len(self._nodes):
            raise UserError(f"the local Kafka has no node {number}: its nodes are 1 to {len(self._nodes)}")
        return self._nodes[number - 1]

    def _running(self, number: int) -> Node:
        node = self._node(number)
        if node.pid is None:
            raise UserError(f"node {number} of the local Kafka does not run")
        return node

    def _prepare(self, missing: list[Node], program: list[str]) -> None:
        """Write the files of the nodes to start, and format those without data."""
        for node in missing:
            for port in self.cluster.ports(node.number):
                if clusters.port_in_use(port):
                    raise UserError(f"port {port} is taken by another program: stop that, or choose another port")
        if clusters.read(self.folder) is None:
            clusters.write(self.cluster, self.folder)
        (self.folder / "log4j2.xml").write_text(LOGGING)
        formatting = []
        for node in missing:
            node.folder.mkdir(exist_ok=True)
            (node.folder / _ARGUMENTS).unlink(missing_ok=True)  # a start that was interrupted left its passwords
            node.properties.write_text(
                clusters.server_properties(self.cluster, self.folder, node.number, self._properties)
            )
            if not (node.folder / "data" / "meta.properties").exists():
                formatting.append((node, self._format(node, program)))
        failed = ""
        for node, process in formatting:  # all of them are waited for, whatever the first says
            said = process.communicate()[0].decode(errors="replace")
            (node.folder / _ARGUMENTS).unlink()
            if process.returncode:
                shutil.rmtree(node.folder / "data", ignore_errors=True)
                reasons = (
                    [line for line in said.splitlines() if "Exception" in line] or said.splitlines() or ["no reason"]
                )
                failed = f"node {node.number} of the local Kafka cannot be formatted: {reasons[0][:300]}"
        if failed:
            raise UserError(failed)

    def _format(self, node: Node, program: list[str]) -> subprocess.Popen[bytes]:
        # In a file that only its owner can read: every user of the machine sees arguments.
        arguments = ["-t", self.cluster.cluster_id, "-c", str(node.properties)]
        arguments += ["--initial-controllers", self.cluster.voters]
        for user, password in self.cluster.passwords.items():
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        clusters.private(node.folder / _ARGUMENTS, "\n".join(arguments) + "\n")
        command = [*program, _FORMAT, "format", f"@{node.folder / _ARGUMENTS}"]
        return subprocess.Popen(  # noqa: S603 - the Java that was found, and our arguments
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def _command(self, runtime: Path, path: list[Path], node: Node) -> list[str]:
        logging = (f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}", f"-Dnode.folder={node.folder}")
        options = (f"-Xmx{self._heap}", *_JVM, *logging)
        return [str(runtime), *options, "-cp", ":".join(map(str, path)), _KAFKA, str(node.properties)]

    def _stop(self, nodes: list[Node]) -> None:
        # All are asked before any is waited for: a node hands its partitions over, and the last ones have nobody to.
        for node in nodes:
            node.end(signal.SIGTERM, 0)
        deadline = time.monotonic() + STOP_SECONDS
        for node in nodes:
            if not node.end(signal.SIGTERM, max(0.0, deadline - time.monotonic())):
                node.end(signal.SIGKILL, STOP_SECONDS)


def _agreeing(
    found: clusters.Cluster | None, folder: Path, nodes: int, secure: bool, port: int | None
) -> clusters.Cluster:
    """Return the folder's cluster, or a new one; an error where the folder holds something else."""
    if found is None:
        if folder.is_dir() and {path.name for path in folder.iterdir()} - _UNFINISHED:
            raise UserError(f"{folder} holds something, but no Kafka cluster: choose an empty folder")
        return clusters.draw(nodes, secure, port)
    asked = (nodes, secure, found.client_ports[0] if port is None else port)
    there = (found.nodes, found.secure, found.client_ports[0])
    if asked != there:
        raise UserError(
            f"{folder} holds a {_kind(*there)}, not a {_kind(*asked)}: choose another folder, or delete that cluster first"
        )
    return found


# What a first start leaves that was interrupted before there was a cluster.
_UNFINISHED = {"lock", "certs", "cluster.json.new", *(f"{user}.yaml" for user in clusters.USERS)}


def _kind(nodes: int, secure: bool, port: int) -> str:
    return f"{'secure ' if secure else ''}cluster of {nodes} node{'s' if nodes > 1 else ''} on port {port}"
