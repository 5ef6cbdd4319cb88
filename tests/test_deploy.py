"""What is deployed names things that exist: images, commands, files, topics.  No Docker here: structure, not behaviour."""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

import pytest

from aiops.cli import SIMULATE, _parser
from streams.cli import COMMANDS
from streams.local_kafka_cluster import MESSAGE_BYTES
from streams.local_kafka_java import VERSION
from streams.settings import load

yaml = pytest.importorskip("yaml", reason="pyyaml comes with the extra kafka")

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
COLLECTOR = yaml.safe_load((ROOT / "deploy" / "collector.yaml").read_text())
ENGINE = yaml.safe_load((ROOT / "deploy" / "aiops.yaml").read_text())
ROLES = {"ingest", "assemble", "detect", "respond"}
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "aiops")
INSIDE = "kafka:19092"

# Of the Compose specification, what this file uses; a key that is misspelt would be ignored by some versions, refused by others.
KEYS = {
    *("build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "hostname", "image", "network_mode"),
    *("ports", "profiles", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes"),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_an_image_and_only_keys_of_the_specification(name):
    service = SERVICES[name]
    assert set(service) <= KEYS
    assert service["image"] == "aiops" or re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", service["image"]), "name a version"
    assert ("build" in service) == (service["image"] == "aiops")


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_exists_and_can_reach_that_state(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert "restart" not in SERVICES[other], "it would never be complete"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_exists(name):
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).is_file()
            assert volume.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_this_machine_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", OURS)
def test_the_commands_of_our_services_are_commands_of_aiops(name):
    command = SERVICES[name]["command"]
    commands = {entry.name for entry in COMMANDS}
    assert command[0] in {*commands, "demo"}
    if command[0] in commands:
        parsed = _parser([SIMULATE, *COMMANDS], command[:1]).parse_args(command)
        assert isinstance(parsed, argparse.Namespace)
        mounted = {volume.split(":")[1] for volume in SERVICES[name]["volumes"]}
        assert command[command.index("--config") + 1] in mounted


def test_there_is_a_service_for_every_role():
    assert {SERVICES[name]["command"][2] for name in OURS if SERVICES[name]["command"][0] == "run"} == ROLES
    assert all(SERVICES[role]["command"] == ["run", "--role", role, *SERVICES[role]["command"][3:]] for role in ROLES)


def test_our_services_are_not_privileged():
    for name in OURS:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


def test_the_broker_is_the_one_that_the_tests_run_with():
    environ = SERVICES["kafka"]["environment"]
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{VERSION}"
    assert environ["KAFKA_MESSAGE_MAX_BYTES"] == environ["KAFKA_REPLICA_FETCH_MAX_BYTES"] == str(MESSAGE_BYTES)
    assert all(isinstance(value, str) for value in environ.values()), "YAML would turn it into something else"


def test_everybody_knows_the_address_that_the_broker_gives():
    assert f"INSIDE://{INSIDE}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert ENGINE["kafka"]["bootstrap.servers"] == INSIDE
    assert COLLECTOR["exporters"]["kafka"]["brokers"] == [INSIDE]
    assert INSIDE in SERVICES["kafka"]["healthcheck"]["test"]


def test_the_engine_takes_its_settings():
    assert load(ROOT / "deploy" / "aiops.yaml").kafka["bootstrap.servers"] == INSIDE


def test_the_collector_writes_the_topics_that_the_engine_reads():
    exporter = COLLECTOR["exporters"]["kafka"]
    topics = {signal: exporter[signal]["topic"] for signal in ("logs", "metrics", "traces")}
    assert topics == {"logs": "otlp_logs", "metrics": "otlp_metrics", "traces": "otlp_spans"}
    assert {exporter[signal]["encoding"] for signal in topics} == {"otlp_proto"}
    assert exporter["partition_traces_by_id"] is True
    assert exporter["producer"]["max_message_bytes"] < MESSAGE_BYTES


@pytest.mark.parametrize("signal", ["logs", "metrics", "traces"])
def test_a_pipeline_of_the_collector_uses_what_is_defined(signal):
    for kind, names in COLLECTOR["service"]["pipelines"][signal].items():
        assert names
        assert set(names) <= set(COLLECTOR[kind])


LINES = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]


class TestDockerfile:
    def of(self, instruction):
        return [rest for name, rest in STEPS if name == instruction]

    def test_what_it_copies_exists_and_is_in_the_build_context(self):
        names = {name for rest in self.of("COPY") for name in rest.split()[:-1]}
        ignored = (ROOT / ".dockerignore").read_text().split()
        assert names
        assert all((ROOT / name).exists() and f"!{name}" in ignored for name in names)

    def test_it_installs_an_extra_that_exists(self):
        (install,) = [rest for rest in self.of("RUN") if rest.startswith("pip install")]
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        asked = re.findall(r"'\.\[([\w,-]+)\]'", install)
        assert asked == ["kafka"]
        assert set(asked) <= set(extras)

    def test_it_runs_as_a_user_without_rights_who_has_compiled_the_kernels(self):
        names = [name for name, _ in STEPS]
        (user,) = self.of("USER")
        assert user not in {"root", "0"}
        warm = STEPS.index(["RUN", "aiops demo > /dev/null"])
        assert names.index("USER") < warm
        assert names.index("ENV") < warm
        assert STEPS[warm + 1] == ["RUN", "python -m streams.warm"]
        assert self.of("ENTRYPOINT") == ['["aiops"]']
