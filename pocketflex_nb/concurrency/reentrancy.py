"""Re-entrancy: plain code waits in the thread of a running loop, which goes on meanwhile.

A plain ``flow.run()`` inside an ``async def`` step has everything below it on its stack: the task's step, the loop's iteration. With
greenlet (https://greenlet.readthedocs.io) that whole stack is suspended and resumed (`greenlet_stacks`); where greenlet cannot be
imported, nest-asyncio2 runs the loop inside itself (`nested_loops`). Either is imported when something waits in this way.

`cancel_task` also cancels a task whose step waits in this way: it is in the middle of a step, where `Task.cancel` only sets a mark for
later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pocketflex_nb.concurrency.nested_waits import Cancelling, no_wait_here
from pocketflex_nb.concurrency.outcome import close_all

if TYPE_CHECKING:
    from pocketflex_nb.concurrency.greenlet_stacks import Stacks
    from pocketflex_nb.concurrency.nested_loops import NestedLoops

__all__ = ["cancel_task", "interrupt_cell", "run_nested"]

ResultT = TypeVar("ResultT")


def run_nested(
    loop: Any, coro: Coroutine[object, object, ResultT], cancelling: Cancelling | None = None
) -> ResultT | None:
    """Run `coro` to its end as a task of `loop`, which is running in this thread; the loop keeps running meanwhile.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        asyncio's own, or a class of it.
    coro : coroutine
        What is waited for.
    cancelling : callable, optional
        Gets the way to cancel it, from any thread; gives the context that holds meanwhile.

    Raises
    ------
    RuntimeError
        `cannot_nest` says why. Without greenlet, only if another plain run waits on this loop already.
    asyncio.CancelledError
        It was cancelled, or the task around this call was.
    """
    stacks: Stacks | NestedLoops | None = getattr(loop, "_pfx_stacks", None)
    if stacks is None:
        from pocketflex_nb.concurrency.greenlet_stacks import Stacks, cannot_nest

        if (why := cannot_nest(loop)) is None:
            stacks = loop._pfx_stacks = Stacks(loop)
        elif (stacks := _nested_loops(loop, why)) is None:
            close_all(coro)
            raise no_wait_here(why)
    return stacks.wait(coro, cancelling)


def _nested_loops(loop: Any, why: str) -> NestedLoops | None:
    """What nests the loop where only greenlet is missing; None where nothing can."""
    if not isinstance(loop, asyncio.BaseEventLoop) or getattr(loop, "_nest_patched", False):
        return None
    from pocketflex_nb.concurrency.nested_loops import NestedLoops

    try:
        nested = NestedLoops(loop, why)
    except (ImportError, TypeError):  # no nest-asyncio2; a class whose objects cannot change it
        return None
    loop._pfx_stacks = nested  # type: ignore[attr-defined]  # kept with the loop, as `Stacks` are
    return nested


def cancel_task(task: asyncio.Future[ResultT]) -> bool:
    """Cancel `task` like one that awaits, also when its step waits in plain code. To be called in the loop's thread.

    Returns
    -------
    bool
        Whether its `Task.cancel` was called, which `Task.uncancel` takes back.
    """
    stacks: Stacks | NestedLoops | None = getattr(task.get_loop(), "_pfx_stacks", None)
    waits = stacks.waiting.get(task) if stacks is not None else None
    if waits is None:
        return bool(task.cancel())
    waits.cancel()
    return False


def interrupt_cell(loop: asyncio.AbstractEventLoop) -> None:
    """Pass on an interrupt that a step got on a kernel's loop: the cell that waits there gets it too. To be called in the loop's thread."""
    stacks: Stacks | NestedLoops | None = getattr(loop, "_pfx_stacks", None)
    if stacks is not None:
        loop.call_soon(stacks.raise_in_cell)
