"""When a subject becomes suspect, from when, and how that ends."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.detect.suspicion import (
    ACTIVE,
    BEFORE,
    CALM,
    CLOSE,
    LONGEST,
    QUIET,
    SERIOUS,
    Suspicion,
)
from aiops.signals import SECOND

STEP = 10 * SECOND
T = 1_000_000 * SECOND
BETWEEN = (CALM + CLOSE) / 2


def lone() -> Suspicion:
    out = Suspicion()
    out.grow(1)
    return out


def feed(subject: Suspicion, start: int, *strengths: float) -> int:
    """One strength every 10 s; the time of the next."""
    for k, strength in enumerate(strengths):
        subject.advance(start + k * STEP, np.array([strength]))
    return start + len(strengths) * STEP


def suspect(subject: Suspicion, time: int) -> bool:
    return bool(subject.at(time)[0])


def test_weak_evidence_makes_nobody_suspect():
    subject = lone()
    feed(subject, T, *[ACTIVE - 0.01] * 50)
    assert not any(suspect(subject, T + k * STEP) for k in range(-10, 60))


def test_a_subject_is_suspect_from_shortly_before_its_first_evidence():
    subject = lone()
    feed(subject, T, ACTIVE)
    assert suspect(subject, T - BEFORE)
    assert not suspect(subject, T - BEFORE - 1)
    assert suspect(subject, T + 10 * STEP)


def test_evidence_that_fades_before_it_is_serious_is_dropped_as_if_it_had_never_been():
    subject = lone()
    feed(subject, T, *[ACTIVE] * (SERIOUS // STEP - 1), CALM - 0.01)
    assert not any(suspect(subject, T + k * STEP) for k in range(-5, 20))


def test_evidence_that_has_lasted_is_not_dropped_when_it_fades():
    subject = lone()
    feed(subject, T, *[ACTIVE] * (SERIOUS // STEP), CALM - 0.01)
    assert suspect(subject, T)


def test_it_ends_when_the_subject_has_been_quiet_long_enough_and_is_remembered():
    subject = lone()
    loud, quiet = SERIOUS // STEP + 2, QUIET // STEP
    end = feed(subject, T, *[ACTIVE] * loud, *[BETWEEN] * quiet)
    assert suspect(subject, end)
    feed(subject, end, BETWEEN)
    assert not suspect(subject, end)
    assert suspect(subject, end - 1)
    assert suspect(subject, T - BEFORE)
    assert not suspect(subject, T - BEFORE - 1)


def test_a_relapse_begins_the_quiet_anew():
    subject = lone()
    quiet = [BETWEEN] * (QUIET // STEP)
    end = feed(subject, T, *[ACTIVE] * 5, *quiet, CLOSE, *quiet)
    assert suspect(subject, end)


def test_what_lasts_too_long_is_the_new_normal():
    subject = lone()
    end = feed(subject, T, *[ACTIVE + 5] * (LONGEST // STEP))
    assert suspect(subject, end)
    feed(subject, end, ACTIVE + 5)
    assert not suspect(subject, end)
    assert suspect(subject, end - 1)


def test_of_two_suspicions_both_the_last_and_the_present_one_count():
    subject = lone()
    again = feed(subject, T, *[ACTIVE] * 5, *[0.0] * 20)
    feed(subject, again, ACTIVE)
    assert suspect(subject, T)
    assert suspect(subject, again)
    assert not suspect(subject, again - BEFORE - 1)


def test_subjects_are_judged_by_themselves_alone(rng):
    """However they are numbered, and whoever else is there."""
    strengths = rng.choice([0.0, BETWEEN, ACTIVE, 8.0], (200, 70))
    together = Suspicion()
    together.grow(40)
    for k in range(200):
        if k == 100:
            together.grow(30)  # beyond the room of a new one
        together.advance(T + k * STEP, strengths[k, : together.size])
    for s in range(70):
        alone = lone()
        for k in range(100 if s >= 40 else 0, 200):
            alone.advance(T + k * STEP, strengths[k, s : s + 1])
        for time in range(T, T + 201 * STEP, STEP):
            assert together.at(time)[s] == alone.at(time)[0]


@pytest.mark.parametrize("cut", [0, 3, 7, 12, 30])
def test_a_restored_suspicion_has_the_same_future(cut, rng):
    strengths = rng.choice([0.0, BETWEEN, ACTIVE], (60, 4), p=[0.3, 0.3, 0.4])
    first = Suspicion()
    first.grow(4)
    for k in range(cut):
        first.advance(T + k * STEP, strengths[k])
    second = Suspicion()
    second.restore(state.unpack(state.pack(first.state())))
    for k in range(cut, 60):
        first.advance(T + k * STEP, strengths[k])
        second.advance(T + k * STEP, strengths[k])
        assert state.pack(first.state()) == state.pack(second.state())
