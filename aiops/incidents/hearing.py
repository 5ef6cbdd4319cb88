"""What respond is told, in whatever order it comes -> the same when the clock reaches its arrival, in one order for all.

A record that comes again, as after a crash of its sender, is known by the offset at which its source has it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aiops.records import Told, decode_told, encode
from aiops.told import TOLD


class Heard(NamedTuple):
    """Something that somebody told, until it is in force.

    Attributes
    ----------
    arrival : int
        Unix ns.
    signal : str
        Of ``TOLD``.
    value : bytes
        Its canonical JSON.
    """

    arrival: int
    signal: str
    value: bytes
    told: Told

    def order(self) -> tuple[int, int, bytes]:
        """Of what arrives at once changes come first and commands last; then bytes decide."""
        return self.arrival, TOLD.index(self.signal), self.value


class Hearing:
    """What was told and is not in force yet."""

    def __init__(self) -> None:
        self._waiting: list[Heard] = []
        self._offset: dict[str, int] = {}  # greatest of each source

    def __len__(self) -> int:
        return len(self._waiting)

    def tell(self, source: str, offset: int, signal: str, told: Told, arrival: int) -> None:
        """Take in what arrived at `arrival` (Unix ns) as number `offset` of its source; it is never late."""
        if offset > self._offset.get(source, -1):
            self._offset[source] = offset
            self._waiting.append(Heard(arrival, signal, encode(told), told))

    def until(self, clock: int) -> list[Heard]:
        """What has arrived by `clock`, Unix ns, in order; it is handed over once."""
        ready = sorted((heard for heard in self._waiting if heard.arrival <= clock), key=Heard.order)
        if ready:
            self._waiting = [heard for heard in self._waiting if heard.arrival > clock]
        return ready

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        waiting = sorted(self._waiting, key=Heard.order)
        return {"waiting": [heard[:3] for heard in waiting], "offset": dict(sorted(self._offset.items()))}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._waiting = [Heard(at, signal, value, decode_told(signal, value)) for at, signal, value in state["waiting"]]
        self._offset = state["offset"]
