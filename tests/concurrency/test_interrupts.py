"""The stop button at the worst moment: behind the start of something, and before its handle has a name."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, launch, runs
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import hold_interrupts
from pocketflex_nb.concurrency.portal import EngineTask
from pocketflex_nb.core.errors import RunCancelled
from pocketflex_nb.engine import launch as launching
from pocketflex_nb.engine.runs.run import Run


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    """Python's own handler, also where the shell that started these tests ignores interrupts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Waits(Node):
    async def exec(self, prep_res: Any) -> None:
        await asyncio.sleep(600)


def left() -> list[str]:
    async def others() -> list[str]:
        return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    return engine_thread.submit(others()).result(5)


def test_a_held_back_interrupt_comes_behind_the_block() -> None:
    done = []

    def held() -> None:
        with hold_interrupts():
            signal.raise_signal(signal.SIGINT)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        held()
    assert done == [1]
    with pytest.raises(KeyboardInterrupt):  # and the handler is the one from before
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_is_held_back_until_the_outer_block_is_over() -> None:
    done = []

    def held() -> None:
        with hold_interrupts():
            with hold_interrupts():
                signal.raise_signal(signal.SIGINT)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        held()
    assert done == [1]


def test_other_threads_and_ignored_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def inside() -> None:
        with hold_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        inside()
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)

    assert seen == [before, signal.SIG_IGN]


@pytest.mark.parametrize("begun", [True, False], ids=["behind its begin", "before its begin"])
def test_an_async_step_of_a_blocking_run_does_not_outlive_the_interrupt(begun: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = EngineTask.begin

    def interrupted(self: EngineTask) -> None:
        if begun:
            begin(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(EngineTask, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Flow(Waits()).run({})

    assert left() == []


@pytest.mark.parametrize(
    "launching_it", [launch, lambda flow: launch([flow] * 3), lambda flow: flow.launch_each("n", range(3))], ids=["one", "many", "each"]
)
def test_a_launch_that_is_interrupted_leaves_nothing_running(launching_it: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start = launching._start
    begun: list[Run] = []

    def interrupted(made: list[Run]) -> None:
        begun.extend(made)
        start(made)
        raise KeyboardInterrupt

    monkeypatch.setattr(launching, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        launching_it(Flow(Waits()))

    assert len(begun) in (1, 3)
    assert {run.wait(5).status for run in begun} == {"cancelled"}
    assert left() == [] and runs(live=True) == []


def test_a_run_that_is_cancelled_while_it_gets_its_task_ends_once() -> None:
    """Cancel from here against begin over there, at every offset between the two."""
    flow = Flow(Waits())
    for turn in range(300):
        group = launch([flow] * 4)
        for _ in range(turn):  # a little later each time
            pass
        group.cancel()
        group.wait(5)

        assert [run.status for run in group] == ["cancelled"] * 4
        for run in group:
            with pytest.raises(RunCancelled):
                run.result(0)
            assert [event.kind for event in run.events][-1:] == ["run_finished"]
            assert [event.kind for event in run.events].count("run_finished") == 1
    assert left() == []
