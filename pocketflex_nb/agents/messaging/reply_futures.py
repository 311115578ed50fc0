"""Futures for the reply to a call: awaited on another loop, or waited for in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pocketflex_nb.concurrency.interruptible import Latch, wait_in_slices

__all__ = ["LoopFuture", "ThreadFuture"]


class LoopFuture:
    """A future of another loop, settled from the host's loop."""

    __slots__ = ("_is_done", "future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self._is_done = False

    def done(self) -> bool:
        """Whether it is settled, or its waiter has given up."""
        return self._is_done or self.future.done()

    def set_result(self, value: object) -> None:
        """Settle it."""
        self._settle(self.future.set_result, value)

    def set_exception(self, error: BaseException) -> None:
        """Settle it with an error."""
        self._settle(self.future.set_exception, error)

    def _settle(self, fn: Callable[[Any], object], value: object) -> None:
        if not self._is_done:
            self._is_done = True
            try:
                self.loop.call_soon_threadsafe(self._set, fn, value)
            except RuntimeError:  # the waiter's loop is closed: nobody waits
                pass

    def _set(self, fn: Callable[[Any], object], value: object) -> None:
        if not self.future.done():
            fn(value)


class ThreadFuture:
    """A future for a plain thread."""

    __slots__ = ("_error", "_is_dropped", "_over", "_value")

    def __init__(self) -> None:
        self._over = Latch()
        self._is_dropped = False
        self._value: object = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether it is settled, or its waiter has given up."""
        return self._is_dropped or self._over.is_open

    def set_result(self, value: object) -> None:
        """Settle it."""
        if not self.done():
            self._value = value
            self._over.open()

    def set_exception(self, error: BaseException) -> None:
        """Settle it with an error."""
        if not self.done():
            self._error = error
            self._over.open()

    def wait(self, seconds: float | None) -> bool:
        """Wait; False when `seconds` are over. After an interrupt a later answer is dropped."""
        try:
            return wait_in_slices(self._over.wait, seconds)
        except BaseException:
            self._is_dropped = True
            raise

    def result(self) -> Any:
        """The value; raises the error."""
        if self._error is not None:
            raise self._error
        return self._value
