"""Texts of messages for eyes: one headline everywhere, cut to what a tool takes."""

from __future__ import annotations

from aiops.notify.message import Message

SAID = {
    "opened": "opened", "severity": "more severe", "cause": "another cause", "reopened": "back", "resolved": "resolved",
    "merged": "merged", "digest": "digest", "blind": "blind", "gap": "gap", "overload": "overload", "straggler": "straggler",
    "heartbeat": "alive",
}  # fmt: skip


def headline(message: Message) -> str:
    """What a person sees first: how severe, what happened, where, what.

    >>> said = Message(
    ...     notification_id="n",
    ...     key="k",
    ...     trigger="opened",
    ...     firing=True,
    ...     time=0,
    ...     since=0,
    ...     tenant="default",
    ...     environment="prod",
    ...     severity="high",
    ...     title="cart: CPU at its limit",
    ... )
    >>> headline(said)
    '[HIGH opened] prod: cart: CPU at its limit'
    """
    said = SAID.get(message.trigger, message.trigger)
    if not message.firing and message.trigger not in ("resolved", "merged"):
        said += ", over"
    return f"[{message.severity.upper()} {said}] {message.environment}: {message.title}"


def cut(text: str, most: int) -> str:
    """At most so many characters, and visibly so.

    >>> cut("abcdef", 5), cut("abcde", 5)
    ('ab...', 'abcde')
    """
    return text if len(text) <= most else text[: most - 3] + "..."


def cut_bytes(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, no character torn.

    >>> cut_bytes("ä" * 4, 7)
    'ää...'
    """
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "..."


def plain(message: Message, most: int = 30_000) -> str:
    """The body below the headline, as text."""
    lines = [*message.lines, message.link] if message.link else message.lines
    return cut("\n".join(lines), most)
