"""Settings: what a file may say, what it comes to, and how it is refused."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.config import EngineConfig
from aiops.errors import UserError
from aiops.identity import DEFAULT_KEY
from aiops.incidents.lifecycle import Policy
from streams import durations, settings_docs
from streams.cli import main
from streams.settings import RawTopic, Settings, faust_broker, load
from streams.settings_clients import client_error

ROOT = Path(__file__).resolve().parents[2]
SECOND = durations.UNITS["s"]
KAFKA = {"bootstrap.servers": "localhost:9092"}
MINIMAL = "kafka: {bootstrap.servers: 'localhost:9092'}\n"


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
            ("clocks: [1]", "clocks: names with values are expected"),
            ("raw: {topic: a}", "raw: a list is expected"),
            ("raw: []", "raw: at least one topic"),
            ("raw: [{topic: a}]", "raw[0]: signal is required"),
            ("raw: [{topic: a b, signal: logs}]", "raw[0].topic: 'a b' is no name of a topic"),
            ("raw: [{topic: aiops.x, signal: logs}]", "begins with the prefix of the engine's own topics"),
            ("raw: [{topic: a, signal: logs}, {topic: a.dlq, signal: logs}]", "raw[1].topic: 'a.dlq' is there twice"),
            ("raw: [{topic: a, signal: changes, encoding: otlp_json}]", "changes are JSON"),
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


class TestClients:
    def test_consumers_and_producers_get_what_exactness_needs(self):
        settings = Settings(kafka=KAFKA)
        consumer, producer = settings.consumer_properties("g"), settings.producer_properties()
        needed = {
            "group.id": "g", "enable.auto.commit": "false", "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky", "group.protocol": "classic",
        }  # fmt: skip
        assert needed.items() <= consumer.items()
        needed = {
            "acks": "all",
            "enable.idempotence": "true",
            "partitioner": "murmur2_random",
            "delivery.timeout.ms": "0",
        }
        assert needed.items() <= producer.items()
        assert producer["message.max.bytes"] == str(16 << 20)

    def test_properties_of_a_section_go_over_those_of_all_and_over_defaults(self):
        settings = Settings(
            kafka={**KAFKA, "client.id": "all", "queue.buffering.max.ms": "7"},
            consumer={"client.id": "mine", "session.timeout.ms": "6000", "isolation.level": "read_committed"},
        )
        consumer, producer = settings.consumer_properties("g"), settings.producer_properties()
        assert (consumer["client.id"], producer["client.id"]) == ("mine", "all")
        assert (consumer["session.timeout.ms"], consumer["isolation.level"]) == ("6000", "read_committed")
        assert producer["linger.ms"] == "7"
        assert "queue.buffering.max.ms" not in producer

    @pytest.mark.parametrize(
        ("section", "name", "value"),
        [
            ("consumer", "enable.auto.commit", "true"),
            ("consumer", "auto.commit.enable", "true"),
            ("consumer", "auto.offset.reset", "latest"),
            ("consumer", "partition.assignment.strategy", "range"),
            ("consumer", "group.protocol", "consumer"),
            ("consumer", "group.id", "mine"),
            ("kafka", "group.id", "mine"),
            ("kafka", "acks", "1"),
            ("producer", "acks", "1"),
            ("producer", "request.required.acks", "0"),
            ("producer", "enable.idempotence", "False"),
            ("producer", "partitioner", "random"),
            ("producer", "transactional.id", "t"),
            ("producer", "delivery.report.only.error", "true"),
            ("kafka", "plugin.library.paths", "evil.so"),
            ("kafka", "error_cb", "print"),
            ("consumer", "bootstrap.servers", "other:1"),
        ],
    )
    def test_a_property_that_would_break_exactness_is_refused_by_name(self, section, name, value):
        given: dict[str, Any] = {"kafka": dict(KAFKA)}
        given.setdefault(section, {})[name] = value
        with pytest.raises(UserError, match=rf"^{section}\.{name} .*|^{section}\.{name}: "):
            Settings(**given)

    def test_a_property_that_says_what_is_needed_anyway_is_no_error(self):
        Settings(
            kafka=KAFKA,
            producer={"acks": "-1", "enable.idempotence": "True"},
            consumer={"auto.offset.reset": "smallest"},
        )

    def test_one_property_under_two_names_is_refused(self):
        with pytest.raises(
            UserError, match=r"producer\.queue\.buffering\.max\.ms is another name of producer\.linger\.ms"
        ):
            Settings(kafka=KAFKA, producer={"linger.ms": "1", "queue.buffering.max.ms": "2"})

    def test_what_a_client_refuses_is_one_error_without_secrets(self):
        from confluent_kafka import Producer

        properties = {**KAFKA, "sesion.timeout.ms": "1", "sasl.password": "hunter2"}
        said = r"no property 'sesion\.timeout\.ms'; did you mean 'session\.timeout\.ms'"
        with pytest.raises(UserError, match=said), client_error(properties):
            Producer(properties)
        properties = {**KAFKA, "linger.ms": "soon"}
        with (
            pytest.raises(UserError, match=r"'soon' is no value of the property 'linger\.ms'"),
            client_error(properties),
        ):
            Producer(properties)
        with pytest.raises(UserError) as raised, client_error({"sasl.password": "hunter2"}):
            raise ValueError("cannot log in with hunter2")
        assert "hunter2" not in str(raised.value)


class TestSecrets:
    def test_no_repr_shows_one(self):
        secret = dict.fromkeys(("sasl.password", "ssl.key.pem", "ssl.key.password", "sasl.jaas.config"), "hunter2")
        settings = Settings(kafka={**KAFKA, **secret}, identity_key=424242)
        for shown in (settings, settings.kafka, settings.consumer_properties("g"), settings.admin_properties()):
            assert "hunter2" not in repr(shown)
        assert "424242" not in repr(settings)
        assert settings.admin_properties()["sasl.password"] == "hunter2"

    def test_paths_are_no_secrets(self):
        assert "/etc/key.pem" in repr(Settings(kafka={**KAFKA, "ssl.key.location": "/etc/key.pem"}))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -days 2 -subj /CN=test -passout pass:hunter2 -keyout key.pem -out ca.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True, cwd=folder)
    return folder


class TestFaust:
    def test_without_security_there_are_addresses_only(self):
        settings = Settings(kafka={"bootstrap.servers": "a:1, b, [::1]:3,[::2]"})
        urls = ["kafka://a:1", "kafka://b:9092", "kafka://[::1]:3", "kafka://[::2]:9092"]
        assert faust_broker(settings) == (urls, None)

    def test_tls_and_passwords_are_translated(self, certificate):
        kafka = {
            **KAFKA, "security.protocol": "sasl_ssl", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "me",
            "sasl.password": "hunter2", "ssl.ca.location": str(certificate / "ca.pem"),
            "ssl.certificate.location": str(certificate / "ca.pem"), "ssl.key.location": str(certificate / "key.pem"),
            "ssl.key.password": "hunter2",
        }  # fmt: skip
        _, credentials = faust_broker(Settings(kafka=kafka))
        assert (credentials.username, credentials.password) == ("me", "hunter2")
        assert (credentials.mechanism.value, credentials.protocol.value) == ("SCRAM-SHA-512", "SASL_SSL")
        assert credentials.ssl_context.check_hostname
        assert credentials.ssl_context.verify_mode == ssl.CERT_REQUIRED
        assert len(credentials.ssl_context.get_ca_certs()) == 1
        wrong = Settings(kafka={**kafka, "ssl.key.password": "wrong"})
        with pytest.raises(UserError, match=r"kafka\.ssl\.certificate\.location: .*ca\.pem with the key in"):
            faust_broker(wrong)

    def test_tls_without_the_names_of_hosts_and_without_a_password(self, certificate):
        kafka = {**KAFKA, "security.protocol": "SSL", "ssl.ca.pem": (certificate / "ca.pem").read_text()}
        _, credentials = faust_broker(Settings(kafka={**kafka, "ssl.endpoint.identification.algorithm": "none"}))
        assert not credentials.context.check_hostname
        assert credentials.context.verify_mode == ssl.CERT_REQUIRED
        _, credentials = faust_broker(Settings(kafka={**kafka, "enable.ssl.certificate.verification": "false"}))
        assert credentials.context.verify_mode == ssl.CERT_NONE

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI"}, "kafka.sasl.mechanism: 'GSSAPI'"),
            ({"security.protocol": "SASL_PLAINTEXT"}, "kafka.sasl.mechanism: 'GSSAPI'"),
            ({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}, "kafka.sasl.username is required"),
            (
                {"security.protocol": "SSL", "ssl.keystore.location": "x"},
                "kafka.ssl.keystore.location is not known to Faust",
            ),
            (
                {"security.protocol": "SSL", "ssl.ca.location": "/nowhere"},
                "kafka.ssl.ca.location: /nowhere: No such file",
            ),
            ({"security.protocol": "SSL", "ssl.key.location": "x"}, "given without ssl.certificate.location"),
            ({"sasl.password": "x"}, "kafka.sasl.password means nothing with security.protocol PLAINTEXT"),
            ({"security.protocol": "TLS"}, "kafka.security.protocol: 'TLS'"),
            ({"bootstrap.servers": "SSL://a:1"}, "kafka.bootstrap.servers: 'SSL://a:1'"),
        ],
    )
    def test_what_faust_cannot_honour_is_refused_by_name(self, given, said):
        with pytest.raises(UserError) as raised:
            faust_broker(Settings(kafka={**KAFKA, **given}))
        assert said in str(raised.value)

    def test_a_user_of_consumers_only_is_refused(self):
        with pytest.raises(UserError, match=r"consumer\.sasl\.username: all clients of Faust"):
            faust_broker(Settings(kafka=KAFKA, consumer={"sasl.username": "other"}))


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path):
        def file(text):
            path = tmp_path / "aiops.yaml"
            path.write_text(text)
            return str(path)

        return file

    def test_check_says_that_all_is_right_and_which_defaults_count(self, file, capsys, monkeypatch):
        monkeypatch.delenv("AIOPS_TENANT", raising=False)
        assert main(["config", "check", file(MINIMAL + "tenant: ${AIOPS_TENANT:-default}")]) == 0
        out, err = capsys.readouterr()
        assert EngineConfig().digest() in out
        assert "AIOPS_TENANT is not set" in err

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("consumer: {sesion.timeout.ms: 1}", "librdkafka has no property 'sesion.timeout.ms'"),
            ("producer: {linger.ms: soon}", "'soon' is no value of the property 'linger.ms'"),
            ("tennant: a", "did you mean tenant?"),
        ],
    )
    def test_check_ends_with_2_and_one_line(self, file, capsys, text, said):
        assert main(["config", "check", file(MINIMAL + text)]) == 2
        out, err = capsys.readouterr()
        assert said in err
        assert (out, err.count("\n")) == ("", 1)

    def test_check_asks_faust_as_well(self, file, capsys):
        assert (
            main(["config", "check", file(MINIMAL.replace("}", ", security.protocol: ssl, ssl.cipher.suites: AES}"))])
            == 2
        )
        assert "kafka.ssl.cipher.suites is not known to Faust" in capsys.readouterr().err

    def test_show_prints_all_settings_without_secrets(self, file, capsys):
        text = MINIMAL.replace("}", ", sasl.password: hunter2}") + "clocks: {idle_after: never}\nidentity_key: 424242\n"
        assert main(["config", "show", file(text)]) == 0
        out = capsys.readouterr().out
        assert "hunter2" not in out
        assert "424242" not in out
        shown = yaml.safe_load(out)
        assert shown["clocks"] == {"idle_after": "never", "tick_every": "10s", "hold_limit": "5min"}
        assert shown["kafka"] == {"bootstrap.servers": "localhost:9092", "sasl.password": "***"}
        assert shown["engine"]["policy"]["confirm"] == "30s"

    def test_what_show_prints_is_a_configuration_with_the_same_meaning(self, file, capsys):
        assert main(["config", "show", file(MINIMAL + "topics: {partitions: {raw: 9}}")]) == 0
        out = capsys.readouterr().out
        again = load(file(out.replace("identity_key: '***'\n", "")))
        assert again == load(file(MINIMAL + "topics: {partitions: {raw: 9}}"))

    def test_show_all_adds_the_properties_of_clients(self, file, capsys):
        assert main(["config", "show", "--all", file(MINIMAL.replace("}", ", sasl.password: hunter2}"))]) == 0
        out = capsys.readouterr().out
        assert "hunter2" not in out
        _, clients = yaml.safe_load_all(out)
        assert clients["producer"]["acks"] == "all"


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
