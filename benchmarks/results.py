"""What the benchmarks share: options, the lines above a table, and the file of results."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


def options(doc: str, ids: Iterable[str], seconds: float, of: str, arguments: list[str] | None = None) -> Any:
    """Options of a benchmark of many cases: `seconds` (default; of what), `json`, and `cases`, the ids to run."""
    parser = argparse.ArgumentParser(description=doc.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=seconds, help=f"CPU seconds {of} (default {seconds:g})")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--only", metavar="WORD", default="", help="cases whose id holds this word")
    found = parser.parse_args(arguments)
    known = list(ids)
    found.cases = [id_ for id_ in known if found.only in id_]
    if not found.cases:
        parser.error(f"--only {found.only}: no case has that in its id; there are {', '.join(known)}")
    return found


def about() -> dict[str, Any]:
    """Where it ran: figures of other machines, or beside other work, are others."""
    return {
        "python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine(),
        "cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def introduce(text: str) -> None:
    """Say above the table how to read it, and where it was made."""
    where = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about().items())
    print(f"{text}\n{where}\n", flush=True)


def write(path: Path | None, results: dict[str, Any], **more: Any) -> None:
    """Write the results, if they are wanted; `more` is said about where they come from."""
    if path is not None:
        path.write_text(json.dumps({"about": {**about(), **more}, "results": results}, indent=2) + "\n")
