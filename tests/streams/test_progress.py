"""What is saved of the progress of partitions, in which order, and positions that do not move."""

from __future__ import annotations

from collections.abc import Generator

import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")

from streams.progress import STALL, Savings, Standstill, WorkerError

PLACE = ("aiops.findings", 0)


class Wall:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Sender:
    """Acknowledges when the test says; a flush waits for nothing."""

    def __init__(self) -> None:
        self.known: set[int] = set()
        self.answers = True
        self.flushes = 0

    def acknowledged(self, mark: int) -> bool:
        return mark in self.known

    def flush(self, _patience: float) -> bool:
        self.flushes += 1
        return self.answers


def steps(said: list[str], name: str) -> Generator[int, None, None]:
    said.append(f"{name} parts")
    yield 1
    said.append(f"{name} manifest")
    yield 2
    said.append(f"{name} commit")


@pytest.fixture
def said() -> list[str]:
    return []


def savings(sender: Sender) -> Savings:
    return Savings(sender, 1.0)  # type: ignore[arg-type]


def test_each_step_waits_for_what_was_sent_before_it(said):
    sender = Sender()
    saving = savings(sender)

    def step(due: bool = True) -> None:
        saving.step(PLACE, lambda: due, lambda: steps(said, "a"))

    step(due=False)
    assert said == []
    step()
    step()
    assert said == ["a parts"]
    sender.known.add(1)
    step()
    step()
    assert said == ["a parts", "a manifest"]
    sender.known.add(2)
    step(due=False)
    assert said == ["a parts", "a manifest", "a commit"]
    step(due=False)
    assert len(said) == 3


def test_one_that_is_on_its_way_is_finished_and_then_what_is_left(said):
    sender = Sender()
    saving = savings(sender)
    saving.step(PLACE, lambda: True, lambda: steps(said, "a"))
    saving.finish(PLACE, lambda: steps(said, "b"))
    assert said == [f"{name} {what}" for name in "ab" for what in ("parts", "manifest", "commit")]
    assert sender.flushes >= 4


def test_nothing_is_committed_that_was_not_acknowledged_in_time(said, caplog):
    sender = Sender()
    sender.answers = False
    savings(sender).finish(PLACE, lambda: steps(said, "a"))
    assert "a commit" not in said
    assert "progress was not saved in time" in caplog.text


def test_what_belongs_to_another_process_is_not_gone_on_with(said):
    sender = Sender()
    saving = savings(sender)
    saving.step(PLACE, lambda: True, lambda: steps(said, "a"))
    saving.drop(PLACE)
    sender.known |= {1, 2}
    saving.step(PLACE, lambda: False, lambda: steps(said, "b"))
    assert said == ["a parts"]


def test_a_position_that_does_not_move_although_there_is_more_is_an_error_that_names_it():
    wall = Wall()
    found = Standstill(wall)
    found.look(PLACE, 5, 5)
    wall.now = STALL + 1
    found.look(PLACE, 5, 5)  # at its end
    wall.now = 2 * STALL + 1
    found.look(PLACE, 5, 9)
    wall.now += 1
    with pytest.raises(
        WorkerError, match=r"aiops\.findings/0: stands at offset 5 of 9 for 120 s although there is more"
    ):
        found.look(PLACE, 5, 9)
    found.look(PLACE, 6, 9)
    wall.now += STALL + 1
    found.look(PLACE, 6, 9, excused=True)
    wall.now += STALL + 1
    found.clear()
    found.look(PLACE, 6, 9)
