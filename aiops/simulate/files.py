"""Writes a simulation as a folder of files, in the form of a recorded day; the same simulation gives the same bytes.

``metrics.jsonl.gz``, ``traces.jsonl.gz`` and ``logs.jsonl.gz`` hold one OTLP/JSON export request a line in order of
arrival, ``changes.jsonl`` one change a line, ``alerts.jsonl``, where it is asked for, one message about an alert; ``truth.json``
and ``context.json`` say what was injected and who calls whom.
"""

from __future__ import annotations

import gzip
import io
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson

from aiops.simulate.simulation import Simulation

SIGNALS = ("metrics", "traces", "logs")
_LEVEL = 4  # a third of the time of level 6 for a tenth more bytes


@dataclass(slots=True)
class Written:
    """How much was written: spans, log records, metric points, changes and messages of alerts."""

    spans: int = 0
    logs: int = 0
    points: int = 0
    changes: int = 0
    alerts: int = 0


_MARKS = {"traces": b'"spanId":', "logs": b'"severityNumber":', "metrics": b'"timeUnixNano":'}


def write(simulation: Simulation, out_dir: str | Path) -> Written:
    """Run a simulation into a folder, which is made if need be; files of the same names are replaced.

    Parameters
    ----------
    simulation
        What to run.
    out_dir
        The folder.
    """
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    counted = Written()
    with ExitStack() as stack:
        files: dict[str, io.BufferedWriter] = {}
        for signal in SIGNALS:
            raw = stack.enter_context((folder / f"{signal}.jsonl.gz").open("wb"))
            # Neither name nor time in the header: they would make the bytes depend on where and when.
            packed = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0)
            stack.enter_context(packed)
            files[signal] = stack.enter_context(io.BufferedWriter(packed, 1 << 18))
        changes = stack.enter_context((folder / "changes.jsonl").open("wb"))
        alerts: list[bytes] = []
        for signal, line in simulation.batches():
            if signal == "changes":
                changes.write(line + b"\n")
                counted.changes += 1
                continue
            if signal == "alerts":
                alerts.append(line)
                continue
            files[signal].write(line)
            files[signal].write(b"\n")
            found = line.count(_MARKS[signal])
            if signal == "traces":
                counted.spans += found
            elif signal == "logs":
                counted.logs += found
            else:
                counted.points += found
    truth = simulation.truth()
    if simulation.alerts:
        (folder / "alerts.jsonl").write_bytes(b"".join(line + b"\n" for line in alerts))
        counted.alerts = len(alerts)
        truth["alerts"] = simulation.alert_rows(alerts)
    (folder / "truth.json").write_bytes(orjson.dumps(truth, option=orjson.OPT_INDENT_2) + b"\n")
    (folder / "context.json").write_bytes(orjson.dumps(simulation.context(), option=orjson.OPT_INDENT_2) + b"\n")
    return counted
