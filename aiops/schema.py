"""Write the JSON Schemas of the public records, or check that the written ones are current.

    python -m aiops.schema [--check] [DIR]

One file a record, draft 2020-12, generated from the classes in ``aiops.records`` and nothing else: a schema written by
hand would drift from what the engine sends.  ``--check`` writes nothing and fails where a file differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from aiops.codec import SCHEMA_VERSION, PublicRecord
from aiops.records import Anomaly, Change, Command, Incident, Notice

RECORDS: tuple[type[PublicRecord], ...] = (Anomaly, Incident, Change, Notice, Command)
DIRECTORY = Path("docs/schema")


def schema(record: type[PublicRecord]) -> bytes:
    """JSON Schema of one record as the text of its file."""
    name = record.__name__
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:aiops:schema:{name.lower()}:{SCHEMA_VERSION}",
        "title": name,
        **msgspec.json.schema(record),
    }
    for definition in document["$defs"].values():
        definition["description"] = " ".join(definition["description"].replace("``", "`").split())
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def stale(directory: Path) -> list[Path]:
    """Files that are missing or differ from what the records say now."""
    return [path for path, text in _files(directory) if not path.is_file() or path.read_bytes() != text]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; 1 if a check found something stale."""
    parser = argparse.ArgumentParser(prog="python -m aiops.schema", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", metavar="DIR", nargs="?", type=Path, default=DIRECTORY)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    options = parser.parse_args(arguments)
    if options.check:
        differing = stale(options.directory)
        for path in differing:
            sys.stderr.write(f"{path} is not what aiops/records.py says now: run python -m aiops.schema\n")
        return 1 if differing else 0
    options.directory.mkdir(parents=True, exist_ok=True)
    for path, text in _files(options.directory):
        path.write_bytes(text)
    return 0


def _files(directory: Path) -> list[tuple[Path, bytes]]:
    return [(directory / f"{record.__name__.lower()}.schema.json", schema(record)) for record in RECORDS]


if __name__ == "__main__":
    sys.exit(main())
