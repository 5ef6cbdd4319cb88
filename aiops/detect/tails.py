"""How surprising a count is, as -log10 of a tail probability: the common unit of all evidence.

Everything here is scalar code in numba: NumPy's vectorised logarithms differ in the last bit between CPU feature levels, and
evidence must not.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

CAP = 8.0  # one piece of evidence never outweighs everything else
EFFECTIVE = 50.0  # a rate in a baseline counts as at most so many trials: rates drift with the mix of requests
BOUND = 2.0  # what scores more lies outside of the bounds that a person is told: one in a hundred on either side
_LOG10 = math.log(10.0)


@njit(nogil=True, cache=True)
def _log_beta(a: Any, b: Any) -> Any:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@njit(nogil=True, cache=True)
def at_least(k: Any, n: Any, p: Any, weight: Any, effective: Any) -> Any:
    """-log10 P(K >= k), K ~ BetaBinomial(n; p known from `weight` trials), capped at ``CAP``.

    Parameters
    ----------
    k, n : float
        Hits and trials now; whole numbers.
    p : float
        Share of hits in the baseline.
    weight : float
        Trials in the baseline; counted as at most `effective`, which is the over-dispersion: a plain binomial would cry at
        every drift of the mix of requests.
    """
    if k <= 0 or n <= 0:
        return 0.0
    w = min(weight, effective)
    a, b = p * w + 0.5, (1.0 - p) * w + 0.5
    if k / n <= a / (a + b) and n >= 8:  # at or below the mean nothing is surprising: spare the sum
        return 0.0
    # Sum the tail from k upwards by the ratio of neighbouring terms, relative to the term at k.
    first = (
        math.lgamma(n + 1.0)
        - math.lgamma(k + 1.0)
        - math.lgamma(n - k + 1.0)
        + _log_beta(k + a, n - k + b)
        - _log_beta(a, b)
    )
    term, total, i = 1.0, 1.0, k
    while i < n:
        term *= (n - i) / (i + 1.0) * (i + a) / (n - i - 1.0 + b)
        total += term
        i += 1.0
        if term < 1e-9 * total:
            break
    return min(CAP, max(0.0, -(first + math.log(total)) / _LOG10))


@njit(nogil=True, cache=True)
def count_excess(x: Any, mean: Any, shape: Any) -> Any:
    """How surprising a count is against a negative binomial of this mean: positive above it, negative below, in -log10.

    The large-deviation rate x ln(x / m) - (x + r) ln((x + r) / (m + r)); `shape` r is the over-dispersion: the variance is
    m + m^2 / r, so a count that swings by a factor of two is no news at r = 5, however large it is.
    """
    m = max(mean, 1e-3)
    bits = (x * math.log(x / m) if x > 0 else 0.0) - (x + shape) * math.log((x + shape) / (m + shape))
    value = min(CAP, max(0.0, bits / _LOG10))
    return value if x > m else -value


def share_bounds(n: int, p: float, weight: float, effective: float, level: float = BOUND) -> tuple[float, float]:
    """Shares of hits among `n` trials that are no news: fewer, or more, have a score above `level`; see ``at_least``."""

    def most(p: float) -> int:
        low, high = 0, n  # the greatest k whose score is at most `level`: scores rise with k
        while low < high:
            middle = (low + high + 1) // 2
            if at_least(float(middle), float(n), p, weight, effective) <= level:
                low = middle
            else:
                high = middle - 1
        return low

    return (n - most(1.0 - p)) / n, most(p) / n


def count_bounds(mean: float, shape: float, level: float = BOUND) -> tuple[float, float]:
    """Counts that are no news: below and above them ``count_excess`` is more than `level`."""

    def edge(inside: float, outside: float) -> float:
        for _ in range(60):  # halving: to the last bit of what a person reads
            middle = (inside + outside) / 2.0
            if abs(count_excess(middle, mean, shape)) <= level:
                inside = middle
            else:
                outside = middle
        return inside

    above = mean + 1.0
    while abs(count_excess(above, mean, shape)) <= level:
        above *= 2.0
    return edge(mean, 0.0), edge(mean, above)
