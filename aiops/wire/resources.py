"""Resource bytes -> dense resource code, entity and identity; each distinct resource is decoded once.

Resources with the same attributes have the same code, whatever their order or encoding (protobuf or JSON).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from aiops.columns import Slices
from aiops.identity import DEFAULT_KEY, Interner, hash_bytes, mix, wide_hash64
from aiops.wire.attributes import canonical, grown
from aiops.wire.schema import RawResource
from aiops.wire.values import pair, text

# Attributes that may change while the thing they describe stays the same thing: they are no part of its identity.  All
# others are, because some receivers put what sets two series apart there (`k8s.volume.name`, `postgresql.table.name`):
# to merge such series would be wrong, to split one is only a new baseline.
VOLATILE = frozenset({
    "service.version", "container.id", "container.runtime", "host.id", "host.ip", "host.mac", "host.type", "k8s.pod.ip",
    "k8s.pod.start_time", "k8s.container.restart_count", "deployment.id", "deployment.name", "deployment.status",
})  # fmt: skip
VOLATILE_PREFIXES = (
    "telemetry.", "process.", "os.", "host.cpu.", "host.image.", "container.image.", "container.label",
    "container.command", "k8s.pod.label", "k8s.pod.annotation", "k8s.node.label", "k8s.node.annotation",
    "k8s.namespace.label", "k8s.namespace.annotation", "k8s.deployment.label", "k8s.deployment.annotation",
    "webengine.", "vcs.", "user_agent.",
)  # fmt: skip
PROCESS = ("process.pid", "process.executable.name")  # they set apart the processes of a host that name no service

UNKNOWN_SERVICE = "unknown_service"
SERVICE_LADDER = (
    "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.container.name", "container.name",
    "k8s.pod.label.app.kubernetes.io/name", "k8s.pod.labels.app.kubernetes.io/name", "app.kubernetes.io/name",
    "k8s.pod.label.app", "k8s.pod.labels.app", "app", "job", "service.type",
)  # fmt: skip
HOST_LADDER = ("host.name", "k8s.node.name")  # what names nothing else is about the machine itself
INSTANCE_LADDER = ("service.instance.id", "k8s.pod.name", *HOST_LADDER)
ENVIRONMENT_LADDER = ("deployment.environment.name", "deployment.environment")
ZONE_LADDER = (
    "cloud.availability_zone", "k8s.node.label.topology.kubernetes.io/zone", "k8s.node.labels.topology.kubernetes.io/zone",
)  # fmt: skip
# In a container `host.name` is the name of the container: that of its pod, or the beginning of its id.
CONTAINED = ("k8s.pod.name", "k8s.pod.uid", "k8s.container.name", "container.id", "container.name")
_CONTAINER_ID = re.compile(r"[0-9a-f]{12}(?:[0-9a-f]{52})?")


LONGEST = 255  # characters of a name that count: it stands in every title and topic


class Entity(NamedTuple):
    """What a resource is about: its service within its environment, which instance of it, and where that runs.

    ``node`` and ``zone`` are empty where the resource does not say.  ``host``: it names nothing but a machine, so that its
    "service" is the machine.
    """

    environment: str
    service: str
    instance: str
    node: str = ""
    zone: str = ""
    host: bool = False


def entity(attributes: dict[str, object]) -> Entity:
    """The entity that resource attributes describe.

    >>> entity({"service.name": "cart", "service.namespace": "shop", "k8s.pod.name": "cart-0", "k8s.node.name": "n1"})
    Entity(environment='default', service='shop/cart', instance='cart-0', node='n1', zone='', host=False)
    """
    name = text(attributes.get("service.name"))
    host = False
    if not name or name == UNKNOWN_SERVICE or name.startswith(UNKNOWN_SERVICE + ":"):
        name = _first(attributes, SERVICE_LADDER)
        host = not name
        name = name or _first(attributes, HOST_LADDER) or UNKNOWN_SERVICE
    namespace = text(attributes.get("service.namespace"))
    node = _node(attributes)[:LONGEST]
    return Entity(
        (_first(attributes, ENVIRONMENT_LADDER) or "default")[:LONGEST],
        (f"{namespace}/{name}" if namespace else name)[:LONGEST],
        _first(attributes, INSTANCE_LADDER)[:LONGEST],
        node,
        _first(attributes, ZONE_LADDER)[:LONGEST],
        host and bool(node),
    )


def _node(attributes: dict[str, object]) -> str:
    """The machine on which something runs; what only a container calls its host is none."""
    if node := text(attributes.get("k8s.node.name")):
        return node
    host = text(attributes.get("host.name"))
    if _CONTAINER_ID.fullmatch(host) or any(name in attributes for name in CONTAINED):
        return ""
    return host


def _first(attributes: dict[str, object], keys: tuple[str, ...]) -> str:
    return next((value for key in keys if (value := text(attributes.get(key)))), "")


class Resources:
    """Tables indexed by resource code.

    Attributes
    ----------
    entities : list of Entity
    attributes : list of dict
        Decoded resource attributes.
    broken : int
        Distinct resources that are not valid protobuf as a whole; what can be read of them is used.
    text_bytes : int
        Of all spellings.
    """

    __slots__ = ("_code", "_identity", "_interner", "_key", "_known", "attributes", "broken", "entities", "text_bytes")

    def __init__(self, key: int = DEFAULT_KEY) -> None:
        self._key = key
        self._interner = Interner()  # of the bytes as they came
        self._code: NDArray[np.int32] = np.zeros(64, np.int32)  # of each of these spellings
        self._known: dict[tuple[bytes, ...], int] = {}
        self._identity: NDArray[np.uint64] = np.zeros(64, np.uint64)
        self.entities: list[Entity] = []
        self.attributes: list[dict[str, object]] = []
        self.broken = self.text_bytes = 0

    def __len__(self) -> int:
        return len(self.entities)

    @property
    def spellings(self) -> int:
        """Distinct byte strings seen: what bounds the memory of this table."""
        return self._interner.size

    @property
    def identity(self) -> NDArray[np.uint64]:
        """Keyed hash of entity and identity attributes, in any order of them: uint64, shape (len,)."""
        return self._identity[: len(self.entities)]

    def codes(self, column: Slices) -> NDArray[np.int32]:
        """Code of every resource of a batch: int32, shape (n,)."""
        codes, fresh = self._interner.codes(wide_hash64(column, self._key))
        if len(fresh):
            self._code = grown(self._code, self._interner.size)
            first = self._interner.size - len(fresh)
            for i, row in enumerate(fresh.tolist()):
                self._code[first + i] = self._learn(column.raw(row))
        out: NDArray[np.int32] = self._code[codes]
        return out

    def _learn(self, raw: bytes) -> int:
        """Code of a resource; attributes are decoded one by one, so that one that is broken costs only itself."""
        self.text_bytes += len(raw)
        try:
            Resource.FromString(raw)
        except DecodeError:
            self.broken += 1
        try:
            parts: list[bytes] = list(RawResource.FromString(raw).attributes)
        except DecodeError:
            parts = []
        attributes: dict[str, object] = {}
        spelled: dict[str, bytes] = {}
        for part in parts:
            decoded = pair(part)
            if decoded is not None:
                attributes[decoded[0]], spelled[decoded[0]] = decoded[1], canonical(part)
        known = tuple(sorted(spelled.values()))
        code = self._known.setdefault(known, len(self.entities))
        if code == len(self.entities):
            about = entity(attributes)
            total = hash_bytes("\0".join(about[:3]).encode(), self._key)  # where it runs is no part of what it is
            nameless = not attributes.get("service.name")
            for name, spelling in spelled.items():
                if _identifies(name) or (nameless and name in PROCESS):
                    total += hash_bytes(spelling, self._key)
            self._identity = grown(self._identity, code + 1)
            self._identity[code] = mix(np.uint64(total & 0xFFFF_FFFF_FFFF_FFFF))
            self.entities.append(about)
            self.attributes.append(attributes)
        return code


def _identifies(name: str) -> bool:
    return not (name in VOLATILE or name.startswith(VOLATILE_PREFIXES) or name.endswith((".uid", ".start_time")))
