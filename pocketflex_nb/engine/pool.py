"""Where do blocking steps run? Daemon threads, made when needed and kept for a while.

`concurrent.futures.ThreadPoolExecutor` joins its threads when Python ends, so a step that hangs would keep the interpreter from
ending; and a thread that was abandoned would take a place in the pool for ever. Both are why this is ours.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

__all__ = ["Pool"]

_SERVES = threading.local()


class Pool:
    """Runs functions in daemon threads.

    Parameters
    ----------
    size : int
        Threads at most; work beyond it waits in order. An abandoned thread no longer counts.
    idle : float
        Seconds an idle thread stays.
    """

    def __init__(self, size: int, *, idle: float = 10.0, name: str = "pocketflex-pool") -> None:
        self.size, self.idle, self.name = size, idle, name
        self._cond = threading.Condition(threading.Lock())
        self._work: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._waiting = self._threads = self._made = 0

    def submit(self, fn: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have ``fn(*args)`` called in a thread. Cancelling the future before a thread took it prevents the call."""
        future: Future[Any] = Future()
        with self._cond:
            self._work.append((future, fn, args))
            if self._waiting >= len(self._work):
                self._cond.notify()
            else:
                self._grow()
        return future

    def _grow(self) -> None:
        """One thread more, if there may be one."""
        if self._threads < self.size:
            self._threads += 1
            self._made += 1
            threading.Thread(target=self._serve, name=f"{self.name}-{self._made}", daemon=True).start()

    def abandon(self) -> None:
        """Count one busy thread out: somebody gave up waiting for it, and its place goes to a new one."""
        with self._cond:
            self.size += 1
            if len(self._work) > self._waiting:
                self._grow()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """While inside, the calling thread waits for somebody and its place is another's, if it is a thread of this pool.

        Otherwise as many waiting steps as there are places would wait for ever for what only another step can do.
        """
        mine = getattr(_SERVES, "pool", None) is self
        if mine:
            self.abandon()
        try:
            yield
        finally:
            if mine:
                self.reclaim()

    def reclaim(self) -> None:
        """Take an abandoned thread's place back: it came to its end after all."""
        with self._cond:
            self.size -= 1

    def statistics(self) -> dict[str, int]:
        """Threads alive, threads waiting for work, and calls in the queue."""
        with self._cond:
            return {"threads": self._threads, "idle": self._waiting, "queued": len(self._work)}

    def _serve(self) -> None:
        _SERVES.pool = self
        while (job := self._take()) is not None:
            future, fn, args = job
            if future.set_running_or_notify_cancel():
                try:
                    result = fn(*args)
                except BaseException as exc:
                    future.set_exception(exc)
                else:
                    future.set_result(result)
                    del result
            del job, future, fn, args  # an idle thread keeps nothing of its last call alive

    def _take(self) -> Any:
        with self._cond:
            while not self._work:
                if self._threads > self.size or not self._wait():
                    self._threads -= 1
                    return None
            return self._work.popleft()

    def _wait(self) -> bool:
        self._waiting += 1
        try:
            return self._cond.wait(self.idle) or bool(self._work)
        finally:
            self._waiting -= 1
