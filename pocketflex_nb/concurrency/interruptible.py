"""Waits and hand-overs of the main thread that the kernel's stop button can end without damage to others.

Python raises `KeyboardInterrupt` between any two instructions of the main thread: also after a task was handed to the engine thread and
before its handle is bound to a name here, so that nobody could stop it any more; and inside `threading.Condition`, which futures and
events use, after it has acquired its lock and before the ``with`` statement has registered that: a thread that needs that lock, such as
the engine thread when it sets a result, then waits for ever. So the main thread waits by a `Latch`, and acquires what others need only
inside `hold_interrupts` or `whole`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import functools
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

__all__ = ["PULSE", "SLICE", "Latch", "hold_interrupts", "keep_loop_awake", "wait_interruptibly", "whole"]

P = ParamSpec("P")
T = TypeVar("T")


class Latch:
    """Opened once, from any thread. Waiting for it acquires nothing that another thread could need, so it may be interrupted anywhere."""

    __slots__ = ("_lock", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self, *_: Any) -> None:
        """Release all present and later waiters."""
        if not self.is_open:
            self.is_open = True
            try:
                self._lock.release()
            except RuntimeError:  # another thread came first
                pass

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is open, at most `seconds`; returns whether it is."""
        if not self.is_open and self._lock.acquire(timeout=-1 if seconds is None else max(seconds, 0.0)):
            self._lock.release()  # an interrupt before this line keeps it: nobody but those who wait wants it, and they look at `is_open`
        return self.is_open

    def wait_interruptibly(self, seconds: float | None = None) -> bool:
        """`wait` in slices of `SLICE` seconds, so that an interrupt is noticed where a lock's wait cannot be broken off."""
        while not self.is_open and (seconds is None or seconds > 0):
            self.wait(SLICE if seconds is None else min(SLICE, seconds))
            seconds = None if seconds is None else seconds - SLICE
        return self.is_open


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Defer an interrupt until the block is over. Changes nothing outside of the main thread, where none is raised."""
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before):  # ignored, the system's own way, or set from outside of Python
        yield
        return
    came: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *args: came.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[-1])


def whole(fn: Callable[P, T]) -> Callable[P, T]:
    """Wrap `fn`, which returns at once, so that no interrupt breaks it off. In threads other than the main one it is unchanged."""

    @functools.wraps(fn)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        if threading.get_ident() != threading.main_thread().ident:
            return fn(*args, **kwargs)
        with hold_interrupts():
            return fn(*args, **kwargs)

    return guarded

_T = TypeVar("_T")

#: seconds a thread that waits for an agent sleeps at most before it looks for an interrupt
SLICE = 0.2

#: seconds between two turns of a loop that waits for another thread
PULSE = 0.05


def wait_interruptibly(future: cf.Future[_T], timeout: float | None) -> _T:
    """Wait for `future` so that the stop button can interrupt, then cancel it."""
    try:
        left = timeout
        while True:
            try:
                return future.result(SLICE if left is None else min(SLICE, left))
            except cf.TimeoutError:
                if future.done():
                    return future.result()
                if left is not None and (left := left - SLICE) <= 0:
                    future.cancel()
                    raise
    except KeyboardInterrupt:
        future.cancel()
        raise


class _Beat:
    """One timer that keeps a loop running its handles, however many wait."""

    __slots__ = ("_loop", "_timer", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._waiting = weakref.ref(loop), 0  # weak: it is kept by loop
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._waiting += 1
        if self._timer is None:
            self._beat()

    def __exit__(self, *error: object) -> None:
        self._waiting -= 1

    def _beat(self) -> None:
        loop = self._loop()
        self._timer = loop.call_later(PULSE, self._beat) if self._waiting and loop is not None else None

_beats: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Beat] = weakref.WeakKeyDictionary()


def keep_loop_awake() -> AbstractContextManager[None]:
    """Keep the running loop waking while it waits for another thread.

    The kernel's stop button cancels the cell by `call_soon`, which does not wake a loop that sleeps in its selector. It speaks to the main
    thread only; the others need no pulse.
    """
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()
    loop = asyncio.get_running_loop()
    beat = _beats.get(loop)
    if beat is None:
        beat = _beats[loop] = _Beat(loop)
    return beat
