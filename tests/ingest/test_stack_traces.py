"""Traces of many languages: types and the frames where it was thrown are kept, nothing that a rebuild changes."""

from __future__ import annotations

import pytest

from aiops.ingest.shapes import shape_of

TRACES = {
    "python": (
        r"""
Traceback (most recent call last):
  File "f0.py", line 0, in main
    x()
  File "f1.py", line 1, in serve
    x()
    ~^^
  File "f2.py", line 2, in run
    x()
  File "f3.py", line 3, in load
    x()
  File "f4.py", line 4, in parse
    x()
ValueError: 7""",
        "run load parse ValueError",
    ),
    "python, one after the other": (
        r"""
Traceback (most recent call last):
  File "a.py", line 3, in get
    x()
django.http.Missing: no

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 9, in view
    y()
StopIteration""",
        "get django.http.Missing view StopIteration",
    ),
    "go, panic": (
        r"""
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
panic({0x1, 0x2})
	/usr/go/src/runtime/panic.go:884 +0x212
main.(*Store).load(0xc000, {0x1, 0x2})
	/app/store.go:12 +0x1d
main.main()
	/app/main.go:8 +0x20
created by net/http.(*Server).Serve in goroutine 7
	/x/server.go:3086 +0x5cb""",
        "main.(*Store).load main.main net/http.(*Server).Serve",
    ),
    "go, zap": (
        r"""
query failed
main.(*Store).load
	/app/store.go:12
main.main
	/app/main.go:8
runtime.main
	/usr/proc.go:250""",
        "main.(*Store).load main.main",
    ),
    "rust": (
        r"""
thread 'main' panicked at src/main.rs:2:5:
index out of bounds: the len is 3
stack backtrace:
   0: rust_begin_unwind
             at /rustc/90c5/library/std/src/panicking.rs:645:5
   1: core::panicking::panic_fmt::h0123456789abcdef
             at /rustc/90c5/library/core/src/panicking.rs:72:14
   2: app::store::load::hfedcba9876543210
             at ./src/store.rs:2:5
   3: app::main
   4: main""",
        "app::store::load app::main",
    ),
    "dotnet": (
        r"""
System.InvalidOperationException: no
 ---> System.IO.IOException: disk
   at A.B.C.Read(String path) in /x/C.cs:line 7
   --- End of inner exception stack trace ---
   at A.B.D.<Run>b__0(Object o)
   at A.B.E.Main()""",
        "System.IO.IOException A.B.C.Read A.B.D.<Run>b__ A.B.E.Main",
    ),
    "node": (
        r"""
TypeError: x is not a function
    at async Store.load (/app/store.js:12:3)
    at new Shop (/app/shop.js:1:2)
    at file:///app/main.js:3:1""",
        "Store.load Shop file:///app/main.js::",
    ),
    "java": (
        r"""
boom
	at a.b.C.foo(C.java:12)
Caused by: org.acme.Timeout: x
	at q.E.r(E.java:3)""",
        "a.b.C.foo org.acme.Timeout q.E.r",
    ),
}


@pytest.mark.parametrize("language", TRACES)
def test_a_trace_keeps_types_and_the_frames_where_it_was_thrown(language):
    trace, kept = TRACES[language]
    _, *lines = shape_of(trace.strip("\n").encode()).decode().split("\n")
    assert lines == kept.split()


@pytest.mark.parametrize("language", TRACES)
def test_a_trace_with_other_line_numbers_and_addresses_has_the_same_shape(language):
    trace = TRACES[language][0].strip("\n")
    first, _, rest = trace.partition("\n")
    rebuilt = "".join(str((int(c) + 3) % 10) if c.isdigit() and c != "0" else c for c in rest)
    assert shape_of(f"{first}\n{rebuilt}".encode()) == shape_of(trace.encode())
    assert shape_of(f"{first}\r\n{rest}".encode()) == shape_of(trace.encode())


@pytest.mark.parametrize("language", TRACES)
def test_another_frame_is_another_shape(language):
    trace, kept = TRACES[language]
    name = kept.split()[0]
    assert shape_of(trace.strip("\n").replace(name, name + "X").encode()) != shape_of(trace.strip("\n").encode())


@pytest.mark.parametrize(
    "text",
    [
        "list:\n 1: first\n 2: second",
        "see\nat noon we meet",
        "x\n see main.go: line",
        "Caused by:\n    0: failed to open\n    1: no file",
    ],
)
def test_other_lines_behind_the_first_are_text(text):
    assert "\n" not in shape_of(text.encode()).decode()
