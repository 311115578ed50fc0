"""The wait of a cell for its runs: one coroutine, which the cell awaits, or which plain code runs until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.private_loop import private_loop
from pocketflex_nb.concurrency.reentrancy import run_nested
from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.shell.cell_errors import Interrupted, shortened, usage

__all__ = ["CellWait"]


class CellWait:
    """The result of a magic that waits: awaited by the cell when the whole line is the magic, waited for in plain code otherwise.

    Notes
    -----
    A subclass says what it waits for in `_begin`, and what comes then in `_end`.
    """

    is_magic_result = True

    async def _prepare(self) -> None:
        """Before anything is started."""

    def _begin(self) -> Run | RunGroup | None:
        """Start; returns what is to be waited for, or None."""
        raise NotImplementedError

    def _end(self) -> object:
        """Handle the end; returns the value of the cell."""
        return None

    def _started(self) -> Run | RunGroup | None:
        try:
            return self._begin()
        except PocketflexError as exc:
            raise shortened(exc) from None

    def __await__(self) -> Generator[object, None, object]:
        return self._until_over().__await__()

    async def _until_over(self) -> object:
        try:
            await self._prepare()
            runs = self._started()
            if runs is not None:
                await (runs.wait_async() if isinstance(runs, Run) else runs)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise self._interrupted() from None
        return self._end()

    def block(self) -> object:
        """Wait in plain code, for a magic inside another one: the same coroutine runs on a loop of its own in this thread."""
        if engine_thread.is_here:
            if not engine_thread.is_adopted:
                raise usage("a body that awaits cannot hold a magic that waits; write it as code, such as: await flow.launch(...)")
            return _run(engine_thread.loop, self._until_over(), _run_beside)
        with engine_thread.pool.release_slot(), private_loop() as loop:
            return _run(loop, self._until_over(), _run_alone)

    def _interrupted(self) -> BaseException:
        return Interrupted("Interrupted before anything was started.")


def _run_alone(loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> object:
    """Wait for `task` of a loop that nobody else runs."""
    return loop.run_until_complete(task)


def _run_beside(loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> object:
    """Wait for `task` of the kernel's loop, which runs in this thread, and goes on meanwhile."""

    async def over() -> None:
        await asyncio.wait([task])

    run_nested(loop, over())
    return task.result()


def _run(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[object, None, object],
    until_complete: Callable[[asyncio.AbstractEventLoop, asyncio.Task[object]], object],
) -> object:
    """Run `coro` on `loop` in this thread. An interrupt cancels it and waits for its end, as in a cell that awaits."""
    task = loop.create_task(coro)
    try:
        return until_complete(loop, task)
    except KeyboardInterrupt:
        if not task.done():
            task.cancel()
            return until_complete(loop, task)
        raise
    finally:
        if task.done() and not task.cancelled():
            task.exception()  # raised already; asyncio would log it as never retrieved
