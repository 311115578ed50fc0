"""What every test of the engine may use, and what each must leave behind: nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pocketflex_nb.concurrency.engine_thread import engine_thread

Way = Callable[..., tuple[Any, Any]]


def _run(flow: Any, shared: Any) -> tuple[Any, Any]:
    return flow.run(shared), shared


def _run_async(flow: Any, shared: Any) -> tuple[Any, Any]:
    async def main() -> Any:
        return await flow.run_async(shared)

    return asyncio.run(main()), shared


def _launch(flow: Any, shared: Any) -> tuple[Any, Any]:
    run = flow.launch(shared, show=False)
    return run.result(20), run.store


#: the way that is not PocketFlow's
LAUNCH: Way = _launch


@pytest.fixture(params=[_run, _run_async, LAUNCH], ids=["run", "run_async", "launch"])
def walk(request: pytest.FixtureRequest) -> Way:
    """``walk(flow, shared) -> (last action, store)``, each of the three ways to walk a flow."""
    way: Way = request.param
    return way


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], None]:
    """Wait until a condition holds: for states of a run that no event tells."""

    def wait(condition: Callable[[], Any]) -> None:
        until, look = time.monotonic() + 15, threading.Event()
        while not condition():
            assert time.monotonic() < until, "it never came true"
            look.wait(0.002)

    return wait


async def _tasks_left() -> list[Any]:
    until = time.monotonic() + 10
    while True:
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if not left or time.monotonic() > until:
            return left
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _no_task_is_left_on_the_engine() -> Iterator[None]:
    yield
    if engine_thread._loop is not None:
        assert engine_thread.submit(_tasks_left()).result(15) == []
