"""An alert that names no service joins the incident that it can only mean, by a trace or by what both talk about."""

from __future__ import annotations

from typing import Any

import msgspec

from aiops.incidents.alert_kin import traces_of, words_of
from aiops.records import Anomaly, Exemplars
from tests.incidents.world import T, World, alert, anomaly

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
LAG = "the replication of followers lags behind"


def said(service: str, statement: str, logs: tuple[str, ...] = ()) -> Anomaly:
    found = anomaly(service, T, signal="log line")
    return msgspec.structs.replace(found, statement=statement, exemplars=Exemplars(logs=logs))


def incident(statement: str, service: str = "db", world: World | None = None, logs: tuple[str, ...] = ()) -> World:
    world = world or World()
    world.window({}, anomalies=[said(service, statement, logs)])
    world.last_for(60, {service: {"errors": 6.0}})
    return world


def nameless(world: World, summary: str, services: tuple[str, ...] = ("db",), **more: Any) -> None:
    world.tell(alert(None, world.now, severity="high", name="Replication", summary=summary, **more))
    world.last_for(80, {service: {"errors": 6.0} for service in services})


def reasons(world: World, type_: str) -> list[str]:
    return [r.statement for i in world.latest.values() for r in i.correlation.reasons if r.type == type_]


def test_it_joins_by_what_both_talk_about_and_the_incident_says_so():
    world = incident(f'new log line "{LAG} by 40 s"')
    nameless(world, LAG)
    assert world.only.counts.alerts == 1
    assert reasons(world, "text") == ["Replication and others of it talk about behind, followers, lags, replication"]


def test_a_few_words_in_common_are_chance():
    world = incident('new log line "followers are behind"')
    nameless(world, LAG)
    assert world.only.counts.alerts == 0


def test_most_of_what_it_says_must_be_there():
    world = incident(f'new log line "{LAG}"')
    nameless(world, f"{LAG} while backup archive upload bandwidth quota exceeded tonight")
    assert world.only.counts.alerts == 0


def test_where_two_incidents_talk_about_it_nothing_is_guessed():
    world = World()
    found = [said("db", f"new: {LAG}"), said("mta", f"new: {LAG}")]
    world.window({}, anomalies=found)
    world.last_for(60, {"db": {"errors": 6.0}, "mta": {"errors": 6.0}})
    assert len(world.latest) == 2
    nameless(world, LAG, ("db", "mta"))
    assert [i.counts.alerts for i in world.latest.values()] == [0, 0]


def test_it_joins_by_a_trace_that_both_name():
    world = incident("something else", logs=(f"payment refused trace={TRACE}",))
    nameless(world, "a probe failed", labels={"trace_id": TRACE.upper()})
    assert world.only.counts.alerts == 1
    assert reasons(world, "trace") == [f"Replication and others of it name trace {TRACE}"]


def test_one_that_names_a_service_goes_by_that():
    world = incident(f'new log line "{LAG}"')
    world.tell(alert("billing", world.now, severity="high", name="Replication", summary=LAG))
    world.last_for(20, {"db": {"errors": 6.0}})
    assert world.only.counts.alerts == 0


def test_words_that_any_alert_and_any_log_are_full_of_name_nothing():
    assert words_of("alertmanager reports HighErrorRate: the service failed, request timeout of instance") == {
        "timeout"
    }
    assert traces_of(said("db", f"trace {TRACE}")) == {TRACE}
    assert traces_of(said("db", f"no trace {TRACE}0")) == frozenset()
