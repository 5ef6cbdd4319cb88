"""Partitions: all of a trace, of a service or of an environment meets in one, nothing is lost, and the choice is for ever."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aiops.identity import DEFAULT_KEY
from aiops.signals import WindowRows
from aiops.traces.items import TraceItems
from streams import codec, routing
from streams.routing import findings_partition, items_values, rows_values, service_partition
from tests.streams.sampled import Sample, sample
from tests.streams.test_codec import items_of, named_items, named_rows

KEY = 12345


def told_items(items: TraceItems, n: int, key: int = DEFAULT_KEY) -> list[TraceItems | None]:
    """What each partition is told."""
    return [None if value is None else codec.decode_items(value) for value in items_values(items, n, key)]


@pytest.fixture(scope="module")
def sent() -> Sample:
    return sample()


def traces_of(part: Any) -> list[tuple[int, int]]:
    return [] if part is None else [tuple(pair) for pair in part.trace.tolist()]


# ---- trace items --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [2, 3, 12, 48])
def test_all_of_a_trace_meets_and_nothing_is_lost(sent, n):
    place: dict[tuple[int, int], set[int]] = {}
    for items in sent.items:
        parts = told_items(items, n, KEY)
        assert len(parts) == n
        for p, part in enumerate(parts):
            for trace in traces_of(part and part.spans) + traces_of(part and part.logs):
                place.setdefault(trace, set()).add(p)
        whole = Counter(traces_of(items.spans) + traces_of(items.logs))
        assert whole == sum((Counter(traces_of(p.spans) + traces_of(p.logs)) for p in parts if p), Counter())
    assert {len(partitions) for partitions in place.values()} == {1}
    assert len(set.union(*place.values())) == min(n, len(place)) or n == 48


def test_items_keep_their_order_and_what_belongs_to_them():
    items = items_of(1000, [b"db", b"cache"])
    whole = named_items(items)
    for part in told_items(items, 7, KEY):
        assert part is not None
        assert part.spans is not None
        rows = part.spans.offset.tolist()  # of a row of these items its number
        assert rows == sorted(rows)
        source, tenant, *columns = named_items(part)
        assert [source, tenant] == whole[:2]
        for some, of in zip(columns, whole[2:], strict=True):
            for name, values in of.items():
                pairs = isinstance(values, tuple)  # (dtype, values)
                every = values[1] if pairs else values
                chosen = [every[row] for row in rows]
                assert some[name] == ((values[0], chosen) if pairs else chosen), name


def test_a_partition_without_items_is_sent_nothing():
    items = items_of(1, [])
    assert sum(value is not None for value in items_values(items, 5, KEY)) == 1
    assert items_values(TraceItems("s/0", "default", []), 3, KEY) == [None, None, None]


def test_traces_spread_evenly_over_partitions():
    items = items_of(12_000, [])
    sizes = [0 if part is None or part.spans is None else len(part.spans.end) for part in told_items(items, 12, KEY)]
    assert min(sizes) > 850
    assert max(sizes) < 1150


# ---- window rows --------------------------------------------------------------------------------------------------------
def of_partition(rows: WindowRows, n: int, p: int) -> Any:
    """What partition `p` must be told, told by names: everything by the service that it is keyed to."""

    def here(environment: str, service: str) -> bool:
        return service_partition(rows.tenant, environment, service, n, KEY) == p

    source, tenant, window, totals, metrics, logs, traces = named_rows(rows)
    kept = []
    for series, described, cells, lengths, buckets, temporality in metrics:
        size, at = len(cells) // max(len(series), 1), np.cumsum([0, *lengths])
        some = [k for k, info in enumerate(described) if here(info.environment, info.service)]
        if some:
            kept.append(
                (
                    [series[k] for k in some], [described[k] for k in some],
                    b"".join(cells[k * size : (k + 1) * size] for k in some), [lengths[k] for k in some],
                    b"".join(buckets[8 * at[k] : 8 * at[k + 1]] for k in some), [temporality[k] for k in some],
                )
            )  # fmt: skip
    if traces is not None:
        op, call, duration, own, edge, gap, unseen, visits, visit_events, events = traces
        by_service = [[row for row in part if here(*row[0][0])] for part in (op, call, duration, own)]
        by_callee = [[row for row in part if here(*row[0][1])] for part in (edge, gap, unseen)]
        visits = [visit for visit in visits if here(*visit[0])]
        visit_events = {key: visit_events[key] for _, key, _ in visits}
        events = {key: events[key] for members in visit_events.values() for key, _ in members}
        traces = (
            (*by_service, *by_callee, visits, visit_events, events) if any([*by_service, *by_callee, visits]) else None
        )
    return source, tenant, window, totals, kept, [row for row in logs if here(row.environment, row.service)], traces


@pytest.mark.parametrize("n", [2, 5])
def test_rows_go_to_the_partition_of_their_service_and_edges_to_that_of_the_callee(sent, n):
    told = 0
    for rows in sent.rows:
        parts = [codec.decode_rows(value) for value in rows_values(rows, n, KEY)]
        assert [named_rows(part) for part in parts] == [of_partition(rows, n, p) for p in range(n)]
        assert all(part.totals == rows.totals for part in parts)
        told += sum(bool(part.metrics or part.logs or part.traces) for part in parts) > 1
    assert told, "everything went to one partition: nothing was compared"


def test_decoded_rows_and_items_go_where_those_of_the_sender_go(sent):
    for rows in sent.rows:
        assert rows_values(codec.decode_rows(codec.encode_rows(rows)), 3) == rows_values(rows, 3)
    for items in sent.items:
        assert items_values(codec.decode_items(codec.encode_items(items)), 3) == items_values(items, 3)


def test_one_partition_is_told_everything(sent):
    for rows in sent.rows:
        assert rows_values(rows, 1) == [codec.encode_rows(rows)]
    for items in sent.items:
        assert items_values(items, 1) == [codec.encode_items(items)]


def test_metric_rows_of_a_table_that_cannot_be_read_are_an_error_of_the_caller(sent):
    rows = next(rows for rows in sent.rows if rows.metrics)
    strange: Any = object()
    odd = replace(rows, metrics=[replace(rows.metrics[0], table=strange)])
    for n in (1, 2):
        with pytest.raises(TypeError, match="described by a object cannot be encoded"):
            rows_values(odd, n)


# ---- the choice ---------------------------------------------------------------------------------------------------------
def test_partitions_are_those_of_every_release():
    """State lies where the rows went before: another choice would split the baselines of a service."""
    found = [service_partition("default", "production", name, 12) for name in ("web", "cart", "payment", "shop/quote")]
    assert found == [7, 1, 10, 10]
    assert [findings_partition("default", name, 12) for name in ("production", "staging", "")] == [3, 6, 11]
    parts = told_items(items_of(8, []), 4)
    by_trace = {trace: p for p, part in enumerate(parts) for trace in traces_of(part and part.spans)}
    assert [by_trace[k, k + (1 << 63)] for k in range(8)] == [1, 0, 0, 0, 1, 0, 3, 2]


def test_who_does_not_know_the_key_cannot_aim_at_a_partition():
    names = [f"service-{k}" for k in range(2000)]
    with_one = [service_partition("default", "prod", name, 10, 1) for name in names]
    aimed = [name for name, p in zip(names, with_one, strict=True) if p == 0]
    with_other = Counter(service_partition("default", "prod", name, 10, 2) for name in aimed)
    assert len(with_other) == 10
    assert max(with_other.values()) < len(aimed) / 4


def test_names_of_other_tenants_and_environments_are_other_keys():
    found = {service_partition(t, e, "cart", 1 << 40) for t in "ab" for e in "ab"}
    assert len(found) == 4
    assert routing.service_partition("a", "b", "c", 1) == 0
