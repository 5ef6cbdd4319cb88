"""Snapshots of a partition's state in a compacted topic: parts under a manifest.

A snapshot is written as parts, keyed by its digest, then a manifest that names them.  Of all manifests whose parts are
complete the one with the highest position counts, not the last one: a worker that was thought dead may append an older
one, and any state with its position is valid by itself.  Parts of the manifest before the last are deleted.
"""

from __future__ import annotations

from collections.abc import Iterable

import cramjam
import msgspec
import xxhash

from streams.records import Out
from streams.tasks.base import Snapshot

MANIFEST = b"manifest"


class Manifest(msgspec.Struct, frozen=True):
    """Names the parts of a snapshot; ``position`` as in ``Snapshot``."""

    digest: str
    parts: int
    position: int
    size: int


def records(topic: str, partition: int, snapshot: Snapshot, part: int) -> tuple[list[Out], Out, Manifest]:
    """Parts, manifest record, and the manifest of a snapshot.

    Parameters
    ----------
    part : int
        Largest value, bytes.
    """
    data = bytes(cramjam.lz4.compress(snapshot.encode()))
    digest = xxhash.xxh3_128_hexdigest(data)
    pieces = [data[i : i + part] for i in range(0, len(data), part)]
    manifest = Manifest(digest, len(pieces), snapshot.position, len(data))
    parts = [Out(topic, partition, piece, [], _key(digest, i)) for i, piece in enumerate(pieces)]
    return parts, Out(topic, partition, msgspec.json.encode(manifest), [], MANIFEST), manifest


def keys(manifest: Manifest) -> list[bytes]:
    """Keys of the parts of a snapshot."""
    return [_key(manifest.digest, i) for i in range(manifest.parts)]


def deletions(topic: str, partition: int, stale: list[bytes]) -> list[Out]:
    """Tombstones of parts that later snapshots replace."""
    return [Out(topic, partition, None, [], key) for key in stale]


def newest(
    found: Iterable[tuple[bytes | None, bytes | None]], stage: str
) -> tuple[Snapshot, Manifest, list[bytes]] | None:
    """The snapshot that counts among keys and values of a snapshots partition, in the order of their offsets.

    Returns
    -------
    snapshot, manifest, stale
        `stale` are the keys of the parts of others, which may be deleted when a later snapshot is whole.
    """
    parts: dict[bytes, bytes] = {}
    manifests: list[Manifest] = []
    for key, value in found:
        if key == MANIFEST and value is not None:
            manifests.append(msgspec.json.decode(value, type=Manifest))
        elif key is not None and value is not None:
            parts[key] = value
        elif key is not None:
            parts.pop(key, None)
    for manifest in sorted(manifests, key=lambda m: m.position, reverse=True):
        named = keys(manifest)
        data = b"".join(parts.get(key, b"") for key in named)
        if len(data) == manifest.size and xxhash.xxh3_128_hexdigest(data) == manifest.digest:
            stale = sorted(parts.keys() - set(named))
            return Snapshot.decode(bytes(cramjam.lz4.decompress(data)), stage), manifest, stale
    return None


def _key(digest: str, part: int) -> bytes:
    return f"{digest}/{part}".encode()
