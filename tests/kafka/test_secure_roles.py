"""The engine on a cluster with TLS, passwords and access control: who may do what, and how everything else is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from aiops.errors import UserError
from aiops.simulate import Simulation, write
from streams.admin import Admin
from streams.client import Incidents
from streams.local_kafka import LocalKafka
from streams.topics import table
from tests.kafka.deployment import ROLES, ROOT, Deployment, replayed
from tests.kafka.topics import refusal
from tests.kafka.waiting import until

pytestmark = pytest.mark.timeout(240)

WITHIN = 30.0  # seconds in which a role that cannot work must have said so
DEADLINE = 60.0
ADVICE = "aiops topics acls prints the access rights needed"
# A command that ends on its own, as the user of the configuration.
SHORT = {
    "check": ("topics", "check"),
    "produce": ("produce", "DAY"),
    "tail": ("tail", "incidents", "--final"),
}


class Place(Deployment):
    """A deployment whose topics and access rights the cluster's admin makes, and whose roles run as worker."""

    def __init__(self, broker: LocalKafka, prefix: str, folder: Path, processes: dict[str, int]) -> None:
        one = dict.fromkeys(("raw", "traces", "signals", "findings", "public"), 1)
        super().__init__(broker.client("worker"), prefix, folder, processes, topics={"partitions": one})
        self.broker = broker
        self.admin = AdminClient({**broker.client("admin")})

    def file(self, **properties: str) -> Path:
        """A configuration that differs in properties of Kafka clients."""
        whole = yaml.safe_load(self.config.read_text())
        whole["kafka"] |= properties
        path = self.folder / f"{len(list(self.folder.glob('*.yaml')))}.yaml"
        path.write_text(yaml.safe_dump(whole))
        return path

    def of_user(self, user: str) -> Path:
        return self.file(**self.broker.client(user))

    def prepared(self) -> None:
        admin = self.of_user("admin")
        users = [word for user in ("worker", "oncall") for word in ("--principal", f"{user}=User:{user}")]
        for words in (("topics", "create"), ("topics", "acls", "--apply", *users)):
            status, _, err = command(admin, *words)
            assert status == 0, err
        self.until_granted()

    def until_granted(self) -> None:
        """Rights take a moment to reach the broker."""
        topic, client = f"{self.prefix}.signals", Admin(self.broker.client("worker"))
        until(lambda: client.granted([topic], [])["topic", topic], DEADLINE)

    def topics(self) -> list[str]:
        from streams.settings import load

        return [topic.name for topic in table(load(self.config))]

    def __enter__(self) -> Self:
        for role, number in self.processes.items():
            for i in range(number):
                self.start((role, i))
        return self

    @contextmanager
    def without(self, kind: str, name: str, operation: str, prefixed: bool = False) -> Iterator[None]:
        """Take a right of worker away for a while."""
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        what: tuple[Any, ...] = (
            ResourceType[kind.upper()], name, pattern, "User:worker", "*", AclOperation[operation],
            AclPermissionType.ALLOW,
        )  # fmt: skip
        asked = AclBindingFilter(*what)
        assert len(self.admin.delete_acls([asked])[asked].result(DEADLINE)) == 1
        try:
            yield
        finally:
            right = AclBinding(*what)
            self.admin.create_acls([right])[right].result(DEADLINE)


