"""What clients of Kafka get of the settings: librdkafka's consumers and producers, and Faust; secrets stay hidden."""

from __future__ import annotations

import ssl
import subprocess
from typing import Any

import pytest

from aiops.errors import UserError
from streams.settings import Settings, faust_broker
from streams.settings_clients import client_error
from tests.streams.configured import KAFKA


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

    @pytest.mark.parametrize("name", ["message.max.bytes", "queue.buffering.max.kbytes"])
    def test_a_client_must_take_the_largest_record(self, name):
        with pytest.raises(UserError, match=rf"producer\.{name} must be \d+ at least"):
            Settings(kafka=KAFKA, producer={name: "16383"})
        assert Settings(kafka=KAFKA, producer={name: "67108864"}).producer_properties()[name] == "67108864"

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
