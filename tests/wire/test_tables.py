"""Resources -> entities and identities; series -> descriptions."""

from __future__ import annotations

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from aiops.columns import CUMULATIVE, DELTA, EXPONENTIAL, GAUGE, HISTOGRAM, SUM
from aiops.wire import Tables, decode_metrics
from aiops.wire.attributes import unframed
from aiops.wire.layout import packed
from aiops.wire.metrics import GRID
from aiops.wire.tables import Entity, Names, Resources


def resource(**attributes):
    out = Resource()
    for key, value in attributes.items():
        pair = out.attributes.add(key=key)
        field = {str: "string_value", int: "int_value", bool: "bool_value"}[type(value)]
        setattr(pair.value, field, value)
    return out.SerializeToString()


def entity(**attributes):
    table = Resources()
    table.codes(packed([resource(**attributes)]))
    return table.entities[0]


@pytest.mark.parametrize(
    ("attributes", "service"),
    [
        ({"service.name": "cart"}, "cart"),
        ({"service.name": "cart", "service.namespace": "shop"}, "shop/cart"),
        ({"service.name": "cart", "k8s.deployment.name": "d"}, "cart"),
        ({"service.name": "", "k8s.deployment.name": "d"}, "d"),
        ({"service.name": "unknown_service", "k8s.statefulset.name": "s"}, "s"),
        ({"service.name": "unknown_service:java", "k8s.daemonset.name": "x"}, "x"),
        ({"service.name": "unknown_service_of_mine"}, "unknown_service_of_mine"),
        ({"k8s.deployment.name": "d", "k8s.container.name": "c"}, "d"),
        ({"k8s.container.name": "c", "container.name": "other"}, "c"),
        ({"container.name": "c", "k8s.pod.labels.app": "a"}, "c"),
        ({"k8s.pod.labels.app.kubernetes.io/name": "n", "app": "a"}, "n"),
        ({"app": "a", "job": "j"}, "a"),
        ({"job": "shop/cart", "host.name": "h"}, "shop/cart"),
        ({"service.type": "mysql", "host.name": "h"}, "mysql"),
        ({"host.name": "h"}, "h"),
        ({"k8s.node.name": "n"}, "n"),
        ({"os.type": "linux"}, "unknown_service"),
        ({}, "unknown_service"),
        ({"service.name": 42}, "42"),
        ({"service.name": True}, "true"),
    ],
)
def test_the_service_is_the_first_name_on_the_ladder(attributes, service):
    assert entity(**attributes).service == service


def test_environment_and_instance_have_ladders_of_their_own():
    assert entity() == Entity("default", "unknown_service", "")
    assert entity(**{"deployment.environment": "old"}).environment == "old"
    assert entity(**{"deployment.environment": "old", "deployment.environment.name": "new"}).environment == "new"
    assert entity(**{"host.name": "h", "service.name": "s"}).instance == "h"
    assert entity(**{"host.name": "h", "k8s.pod.name": "p"}).instance == "p"
    assert entity(**{"service.instance.id": "i", "k8s.pod.name": "p"}).instance == "i"


@pytest.mark.parametrize(
    ("attributes", "place"),
    [
        ({"service.name": "s", "k8s.node.name": "n"}, ("n", "", False)),
        ({"service.name": "s", "k8s.node.name": "n", "host.name": "h"}, ("n", "", False)),
        ({"service.name": "s", "host.name": "h", "cloud.availability_zone": "z"}, ("h", "z", False)),
        ({"service.name": "s", "k8s.node.label.topology.kubernetes.io/zone": "z"}, ("", "z", False)),
        ({"service.name": "s", "k8s.pod.name": "p", "host.name": "p"}, ("", "", False)),
        ({"service.name": "s", "container.id": "c", "host.name": "h"}, ("", "", False)),
        ({"service.name": "s", "host.name": "0123456789ab"}, ("", "", False)),
        ({"host.name": "h"}, ("h", "", True)),
        ({"k8s.node.name": "n"}, ("n", "", True)),
        ({"job": "j", "host.name": "h"}, ("h", "", False)),
        ({}, ("", "", False)),
    ],
)
def test_where_it_runs_is_what_the_resource_says_of_a_machine(attributes, place):
    assert entity(**attributes)[3:] == place


def test_where_it_runs_is_no_part_of_what_it_is():
    assert Entity("e", "s", "i", "n1") != Entity("e", "s", "i", "n2")
    table = Resources()
    zones = [resource(**{"service.name": "s", "k8s.node.label.topology.kubernetes.io/zone": zone}) for zone in "ab"]
    codes = table.codes(packed(zones))
    assert codes[0] != codes[1]
    assert table.identity[codes[0]] == table.identity[codes[1]]


