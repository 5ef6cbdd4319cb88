"""A section of the configuration in a file of its own, as JSON: what `aiops replay` reads instead of a whole configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from aiops.errors import UserError

SectionT = TypeVar("SectionT")


def read_section(
    path: Path | None, of: type[SectionT], problems: Callable[[SectionT], list[str]] | None = None
) -> SectionT:
    """Read a section; its durations are in ns there.

    Parameters
    ----------
    path : Path or None
        None: all is as it is by default.
    problems : callable, optional
        What the types allow and the engine does not.

    Raises
    ------
    UserError
        All that is wrong, in one line.
    """
    if path is None:
        return of()
    try:
        config = msgspec.json.decode(path.read_bytes(), type=of)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None
    if problems is not None and (found := problems(config)):
        raise UserError(f"{path}: {'; '.join(found)}")
    return config
