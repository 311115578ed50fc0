"""What holds on the engine thread: cells stay free, agents that never await are named and killed, plain code can call."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pocketflex_nb.agents import (
    Agent,
    AgentDown,
    CallTimeout,
    NotRunning,
    Supervisor,
    call_sync,
    child,
    handles,
    living,
    start_scope,
    stop_scope,
    whereis,
)
from pocketflex_nb.agents.host.watchdog import LAG
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.context import CURRENT_CELL
from pocketflex_nb.testing import Recorder, VirtualClock
from tests.agents.fakes import Boom, Counter


class Hog(Agent):
    """Holds the loop and never awaits."""

    async def handle_cast(self, message: Any) -> None:
        while True:
            pass

    @handles.cast
    async def swallow(self, tries: list[str]) -> None:
        while True:
            try:
                while True:
                    pass
            except BaseException as exc:
                tries.append(type(exc).__name__)
                if len(tries) == 3:
                    raise

    async def handle_call(self, message: Any, caller: Any) -> Any:
        return message


@pytest.fixture
def here() -> Iterator[None]:
    token = CURRENT_CELL.set(None)
    yield
    for scope in ("cell-1", "cell-2"):
        stop_scope(scope)
    CURRENT_CELL.reset(token)


def test_an_agent_in_an_endless_loop_is_named_and_killed_while_others_answer(caplog: pytest.LogCaptureFixture) -> None:
    sup = Supervisor([child(Hog, id="hog"), child(Counter, id="counter")], name="sup").start_sync()
    hog = sup["hog"]
    loop_thread = engine_thread.ident
    with Recorder(sup) as seen, caplog.at_level(logging.WARNING, "pocketflex_nb"):
        line = Hog.handle_cast.__code__.co_firstlineno
        hog.cast("spin")
        lag = seen.wait("lag", "hog")

        assert lag["handler"] == "handle_cast"
        assert lag["where"] in (f"{__file__}:{line + 1}", f"{__file__}:{line + 2}")
        assert lag["seconds"] > LAG
        assert "'hog' has blocked the agents' event loop" in caplog.text
        with pytest.raises(CallTimeout):
            sup["counter"].call_sync(1, timeout=0.1)  # this thread stays free, and is told in time

        hog.exit("kill")
        seen.wait("start", "hog")

    assert seen.find("exit", "hog")["reason"] == "killed"  # type: ignore[index]  # it was seen
    assert sup["hog"] is not hog
    assert sup["hog"].call_sync("alive") == "alive"
    assert sup["counter"].call_sync("get") == 1  # the call that nobody waited for was handled all the same
    assert engine_thread.ident == loop_thread
    sup.stop_sync()


def test_an_agent_that_swallows_the_kill_is_struck_again() -> None:
    hog = Hog.start_sync()
    tries: list[str] = []
    with Recorder(hog) as seen:
        hog.swallow(tries)
        seen.wait("lag")
        hog.exit("kill")
        event = seen.wait("exit", timeout=30)

    assert event["reason"] == "killed"
    assert tries == ["AsyncKill"] * 3


def test_system_exit_in_a_task_that_an_agent_made_itself_ends_neither_engine_nor_agent() -> None:
    class Makes(Agent):
        async def handle_call(self, message: Any, caller: Any) -> str:
            self.task = asyncio.create_task(self.leave())
            await asyncio.wait([self.task])
            return type(self.task.exception()).__name__

        async def leave(self) -> None:
            raise SystemExit(3)

    ref = Makes.start_sync()
    assert ref.call_sync("go") == "SystemExit"
    assert ref.call_sync("again") == "SystemExit"
    ref.stop_sync()


def test_plain_code_calls_agents_on_the_engine_thread() -> None:
    ref = Counter.start_sync(3, name="counter")
    assert ref.call_sync(4) == 7
    assert call_sync("counter", "get") == 7
    for _ in range(100):
        ref.cast(1)
    assert ref.call_sync("get") == 107
    assert ref.within(5).call_sync("get") == 107
    assert living() == [ref]
    ref.stop_sync()
    with pytest.raises(NotRunning):
        ref.call_sync("get")
    with pytest.raises(NotRunning):
        ref.stop_sync()
    assert whereis("counter") is None


def test_a_call_from_plain_code_fails_as_soon_as_the_agent_dies() -> None:
    class Slow(Agent):
        async def handle_call(self, message: Any, caller: Any) -> None:
            await asyncio.sleep(60)

    ref = Slow.start_sync()
    threading.Timer(0.1, ref.exit, ("kill",)).start()
    began = time.monotonic()
    with pytest.raises(AgentDown) as info:
        ref.call_sync("x", timeout=30)
    assert info.value.reason == "killed"
    assert time.monotonic() - began < 10


def test_waiting_on_the_agents_own_thread_is_refused() -> None:
    class Waits(Agent):
        async def handle_call(self, message: Any, caller: Any) -> str:
            try:
                message.call_sync("x")
            except RuntimeError as exc:
                return str(exc)
            return "waited"

    one, two = Waits.start_sync(), Counter.start_sync()
    assert "use `await ref.call(...)`" in one.call_sync(two)
    one.stop_sync()
    two.stop_sync()


async def test_a_virtual_clock_moves_agents_on_the_engine_thread(clock: VirtualClock) -> None:
    async with Supervisor([child(Counter, id="a")], clock=clock, max_restarts=1) as sup:
        with Recorder(sup) as seen:
            for times in (1, 2, 3):
                sup["a"].cast(Boom())
                await seen.until("start", "a", times=times)
                await clock.advance(6)
        assert sup.is_alive


def test_running_a_cell_again_stops_its_old_tree_first(here: None) -> None:
    def cell() -> Supervisor:
        start_scope("cell-1")
        return Supervisor([child(Counter, id=name, name=name) for name in "abc"], name="sup").start_sync()  # type: ignore[no-any-return]

    with Recorder() as seen:
        first = cell()
        second = cell()

    assert not first.is_alive
    assert [info.status for info in second.children()] == ["running"] * 3
    assert seen.order == [
        "start a",
        "start b",
        "start c",
        "start sup",
        "exit c",
        "exit b",
        "exit a",
        "exit sup",
        "start a",
        "start b",
        "start c",
        "start sup",
    ]
    start_scope("cell-2")
    assert second.is_alive  # another cell's business
    stop_scope("cell-1")
    assert not second.is_alive


def test_keep_opts_out_of_the_cells_scope(here: None) -> None:
    start_scope("cell-1")
    kept = Counter.start_sync(keep=True)
    lost = Counter.start_sync()
    start_scope("cell-1")
    assert kept.is_alive
    assert not lost.is_alive
    kept.stop_sync()


def test_where_cells_have_no_id_a_name_makes_room_for_its_namesake(here: None) -> None:
    start_scope(None)
    first = Supervisor([child(Counter, id="a")], name="sup").start_sync()
    start_scope(None)
    second = Supervisor([child(Counter, id="a")], name="sup").start_sync()
    assert not first.is_alive
    assert second.is_alive
    second.stop_sync()


def test_a_scope_that_holds_the_loop_is_killed_after_its_patience(here: None) -> None:
    start_scope("cell-1")
    hog = Hog.start_sync()
    hog.cast("spin")
    stop_scope("cell-1", patience=0.3)
    assert not hog.is_alive