def test_a_resource_in_another_order_has_the_same_code():
    a = resource(**{"service.name": "cart", "host.name": "h"})
    b = resource(**{"host.name": "h", "service.name": "cart"})
    c = resource(**{"host.name": "h2", "service.name": "cart"})
    table = Resources()
    assert table.codes(packed([a, b, c, a])).tolist() == [0, 0, 1, 0]
    assert len(table) == 2
    assert table.spellings == 3


def identity(**attributes):
    table = Resources()
    table.codes(packed([resource(**attributes)]))
    return int(table.identity[0])


def test_what_may_change_while_a_thing_stays_the_same_is_not_its_identity():
    base = identity(**{"service.name": "cart"})
    for key in (
        "service.version",
        "telemetry.sdk.version",
        "process.pid",
        "k8s.pod.uid",
        "container.image.tag",
        "os.type",
    ):
        assert identity(**{"service.name": "cart", key: "x"}) == base
    for key in (
        "service.instance.id",
        "service.namespace",
        "k8s.volume.name",
        "postgresql.table.name",
        "deployment.environment",
    ):
        assert identity(**{"service.name": "cart", key: "x"}) != base


def test_processes_of_a_host_that_name_no_service_are_told_apart():
    one, two = ({"host.name": "h", "process.pid": pid} for pid in (1, 2))
    assert identity(**one) != identity(**two)


def test_the_identity_is_keyed():
    a, b = Resources(1), Resources(2)
    for table in (a, b):
        table.codes(packed([resource(**{"service.name": "cart"})]))
    assert a.identity[0] != b.identity[0]


def test_a_broken_resource_keeps_what_can_be_read_and_is_counted():
    table = Resources()
    bad_text = b"\x0a\x09\x0a\x01k\x12\x04\x0a\x02a\xff"
    codes = table.codes(packed([b"\xff\xff", bad_text + resource(**{"service.name": "cart"}), resource()]))
    assert table.broken == 2
    assert [table.entities[c].service for c in codes] == ["unknown_service", "cart", "unknown_service"]
    assert table.attributes[codes[1]]["k"] == "a\ufffd"


def test_names_have_dense_codes_and_identities():
    names = Names()
    assert names.codes(packed([b"a", b"", b"a", b"b"])).tolist() == [0, 1, 0, 2]
    assert names.raw == [b"a", b"", b"b"]
    assert len(set(names.identity.tolist())) == 3
    assert names.codes(packed([b"b"])).tolist() == [2]


def request(name="m", kind="gauge", unit="s", attributes=(), bounds=(), temporality=0, monotonic=False, service="cart"):
    out = ExportMetricsServiceRequest()
    group = out.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    metric = group.scope_metrics.add().metrics.add(name=name, unit=unit)
    data = getattr(metric, kind)
    point = data.data_points.add(time_unix_nano=1)
    if temporality:
        data.aggregation_temporality = temporality
    if monotonic:
        data.is_monotonic = True
    if kind in ("gauge", "sum"):
        point.as_int = 1
    if kind == "histogram":
        point.explicit_bounds.extend(bounds)
        point.bucket_counts.extend([1] * (len(bounds) + 1))
    for key, value in attributes:
        point.attributes.add(key=key).value.string_value = value
    return out.SerializeToString()


def test_a_series_is_all_that_sets_it_apart_and_nothing_else():
    tables = Tables()
    different = [
        request(), request(name="n"), request(service="payment"), request(kind="sum", temporality=DELTA),
        request(kind="sum", temporality=CUMULATIVE), request(kind="sum", temporality=CUMULATIVE, monotonic=True),
        request(kind="histogram", bounds=(1.0,)), request(kind="histogram", bounds=(2.0,)), request(kind="histogram"),
        request(kind="exponential_histogram"), request(attributes=[("a", "1")]), request(attributes=[("a", "2")]),
        request(attributes=[("a", "1"), ("b", "2")]),
    ]  # fmt: skip
    for payload in different:
        decode_metrics([payload], tables)
    assert len(tables.series) == len(different)
    for same in (request(unit="ms"), request(attributes=[("b", "2"), ("a", "1")])):
        decode_metrics([same], tables)
    assert len(tables.series) == len(different)
    assert len(set(tables.series.identity.tolist())) == len(different)
    assert tables.size >= len(different) + len(tables.resources)


