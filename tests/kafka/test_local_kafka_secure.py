"""The local broker with TLS, passwords and access control: whom it lets do what, and who sees its secrets."""

from __future__ import annotations

import stat
import subprocess

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from aiops.errors import UserError
from streams.local_kafka_cluster import draw
from tests.kafka.topics import WAIT, anew, create, refusal, send, values_of
from tests.kafka.waiting import until


def told(client, topic):
    """Return what a client that wants to write is told, also where it does not get as far as the topic."""
    said = []
    producer = Producer(client | {"error_cb": lambda error: said.append(error.str()), "delivery.timeout.ms": 2000})
    producer.produce(topic, b"x", on_delivery=lambda error, _: said.append(error.str() if error else "written"))
    producer.flush(10)
    return " / ".join(said)


@pytest.fixture(scope="module")
def topic(secure_kafka):
    create(secure_kafka.client("admin"), "not-granted")
    return "not-granted"


def test_the_right_password_writes(secure_kafka, topic):
    assert refusal(secure_kafka.client("admin"), topic) is None


def test_a_wrong_password_is_refused(secure_kafka, topic):
    assert "Authentication failed" in told(secure_kafka.client("admin") | {"sasl.password": "guessed"}, topic)


def test_a_broker_of_another_authority_is_refused(secure_kafka, topic, tmp_path):
    other = tmp_path / "other.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run(
        [*make, "-subj", "/CN=other", "-keyout", tmp_path / "key", "-out", other], check=True, capture_output=True
    )
    assert "certificate verify failed" in told(secure_kafka.client("admin") | {"ssl.ca.location": str(other)}, topic)


def test_a_client_without_tls_is_refused(secure_kafka, topic):
    plain = {"bootstrap.servers": secure_kafka.bootstrap}
    assert "written" not in told(plain, topic)


def test_a_user_without_an_entry_for_a_topic_is_refused(secure_kafka, topic):
    assert "Topic authorization failed" in str(refusal(secure_kafka.client("oncall"), topic))


def test_worker_may_write_incidents_and_oncall_may_only_read_them(secure_kafka):
    secure_kafka.grant()
    secure_kafka.grant()
    anew(secure_kafka.client("admin"), "aiops.incidents")
    worker, refused = secure_kafka.client("worker"), list[object]()

    def written():
        refused[:] = send(worker, "aiops.incidents", [b"incident"])
        return not refused

    until(written, WAIT, why=lambda: refused)  # rights take a moment to reach the broker
    oncall = secure_kafka.client("oncall")
    assert values_of(oncall | {"group.id": "oncall-1"}, "aiops.incidents") == [b"incident"]
    assert "Topic authorization failed" in str(refusal(oncall, "aiops.incidents"))
    assert set(AdminClient(oncall).list_topics(timeout=WAIT).topics) == {"aiops.incidents"}


def test_passwords_are_drawn_for_each_cluster():
    assert len({password for _ in range(2) for password in draw(1, True, None).passwords.values()}) == 6


def test_only_the_owner_can_read_the_secrets_and_no_process_shows_them(secure_kafka):
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


def test_an_unknown_user_is_an_error(secure_kafka):
    with pytest.raises(UserError, match="no user 'boss': the users of a local cluster are admin, worker, oncall"):
        secure_kafka.client("boss")
