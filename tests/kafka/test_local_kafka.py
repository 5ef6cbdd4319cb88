"""The local broker: what it keeps, what it survives, which folders it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from aiops.errors import UserError
from streams.local_kafka import LocalKafka
from streams.local_kafka_cluster import draw
from streams.local_kafka_node import wait_until
from tests.kafka.topics import WAIT, create, send, values_of

pytestmark = pytest.mark.usefixtures("startable")


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
            assert values_of(again.client(), topic) == [b"1", b"2"]

    def test_a_node_that_is_killed_and_started_again_has_kept_what_it_acknowledged(self, prefix):
        topic = f"{prefix}killed"
        with LocalKafka() as kafka:
            create(kafka.client(), topic)
            assert send(kafka.client(), topic, [b"1"]) == []
            kafka.kill(1)
            with pytest.raises(UserError, match="node 1 of the local Kafka does not run"):
                kafka.pause(1)
            kafka.restart(1)
            assert values_of(kafka.client(), topic) == [b"1"]
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
            assert values_of(kafka.client(), topic) == [value]

    def test_a_paused_node_answers_nobody_until_it_is_resumed(self):
        with LocalKafka() as kafka:
            admin = AdminClient({**kafka.client()})
            admin.list_topics(timeout=WAIT)
            kafka.pause(1)
            with pytest.raises(KafkaException):
                admin.list_topics(timeout=1)
            kafka.resume(1)
            admin.list_topics(timeout=WAIT)
            kafka.pause(1)  # and a paused node can be stopped
        assert kafka.running == []

    def test_settings_of_kafka_are_handed_through(self, prefix):
        with LocalKafka(properties={"num.partitions": "7", "auto.create.topics.enable": "true"}) as kafka:
            assert send(kafka.client(), f"{prefix}by-itself", [b"x"]) == []
            topics = AdminClient({**kafka.client()}).list_topics(timeout=WAIT).topics
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
            lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes(), WAIT
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
            assert sorted(values_of(kafka.client(), topic)) == sorted(sent)
            kafka.restart(2)
            assert kafka.running == [1, 2, 3]


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
