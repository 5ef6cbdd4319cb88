"""Shape -> template: what unites, what stays apart, and that only content, order of shapes and windows decide."""

from __future__ import annotations

import collections
import csv
import itertools
import random
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from aiops.columns import Slices
from aiops.detect.fan_out import FanOut
from aiops.detect.template_words import LONGEST, template_id, words
from aiops.detect.templates import Templates
from aiops.ingest.shapes import shape_of

Row = tuple[str, bytes]  # service, line

WORDS = (
    "user node disk started stopped failed not found alpha beta gamma delta epsilon RUNNING FAILED "
    "read write timeout from to"
).split()


def flat(lines: list[bytes]) -> Slices:
    edges = np.zeros(len(lines) + 1, np.int32)
    np.cumsum([len(line) for line in lines], out=edges[1:])
    return Slices(np.frombuffer(b"".join(lines) + b"\0", np.uint8), edges[:-1], edges[1:])


def made_up(n: int = 1500, seed: int = 1) -> list[Row]:
    draw, out = random.Random(seed), []
    for i in range(n):
        line = (
            draw.choice(WORDS) if draw.random() < 0.8 else str(draw.randrange(9999))
            for _ in range(draw.randrange(1, 9))
        )
        out.append((f"production\0s{i % 3}", " ".join(line).encode()))
    return out


def feed(templates: Templates, rows: list[Row], cuts: Iterable[int] = ()) -> list[int]:
    names = sorted({service for service, _ in rows})
    number = {name: i for i, name in enumerate(names)}
    edges, out = [0, *cuts, len(rows)], []
    for a, b in itertools.pairwise(edges):
        codes = np.array([number[service] for service, _ in rows[a:b]], np.int32)
        out += templates.codes(codes, names, flat([line for _, line in rows[a:b]])).tolist()
    return out


def ids(templates: Templates, clusters: Iterable[int]) -> list[str]:
    return [templates.id(cluster) for cluster in clusters]


def match_lines(templates: Templates, lines: Iterable[str]) -> list[str]:
    return ids(templates, [templates.match("s", shape_of(line.encode())) for line in lines])


def test_a_place_with_four_different_words_is_data():
    templates = Templates()
    lines = [f"session of {name} is open" for name in "ann bob cid dan".split()]
    before = match_lines(templates, lines[:3])
    assert len(set(before)) == 3
    match_lines(templates, lines[3:])
    assert len(set(match_lines(templates, lines))) == 1
    assert templates.text(templates.match("s", b"session of eve is open")) == "session of <*> is open"


def test_states_and_verbs_stay_apart():
    templates = Templates()
    lines = [f"job {word}" for word in "started stopped failed QUEUED RUNNING FAILED".split()]
    lines += [f"pod of web {word} here" for word in "Killing Pulled Created Started Pulling".split()]
    match_lines(templates, lines)
    assert len(set(match_lines(templates, lines))) == len(lines)


def test_services_do_not_share_templates():
    templates = Templates()
    one, two = templates.match("a", b"disk full"), templates.match("b", b"disk full")
    assert templates.id(one) != templates.id(two)
    assert (templates.service(one), templates.service(two)) == ("a", "b")


def test_ids_are_content_and_the_same_for_ever():
    templates = Templates()
    for line in (b"other line", b"disk 7 of web is full"):
        cluster = templates.match("production\0web", shape_of(line))
    assert templates.id(cluster) == template_id("production\0web", ("disk", "\x01", "of", "web", "is", "full"))
    assert templates.id(cluster) == "14dcf46af18e810c48a34f6f4c27e198"


def test_words_fold_what_varies_in_number():
    def texts(shape: str) -> list[str]:
        return [word.text for word in words(shape)]

    assert texts("a \x01 b \x01 a \x01 b \x01 tail") == ["a", "\x01", "b", "\x01", "tail"]
    assert texts("took \x01 ms (\x01, \x01)") == ["took", "\x01"]
    assert texts("") == ["\x01"]
    assert len(texts("w " * 500)) == LONGEST


def test_cuts_of_the_stream_do_not_matter():
    rows = made_up()
    whole, parts, single = Templates(), Templates(), Templates()
    a = feed(whole, rows)
    b = feed(parts, rows, sorted(random.Random(2).sample(range(1, len(rows)), 40)))
    c = feed(single, rows, range(1, len(rows)))
    assert ids(whole, a) == ids(parts, b) == ids(single, c)
    assert whole.snapshot() == parts.snapshot() == single.snapshot()
    assert whole.advance(1) == parts.advance(1)


def test_looking_does_not_change_the_snapshot():
    rows, templates = made_up(), Templates()
    emitted = feed(templates, rows, range(1, len(rows)))
    before = templates.snapshot()
    for cluster in reversed(emitted):
        templates.root(cluster)
    assert templates.snapshot() == before


