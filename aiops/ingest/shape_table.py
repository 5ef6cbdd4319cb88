"""Shape hash -> shape text and stem, for the lines of one ingest instance.

Bounded, and only a cache: any line gives its shape back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.identity import Interner
from aiops.ingest.shapes import shape_hashes, shape_text, stem
from aiops.redact import redact

MAX_SHAPES, MAX_SHAPE_BYTES = 500_000, 64 << 20


class ShapeTable:
    """Shapes in order of first sight.

    Attributes
    ----------
    texts : list of bytes
        Shape of each code, secrets taken out.
    stems : list of bytes
        First constant words of each shape.
    text_bytes : int
        Of all texts.
    """

    __slots__ = ("_codes", "_identity", "stems", "text_bytes", "texts")

    def __init__(self) -> None:
        self._codes = Interner()
        self._identity: NDArray[np.uint64] = np.zeros(1024, np.uint64)
        self.texts: list[bytes] = []
        self.stems: list[bytes] = []
        self.text_bytes = 0

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def identity(self) -> NDArray[np.uint64]:
        """Shape hash of each code: uint64 array, shape (len(self),)."""
        return self._identity[: len(self.texts)]

    def codes(self, text: Slices) -> NDArray[np.int32]:
        """Code of every line's shape: int32 array, shape (n,)."""
        hashes = shape_hashes(text)
        codes, fresh = self._codes.codes(hashes)
        if len(fresh):
            if self._codes.size > len(self._identity):
                bigger = np.zeros(2 * self._codes.size, np.uint64)
                bigger[: len(self._identity)] = self._identity
                self._identity = bigger
            self._identity[len(self.texts) : self._codes.size] = hashes[fresh]
            for row in fresh.tolist():
                # Here, and not where a window is written: shapes of traced lines go on from here as well.
                shape = redact(shape_text(text, row).decode("utf-8", "replace")).encode()
                self.texts.append(shape)
                self.text_bytes += len(shape)
                self.stems.append(stem(shape))
        return codes
