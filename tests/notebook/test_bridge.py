"""The pump: one thread for all views, one more look for whoever asks, rest after a long look, and no error that escapes."""

from __future__ import annotations

import logging
import threading
from time import perf_counter, thread_time

import pytest

from pocketflex_nb.notebook.bridge import REST, SLOWEST, Pump


class View:
    """Looks as often as it is told to, then says that it is over."""

    def __init__(self, looks: int = 1, *, takes: float = 0.0) -> None:
        self.left, self.takes = looks, takes
        self.times: list[float] = []
        self.over = threading.Event()

    def look(self) -> bool:
        self.times.append(perf_counter())
        until = thread_time() + self.takes
        while thread_time() < until:
            pass
        self.left -= 1
        if self.left <= 0:
            self.over.set()
        return self.left > 0


def test_one_thread_serves_all_views_and_rests_between_them() -> None:
    pump = Pump()
    pump.follow(View(2))
    assert pump.rested(10)
    thread = pump._thread
    second = View(1)

    pump.follow(second)

    assert second.over.wait(10) and pump.rested(10)
    assert pump._thread is thread and thread is not None and thread.is_alive()


def test_two_looks_at_one_view_are_a_tenth_of_a_second_apart() -> None:
    pump, view = Pump(), View(4)

    pump.follow(view)

    assert view.over.wait(10)
    assert view.times[-1] - view.times[0] >= 0.29


def test_a_long_look_is_followed_by_a_long_rest() -> None:
    pump, view = Pump(), View(2, takes=0.02)

    pump.follow(view)

    assert view.over.wait(10)
    assert view.times[1] - view.times[0] >= min(0.02 * REST - 0.1, SLOWEST)


def test_who_follows_during_the_last_look_gets_one_more() -> None:
    pump = Pump()

    class Again(View):
        def look(self) -> bool:
            goes_on = super().look()
            if len(self.times) == 1:
                pump.follow(self)  # a click, while the last look is under way
            return goes_on

    view = Again(1)
    pump.follow(view)

    assert pump.rested(10)
    assert len(view.times) == 2


def test_a_view_that_fails_is_closed_and_told_once_while_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    pump, other = Pump(), View(3)

    class Fails:
        def look(self) -> bool:
            raise RuntimeError("no picture")

    with caplog.at_level(logging.ERROR, "pocketflex_nb"):
        pump.follow(Fails())
        pump.follow(other)
        assert other.over.wait(10)
        assert pump.rested(10)

    assert [record.message for record in caplog.records] == ["a view could not be brought up to date and was closed"]
