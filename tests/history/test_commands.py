"""Commands in the store: they wait until the log of the incident tells of them."""

from __future__ import annotations

from aiops.incidents import arguments
from aiops.records import Command, Decision, rfc3339
from streams.history import commands, tables
from streams.history.batch import Batch
from tests.history import said

ACKNOWLEDGE = Command(
    command="acknowledge", incident_id=said.name(1), author="ann", time=rfc3339(said.T), environment="prod"
)
COMMENT = Command(
    command="comment", incident_id=said.name(1), author="ann", time=rfc3339(said.T), environment="prod",
    arguments={"text": "hm"},
)  # fmt: skip


def decision(command, effect="done", refused=False):
    return Decision(
        time=rfc3339(said.T), author=command.author, command=command.command, asked=arguments.asked(command), effect=effect,
        refused=refused,
    )  # fmt: skip


def given(store, command, incident):
    with store.writing() as connection:
        return commands.write(connection, said.T, "operator", "127.0.0.1", command, incident)


def statuses(store):
    with store.reading() as connection:
        rows = connection.execute(tables.commands.select().order_by(tables.commands.c.command_id))
        return [(row.status, row.effect) for row in rows]


def test_a_command_waits_until_the_log_of_its_incident_tells_what_came_of_it(store):
    incident = said.incident(1)
    given(store, ACKNOWLEDGE, incident)
    store.apply(Batch(incidents=[(said.incident(1, 2), "updated")]))
    assert statuses(store) == [("waiting", "")]
    store.apply(Batch(incidents=[(said.with_log(said.incident(1, 3), decision(ACKNOWLEDGE)), "acknowledged")]))
    assert statuses(store) == [("obeyed", "done")]


def test_a_refusal_is_told_with_its_reason(store):
    given(store, ACKNOWLEDGE, said.incident(1))
    told = decision(ACKNOWLEDGE, "it is resolved", refused=True)
    store.apply(Batch(incidents=[(said.with_log(said.incident(1, 2), told), "updated")]))
    assert statuses(store) == [("refused", "it is resolved")]


def test_the_same_said_twice_takes_two_decisions(store):
    before = said.with_log(said.incident(1), decision(COMMENT, "first"))
    given(store, COMMENT, before)
    given(store, COMMENT, before)
    store.apply(Batch(incidents=[(said.with_log(said.incident(1, 2), *[decision(COMMENT)] * 2), "updated")]))
    assert [status for status, _ in statuses(store)] == ["obeyed", "waiting"]
    store.apply(Batch(incidents=[(said.with_log(said.incident(1, 3), *[decision(COMMENT)] * 3), "updated")]))
    assert [status for status, _ in statuses(store)] == ["obeyed", "obeyed"]


def test_what_nobody_answers_does_not_wait_for_ever(store):
    given(store, ACKNOWLEDGE, said.incident(1))
    with store.writing() as connection:
        commands.expire(connection, said.T + commands.PATIENCE)
    assert statuses(store)[0][0] == "waiting"
    with store.writing() as connection:
        commands.expire(connection, said.T + commands.PATIENCE + 1)
    assert statuses(store)[0][0] == "unheard"
