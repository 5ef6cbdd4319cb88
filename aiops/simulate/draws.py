"""Seeded random values, drawn in blocks and handed out one by one; the same seed and purpose give the same values.

A numpy Generator costs about a microsecond a call, a value out of a block of 4096 a twentieth of that.  Every purpose
has a stream of its own, so that one more draw for logs does not move the arrivals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zlib import crc32

import numpy as np

_BLOCK = 4096
_POOL = 1024


class Streams:
    """Generators for named purposes, all from one seed.

    Parameters
    ----------
    seed
        Any integer of at least 0.
    """

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"seed is {seed}: it must be 0 or greater")
        self._seed = seed

    def generator(self, purpose: str) -> np.random.Generator:
        """A fresh generator for a purpose: asking twice gives the same numbers twice."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, crc32(purpose.encode())])))


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Endless uniform numbers in [0, 1)."""
    while True:
        yield from rng.random(_BLOCK).tolist()


def normals(rng: np.random.Generator) -> Iterator[float]:
    """Endless standard normal numbers."""
    while True:
        yield from rng.standard_normal(_BLOCK).tolist()


def hex_ids(rng: np.random.Generator, size: int) -> Iterator[str]:
    """Endless ids of ``size`` random bytes, as lower-case hex digits."""
    width = 2 * size
    while True:
        text = rng.bytes(size * _BLOCK).hex()
        yield from [text[at : at + width] for at in range(0, len(text), width)]


_WORDS = "shoes jacket lamp desk bottle camera tent guitar backpack watch chair kettle bicycle headphones scarf".split()
_LOCALES = "de-DE en-GB en-US fr-FR nl-NL pl-PL sv-SE".split()
_AGENTS = "Firefox/128.0 Chrome/126.0 Safari/17.4 okhttp/4.12 curl/8.5".split()


def _uuid(rng: np.random.Generator) -> str:
    digits = rng.bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


# Users and products repeat, as real ones do: few are frequent (a power law), so that some values recur in every window.
_KINDS: dict[str, Callable[[np.random.Generator], str]] = {
    "user": lambda rng: f"u{int(40_000 * rng.random() ** 3) + 10_000}",
    "order": lambda rng: f"ORD-{rng.integers(10**7, 10**8)}",
    "sku": lambda rng: f"SKU-{int(2_000 * rng.random() ** 2) + 1_000}",
    "session": lambda rng: rng.bytes(6).hex(),
    "uuid": _uuid,
    "ip": lambda rng: f"10.{rng.integers(0, 4)}.{rng.integers(0, 256)}.{rng.integers(1, 255)}",
    "amount": lambda rng: f"{rng.lognormal(3.5, 0.8):.2f}",
    "count": lambda rng: str(int(rng.lognormal(3.0, 0.9)) + 1),
    "bytes": lambda rng: str(int(rng.lognormal(7.5, 0.8)) + 200),
    "digit": lambda rng: str(rng.integers(1, 10)),
    "zip": lambda rng: f"{rng.integers(10_000, 99_999)}",
    "word": lambda rng: _WORDS[int(rng.integers(len(_WORDS)))],
    "locale": lambda rng: _LOCALES[int(rng.integers(len(_LOCALES)))],
    "agent": lambda rng: _AGENTS[int(rng.integers(len(_AGENTS)))],
}

VALUE_KINDS = frozenset(_KINDS)


def values(rng: np.random.Generator, kind: str) -> Iterator[str]:
    """Endless texts of one kind of value, as they stand in log lines.

    A pool of 1024 is drawn once and walked in a new order each time round: a fresh draw for each line costs as much as
    the whole span it belongs to.
    """
    draw = _KINDS[kind]
    pool = [draw(rng) for _ in range(_POOL)]
    while True:
        yield from pool
        pool = [pool[at] for at in rng.permutation(_POOL).tolist()]
