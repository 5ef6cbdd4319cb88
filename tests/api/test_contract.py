"""The OpenAPI document, and requests that are made from it: answers are what it says, whatever is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from streams.api import openapi
from streams.api.app import OPERATIONS, application
from streams.api.tokens import Tokens
from tests.api.conftest import OPERATOR, TOKENS

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis comes with the extra test-kafka")

HEADERS = {"Authorization": f"Bearer {OPERATOR}"}
EXAMPLES = 12  # requests an operation


@pytest.fixture
def schema(store, backend):
    # In the application's own process: the document is asked of it like everything else.
    app = application(store, backend, Tokens(TOKENS))
    return schemathesis.openapi.from_asgi(f"{openapi.BASE}/openapi.json", app, headers=HEADERS)


@pytest.mark.parametrize("operation", [*OPERATIONS], ids=lambda o: o.name)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_answers_are_what_the_document_says(schema, operation, mode):
    wanted = schemathesis.GenerationMode[mode.upper()]
    of: Any = schema[openapi.BASE + operation.path][operation.method]
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
    ]

    @given(case=of.as_strategy(generation_mode=wanted))
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def ask(case):
        case.call_and_validate(headers=HEADERS, checks=checks)

    ask()


def test_the_document_names_every_operation_once(operator):
    document = operator.get(f"{openapi.BASE}/openapi.json").json()
    named = [of["operationId"] for path in document["paths"].values() for of in path.values()]
    assert len(named) == len(set(named))
    assert {o.name for o in OPERATIONS} | {"health", "followTransitions"} == set(named)
    assert document["openapi"] == "3.1.0"
    for path, of in document["paths"].items():
        for operation in of.values():
            assert "401" in operation["responses"] or path == "/healthz"
