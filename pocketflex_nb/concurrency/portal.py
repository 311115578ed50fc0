"""The portal to the engine thread: a coroutine runs there as a task, and its waiter elsewhere goes on when the task is over.

A future of `asyncio.run_coroutine_threadsafe` is done at once when it is cancelled, while its task is still in its ``finally``. A
blocking `run` must not return before the step it cancelled has cleaned up.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import GRACE
from pocketflex_nb.concurrency.outcome import capture, close_all, unwrap
from pocketflex_nb.concurrency.portal_future import PortalFuture
from pocketflex_nb.concurrency.reentrancy import cancel_task

__all__ = ["EngineTask", "call_on_engine"]

_Captured = tuple[object, BaseException | None]


class EngineTask:
    """A coroutine as a task on the engine thread, for one waiter elsewhere.

    It is begun by a call of its own, inside of what cancels it when it is interrupted.

    Parameters
    ----------
    coro : coroutine
        What runs there, in a copy of the present context.
    loop : AbstractEventLoop or None
        The waiter's loop; None for a waiter in plain code.

    Attributes
    ----------
    over : PortalFuture
        Done when the task is, or `GRACE` seconds after it was cancelled, then with a `CancelledError`. Its result is the `capture` of the
        coroutine.
    """

    def __init__(self, coro: Coroutine[object, object, object], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._task: asyncio.Task[_Captured] | None = None
        self._coro, self._context = coro, contextvars.copy_context()
        self.over = PortalFuture(loop)

    def begin(self) -> None:
        """Create the task."""
        engine_thread.call_soon(self._begin)

    def _begin(self) -> None:
        self._task = engine_thread.loop.create_task(capture(self._coro), context=self._context)
        self._task.add_done_callback(self._end)

    def cancel(self) -> bool:
        """Request cancellation of the task; returns whether it was still running."""
        if self.over.done():
            return False
        engine_thread.call_soon(self._stop)
        return True

    def _stop(self) -> None:
        if self._task is None:  # the interrupt came before `begin`
            close_all(self._coro)
            self._give_up()
        elif not self._task.done():
            cancel_task(self._task)
            engine_thread.loop.call_later(GRACE, self._give_up)

    def _give_up(self) -> None:
        self.over.set_exception(asyncio.CancelledError())

    def _end(self, task: asyncio.Task[_Captured]) -> None:
        close_all(self._coro)  # if it was cancelled before it began
        if task.cancelled():
            self._give_up()
        elif (error := task.exception()) is not None:
            self.over.set_exception(error)
        else:
            self.over.set_result(task.result())


async def call_on_engine(coro: Coroutine[object, object, object]) -> object:
    """Await `coro` on the engine thread; when this is cancelled, until the task is done there."""
    task = EngineTask(coro, asyncio.get_running_loop())
    here = task.over.future
    assert here is not None  # it has a loop
    try:
        task.begin()
        await asyncio.shield(here)
        return unwrap(task.over.result())
    except (asyncio.CancelledError, KeyboardInterrupt):
        if task.cancel():
            await asyncio.wait([here], timeout=GRACE)
        raise
