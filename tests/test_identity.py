"""Identities and dense codes: the same for ever, never 0, and told apart."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.columns import Slices
from aiops.identity import Interner, combined, hash64, hash_bytes, mix, murmur

MASK = 2**64 - 1


def flat(texts: list[bytes]) -> Slices:
    edges = np.zeros(len(texts) + 1, np.int32)
    np.cumsum([len(text) for text in texts], out=edges[1:])
    return Slices(np.frombuffer(b"".join(texts) + b"\0", np.uint8), edges[:-1], edges[1:])


def plain_mix(h: int) -> int:
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD & MASK
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53 & MASK
    return (h ^ (h >> 33)) or 1


def plain_murmur(raw: bytes, key: int) -> int:
    """MurmurHash64A with a key word under every word."""
    m = 0xC6A4A7935BD1E995
    h = key ^ (len(raw) * m & MASK)
    pad, step = key * 0xFF51AFD7ED558CCD & MASK, key * 0xC4CEB9FE1A85EC53 & MASK | 1
    whole = len(raw) // 8 * 8
    for i in range(0, whole, 8):
        k = (int.from_bytes(raw[i : i + 8], "little") ^ pad) * m & MASK
        pad = pad + step & MASK
        h = (h ^ ((k ^ (k >> 47)) * m & MASK)) * m & MASK
    if whole < len(raw):
        h = (h ^ (int.from_bytes(raw[whole:], "little") ^ pad)) * m & MASK
    h = (h ^ (h >> 47)) * m & MASK
    return (h ^ (h >> 47)) or 1


@pytest.mark.parametrize("key", [1, 0x9E3779B97F4A7C15, MASK])
def test_hashes_are_what_they_have_always_been(key, rng):
    texts = [rng.bytes(int(n)) for n in [*range(40), 1000]]
    expected = [plain_murmur(text, key) for text in texts]
    assert hash64(flat(texts), key).tolist() == expected
    assert [hash_bytes(text, key) for text in texts] == expected


def test_mix_is_what_it_has_always_been_and_never_0(rng):
    for h in (0, 1, MASK, *rng.integers(0, 2**63, 100).tolist()):
        assert mix(np.uint64(h)) == plain_mix(h)
        assert mix(np.uint64(h)) != 0


def test_no_two_texts_of_a_large_crowd_share_an_identity():
    texts = [b"%d" % k for k in range(50_000)] + [b"\0" * k for k in range(100)]
    assert len(set(hash64(flat(texts)).tolist())) == len(texts)


def test_another_key_gives_other_identities():
    assert hash_bytes(b"a", 1) != hash_bytes(b"a", 2)
    assert hash_bytes(b"", 1) != hash_bytes(b"", 2)


def test_what_surrounds_a_slice_does_not_matter():
    data = np.frombuffer(b"xxabcyy\0", np.uint8)
    assert murmur(data, 2, 5, np.uint64(7)) == hash_bytes(b"abc", 7)


def test_a_pair_has_an_identity_that_tells_its_order():
    a, b = np.array([1, 2, 0], np.uint64), np.array([2, 1, 0], np.uint64)
    found = combined(a, b).tolist()
    assert len(set(found)) == 3
    assert 0 not in found
    assert combined(b, a).tolist() == [found[1], found[0], found[2]]


def test_codes_are_dense_and_in_order_of_first_sight():
    interner = Interner()
    codes, fresh = interner.codes(np.array([50, 7, 50, 9, 7], np.uint64))
    assert (codes.tolist(), fresh.tolist()) == ([0, 1, 0, 2, 1], [0, 1, 3])
    codes, fresh = interner.codes(np.array([9, 8], np.uint64))
    assert (codes.tolist(), fresh.tolist(), interner.size) == ([2, 3], [1], 4)


def test_codes_survive_growth_and_are_found_again(rng):
    hashes = rng.permutation(np.arange(1, 30_001, dtype=np.uint64)) * np.uint64(2**40 + 1)
    interner = Interner()
    seen: dict[int, int] = {}
    for low in range(0, len(hashes), 977):
        part = np.concatenate([hashes[low : low + 977], hashes[: low // 2]])
        codes, fresh = interner.codes(part)
        for h, code in zip(part.tolist(), codes.tolist(), strict=True):
            assert seen.setdefault(h, code) == code
        assert len(fresh) == len(hashes[low : low + 977])
    assert sorted(seen.values()) == list(range(30_000))
    assert interner.find(hashes).tolist() == [seen[h] for h in hashes.tolist()]


def test_what_is_unknown_is_minus_one_and_stays_unknown():
    interner = Interner()
    interner.codes(np.array([5], np.uint64))
    assert interner.find(np.array([6, 5], np.uint64)).tolist() == [-1, 0]
    assert interner.size == 1


def test_identities_in_the_order_of_their_codes_make_the_same_interner(rng):
    interner = Interner()
    interner.codes(rng.integers(1, 2**62, 5000).astype(np.uint64))
    again = Interner.of(interner.identities())
    assert again.size == interner.size
    assert again.find(interner.identities()).tolist() == list(range(interner.size))
    assert again.identities().tolist() == interner.identities().tolist()
