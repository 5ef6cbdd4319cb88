"""The last record of an incident's key is its highest version, whatever a sleeper adds."""

from __future__ import annotations

import orjson

from streams import public_versions
from streams.public_versions import PublicVersions


def incident(name: str, version: int, environment: str = "production") -> tuple[bytes, bytes]:
    body = {"incident_id": name, "version": version, "tenant": "default", "environment": environment, "more": [1, 2]}
    return name.encode(), orjson.dumps(body)


def follow(*owned: str) -> PublicVersions:
    versions = PublicVersions("aiops.incidents", lambda _tenant, environment: environment in owned)
    assert versions.live() == []
    return versions


def test_an_older_version_after_a_newer_one_is_followed_by_the_newer_one_again():
    versions = follow("production")
    for version in (1, 2, 3):
        assert versions.see(*incident("a", version), [("version", b"%d" % version)]) is None
    again = versions.see(*incident("a", 2), [])
    assert again is not None
    assert (again.key, again.value, again.headers) == (*incident("a", 3), [("version", b"3")])
    assert versions.see(again.key, again.value, again.headers) is None
    assert versions.rewritten == 1


def test_only_the_owner_writes():
    versions = follow("staging")
    versions.see(*incident("a", 3), [])
    assert versions.see(*incident("a", 2), []) is None
    assert versions.rewritten == 0


def test_a_tombstone_ends_an_incident_and_foreign_records_are_none():
    versions = follow("production")
    versions.see(*incident("a", 3), [])
    versions.see(b"a", None, [])
    assert versions.see(*incident("a", 1), []) is None
    assert versions.see(b"x", b"no json", []) is None
    assert versions.see(None, b"{}", []) is None


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(public_versions, "MOST", 10)
    versions = follow("production")
    for k in range(50):
        versions.see(*incident(str(k), 1), [])
    assert len(versions) == 10
    assert versions.see(*incident("49", 0), []) is not None


def test_the_past_is_judged_by_its_end():
    """An older version that was mended already is not mended at every start."""
    versions = PublicVersions("aiops.incidents", lambda *_: True)
    for name, version in (("a", 5), ("b", 5), ("a", 3), ("b", 3), ("a", 5), ("c", 2), ("c", 1)):
        assert versions.see(*incident(name, version), []) is None
    versions.see(b"c", None, [])
    assert [(out.key, out.value) for out in versions.live()] == [incident("b", 5)]
    assert versions.see(*incident("b", 5), []) is None
    assert versions.see(*incident("a", 4), []) is not None


def test_large_incidents_take_no_more_memory_than_small_ones(monkeypatch):
    size = len(incident("00", 1)[1])
    monkeypatch.setattr(public_versions, "MOST_BYTES", 10 * size)
    versions = follow("production")
    for k in range(50):
        for version in (1, 2):
            versions.see(*incident(f"{k:02d}", version), [])
    assert len(versions) == 10
    for k in range(40, 50):
        versions.see(f"{k:02d}".encode(), None, [])
    assert (len(versions), versions._bytes) == (0, 0)
