"""The outcome of a task as a value, so that a waiter elsewhere gets the very error that was raised."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType
from typing import TypeVar

from pocketflex_nb.concurrency.foreign_errors import as_failure, is_cut, is_ours

__all__ = ["capture", "close_all", "drained", "unwrap"]

ResultT = TypeVar("ResultT")


async def capture(coro: Awaitable[ResultT]) -> tuple[ResultT | None, BaseException | None]:
    """The outcome of `coro` as a value.

    A future that joins two threads makes new objects of some errors (TimeoutError), refuses others (StopIteration), and an interrupt
    would end the loop; the caller is owed the very object that was raised.
    """
    try:
        outcome: tuple[ResultT | None, BaseException | None] = await coro, None
    except asyncio.CancelledError as exc:
        if is_ours(exc):
            raise
        outcome = None, as_failure(exc)
    except BaseException as exc:
        outcome = None, exc
    await drained()
    return outcome


class _Sink:
    """An awaitable in which a cancellation is absorbed."""

    _asyncio_future_blocking = False

    def get_loop(self) -> object:
        return asyncio.get_running_loop()

    def cancel(self, msg: object = None) -> bool:
        return True

    def add_done_callback(self, fn: Callable[[_Sink], object], *, context: Context | None = None) -> None:
        asyncio.get_running_loop().call_soon(fn, self, context=context)

    def result(self) -> None:
        return None

    def __await__(self) -> Generator[_Sink, None, None]:
        self._asyncio_future_blocking = True
        yield self


async def drained(error: BaseException | None = None) -> None:
    """Withdraw what a cancellation request has left in this task when it came while plain code waited inside its step.

    The request was heard there: it was taken back meanwhile, or `error` is what it made. Else the next await would raise once more, and a
    task that comes to its end would count as cancelled, result or not.
    """
    if isinstance(error, GeneratorExit):  # the coroutine is being closed: there may be no loop any more, and nothing is awaited
        return
    task = asyncio.current_task()
    if task is not None and getattr(task, "_must_cancel", False) and (not task.cancelling() or (error is not None and is_cut(error))):
        await _Sink()


def unwrap(outcome: tuple[ResultT, BaseException | None]) -> ResultT:
    """The value of a `capture`, or its error raised."""
    value, error = outcome
    if error is not None:
        try:
            raise error
        finally:
            del error, outcome
    return value


def close_all(coro: Coroutine[object, object, object]) -> None:
    """Close a coroutine that has not begun, and those that it was given to await: nothing else will."""
    if inspect.getcoroutinestate(coro) == inspect.CORO_CREATED:
        for given in inspect.getcoroutinelocals(coro).values():
            if given.__class__ is CoroutineType:
                close_all(given)
    coro.close()
