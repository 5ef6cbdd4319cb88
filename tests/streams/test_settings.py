"""Settings: what a file may say, what it comes to, and how it is refused; the tables of the documents."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from aiops.config import EngineConfig
from aiops.errors import UserError
from aiops.identity import DEFAULT_KEY
from aiops.incidents.lifecycle import Policy
from streams import durations, settings_docs
from streams.settings import RawTopic, Settings, load
from tests.streams.configured import KAFKA, MINIMAL

ROOT = Path(__file__).resolve().parents[2]
SECOND = durations.UNITS["s"]


@pytest.fixture
def read(tmp_path):
    def read(text, environment=None):
        path = tmp_path / "aiops.yaml"
        path.write_text(text)
        return load(path, environment or {})

    return read


@pytest.fixture
def refused(read):
    def refused(text, environment=None):
        with pytest.raises(UserError) as raised:
            read(text, environment)
        return str(raised.value)

    return refused


class TestDefaults:
    def test_a_file_that_names_a_broker_is_enough(self, read):
        settings = read(MINIMAL)
        assert settings == Settings(kafka=KAFKA)
        assert [(r.topic, r.signal) for r in settings.raw] == [
            ("otlp_metrics", "metrics"), ("otlp_logs", "logs"), ("otlp_spans", "traces"), ("changes", "changes"),
            ("alerts", "alerts"),
        ]  # fmt: skip
        assert (settings.http.port, settings.logging.format, settings.tenant) == (9464, "json", "default")
        assert settings.clocks.idle_after == 30 * SECOND

    def test_the_engine_is_that_of_a_replay(self, read):
        assert read(MINIMAL + "engine: {}\n").engine_config() == EngineConfig()
        assert read(MINIMAL).engine_config().digest() == EngineConfig().digest()

    def test_a_section_with_nothing_but_comments_has_its_defaults(self, read):
        assert read(MINIMAL + "topics:\n  # partitions: {raw: 8}\nclocks:\n") == Settings(kafka=KAFKA)

    def test_the_layout_is_that_of_the_topics(self, read):
        layout = read(MINIMAL + "prefix: shop\ntopics: {partitions: {traces: 3, signals: 5, findings: 1}}\n").layout()
        assert (layout.traces, layout.signals, layout.findings, layout.key) == (3, 5, 1, DEFAULT_KEY)
        assert layout.topic("signals") == "shop.signals"


class TestValues:
    @pytest.mark.parametrize(
        ("text", "ns"),
        [
            ("250ms", 250_000_000),
            ("30s", 30 * SECOND),
            ("1.5h", 5400 * SECOND),
            ("5min", 300 * SECOND),
            ("7d", 604800 * SECOND),
        ],
    )
    def test_durations_have_units(self, text, ns):
        assert durations.parse(text) == ns
        assert durations.parse(durations.text(ns)) == ns

    @pytest.mark.parametrize("text", ["30", "30 parsecs", "-5s", "", "s", "0.3ns", "1e3s", "99999999d", "never"])
    def test_what_is_no_duration_is_refused(self, text):
        with pytest.raises(ValueError, match=r"duration|longer|whole"):
            durations.parse(text)

    def test_never_is_a_duration_only_where_it_may_be(self, read, refused):
        assert read(MINIMAL + "clocks: {idle_after: never, hold_limit: never}").clocks.idle_after is None
        assert "line 2: clocks.tick_every: 'never' is no duration" in refused(MINIMAL + "clocks: {tick_every: never}")

    def test_the_engines_policies_are_written_in_units(self, read):
        settings = read(MINIMAL + "engine: {policy: {confirm: 45s, open: 6}, weights: {change: 2}, drain: 20min}")
        config = settings.engine_config()
        assert (config.policy.confirm, config.policy.open) == (45 * SECOND, 6.0)
        assert (config.weights.change, config.drain) == (2.0, 1200 * SECOND)
        assert config.digest() != EngineConfig().digest()

    def test_properties_and_texts_stay_as_they_are_written(self, read):
        settings = read(
            "kafka: {bootstrap.servers: 'a:1', sasl.password: 0123, socket.keepalive.enable: yes}\ntenant: 007"
        )
        assert settings.kafka["sasl.password"] == "0123"
        assert settings.kafka["socket.keepalive.enable"] == "yes"
        assert settings.tenant == "007"

    def test_a_key_is_a_number_in_any_way_of_writing(self, read, refused):
        assert read(MINIMAL + "identity_key: 0xff").identity_key == 255
        assert read(MINIMAL + "identity_key: '17'").engine_config().identity_key == 17
        assert "identity_key: a whole number" in refused(MINIMAL + "identity_key: deadbeef")
        assert "64 bits" in refused(MINIMAL + "identity_key: 0x1ffffffffffffffff")

    def test_other_topics_may_be_read(self, read):
        settings = read(MINIMAL + "raw: [{topic: spans, signal: traces, encoding: otlp_proto}]")
        assert settings.raw == [RawTopic("spans", "traces", "otlp_proto")]


class TestEnvironment:
    def test_variables_are_filled_into_values(self, read):
        text = "kafka: {bootstrap.servers: '${HOST}:${PORT:-9092}', sasl.password: '${PW}'}\nhttp: {port: '${HTTP}'}"
        settings = read(text, {"HOST": "k1", "PW": "a: b # c", "HTTP": "80"})
        assert settings.kafka["bootstrap.servers"] == "k1:9092"
        assert settings.kafka["sasl.password"] == "a: b # c"
        assert settings.http.port == 80

    def test_an_empty_variable_counts_as_not_set_where_there_is_a_default(self, read):
        assert read(MINIMAL + "tenant: ${T:-mine}", {"T": ""}).tenant == "mine"

    def test_two_dollar_signs_are_one(self, read):
        assert read(MINIMAL + "tenant: a$$b$${C}").tenant == "a$b${C}"

    def test_a_variable_that_is_not_set_is_an_error_with_its_name(self, refused):
        said = refused(MINIMAL + "tenant: ${TENANT}\nprefix: ${P}")
        assert "line 2: tenant: the environment variable TENANT is not set" in said
        assert "line 3: prefix: the environment variable P is not set" in said

    @pytest.mark.parametrize("text", ["$HOME", "${}", "${A", "${A-b}", "$"])
    def test_other_dollar_signs_are_refused_without_showing_the_value(self, refused, text):
        said = refused(MINIMAL.replace("}", f", sasl.password: 'hunter{text}'}}"), {"HOME": "x"})
        assert "kafka.sasl.password: a dollar sign begins ${NAME}" in said
        assert "hunter" not in said

    def test_names_are_no_values(self, refused):
        assert "no such setting" in refused(MINIMAL + "${A}: 1", {"A": "tenant"})


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "topics: {partitons: {raw: 2}}",
                "line 2: topics.partitons: no such setting; did you mean topics.partitions?",
            ),
            ("partitions: {raw: 2}", "did you mean topics.partitions?"),
            ("engine: {policy: {opne: 2}}", "engine.policy.opne: no such setting; did you mean engine.policy.open?"),
            ("sasl.username: me", "properties of librdkafka stand under kafka"),
            ("zzz: 1", "zzz: no such setting; there are kafka, consumer"),
            ("tenant: a\ntenant: b", "line 3: tenant: is there twice"),
            ("http: {port: eighty}", "line 2: http.port: expected `int`, got `str`"),
            ("http: {port: '80'}", "http.port: expected `int`, got `str`"),
            ("http: {port: 70000}", "http.port: expected `int` <= 65535"),
            ("http: {port: true}", "http.port: expected `int`, got `bool`"),
            ("topics: {partitions: {raw: 0}}", "topics.partitions.raw: expected `int` >= 1"),
            ("logging: {level: loud}", "logging.level: invalid enum value 'loud'"),
            ("clocks: {idle_after: 30}", "clocks.idle_after: '30' is no duration"),
            ("clocks: {idle_after: 0s}", "clocks.idle_after: 0s is too short"),
            ("clocks: {hold_limit: 40s}", "clocks.hold_limit: not longer than idle_after and tick_every together"),
            ("clocks: [1]", "clocks: names with values are expected"),
            ("raw: {topic: a}", "raw: a list is expected"),
            ("raw: []", "raw: at least one topic"),
            ("raw: [{topic: a}]", "raw[0]: signal is required"),
            ("raw: [{topic: a b, signal: logs}]", "raw[0].topic: 'a b' is no name of a topic"),
            ("raw: [{topic: aiops.x, signal: logs}]", "begins with the prefix of the engine's own topics"),
            ("raw: [{topic: a, signal: logs}, {topic: a.dlq, signal: logs}]", "raw[1].topic: 'a.dlq' is there twice"),
            ("raw: [{topic: a, signal: changes, encoding: otlp_json}]", "changes are JSON"),
            ("raw: [{topic: a, signal: alerts, encoding: otlp_json}]", "alerts are JSON"),
            ("raw: [{topic: a, signal: commands}]", "commands come on aiops.commands, which is always read"),
            ("prefix: a/b", "prefix: 'a/b'"),
            ("consumer: {sasl: {password: x}}", "consumer.sasl: a value is expected"),
            ("consumer: {client.id: }", "consumer.client.id: a value is expected"),
            ("engine: {policy: {open: .nan}}", "engine.policy.open: a finite number"),
            ("engine: {policy: {hold: 2}}", "engine.policy.hold: a share"),
            ("engine: {policy: {close: 9}}", "engine.policy.close: greater than open"),
            ("engine: {weights: {own: -1}}", "engine.weights.own: -1 is below 0"),
            ("topics: {retention: {internal: 5min}}", "topics.retention.internal: at least 1h"),
            ("x: &a 1\ny: *a", "aliases (*name) are not supported"),
        ],
    )
    def test_each_is_one_error_that_names_the_setting(self, refused, text, said):
        assert said in refused(MINIMAL + text)

    def test_a_broker_is_required(self, refused):
        assert "kafka is required" in refused("tenant: a")
        assert "kafka.bootstrap.servers is required" in refused("kafka: {client.id: a}")
        assert "kafka" in refused("")

    def test_a_broken_file_is_told_by_its_place_and_not_quoted(self, refused):
        said = refused('kafka:\n  sasl.password: "hunter2\n')
        assert "line 3, column 1" in said
        assert "hunter2" not in said

    def test_a_file_that_is_not_there_or_no_text_is_named(self, tmp_path):
        with pytest.raises(UserError, match=r"nowhere\.yaml: No such file"):
            load(tmp_path / "nowhere.yaml")
        (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UserError, match=r"bytes\.yaml: not UTF-8"):
            load(tmp_path / "bytes.yaml")

    def test_every_setting_of_the_engine_can_be_set(self, read):
        for field in fields(Policy):
            value = "1s" if isinstance(field.default, int) else "0.25"
            settings = read(
                MINIMAL + f"engine: {{policy: {{close: 0, {field.name}: {value}}}}}".replace("close: 0, close", "close")
            )
            assert getattr(settings.engine_config().policy, field.name) == (SECOND if value == "1s" else 0.25)


def test_the_tables_of_the_documents_are_current():
    assert not settings_docs.stale(ROOT / "docs"), "run python -m streams.settings_docs"


def test_a_stale_table_is_found_and_written_anew(tmp_path):
    for name in ("configuration.md", "topics.md"):
        (tmp_path / name).write_text(
            (ROOT / "docs" / name).read_text().replace("9464", "9465").replace("16 MiB", "17 MiB")
        )
    assert settings_docs.main([str(tmp_path), "--check"]) == 1
    assert settings_docs.main([str(tmp_path)]) == 0
    assert settings_docs.main([str(tmp_path), "--check"]) == 0
    assert (tmp_path / "topics.md").read_text() == (ROOT / "docs" / "topics.md").read_text()