def started(config: Path, *words: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "streams.cli", *words, "--config", str(config)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def command(config: Path, *words: str) -> tuple[int, str, str]:
    process = started(config, *words)
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def complaints(err: str) -> list[str]:
    """Lines that are no word of a process about its life."""
    return [line for line in err.splitlines() if '"level":"info"' not in line and line.strip("\x1b[?25h")]


def refused(config: Path, *words: str) -> str:
    """The one line with which a command ends that cannot work."""
    began = time.monotonic()
    status, out, err = command(config, *words)
    took = time.monotonic() - began
    assert status != 0
    assert took < WITHIN, err
    lines = complaints(err)
    assert len(lines) == 1, err
    assert "Traceback" not in out + err
    for name, value in yaml.safe_load(config.read_text())["kafka"].items():
        assert name != "sasl.password" or value not in out + err
    return lines[0]


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("day")
    write(Simulation(5, 1.0, ["code_error", "bad_deploy"], rate=1.0), folder)
    return folder


@pytest.fixture(scope="module")
def place(secure_kafka, tmp_path_factory) -> Place:
    """Topics and rights, and no process."""
    made = Place(secure_kafka, "secured-", tmp_path_factory.mktemp("secured"), {})
    made.prepared()
    return made


@pytest.fixture(scope="module")
def ran(secure_kafka, tmp_path_factory, day) -> Iterator[Place]:
    """The roles run as worker, and have worked off the day."""
    found = Place(secure_kafka, "ran-", tmp_path_factory.mktemp("ran"), dict.fromkeys(ROLES, 1))
    found.prepared()
    expected = replayed(day)
    assert expected, "the day opens no incident: nothing would be compared"
    with found:
        status, _, err = command(found.of_user("admin"), "produce", str(day), "--end")
        assert status == 0, err
        found.kafka = secure_kafka.client("oncall")
        assert found.until_equal(expected, 120) == expected, found.logs()
        assert found.ended == []
        yield found


# ---- what is allowed -------------------------------------------------------------------------------------------------------
class TestWorking:
    def test_the_roles_as_worker_find_the_incidents_of_a_replay_and_on_call_reads_them(self, ran, day):
        oncall = ran.of_user("oncall")
        status, out, err = command(oncall, "tail", "incidents", "--final", "--json")
        assert (status, err) == (0, "")
        assert out.encode() == replayed(day)

    def test_no_password_is_in_the_arguments_of_a_process_or_in_a_log(self, ran):
        passwords = ran.broker.cluster.passwords.values()
        for process in ran.of.values():
            line = Path(f"/proc/{process.pid}/cmdline").read_text()
            assert "streams.cli" in line
            assert not [p for p in passwords if p in line]
        logs = list(ran.folder.glob("*.log"))
        assert len(logs) >= len(ROLES)
        assert not [path for path in logs for p in passwords if p in path.read_text()]

    def test_a_group_of_on_call_reads_incidents_and_commits(self, ran):
        oncall, topic = ran.broker.client("oncall"), f"{ran.prefix}.incidents"
        with Incidents(oncall, topic=topic, group="oncall-x") as reader:
            event = until(lambda: reader.poll(1.0), DEADLINE)
            assert event is not None
            assert event.incident.incident_id
            reader.poll(0.1)
        ours = Consumer({**oncall, "group.id": "oncall-x"})
        assert ours.committed([TopicPartition(topic, 0)], DEADLINE)[0].offset > 0
        ours.close()

    def test_on_call_is_refused_everything_else(self, ran):
        oncall, incidents = ran.broker.client("oncall"), f"{ran.prefix}.incidents"
        others = [topic for topic in ran.topics() if topic != incidents]
        assert len(others) > 15
        for topic in others:
            with pytest.raises(UserError, match=r"not authorized|authorization failed|does not exist"):
                Incidents(oncall, topic=topic)
        with (
            Incidents(oncall, topic=incidents, group=f"{ran.prefix}.respond") as foreign,
            pytest.raises(UserError, match="Group authorization failed"),
        ):
            foreign.poll(DEADLINE)
        for topic in (incidents, f"{ran.prefix}.commands"):
            assert "TOPIC_AUTHORIZATION_FAILED" in str(refusal(oncall, topic))
        admin = AdminClient({**oncall})
        deleted = admin.delete_topics([incidents])[incidents]
        with pytest.raises(KafkaException, match="authorization failed"):
            deleted.result(DEADLINE)


class TestRedaction:
    def test_config_check_and_show_say_nothing_secret(self, place):
        password = place.broker.client("worker")["sasl.password"]
        line = [sys.executable, "-m", "streams.cli", "config"]
        for words in (["check"], ["show"], ["show", "--all"]):
            done = subprocess.run(
                [*line, *words, str(place.config)], cwd=ROOT, capture_output=True, text=True, check=True
            )
            assert password not in done.stdout + done.stderr
            assert ("sasl.password: '***'" in done.stdout) == (words[0] == "show")

    def test_topics_check_as_admin_is_right_and_as_oncall_names_who_is_refused(self, place):
        status, out, err = command(place.of_user("admin"), "topics", "check")
        assert (status, err) == (0, "")
        assert out.endswith("topics are as configured\n")
        assert "user oncall is not allowed to" in refused(place.of_user("oncall"), "topics", "check")


# ---- what is refused -------------------------------------------------------------------------------------------------------
def wrong(place: Place, tmp_path: Path, what: str) -> tuple[Path, str]:
    """A configuration with a mistake, and what the line must say."""
    bootstrap = place.broker.bootstrap
    if what == "password":
        return place.file(**{"sasl.password": "guessed-wrongly"}), "Authentication failed"
    if what == "authority":
        other = tmp_path / "other.pem"
        words = "req -x509 -days 2 -subj /CN=other -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out"
        subprocess.run(["openssl", *words.split(), str(other)], cwd=tmp_path, check=True, capture_output=True)
        return place.file(**{"ssl.ca.location": str(other)}), "certificate verify failed"
    if what == "port":
        host, port = bootstrap.split(":")
        return place.file(**{"bootstrap.servers": f"{host}:{int(port) // 65_535 + 9}"}), "Connection refused"
    assert what == "no TLS"
    path = place.file()
    whole = yaml.safe_load(path.read_text())
    whole["kafka"] = {"bootstrap.servers": bootstrap}
    path.write_text(yaml.safe_dump(whole))
    return path, bootstrap


MISTAKES = ("password", "authority", "port", "no TLS")
RIGHTS = {
    "ingest": [
        ("topic", "P.signals", "WRITE"), ("topic", "otlp_logs", "READ"), ("topic", "P.sources", "READ"),
        ("topic", "P.traces", "WRITE"), ("group", "P.", "READ"),
    ],
    "assemble": [
        ("topic", "P.signals", "WRITE"), ("topic", "P.traces", "READ"), ("topic", "P.snapshots.assemble", "READ"),
        ("topic", "P.snapshots.assemble", "WRITE"), ("group", "P.", "READ"),
    ],
    "detect": [
        ("topic", "P.findings", "WRITE"), ("topic", "P.signals", "READ"), ("topic", "P.snapshots.detect", "READ"),
        ("topic", "P.snapshots.detect", "WRITE"), ("group", "P.", "READ"),
    ],
    "respond": [
        ("topic", "P.incidents", "WRITE"), ("topic", "P.findings", "READ"), ("topic", "P.snapshots.respond", "READ"),
        ("topic", "P.snapshots.respond", "WRITE"), ("topic", "P.incidents", "READ"), ("group", "P.", "READ"),
    ],
}  # fmt: skip


def right_of(place: Place, right: tuple[str, str, str]) -> tuple[str, str, str]:
    kind, name, operation = right
    full = name.replace("P", place.prefix) if name.startswith("P.") else f"secured-{name}"
    return kind, full, operation


@pytest.mark.parametrize("role", ["detect", "respond"])
def test_a_wrong_password_is_one_line_and_the_end(place, tmp_path, role):
    config, says = wrong(place, tmp_path, "password")
    assert says in refused(config, "run", "--role", role)


def test_a_right_that_is_missing_is_named_before_a_role_begins(place):
    name = f"{place.prefix}.signals"
    with place.without("topic", name, "WRITE"):
        line = refused(place.config, "run", "--role", "ingest")
    assert f"user worker lacks access rights that ingest needs: topic {name} (WRITE); {ADVICE}" in line


@pytest.mark.acceptance
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("what", [*ROLES, *SHORT])
def test_every_mistake_is_one_line_and_the_end(place, day, tmp_path, what, mistake):
    config, says = wrong(place, tmp_path, mistake)
    words = SHORT.get(what, ("run", "--role", what))
    assert says in refused(config, *[str(day) if word == "DAY" else word for word in words])


@pytest.mark.acceptance
@pytest.mark.parametrize(("role", "right"), [(role, right) for role, some in RIGHTS.items() for right in some])
def test_every_right_that_is_missing_is_named(place, role, right):
    kind, name, operation = right_of(place, right)
    with place.without(kind, name, operation, prefixed=kind == "group"):
        line = refused(place.config, "run", "--role", role)
    assert f"user worker lacks access rights that {role} needs: {kind} {name}" in line
    assert operation in line


@pytest.mark.acceptance
@pytest.mark.parametrize(("role", "right"), [(role, right) for role, some in RIGHTS.items() for right in some])
def test_a_right_that_is_taken_away_ends_a_role_with_one_line(place, role, right):
    kind, name, operation = right_of(place, right)
    process = started(place.config, "run", "--role", role)
    try:
        assert process.stderr is not None
        seen = list(iter_until(process, '"message":"assigned"'))
        with place.without(kind, name, operation, prefixed=kind == "group"):
            _, err = process.communicate(timeout=WITHIN)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode not in {0, -signal.SIGKILL}
    lines = [line for line in complaints("".join(seen) + err) if '"level":"warning"' not in line]
    assert len(lines) == 1, err
    assert name.rstrip(".") in lines[0] or "authoriz" in lines[0].lower()
    assert "Traceback" not in err


def iter_until(process: subprocess.Popen[str], text: str) -> Iterator[str]:
    """Lines of stderr until one that contains a text."""
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), True)
    for line in process.stderr:
        yield line
        if text in line:
            return
    pytest.fail(f"ended before it said {text}")
