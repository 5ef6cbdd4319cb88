"""The partition of a message's key, as Kafka's Java client chooses it, so that producers of both kinds agree."""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(key: bytes) -> int:
    """32-bit MurmurHash2 with the seed of ``org.apache.kafka.common.utils.Utils.murmur2``, as an unsigned number.

    >>> murmur2(b"21") == -973932308 % 2**32  # Kafka's own test vector
    True
    """
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if rest := key[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of `partitions` where a message with this key goes.

    >>> partition_of(bytes.fromhex("8b51e36eaee3265bec099d0c5c63fd37"), 4)
    1
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions
