"""Shape novelty: how far the newest points of a series lie from the nearest of 32 remembered shapes.

In: a short vector of recent values (the point and chosen lags).  State: 32 prototypes, their use counts, the mean distance.
Out: distance to the nearest prototype in units of the mean distance.  An online k-means of bounded size: near shapes pull
their prototype; far ones take a free place or, when very far, that of the least used prototype, so that a new normal is learned
after one visit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

PROTOTYPES = 32
EMPTY = np.float32(1e18)  # coordinate of an unused prototype: never nearest, and 8 squares stay finite in float32
PULL = 0.01  # least gain of the nearest prototype
SCALE = 0.001  # least gain of the mean distance
REPLACE = (6.0, 4.0, 6.0)  # mean distances beyond which the least used prototype is replaced, of each memory
CLIP = 6.0  # mean distances that a distance counts at most in the mean
FADE_EVERY, FADE = 64, np.float32(0.995)  # points, factor: use counts fade
START = 20  # points before the first score

LAGS_WIDE = np.array([0, 3, 6, 9, 12, 15, 18, 21])  # on squashed values
LAGS_LONG = np.array([0, 1, 3, 7, 15, 31])
LAGS_SHORT = np.array([0, 1, 2, 3])
WIDTHS = (len(LAGS_WIDE), len(LAGS_LONG), len(LAGS_SHORT))
FIRST = (21, 31, 3)  # points after which the lags of each memory are filled
SQUASH = 10.0  # spreads at which the squashing of the wide shape sets in


@njit(nogil=True, cache=True, error_model="numpy")
def forget(shapes: Any, used: Any, r: Any, b: Any) -> None:
    """Empty memory `b` of row `r`."""
    for j in range(shapes.shape[1]):
        for p in range(PROTOTYPES):
            shapes[r, j, p] = EMPTY
    for p in range(PROTOTYPES):
        used[r, b, p] = np.float32(0)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def distance(
    shapes: Any, used: Any, mean_of: Any, column: Any, r: Any, b: Any, n: Any, learned: Any, q: Any, d: Any
) -> Any:
    """Distance of `q` to the nearest prototype in units of the mean distance, or -1 before the first score; then learn.

    Whole arrays and indices, because a slice costs two atomic reference counts.

    Parameters
    ----------
    shapes : float32[rows, width, 32]
    used : float32[rows, 3, 32]
    mean_of : float32[rows, columns]
        Its column `column` is the mean distance of memory `b`.
    n, learned : int
        Points of the series before this one, and distances that the mean holds.
    q : float32[width]
    d : float32[48]
        Scratch.
    """
    width = shapes.shape[1]
    for p in range(PROTOTYPES):  # constant bounds and a select instead of min(): these loops become SIMD
        e = shapes[r, 0, p] - q[0]
        d[p] = e * e
    for j in range(1, width):
        x = q[j]
        for p in range(PROTOTYPES):
            e = shapes[r, j, p] - x
            d[p] += e * e
    for p in range(16):
        d[32 + p] = d[p] if d[p] < d[16 + p] else d[16 + p]
    for p in range(8):
        d[32 + p] = d[32 + p] if d[32 + p] < d[40 + p] else d[40 + p]
    least = d[32]
    for p in range(33, 40):
        least = d[p] if d[p] < least else least
    near = 0
    while d[near] > least:
        near += 1
    if n % FADE_EVERY == 0:
        for p in range(PROTOTYPES):
            used[r, b, p] *= FADE
    if used[r, b, 0] == 0:  # the very first shape
        for j in range(width):
            shapes[r, j, 0] = q[j]
        used[r, b, 0] = np.float32(1)
        return -1.0
    mean = mean_of[r, column]
    far = math.sqrt(least)
    f = far / (mean + 1e-9) if n >= START else -1.0
    place = -1
    if far > mean and shapes[r, 0, PROTOTYPES - 1] == EMPTY:
        place = 0
        while shapes[r, 0, place] != EMPTY:
            place += 1
    elif far > REPLACE[b] * mean:
        place = 0
        for p in range(1, PROTOTYPES):
            if used[r, b, p] < used[r, b, place]:
                place = p
        far = min(far, CLIP * mean)
    else:
        far = min(far, CLIP * mean)
    mean_of[r, column] = mean + max(SCALE, 1.0 / max(learned, 1)) * (far - mean)
    if place >= 0:
        for j in range(width):
            shapes[r, j, place] = q[j]
        used[r, b, place] = np.float32(1)
    else:
        used[r, b, near] += np.float32(1)
        k = np.float32(max(PULL, 1.0 / used[r, b, near]))
        for j in range(width):
            shapes[r, j, near] += k * (q[j] - shapes[r, j, near])
    return f
