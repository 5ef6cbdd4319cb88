"""What the store is asked: pages, filters, words, figures, topology at a time."""

from __future__ import annotations

import pytest

from aiops.errors import UserError
from aiops.records import Decision, rfc3339, unix_ns
from aiops.signals import SECOND
from streams.history import incident_queries, queries
from streams.history.batch import Batch
from streams.history.incident_queries import Filter
from tests.history import said


@pytest.fixture
def filled(store):
    store.apply(said.joined(said.history(12)))
    store.apply(Batch(incidents=[(said.incident(n), "opened") for n in range(12, 25)]))
    return store


def found(store, limit=100, **wanted):
    with store.reading() as connection:
        items, _ = incident_queries.page(connection, Filter(**wanted), limit)
    return [int(item.incident_id, 16) for item in items]


def test_the_newest_come_first_and_pages_go_on_where_the_last_one_ended(filled):
    pages, cursor = [], None
    while True:
        with filled.reading() as connection:
            items, cursor = incident_queries.page(connection, Filter(), 7, cursor)
        pages.append([int(item.incident_id, 16) for item in items])
        if cursor is None:
            break
    assert [len(page) for page in pages] == [7, 7, 7, 4]
    assert [n for page in pages for n in page] == list(range(24, -1, -1))


def test_incidents_that_opened_at_once_are_not_lost_between_pages(light):
    at = rfc3339(said.T)
    light.apply(Batch(incidents=[(said.incident(n, opened_at=at), "opened") for n in range(9)]))
    seen, cursor = [], None
    for _ in range(5):
        with light.reading() as connection:
            items, cursor = incident_queries.page(connection, Filter(), 2, cursor)
        seen += [item.incident_id for item in items]
    assert len(set(seen)) == len(seen) == 9


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"states": ["open"], "severities": ["critical"]}, [20, 15]),
        ({"states": ["resolved"], "environment": "prod"}, [11, 9, 7, 5, 3, 1]),
        ({"service": "pay"}, [23, 18, 13, 8, 3]),
        ({"cause_service": "pay", "states": ["open"]}, [23, 18, 13]),
        ({"cause_kind": "network", "states": ["open"]}, [22, 19, 16, 13]),
        ({"since": said.T + 23 * 60 * SECOND}, [24, 23]),
        ({"until": said.T + 2 * 60 * SECOND}, [1, 0]),
        ({"assignee": "ann"}, []),
    ],
)
def test_filters_narrow_the_list(filled, wanted, numbers):
    assert found(filled, **wanted) == numbers


def test_a_cursor_that_no_page_gave_is_refused(filled):
    for cursor in ("x", "AAAA", "MSAn", "OTk5OTk5OTk5OTk5OTk5OTk5OTkgYQ"):
        with filled.reading() as connection, pytest.raises(UserError, match="cursor"):
            incident_queries.page(connection, Filter(), 5, cursor)


class TestWords:
    def test_titles_causes_and_templates_are_found_by_words_and_by_how_the_last_one_begins(self, store):
        store.apply(Batch(incidents=[
            (said.incident(1, title="checkout refuses cards"), "opened"),
            (said.incident(2, members=()), "opened"),
            (said.incident(3, services=("web",), summary="Kafka broker unreachable"), "opened"),
        ]))  # fmt: skip
        assert found(store, question="cards checkout") == [1]
        assert found(store, question="unreach") == [3]
        assert found(store, question="900 usually") == [3, 2, 1]
        assert found(store, question="cards broker") == []

    def test_a_new_version_is_found_by_its_own_words_only(self, store):
        store.apply(Batch(incidents=[(said.incident(1, title="one"), "opened")]))
        store.apply(Batch(incidents=[(said.incident(1, 2, title="two"), "updated")]))
        assert found(store, question="one") == []
        assert found(store, question="two") == [1]

    @pytest.mark.parametrize(
        "question",
        [
            '"',
            "' OR 1=1 --",
            "NEAR(a b)",
            "title:x",
            "a* OR b*",
            "(((",
            "\\",
            "%",
            "a & | !",
            "'; DROP TABLE incidents; --",
            "é:*",
        ],
    )
    def test_a_question_is_words_and_never_a_query_of_the_database(self, filled, question):
        found(filled, question=question)
        assert len(found(filled)) == 25


class TestFigures:
    def test_times_to_detect_acknowledge_and_resolve_are_medians_of_event_time(self, store):
        seen = Decision(
            time=rfc3339(said.T + 90 * SECOND), author="ann", command="acknowledge", asked="", effect="acknowledged"
        )
        store.apply(Batch(incidents=[
            (said.with_log(said.incident(1), seen, state="acknowledged"), "acknowledged"), (said.resolved(2, 3, 700), "resolved"),
            (said.incident(3, state="merged"), "merged"), (said.incident(4, no_confident_cause=True, episode=2), "opened"),
        ]))  # fmt: skip
        with store.reading() as connection:
            figures = incident_queries.figures(connection, Filter())
        assert figures.incidents == 4
        assert figures.by_state == {"acknowledged": 1, "merged": 1, "open": 1, "resolved": 1}
        assert figures.open_now == {"high": 1, "info": 1}
        assert (figures.reopened, figures.without_confident_cause) == (1, 1)
        assert (figures.to_detect.incidents, figures.to_detect.median) == (3, 40.0)
        assert (figures.to_acknowledge.incidents, figures.to_acknowledge.median) == (1, 30.0)
        assert (figures.to_resolve.incidents, figures.to_resolve.median) == (1, 700.0)

    def test_without_incidents_there_are_none(self, light):
        with light.reading() as connection:
            figures = incident_queries.figures(connection, Filter())
        assert (figures.incidents, figures.to_detect.median) == (0, None)


def test_the_topology_of_an_earlier_time_is_answered(store):
    records = [
        said.edge("web", "pay", 1, 0),
        said.edge("web", "pay", 5, 50, state="gone"),
        said.edge("web", "cart", 1, 30),
    ]
    store.apply(Batch(topology=records))
    with store.reading() as connection:
        history = queries.history(connection, "prod")
    early, late = history.at(said.T + 60 * SECOND), history.at()
    assert [(e.caller, e.callee) for e in early.edges if e.callee == "pay"] == [("web", "pay")]
    assert [(e.caller, e.callee) for e in late.edges] == [("web", "cart")]


def test_points_of_a_signal_are_its_versions_in_order_of_time(store):
    store.apply(Batch(anomalies=[said.anomaly(1, 3), said.anomaly(1, 1), said.anomaly(1, 2)]))
    with store.reading() as connection:
        points = queries.points(connection, [said.name(1001)], 10)[said.name(1001)]
    assert [point.observed for point in points] == [901.0, 902.0, 903.0]
    assert [point.at for point in points] == sorted((point.at for point in points), key=unix_ns)


def test_templates_are_those_of_anomalies_with_how_often_they_were_evident(store):
    store.apply(Batch(anomalies=[said.log_anomaly(1, "cannot reach <*>"), said.anomaly(2)]))
    with store.reading() as connection:
        (template,) = queries.templates(connection, 10, None, None)
    assert (template.template_id, template.template, template.anomalies) == ("t1", "cannot reach <*>", 1)
