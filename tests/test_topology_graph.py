"""The graph at a time from records of the topology, its formats, and what differs between two times."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from aiops.errors import UserError
from aiops.ids import topology_id
from aiops.records import encode, rfc3339, unix_ns
from aiops.signals import SECOND
from aiops.topology import Topology, TopologySpan
from aiops.topology_graph import Difference, Graph, History
from aiops.topology_text import FORMATS, as_json, difference_text, exported
from streams.cli import main

T = 1_700_000_100 * SECOND
HOSTILE = [
    'a"b',
    "back\\slash",
    "two\nlines",
    "<script>alert(1)</script>",
    "%% comment",
    "end",
    "naïve 服务",
    "]|[",
    "#35;",
]


def span(minutes: float, rate: float | None, state: str = "present", errors: float | None = None) -> TopologySpan:
    fields: dict[str, Any] = {"state": state}
    return TopologySpan(since=at(minutes), calls_per_minute=rate, error_ratio=errors, **fields)


def at(minutes: float) -> str:
    return rfc3339(T + int(minutes * 60 * SECOND))


def ns(minutes: float) -> int:
    return unix_ns(at(minutes))


def record(
    name: str, *spans: TopologySpan, version: int = 1, first: float = 0.0, environment: str = "prod", cut: bool = False
) -> Topology:
    """A service, or an edge `a->b`; the last of its spans is how it is."""
    caller, _, callee = name.partition("->")
    *earlier, now = spans or (span(first, 60.0),)
    fields: dict[str, Any] = {"caller": caller, "callee": callee} if callee else {"service": name}
    return Topology(
        topology_id=topology_id("default", environment, caller, callee), version=version, tenant="default",
        environment=environment, kind="edge" if callee else "service", state=now.state,
        calls_per_minute=now.calls_per_minute, error_ratio=now.error_ratio, since=now.since, first_seen=at(first),
        last_seen=at(90), updated_at=at(100), reason="rate", earlier=tuple(earlier), earlier_truncated=cut, **fields,
    )  # fmt: skip


def names(graph: Graph) -> list[str]:
    return [n.service for n in graph.services] + [f"{e.caller}->{e.callee}" for e in graph.edges]


EDGE = [span(10, 100.0), span(30, 10.0), span(50, None, "gone"), span(70, 100.0)]
SHOP = [record("web"), record("cart", first=5), record("web->cart", *EDGE, first=10, version=9)]


# ---- at a time -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("minutes", "seen", "rate"),
    [
        (0, ["web"], None),
        (7, ["cart", "web"], None),
        (10, ["cart", "web", "web->cart"], 100.0),
        (40, ["cart", "web", "web->cart"], 10.0),
        (60, ["cart", "web"], None),
        (70, ["cart", "web", "web->cart"], 100.0),
        (5000, ["cart", "web", "web->cart"], 100.0),
    ],
)
def test_the_newest_records_say_how_it_was(minutes, seen, rate):
    graph = History(SHOP).at(ns(minutes))
    assert names(graph) == seen
    assert graph.at == at(minutes)
    assert [e.calls_per_minute for e in graph.edges] == ([] if rate is None else [rate])


def test_all_versions_in_any_order_say_the_same_as_the_newest():
    versions = [record("web->cart", *EDGE[: k + 1], version=k + 1, first=10) for k in range(4)]
    for seed in range(5):
        shuffled = [*versions, *SHOP[:2]]
        random.Random(seed).shuffle(shuffled)
        for minutes in (0, 7, 10, 40, 60, 70):
            assert History(shuffled).at(ns(minutes)) == History([*SHOP[:2], versions[-1]]).at(ns(minutes))


def test_older_versions_add_what_the_newest_has_left_out():
    newest = record("web->cart", *EDGE[2:], version=9, first=10, cut=True)
    (edge,) = History([*SHOP[:2], newest]).at(ns(20)).edges
    assert edge.calls_per_minute is None  # it was there, how is not known any more
    (edge,) = History([*SHOP[:2], record("web->cart", *EDGE[:2], version=2, first=10), newest]).at(ns(20)).edges
    assert edge.calls_per_minute == 100.0


def test_without_a_time_it_is_as_it_is_now():
    graph = History(SHOP).at()
    assert (graph.at, names(graph)) == (at(100), ["cart", "web", "web->cart"])
    assert {n.last_seen for n in graph.services} == {at(90)}
    assert {n.last_seen for n in History(SHOP).at(ns(20)).services} == {None}


def test_what_is_not_known_is_an_error():
    with pytest.raises(UserError, match=r"nothing is known of .* what was seen first was seen at"):
        History(SHOP).at(ns(-1))
    with pytest.raises(UserError, match="there is no record of the topology"):
        History(SHOP, environment="test").at()


def test_an_environment_can_be_asked_for_alone():
    both = [*SHOP, record("web", environment="test")]
    assert names(History(both).at()) == ["cart", "web", "web", "web->cart"]
    assert names(History(both, "test").at()) == ["web"]


def test_a_service_without_a_record_is_there_where_an_edge_names_it():
    assert names(History([record("a->b")]).at()) == ["a", "b", "a->b"]


# ---- differences ---------------------------------------------------------------------------------------------------------
def test_a_difference_names_what_was_added_removed_and_changed():
    history = History([*SHOP, record("pay", span(0, 60.0, errors=0.0), span(20, 60.0, errors=0.3))])
    later = history.difference(ns(7), ns(40))
    assert [f"{e.caller}->{e.callee}" for e in later.added_edges] == ["web->cart"]
    assert [(c.service, c.error_ratio) for c in later.changed] == [("pay", (0.0, 0.3))]
    assert [n.service for n in history.difference(ns(0), ns(7)).added_services] == ["cart"]
    (changed,) = (c for c in history.difference(ns(10), ns(40)).changed if c.callee)
    assert changed.calls_per_minute == (100.0, 10.0)
    assert [e.callee for e in history.difference(ns(40), ns(60)).removed_edges] == ["cart"]
    backwards = history.difference(ns(40), ns(7))
    assert (backwards.removed_edges, backwards.added_edges) == (later.added_edges, ())


def test_a_difference_in_words_is_a_line_each():
    lines = difference_text(History(SHOP).difference(ns(0), ns(40))).splitlines()
    assert lines[1:] == ["+ cart in prod", "+ web -> cart in prod"]
    assert difference_text(History(SHOP).difference(ns(10), ns(40))).splitlines()[1:] == [
        "~ web -> cart in prod: 100 -> 10 a minute"
    ]
    assert difference_text(History(SHOP).difference(ns(70), ns(80))).splitlines()[1:] == ["no difference"]


# ---- formats -------------------------------------------------------------------------------------------------------------
QUOTED = r'"(?:[^"\\\n]|\\.)*"'
DOT = [
    r"digraph topology \{", rf"  label={QUOTED};", "  rankdir=LR;", r"  node \[shape=box\];", r"  subgraph cluster_\d+ \{",
    rf"    label={QUOTED};", rf"    n\d+ \[label={QUOTED}\];", r"  \}", rf"  n\d+ -> n\d+(?: \[label={QUOTED}\])?;", r"\}",
]  # fmt: skip
LABEL = r'"(?:[\w /.:-]|#\d+;|<br/>|%|,)*"'
MERMAID = [
    r"%% [0-9TZ:.-]+", "flowchart LR", rf"  subgraph e\d+\[{LABEL}\]", rf"    n\d+\[{LABEL}\]", "  end",
    rf"  n\d+ (?:-->|-->\|{LABEL}\|) n\d+",
]  # fmt: skip


def hostile() -> History:
    services = [record(name) for name in HOSTILE]
    edges = [record(f"{a}->{b}", span(0, 2.5)) for a, b in pairwise(HOSTILE)]
    return History([*services, *edges, record("web", span(0, 7.0, errors=0.25), environment='"prod"'), record("x")])


@pytest.mark.parametrize(("form", "grammar"), [("dot", DOT), ("mermaid", MERMAID)])
def test_every_line_follows_the_grammar_whatever_the_names_hold(form, grammar):
    text = exported(hostile().at(), form)
    odd = [line for line in text.splitlines() if not any(re.fullmatch(rule, line) for rule in grammar)]
    assert odd == []
    opens, closes = ("{", "}") if form == "dot" else ("subgraph", "end")
    words = re.sub(QUOTED, "", text).replace("{", " { ").replace("}", " } ").split()
    assert words.count(opens) == words.count(closes) > 0
    assert text.count("\n") == len(text.splitlines())


def test_json_follows_its_types():
    graph = msgspec.json.decode(exported(hostile().at(), "json"), type=Graph)
    assert graph == hostile().at()
    assert sorted(n.service for n in graph.services) == sorted([*HOSTILE, "web", "x"])
    found = History(SHOP).difference(ns(0), ns(40))
    assert msgspec.json.decode(as_json(found), type=Difference) == found


# ---- the command ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def file(tmp_path):
    path = tmp_path / "topology.jsonl"
    path.write_bytes(b"".join(encode(one) + b"\n" for one in SHOP))
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_exports_a_file(file, capsys, form):
    assert main(["topology", "export", "--file", str(file), "--format", form, "--at", at(40)]) == 0
    assert capsys.readouterr().out == exported(History(SHOP).at(ns(40)), form)


def test_the_command_tells_a_difference(file, capsys):
    assert main(["topology", "diff", "--file", str(file), "--from", at(10), "--to", at(40)]) == 0
    assert "~ web -> cart in prod: 100 -> 10 a minute" in capsys.readouterr().out
    assert main(["topology", "diff", "--file", str(file), "--from", at(10), "--format", "json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Difference).until == at(100)


def test_mistakes_are_named_in_one_line(file, capsys, tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    timeless = tmp_path / "timeless.jsonl"
    timeless.write_bytes(encode(SHOP[2]) + b"\n" + encode(SHOP[2]).replace(at(30).encode(), b"noon"))
    for arguments, words in (
        (["export", "--file", broken], f"{broken}: line 1: topology: "),
        (["export", "--file", tmp_path / "nothing"], "nothing: No such file"),
        (["export", "--file", file, "--at", at(-5)], "nothing is known of"),
        (["diff", "--file", file, "--from", at(10), "--to", at(5)], "--from is not before --to"),
        (["diff", "--file", file, "--from", at(100)], f"{at(100)} is not before {at(100)}"),
        (["export", "--file", timeless], f"{timeless}: line 2: topology: earlier.since 'noon' is no RFC 3339 time"),
    ):
        assert main(["topology", *map(str, arguments)]) == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
