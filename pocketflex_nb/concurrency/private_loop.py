"""Runs a coroutine on a private loop in this thread while the loop that runs here is suspended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from pocketflex_nb.concurrency.interruptible import GRACE
from pocketflex_nb.concurrency.reentrancy import cancel_task

__all__ = ["CallerLoop", "cancel_on", "private_loop"]


class CallerLoop(asyncio.SelectorEventLoop):
    """The private loop of a `run` that waits in its caller's thread."""


def cancel_on(loop: CallerLoop, task: asyncio.Task[object]) -> None:
    """Cancel `task` on its loop, from any thread."""
    try:
        loop.call_soon_threadsafe(cancel_task, task)
    except RuntimeError:  # the loop was closed meanwhile: the task is over
        pass


@contextmanager
def private_loop() -> Iterator[CallerLoop]:
    """A new loop that may run here. A loop that runs in this thread already is suspended meanwhile."""
    running = asyncio._get_running_loop()
    task = asyncio.current_task(running) if running is not None else None
    if task is not None:
        asyncio.tasks._leave_task(running, task)  # type: ignore[arg-type]
    asyncio._set_running_loop(None)
    loop = CallerLoop()
    try:
        yield loop
    finally:
        if left := asyncio.all_tasks(loop):  # of a fork whose walk was cut short
            for one in left:
                one.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=GRACE))
        loop.close()
        asyncio._set_running_loop(running)
        if task is not None:
            asyncio.tasks._enter_task(running, task)  # type: ignore[arg-type]
