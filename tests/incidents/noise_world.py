"""Anomalies made by hand that open, come back and close, for the tests of noise reduction."""

from __future__ import annotations

from typing import Any

import msgspec

from aiops.incidents.members import Ledger
from aiops.incidents.noise import Noise
from aiops.incidents.stage import Respond
from aiops.noise_report import NoiseReport
from aiops.records import Anomaly, Window, encode, rfc3339
from aiops.signals import SECOND, WINDOW, due
from tests.incidents.world import DETECT, World, anomaly, findings

MINUTE = 60 * SECOND


def closed(opened: Anomaly, at: int) -> Anomaly:
    """Its last record, in the window that ends at `at`."""
    window = Window(start=rfc3339(at - WINDOW), end=rfc3339(at))
    return msgspec.structs.replace(opened, state="closed", version=opened.version + 1, window=window)


def alert(service: str, onset: int, severity: str = "critical", name: str = "Down", number: int = 0) -> Anomaly:
    """What an alert of another tool becomes."""
    plain = anomaly(service, onset, {"critical": 8.0, "high": 6.0}.get(severity, 4.0), name)
    attributes = {"severity": severity, "alert_id": f"{name}-{number}"}
    changed: dict[str, Any] = {"kind": "external", "detector": "external", "attributes": attributes}
    return msgspec.structs.replace(plain, anomaly_id=f"{number:032x}", **changed)


def noise_of(respond: Respond) -> Noise:
    (state,) = respond._of.values()
    return state.noise


def ledger_of(respond: Respond) -> Ledger:
    return noise_of(respond).ledger


class NoisyWorld(World):
    """Keeps the noise reports as well, and can be restarted after every window."""

    def __init__(self, restarted: bool = False) -> None:
        super().__init__()
        self.restarted = restarted
        self.reports: list[NoiseReport] = []

    def window(self, terms: Any = None, **more: Any) -> Any:
        self.now += WINDOW
        self.respond.process(DETECT, [findings(self.now, terms or {}, **more)])
        out = self.respond.advance(DETECT, due(self.now - WINDOW))
        self.said += out.incidents
        self.notices += out.notices
        self.reports += out.noise
        if self.restarted:
            snapshot = self.respond.snapshot()
            self.respond = Respond([DETECT])
            self.respond.restore(snapshot)
            assert self.respond.snapshot() == snapshot
        return out.incidents

    @property
    def noise(self) -> Noise:
        return noise_of(self.respond)

    def all_bytes(self) -> list[bytes]:
        return [encode(record) for record in (*self.said, *self.notices, *self.reports)]

    def come_and_go(self, times: int, every: int, lasts: int = 60 * SECOND, service: str = "db", **about: Any) -> None:
        """An anomaly of the same signal opens and closes again, so many times, without any evidence beside it."""
        for _ in range(times):
            begun = self.now
            opened = anomaly(service, begun, **about)
            self.window(anomalies=[opened])
            self.now = begun + lasts + MINUTE - WINDOW  # detectors close a minute after the last deviation
            self.window(anomalies=[closed(opened, begun + lasts + MINUTE)])
            self.now = begun + every - WINDOW
            self.window()
