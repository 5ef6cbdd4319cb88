"""The store: of several versions the greatest stays, whatever came when; it is migrated, and forgets by its own clock."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from aiops.errors import UserError
from aiops.records import encode
from aiops.signals import SECOND
from streams.durations import UNITS
from streams.history import incident_queries, queries, retention, tables
from streams.history.batch import Batch
from streams.history.keep import Keep
from streams.history.store import Store
from tests.history import said
from tests.incidents.world import findings


def content(store):
    """Every row of what topics say, without the numbers in which transitions happened to come."""
    out = {}
    with store.reading() as connection:
        for table in tables.metadata.sorted_tables:
            if table.name not in {"positions", "commands"}:
                columns = [column for column in table.c if column.name != "seq"]
                out[table.name] = sorted(map(repr, connection.execute(select(*columns)).all()))
        out["words"] = sorted(
            map(repr, connection.execute(text(f"SELECT incident_id, words FROM {tables.WORDS}")).all())
        )
    return out


def test_any_order_any_cut_and_any_repeat_leave_the_same_rows(store, tmp_path, seed):
    batches = said.history()
    for batch in batches:
        store.apply(batch)
    expected = content(store)
    assert len(expected["incidents"]) == 12
    assert len(expected["transitions"]) == 36
    for other in range(3):
        again = Store(f"sqlite:///{tmp_path / f'{other}.db'}")
        for batch in said.shuffled(batches, seed + other):
            again.apply(batch)
        found = content(again)
        again.close()
        if store.dialect == "sqlite":  # databases print rows in their own way
            assert found == expected
        else:
            assert {name: len(rows) for name, rows in found.items()} == {
                name: len(rows) for name, rows in expected.items()
            }


def test_the_greatest_version_of_an_incident_is_the_one_that_is_told(store):
    for version in (2, 5, 4, 1):
        store.apply(Batch(incidents=[(said.incident(1, version), "updated")]))
    with store.reading() as connection:
        found = incident_queries.one(connection, said.name(1))
        assert found is not None
        assert encode(found) == encode(said.incident(1, 5))
        assert [v.version for v in incident_queries.versions(connection, said.name(1))] == [1, 2, 4, 5]


def test_a_batch_is_written_whole_or_not_at_all(light):
    broken = Batch(incidents=[(said.incident(1), "opened")], positions={("t", 0): 1 << 70})
    with pytest.raises(Exception, match=r"too large|OverflowError|int"):
        light.apply(broken)
    assert light.positions() == {}
    with light.reading() as connection:
        assert incident_queries.one(connection, said.name(1)) is None


def test_positions_are_kept_with_what_was_read(store):
    store.apply(Batch(positions={("a", 0): 5, ("a", 1): 7}))
    store.apply(Batch(positions={("a", 0): 9}))
    assert store.positions() == {("a", 0): 9, ("a", 1): 7}


def test_the_migrations_make_the_tables_that_the_code_expects(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or not name.startswith(tables.WORDS)},
        )
        assert compare_metadata(context, tables.metadata) == []
        assert tables.WORDS in inspect(connection).get_table_names() or store.dialect == "sqlite"


def test_a_store_opens_again_and_one_of_a_newer_release_does_not(url):
    first = Store(url)
    first.apply(said.history(1)[0])
    first.close()
    second = Store(url)
    with second.writing() as connection:
        assert incident_queries.one(connection, said.name(0)) is not None
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    second.close()
    with pytest.raises(UserError, match="revision 9999, which a newer release has written"):
        Store(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "not the address of a database"),
        ("oracle://u:topsecret@h/x", "history: "),
        ("sqlite:////no/such/folder/x.db", "is no directory"),
        ("postgresql+nothing://u:topsecret@h/x", "history: "),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url, why):
    with pytest.raises(UserError, match=why) as refused:
        Store(url)
    assert "topsecret" not in str(refused.value)


def test_a_notice_that_is_over_takes_the_place_of_the_one_that_lasts(store):
    store.apply(Batch(notices=[said.notice(1, over=True)]))
    store.apply(Batch(notices=[said.notice(1)]))
    with store.reading() as connection:
        (found,) = queries.notices(connection, 10)
    assert found.until is not None


def test_parts_of_a_window_that_come_from_several_are_one(store):
    pay = findings(said.T, {"pay": {"own": 3.0}}, services=["pay"])
    web = findings(said.T, {"web": {"errors": 4.0}}, services=["web"])
    store.apply(Batch(findings=[("detect-0", pay), ("detect-1", web)]))
    with store.reading() as connection:
        ((at, window),) = queries.evidence(connection, "prod", said.T, said.T + 1, 10)
    assert at == said.T
    assert window.services["pay"].terms == {"own": 3.0}
    assert window.services["web"].terms == {"errors": 4.0}


class TestForgetting:
    def test_what_is_over_goes_and_what_is_open_stays(self, store):
        for batch in said.history(3):
            store.apply(batch)
        store.apply(Batch(incidents=[(said.incident(7), "opened")], anomalies=[said.anomaly(7)]))
        keep = Keep(incidents=UNITS["h"], anomalies=UNITS["h"], evidence=UNITS["h"], topology=UNITS["h"])
        with store.writing() as connection:
            assert retention.forget(connection, said.T + 30 * UNITS["d"], keep) > 0
        with store.reading() as connection:
            (left,), _ = incident_queries.page(connection, incident_queries.Filter(), 10)
            assert left.incident_id == said.name(7)
            assert queries.anomalies(connection, 10) == []
            assert connection.execute(text(f"SELECT count(*) FROM {tables.WORDS}")).scalar() == 1
            assert queries.sizes(connection) == {
                "incidents": 1, "transitions": 0, "anomalies": 0, "evidence": 0, "topology": 0
            }  # fmt: skip

    def test_the_clock_of_a_recorded_day_forgets_nothing_of_it_though_it_is_years_ago(self, light):
        for batch in said.history(3):
            light.apply(batch)
        assert retention.Forgetting(light, Keep()).look(now=2**62) == 0

    def test_it_looks_once_an_hour_of_event_time(self, light):
        light.apply(said.joined(said.history(2)))
        forgetting = retention.Forgetting(light, Keep(evidence=UNITS["h"]))
        forgetting.look(0)
        light.apply(Batch(findings=[("", findings(said.T + 7200 * SECOND, {}))]))
        assert forgetting.look(0) == 2
        light.apply(Batch(findings=[("", findings(said.T, {}))]))
        assert forgetting.look(0) == 0


def test_numbers_of_transitions_are_not_given_twice(store):
    store.apply(Batch(incidents=[(said.resolved(1, 1), "resolved")]))
    with store.writing() as connection:
        retention.forget(connection, said.T + 300 * UNITS["d"], Keep())
    store.apply(Batch(incidents=[(said.incident(2), "opened")]))
    with store.reading() as connection:
        assert incident_queries.newest(connection) == (2, 2)
