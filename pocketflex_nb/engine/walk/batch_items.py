"""Items of a batch in parallel, a bounded number at once: workers pull from one iterator, with no task or lock per item."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from operator import length_hint
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.bounded_gather import cancel_and_wait, gather_all
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.foreign_errors import raised_by_step
from pocketflex_nb.concurrency.portal import call_on_engine
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.outcomes import Outcomes, given, is_awaited
from pocketflex_nb.core.units import count_text
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.engine.records.record import format_error
from pocketflex_nb.engine.walk.steps import CALLER, LoopOwner, attempt_async, mode_here

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.item_failure import ItemFailure
    from pocketflex_nb.engine.records.frame import Frame

__all__ = ["bounded_gather", "ends_run", "is_collected", "items_async", "note_failure"]


async def bounded_gather(
    work: Callable[[Any, int], Awaitable[Any]], things: Any, limit: int | None, noun: str = "item"
) -> list[Any]:
    """``await work(thing, index)`` for every thing, at most `limit` in parallel, results in order.

    Parameters
    ----------
    work : coroutine function
        Of a thing and its index.
    things : iterable or async iterable
        Pulled only when somebody is free to work on it.
    limit : int or None
        None is all at once.
    noun : str
        What one of them is called, where the run says what waits for its turn.

    Raises
    ------
    Exception
        The first failure; the others are cancelled and waited for.
    """
    if is_awaited(things):
        return await _each_awaited(work, things, limit)
    source = enumerate(things)
    results: list[Any] = []
    if limit == 1:
        return [await work(thing, index) for index, thing in source]
    if limit is None:
        return await gather_all([asyncio.ensure_future(work(thing, index)) for index, thing in source])

    async def pull() -> None:
        for index, thing in source:
            results.append(None)
            results[index] = await work(thing, index)

    number = length_hint(things, limit)
    workers = [asyncio.ensure_future(pull()) for _ in range(min(limit, number))]
    if number <= limit:
        await gather_all(workers)
    else:
        with waiting("place", lambda: _turns(number - len(results), noun, limit)):
            await gather_all(workers)
    return results


def _turns(left: int, noun: str, limit: int) -> str:
    """How many things wait until somebody is free to work on them."""
    return f"{count_text(left, noun)} to go, {limit} at once" if left > 0 else ""


async def _each_awaited(work: Callable[[Any, int], Awaitable[Any]], things: Any, limit: int | None) -> list[Any]:
    """`bounded_gather` for an async iterable: one worker at a time requests the next thing, where ``async def`` steps are awaited."""
    source, turn, results = aiter(things), asyncio.Lock(), list[Any]()
    cross_over, over = mode_here() == CALLER, False
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begun: list[asyncio.Task[Any]] = []

    async def following() -> object:
        return await anext(source)

    async def ended() -> None:
        if hasattr(source, "aclose"):
            await source.aclose()

    async def keep(thing: object, index: int) -> None:
        try:
            results[index] = await work(thing, index)
        except BaseException:
            if not failed.done():
                failed.set_result(None)
            raise

    async def pull() -> tuple[object, int] | None:
        """The next thing and its index, or None when there is none."""
        nonlocal over
        async with turn:
            if over:
                return None
            try:
                thing = await (call_on_engine(following()) if cross_over else following())
            except StopAsyncIteration:
                over = True
                return None
            results.append(None)
            return thing, len(results) - 1

    async def pulls() -> None:
        while (pulled := await pull()) is not None:
            if limit is None:
                begun.append(asyncio.ensure_future(keep(*pulled)))
            else:
                await keep(*pulled)

    try:
        if limit == 1:
            await pulls()
        elif limit is not None:
            await gather_all([asyncio.ensure_future(pulls()) for _ in range(limit)])
        else:
            puller = asyncio.ensure_future(pulls())
            try:
                await asyncio.wait([puller, failed], return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not failed.done() and not puller.done():  # cancelled
                    await cancel_and_wait([puller, *begun])
            await gather_all([*begun, puller])
    finally:
        await (call_on_engine(ended()) if cross_over else ended())
    return results


def ends_run(frame: Frame | None, error: BaseException) -> bool:
    """Whether `error` ends the run, or a flow around `frame`, so that no item and no branch may collect it."""
    if frame is None:
        return False
    if frame.lifecycle.ending is not None:
        return True
    controller = frame.lifecycle.controller
    return controller is not None and any(scope.ending is error for scope in controller.limits.around(frame))


def note_failure(frame: Frame | None, failure: ItemFailure, node: str = "") -> None:
    """Note that a failure was collected. `node` is the graph path of the node it belongs to, if that is not the one in flight."""
    if frame is not None:
        frame.note("item_failed", index=failure.index, error=format_error(failure.cause), path=node)


def is_collected(
    exc: BaseException, frame: Frame | None, node: object, index: int, item: object, failures: list[ItemFailure] | None
) -> bool:
    """Say in `exc` which item failed, and add it to `failures` where they are collected; False when it is to be raised."""
    assert isinstance(exc, Exception)
    exc.add_note(f"in item {index} of the batch {type(node).__name__}")
    if failures is None or ends_run(frame, exc):
        return False
    from pocketflex_nb.core.flow.item_failure import ItemFailure

    failures.append(ItemFailure(index, exc, item))
    note_failure(frame, failures[-1])
    return True


async def items_async(node: Any, items: object, mode: LoopOwner | None = None) -> list[object]:
    """`exec` per item of a `BatchNode`, with its attempts, its time limit and its fallback, as many in parallel as the node allows."""
    mode = mode_here() if mode is None else mode
    outer = CURRENT_FRAME.get()
    collects = node._pfx_on_item_error == "collect"
    limit = node._pfx_max_concurrency
    failures: list[ItemFailure] = []

    async def work(item: Any, index: int) -> object:
        step = None
        if outer is not None:
            if outer.lifecycle.needs_check:  # a limit that the items before have overrun
                outer.lifecycle.check(outer)
            step = outer.step_frame(index)
            CURRENT_FRAME.set(step)
        try:
            if step is not None and outer.visit is not None:
                return await outer.visit.item(step, node, item, lambda: attempt_async(node, item, mode))
            if limit is None:  # each is to begin at once, however many there are
                with engine_thread.pool.place():
                    return await attempt_async(node, item, mode)
            return await attempt_async(node, item, mode)
        except Exception as caught:
            exc = raised_by_step(caught)
            if not is_collected(exc, outer, node, index, item, failures if collects else None):
                if exc is caught:
                    raise
                raise exc  # noqa: B904 - it has its cause
            return exc
        finally:
            if step is not None:
                outer.absorb(step)
                if limit == 1:
                    CURRENT_FRAME.set(outer)

    results = await bounded_gather(work, given(items), limit)
    return Outcomes(results, failures) if collects else results
