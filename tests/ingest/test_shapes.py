"""Line -> shape: what is data, what stays, and that nothing but the bytes of the line decides."""

from __future__ import annotations

import random

import numpy as np
import pytest

from aiops.columns import Slices
from aiops.ingest.masking import mask
from aiops.ingest.shapes import LONGEST, shape_hashes, shape_of, shape_text, stem, variables

TRACE = (
    b"boom 12\njava.lang.IllegalStateException: x 12\n\tat a.b.C.foo(C.java:12)\n\tat a.b.D.bar(D.java:1)\n"
    b"Caused by: java.io.IOException: d\n\tat q.E.r(E.java:3)\n\tat z.z(Z:1)"
)


def flat(lines: list[bytes]) -> Slices:
    edges = np.zeros(len(lines) + 1, np.int32)
    np.cumsum([len(line) for line in lines], out=edges[1:])
    return Slices(np.frombuffer(b"".join(lines) + b"\0", np.uint8), edges[:-1], edges[1:])


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        (b"took 12 ms", b"took \x01 ms"),
        (b"from 10.0.3.7:8443 port", b"from \x01 port"),
        (b"id 5f3c-77aa, blk_-42", b"id \x01, \x01"),
        (b"open /var/log and https://a.b/c?d=e", b"open \x01 and \x01"),
        (b"GET /cart?user=ann&x=y done", b"GET \x01 done"),
        (b"class org.acme.Cart failed", b"class \x01 failed"),
        (b"java.lang.IllegalStateException thrown", b"java.lang.IllegalStateException thrown"),
        (b"connect db.internal:5432", b"connect \x01"),
        (b"got Order(id=a, total=b) now", b"got Order(\x01) now"),
        (b"ids [a,b,c] of", b"ids [\x01] of"),
        (b"prices: {0b23-4f:Fast={id=b9, type=Fast}, x=y} found", b"prices: {\x01} found"),
        (b"start {act=MAIN flg=0} now", b"start {act=\x01 flg=\x01} now"),
        (b"user {Name:ann Age:7} saved", b"user {\x01} saved"),
        (b"got {'a': 1, 'b': [2]} now", b"got {\x01} now"),
        (b"use {name} or {a: b} here", b"use {name} or {a: \x01} here"),
        (b"state = (mode=fast, name=ann)", b"state = (mode=\x01, name=\x01)"),
        (b"(mode: fast, name: ann)", b"(mode: \x01, name: \x01)"),
        (b'cmd="rm it" end', b'cmd="\x01" end'),
        (b"value=null x=y", b"value=\x01 x=y"),
        (b"session opened for user root by (uid=0)", b"session opened for user \x01 by (uid=\x01)"),
        (b"at Sat Jun 11 2005", b"at \x01 \x01 \x01 \x01"),
        (b"wait ...... done", b"wait ... done"),
        (b"mac 00:aa:bb:0c:dd:ee up", b"mac \x01 up"),
        ("用户123登录".encode(), "用户\x01登录".encode()),
        (b"mail to ann.b@example.com bounced", b"mail to \x01 bounced"),
        (b"TraceID: abcdefabcdefabcdefabcdefabcdefab SpanID: 00aa", b"TraceID: \x01 SpanID: \x01"),
        (b"a defaced facade", b"a defaced facade"),
        (b"  many   blanks\t", b"many blanks"),
        (b"a\x01b", b"a b"),
        (b"", b""),
    ],
)
def test_data_becomes_one_byte_and_all_else_is_kept(line, shape):
    assert shape_of(line) == shape


def test_every_variable_is_given_back_in_order():
    shape, values = variables(b'moved blk_3 from 10.0.0.1:80 to "/data/x" (tries=2, why="no room")')
    assert shape == b'moved \x01 from \x01 to "\x01" (tries=\x01, why="\x01")'
    assert values == [b"blk_3", b"10.0.0.1:80", b"/data/x", b"2", b"no room"]


