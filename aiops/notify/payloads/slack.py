"""Messages -> blocks of Slack, within its limits; what telemetry says is text and never markup."""

from __future__ import annotations

from typing import Any

from aiops.notify.message import Message
from aiops.notify.payloads.text import cut, headline

LONGEST_HEADER, LONGEST_SECTION, LONGEST_TEXT, MOST_BLOCKS = 150, 3_000, 4_000, 50
_ESCAPED = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def escaped(text: str) -> str:
    """As Slack wants it: these three alone are special, and a mention or a link needs them.

    >>> escaped("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    for char, entity in _ESCAPED:
        text = text.replace(char, entity)
    return text


def body(message: Message) -> dict[str, Any]:
    """Blocks, and the text that notifications and screen readers show."""
    title = headline(message)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(title, LONGEST_HEADER), "emoji": False}}
    ]
    blocks += [
        {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}
        for text in _sections(message.lines)
    ]
    if message.link:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open the incident"}, "url": message.link}
        blocks.append({"type": "actions", "elements": [button]})
    about = f"{message.key} at {message.at}, notification {message.notification_id}"
    blocks.append(
        {"type": "context", "elements": [{"type": "plain_text", "text": cut(about, LONGEST_TEXT), "emoji": False}]}
    )
    return {"text": cut(escaped(title), LONGEST_TEXT), "blocks": blocks}


def _sections(lines: list[str]) -> list[str]:
    """Lines together, as many as a section holds; what no message of Slack can hold is left out, and says so."""
    out: list[str] = []
    for line in lines:
        line = cut(line, LONGEST_SECTION)
        if out and len(out[-1]) + 1 + len(line) <= LONGEST_SECTION:
            out[-1] += f"\n{line}"
        else:
            out.append(line)
    most = MOST_BLOCKS - 3  # header, button and context
    return out if len(out) <= most else [*out[: most - 1], "... more was left out"]