def test_a_series_describes_itself():
    tables = Tables()
    payload = request("latency", "histogram", "ms", [("z", "1"), ("a", "2")], (0.5, 2.5), CUMULATIVE)
    batch, _ = decode_metrics(
        [payload, request(kind="exponential_histogram"), request(kind="sum", monotonic=True)], tables
    )
    code = int(batch.series[tables.series.kind[batch.series] == HISTOGRAM][0])
    info = tables.series.describe(code)
    assert info == (
        "default", "cart", "", "latency", "ms", HISTOGRAM, CUMULATIVE, False, (0.5, 2.5), (("a", "2"), ("z", "1"))
    )  # fmt: skip
    kinds = tables.series.kind.tolist()
    assert tables.series.describe(kinds.index(EXPONENTIAL)).bounds == tuple(GRID)
    assert tables.series.monotonic.tolist() == [k == SUM for k in kinds]
    assert tables.series.temporality[code] == CUMULATIVE
    assert tables.resources.entities[tables.series.resource[code]].service == "cart"
    assert GAUGE not in kinds
    with pytest.raises(IndexError, match="series 3 is not one of 3"):
        tables.series.describe(3)


def test_series_that_share_their_bounds_and_one_that_does_not_describe_their_own():
    tables = Tables()
    bounds = [(1.0,), (1.0,), (2.0, 3.0), (1.0,)]
    decode_metrics([request(str(i), "histogram", bounds=b) for i, b in enumerate(bounds)], tables)
    assert [tables.series.describe(i).bounds for i in range(4)] == bounds


def test_columns_say_of_a_series_what_its_description_says():
    tables = Tables()
    some = [
        request(f"m{k}", "histogram", f"u{k % 2}", [("k", str(k))] * (k % 3), (k + 1.0,), service=f"s{k % 2}")
        for k in range(5)
    ]
    decode_metrics([*some, request("plain")], tables)
    series = tables.series
    assert len(series.about) == len(series) == len(series.attributes) == len(series.metric) == 6
    for code, (resource, name, unit, bounds) in enumerate(series.about.tolist()):
        info = series.describe(code)
        names = series.names.raw[name].decode(), series.names.raw[unit].decode()
        assert (series.entities[resource].service, *names) == (info.service, info.name, info.unit)
        assert (series.bounds[bounds] if bounds >= 0 else ()) == info.bounds
        number = series.attributes[code]
        low, high = series.sets.edges[number : number + 2]
        assert unframed(series.sets.data[low:high].tobytes()) == series.sets[number]
        assert len(series.sets[number]) == len(info.attributes)
    assert len(series.sets.data) == series.sets.edges[-1]


def test_what_series_share_is_numbered_and_held_once():
    tables = Tables()
    a, b = [("k", "1"), ("l", "2")], [("l", "2"), ("k", "1")]
    some = [
        request("m", attributes=a, service="cart"), request("m", attributes=a, service="web"), request("m", service="web"),
        request("n", attributes=a), request("m", "sum", attributes=b), request("m", "sum", attributes=a, service="web"),
        request("m", "sum", attributes=a, monotonic=True), request("m", "sum", attributes=a, temporality=DELTA),
        request("h", "histogram", attributes=a, bounds=(1.0,)), request("h", "histogram", attributes=a, bounds=(2.0,)),
        request("h", "histogram", attributes=a, bounds=(1.0,), service="web"), request("p", unit="ms", attributes=a),
        request("p", unit="s", attributes=a, service="web"),
    ]  # fmt: skip
    for payload in (some[0], *some):  # one by one, and one of them again
        decode_metrics([payload], tables)
    series = tables.series
    assert series.metric.tolist() == [0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 5, 7, 8]
    assert series.of_metric.tolist() == [0, 3, 4, 6, 7, 8, 9, 11, 12]
    # Another order of the attributes is another set: they are kept as they came.
    assert series.attributes.tolist() == [0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]
    assert series.sets.size == 3
    whole = Tables()
    decode_metrics(some, whole)  # together: points come by kind
    described = [whole.series.describe(code) for code in range(len(whole.series))]
    assert sorted(described) == sorted(series.describe(code) for code in range(len(series)))


def test_identities_do_not_depend_on_the_order_of_arrival():
    payloads = [request(name=str(i), attributes=[("k", str(i % 3))], service=str(i % 5)) for i in range(3000)]
    a, b = Tables(), Tables()
    codes_a = decode_metrics(payloads, a)[0].series
    codes_b = decode_metrics(payloads[::-1], b)[0].series[::-1]
    assert np.array_equal(a.series.identity[codes_a], b.series.identity[codes_b])
    assert a.series.describe(int(codes_a[77])) == b.series.describe(int(codes_b[77]))


def test_names_are_cut_where_they_are_no_names_any_more():
    long = entity(**{"service.name": "s" * 1000, "deployment.environment.name": "e" * 1000, "host.name": "h" * 1000})
    assert [len(part) for part in long[:4]] == [255, 255, 255, 255]
