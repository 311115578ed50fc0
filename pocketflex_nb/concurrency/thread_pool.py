"""The pool of daemon threads for blocking steps: started on demand, and kept for a while.

`concurrent.futures.ThreadPoolExecutor` joins its threads when Python exits, so a step that hangs would keep the interpreter from
exiting; and an abandoned thread would occupy the pool for ever. Hence a pool of our own.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, TypeVar

from pocketflex_nb.concurrency.interruptible import uninterrupted

__all__ = ["MOST_THREADS", "PATIENCE", "Pool"]

#: threads that a pool makes of its own accord, however much waits
MOST_THREADS = 1_024
#: seconds for which no call may begin before waiting calls get threads of their own
PATIENCE = 0.2

ResultT = TypeVar("ResultT")
_SERVES = threading.local()
_log = logging.getLogger("pocketflex_nb")


class _Job:
    """One call that waits for a thread."""

    __slots__ = ("args", "fn", "future", "since", "told")

    def __init__(self, fn: Callable[..., object], args: tuple[object, ...], told: Callable[[str], object] | None) -> None:
        self.future: Future[Any] = Future()
        self.fn, self.args, self.told, self.since = fn, args, told, monotonic()


class Pool:
    """Runs functions in daemon threads.

    Parameters
    ----------
    size : int
        Threads at most; work beyond it waits in order. An abandoned thread no longer counts.
    idle : float
        Seconds an idle thread stays.
    most : int
        When all threads are busy and no call began for `patience` seconds, what waits gets threads beyond `size`, up to so many in all.
    patience : float
        Seconds.

    Notes
    -----
    All threads may be busy with calls that wait for what only a waiting call would do: a pool that never grows would stand still for
    ever. That it was full is told to the `told` of each call that waited, and once by `logging`.
    """

    def __init__(
        self, size: int, *, idle: float = 10.0, name: str = "pocketflex-pool", most: int = MOST_THREADS, patience: float = PATIENCE
    ) -> None:
        self.size, self.idle, self.name, self.most, self.patience = size, idle, name, most, patience
        self._cond = threading.Condition(threading.Lock())
        self._work: deque[_Job] = deque()
        self._waiting = self._threads = self._made = self._extra = self._taken = 0
        self._is_watched = self._has_warned = False

    @uninterrupted
    def submit(self, fn: Callable[..., ResultT], *args: object, told: Callable[[str], object] | None = None) -> Future[ResultT]:
        """Call ``fn(*args)`` in a thread. Cancelling the future before a thread took it prevents the call.

        Parameters
        ----------
        fn, *args
            The call.
        told : callable, optional
            Gets a text, from a thread of the pool's own, when the call has to wait because the pool is full.
        """
        job = _Job(fn, args, told)
        with self._cond:
            self._work.append(job)
            if self._waiting >= len(self._work):
                self._cond.notify()
            elif not self._grow() and not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name=f"{self.name}-watch", daemon=True).start()
        return job.future

    def _grow(self) -> bool:
        """Add one thread, if the limit allows it."""
        if self._threads >= self.size:
            return False
        thread = threading.Thread(target=self._serve, name=f"{self.name}-{self._made + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left; those that there are do the work
            if not self._threads:
                raise
            return False
        self._threads += 1
        self._made += 1
        return True

    # a full pool ---------------------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        """While calls wait: add threads when none has started a call for a while, and report it."""
        while True:
            taken = self._taken
            sleep(self.patience)
            with self._cond:
                if not self._work:
                    self._is_watched = False
                    return
                if self._taken != taken:
                    continue
                busy = self._threads - self._waiting
                waiting = [job for job in self._work if not job.future.done()]
                made = self._widen(len(waiting))
            self._tell(waiting, busy, made)

    def _widen(self, number: int) -> int:
        """Add as many threads as are needed and allowed; returns how many."""
        made = 0
        while made < number and self._threads < self.most:
            self.size += 1
            self._extra += 1
            if not self._grow():
                self.size -= 1
                self._extra -= 1
                break
            made += 1
        return made

    def _tell(self, waiting: list[_Job], busy: int, made: int) -> None:
        mend = f"{made} threads more were made" if made else "they begin when one ends; spare threads with max_concurrency=, or `async def`"
        text = f"the pool is full: {busy} plain steps block its threads, and {len(waiting)} waited for {self.patience:g} s; {mend}"
        if not self._has_warned:
            self._has_warned = True
            _log.warning("%s", text)
        for job in waiting:
            told, job.told = job.told, None
            if told is not None:
                try:
                    told(f"{text} (this one waited {monotonic() - job.since:.1f} s)")
                except Exception:
                    _log.exception("telling that the pool is full failed")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raise the limit by one within the block, for work that must begin at once."""
        mine = self._more()
        try:
            yield
        finally:
            if mine:
                self.reclaim()

    @uninterrupted
    def _more(self) -> bool:
        with self._cond:
            mine = self.size < self.most
            self.size += mine
        return mine

    @uninterrupted
    def abandon(self) -> None:
        """Take one busy thread out of the count: nothing waits for it any more, and a new thread may replace it."""
        with self._cond:
            self.size += 1
            if len(self._work) > self._waiting:
                self._grow()

    @contextmanager
    def release_slot(self) -> Iterator[None]:
        """Within the block, the calling thread waits and another may replace it, if it is a thread of this pool.

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

    @uninterrupted
    def reclaim(self) -> None:
        """Count an abandoned thread again: its call returned after all."""
        with self._cond:
            self.size -= 1

    @uninterrupted
    def statistics(self) -> dict[str, int]:
        """Threads alive, threads waiting for work, and calls in the queue."""
        with self._cond:
            return {"threads": self._threads, "idle": self._waiting, "queued": len(self._work)}

    def _serve(self) -> None:
        _SERVES.pool = self
        while (job := self._take()) is not None:
            future, fn, args = job.future, job.fn, job.args
            if future.set_running_or_notify_cancel():
                try:
                    result = fn(*args)
                except BaseException as exc:
                    future.set_exception(exc)
                else:
                    future.set_result(result)
                    del result
            del job, future, fn, args  # an idle thread keeps nothing of its last call alive

    def _take(self) -> _Job | None:
        with self._cond:
            while not self._work:
                if self._threads > self.size or not self._wait():
                    self._threads -= 1
                    if self._extra:
                        self._extra -= 1
                        self.size -= 1
                    return None
            self._taken += 1
            return self._work.popleft()

    def _wait(self) -> bool:
        self._waiting += 1
        try:
            return self._cond.wait(self.idle) or bool(self._work)
        finally:
            self._waiting -= 1
