"""What a local cluster is: nodes, ports, ids and users, kept in its folder; the files that its brokers and clients read."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiops.errors import UserError
from streams.local_kafka_java import VERSION

HOST = "127.0.0.1"
USERS = ("admin", "worker", "oncall")
MESSAGE_BYTES = 17 << 20  # a message of 16 MiB with its key, headers and batch

_FILE = "cluster.json"
_DAYS = "3650"  # of the certificates: as long as anybody keeps a local broker
_SUPER_USERS = "User:CN=broker;User:admin"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything about a cluster that must not change between a stop and the next start.

    Attributes
    ----------
    nodes : int
        1 or 3.
    secure : bool
        TLS, passwords and access control.
    client_ports, controller_ports, internal_ports : list of int
        One a node; the last is what brokers of a secure cluster use among themselves.
    cluster_id, directory_ids
        As Kafka wants them: 16 bytes in URL-safe base64.
    passwords : dict
        Of the users; empty where the cluster is not secure.
    """

    nodes: int
    secure: bool
    client_ports: list[int]
    controller_ports: list[int]
    internal_ports: list[int]
    cluster_id: str
    directory_ids: list[str]
    version: str = VERSION
    passwords: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def bootstrap(self) -> str:
        """Addresses of the brokers, as clients want them."""
        return ",".join(f"{HOST}:{port}" for port in self.client_ports)

    @property
    def voters(self) -> str:
        """The controllers, as the formatting of a node wants them."""
        members = zip(self.controller_ports, self.directory_ids, strict=True)
        return ",".join(f"{n}@{HOST}:{port}:{directory}" for n, (port, directory) in enumerate(members, start=1))

    def ports(self, node: int) -> list[int]:
        """Return the ports that a node (from 1 on) listens on."""
        of = [self.client_ports, self.controller_ports] + ([self.internal_ports] if self.secure else [])
        return [ports[node - 1] for ports in of]


def draw(nodes: int, secure: bool, port: int | None) -> Cluster:
    """Return a new cluster with ids, passwords and ports of its own.

    Parameters
    ----------
    nodes
        1 or 3.
    secure
        With TLS, passwords and access control.
    port
        Of the first broker's clients; the cluster takes the ports from it on, 2 a node (3 where it is secure).  None: any
        that are free.
    """
    if nodes not in {1, 3}:
        raise UserError(f"a local cluster has 1 or 3 nodes, not {nodes}")
    count = (3 if secure else 2) * nodes
    if port is None:
        ports = _free_ports(count)
    elif 1024 <= port <= 65536 - count:
        ports = list(range(port, port + count))
    else:
        raise UserError(f"port {port} is outside 1024 .. {65536 - count}: the cluster takes {count} ports from it on")
    return Cluster(
        nodes=nodes,
        secure=secure,
        client_ports=ports[:nodes],
        controller_ports=ports[nodes : 2 * nodes],
        internal_ports=ports[2 * nodes :],
        cluster_id=_kafka_id(),
        directory_ids=[_kafka_id() for _ in range(nodes)],
        passwords={user: secrets.token_urlsafe(18) for user in USERS} if secure else {},
    )


def read(folder: Path) -> Cluster | None:
    """Return the cluster of a folder; None where there is none."""
    path = folder / _FILE
    try:
        return Cluster(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} does not describe a cluster ({error}): delete {folder} and start again") from None


def write(cluster: Cluster, folder: Path) -> None:
    """Write a new cluster with its certificates and the properties of its users' clients into its folder.

    The description comes last: a folder without it holds no cluster and may be written again.
    """
    if cluster.secure:
        _certificates(folder / "certs")
    for user in USERS if cluster.secure else ():
        entries = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in client(cluster, folder, user).items())
        private(folder / f"{user}.yaml", f"kafka:\n{entries}")
    private(folder / f"{_FILE}.new", json.dumps(asdict(cluster), indent=1))
    (folder / f"{_FILE}.new").replace(folder / _FILE)


def client(cluster: Cluster, folder: Path, user: str) -> dict[str, str]:
    """Return the librdkafka properties with which a user's client connects."""
    if user not in USERS:
        raise UserError(f"there is no user {user!r}: the users of a local cluster are {', '.join(USERS)}")
    properties = {"bootstrap.servers": cluster.bootstrap}
    if cluster.secure:
        properties |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": cluster.passwords[user],
            "ssl.ca.location": str(folder / "certs" / "ca.pem"),
            "ssl.endpoint.identification.algorithm": "https",
        }
    return properties