def test_a_stack_trace_keeps_types_and_top_frames_only():
    assert shape_of(TRACE) == (
        b"boom \x01\njava.lang.IllegalStateException\na.b.C.foo\na.b.D.bar\njava.io.IOException\nq.E.r\nz.z"
    )
    rebuilt = TRACE.replace(b":12)", b":13)").replace(b"x 12", b"other text").replace(b"boom 12", b"boom 99")
    assert shape_of(rebuilt) == shape_of(TRACE)
    assert shape_of(TRACE.replace(b"IOException", b"TimeoutException")) != shape_of(TRACE)


def test_a_python_trace_forgets_line_numbers():
    trace = b'Traceback (most recent call last):\n  File "a.py", line 3, in load\n    x()\nKeyError: 7'
    assert shape_of(trace) == shape_of(trace.replace(b"line 3", b"line 4"))
    assert shape_of(trace) != shape_of(trace.replace(b"KeyError", b"OSError"))


def test_a_line_break_without_frames_is_white_space():
    assert shape_of(b"first\nsecond line") == b"first second line"


def test_only_the_first_bytes_of_a_long_line_count():
    assert shape_of(b"word " * 10_000) == shape_of(b"word " * 20_000)
    assert len(shape_of(b"ab " * 40_000)) <= LONGEST


def test_identities_are_the_same_for_ever():
    # Shape hashes cross from worker to worker and from release to release: these numbers may never change.
    hashes = shape_hashes(flat([b"user 17 logged in", b"", TRACE]))
    assert hashes.tolist() == [17312684891388963046, 9572011570169803578, 14502100569468516045]


def test_equal_shapes_have_equal_identities_wherever_they_stand():
    text = flat([b"user 1 in", b"x" * 5000, b"user 22 in", b"user 1 out", b"user 333 in"])
    hashes = shape_hashes(text)
    assert hashes[0] == hashes[2] == hashes[4] != hashes[3]
    assert hashes[0] == shape_hashes(flat([b"user 9 in"]))[0]
    assert shape_text(text, 2) == shape_of(b"user 22 in")


def test_a_stem_is_the_first_constant_words():
    assert (
        stem(shape_of(b"user 17 logged in from 10.0.0.1 (attempt 2), giving up now"))
        == b"user logged in from attempt giving"
    )
    assert stem(b"\x01 \x01") == b""
    assert stem(shape_of(TRACE)) == b"boom"
    assert stem("Größe überschritten: \x01 - ende!".encode()) == "Größe überschritten ende".encode()


def hostile() -> list[bytes]:
    draw = random.Random(3)
    runs = [
        b"(",
        b"a",
        b"1 ",
        b"x=",
        b"[a,",
        b'{"',
        b"a.b.c.",
        b".",
        b"!",
        b"a...",
        b"at a(\n",
        b"x\n\ta.go:1\n",
        b"1: a::b\n",
        b'File "a\n',
        b'="\\"',
        b"a::",
        b"::1%a",
        b"\x1b[1;",
        b"\xe7",
        b"=a{",
        b"user a",
        b"Mon ",
    ]
    cases = [b"", b" ", b"\0", b"\n\n", b"\x01", b"\xff" * 50, "naïve 用户123登录成功 🚀42 été7".encode()]
    cases += [run * (65536 // len(run)) for run in runs]
    cases += [bytes(draw.randrange(256) for _ in range(draw.randrange(200))) for _ in range(1500)]
    alphabet = b"a1 =:,()[]{}\"'./\\\n\x01<>|at"
    cases += [bytes(draw.choice(alphabet) for _ in range(draw.randrange(60))) for _ in range(2500)]
    return cases


def test_hostile_bytes_stay_inside_their_buffers():
    cases = hostile()
    text = flat(cases)
    hashes = shape_hashes(text)
    assert (hashes != 0).all()
    guard, none = np.empty(LONGEST + 256, np.uint8), np.empty((0, 2), np.int32)
    for row, line in enumerate(cases):
        some = line[:LONGEST]
        shape, values = variables(line)
        assert len(shape) <= len(some) + 16
        assert shape.count(b"\x01") == len(values)
        guard[:] = 0xEE
        mask(np.frombuffer(some + b"\0", np.uint8), 0, len(some), guard, none)
        assert (guard[len(some) + 24 :] == 0xEE).all()
        if row % 17 == 0:  # neighbours in the buffer do not matter
            assert shape_hashes(flat([line]))[0] == hashes[row]
