"""Which broker the tests get, and that its image takes what it is told: the rules of ``conftest.py``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from streams.local_kafka_cluster import draw
from streams.local_kafka_java import jars, java
from tests.kafka import conftest
from tests.kafka.topics import create, send, values_of


def test_a_given_address_comes_first_then_docker_then_this_machine():
    given = {"AIOPS_TEST_BOOTSTRAP": "somewhere:9092"}
    assert conftest.choose(given, lambda: pytest.fail("Docker was asked")) == "given"
    assert conftest.choose({}, lambda: True) == "docker"
    assert conftest.choose({"AIOPS_TEST_BOOTSTRAP": ""}, lambda: False) == "local"


def test_a_missing_broker_skips_and_fails_where_one_is_required():
    with pytest.raises(pytest.skip.Exception, match="no java"):
        conftest.missing("no java", {})
    with pytest.raises(pytest.fail.Exception, match="AIOPS_REQUIRE_KAFKA is 1, and no java"):
        conftest.missing("no java", {"AIOPS_REQUIRE_KAFKA": "1"})
    with pytest.raises(pytest.fail.Exception, match="'yes'"):
        conftest.required({"AIOPS_REQUIRE_KAFKA": "yes"})


def test_a_given_address_where_nobody_answers_is_an_error():
    port = draw(1, False, None).client_ports[0]
    with pytest.raises(pytest.fail.Exception, match=f"AIOPS_TEST_BOOTSTRAP is 127.0.0.1:{port}"):
        conftest.given(f"127.0.0.1:{port}", seconds=1)


def test_these_tests_are_marked(request):
    assert request.node.get_closest_marker("kafka")


def test_each_test_has_names_of_its_own(prefix, request):
    assert prefix.startswith("test-")
    assert request.getfixturevalue("prefix") == prefix


def test_the_broker_of_the_session_answers(kafka, prefix):
    create(kafka.client(), f"{prefix}a")
    assert send(kafka.client(), f"{prefix}a", [b"1"]) == []
    assert values_of(kafka.client(), f"{prefix}a") == [b"1"]
    assert kafka.client()["bootstrap.servers"] == kafka.bootstrap


@pytest.mark.usefixtures("startable")
def test_the_image_takes_the_settings_that_it_is_given(tmp_path):
    """The image's own start-up is a class of the same jars: it formats the storage with what the environment says."""
    environ = conftest.container_environment(draw(1, False, None), "localhost")
    environ["KAFKA_LOG_DIRS"] = str(tmp_path / "data")
    assert formatted(environ, tmp_path)[0] == 0
    assert "node.id=1" in (tmp_path / "data" / "meta.properties").read_text()
    assert "group.min.session.timeout.ms=1000" in (tmp_path / "final" / "server.properties").read_text().split()


@pytest.mark.usefixtures("startable")
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
