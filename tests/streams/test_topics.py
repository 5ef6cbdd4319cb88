"""The table of topics, the access rights that follow from it, the sets of sources, and their record; no broker."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from streams import topics
from streams.acls import USERS, bindings, rights, script
from streams.admin import Found, _differences
from streams.cli import main
from streams.control import decode_sources, sources_record
from streams.records import Refused
from streams.settings import DAY, HOUR, Partitions, RawTopic, Retention, Settings, Topics
from streams.topics_sync import State, Told, source_sets, untold
from tests.streams.configured import KAFKA

SMALL = Settings(
    kafka=KAFKA,
    prefix="p",
    raw=[RawTopic("m", "metrics"), RawTopic("l", "logs"), RawTopic("s", "traces"), RawTopic("c", "changes")],
    topics=Topics(partitions=Partitions(raw=2, traces=3, signals=2, findings=1)),
)
NUMBERS = {
    "m": 2,
    "l": 1,
    "s": 2,
    "c": 1,
    "p.traces": 3,
    "p.signals": 2,
    "p.findings": 1,
    "p.sources": 1,
    "p.commands": 2,
}


def by_name(settings=SMALL):
    return {topic.name: topic for topic in topics.table(settings)}


class TestTable:
    def test_every_name_is_there_once(self):
        names = [topic.name for topic in topics.table(SMALL)]
        assert len(names) == len(set(names))
        own = """sources traces signals findings findings.dlq snapshots.assemble snapshots.detect snapshots.respond
            snapshots.sinks incidents incident-events anomalies notices status notifications noise topology templates
            commands commands.dlq"""
        assert set(names) == {f"{r}{dlq}" for r in "mlsc" for dlq in ("", ".dlq")} | {
            f"p.{name}" for name in own.split()
        }

    def test_a_stage_has_a_partition_of_snapshots_for_each_that_it_reads(self):
        found = by_name()
        for stage, read in (("assemble", "traces"), ("detect", "signals"), ("respond", "findings")):
            assert found[f"p.snapshots.{stage}"].partitions == found[f"p.{read}"].partitions == NUMBERS[f"p.{read}"]

    def test_what_is_compacted_has_no_retention_and_the_rest_that_of_the_configuration(self):
        retention = Retention(internal=2 * HOUR, findings=3 * HOUR, anomalies=4 * HOUR, public=5 * DAY, dlq=6 * HOUR)
        found = by_name(Settings(kafka=KAFKA, prefix="p", topics=Topics(retention=retention)))
        compacted = {name for name, topic in found.items() if topic.compacted}
        snapshots = {f"p.snapshots.{stage}" for stage in ("assemble", "detect", "respond", "sinks")}
        assert compacted == {"p.incidents", "p.status", "p.topology", "p.templates", "p.sources"} | snapshots
        assert not any("retention.ms" in found[name].config() for name in compacted)
        kept = {"p.traces": 2, "p.signals": 2, "p.findings": 3, "p.anomalies": 4, "p.commands": 120, "changes.dlq": 6}
        assert {name: int(found[name].config()["retention.ms"]) / 3_600_000 for name in kept} == kept

    def test_internal_messages_may_have_16_mib(self):
        for topic in topics.table(SMALL):
            if topic.kind in {"internal", "snapshots", "dlq"}:
                assert topic.config()["max.message.bytes"] == str(16 << 20)

    def test_raw_topics_are_the_brokers_but_for_compaction(self):
        assert by_name()["s"].config() == {"cleanup.policy": "delete"}

    def test_segments_end_long_before_their_records_do(self):
        for topic in topics.table(SMALL):
            if topic.retention is not None:
                assert topic.segment is not None
                assert 0 < topic.segment <= topic.retention / 24

    @pytest.mark.parametrize(("copies", "least"), [(1, "1"), (2, "1"), (3, "2")])
    def test_one_of_three_copies_may_be_lost(self, copies, least):
        for topic in topics.table(Settings(kafka=KAFKA, topics=Topics(replication=copies))):
            assert topic.replication == copies
            assert topic.config().get("min.insync.replicas", least) == least

    def test_a_role_needs_what_it_reads_and_writes(self):
        assert {t.name for t in topics.needed(SMALL, "assemble")} == {"p.traces", "p.signals", "p.snapshots.assemble"}
        assert {t.name for t in topics.needed(SMALL, "ingest")} >= {
            "m",
            "m.dlq",
            "c",
            "p.traces",
            "p.signals",
            "p.findings",
        }
        everything = {t.name for role in topics.ROLES for t in topics.needed(SMALL, role)}
        assert {t.name for t in topics.needed(SMALL, "all")} == everything

    def test_it_can_be_printed_without_a_broker(self, tmp_path, capsys):
        path = tmp_path / "a.yaml"
        path.write_text("kafka: {bootstrap.servers: 'localhost:1'}\nprefix: shop\n")
        assert main(["topics", "list", "--offline", "--config", str(path)]) == 0
        out = capsys.readouterr().out
        assert "shop.incidents" in out
        assert len(out.splitlines()) == 1 + len(topics.table(Settings(kafka=KAFKA)))


class TestDifferences:
    def differences(self, topic, config=None, partitions=None, copies=1):
        is_ = {**topic.config(), **(config or {})}
        return list(_differences(topic, Found("id", partitions or topic.partitions, copies), is_))

    def test_a_topic_as_the_table_says_has_none(self):
        for topic in topics.table(SMALL):
            assert not self.differences(topic)

    def test_another_number_of_partitions_is_fatal_where_records_are_routed_by_it(self):
        found = by_name()
        (difference,) = self.differences(found["p.traces"], partitions=4)
        assert difference.fatal
        assert difference.text == "has 4 partitions, the configuration says 3"
        assert [d.fatal for d in self.differences(found["p.anomalies"], partitions=9)] == [False]
        assert not self.differences(found["s"], partitions=9)

    @pytest.mark.parametrize("policy", ["compact", "compact,delete"])
    def test_a_log_that_is_compacted_is_fatal(self, policy):
        for name in ("p.findings", "p.findings.dlq", "s"):
            (difference,) = self.differences(by_name()[name], {"cleanup.policy": policy})
            assert difference.fatal
            assert policy in difference.text

    def test_snapshots_that_are_deleted_after_a_time_are_fatal(self):
        (difference,) = self.differences(by_name()["p.snapshots.detect"], {"cleanup.policy": "delete"})
        assert difference.fatal

    def test_messages_may_be_larger_than_needed_but_not_smaller(self):
        topic = by_name()["p.signals"]
        assert not self.differences(topic, {"max.message.bytes": str(32 << 20)})
        (difference,) = self.differences(topic, {"max.message.bytes": str(1 << 20)})
        assert difference.fatal
        assert "max.message.bytes=16777216" in difference.mend

    def test_another_retention_is_told_and_not_fatal(self):
        (difference,) = self.differences(by_name()["p.signals"], {"retention.ms": "1000"})
        assert not difference.fatal
        assert "retention.ms=172800000" in difference.mend

    def test_numbers_are_compared_as_numbers(self):
        assert not self.differences(by_name()["p.snapshots.detect"], {"min.cleanable.dirty.ratio": "0.10"})


class TestSources:
    def test_each_topic_waits_for_what_feeds_it(self):
        assert source_sets(SMALL, NUMBERS) == {
            "traces": ["l/0", "s/0", "s/1"],
            "signals": ["l/0", "m/0", "m/1", "p.traces/0", "p.traces/1", "p.traces/2", "s/0", "s/1"],
            "findings": ["c/0", "p.commands/0", "p.commands/1", "p.signals/0", "p.signals/1"],
        }

    def test_without_traces_and_logs_nobody_waits_for_assemble(self):
        settings = Settings(kafka=KAFKA, prefix="p", raw=[RawTopic("m", "metrics")])
        sets = source_sets(settings, NUMBERS)
        assert (sets["traces"], sets["signals"]) == ([], ["m/0", "m/1"])
        assert sets["findings"] == ["p.commands/0", "p.commands/1", "p.signals/0", "p.signals/1"]

    @given(st.lists(st.text(max_size=5)), st.integers(0, 1 << 40))
    def test_a_record_says_the_set_whatever_its_order(self, sources, generation):
        headers, value = sources_record(sources, generation)
        assert headers == [("kind", b"sources"), ("v", b"1")]
        assert decode_sources(value) == (sorted(set(sources)), generation)
        assert sources_record(sources[::-1], generation) == (headers, value)

    @given(st.binary(max_size=40))
    def test_other_bytes_are_refused(self, value):
        try:
            sources, _ = decode_sources(value)
        except Refused:
            return
        assert sources == sorted(set(sources))

    def test_a_set_that_names_a_source_twice_is_refused(self):
        value = sources_record(["a", "b"], 1)[1].replace(b"\xa1b", b"\xa1a")
        with pytest.raises(Refused, match="each once"):
            decode_sources(value)

    def test_a_partition_is_told_again_where_its_record_is_gone(self):
        found = {f"p.{name}": Found(f"id-{name}", 2, 1) for name in ("traces", "signals", "findings")}
        ends = {(topic, p): (0, 9) for topic in found for p in range(2)}
        told = {name: Told(f"id-{name}", [3, 8]) for name in ("traces", "signals", "findings")}
        state = State(1, {}, told)
        assert not untold(SMALL, state, found, ends)
        assert untold(SMALL, state, found, {**ends, ("p.traces", 0): (4, 9)}) == ["p.traces/0"]  # deleted up to there
        assert untold(SMALL, state, found, {**ends, ("p.signals", 1): (0, 8)}) == ["p.signals/1"]  # lost
        anew = {**found, "p.findings": Found("another", 2, 1)}
        assert untold(SMALL, state, anew, ends) == ["p.findings/0", "p.findings/1"]
        grown = {**found, "p.traces": Found("id-traces", 3, 1)}
        assert untold(SMALL, state, grown, {**ends, ("p.traces", 2): (0, 0)}) == ["p.traces/2"]
        assert len(untold(SMALL, State(1, {}), found, ends)) == 6  # a run that was cut off


class TestRights:
    def test_on_call_reads_incidents_and_nothing_else(self):
        found = [right[1:] for right in rights(SMALL) if right.user == "oncall"]
        assert found == [("topic", "literal", "p.incidents", "READ"), ("group", "prefixed", "oncall-", "READ")]

    def test_a_producer_writes_raw_topics_and_nothing_else(self):
        found = {right[1:] for right in rights(SMALL) if right.user == "producer"}
        assert found == {("topic", "literal", name, "WRITE") for name in "mlsc"}

    def test_a_worker_creates_and_alters_nothing_and_writes_no_raw_topic(self):
        worker = {(right.name, right.operation) for right in rights(SMALL) if right.user == "worker"}
        assert {operation for _, operation in worker} == {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}
        assert not {(name, "WRITE") for name in "mlsc"} & worker
        assert {(name, "READ") for name in "mlsc"} <= worker
        assert ("p.commands", "READ") in worker
        assert ("p.commands", "WRITE") not in worker

    def test_nobody_has_a_right_to_topics_that_the_table_does_not_name(self):
        names = set(by_name())
        for right in rights(SMALL):
            assert right.resource == "group" or (right.pattern == "literal" and right.name in names)

    def test_each_becomes_one_binding_of_those_users_who_are_named(self):
        everybody = {user: f"User:{user}" for user in USERS}
        assert len(bindings(rights(SMALL), everybody)) == len(rights(SMALL))
        found = bindings(rights(SMALL), {"oncall": "User:eve"})
        assert [(b.name, b.principal, b.operation) for b in found] == [
            ("p.incidents", "User:eve", AclOperation.READ), ("oncall-", "User:eve", AclOperation.READ),
        ]  # fmt: skip

    def test_each_is_printed_as_an_argument_of_kafkas_own_command(self):
        lines = script(rights(SMALL), {"oncall": "User:eve"}, "k:1")
        begins = "kafka-acls.sh --bootstrap-server k:1 --add --allow-principal User:eve --operation READ"
        assert lines == [
            f"{begins} --topic p.incidents --resource-pattern-type literal",
            f"{begins} --group oncall- --resource-pattern-type prefixed",
        ]

    @pytest.mark.parametrize("text", ["admin=User:a", "worker=a", "worker"])
    def test_who_is_no_such_user_is_refused(self, capsys, text):
        with pytest.raises(SystemExit) as ended:
            main(["topics", "acls", "--config", "x", "--principal", text])
        assert ended.value.code == 2
        assert "USER=TYPE:NAME" in capsys.readouterr().err