def test_repeats_do_not_matter():
    rows = made_up(600)
    once, often = Templates(), Templates()
    feed(once, rows)
    feed(often, [row for i, row in enumerate(rows) for row in (row, rows[i // 2])])
    assert once.snapshot() == often.snapshot()


def test_order_hardly_matters():
    lines = [f"session of {a} is {b}" for a in "ann bob cid dan eve fay".split() for b in "open shut".split()]
    lines += [
        f"disk {name} has no room on {host}" for name in "alpha beta gamma" for host in "north south east west".split()
    ]
    results = []
    for seed in range(4):
        templates = Templates()
        mixed = random.Random(seed).sample(lines, len(lines))
        results.append(set(match_lines(templates, mixed)) and set(match_lines(templates, lines)))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("at", [0, 1, 100, 1499])
def test_a_restored_miner_has_the_same_future(at):
    rows = made_up()
    one, two = Templates(max_per_service=60), Templates(max_per_service=60)
    feed(one, rows[:at])
    if at > 1:
        one.advance(7)
    two.restore(one.snapshot())
    assert two.snapshot() == one.snapshot()
    for window in range(8, 11):
        assert feed(one, rows[at:]) == feed(two, rows[at:])
        assert one.snapshot() == two.snapshot()
        assert one.advance(window) == two.advance(window)
    assert one.sizes() == two.sizes()


def test_a_snapshot_inside_a_window_keeps_the_merges():
    rows = made_up(400)
    one, two = Templates(), Templates()
    feed(one, rows)
    two.restore(one.snapshot())
    merges = one.advance(1)
    assert merges
    assert two.advance(1) == merges


def test_a_snapshot_of_another_format_is_refused_by_name():
    templates = Templates()
    state = templates.snapshot()
    assert state[1] == 2  # the array's first item is the format
    with pytest.raises(ValueError, match="format 99"):
        templates.restore(state[:1] + bytes([99]) + state[2:])


def test_contexts_are_a_function_of_what_was_noted_also_after_evictions():
    templates = Templates(max_per_service=60, max_contexts=3000)
    for window in range(1, 5):
        feed(templates, made_up(1500, window))
        templates.advance(window)
        live, again = templates._fan_out, FanOut(3000, templates._fan_out.noted)
        assert live._singles.entries == again._singles.entries
        assert live._pairs.entries == again._pairs.entries
        assert len(live.noted) <= templates.sizes()["tuples"]
    assert templates.evictions > 0


def test_a_snapshot_holds_tuples_not_contexts():
    templates = Templates()
    draw = random.Random(6)
    names = ["".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(2000)]
    for _ in range(300):
        templates.match("s", " ".join(draw.choices(names, k=20)).encode())
    assert templates.sizes()["pair_contexts"] > 50_000
    assert len(templates.snapshot()) < 300 * 800


def test_merges_lead_from_every_emitted_id_to_a_live_one():
    rows, templates = made_up(), Templates()
    rows += [
        ("production\0s0", f"session of {name} on {host} is open".encode())
        for name in "ann bob cid dan eve".split()
        for host in "north south east west".split()
    ]
    emitted = {templates.id(feed(templates, [row])[0]) for row in rows}
    live = set(ids(templates, feed(templates, rows)))
    newer = {merge.old: merge.new for merge in templates.advance(1)}
    assert len(emitted - live) > 10
    for name in emitted:
        steps = 0
        while name not in live:
            name, steps = newer[name], steps + 1
            assert steps < 100


def test_parameters_are_what_stood_there():
    templates, draw = Templates(), random.Random(4)
    for name in "ann bob cid dan eve".split():
        templates.match("s", shape_of(f"session for {name} opened (id=3), ok.".encode()))
    line = b"session for fay opened (id=77), ok."
    cluster = templates.match("s", shape_of(line))
    assert templates.text(cluster) == "session for <*> opened id <*> ok"
    assert templates.display(cluster) == "session for <*> opened (id=<*>), ok."
    assert templates.parameters(cluster, line) == ["fay", "77"]
    for _ in range(200):
        a, b = draw.randrange(10**6), f"10.{draw.randrange(256)}.3.7:{draw.randrange(65536)}"
        line = f"copied chunk ch_-{a} with {a} KB to /{b}".encode()
        cluster = templates.match("s", shape_of(line))
        assert templates.parameters(cluster, line) == [f"ch_-{a}", str(a), f"/{b}"]


def test_hostile_lines_never_fail():
    draw, templates = random.Random(3), Templates()
    alphabet = b"a1 =:,()[]{}\"'./\\\n\x01<>|at"
    lines = [bytes(draw.choice(alphabet) for _ in range(draw.randrange(60))) for _ in range(1000)]
    lines += [bytes(draw.randrange(256) for _ in range(draw.randrange(200))) for _ in range(500)]
    lines += [b"", b"(" * 9000, b"a " * 4000, b"1 x " * 2000, b"\xff" * 50]
    for line in lines:
        cluster = templates.match("s", shape_of(line))
        assert len(templates.text(cluster).split(" ")) <= LONGEST
        templates.display(cluster)
        templates.parameters(cluster, line)
        templates.match("s", line)  # what is no shape of ours, either


def test_memory_is_bounded_and_what_is_in_use_stays():
    templates = Templates(max_tuples=1500, max_contexts=2000, max_per_service=150, max_cached=500)
    draw = random.Random(5)
    vocabulary = ["".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(2000)]
    keep = shape_of(b"the one that is always there 42")
    name = templates.id(templates.match("s0", keep))
    for window in range(1, 12):
        for i in range(500):
            templates.match(f"s{i % 5}", " ".join(draw.choices(vocabulary, k=8)).encode())
        assert templates.id(templates.match("s0", keep)) == name
        sizes = templates.sizes()
        assert sizes["contexts"] <= 2000
        assert sizes["pair_contexts"] <= 2000
        assert sizes["largest_service"] <= 151
        assert sizes["cached_shapes"] <= 500
        templates.advance(window)
        assert templates.sizes()["tuples"] <= 1500
        assert templates.sizes()["clusters"] <= 1500 + 750
    assert templates.evicted
    assert templates.overflowed
    copy = Templates()
    copy.restore(templates.snapshot())
    assert copy.snapshot() == templates.snapshot()


def test_a_cluster_is_known_until_its_template_is_evicted():
    templates = Templates(max_per_service=4)
    old = templates.match("s", b"alpha is here now")
    templates.advance(1)
    kept = [templates.match("s", shape) for shape in (b"beta went home early", b"gamma", b"disk of delta full")]
    assert templates.known(old)
    templates.advance(2)
    assert not templates.known(old)
    assert [templates.known(cluster) for cluster in kept] == [True, True, False]


def test_a_service_beyond_its_limit_gets_one_overflow_template_until_the_window_ends():
    templates = Templates(max_per_service=3)
    shapes = [f"{word} line is here {word}".encode() for word in "alpha beta gamma delta epsilon".split()]
    clusters = [templates.match("s", shape) for shape in shapes]
    assert [templates.text(cluster) for cluster in clusters[3:]] == ["<*>", "<*>"]
    assert templates.text(templates.match("s", shapes[0])) != "<*>"  # what it has shown before is still known
    templates.advance(1)
    assert templates.text(templates.match("s", shapes[4])) != "<*>"


def test_a_template_with_more_tuples_than_may_be_kept_is_not_lost():
    templates = Templates(max_tuples=100)
    names = ["".join(letters) for letters in itertools.product("bcdfghjk", "aeiou", "lmnpr")]
    for name in names:
        cluster = templates.match("s", f"welcome back dear {name} of ours".encode())
    name, before = templates.id(cluster), templates.sizes()["tuples"]
    assert before > 100
    templates.advance(1)
    assert templates.sizes()["tuples"] < 100
    assert templates.evicted == 0
    assert templates.id(cluster) == name
    assert templates.id(templates.match("s", b"welcome back dear xyz of ours")) == name


# ---- recorded lines -------------------------------------------------------------------------------------------------


def grouping(true: Sequence[Hashable], found: Sequence[Hashable]) -> tuple[float, float]:
    """Grouping accuracy (share of lines whose group is exactly a true one) and F1 of groups."""
    n_true, n_found = collections.Counter(true), collections.Counter(found)
    pairs = collections.Counter(zip(true, found, strict=True))
    right = [n for (a, b), n in pairs.items() if n == n_true[a] == n_found[b]]
    return sum(right) / len(true), 2 * len(right) / (len(n_true) + len(n_found))


def loghub(folder: Path) -> dict[str, tuple[list[bytes], list[Hashable]]]:
    """System -> lines and true event ids."""
    out: dict[str, tuple[list[bytes], list[Hashable]]] = {}
    for path in sorted(folder.glob("loghub/*/*_2k.log_structured.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        out[path.parent.name] = [row["Content"].encode() for row in rows], [row["EventId"] for row in rows]
    return out


@pytest.mark.data
def test_recorded_lines_are_grouped_as_people_grouped_them(recorded_data):
    logs = loghub(recorded_data)
    assert logs, f"no loghub/*/*_2k.log_structured.csv under {recorded_data}"
    figures = {}
    for system, (lines, true) in logs.items():
        templates = Templates()
        emitted, clusters = [], []
        for line in lines:
            clusters.append(templates.match(system, shape_of(line)))
            emitted.append(templates.id(clusters[-1]))
        figures[system] = (*grouping(true, ids(templates, clusters)), *grouping(true, emitted))
    mean = np.mean(list(figures.values()), 0)
    assert mean[0] >= 0.99, figures
    assert mean[1] >= 0.96, figures
    assert mean[2] >= 0.98, figures


@pytest.mark.data
def test_the_order_of_recorded_lines_does_not_matter(recorded_data):
    for system, (lines, _) in loghub(recorded_data).items():
        shapes = sorted({shape_of(line) for line in lines})
        results = []
        for seed in range(3):
            templates = Templates()
            for shape in random.Random(seed).sample(shapes, len(shapes)):
                templates.match(system, shape)
            results.append({templates.id(templates.match(system, shape)) for shape in shapes})
        assert results[0] == results[1] == results[2], system
