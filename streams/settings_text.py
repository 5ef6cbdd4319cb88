"""Settings as text: all of them as YAML without secrets, and the reference table of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec
import yaml

from streams import durations, settings_clients
from streams.settings import Settings
from streams.settings_console import without_password
from streams.settings_file import NEVER, fields_of, unpacked

# The engine's own policies are documented for its readers; this says the same to those who write a configuration.
_POLICY = {
    "open": "strength, -log10 of a tail probability, at which a neighbourhood of services opens an incident",
    "hold": "share of `open` to which strength may sink while it is being confirmed",
    "slow": "share of `open` that slowness alone must still have when an incident opens",
    "cause": "score that the first cause of a new incident must have",
    "symptom": "share of the first cause's score below which a service is a symptom of it",
    "close": "strength below which a service is quiet",
    "confirm": "how long strength must last before an incident opens",
    "confirm_slow": "the same where nothing but slowness is seen",
    "lasting": "how long strength must last in all at `open`; weaker strength counts by its part above `close`",
    "quiet": "how long all services of an incident must be quiet before it closes",
    "cool": "after closing, the same neighbourhood opens nothing for this long",
    "longest": "an incident closes after this long: what lasts is the new normal",
    "apart": "trouble that begins so much later than an incident, and no calls lead from one to the other, is another one",
    "settle": "services and causes of an incident change for this long",
    "episode": "the same cause within this time after closing is the same incident again",
}
_WEIGHTS = {
    "resource": "weight of exhausted resources",
    "own": "weight of a service's own time, without its callees'",
    "network": "weight of slow calls between services",
    "code": "weight of failures and of what is new, the stronger of the two",
    "code_second": "weight of the weaker of the two",
    "metric": "weight of all other metrics",
    "heartbeat": "weight of a service's silence",
    "down": "weight of a service that nobody reaches",
    "place": "weight of a machine or zone on which the trouble of services concentrates",
    "log": "weight of log lines",
    "change": "weight of a change shortly before",
    "away": "discount of a caller's code evidence by what its callees explain",
    "through": "part of what a callee's callee explains to the caller, though the callee itself may be quiet",
    "slow": "part of what makes a service slow that explains failures of its callers",
    "away_down": "discount of all that a caller does when a callee is surely down",
    "away_place": "discount of what a service does by what the machine explains that it runs on",
    "early": "bonus of the service with the first evidence",
    "starved": "resource evidence from which a network cause is one of resources",
    "least": "score below which a service is no cause at all",
}


# ---- YAML ----------------------------------------------------------------------------------------------------------------
def as_yaml(settings: Settings) -> str:
    """Every setting with its value, secrets replaced."""
    return _dumped(_plain(settings, Settings))


def clients_as_yaml(settings: Settings) -> str:
    """Properties with which clients are made, secrets replaced."""
    return _dumped(
        {
            "consumer": settings_clients.redacted(settings.consumer_properties(settings.group("ROLE"))),
            "producer": settings_clients.redacted(settings.producer_properties()),
            "admin": settings_clients.redacted(settings.admin_properties()),
        }
    )


def _dumped(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=False, allow_unicode=True)


def _plain(value: Any, wanted: Any) -> Any:
    kind, meant, _ = unpacked(wanted)
    if value is None:
        return NEVER
    if meant == "secret" and not value:
        return ""  # what nobody has set needs no hiding
    if meant is not None:
        return durations.text(value) if meant == "duration" else settings_clients.REDACTED
    if fields := fields_of(kind):
        return {
            name: _plain(getattr(value, name), below)
            for name, below in fields.items()
            if getattr(value, name) is not None or unpacked(below)[1] is not None  # what nobody answered has no text
        }
    if isinstance(value, list | tuple):
        return [_plain(item, type(item)) for item in value]
    if isinstance(value, settings_clients.Properties):
        return settings_clients.redacted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return without_password(value) if isinstance(value, str) else value


# ---- reference -----------------------------------------------------------------------------------------------------------
def reference() -> str:
    """A Markdown table of all settings with their units, defaults and meanings."""
    lines = ["| setting | unit | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{path}` | {unit} | {default} | {text} |" for path, unit, default, text in _rows(Settings, "")]
    return "\n".join(lines) + "\n"


def _rows(section: Any, path: str) -> Iterator[tuple[str, str, str, str]]:
    said = _documented(section)
    for name, wanted in fields_of(section).items():
        kind, meant, _ = unpacked(wanted)
        full = f"{path}.{name}" if path else name
        if fields_of(kind):
            yield from _rows(kind, full)
            continue
        unit, text = said[name]
        yield full, unit, _default(section, name, meant), text
        if get_origin(kind) in (list, tuple) and fields_of(item := get_args(kind)[0]):
            yield from _rows(item, f"{full}[]")


def _default(section: Any, name: str, meant: str | None) -> str:
    if not issubclass(section, msgspec.Struct):
        value = getattr(section(), name)
    else:
        field = next(f for f in msgspec.structs.fields(section) if f.name == name)
        value = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            value = field.default_factory()
        if field.required:
            return "required"
    if isinstance(value, list | tuple) and value:
        return ", ".join(f"`{getattr(item, 'topic', item)}`" for item in value)
    if value in ({}, [], "") or value == ():
        return "none"
    if value is None:
        return NEVER if meant is not None else "none"
    if meant == "duration":
        return f"`{durations.text(value)}`"
    return f"`{value:#x}`" if meant == "key" else f"`{value}`"


_ATTRIBUTE = re.compile(r"^    (\w[\w, ]*) : (.+)\n((?:        .+\n)+)", re.MULTILINE)


def _documented(section: Any) -> Mapping[str, tuple[str, str]]:
    """Unit and meaning of every field, from the docstring of its class."""
    if not issubclass(section, msgspec.Struct):
        words = {**_POLICY, **_WEIGHTS}
        return {
            name: ("number" if hint is float else "duration", f"{words[name][0].upper()}{words[name][1:]}.")
            for name, hint in fields_of(section).items()
        }
    out: dict[str, tuple[str, str]] = {}
    for names, unit, text in _ATTRIBUTE.findall(f"{section.__doc__}\n"):
        out.update(dict.fromkeys(names.split(", "), (unit, " ".join(text.split()))))
    return out
