"""What libraries say again and again is a line in a while, and says how often it was said."""

from __future__ import annotations

import logging

from streams.log_format import REPEAT, Repeats


class Wall:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def line(text: str, name: str = "librdkafka") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, (), None)


def test_lines_that_differ_by_numbers_alone_are_one():
    wall = Wall()
    repeats = Repeats(wall)
    said = [
        repeats.filter(line(f"Connect to 127.0.0.1:{port} failed after {ms} ms"))
        for port, ms in ((1, 5), (2, 17), (3, 9))
    ]
    assert said == [True, False, False]
    assert repeats.filter(line("Connect to 127.0.0.1:1 failed after 5 ms", "aiokafka.client"))
    assert repeats.filter(line("Authentication failed"))
    wall.now += REPEAT
    again = line("Connect to 127.0.0.1:9 failed after 1 ms")
    assert repeats.filter(again)
    assert vars(again)["left_out"] == 2


def test_memory_is_bounded():
    repeats = Repeats(Wall())
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh"]
    assert all(repeats.filter(line(word)) for word in words)
    assert len(repeats._last) <= Repeats.MOST
