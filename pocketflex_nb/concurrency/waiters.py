"""Queues of waiters on any event loops that any thread can wake, and the time that is left of a timeout."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress

__all__ = ["WaitQueue", "Waiter", "remaining"]


def remaining(until: float | None) -> float | None:
    """Seconds until the monotonic clock reads `until`; None for no limit."""
    return None if until is None else until - time.monotonic()


class Waiter:
    """One task that waits on its own loop."""

    __slots__ = ("future", "is_woken", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.is_woken = False

    def wake(self) -> bool:
        """Wake it, from any thread; False when its loop is closed."""
        self.is_woken = True
        try:
            self.loop.call_soon_threadsafe(self._done)
        except RuntimeError:  # that loop was closed
            return False
        return True

    def _done(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class WaitQueue:
    """A queue of waiting tasks, served in order of arrival. `add` and the wakes are called while `lock` is held."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._line: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def add(self) -> Waiter:
        """Join the queue."""
        waiter = Waiter()
        self._line.append(waiter)
        return waiter

    def wake_one(self) -> None:
        """Wake the first waiter."""
        while self._line and not self._line.popleft().wake():
            pass

    def wake_all(self) -> None:
        """Wake all waiters."""
        while self._line:
            self._line.popleft().wake()

    async def wait(self, waiter: Waiter, seconds: float | None) -> None:
        """Wait until woken, for `seconds` at most. A waiter that is cancelled passes its wake on to the next."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter.future
        except BaseException:
            with self._lock:
                if waiter.is_woken:
                    self.wake_one()
            raise
        finally:
            waiter.future.cancel()
            if not waiter.is_woken:
                with self._lock, suppress(ValueError):
                    self._line.remove(waiter)
