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
        (b'{"msg":"a \\"quoted\\" b"}', b'a "quoted" b'),
        (b'{"Level":"info","Message":"m"}', b"m"),
        (b'{"MESSAGE":"m","_PID":"7"}', b"m"),
        (b'{"@t":"2024","@mt":"took {Elapsed}","Elapsed":7}', b"took {Elapsed}"),
        (b'{"msg":"","text":"t"}', b"t"),
        (b'level=info msg="say \\"hi\\" \\x41"', b'say "hi" A'),
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


def test_nothing_is_copied_where_nothing_is_escaped():
    text = flat([b'{"msg":"line"}', b"plain \\n", b"a=1 msg=b"])
    assert messages(text).data is text.data


@pytest.mark.parametrize(
    "said",
    [
        'tab\there, "quoted", back\\slash, C:\\x',
        "naïve 用户 🚀",
        "line\nother line",
        "\\u0041 is no escape",
        "é" * 3000,
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_message_is_what_was_logged_whatever_its_escapes(said, ascii_only):
    bodies = [json.dumps({"level": "info", key: said}, ensure_ascii=ascii_only).encode() for key in ("msg", "message")]
    out = messages(flat([b"before", *bodies, b'{"msg":"after"}']))
    assert [out.raw(row).decode() for row in range(4)] == ["before", said, said, "after"]


def test_escapes_that_are_none_stay_and_half_a_pair_is_replaced():
    assert message(rb'{"msg":"a\qb \u12 \ud83d! \ud83d\ude80 \udc00"}') == rb"a\qb \u12 ".replace(b"\\\\", b"\\") + (
        "\ufffd! 🚀 \ufffd".encode()
    )


def test_a_message_that_a_container_runtime_wrapped_is_found():
    inner = json.dumps({"level": "info", "msg": 'user "ann" left\n'})
    outer = json.dumps({"log": inner + "\n", "stream": "stdout"}).encode()
    assert message(outer) == b'user "ann" left'
    assert message(b'{"log":"plain\\n","stream":"stdout"}') == b"plain"


JAVA = "java.lang.IllegalStateException: no\n\tat a.b.C.foo(C.java:12)\n\tat a.b.D.bar(D.java:1)"


@pytest.mark.parametrize(
    "body",
    [
        {"message": "order failed", "stack_trace": JAVA},
        {"message": "order failed", "error": {"stack_trace": JAVA, "message": "inner"}},
        {"exception.stacktrace": JAVA, "message": "order failed"},
        {"@x": JAVA, "@mt": "order failed"},
    ],
)
def test_a_stack_trace_in_a_field_of_its_own_follows_the_message(body):
    assert message(json.dumps(body).encode()) == b"order failed\n" + JAVA.encode()


def test_a_field_that_only_has_the_name_of_a_trace_is_left_out():
    assert message(b'{"message":"m","stack":"one\\ntwo"}') == b"m"
    assert message(b'{"message":"m","exception":"no frames"}') == b"m"


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


def test_a_message_is_no_longer_than_any_hostile_body():
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
        b"\\n\\tat x(",
        b"\\u00",
        b"\\ud83d",
        b"stack",
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
