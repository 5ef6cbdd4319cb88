"""How far the engine sees, in event time."""

from __future__ import annotations

from aiops.incidents.stage import Respond
from aiops.records import encode, rfc3339
from aiops.signals import WINDOW, due
from aiops.status import Status, decode_status
from tests.incidents.world import DETECT, T, World, findings


def statuses(world: World, windows: int, **more) -> list[Status]:
    out: list[Status] = []
    for _ in range(windows):
        world.now += WINDOW
        world.respond.process(DETECT, [findings(world.now, {}, **more)])
        out += world.respond.advance(DETECT, due(world.now - WINDOW)).status
    return out


def test_every_window_says_how_far_the_engine_sees_and_how_much_is_known():
    world = World()
    said = statuses(world, 360)
    assert len(said) == 360
    assert (said[0].clock, said[0].since, said[0].learned) == (rfc3339(T + WINDOW), rfc3339(T + WINDOW), 0.0)
    assert said[180].learned == 0.5
    assert statuses(world, 2)[-1].learned == 1.0
    assert said[0].services == 6
    assert decode_status(encode(said[5])) == said[5]


def test_a_service_that_is_new_lowers_what_is_known():
    world = World()
    statuses(world, 361)
    last = statuses(world, 1, services=["cart", "db", "mta", "new", "pay", "spam", "web"])[-1]
    assert last.services == 7
    assert last.learned == round(6 / 7, 4)


def test_silence_of_one_signal_and_of_all_is_seen():
    world = World()
    statuses(world, 3)
    gap = statuses(world, 13, totals={"metrics": 5})[-1]
    assert gap.silent == ("logs", "traces")
    nothing = statuses(world, 2, totals={})[-1]
    assert nothing.heard == gap.clock


def test_a_restart_changes_nothing():
    one, other = World(), World()
    statuses(one, 20)
    restored = Respond([DETECT])
    restored.restore(one.respond.snapshot())
    again = World(restored)
    again.now = one.now
    statuses(other, 20)
    assert statuses(again, 5) == statuses(other, 5)
