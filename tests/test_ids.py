from __future__ import annotations

from itertools import product

from aiops.ids import anomaly_id, incident_id

ONSET = 1_700_000_000_000_000_000


def test_ids_never_change():
    # Golden: another value here splits every open incident of a running system in two at the upgrade.
    first = anomaly_id("default", "production", "checkout", "error_ratio", "robust", ONSET)
    assert first == "b51bfe87f5c492c13fbbe3e1028b8c8d"
    assert incident_id("default", "production", first) == "2f3a6fd0bfe488cecde562ec52c1dbfd"
    assert anomaly_id("", "", "", "", "", 0) == "6af5a146e5a5eeddff5e661f43bbeb8a"
    assert anomaly_id("mandant", "prüfung", "büro", "größe", "robust", -1) == "7095e20e6480054f3c3260d806f33230"


def test_moving_a_letter_from_one_part_to_the_next_gives_another_id():
    cuts = product(range(7), repeat=2)
    ids = {anomaly_id("t", "abcabc"[:i], "abcabc"[i:], "abcabc"[:j], "abcabc"[j:], ONSET) for i, j in cuts}
    assert len(ids) == 49


def test_every_part_counts():
    parts = ["tenant", "environment", "service", "series", "detector"]
    variants = [parts, *([*parts[:i], "other", *parts[i + 1 :]] for i in range(len(parts)))]
    ids = {anomaly_id(t, e, s, series, d, ONSET) for t, e, s, series, d in variants}
    assert len(ids) == 1 + len(parts)
    assert anomaly_id("tenant", "environment", "service", "series", "detector", ONSET + 1) not in ids


def test_an_anomaly_and_an_incident_never_share_an_id():
    assert incident_id("a", "b", "c") != anomaly_id("a", "b", "c", "", "", 0)
    assert len(incident_id("a", "b", "c")) == 32
