"""Arguments of a command, texts from a person -> what is meant by them, or why they cannot be taken."""

from __future__ import annotations

from aiops.incidents.silences import EVERY, MOST
from aiops.records import Command, unix_ns

LONGEST_TEXT, LONGEST_NAME, LONGEST_ASKED = 2_000, 200, 300  # characters; the rest of a text is left out
LATEST = 1 << 62  # 2116


class RefusedError(Exception):
    """A command that cannot be obeyed; the message says why."""


def author(command: Command) -> str:
    """Who says it."""
    return command.author[:LONGEST_NAME]


def required(command: Command, name: str) -> str:
    """A text that must be there."""
    if not (value := command.arguments.get(name, "").strip()):
        raise RefusedError(f"argument {name} is missing")
    return value


def one_of(command: Command, name: str, allowed: tuple[str, ...]) -> str | None:
    """One of a few words, or None where it is not given."""
    if not (value := command.arguments.get(name)):
        return None
    if value not in allowed:
        raise RefusedError(f"{name} {value[:LONGEST_NAME]!r} is not one of {', '.join(allowed)}")
    return value


def time(command: Command, name: str) -> int:
    """A time that must be there, Unix ns."""
    text = required(command, name)
    try:
        found = unix_ns(text)
    except ValueError as error:
        raise RefusedError(f"{name}: {error}") from None
    if not 0 <= found < LATEST:
        raise RefusedError(f"{name} {text[:64]!r} is outside 1970-01-01 .. 2116-02-20")
    return found


def services(command: Command) -> list[str]:
    """Names with commas between them, sorted, at least one; ``*`` swallows all others."""
    names = sorted({name.strip() for name in required(command, "services").split(",")} - {""})
    if not names or len(names) > MOST or any(len(name) > LONGEST_NAME for name in names):
        raise RefusedError("services is a list of names with commas between them")
    return [EVERY] if EVERY in names else names


def reason(command: Command) -> str:
    """Why, or at least who says so."""
    return command.arguments.get("reason", "").strip()[:LONGEST_TEXT] or f"commanded by {author(command)}"


def asked(command: Command) -> str:
    """All arguments in a line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(command.arguments.items()))[:LONGEST_ASKED]
