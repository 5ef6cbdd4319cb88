"""Write the JSON Schemas of the public records, or check that the written ones are current.

    python -m aiops.schema [--check] [DIR]

One file a record, draft 2020-12, generated from the classes in ``aiops.records`` and nothing else: a schema written by
hand would drift from what the engine sends.  ``--check`` writes nothing and fails where a file differs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from aiops.codec import SCHEMA_VERSION, PublicRecord
from aiops.generated import outdated, write_or_check
from aiops.noise_report import NoiseReport
from aiops.notify.notification import Notification
from aiops.records import Alert, Anomaly, Change, Command, Incident, Notice
from aiops.status import Status
from aiops.topology import Topology

RECORDS: tuple[type[PublicRecord], ...] = (
    Anomaly, Incident, Change, Alert, Notice, Command, Topology, NoiseReport, Notification,
    Status,
)  # fmt: skip
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
    return outdated(_files(directory))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; 1 if a check found something stale."""
    return write_or_check("aiops.schema", __doc__ or "", DIRECTORY, "aiops/records.py", _files, arguments)


def _files(directory: Path) -> list[tuple[Path, bytes]]:
    return [(directory / f"{record.__name__.lower()}.schema.json", schema(record)) for record in RECORDS]


if __name__ == "__main__":
    sys.exit(main())
