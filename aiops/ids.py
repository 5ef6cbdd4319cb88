"""Ids made of content: 32 hex digits of blake2b, the same on every worker, at every restart, for ever.

A wall clock, a counter or a random number would give a replay other ids than the live run had.
"""

from __future__ import annotations

from hashlib import blake2b


def anomaly_id(tenant: str, environment: str, service: str, series: str, detector: str, onset_ns: int) -> str:
    """Id of the anomaly that a detector opens on a series at a Unix time.

    >>> anomaly_id("default", "production", "checkout", "error_ratio", "robust", 1_700_000_000_000_000_000)
    'b51bfe87f5c492c13fbbe3e1028b8c8d'
    """
    return _digest(b"aiops.anomaly", tenant, environment, service, series, detector, str(int(onset_ns)))


def incident_id(tenant: str, environment: str, first_anomaly_id: str) -> str:
    """Id of the incident whose first anomaly in canonical order is the given one.

    >>> incident_id("default", "production", "b51bfe87f5c492c13fbbe3e1028b8c8d")
    '2f3a6fd0bfe488cecde562ec52c1dbfd'
    """
    return _digest(b"aiops.incident", tenant, environment, first_anomaly_id)


def topology_id(tenant: str, environment: str, service: str, callee: str = "") -> str:
    """Id of a service in the topology, or of the calls from it to another.

    >>> topology_id("default", "production", "checkout") == topology_id("default", "production", "checkout", "payment")
    False
    """
    return _digest(b"aiops.topology", tenant, environment, service, callee)


def notification_id(about: str, version: int, trigger: str) -> str:
    """Id of what is decided about a version of an incident because of what happened.

    >>> len(notification_id("2f3a6fd0bfe488cecde562ec52c1dbfd", 3, "opened"))
    32
    """
    return _digest(b"aiops.notify", about, str(version), trigger)


def _digest(purpose: bytes, *parts: str) -> str:
    # The lengths keep ("a", "bc") and ("ab", "c") apart; the purpose keeps ids of different records apart.
    state = blake2b(digest_size=16, person=purpose)
    for part in parts:
        raw = part.encode()
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.hexdigest()
