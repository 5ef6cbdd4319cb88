"""Bytes made to break a decoder, in a child process: an abort, a hang or a memory bomb is seen and not suffered."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.wire import ENCODINGS, SIGNALS, Tables
from tests.wire import odd_batches
from tests.wire.rows import DECODE, ROWS


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def nested(payload, depth):
    for _ in range(depth):
        payload = field(1, payload)
    return payload


def in_item(payload):
    return field(1, field(2, field(2, payload)))


PROTOBUF = {
    "length 200 MB": b"\x0a" + varint(200 << 20) + b"x",
    "length 2**31": b"\x0a" + varint(2**31) + b"x",
    "length 2**63": b"\x0a" + varint(2**63) + b"x",
    "length 2**64-1": b"\x0a" + varint(2**64 - 1) + b"x",
    "length 2**64-1, unknown field": b"\x7a" + varint(2**64 - 1) + b"\x0a\x00",
    "11-byte varint": b"\x0a" + b"\xff" * 10 + b"\x01",
    "field number 0": b"\x02\x00",
    "wire type 7": b"\x0f",
    "end of no group": b"\x1c",
    "100 000 nested groups": b"\x1b" * 100_000 + b"\x1c" * 100_000,
    "4 000 000 nested groups": b"\x1b" * 4_000_000,
    "messages nested 10 000 deep": nested(b"", 10_000),
    "body nested 5 000 deep": in_item(field(5, nested(b"", 5_000))),
    "attribute nested 5 000 deep": in_item(field(7, field(2, field(5, nested(b"", 5_000))))),
    "1 MB of empty metrics": field(1, field(2, b"\x12\x00" * 500_000)),
    "1 MB of empty exponential points": in_item(field(10, b"\x0a\x00" * 500_000)),
    "1 MB of empty resources": b"\x0a\x00" * 500_000,
    "1 MB of 0xff": b"\xff" * 10**6,
    "1 MB of zeros": bytes(10**6),
}
JSON = {
    "a million brackets": b'{"resourceLogs":' + b"[" * 10**6,
    "nested unknown": b'{"x":' + b'{"x":' * 10**6,
    "nested bodies": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + b'{"arrayValue":{"values":[' * 50_000,
    "closed nested bodies": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":'
    + b'{"arrayValue":{"values":[' * 150 + b"]}}" * 150 + b"}]}]}]}",
    "a million digits": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":' + b"1" * 10**6 + b"}]}]}]}",
    "a million digits of text": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"'
    + b"1" * 10**6 + b'"}]}]}]}',
    "NaN in nested brackets": b'{"resourceLogs":NaN,"x":' + b"[" * 10**6,
    "a megabyte of spaces": b" " * 10**6 + b"{",
    "no UTF-8 in a resource": b'{"resourceLogs":[{"resource":{"attributes":[{"key":"\xff"}]}}]}',
    "no JSON in a resource": b'{"resourceLogs":[{"resource":{"attributes":[{"key":"\\q"}]}}]}',
    "a megabyte of escapes": b'{"resourceLogs":"' + b"\\ud800" * 150_000,
}  # fmt: skip


def run():
    """The child: prints a line a case, and last its greatest memory use in MB."""
    import resource
    import time

    say = sys.stdout.write

    for decode in DECODE.values():  # compiled outside the limits
        decode([b"", b"{}"], Tables())
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    rnd = random.Random(11)
    cases = {**PROTOBUF, **JSON}
    for i in range(300):
        signal = SIGNALS[i % 3]
        request = getattr(odd_batches, signal)(rnd, odd_ids=False)
        data = bytearray(request.SerializeToString() if i % 2 else odd_batches.json_bytes(request))
        for _ in range(rnd.randrange(1, 5)):
            at = rnd.randrange(len(data) + 1)
            data[at : at + rnd.randrange(3)] = rnd.choice(
                [varint(2**31 - 1), varint(2**64 - rnd.randrange(1, 60)), rnd.randbytes(2), b"9" * 30]
            )
        cases[f"mutated {i}"] = bytes(data)
    for i, (name, payload) in enumerate(cases.items()):
        for signal, decode in DECODE.items():
            for encoding in ENCODINGS if i < len(PROTOBUF) + len(JSON) else ENCODINGS[:1]:
                begin = time.process_time()
                batch, refused = decode([payload, b"", payload], Tables(), encoding)
                took = time.process_time() - begin
                if took > 3:
                    say(f"slow: {name} {signal} {encoding} {took}\n")
                if [r.message for r in refused if r.message != 1] not in ([], [0, 2]):
                    say(f"unequal: {name} {signal} {encoding} {refused}\n")
                if any(len(r.reason) > 1000 for r in refused):
                    say(f"long: {name} {signal} {encoding}\n")
                del batch
    say(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}\n")


def test_no_bytes_crash_hang_or_fill_the_memory():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", "from tests.wire.test_poison import run; run()"],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root), "RUST_BACKTRACE": "0"},
        capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stderr[-2000:]
    assert not [line for line in lines if not line.startswith("peak")]
    assert int(lines[-1].split()[1]) < 2500


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("poison", [b"\x0a\x05abc", b"\x0a" + varint(2**64 - 1) + b"x", b"{nonsense"])
def test_poison_takes_none_of_its_neighbours_with_it(signal, poison, capfd):
    rnd = random.Random(5)
    good = [getattr(odd_batches, signal)(rnd).SerializeToString() for _ in range(40)]
    for places in ([0], [39], [3, 4, 5, 20]):
        payloads = [poison if i in places else p for i, p in enumerate(good)]
        batch, refused = DECODE[signal](payloads, tables := Tables())
        assert [r.message for r in refused] == places
        assert all(r.reason.startswith("not ") for r in refused)
        rest = [p for i, p in enumerate(good) if i not in places]
        expected, _ = DECODE[signal](rest, others := Tables())
        assert ROWS[signal](batch, tables) == ROWS[signal](expected, others)
        assert not set(batch.message.tolist()) & set(places)
    capfd.readouterr()  # the decoder's panics are reported on stderr
