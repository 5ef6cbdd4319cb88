"""The contract of the public topics: documents that are valid and current, records that follow them, and no step back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema.validators import validator_for
from referencing import Registry, Resource

from aiops.notify.config import NotifyConfig, Sink
from aiops.notify.desk import Desk
from aiops.records import encode, unix_ns
from aiops.schema import RECORDS
from streams import asyncapi
from streams.asyncapi import document, stale
from streams.tasks.respond import RespondTask

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "docs" / "schema"
RELEASED = Path(__file__).parent / "contract" / "released"
META = Path(__file__).parent / "contract" / "asyncapi-3.0.0.json.gz"


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text())


# ---- documents -------------------------------------------------------------------------------------------------------------
def test_the_written_document_is_current(tmp_path):
    assert not stale(ROOT / "docs"), "run python -m streams.asyncapi"
    assert asyncapi.main([str(tmp_path)]) == 0
    assert asyncapi.main([str(tmp_path), "--check"]) == 0


def test_the_document_is_valid_asyncapi():
    meta = json.loads(gzip.decompress(META.read_bytes()))
    kind = validator_for(meta)
    # Every definition has an address of its own, at which the others name it.
    several = [(d["$id"], Resource.from_contents(d, _draft(meta))) for d in meta["definitions"].values() if "$id" in d]
    found = list(kind(meta, registry=Registry().with_resources(several)).iter_errors(document()))
    assert not found, found[0].message


def _draft(meta: Any) -> Any:
    from referencing.jsonschema import specification_with

    return specification_with(meta["$schema"])


def test_the_document_of_a_channel_that_is_wrong_would_not_be():
    meta = json.loads(gzip.decompress(META.read_bytes()))
    several = [(d["$id"], Resource.from_contents(d, _draft(meta))) for d in meta["definitions"].values() if "$id" in d]
    wrong = document()
    wrong["channels"]["incidents"]["address"] = 7
    assert list(validator_for(meta)(meta, registry=Registry().with_resources(several)).iter_errors(wrong))


def test_every_reference_of_the_document_resolves_and_every_record_is_in_it():
    said = document()
    named = {
        m["payload"]["$ref"].removeprefix("./schema/").removesuffix(".schema.json")
        for m in said["components"]["messages"].values()
    }
    assert named == {record.__name__.lower() for record in RECORDS}
    for name in named:
        jsonschema.Draft202012Validator.check_schema(schema(name))
    for operation in said["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in said["channels"]


def test_every_public_topic_that_is_written_is_in_the_document():
    from streams.settings import Settings
    from streams.topics import table

    topics = {t.name for t in table(Settings(kafka={"bootstrap.servers": "x:1"})) if t.kind == "public" and t.writers}
    said = {channel["address"] for channel in document()["channels"].values()}
    assert topics <= said
    assert said - topics == {"changes", "alerts"}


# ---- no step back ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", sorted(RELEASED.glob("*.json")), ids=lambda path: path.name.partition(".")[0])
def test_what_a_release_promised_still_holds(path):
    old, new = json.loads(path.read_text()), json.loads((SCHEMAS / path.name).read_text())
    assert _steps_back(old, new) == []


def test_a_step_back_would_be_seen():
    old = schema("incident")
    for spoil, said in (
        (lambda d: d["properties"].pop("title"), "title is gone"),
        (lambda d: d["required"].append("log"), "log is required now"),
        (lambda d: d["properties"].update(title={"type": "integer"}), "title changed"),
    ):
        new = schema("incident")
        spoil(new["$defs"]["Incident"])
        assert any(said in found for found in _steps_back(old, new)), said
    assert _steps_back(old, {**old, "$defs": {**old["$defs"], "More": {"properties": {}}}}) == []


def _steps_back(old: Any, new: Any) -> list[str]:
    """What consumers of the old schema could no longer rely on, or producers by it would be refused for."""
    found = []
    for name, was in old["$defs"].items():
        now = new["$defs"].get(name)
        if now is None:
            found.append(f"{name} is gone")
            continue
        for field, kind in was.get("properties", {}).items():
            if field not in now["properties"]:
                found.append(f"{name}.{field} is gone")
            elif not _same(kind, now["properties"][field]):
                found.append(f"{name}.{field} changed")
        found += [
            f"{name}.{field} is required now"
            for field in now.get("required", [])
            if field not in was.get("required", [])
        ]
        found += [
            f"{name}.{field} is required no more"
            for field in was.get("required", [])
            if field not in now.get("required", [])
        ]
    return found


def _same(was: Any, now: Any) -> bool:
    """Is it the same, but for texts, defaults and values that were added to an enumeration?"""
    if isinstance(was, dict) and isinstance(now, dict):
        if "enum" in was and set(was["enum"]) > set(now.get("enum", [])):
            return False
        keys = (set(was) | set(now)) - {"description", "default", "enum", "title"}
        return all(k in was and k in now and _same(was[k], now[k]) for k in keys)
    if isinstance(was, list) and isinstance(now, list):
        return len(was) == len(now) and all(map(_same, was, now))
    return bool(was == now)


# ---- records ---------------------------------------------------------------------------------------------------------------
def test_every_public_record_of_an_hour_follows_its_schema(faulty_steps):
    desk = Desk(NotifyConfig(sinks=(Sink("hook", "webhook", url="http://h/"),)))
    validators = {r.__name__.lower(): jsonschema.Draft202012Validator(schema(r.__name__.lower())) for r in RECORDS}
    seen: dict[str, int] = {}
    for step in faulty_steps:
        for incident in step.incidents:
            desk.take(incident)
        for status in step.status:
            desk.policy.known_since((status.tenant, status.environment), 0)
            desk.advance((status.tenant, status.environment), unix_ns(status.clock))
        records, desk.records = [*desk.records], []
        for record in (
            *step.incidents,
            *step.anomalies,
            *step.notices,
            *step.topology,
            *step.noise,
            *step.status[::30],
            *records,
        ):
            name = type(record).__name__.lower()
            seen[name] = seen.get(name, 0) + 1
            if seen[name] <= 200:
                validators[name].validate(json.loads(encode(record)))
    assert {"incident", "anomaly", "topology", "noisereport", "status", "notification"} <= set(seen)


def test_the_headers_are_those_of_the_document(faulty_steps):
    from streams.layout import Layout

    task = RespondTask(0, Layout("aiops", "default", 1, 1, 1, 0))
    messages = document()["components"]["messages"]
    from aiops.incidents.place import Output

    ids: set[tuple[str, bytes]] = set()
    for step in faulty_steps:
        out = Output(step.incidents, step.anomalies, step.notices, step.topology, [], step.noise, step.status)
        for sent in task._sent(out):
            short = sent.topic.removeprefix("aiops.")
            headers = {name: value.decode() for name, value in sent.headers}
            jsonschema.validate(headers, messages[short.replace("-", "_")]["headers"])
            about = (sent.topic, headers["ce_id"].encode())
            assert about not in ids, "an id says what is new"
            ids.add(about)
    assert {topic for topic, _ in ids} >= {
        f"aiops.{t}" for t in ("incidents", "incident-events", "anomalies", "topology", "noise", "status")
    }
