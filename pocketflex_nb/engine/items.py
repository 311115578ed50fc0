"""How are many things done at once, but not too many? Workers that pull from one iterator: no task and no lock per item."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from operator import length_hint
from typing import Any

from pocketflex_nb.core.context import FRAME
from pocketflex_nb.engine.steps import attempt_async, mode_here
from pocketflex_nb.engine.thread import engine_thread

__all__ = ["each", "items_async", "together"]


async def together(tasks: Iterable[asyncio.Task[Any]]) -> list[Any]:
    """Wait for all tasks; the first that fails cancels the others, which are waited for, and is raised."""
    tasks = list(tasks)
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = next((t for t in tasks if t.done() and (t.cancelled() or t.exception() is not None)), None)
        if failed is None:
            return [t.result() for t in tasks]
    finally:
        await _end([t for t in tasks if not t.done()])
        for task in tasks:  # every outcome is looked at, so that none is reported as never retrieved
            if not task.cancelled():
                task.exception()
    return [failed.result()]


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel `tasks` and wait until they are over, also when the waiter is cancelled meanwhile, which is passed on then."""
    cancelled: asyncio.CancelledError | None = None
    for task in tasks:
        task.cancel()
    while left := [t for t in tasks if not t.done()]:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as exc:
            cancelled = exc
            for task in left:
                task.cancel()
    if cancelled is not None:
        raise cancelled


async def each(work: Callable[[Any, int], Awaitable[Any]], things: Any, limit: int | None) -> list[Any]:
    """``await work(thing, index)`` for every thing, at most `limit` at once, results in order.

    Parameters
    ----------
    work : coroutine function
        Of a thing and its index.
    things : iterable
        Pulled only when somebody is free to work on it.
    limit : int or None
        None is all at once.

    Raises
    ------
    Exception
        The first failure; the others are cancelled and waited for.
    """
    source = enumerate(things)
    results: list[Any] = []
    if limit == 1:
        return [await work(thing, index) for index, thing in source]
    if limit is None:
        return await together([asyncio.ensure_future(work(thing, index)) for index, thing in source])

    async def pull() -> None:
        for index, thing in source:
            results.append(None)
            results[index] = await work(thing, index)

    workers = min(limit, length_hint(things, limit))
    await together([asyncio.ensure_future(pull()) for _ in range(workers)])
    return results


async def items_async(node: Any, items: Any, mode: int | None = None) -> list[Any]:
    """`exec` per item of a `BatchNode`, with its tries, its time limit and its fallback, as many at once as the node says."""
    mode = mode_here() if mode is None else mode
    outer = FRAME.get()
    collects = node._pfx_on_item_error == "collect"
    limit = node._pfx_max_concurrency

    async def work(item: Any, index: int) -> Any:
        step = None
        if outer is not None:
            step = outer.step_frame(index)
            FRAME.set(step)
        try:
            if limit is None:  # each is to begin at once, however many there are
                with engine_thread.pool.place():
                    return await attempt_async(node, item, mode)
            return await attempt_async(node, item, mode)
        except Exception as exc:
            exc.add_note(f"in item {index} of the batch {type(node).__name__}")
            if collects:
                return exc
            raise
        finally:
            if step is not None:
                outer.absorb(step)
                if limit == 1:
                    FRAME.set(outer)

    return await each(work, items or [], limit)
