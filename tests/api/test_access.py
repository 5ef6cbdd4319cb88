"""Who may do what, and what is refused however it is asked."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from streams.api import guards, openapi
from streams.api.app import OPERATIONS
from streams.api.tokens import Token, Tokens, digest, new, problems
from streams.console import files
from tests.api.conftest import OPERATOR, READER
from tests.history import said

INCIDENT = f"/api/v1/incidents/{said.name(12)}"
COMMANDS = f"{INCIDENT}/commands"
PATHS = [
    (o.method, (openapi.BASE + o.path).format(incident_id=said.name(12), anomaly_id=said.name(1003)))
    for o in OPERATIONS
]
OTHERS = [("GET", "/api/v1/events"), ("GET", "/api/v1/openapi.json")]


WRONG = (
    None, "", "Bearer", "Bearer ", "Bearer x", f"bearer {OPERATOR}", f"Basic {OPERATOR}", f"Bearer {OPERATOR} ",
    f"Bearer {OPERATOR}x", f"Bearer {OPERATOR[:-1]}", "Bearer ' OR 1=1 --xxxxxxxxxxxxxx",
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [*PATHS, *OTHERS])
def test_without_a_token_that_counts_there_is_nothing(anybody, method, path):
    for header in WRONG:
        answer = anybody.request(method, path, headers={} if header is None else {"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "incident_id" not in answer.text


def test_two_tokens_are_none(anybody):
    headers = [("Authorization", f"Bearer {READER}"), ("Authorization", f"Bearer {OPERATOR}")]
    assert anybody.get("/api/v1/me", headers=headers).status_code == 401


def test_health_and_the_files_of_the_page_need_no_token_and_hold_no_data(anybody):
    assert anybody.get("/healthz").text == "ok\n"
    for name in ("", *files.NAMES):
        answer = anybody.get(f"/{name}")
        assert answer.status_code == 200
        assert said.name(12) not in answer.text


def test_a_reader_reads_and_does_not_command(reader, backend):
    assert reader.get("/api/v1/me").json() == {"name": "rita", "role": "reader"}
    for path in (COMMANDS, "/api/v1/commands"):
        answer = reader.post(path, json={"command": "acknowledge", "environment": "prod"})
        assert answer.status_code == 403
    assert backend.commands == []
    assert reader.get("/api/v1/commands").json() == {"items": []}


@pytest.mark.parametrize("path", sorted({path for _, path in PATHS}))
def test_only_get_and_post_where_they_belong(operator, path):
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {m for m, p in PATHS if p == path}:
        assert operator.request(other, path).status_code == 405


class TestAttacks:
    @pytest.mark.parametrize(
        "text",
        [
            "'",
            "' OR '1'='1",
            '"; DROP TABLE incidents; --',
            "1) UNION SELECT record FROM incidents --",
            "\\",
            "%00",
            "${7*7}",
            "{{7*7}}",
            "é☃",
        ],
    )
    def test_what_would_be_sql_is_a_text(self, reader, text):
        for name in ("q", "service", "environment", "cause_service", "team", "assignee"):
            answer = reader.get("/api/v1/incidents", params={name: text})
            assert answer.status_code == 200, answer.text
            assert answer.json()["items"] == [] or name == "q"
        assert len(reader.get("/api/v1/incidents").json()["items"]) == 15

    @pytest.mark.parametrize(
        "path",
        [
            "/../pyproject.toml", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/vendor/../../files.py",
            "/static/app.js",
            "/./app.js", "/vendor//uPlot.min.css", "/app.js%00.css", "/app.js/", "//etc/passwd",
            "/\\..\\x", "/index.html?x=/../y/../../z.py",
            "/api/v1/incidents/../../../etc/passwd", "/api/v1/incidents/..%2f..%2fx", "/api/v1/incidents/%00",
            "/api/v1/incidents/a b",
            "/api/v1/incidents/" + "a" * 65,
        ],
    )  # fmt: skip
    def test_paths_lead_nowhere_else(self, operator, path):
        # As it stands: a client would tidy it up.
        answer = operator.get("http://testserver" + path)
        assert answer.status_code in (200, 404, 405, 414)
        if answer.status_code == 200:
            assert answer.content in {file.content for file in files.FILES.values()}

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=201",
            "limit=x",
            "limit=1&limit=2",
            "unknown=1",
            "state=none",
            "since=yesterday",
            "cursor=%00",
            "severity=",
            "since=",
        ],
    )
    def test_parameters_that_are_none_are_refused(self, reader, query):
        answer = reader.get(f"/api/v1/incidents?{query}")
        assert answer.status_code == 400
        assert answer.json()["detail"]

    def test_a_time_beyond_all_clocks_is_the_last_one(self, reader):
        assert reader.get("/api/v1/incidents", params={"until": "9999-12-31T23:59:59Z"}).status_code == 200
        assert reader.get("/api/v1/incidents", params={"since": "0001-01-01T00:00:00Z"}).status_code == 200

    @pytest.mark.parametrize(
        ("kind", "body", "status"),
        [
            ("text/plain", b'{"command":"acknowledge"}', 415),
            ("application/x-www-form-urlencoded", b"command=acknowledge", 415),
            ("application/json; charset=utf-16", '{"command":"acknowledge"}'.encode("utf-16"), 415),
            ("", b'{"command":"acknowledge"}', 415),
            ("application/json", b"", 400),
            ("application/json", b"{", 400),
            ("application/json", b"\xff\xfe", 400),
            ("application/json", b"[" * 40_000, 422),
            ("application/json", b"[]", 422),
            ("application/json", b'{"command":"explode"}', 422),
            ("application/json", b'{"command":"acknowledge","x":1}', 422),
            ("application/json", b'{"command":"comment","arguments":{"text":1}}', 422),
            ("application/json", b'{"command":"comment","arguments":{}}', 422),
            ("application/json", b'{"command":"maintenance","arguments":{"services":"*","for":"1h"}}', 422),
            ("application/json", b'{"command":"silence","arguments":{"for":"soon"}}', 422),
            ("application/json", b'{"command":"comment","arguments":{"text":"\\ud800"}}', 400),
            ("application/json", b'{"command":"comment","arguments":{"text":"' + b"x" * 2_001 + b'"}}', 422),
            ("application/json", b'{"command":"comment","arguments":{"text":"' + b"x" * 70_000 + b'"}}', 413),
        ],
    )  # fmt: skip
    def test_bodies_that_are_none_are_refused(self, operator, backend, kind, body, status):
        answer = operator.post(COMMANDS, content=body, headers={"Content-Type": kind})
        assert answer.status_code == status, answer.text
        assert backend.commands == []

    def test_a_body_without_a_length_is_read_no_further_than_allowed(self, operator, backend):
        def parts():
            for _ in range(200):
                yield b" " * 1_000

        answer = operator.post(COMMANDS, content=parts(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert backend.commands == []

    def test_too_long_an_address_and_too_many_headers_are_refused(self, reader):
        assert reader.get("/api/v1/incidents?q=" + "x" * 5_000).status_code == 414
        assert reader.get("/api/v1/me", headers={f"X-{n}": "1" for n in range(150)}).status_code == 431

    def test_who_calls_is_who_connects_and_no_header(self, operator):
        headers = {
            "X-Forwarded-For": "6.6.6.6",
            "Forwarded": "for=6.6.6.6",
            "X-HTTP-Method-Override": "DELETE",
            "Host": "evil.example",
        }
        assert operator.post(COMMANDS, json={"command": "acknowledge"}, headers=headers).status_code == 202
        (audited,) = operator.get("/api/v1/commands").json()["items"]
        assert audited["client"] == "testclient"

    def test_the_author_is_that_of_the_token_whatever_the_body_says(self, operator, backend):
        answer = operator.post(COMMANDS, json={"command": "acknowledge", "author": "root"})
        assert answer.status_code == 422
        operator.post(COMMANDS, json={"command": "acknowledge", "arguments": {"author": "root"}})
        assert [command.author for command in backend.commands] == ["olaf"]

    def test_every_answer_tells_the_browser_to_trust_nobody_else(self, operator):
        for path in ("/", "/healthz", "/api/v1/me", "/nothing", "/api/v1/incidents?limit=0", "/?" + "x" * 9_000):
            headers = operator.get(path).headers
            assert headers["content-security-policy"] == guards.CONTENT_POLICY
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] in ("no-store", "no-cache")
            assert "access-control-allow-origin" not in headers


class TestTokens:
    def test_a_new_token_is_long_and_counts_by_its_digest(self):
        token = new()
        assert len(token) > 40
        assert token != new()
        tokens = Tokens([Token(name="ann", sha256=digest(token).hex(), role="operator")])
        caller = tokens.caller(f"Bearer {token}")
        assert caller is not None
        assert caller.role == "operator"
        assert tokens.caller(f"Bearer {digest(token).hex()}") is None

    def test_one_may_only_read_unless_it_says_otherwise(self):
        assert Token(name="ann", sha256="0" * 64).role == "reader"

    def test_what_is_wrong_with_one_is_said_without_its_digest(self):
        found = problems(
            [Token(name="a", sha256="secret"), Token(name="a", sha256="0" * 64), Token(name="\n", sha256="0" * 64)]
        )
        assert len(found) == 3
        assert not any("secret" in text for text in found)


def test_an_error_inside_is_no_answer_with_a_stack(store, backend):
    from streams.api.app import application
    from tests.api.conftest import TOKENS

    store.engine.dispose()
    backend.status = None
    with TestClient(application(store, backend, Tokens(TOKENS)), raise_server_exceptions=False) as client:
        answer = client.get("/api/v1/pipeline", headers={"Authorization": f"Bearer {READER}"})
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
