"""Commands: sent as the engine hears them, audited, and shown at once until the engine has spoken."""

from __future__ import annotations

import msgspec
import pytest

from aiops.incidents import arguments
from aiops.records import Decision, rfc3339
from streams.history.batch import Batch
from tests.history import said

INCIDENT = f"/api/v1/incidents/{said.name(13)}"  # pay and web, prod, open


def commanded(client, command, status=202, **given):
    answer = client.post(f"{INCIDENT}/commands", json={"command": command, "arguments": given})
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("command", "given", "shows"),
    [
        ("acknowledge", {}, {"state": "acknowledged", "acknowledged_by": "olaf"}),
        ("assign", {"assignee": "ann", "team": "shop"}, {"assignee": "ann", "team": "shop"}),
        ("label", {"ticket": "7"}, {"labels": {"ticket": "7"}}),
        ("resolve", {"resolution": "rolled back"}, {"state": "resolved", "resolution": "rolled back"}),
        ("merge", {"into": said.name(12)}, {"state": "merged", "merged_into": said.name(12)}),
        ("comment", {"text": "looking"}, {}),
        ("split", {"services": "web"}, {}),
    ],
)
def test_what_is_commanded_shows_at_once_and_says_that_it_waits(operator, backend, command, given, shows):
    body = commanded(operator, command, **given)
    incident = body["incident"]
    assert {name: incident[name] for name in shows} == shows
    assert (incident["log"][-1]["command"], incident["log"][-1]["effect"]) == (command, "sent, not obeyed yet")
    assert [w["command"] for w in body["waiting"]] == [command]
    (sent,) = backend.commands
    assert (sent.command, sent.incident_id, sent.author, sent.environment) == (command, said.name(13), "olaf", "prod")
    assert sent.arguments == given
    assert operator.get(INCIDENT).json()["incident"] == incident


def test_a_confirmed_cause_comes_first_and_a_rejected_one_last(operator):
    causes = commanded(operator, "confirm", service="web")["incident"]["causes"]
    assert (causes[0]["service"], causes[0]["confidence"]) == ("web", 1.0)
    causes = commanded(operator, "reject", service="pay", kind=causes[1]["kind"])["incident"]["causes"]
    assert (causes[-1]["service"], causes[-1]["verdict"], causes[-1]["verdict_by"]) == ("pay", "rejected", "olaf")


def test_feedback_and_silence_stay_with_the_incident(operator, backend):
    incident = commanded(operator, "feedback", verdict="false", text="a test")["incident"]
    assert (incident["feedback"]["verdict"], incident["feedback"]["author"]) == ("false", "olaf")
    quiet = commanded(operator, "silence", **{"for": "2h", "reason": "known"})["incident"]["suppressed_by"]
    assert [(q["reason"], q["until"]) for q in quiet] == [("known", rfc3339(said.T + 7200 * 10**9))]
    assert backend.commands[-1].arguments == {"reason": "known", "until": rfc3339(said.T + 7200 * 10**9)}


def test_once_the_engine_has_spoken_its_word_counts(operator, store, backend):
    commanded(operator, "acknowledge")
    (sent,) = backend.commands
    decision = Decision(
        time=rfc3339(said.T), author="olaf", command="acknowledge", asked=arguments.asked(sent), effect="it is resolved",
        refused=True,
    )  # fmt: skip
    store.apply(Batch(incidents=[(said.with_log(said.resolved(13, 2), decision), "resolved")]))
    body = operator.get(INCIDENT).json()
    assert (body["incident"]["state"], body["waiting"]) == ("resolved", [])
    (audited,) = operator.get("/api/v1/commands").json()["items"]
    assert (audited["status"], audited["effect"]) == ("refused", "it is resolved")


def test_the_list_shows_it_at_once_too(operator):
    commanded(operator, "assign", assignee="ann")
    commanded(operator, "acknowledge")
    items = operator.get("/api/v1/incidents").json()["items"]
    assert {i["incident_id"]: (i["state"], i["assignee"]) for i in items if i["assignee"]} == {
        said.name(13): ("acknowledged", "ann")
    }


def test_the_trail_says_who_commanded_what_newest_first(operator):
    commanded(operator, "comment", text="first")
    commanded(operator, "comment", text="second")
    items = operator.get("/api/v1/commands", params={"incident_id": said.name(13)}).json()["items"]
    assert [item["arguments"]["text"] for item in items] == ["second", "first"]
    assert {item["author"] for item in items} == {"olaf"}
    before = items[0]["command_id"]
    assert len(operator.get("/api/v1/commands", params={"before": before}).json()["items"]) == 1


def test_what_could_not_be_sent_is_said_and_written_down(operator, backend):
    backend.broken = True
    assert "nobody takes it" in commanded(operator, "acknowledge", status=503)["detail"]
    (audited,) = operator.get("/api/v1/commands").json()["items"]
    assert (audited["status"], audited["effect"]) == ("failed", "nobody takes it")
    assert operator.get(INCIDENT).json()["incident"]["state"] == "open"


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("assign", {}), ("label", {}), ("label", {"": "x"}), ("comment", {"text": "  "}), ("merge", {}), ("split", {}),
        ("confirm", {}), ("reject", {"service": "pay", "kind": "x"}), ("feedback", {}), ("feedback", {"verdict": "maybe"}),
        ("silence", {}), ("silence", {"until": "tomorrow"}), ("silence", {"until": "2024-01-01T00:00:00Z", "severity": "x"}),
    ],
)  # fmt: skip
def test_what_the_engine_would_refuse_in_any_case_is_not_sent(operator, backend, command, given):
    status = 404 if command == "merge" else 422
    commanded(operator, command, status=status, **given)
    assert backend.commands == []


def test_silences_by_matchers_and_maintenance_are_about_an_environment(operator, backend):
    body = {"command": "maintenance", "environment": "prod", "arguments": {"services": "pay,web", "for": "1h"}}
    assert operator.post("/api/v1/commands", json=body).json()["status"] == "obeyed"
    everything = {"command": "silence", "environment": "prod", "arguments": {"for": "1h"}}
    assert operator.post("/api/v1/commands", json=everything).status_code == 422
    (sent,) = backend.commands
    assert (sent.command, sent.incident_id, sent.environment) == ("maintenance", "", "prod")
    assert msgspec.to_builtins(sent)["arguments"]["services"] == "pay,web"
