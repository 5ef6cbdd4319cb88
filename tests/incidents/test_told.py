"""Alerts and commands among findings: restarts, interleavings and batches change no byte."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aiops.incidents.stage import Respond
from aiops.records import Change, Told, encode, rfc3339
from aiops.signals import LATENESS, SECOND, WINDOW, due
from tests.incidents.world import DETECT, T, World, alert, anomaly, change, command, findings

CART = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}, "web": {"errors": 6.0, "own": 5.0}}
MAIL = {"spam": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
WINDOWS = 260


def window(k: int) -> tuple[dict[str, Any], list[Any]]:
    """Evidence and anomalies of a window: two faults at once, twice."""
    evident = k % 130 in range(14, 60)
    terms = {**CART, **(MAIL if k % 130 in range(14, 80) else {})} if evident else {}
    at = T + (k + 1) * WINDOW
    return terms, [anomaly("cart", at), anomaly("web", at, signal="b"), anomaly("spam", at)] if k % 130 == 15 else []


def at(k: int) -> int:
    return T + k * WINDOW + 3 * SECOND


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, Told]]:
    """(source, arrival, what is told): every command and some alerts, about the incidents that a first run finds."""
    world = World()
    for k in range(WINDOWS):
        terms, anomalies = window(k)
        world.window(terms, anomalies=anomalies)
    cart, spam = (next(i for i in world.said if service in i.services).incident_id for service in ("cart", "spam"))
    until = rfc3339(at(60))
    said: list[tuple[int, Told]] = [
        (10, change("cart", at(10))),
        (16, alert("web", at(14), severity="high")), (17, alert("web", at(14), severity="high")),
        (18, alert("mta", at(18))), (30, alert("web", at(30), "resolved", severity="high")),
        (20, command("acknowledge", cart)), (20, command("comment", cart, text="x")), (20, command("comment", cart, text="y")),
        (21, command("assign", cart, assignee="bob")), (22, command("label", cart, a="1")),
        (22, command("silence", service="cart", until=until)), (23, command("maintenance", services="spam", until=until)),
        (24, command("confirm", cart, service="web")), (25, command("reject", cart, service="cart")),
        (26, command("split", cart, services="web")), (28, command("merge", spam, into=cart)),
        (29, command("resolve", spam)), (31, command("feedback", cart, verdict="expected")), (33, command("resolve", cart)),
        (40, command("merge", cart, into=cart)), (50, command("reopen", cart)),
        (55, alert("db", at(55))), (90, alert("db", at(90), "resolved")), (200, command("resolve", cart)),
        (240, command("comment", cart, text="late")),
    ]  # fmt: skip
    return [
        (f"{'changes' if isinstance(t, Change) else 'said'}/{k % 3}", at(when), t) for k, (when, t) in enumerate(said)
    ]


def run(
    told: list[tuple[str, int, Told]], seed: int | None = None, restarted: bool = False
) -> tuple[list[bytes], bytes]:
    """Every version, and the state at the end; with a seed, findings and what is told come in random turns."""
    draw = random.Random(seed)
    sources = sorted({source for source, _, _ in told})
    respond = Respond([DETECT, *sources])
    waiting = {
        source: sorted(((t, x) for s, t, x in told if s == source), key=lambda e: e[0])[::-1] for source in sources
    }
    offset = dict.fromkeys(sources, 0)
    versions: list[bytes] = []
    held: list[Any] = []
    k = 0

    def step(source: str, clock: int) -> None:
        nonlocal respond
        out = respond.advance(source, clock)
        versions.extend(map(encode, out.incidents))
        if restarted:
            snapshot = respond.snapshot()
            respond = Respond()
            respond.restore(snapshot)
            assert respond.snapshot() == snapshot
            for found in held:
                respond.process(DETECT, [found])

    while k < WINDOWS or any(waiting.values()):
        # In step, what is told comes when its window does; else whoever is drawn goes ahead.
        ahead = [s for s in sources if waiting[s] and (seed is not None or waiting[s][-1][0] <= T + (k + 1) * WINDOW)]
        if k < WINDOWS and (not ahead or (seed is not None and draw.random() < 0.8)):
            terms, anomalies = window(k)
            found = findings(T + (k + 1) * WINDOW, terms, anomalies=anomalies)
            held.append(found)
            respond.process(DETECT, [found])
            k += 1
            step(DETECT, due(T + k * WINDOW - WINDOW))
            continue
        source = draw.choice(ahead) if seed is not None else ahead[0]
        arrival, what = waiting[source].pop()
        signal = {"Change": "changes", "Alert": "alerts", "Command": "commands"}[type(what).__name__]
        respond.tell(source, offset[source], signal, what, arrival)
        offset[source] += 1
        step(source, arrival - 1)
    end = T + (WINDOWS + 100) * WINDOW
    for source in (*sources, DETECT):
        step(source, end)
    return versions, respond.snapshot()


def test_a_restart_after_every_step_changes_no_byte(told):
    plain, restarted = run(told), run(told, restarted=True)
    assert restarted == plain
    text = b"".join(plain[0])
    for word in (
        b'"merged"',
        b'"split_from":"',
        b'"acknowledged"',
        b'"silence"',
        b'"rejected"',
        b'"confirmed"',
        b'"refused":true',
    ):
        assert word in text


@pytest.mark.parametrize("seed", range(4))
def test_who_is_read_first_changes_no_byte(told, seed):
    assert run(told, seed, restarted=seed == 0) == run(told)


def test_what_is_told_again_after_a_crash_of_its_sender_changes_nothing(told):
    world, again = World(), World()
    for w, times in ((world, 1), (again, 2)):
        for k in range(60):
            for source, arrival, what in told:
                if arrival // WINDOW == (T + k * WINDOW) // WINDOW:
                    for _ in range(times):
                        signal = (
                            "changes"
                            if isinstance(what, Change)
                            else ("commands" if hasattr(what, "command") else "alerts")
                        )
                        w.respond.tell(source, arrival // SECOND, signal, what, arrival)
            terms, anomalies = window(k)
            w.window(terms, anomalies=anomalies)
    assert again.bytes() == world.bytes()


def test_the_comparison_can_fail(told):
    assert run(told[:-1])[0] != run(told)[0]


def test_nothing_that_is_told_is_in_force_before_the_clock_has_reached_its_arrival(told):
    del told
    world = World()
    world.last_for(120)
    world.last_for(60, CART)
    arrival = world.now + LATENESS + 25 * SECOND
    assert world.tell(command("acknowledge", world.only.incident_id), arrival) == []
    world.last_for(20, CART)
    before = world.only
    world.window(CART)
    assert (before.state, world.only.state) == ("open", "acknowledged")
    assert world.only.log[0].time == rfc3339(arrival)
