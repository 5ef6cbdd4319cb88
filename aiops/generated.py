"""Files that are generated from code: write them, or check that the written ones are current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def outdated(files: list[tuple[Path, bytes]]) -> list[Path]:
    """Files that are missing, or whose content is not what is given."""
    return [path for path, content in files if not path.is_file() or path.read_bytes() != content]


def write_or_check(
    module: str,
    about: str,
    directory: Path,
    source: str,
    files: Callable[[Path], list[tuple[Path, bytes]]],
    arguments: Sequence[str] | None = None,
) -> int:
    """The command ``python -m MODULE [--check] [DIR]``.

    Parameters
    ----------
    module, about : str
        What the command is called, and what its help says: the first line.
    directory : Path
        Where the files are unless told otherwise.
    source : str
        What the files are generated from, for whoever finds one stale.
    files : callable
        Directory -> every file in it, and what it should hold.

    Returns
    -------
    int
        Exit status: 1 if a check found something stale.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about.partition("\n")[0])
    parser.add_argument("directory", metavar="DIR", nargs="?", type=Path, default=directory)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    options = parser.parse_args(arguments)
    found = files(options.directory)
    if options.check:
        differing = outdated(found)
        for path in differing:
            sys.stderr.write(f"{path} is not what {source} says now: run python -m {module}\n")
        return 1 if differing else 0
    options.directory.mkdir(parents=True, exist_ok=True)
    for path, content in found:
        path.write_bytes(content)
    return 0
