"""Calls that reach nobody -> for how many of them no service can be to blame at once.

Who is down is called in vain by everybody; who has lost its way out calls everybody in vain.  So one service explains all such
calls into it, or all out of it.  Where calls fail between several pairs that have neither caller nor callee in common, as many
services would have to have failed at once, or there is one thing between them: the network, or what else all of them need.
"""

from __future__ import annotations

from collections.abc import Iterable

MANY = 2  # pairs from which something between the services is as likely as one of them


def apart(pairs: Iterable[tuple[int, int]]) -> int:
    """How many (caller, callee) pairs can be chosen of which no two have the caller or the callee in common.

    That is a greatest matching of callers and callees, found by augmenting paths.

    >>> apart([(1, 9), (2, 9), (3, 9)]), apart([(1, 7), (1, 8)]), apart([(1, 2), (2, 3)])
    (1, 1, 2)
    """
    callees: dict[int, list[int]] = {}
    for caller, callee in sorted({pair for pair in pairs if pair[0] != pair[1]}):
        callees.setdefault(caller, []).append(callee)
    of: dict[int, int] = {}  # callee -> caller that it is chosen with

    def chosen(caller: int, tried: set[int]) -> bool:
        for callee in callees[caller]:
            if callee not in tried:
                tried.add(callee)
                if callee not in of or chosen(of[callee], tried):
                    of[callee] = caller
                    return True
        return False

    return sum(chosen(caller, set()) for caller in sorted(callees))


def shared(probability: float, pairs: int) -> float:
    """How likely a cause is where so many pairs are apart: it explains one of them at most."""
    return probability / pairs if pairs >= MANY else probability
