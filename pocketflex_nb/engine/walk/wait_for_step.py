"""Waits in plain code for an async step: without starting a loop where possible, and interruptible."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import GRACE
from pocketflex_nb.concurrency.outcome import unwrap
from pocketflex_nb.concurrency.portal import EngineTask, call_on_engine
from pocketflex_nb.concurrency.private_loop import cancel_on, private_loop
from pocketflex_nb.concurrency.reentrancy import run_nested
from pocketflex_nb.core.errors import RunCancelled
from pocketflex_nb.engine.records.frame import Frame

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["loop_here", "wait_here", "wait_step"]


def wait_step(coro: Coroutine[object, object, object], frame: Frame) -> Any:
    """Run an ``async def`` step on the engine thread, and wait for it here."""
    if engine_thread.is_here:
        return run_nested(engine_thread.loop, coro, frame.lifecycle.cancelling)
    if (loop := _loop_around(frame.lifecycle)) is not None:
        return run_nested(loop, call_on_engine(coro), frame.lifecycle.cancelling)
    task = EngineTask(coro)
    with frame.lifecycle.cancelling(task.cancel), engine_thread.pool.release_slot():
        return unwrap(_result(task, frame.lifecycle))


def loop_here(run: Lifecycle[Frame]) -> asyncio.AbstractEventLoop | None:
    """The loop of this thread, if `run` is a plain one in a step of this loop, and may leave its stack there; else None."""
    loop = _loop_around(run)
    if loop is None:
        return None
    from pocketflex_nb.concurrency.greenlet_stacks import cannot_nest

    return loop if cannot_nest(loop) is None else None


def _loop_around(run: Lifecycle[Frame]) -> asyncio.AbstractEventLoop | None:
    """The loop of this thread, if `run` is a plain one in a step of this loop.

    Blocking it would stop the parallel steps, and hang where they need each other: where it cannot be left, `run_nested` raises.
    """
    return asyncio._get_running_loop() if run.outer is not None else None


def _result(task: EngineTask, run: Lifecycle[Frame]) -> Any:
    """Begin, and wait for the result; an interrupt cancels it, waits until it is done, and is raised again."""
    try:
        task.begin()
        task.over.wait()
        return task.over.result()
    except asyncio.CancelledError as exc:
        raise RunCancelled(f"run {run.name!r} was cancelled") from exc
    except KeyboardInterrupt:
        task.cancel()
        task.over.wait(GRACE)
        raise


def wait_here(coro: Coroutine[object, object, object], frame: Frame) -> Any:
    """Run `coro` to its end in this thread, on a private loop, also when this thread's own loop is running."""
    if engine_thread.is_here:
        return run_nested(engine_thread.loop, coro, frame.lifecycle.cancelling)
    if (loop := _loop_around(frame.lifecycle)) is not None:
        frame.lifecycle.crosses = True
        return run_nested(loop, coro, frame.lifecycle.cancelling)
    with engine_thread.pool.release_slot(), private_loop() as loop:
        task = loop.create_task(coro)
        with frame.lifecycle.cancelling(partial(cancel_on, loop, task)):
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError as exc:
                raise RunCancelled(f"run {frame.lifecycle.name!r} was cancelled") from exc
            except KeyboardInterrupt:
                task.cancel()
                loop.run_until_complete(asyncio.wait([task], timeout=GRACE))
                raise


