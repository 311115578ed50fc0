"""A daemon thread with an event loop of its own, started at first use, for plain functions that need one.

Leases are renewed there too, so that a consumer whose own loop is busy keeps its messages.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pocketflex_nb.concurrency.interruptible import wait_interruptibly
from pocketflex_nb.concurrency.process_id import pid

__all__ = ["LoopThread", "io_thread"]

_T = TypeVar("_T")
_C = TypeVar("_C")


class LoopThread:
    """One loop in a daemon thread; a forked child starts its own."""

    def __init__(self, name: str = "pocketflex-resources") -> None:
        self._name, self._lock = name, threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; the thread is started on first access."""
        with self._lock:
            if self._loop is None or self._pid != pid():
                self._loop, self._pid = asyncio.new_event_loop(), pid()
                threading.Thread(target=self._serve, args=(self._loop,), name=self._name, daemon=True).start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    def submit(self, coro: Coroutine[object, Any, _T]) -> Future[_T]:
        """Start `coro` there, from any thread."""
        return asyncio.run_coroutine_threadsafe(coro, self.loop)

    def run(self, coro: Coroutine[object, Any, _T], *, is_wanted: Callable[[], bool] = lambda: True) -> _T:
        """Wait for `coro` in plain code, interruptibly.

        Parameters
        ----------
        is_wanted : callable
            Asked twice a second; once it says no, `coro` is cancelled.

        Raises
        ------
        RuntimeError
            On that thread itself, which would wait for itself.
        """
        if threading.current_thread().name == self._name:
            coro.close()
            raise RuntimeError("the plain form of a queue's method cannot be used in a callback of that queue; await the other one")
        return wait_interruptibly(self.submit(coro), is_wanted=is_wanted)


io_thread = LoopThread()
