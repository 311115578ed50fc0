"""`PortalFuture`: a result that one thread gives and another waits for, in plain code or in the tasks of a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from pocketflex_nb.concurrency.interruptible import Latch, wait_in_slices

__all__ = ["PortalFuture"]


class PortalFuture:
    """Settled once, from any thread; awaited by tasks of the loop given, or waited for in plain code.

    Parameters
    ----------
    loop : AbstractEventLoop or None
        The loop whose tasks await it; None for a waiter in plain code.

    Attributes
    ----------
    future : asyncio.Future or None
        What its tasks await: done when they can ask for the `result`.
    is_settled : bool
        Whether it was given a result or an error.

    Notes
    -----
    Settling it never waits. Unlike a future of `concurrent.futures` it has no lock that an interrupt of the waiting thread could leave
    locked; unlike one of asyncio it takes every exception, and reports none that nobody asked for.
    """

    __slots__ = ("_error", "_is_dropped", "_latch", "_value", "future", "is_settled", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop
        self.future: asyncio.Future[None] | None = None if loop is None else loop.create_future()
        self._latch = Latch() if loop is None else None
        self.is_settled = self._is_dropped = False
        self._value: object = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether it is settled, or its waiter has given up."""
        return self.is_settled or self._is_dropped or (self.future is not None and self.future.done())

    def set_result(self, value: object) -> bool:
        """Settle it, unless it is done; returns whether its waiter can still be reached."""
        if self.done():
            return False
        self._value = value
        return self._settle()

    def set_exception(self, error: BaseException) -> bool:
        """Settle it with an error, unless it is done; returns whether its waiter can still be reached."""
        if self.done():
            return False
        self._error = error
        return self._settle()

    def _settle(self) -> bool:
        self.is_settled = True
        if self._latch is not None:
            self._latch.open()
        elif self.loop is not None:
            try:
                self.loop.call_soon_threadsafe(self._pass_on)
            except RuntimeError:  # the waiter's loop is closed
                return False
        return True

    def _pass_on(self) -> None:
        """Wake the tasks that await it; on their loop."""
        if self.future is not None and not self.future.done():
            self.future.set_result(None)

    def give_up(self) -> None:
        """Drop what comes later: nobody waits any more. Tasks that do get `CancelledError`; called on their loop."""
        self._is_dropped = True
        if self.future is not None:
            self.future.cancel()

    def __await__(self) -> Generator[Any, None, Any]:
        assert self.future is not None, "a PortalFuture without a loop is waited for in plain code"
        yield from self.future.__await__()
        return self.result()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait in plain code; False when `seconds` are over."""
        assert self._latch is not None, "a PortalFuture with a loop is awaited there"
        return wait_in_slices(self._latch.wait, seconds)

    def result(self) -> Any:
        """The value; raises the error."""
        if self._error is not None:
            raise self._error
        return self._value
