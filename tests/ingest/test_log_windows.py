"""Log records -> rows: whatever came first, however it was cut, and however many shapes there are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.columns import Slices
from aiops.identity import hash_bytes
from aiops.ingest import log_windows
from aiops.ingest.log_windows import EXEMPLAR, LogWindow, bounded
from aiops.signals import LogRow


class Line(NamedTuple):
    service: str
    shape: bytes
    time: int
    severity: int
    text: bytes


def add(window: LogWindow, lines: list[Line]) -> None:
    edges = np.zeros(len(lines) + 1, np.int32)
    np.cumsum([len(line.text) for line in lines], out=edges[1:])
    pair = [hash_bytes(line.service.encode() + b"\0" + line.shape) for line in lines]
    window.add(
        np.array(pair, np.uint64),
        np.array([line.time for line in lines], np.int64),
        np.array([line.severity for line in lines], np.int32),
        Slices(np.frombuffer(b"".join(line.text for line in lines) + b"\0", np.uint8), edges[:-1], edges[1:]),
        lambda row: ("prod", lines[row].service, lines[row].shape),
    )


def rows(lines: list[Line], size: int = 1000) -> list[LogRow]:
    window = LogWindow()
    for i in range(0, len(lines), size):
        add(window, lines[i : i + size])
    return window.rows()


def plain(lines: list[Line]) -> dict[tuple[str, bytes], list[Any]]:
    """Service, shape -> lines, errors, worst severity."""
    out: dict[tuple[str, bytes], list[Any]] = {}
    for line in lines:
        found = out.setdefault((line.service, line.shape), [0, 0, 0])
        found[0] += 1
        found[1] += line.severity >= 17
        found[2] = max(found[2], line.severity)
    return out


texts = st.sampled_from([b"", b"a", b"ab", b"b", b"token=zz b", b"token=aa a", b"\xff", b"\xe2\x82", b"x" * 2000])
lines = st.builds(
    Line,
    service=st.sampled_from(["web", "cart"]),
    shape=st.sampled_from([b"a", b"b \x01", b"c", b"d", b"<*>", b"\xff", b"token=a", b"token=b"]),
    time=st.integers(1, 3),
    severity=st.sampled_from([0, 9, 13, 17, 21]),
    text=texts,
)
two_orders = st.lists(lines, max_size=25).flatmap(lambda p: st.tuples(st.just(p), st.permutations(p)))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(two_orders, st.integers(1, 7), st.sampled_from([1, 2, 3, 2000]), st.sampled_from([2, 3, 40_000]))
def test_neither_order_nor_batches_nor_folding_change_the_rows(orders, size, shapes, most_open):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_windows, "MAX_SHAPES", shapes)
        whole = rows(orders[0])
        patch.setattr(log_windows, "MAX_OPEN", most_open)
        assert rows(orders[1], size) == whole


@settings(derandomize=True, max_examples=150, deadline=None)
@given(two_orders, st.integers(0, 25), st.sampled_from([1, 2, 3, 2000]))
def test_bounding_the_parts_first_gives_what_bounding_the_whole_gives(orders, cut, shapes):
    parts = [rows(part) for part in (orders[1][:cut], orders[1][cut:])]
    whole = [row for part in parts for row in part]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_windows, "MAX_SHAPES", shapes)
        assert bounded(bounded(parts[1]) + bounded(parts[0])) == bounded(whole)


def test_lines_errors_and_the_worst_severity_are_counted_for_each_service_and_shape(rng):
    drawn = [
        Line(
            f"s{rng.integers(3)}",
            b"shape %d" % rng.integers(4),
            int(rng.integers(1, 9)),
            int(rng.integers(0, 25)),
            b"x",
        )
        for _ in range(400)
    ]
    found = {(row.service, row.shape): [row.lines, row.errors, row.severity] for row in rows(drawn, 30)}
    assert found == plain(drawn)


def test_the_exemplar_is_the_earliest_line_and_of_these_the_least_text():
    row = rows([Line("web", b"s", t, 9, text) for t, text in [(5, b"a"), (3, b"z"), (3, b"m"), (3, b"mm"), (4, b"b")]])[
        0
    ]
    assert (row.exemplar_time, row.exemplar) == (3, "m")


def test_a_later_batch_with_an_earlier_line_takes_over_the_exemplar():
    assert rows([Line("web", b"s", 5, 9, b"late"), Line("web", b"s", 2, 9, b"soon")], 1)[0].exemplar == "soon"


def test_an_exemplar_is_cut_and_secrets_do_not_leave():
    long, secret = rows([Line("web", b"s", 1, 9, b"x" * 5000), Line("web", b"t", 1, 9, b"login password=hunter2 ok")])
    assert len(long.exemplar) == EXEMPLAR
    assert "hunter2" not in secret.exemplar
    assert "password=<redacted" in secret.exemplar


def test_what_is_no_utf8_is_still_a_line():
    (row,) = rows([Line("web", b"\xff\xfe", 1, 9, b"\xff")])
    assert (row.lines, row.exemplar) == (1, "\ufffd")


def test_shapes_beyond_the_bound_share_one_row_and_lose_no_line(monkeypatch):
    monkeypatch.setattr(log_windows, "MAX_SHAPES", 3)
    drawn = [Line(s, b"shape %d" % k, k, 17, b"") for s in ("a", "b") for k in range(9)]
    found = rows(drawn)
    assert [r.shape for r in found] == 2 * [b"<*>", b"shape 0", b"shape 1", b"shape 2"]
    assert [r.lines for r in found] == 2 * [6, 1, 1, 1]
    assert [r.exemplar_time for r in found] == 2 * [3, 0, 1, 2]


def test_a_service_with_many_shapes_takes_none_from_another(monkeypatch):
    monkeypatch.setattr(log_windows, "MAX_SHAPES", 2)
    found = rows([Line("loud", b"%d" % k, 1, 0, b"") for k in range(9)] + [Line("quiet", b"z", 1, 0, b"")])
    assert [r.shape for r in found if r.service == "quiet"] == [b"z"]


def test_a_window_folds_when_it_holds_too_many_pairs(monkeypatch):
    monkeypatch.setattr(log_windows, "MAX_SHAPES", 4)
    monkeypatch.setattr(log_windows, "MAX_OPEN", 10)
    window = LogWindow()
    for k in range(200):
        add(window, [Line("web", b"%04d" % k, k, 9, b"")])
        assert len(window._about) + len(window._folded) <= 10 + 5
    assert sum(row.lines for row in window.rows()) == 200
