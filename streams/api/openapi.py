"""Operations -> the OpenAPI 3.1 document, from the same structs by which requests are read and answers written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from aiops import __version__
from streams.api.operations import Operation
from streams.api.problem import Problem

BASE = "/api/v1"
EVERY = (400, 401, 403, 404, 405, 414, 503)  # refusals that any operation may give
OF_BODIES = (411, 413, 415, 422)
_HOLE = re.compile(r"\{(\w+)\}")
NAME = "^[A-Za-z0-9_-]{1,64}$"  # of an id in a path


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document."""
    kinds = list(dict.fromkeys([Problem, *(o.answer for o in operations), *(o.body for o in operations if o.body)]))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(BASE + operation.path, {})[operation.method.lower()] = _operation(operation, of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aiops",
            "version": __version__,
            "summary": "Incidents with their causes and evidence, and commands of people",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": {**_plain(), **dict(sorted(paths.items()))},
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(operation: Operation, of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": NAME}}
        for name in _HOLE.findall(operation.path)
    ]
    parameters += _parameters(operation.query)
    refusals = sorted({*EVERY, *operation.refusals, *(OF_BODIES if operation.body else ())})
    responses: dict[str, Any] = {
        str(operation.status): {
            "description": HTTPStatus(operation.status).phrase,
            "content": {"application/json": {"schema": of[operation.answer]}},
        }
    }
    for status in refusals:
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": of[Problem]}},
        }
    out: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Role: {operation.role}.",
        "parameters": parameters,
        "responses": responses,
    }
    if operation.body is not None:
        out["requestBody"] = {"required": True, "content": {"application/json": {"schema": of[operation.body]}}}
    return out


def _parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    (_,), components = msgspec.json.schema_components([query], ref_template="#/{name}")
    schema = components[query.__name__]
    found = []
    for name, of in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _given(of)}
        if of.get("type") == "array":
            parameter |= {"style": "form", "explode": True}
        found.append(parameter)
    return found


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """Without null: a parameter that is not given is left out; a query has no way to say null."""
    schema = {key: value for key, value in schema.items() if key != "default" or value not in (None, [])}
    if "anyOf" in schema:
        left = [part for part in schema["anyOf"] if part != {"type": "null"}]
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**left[0], **rest} if len(left) == 1 else {**rest, "anyOf": left}
    if isinstance(schema.get("enum"), list):
        return {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    return schema


def _plain() -> dict[str, Any]:
    """What is no operation of the kind above."""
    text = {"text/plain": {"schema": {"type": "string"}}}
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    after = {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^[0-9]{1,19}$"},
    }
    return {
        "/healthz": {
            "get": {
                "operationId": "health",
                "summary": "Is it alive?  The only answer without a token",
                "security": [],
                "responses": {
                    "200": {"description": "OK", "content": text},
                    "503": {"description": "No", "content": text},
                },
            }
        },
        BASE + "/events": {
            "get": {
                "operationId": "followTransitions",
                "summary": "Transitions of incidents as server-sent events; goes on after Last-Event-ID where it is given",
                "description": (
                    "Role: reader.  Event transition: a version of an incident, its number as id.  Event command: somebody "
                    "commanded something of the incident.  Event reset: too much was missed, read the lists again."
                ),
                "parameters": [after],
                "responses": {
                    "200": {"description": "OK", "content": stream},
                    **{str(n): {"description": HTTPStatus(n).phrase, "content": problem} for n in (400, 401, 503)},
                },
            }
        },
    }
