"""An anomaly -> what it is an anomaly of: the same however often it comes back, and whatever pod, request or address it names.

Two anomalies of one identity are one thing to a person.  What identifies is the service, the kind, the signal, the instance and
the peer, after their volatile parts were taken out; never a bare name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from aiops.incidents.external import VOLATILE
from aiops.records import Anomaly

LONGEST = 256  # characters of a name that tell identities apart
CACHED = 50_000  # names, so that what is asked again costs nothing; no result changes
URGENT = ("critical", "high")  # severities of alerts from outside that are never put together

# What another request, pod or hour replaces by something else.  Short numbers stay: p99, sda1 and 504 tell things apart.
_VOLATILE = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"  # UUID
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"  # address
    r"|\b(?:0x)?(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b"  # hash
    r"|\b\d{4,}\b",  # id, port, time
    re.IGNORECASE | re.ASCII,
)
# Kubernetes ends the names of pods with the hash of their replica set and five letters of an alphabet without vowels.
_POD = re.compile(r"-(?:(?=[a-z]*[0-9])[a-z0-9]{6,10}-)?[bcdfghjklmnpqrstvwxz2456789]{5}$", re.ASCII)
_NUMBERS = re.compile(r"\d+", re.ASCII)


class Identity(NamedTuple):
    """What an anomaly is one of; the volatile parts of names are ``*``."""

    service: str
    kind: str
    signal: str
    instance: str
    peer: str

    @property
    def words(self) -> str:
        """As a person reads it."""
        where = f" at {self.instance}" if self.instance else ""
        return f"{self.signal} of {self.service}{where}"


@lru_cache(CACHED)
def normal(name: str) -> str:
    """A name without its volatile parts.

    >>> normal("calls to 10.2.0.17:8080"), normal("cart-6d9f7c5b48-x2vqz"), normal("http.server.duration p99")
    ('calls to *', 'cart-*', 'http.server.duration p99')
    """
    return _VOLATILE.sub("*", _POD.sub("-*", name[:LONGEST]))  # pods first: the hash of their replica set is one too


def identity_of(anomaly: Anomaly) -> Identity:
    """Identity of an anomaly; its detector is none of it: two that judge one signal say the same."""
    signal = normal(anomaly.signal)
    if anomaly.kind == "external":
        signal += _told(anomaly.attributes)
    return Identity(anomaly.service, anomaly.kind, signal, normal(anomaly.instance or ""), anomaly.peer or "")


def _told(attributes: dict[str, str]) -> str:
    """What tells alerts of one name apart: what their tool calls them, or their labels that stay while they fire."""
    if told := attributes.get("alert_id"):
        return f"#{told[:LONGEST]}"
    labels = [
        f"{key[6:]}={normal(value)}"
        for key, value in sorted(attributes.items())
        if key.startswith("label.") and key[6:] not in VOLATILE
    ]
    return f"{{{', '.join(labels)}}}"[:LONGEST] if labels else ""


@lru_cache(CACHED)
def family(signal: str) -> str:
    """What signals have in common that a storm puts together: no attributes, no quotations, no numbers.

    >>> family("disk.io{device=sda1} rate"), family('log line "cannot reach <*>"'), family("HostDown7")
    ('disk.io', 'log line', 'HostDown*')
    """
    return _NUMBERS.sub("*", re.split(r'[{"]', normal(signal), maxsplit=1)[0]).strip()


def urgent(anomaly: Anomaly) -> bool:
    """Does it say of itself that it is critical or high, as alerts from outside do?"""
    return anomaly.attributes.get("severity") in URGENT
