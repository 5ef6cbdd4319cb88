"""What the API tells of incidents and of what is around them."""

from __future__ import annotations

import pytest

from aiops.records import decode_incident, encode
from aiops.signals import SECOND
from streams.history import incident_queries
from streams.history.batch import Batch
from tests.history import said
from tests.incidents.world import findings

ONE = f"/api/v1/incidents/{said.name(3)}"


def test_the_list_is_paged_to_its_end(reader):
    seen, cursor = [], None
    for _ in range(10):
        page = reader.get("/api/v1/incidents", params={"limit": 4} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["incident_id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == [said.name(n) for n in range(14, -1, -1)]


def test_filters_may_be_given_several_times(reader):
    query = [("state", "open"), ("state", "resolved"), ("severity", "high"), ("severity", "info"), ("limit", "200")]
    items = reader.get("/api/v1/incidents", params=query).json()["items"]
    assert {item["severity"] for item in items} == {"high", "info"}
    assert len(items) == 6


def test_words_find_incidents(reader):
    assert len(reader.get("/api/v1/incidents", params={"q": "checkout 900"}).json()["items"]) == 3
    assert reader.get("/api/v1/incidents", params={"q": "nothing of it"}).json()["items"] == []


def test_one_incident_is_the_record_as_the_engine_wrote_it_and_what_belongs_to_it(reader, store):
    answer = reader.get(ONE)
    with store.reading() as connection:
        expected = incident_queries.one(connection, said.name(3))
    assert expected is not None
    body = answer.json()
    assert encode(decode_incident(answer.content.split(b'{"incident":')[1].split(b',"waiting"')[0])) == encode(expected)
    assert [v["kind"] for v in body["versions"]] == ["opened", "updated", "resolved"]
    assert [a["anomaly_id"] for a in body["anomalies"]] == [said.name(1003)]
    assert {c["change_id"] for c in body["changes"]} >= {"c3", "c2"}
    assert body["waiting"] == []


def test_one_that_is_not_there_is_said_to_be_so(reader):
    for path in ("", "/series", "/topology"):
        answer = reader.get(f"/api/v1/incidents/{said.name(999)}{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_series_hold_signals_with_bounds_and_services_with_evidence_from_before_the_onset(reader, store):
    begin = said.T + 180 * SECOND - 600 * SECOND
    store.apply(Batch(findings=[
        ("", findings(begin + 10 * n * SECOND, {"pay": {"own": 4.0 if n > 50 else 0.0}}, visits={"pay": 60.0}))
        for n in range(70)
    ]))  # fmt: skip
    body = reader.get(f"{ONE}/series").json()
    (signal,) = body["signals"]
    assert [p["observed"] for p in signal["points"]] == [901.0, 902.0, 903.0]
    assert signal["points"][0]["upper"] == 200.0
    pay = next(s for s in body["services"] if s["service"] == "pay")
    onset = (said.T + 140 * SECOND) // SECOND
    assert pay["at"][0] < onset < pay["at"][-1]
    assert len(pay["at"]) == len(pay["requests"]) == len(pay["failed"]) == len(pay["terms"]["own"])
    assert max(pay["terms"]["own"]) == 4.0
    assert {c["service"] for c in body["changes"]} == {"pay"}


def test_the_neighbourhood_says_what_each_service_has_to_do_with_it(reader):
    body = reader.get(f"{ONE}/topology").json()
    assert {s["service"]: s["role"] for s in body["services"]} == {"pay": "cause", "web": "member"}
    assert [(e["caller"], e["callee"]) for e in body["edges"]] == [("web", "pay")]


def test_without_topology_there_are_services_without_calls(reader):
    body = reader.get(f"/api/v1/incidents/{said.name(4)}/topology").json()
    assert body["edges"] == []
    assert [s["role"] for s in body["services"]] == ["cause"]


def test_figures_say_how_soon(reader):
    body = reader.get("/api/v1/figures").json()
    assert (body["incidents"], body["to_resolve"]["median"], body["to_detect"]["median"]) == (15, 600.0, 40.0)
    assert body["open_now"] == {"info": 1, "low": 1, "medium": 1}
    assert reader.get("/api/v1/figures", params={"service": "none"}).json()["to_detect"]["median"] is None


@pytest.mark.parametrize(
    ("path", "many"),
    [("anomalies", 12), ("changes", 12), ("notices", 12), ("noise", 12), ("templates", 0)],
)
def test_what_is_around_is_listed_newest_first(reader, path, many):
    assert len(reader.get(f"/api/v1/{path}").json()["items"]) == many


def test_noise_figures_are_summed(reader):
    body = reader.get("/api/v1/noise").json()
    assert body["totals"] == {"items": 12_000, "records": 240, "anomalies": 60, "incidents": 12}
    assert body["suppressed"] == {"repeat": 24}


def test_an_anomaly_comes_with_its_points(reader):
    body = reader.get(f"/api/v1/anomalies/{said.name(1003)}").json()
    assert body["anomaly"]["version"] == 3
    assert len(body["points"]) == 3
    assert reader.get("/api/v1/anomalies/none").status_code == 404


def test_the_topology_is_told_of_any_time_and_what_differs(reader, store):
    store.apply(Batch(topology=[said.edge("web", "cart", 1, 30)]))
    times = {"since": "2023-11-14T22:14:00Z", "until": "2023-11-14T22:50:00Z"}
    body = reader.get("/api/v1/topology/difference", params=times).json()
    assert [(e["caller"], e["callee"]) for e in body["added_edges"]] == [("web", "cart")]
    assert reader.get("/api/v1/topology", params={"at": times["since"]}).json()["edges"][0]["callee"] == "pay"
    assert reader.get("/api/v1/topology", params={"at": "2020-01-01T00:00:00Z"}).status_code == 404
    assert (
        reader.get("/api/v1/topology/difference", params={"since": times["until"], "until": times["since"]}).status_code
        == 400
    )


def test_the_pipeline_says_how_it_stands(reader):
    body = reader.get("/api/v1/pipeline").json()
    assert body["status"]["progress"] == 0.5
    assert body["environments"] == ["prod", "staging"]
    assert body["rows"]["incidents"] == 15
    assert body["notices"] == []
