"""``aiops topics`` on a broker: what it makes, finds, tells and grants."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from aiops.errors import UserError
from streams.admin import Admin, verify
from streams.cli import main
from streams.control import decode_sources
from streams.settings import load
from streams.topics import needed, table
from streams.topics_sync import _tell, current, source_sets
from tests.kafka.topics import WAIT, read, refusal
from tests.kafka.waiting import until


@pytest.fixture
def admin(kafka):
    return AdminClient(kafka.client())


def done(futures):
    return {key: future.result(timeout=WAIT) for key, future in futures.items()}


def write(folder, client, prefix, more=""):
    path = folder / "aiops.yaml"
    kafka = "".join(f"  {name}: '{value}'\n" for name, value in client.items())
    raw = "".join(f"  - {{topic: {prefix}{s}, signal: {s}}}\n" for s in ("metrics", "logs", "traces", "changes"))
    path.write_text(f"kafka:\n{kafka}prefix: {prefix}e\nraw:\n{raw}{more}")
    return path


@pytest.fixture
def config(kafka, prefix, tmp_path):
    more = "topics: {partitions: {raw: 2, traces: 2, signals: 1, findings: 1, public: 1}}\n"
    path = write(tmp_path, kafka.client(), prefix, more)
    yield path
    client = AdminClient(kafka.client())
    mine = [name for name in client.list_topics(timeout=WAIT).topics if name.startswith(prefix)]
    if mine:
        done(client.delete_topics(mine))


def topics(action, config, *more):
    return main(["topics", action, "--config", str(config), *more])


def told(client, topic, partitions):
    """Sources records of a topic, a list for each partition."""
    out: list[list[Any]] = [[] for _ in range(partitions)]
    for message in read(client, topic):
        if ("kind", b"sources") in (message.headers() or []):
            out[message.partition() or 0].append(decode_sources(message.value() or b""))
    return out


class TestCreate:
    def test_everything_is_there_afterwards_as_configured(self, config, kafka, prefix, capsys):
        assert topics("check", config) == 1
        assert capsys.readouterr().err.count("does not exist: aiops topics create") == len(table(load(config)))
        assert topics("create", config) == 0
        assert capsys.readouterr().out.count("created ") == len(table(load(config)))
        assert topics("check", config) == 0
        settings = load(config)
        sets = source_sets(settings, {t.name: t.partitions for t in table(settings)})
        for name, partitions in (("traces", 2), ("signals", 1), ("findings", 1)):
            assert told(kafka.client(), f"{prefix}e.{name}", partitions) == [[(sets[name], 1)]] * partitions
        verify(Admin(settings.admin_properties()), settings, needed(settings, "all"))

    def test_a_second_time_changes_nothing(self, config, kafka, prefix, capsys):
        assert topics("create", config) == 0
        before = told(kafka.client(), f"{prefix}e.traces", 2)
        capsys.readouterr()
        assert topics("create", config) == 0
        assert topics("sync", config) == 0
        out = capsys.readouterr().out
        assert out.count("told already") == 2
        assert "created" not in out
        assert told(kafka.client(), f"{prefix}e.traces", 2) == before

    def test_what_exists_and_differs_is_told_and_left_alone(self, config, admin, prefix, capsys):
        name = f"{prefix}e.anomalies"
        done(admin.create_topics([NewTopic(name, 3, config={"retention.ms": "1000"})]))
        assert topics("create", config) == 1
        err = capsys.readouterr().err
        assert f"topic {name} has 3 partitions, the configuration says 1" in err
        assert f"topic {name} has retention.ms 1000, not 604800000: kafka-configs.sh" in err
        assert len(admin.list_topics(name, timeout=WAIT).topics[name].partitions) == 3

    def test_partitions_that_do_not_fit_stop_it_before_the_sources_are_told(self, config, admin, kafka, prefix, capsys):
        name = f"{prefix}e.traces"
        done(admin.create_topics([NewTopic(name, 3)]))
        assert topics("create", config) == 2
        assert "the set of sources was not written" in capsys.readouterr().err
        assert told(kafka.client(), name, 3) == [[], [], []]


class TestCheck:
    def test_each_difference_is_named(self, config, admin, prefix, capsys):
        assert topics("create", config) == 0
        name = f"{prefix}e.findings"
        change = {"cleanup.policy": "compact", "max.message.bytes": "1000"}
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in change.items()]
        done(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)]))
        done(admin.delete_topics([f"{prefix}e.incidents"]))
        capsys.readouterr()
        settings = load(config)

        def checked():
            assert topics("check", config) == 1
            found = capsys.readouterr().err
            return found if "incidents does not exist" in found else ""

        found = until(checked, WAIT)  # deletion takes its time
        assert f"topic {name} has cleanup.policy compact, not delete" in found
        assert f"topic {name} has max.message.bytes 1000, at least 16777216 is needed" in found
        assert found.count("\n") == 3
        client = Admin(settings.admin_properties())
        with pytest.raises(UserError, match=r"findings has cleanup\.policy compact.*aiops topics check --config FILE"):
            verify(client, settings, needed(settings, "respond"))
        verify(client, settings, needed(settings, "assemble"))

    def test_a_worker_is_told_which_topics_are_missing_and_what_makes_them(self, config, prefix):
        settings = load(config)
        with pytest.raises(
            UserError, match=rf"topic {prefix}e\.traces does not exist.*aiops topics create --config FILE"
        ):
            verify(Admin(settings.admin_properties()), settings, needed(settings, "assemble"))

    def test_the_list_says_how_each_topic_is_now(self, config, capsys):
        assert topics("create", config) == 0
        capsys.readouterr()
        assert topics("list", config) == 0
        assert Counter(line.endswith("as configured") for line in capsys.readouterr().out.splitlines()) == {
            True: len(table(load(config))), False: 1,
        }  # fmt: skip


class TestSync:
    def test_partitions_added_to_a_raw_topic_make_a_new_generation_everywhere(
        self, config, admin, kafka, prefix, capsys
    ):
        assert topics("create", config) == 0
        done(admin.create_partitions([NewPartitions(f"{prefix}logs", 4)]))
        capsys.readouterr()
        until(lambda: topics("check", config) != 0, WAIT)  # until every broker knows of them
        assert "the set of sources has changed since it was written: aiops topics sync" in capsys.readouterr().err
        assert topics("sync", config) == 0
        for partition in told(kafka.client(), f"{prefix}e.traces", 2):
            assert [generation for _, generation in partition] == [1, 2]
            assert f"{prefix}logs/3" in partition[1][0]
        assert [g for _, g in told(kafka.client(), f"{prefix}e.findings", 1)[0]] == [1, 2]
        assert topics("check", config) == 0

    def test_a_run_that_was_cut_off_is_completed_with_the_same_generation(self, config, kafka, prefix, capsys):
        assert topics("create", config) == 0
        settings = load(config)
        state = current(settings)
        assert state is not None
        # As if the run had ended after it had said what it would do.
        producer = Producer(kafka.client())
        cut = msgspec.structs.replace(state, told={})
        producer.produce(settings.topic("sources"), msgspec.json.encode(cut), b"sources")
        assert producer.flush(WAIT) == 0
        capsys.readouterr()
        assert topics("check", config) == 1
        assert f"no set of sources in {prefix}e.traces/0" in capsys.readouterr().err
        assert topics("sync", config) == 0
        assert "generation 1: told to 4 partitions" in capsys.readouterr().out
        assert topics("check", config) == 0

    def test_a_generation_goes_on_where_the_topic_of_sources_was_lost(self, config, admin, kafka, prefix):
        assert topics("create", config) == 0
        settings = load(config)
        found = Admin(settings.admin_properties()).topics(t.name for t in table(settings))
        state = current(settings)
        assert state is not None
        _tell(settings, msgspec.structs.replace(state, generation=41), found)
        done(admin.delete_topics([settings.topic("sources")]))
        until(lambda: settings.topic("sources") not in admin.list_topics(timeout=WAIT).topics, WAIT)
        assert topics("create", config) == 0
        assert [g for _, g in told(kafka.client(), f"{prefix}e.signals", 1)[0]] == [1, 41, 42]

    def test_without_topics_it_says_what_makes_them(self, config, capsys):
        assert topics("sync", config) == 2
        err = capsys.readouterr().err
        assert "do not exist: aiops topics create makes them" in err
        assert err.count("\n") == 1


class TestConnection:
    def test_nobody_at_the_address_is_one_error_with_the_address(self, tmp_path):
        path = write(tmp_path, {"bootstrap.servers": "127.0.0.1:9"}, "x-")
        with pytest.raises(UserError, match=r"no answer from Kafka at 127\.0\.0\.1:9: .*Connection refused"):
            Admin(load(path).admin_properties(), patience=1.0)

    def test_a_wrong_password_is_told_without_it(self, secure_kafka, tmp_path, capsys):
        client = {**secure_kafka.client("worker"), "sasl.password": "hunter2"}
        assert topics("check", write(tmp_path, client, "x-")) == 2
        err = capsys.readouterr().err
        assert "Authentication failed" in err
        assert "hunter2" not in err
        assert err.count("\n") == 1

    def test_an_authority_that_did_not_sign_the_broker_is_told(self, secure_kafka, tmp_path, capsys):
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -keyout other.key -out other.pem"
        subprocess.run(command.split(), check=True, capture_output=True, cwd=tmp_path)
        client = {**secure_kafka.client("worker"), "ssl.ca.location": str(tmp_path / "other.pem")}
        assert topics("check", write(tmp_path, client, "x-")) == 2
        err = capsys.readouterr().err
        assert "certificate verify failed" in err
        assert err.count("\n") == 1


class TestAccess:
    def test_rights_are_enough_for_each_user_and_no_more(self, secure_kafka, prefix, tmp_path, capsys):
        more = "topics: {partitions: {raw: 1, traces: 1, signals: 1, findings: 1, public: 1}}\n"
        config = write(tmp_path, secure_kafka.client("admin"), prefix, more)
        assert topics("create", config) == 0
        apply = ["--apply", "--principal", "worker=User:worker", "--principal", "oncall=User:oncall"]
        worker = write(tmp_path, secure_kafka.client("worker"), prefix, more)
        assert topics("check", worker) == 2
        assert "user worker is not allowed to" in capsys.readouterr().err
        config = write(tmp_path, secure_kafka.client("admin"), prefix, more)
        assert topics("acls", config, *apply) == 0
        assert "access rights for User:worker, User:oncall" in capsys.readouterr().out

        settings = load(write(tmp_path, secure_kafka.client("worker"), prefix, more))
        client = Admin(settings.admin_properties())
        missing = list[str]()

        def granted():
            missing.clear()
            try:
                verify(client, settings, needed(settings, "all"))
            except UserError as error:
                missing.append(str(error))
            return not missing

        until(granted, WAIT, why=lambda: missing)  # rights take a moment to reach the broker
        assert refusal(settings.producer_properties(), f"{prefix}e.signals") is None
        assert "TOPIC_AUTHORIZATION_FAILED" in str(refusal(settings.producer_properties(), f"{prefix}metrics"))

        oncall = secure_kafka.client("oncall")
        assert f"{prefix}e.incidents" in AdminClient(oncall).list_topics(timeout=WAIT).topics
        assert visible(oncall, prefix) == {f"{prefix}e.incidents"}
        assert "TOPIC_AUTHORIZATION_FAILED" in str(refusal(oncall, f"{prefix}e.incidents"))

    def test_an_operator_creates_checks_and_syncs_topics_with_the_rights_that_are_printed(
        self, secure_kafka, prefix, tmp_path, capsys
    ):
        more = "topics: {partitions: {raw: 1, traces: 1, signals: 1, findings: 1, public: 1}}\n"
        config = write(tmp_path, secure_kafka.client("admin"), prefix, more)
        assert topics("acls", config, "--apply", "--principal", "operator=User:oncall") == 0
        operator = write(tmp_path, secure_kafka.client("oncall"), prefix, more)
        # Rights take a moment to reach the broker.
        until(lambda: topics("create", operator) == 0, WAIT, why=lambda: capsys.readouterr().err)
        assert topics("check", operator) == 0
        assert topics("sync", operator) == 0

    def test_what_is_granted_is_what_is_asked_for(self, secure_kafka, prefix, tmp_path):
        config = write(tmp_path, secure_kafka.client("admin"), prefix)
        assert topics("acls", config, "--apply", "--principal", "oncall=User:eve") == 0
        assert topics("acls", config, "--apply", "--principal", "oncall=User:eve") == 0
        admin = AdminClient(secure_kafka.client("admin"))
        anything: Any = None
        wanted = AclBindingFilter(
            ResourceType.ANY,
            anything,
            ResourcePatternType.ANY,
            "User:eve",
            anything,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        found = admin.describe_acls(wanted).result(timeout=WAIT)
        assert sorted((b.name, b.operation.name) for b in found) == [
            ("oncall-", "READ"),
            (f"{prefix}e.incidents", "READ"),
        ]


def visible(client, prefix):
    try:
        return {name for name in AdminClient(client).list_topics(timeout=WAIT).topics if name.startswith(prefix)}
    except KafkaException as error:
        pytest.fail(str(error))
