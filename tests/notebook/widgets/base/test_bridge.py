"""The refresh loop: one thread for all views, one more look for whoever asks, rest after a long look, and no error that escapes."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from time import perf_counter, thread_time
from typing import Any

import pytest

from pocketflex_nb import Flow, Node
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.notebook import RunView, StoreInspector
from pocketflex_nb.notebook.widgets.base import refresh_loop as bridge
from pocketflex_nb.notebook.widgets.base.refresh_loop import REST, SLOWEST, RefreshLoop, refresh_loop


class View:
    """Looks as often as it is told to, then says that it is over."""

    def __init__(self, looks: int = 1, *, takes: float = 0.0) -> None:
        self.left, self.takes = looks, takes
        self.times: list[float] = []
        self.over = threading.Event()

    def refresh(self) -> bool:
        self.times.append(perf_counter())
        until = thread_time() + self.takes
        while thread_time() < until:
            pass
        self.left -= 1
        if self.left <= 0:
            self.over.set()
        return self.left > 0


def test_one_thread_serves_all_views_and_rests_between_them() -> None:
    loop = RefreshLoop()
    loop.follow(View(2))
    assert loop.rested(10)
    thread = loop._thread
    second = View(1)

    loop.follow(second)

    assert second.over.wait(10) and loop.rested(10)
    assert loop._thread is thread and thread is not None and thread.is_alive()


def test_two_looks_at_one_view_are_a_tenth_of_a_second_apart() -> None:
    loop, view = RefreshLoop(), View(4)

    loop.follow(view)

    assert view.over.wait(10)
    assert view.times[-1] - view.times[0] >= 0.29


def test_a_long_look_is_followed_by_a_long_rest() -> None:
    loop, view = RefreshLoop(), View(2, takes=0.02)

    loop.follow(view)

    assert view.over.wait(10)
    assert view.times[1] - view.times[0] >= min(0.02 * REST - 0.1, SLOWEST)


def test_who_follows_during_the_last_look_gets_one_more() -> None:
    loop = RefreshLoop()

    class Again(View):
        def refresh(self) -> bool:
            goes_on = super().refresh()
            if len(self.times) == 1:
                loop.follow(self)  # a click, while the last look is under way
            return goes_on

    view = Again(1)
    loop.follow(view)

    assert loop.rested(10)
    assert len(view.times) == 2


def test_a_view_that_fails_is_closed_and_told_once_while_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    loop, other = RefreshLoop(), View(3)

    class Fails:
        def refresh(self) -> bool:
            raise RuntimeError("no picture")

    with caplog.at_level(logging.ERROR, "pocketflex_nb"):
        loop.follow(Fails())
        loop.follow(other)
        assert other.over.wait(10)
        assert loop.rested(10)

    assert [record.message for record in caplog.records] == ["a view could not be brought up to date and was closed"]


class Ends(BaseException):
    """Neither an error nor an exit that anybody knows."""


class Raises:
    """Raises at whatever it is asked."""

    def __init__(self, error: type[BaseException], at: str) -> None:
        self.__dict__.update(_error=error, _at=at)

    def _ask(self, what: str) -> None:
        if self.__dict__["_at"] in (what, "all"):
            raise self.__dict__["_error"]("of the value")

    def __repr__(self) -> str:
        self._ask("repr")
        return "Raises()"

    def __str__(self) -> str:
        self._ask("str")
        return "Raises()"

    def __len__(self) -> int:
        self._ask("len")
        return 0

    def __iter__(self) -> Iterator[Any]:
        self._ask("iter")
        return iter(())

    def __eq__(self, other: object) -> bool:
        self._ask("eq")
        return self is other

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            self._ask("attribute")
        raise AttributeError(name)


@pytest.mark.parametrize("at", ["repr", "str", "len", "iter", "eq", "attribute", "all"])
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, Ends])
def test_whatever_a_value_raises_its_view_and_the_thread_live_on(error: type[BaseException], at: str) -> None:
    opened = asyncio.Event()

    class Puts(Node):
        async def exec(self, prep_res: Any) -> None:
            await opened.wait()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["odd"] = Raises(error, at)

    run = Flow(Puts()).launch({"n": 1}, show=False)
    views: list[Any] = [RunView(run, tabs=["store"]), StoreInspector(run)]  # here, in the main thread, an interrupt is the stop button's
    try:
        engine_thread.call_soon(opened.set)
        run.wait(10)
        for view in views:
            view._requests.append({})
            refresh_loop.follow(view)
        refresh_loop.hurry()
        later = View(1)
        refresh_loop.follow(later)
        assert later.over.wait(10)
        told = str(views[0].tab_content) + str(views[1].rows)
    finally:
        for view in views:
            view.close()

    assert told.count("odd") >= 2 and "Raises" in told


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, Ends])
def test_a_view_that_fails_is_closed_and_the_log_names_the_value(
    error: type[BaseException], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "is_engine_file", __file__.__eq__)  # the frames below stand for a view's

    def shown(value: Any, key: str) -> bool:
        return bool(repr(value))

    class Fails(View):
        def refresh(self) -> bool:
            return shown(Raises(error, "repr"), "the key")

    loop, later = RefreshLoop(), View(1)

    loop.follow(Fails(1))
    loop.follow(later)

    assert later.over.wait(10) and loop.rested(10)
    assert "was closed: a value of class Raises under 'the key' raised " + error.__name__ in caplog.text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_the_thread_goes_on_although_it_is_disturbed_between_two_looks(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    loop, view = RefreshLoop(), View(2)
    after, raised = bridge._after, []

    def disturbed(*args: Any) -> Any:
        if not raised:
            raised.append(True)
            raise error
        return after(*args)

    monkeypatch.setattr(bridge, "_after", disturbed)

    loop.follow(view)

    assert view.over.wait(10) and raised


def test_an_interrupt_at_a_cells_end_is_no_error_of_ours() -> None:
    loop, view = RefreshLoop(), View(1_000)
    view.is_last = True  # type: ignore[attr-defined]
    threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()

    loop.finish()
    loop.follow(view)
    loop.finish()

    loop.close(view)
