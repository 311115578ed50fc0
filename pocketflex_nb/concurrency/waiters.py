"""Queues of waiters on any event loops that any thread can wake, and the time that is left of a timeout."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress

from pocketflex_nb.concurrency.portal_future import PortalFuture

__all__ = ["WaitQueue", "remaining"]


def remaining(until: float | None) -> float | None:
    """Seconds until the monotonic clock reads `until`; None for no limit."""
    return None if until is None else until - time.monotonic()


class WaitQueue:
    """A queue of waiting tasks, served in order of arrival. `add` and the wakes are called while `lock` is held."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._line: deque[PortalFuture] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def add(self) -> PortalFuture:
        """Join the queue."""
        waiter = PortalFuture(asyncio.get_running_loop())
        self._line.append(waiter)
        return waiter

    def wake_one(self) -> None:
        """Wake the first waiter."""
        while self._line and not self._line.popleft().set_result(None):
            pass

    def wake_all(self) -> None:
        """Wake all waiters."""
        while self._line:
            self._line.popleft().set_result(None)

    async def wait(self, waiter: PortalFuture, seconds: float | None) -> None:
        """Wait until woken, for `seconds` at most. A waiter that is cancelled passes its wake on to the next."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter
        except BaseException:
            with self._lock:
                if waiter.is_settled:
                    self.wake_one()
            raise
        finally:
            waiter.give_up()
            if not waiter.is_settled:
                with self._lock, suppress(ValueError):
                    self._line.remove(waiter)
