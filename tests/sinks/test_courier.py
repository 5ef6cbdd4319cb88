"""Order, retries, rate and repeats of one sink, by a clock of the test's own."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from aiops.notify.config import Sink
from aiops.notify.message import Message
from streams.sinks.courier import LONGEST_PAUSE, REFRESH, Courier, Order, Result
from streams.sinks.kinds import Sent

HOUR = 3600 * 10**9
OK, NO, BUSY = Sent(True), Sent(False, hopeless=True, said="HTTP 400"), Sent(False, said="HTTP 500")


def message(key: str = "i1", n: int = 1, firing: bool = True) -> Message:
    return Message(
        notification_id=f"{key}-{n}", key=key, trigger="opened" if firing else "resolved", firing=firing, time=n, since=0,
        tenant="t", environment="e", severity="high", title="x",
    )  # fmt: skip


class World:
    """A courier whose sink answers by a plan, and a clock that goes when nothing is to be done."""

    def __init__(self, plan=(), kind="webhook", alive=None, **settings):
        url = {} if kind == "pagerduty" else {"url": "http://h/"}
        secret = {"secret": "k"} if kind == "pagerduty" else {}
        self.sink = msgspec.structs.replace(Sink("s", kind, **url, **secret), **settings)  # type: ignore[arg-type]
        self.plan, self.now = iter(plan), 0.0
        self.sent: list[tuple[float, str]] = []
        self.repeats: list[tuple[float, list[str]]] = []
        self.results: list[Result] = []
        self.wanted = True
        self.courier = Courier(
            self.sink, self, self.results.append, lambda: alive, lambda: self.now, lambda: int(self.now * 1e9)
        )

    def send(self, message, _ref, _changes):
        self.sent.append((self.now, message.notification_id))
        return next(self.plan, OK)

    def all(self, messages):
        self.repeats.append((self.now, [m.notification_id for m in messages]))
        return next(self.plan, OK)

    def offer(self, *several):
        for one in several:
            self.courier.offer(Order(one, None, lambda: self.wanted, lambda: "", list))

    def run(self, seconds):
        end = self.now + seconds
        while self.now < end:
            wait = self.courier.step()
            self.now = min(end, self.now + wait) if wait else self.now
        return [name for _, name in self.sent]

    def states(self):
        return [(r.order.message.notification_id, r.state, r.attempts) for r in self.results if r.state != "waiting"]


def test_messages_of_an_incident_keep_their_order_while_it_fails():
    world = World([BUSY, BUSY, OK])
    world.offer(message(n=1), message(n=2, firing=False))
    assert world.run(60) == ["i1-1", "i1-1", "i1-1", "i1-2"]
    assert world.states() == [("i1-1", "delivered", 3), ("i1-2", "delivered", 1)]


def test_one_on_which_the_sink_chokes_does_not_hold_up_others_for_long():
    world = World()

    def send(message, _ref, _changes):
        if message.key == "bad":
            return BUSY
        world.sent.append((world.now, message.key))
        return OK

    world.send = send  # type: ignore[method-assign]
    world.offer(message("bad"), *(message(f"good{k}") for k in range(20)))
    world.run(120)
    assert len(world.sent) == 20
    assert world.sent[-1][0] < 60


def test_waits_grow_and_are_bounded():
    world = World([BUSY] * 40)
    world.offer(message())
    world.run(3600)
    times = [at for at, _ in world.sent]
    waits = [b - a for a, b in pairwise(times)]
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert waits == sorted(waits)
    assert max(waits) <= 300


def test_a_sink_that_is_down_is_asked_about_once_a_minute_however_much_waits():
    world = World([Sent(False, said="refused")] * 1000)
    world.offer(*(message(f"i{k}") for k in range(200)))
    world.run(1200)
    asked = [at for at, _ in world.sent if at > 600]
    assert len(asked) <= 600 / LONGEST_PAUSE + 1


def test_it_is_asked_no_sooner_than_it_wants():
    world = World([Sent(False, said="HTTP 429", retry_after=90.0)])
    world.offer(message(), message("i2"))
    world.run(200)
    assert [at for at, _ in world.sent][1] >= 90


def test_what_is_refused_for_good_is_not_tried_again_and_the_next_goes_out():
    world = World([NO])
    world.offer(message(n=1), message(n=2))
    world.run(10)
    assert world.states() == [("i1-1", "refused", 1), ("i1-2", "delivered", 1)]


def test_what_cannot_be_delivered_is_given_up_in_the_end():
    world = World([BUSY] * 10_000, give_up=HOUR)
    world.offer(message(n=1), message(n=2, firing=False))
    world.run(3 * 3600)
    assert world.states()[0][:2] == ("i1-1", "given_up")
    assert world.courier.tallies.given_up >= 1


def test_no_more_is_sent_than_the_rate_allows():
    world = World(rate=30)
    world.offer(*(message(f"i{k}") for k in range(100)))
    world.run(60)
    assert len(world.sent) in (30, 31)


def test_a_dry_run_sends_nothing_and_says_so():
    world = World()
    world.courier._speaker = None
    world.offer(message())
    assert world.run(5) == []
    assert world.states() == [("i1-1", "dry_run", 0)]


def test_orders_of_a_partition_that_was_given_up_are_not_delivered():
    world = World()
    world.offer(message(n=1), message(n=2))
    world.wanted = False
    assert world.run(5) == []
    world.wanted = True
    world.offer(message(n=3))
    assert world.run(5) == ["i1-3"]


def test_a_heartbeat_goes_out_while_the_engine_sees_and_after_what_people_wait_for():
    world = World(heartbeat=60 * 10**9, alive=message("beat"))
    world.offer(message())
    world.run(200)
    assert [name for _, name in world.sent] == ["i1-1", "beat-1", "beat-1", "beat-1", "beat-1"]
    blind = World(heartbeat=60 * 10**9, alive=None)
    assert blind.run(200) == []


class TestAlertmanager:
    def test_what_fires_is_repeated_before_it_expires_and_an_end_for_some_minutes(self):
        world = World(kind="alertmanager")
        world.offer(message("a"), message("b"))
        world.run(130)
        assert [names for _, names in world.repeats][-1] == ["a-1", "b-1"]
        gaps = [b - a for (a, _), (b, _) in pairwise(world.repeats)]
        assert all(gap <= REFRESH + 1 for gap in gaps)
        world.offer(message("a", 2, firing=False))
        world.run(100)
        assert world.repeats[-1][1] == ["a-2", "b-1"]
        world.run(400)
        assert world.repeats[-1][1] == ["b-1"]

    def test_a_repeat_that_fails_is_tried_again_soon(self):
        world = World([OK, OK, BUSY], kind="alertmanager")
        world.offer(message("a"))
        world.run(200)
        failed, again = world.repeats[1][0], world.repeats[2][0]
        assert again - failed <= 11

    def test_what_was_told_before_a_restart_is_repeated(self):
        world = World(kind="alertmanager")
        world.courier.show(message("a"), lambda: True)
        world.run(5)
        assert world.repeats[0][1] == ["a-1"]

    def test_other_sinks_are_not_repeated_to(self):
        world = World(kind="pagerduty")
        world.offer(message("a"))
        world.run(1000)
        assert (len(world.sent), world.repeats) == (1, [])


@pytest.mark.parametrize("attempts", [1, 10, 20])
def test_that_it_waits_is_written_down_seldom(attempts):
    world = World([BUSY] * 25)
    world.offer(message())
    world.run(20_000)
    assert attempts in [r.attempts for r in world.results if r.state == "waiting"]
    assert len([r for r in world.results if r.state == "waiting"]) == 3


def test_the_thread_survives_a_speaker_that_raises():
    world = World()
    calls = []

    def send(_message, _ref, _changes):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a defect")
        return OK

    world.send = send  # type: ignore[method-assign]
    courier = Courier(world.sink, world, world.results.append, lambda: None)
    courier.start()
    courier.offer(Order(message(), None, lambda: True, lambda: "", list))
    from tests.sinks.faulty import until

    until(lambda: any(r.state == "delivered" for r in world.results))
    courier.stop(2)
    assert len(calls) == 2
