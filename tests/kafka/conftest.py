"""A broker for every test of this folder, started once a session: the one that is given, or one that can be had here.

``AIOPS_TEST_BOOTSTRAP`` gives the address of one.  Otherwise it runs in Docker where a daemon answers, otherwise straight on
this machine (``streams.local_kafka``).  Where that cannot be either, the tests are skipped with the reason; with
``AIOPS_REQUIRE_KAFKA=1`` they fail instead.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

from aiops.errors import UserError
from streams.local_kafka import LocalKafka
from streams.local_kafka_cluster import Cluster, draw, server_properties
from streams.local_kafka_java import VERSION, jars, java

HERE = Path(__file__).parent
IMAGE = f"apache/kafka:{VERSION}"
NEEDED = "confluent_kafka"


@dataclass(frozen=True)
class Broker:
    """Where the broker is, and how a client connects to it."""

    bootstrap: str
    properties: dict[str, str] = field(default_factory=dict)

    def client(self) -> dict[str, str]:
        return {"bootstrap.servers": self.bootstrap, **self.properties}


def choose(environ: Mapping[str, str], docker: Callable[[], bool]) -> str:
    """Return which broker the tests get: ``given``, ``docker`` or ``local``."""
    if environ.get("AIOPS_TEST_BOOTSTRAP"):
        return "given"
    return "docker" if docker() else "local"


def required(environ: Mapping[str, str]) -> bool:
    """Must the tests of this folder run?"""
    value = environ.get("AIOPS_REQUIRE_KAFKA", "")
    if value not in {"", "0", "1"}:
        pytest.fail(f"AIOPS_REQUIRE_KAFKA is {value!r}: 1 requires a broker, 0 or nothing does not", pytrace=False)
    return value == "1"


def missing(reason: str, environ: Mapping[str, str]) -> NoReturn:
    """Skip for this reason, or fail where a broker is required."""
    if required(environ):
        pytest.fail(f"AIOPS_REQUIRE_KAFKA is 1, and {reason}", pytrace=False)
    pytest.skip(reason)


def docker_answers() -> bool:
    """Does a Docker daemon answer?  The docker program on the PATH proves nothing."""
    try:
        import docker
    except ModuleNotFoundError:
        return False
    with warnings.catch_warnings():
        # A client that finds no daemon forgets to close its socket; unless it is collected here, some test is blamed.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env(timeout=2)
            answered = bool(client.ping())
            client.close()
        except (docker.errors.DockerException, OSError):
            answered = False
        gc.collect()
    return answered


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Let a module here skip as a whole, with the reason, where the client library is missing."""
    if module_path.is_relative_to(HERE) and importlib.util.find_spec(NEEDED) is None:
        return _Unusable.from_parent(parent, path=module_path)
    return None


class _Unusable(pytest.Module):
    def collect(self) -> NoReturn:
        reason = f"{NEEDED} is not installed: pip install -e '.[test-kafka]'"
        if required(os.environ):
            pytest.fail(f"AIOPS_REQUIRE_KAFKA is 1, and {reason}", pytrace=False)
        pytest.skip(reason, allow_module_level=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:  # of the whole session
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Any]:
    """A broker: ``.bootstrap``, and ``.client()`` with librdkafka's properties, which may do everything."""
    choice = choose(os.environ, docker_answers)
    if choice == "given":
        yield given(os.environ["AIOPS_TEST_BOOTSTRAP"])
    elif choice == "docker":
        with in_docker() as broker:
            yield broker
    else:
        with locally(secure=False) as broker:
            yield broker


@pytest.fixture(scope="session")
def secure_kafka() -> Iterator[LocalKafka]:
    """A broker with TLS, passwords and access control; ``.client(user)`` of admin, worker, oncall.

    Nobody but admin may do anything until a test says ``secure_kafka.grant()``, which then holds for the session.
    """
    with locally(secure=True) as broker:
        yield broker


@pytest.fixture(scope="session")
def startable() -> None:
    """For tests that start brokers of this machine themselves, whichever broker the others have."""
    try:
        jars(java())
    except UserError as error:
        missing(f"no broker can be started here: {error}", os.environ)


@pytest.fixture
def prefix() -> str:
    """Beginning of the names of a test's topics and groups, so that no test meets another's."""
    return f"test-{secrets.token_hex(5)}-"


def given(bootstrap: str, seconds: float = 15) -> Broker:
    """Return the broker at this address; who gives one wants that one or an error."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": bootstrap})
    try:
        admin.list_topics(timeout=seconds)
    except KafkaException as error:
        pytest.fail(f"AIOPS_TEST_BOOTSTRAP is {bootstrap}, and no broker answers there: {error}", pytrace=False)
    return Broker(bootstrap)


@contextmanager
def locally(secure: bool) -> Iterator[LocalKafka]:
    """A broker of this machine."""
    broker = LocalKafka(secure=secure)
    try:
        try:
            broker.start()
        except UserError as error:
            missing(f"no broker can be started here: {error}", os.environ)
        yield broker
    finally:
        broker.stop()


@contextmanager
def in_docker() -> Iterator[Broker]:
    """A broker in a container."""
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.docker_client import DockerClient
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    host = DockerClient().host()
    cluster = draw(nodes=1, secure=False, port=None)
    port = cluster.client_ports[0]
    started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(90)
    container = DockerContainer(IMAGE).with_bind_ports(port, port).waiting_for(started)
    container.with_envs(**container_environment(cluster, host))
    try:
        container.start()
    except (DockerException, TimeoutError, RuntimeError) as error:
        container.stop()
        missing(f"Docker answers, but {IMAGE} does not start in it: {error}", os.environ)
    try:
        yield Broker(f"{host}:{port}")
    finally:
        container.stop()


def container_environment(cluster: Cluster, host: str) -> dict[str, str]:
    """Return the settings of a local broker as the image takes them; its port is the same inside and outside.

    Clients go where the broker says that it is, so what it says must be true outside the container.
    """
    lines = server_properties(cluster, Path("/var/lib/kafka"), 1, {}).splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    client, controller = cluster.ports(1)
    del properties["controller.quorum.bootstrap.servers"]  # the image formats for a fixed quorum
    properties |= {
        "controller.quorum.voters": f"1@localhost:{controller}",
        "listeners": f"PLAINTEXT://:{client},CONTROLLER://localhost:{controller}",
        "advertised.listeners": f"PLAINTEXT://{host}:{client}",
        "log.dirs": "/tmp/kafka",
    }
    names = {name: "KAFKA_" + name.upper().replace(".", "_") for name in properties}
    return {"CLUSTER_ID": cluster.cluster_id, **{names[name]: value for name, value in properties.items()}}
