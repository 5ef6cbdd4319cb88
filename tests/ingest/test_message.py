r"""Body -> message: the field that holds the text is found, anything else stays as it is."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from aiops.columns import Slices
from aiops.ingest.message import messages
from aiops.ingest.shapes import shape_of


def flat(lines: list[bytes]) -> Slices:
    edges = np.zeros(len(lines) + 1, np.int32)
    np.cumsum([len(line) for line in lines], out=edges[1:])
    return Slices(np.frombuffer(b"".join(lines) + b"\0", np.uint8), edges[:-1], edges[1:])


def message(body: bytes) -> bytes:
    return messages(flat([body])).raw(0)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"level":"info","msg":"user 12 left","x":{"message":"inner"}}', b"user 12 left"),
        (b' {"event":"e","log":"l","message" : "m","msg":"g"}', b"m"),
        (b'{"msg":"a \\"quoted\\" b"}', b'a \\"quoted\\" b'),
        (b'{"message":17,"text":"t"}', b"t"),
        (b'time=1 level=info msg="disk 7 full" a=b', b"disk 7 full"),
        (b"level=warn message=full", b"full"),
        (b"plain a=b msg=c", b"plain a=b msg=c"),
        (b'{"a": 1', b'{"a": 1'),
        (b'{"msg":"cut', b'{"msg":"cut'),
        (b'{"level":"info"}', b'{"level":"info"}'),
        (b"", b""),
    ],
)
def test_a_body_is_narrowed_to_its_message(body, text):
    assert message(body) == text


def test_nothing_is_copied_where_no_trace_is_escaped():
    text = flat([b'{"msg":"line\\nother line"}', b"plain"])
    assert messages(text).data is text.data


@pytest.mark.parametrize(
    "trace",
    [
        'boom 12\njava.lang.IllegalStateException: "x"\n\tat a.b.C.foo(C.java:12)\n\tat a.b.D.bar(D.java:1)',
        'Traceback (most recent call last):\n  File "a.py", line 3, in load\n    x()\nKeyError: 7',
        "Error: no\n    at run (C:\\app\\x.js:3:1)",
    ],
)
def test_an_escaped_stack_trace_is_seen_as_one(trace):
    bodies = [b"before", json.dumps({"level": "error", "message": trace}).encode(), b"after"]
    out = messages(flat(bodies))
    assert [out.raw(0), out.raw(1), out.raw(2)] == [b"before", trace.encode(), b"after"]
    assert shape_of(out.raw(1)) == shape_of(trace.encode())


def test_escapes_of_other_messages_stay():
    assert message(b'{"msg":"one\\ntwo \\tat noon"}') == b"one\\ntwo \\tat noon"


def test_a_message_is_part_of_any_hostile_body():
    draw = random.Random(3)
    pieces = [
        b'{"',
        b'"',
        b":",
        b"msg",
        b"message",
        b"\\",
        b"}",
        b"{",
        b"[",
        b" ",
        b"=",
        b"\\n\\tat ",
        b"\n",
        b"\xff",
        b"msg=",
        b'":"',
    ]
    bodies = [b"".join(draw.choices(pieces, k=draw.randrange(30))) for _ in range(3000)]
    bodies += [b'{"message":"' + b"\\" * 60_001, b'{"msg":"' + b"\\n" * 30_000, b'"' * 50_000, b"a=" * 30_000]
    out = messages(flat(bodies))
    for row, body in enumerate(bodies):
        raw = out.raw(row)
        assert len(raw) <= len(body)
        assert raw == message(body)
