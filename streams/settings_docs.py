"""Write the tables of the documentation that come from code, or check that the written ones are current.

    python -m streams.settings_docs [--check] [DIR]

``configuration.md`` holds every setting, ``topics.md`` every topic and access right; what stands around the tables is
written by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from aiops.generated import outdated, write_or_check
from streams.acls import rights
from streams.settings import Settings
from streams.settings_text import reference
from streams.topics import markdown

DIRECTORY = Path("docs")
BEGIN, END = "<!-- {}: python -m streams.settings_docs -->\n", "<!-- end of {} -->\n"


def stale(directory: Path) -> list[Path]:
    """Files whose tables differ from what the code says now."""
    return outdated(_files(directory))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; 1 if a check found something stale."""
    return write_or_check("streams.settings_docs", __doc__ or "", DIRECTORY, "the code", _files, arguments)


def _files(directory: Path) -> list[tuple[Path, bytes]]:
    settings = Settings(kafka={"bootstrap.servers": "localhost:9092"})
    tables = {
        "configuration.md": {"settings": reference()},
        "topics.md": {"topics": markdown(settings), "rights": _rights(settings)},
    }
    return [(path := directory / name, _with(path.read_text(), of).encode()) for name, of in tables.items()]


def _with(text: str, tables: dict[str, str]) -> str:
    for name, table in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"no {begin.strip()} ... {end.strip()}")
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text


def _rights(settings: Settings) -> str:
    lines = ["| user | resource | may |", "|---|---|---|"]
    operations: dict[tuple[str, str], list[str]] = {}
    for right in rights(settings):
        name = right.name + ("..." if right.pattern == "prefixed" else "")
        operations.setdefault((right.user, f"{right.resource} {name}"), []).append(right.operation)
    # Users have the same rights to many topics: one row for all of them.
    together: dict[tuple[str, str], list[str]] = {}
    for (user, resource), several in operations.items():
        together.setdefault((user, ", ".join(several)), []).append(resource)
    for (user, what), resources in together.items():
        lines.append(f"| {user} | {', '.join(resources)} | {what.lower()} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
