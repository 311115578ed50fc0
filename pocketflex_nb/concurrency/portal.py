"""The portal to the engine thread: a future that is done when the task is done, cancelled or not.

A future of `asyncio.run_coroutine_threadsafe` is done at once when it is cancelled, while its task is still in its ``finally``. A
blocking `run` must not return before the step it cancelled has cleaned up.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from concurrent.futures import Future

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import GRACE, Latch
from pocketflex_nb.concurrency.outcome import capture, close_all, unwrap
from pocketflex_nb.concurrency.reentrancy import cancel_task

__all__ = ["PortalFuture", "call_on_engine"]

_Captured = tuple[object, BaseException | None]


class PortalFuture(Future[_Captured]):
    """A task on the engine thread, as other threads see it: done when the task is, or `GRACE` seconds after it was cancelled.

    Its result is the `capture` of the coroutine. It is begun by a call of its own, inside of what cancels it when it is interrupted.
    Plain code waits for `over`, which opens when it is done.
    """

    def __init__(self, coro: Coroutine[object, object, object]) -> None:
        super().__init__()
        self._task: asyncio.Task[_Captured] | None = None
        self._coro, self._context = coro, contextvars.copy_context()
        self.over = Latch()

    def begin(self) -> None:
        """Create the task."""
        engine_thread.call_soon(self._begin)

    def _begin(self) -> None:
        self._task = engine_thread.loop.create_task(capture(self._coro), context=self._context)
        self._task.add_done_callback(self._end)

    def cancel(self) -> bool:
        """Request cancellation of the task; returns whether it was still running."""
        if self.over.is_open:
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
        if not self.done() and super().cancel():
            self.set_running_or_notify_cancel()
            self.over.open()

    def _end(self, task: asyncio.Task[_Captured]) -> None:
        close_all(self._coro)  # if it was cancelled before it began
        if self.done():  # given up
            if not task.cancelled():
                task.exception()  # nobody waits for it any more
        elif task.cancelled():
            self._give_up()
        elif (error := task.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(task.result())
        self.over.open()


async def call_on_engine(coro: Coroutine[object, object, object]) -> object:
    """Await `coro` on the engine thread; when this is cancelled, until the task is done there."""
    crossing = PortalFuture(coro)
    here = asyncio.wrap_future(crossing)
    try:
        crossing.begin()
        return unwrap(await asyncio.shield(here))
    except (asyncio.CancelledError, KeyboardInterrupt):
        if crossing.cancel():
            await asyncio.wait([here], timeout=GRACE)
        raise