def server_properties(cluster: Cluster, folder: Path, node: int, extra: Mapping[str, str]) -> str:
    """Return the properties file of a node (from 1 on); `extra` adds to it and overrides it."""
    copies, in_sync = (1, 1) if cluster.nodes == 1 else (3, 2)
    properties = {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.bootstrap.servers": ",".join(f"{HOST}:{port}" for port in cluster.controller_ports),
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(folder / f"node-{node}" / "data"),
        "auto.create.topics.enable": "false",  # a misspelt topic is an error, not a topic
        "log.retention.ms": "-1",  # a recorded day bears the timestamps of that day, and would be deleted at once
        "num.partitions": "4",
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(copies),
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(in_sync),
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "share.coordinator.state.topic.num.partitions": "1",
        "message.max.bytes": str(MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_BYTES),
        # Groups form at once and may ask for short sessions, so that what a crash does is seen within seconds.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.session.timeout.ms": "3000",
        "group.consumer.min.heartbeat.interval.ms": "200",
        "group.consumer.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "6000",
        "controller.quorum.election.timeout.ms": "500",
        "controller.quorum.fetch.timeout.ms": "1000",
        # A small machine's share of threads and memory.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.threads": "1",
        "log.cleaner.dedupe.buffer.size": str(4 * _MIB),
        "log.segment.bytes": str(64 * _MIB),
    }
    properties |= (_secure if cluster.secure else _plain)(cluster, folder / "certs", node)
    # The escapes of JSON are those of a Java properties file.
    return "".join(f"{name}={json.dumps(value)[1:-1]}\n" for name, value in (properties | dict(extra)).items())


def port_in_use(port: int) -> bool:
    """Does any program listen on this port of the loopback address?"""
    with socket.socket() as probe:
        # Connections that a stopped broker left do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _plain(cluster: Cluster, _certs: Path, node: int) -> dict[str, str]:
    clients, controllers = cluster.ports(node)
    return {
        "listeners": f"PLAINTEXT://{HOST}:{clients},CONTROLLER://{HOST}:{controllers}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{clients}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }


def _secure(cluster: Cluster, certs: Path, node: int) -> dict[str, str]:
    # Between brokers and to controllers both sides show a certificate: no password is needed before the first user exists,
    # and nobody is a super user without the cluster's key.
    clients, controllers, internal = cluster.ports(node)
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        "listeners": f"CLIENT://{HOST}:{clients},INTERNAL://{HOST}:{internal},CONTROLLER://{HOST}:{controllers}",
        "advertised.listeners": f"CLIENT://{HOST}:{clients},INTERNAL://{HOST}:{internal}",
        "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "INTERNAL",
        "listener.name.internal.ssl.client.auth": "required",
        "listener.name.controller.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": scram,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certs / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certs / "ca.pem"),
        "ssl.enabled.protocols": "TLSv1.3,TLSv1.2",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": _SUPER_USERS,
    }


def _certificates(folder: Path) -> None:
    """Make an authority and a broker's certificate for the loopback address; the authority's key is not kept."""
    program = shutil.which("openssl")
    if program is None:
        raise UserError("openssl, which makes certificates of a secure Kafka, is not on the PATH (Debian: openssl)")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def openssl(*arguments: str) -> None:
        command = [program, *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - all are ours
        if done.returncode:
            raise UserError(f"openssl {arguments[0]} failed: {done.stderr.strip()[-300:]}")

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority = ("-x509", "-days", _DAYS, "-subj", "/CN=aiops local kafka")
    openssl("req", *authority, *key, "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", "/CN=broker", "-keyout", "broker.key", "-out", "broker.csr")
    (folder / "extensions").write_text(
        f"subjectAltName=DNS:localhost,IP:{HOST}\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", _DAYS, "-extfile", "extensions")
    openssl("x509", "-req", "-in", "broker.csr", *signed, "-out", "broker.crt")
    # One file for the broker: its key (PKCS #8), its certificate, the authority.
    names = ("broker.key", "broker.crt", "ca.pem")
    private(folder / "broker.pem", "".join((folder / name).read_text() for name in names))
    for path in folder.iterdir():
        if path.name not in {"broker.pem", "ca.pem"}:
            path.unlink()


def private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first moment on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _kafka_id() -> str:
    while (drawn := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        pass  # Kafka refuses an id that looks like an option
    return drawn


def _free_ports(count: int) -> list[int]:
    # Below the range that the kernel draws from for outgoing connections: a killed node finds its ports free when it
    # starts again, and another test's client does not sit on them.
    low, outgoing = 15_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    high = max(outgoing, low + 10_000)
    ports: list[int] = []
    for _ in range(10_000):
        drawn = low + secrets.randbelow(high - low)
        if drawn not in ports and not port_in_use(drawn):
            ports.append(drawn)
        if len(ports) == count:
            return ports
    raise UserError(f"no {count} free ports between {low} and {high}")
