"""Waits and hand-overs of the main thread that the kernel's stop button can end without damage to others.

Python raises `KeyboardInterrupt` between any two instructions of the main thread: also after a task was handed to the engine thread and
before its handle is bound to a name here, so that nobody could stop it any more; and inside `threading.Condition`, which futures and
events use, after it has acquired its lock and before the ``with`` statement has registered that: a thread that needs that lock, such as
the engine thread when it sets a result, then waits for ever. So the main thread waits by a `Latch`, and acquires what others need only
inside `hold_interrupts` or `uninterrupted`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import functools
import signal
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from types import FrameType

__all__ = [
    "GRACE", "PULSE", "SLICE", "Latch", "hold_interrupts", "keep_loop_awake", "uninterrupted", "wait_awake", "wait_in_slices",
    "wait_interruptibly", "wait_until_over",
]

#: seconds between two looks of a waiting main thread, so that an interrupt gets through
SLICE = 0.05
#: seconds between two turns of a loop that waits for another thread
PULSE = 0.05
#: seconds that cancelled work gets to end before its waiter goes
GRACE = 5.0
#: seconds between two questions whether what is waited for is still wanted, and between two looks whether what was cancelled is over
_LOOK, _SOON = 0.5, 0.005

P = ParamSpec("P")
T = TypeVar("T")


class Latch:
    """Opened once, from any thread. Waiting for it acquires nothing that another thread could need, so it may be interrupted anywhere."""

    __slots__ = ("_lock", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self, *_: object) -> None:
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


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Defer an interrupt until the block is over. Changes nothing outside of the main thread, where none is raised."""
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before):  # ignored, the system's own way, or set from outside of Python
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *args: came.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[-1])


def uninterrupted(fn: Callable[P, T]) -> Callable[P, T]:
    """Wrap `fn`, which returns at once, so that no interrupt breaks it off. In threads other than the main one it is unchanged."""

    @functools.wraps(fn)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        if threading.get_ident() != threading.main_thread().ident:
            return fn(*args, **kwargs)
        with hold_interrupts():
            return fn(*args, **kwargs)

    return guarded


# the waits -------------------------------------------------------------------------------------------------------------
def wait_in_slices(wait: Callable[[float], object], timeout: float | None = None, *, turn: Callable[[float], bool] | None = None) -> bool:
    """Wait in plain code so that the stop button is heard: the one loop that all waits of this package go through.

    Parameters
    ----------
    wait : callable
        Waits for so many seconds at most; returns whether what is waited for came. It must hold no lock that another thread needs, as
        `Latch.wait`, `queue.SimpleQueue.get` and `Lock.acquire` do not.
    timeout : float or None
        Seconds; None: as long as it takes.
    turn : callable, optional
        Lets an adopted loop run for so many seconds, as `EngineThread.run_once` does; returns whether there is one.

    Returns
    -------
    bool
        Whether it came in time.
    """
    deadline = None if timeout is None else monotonic() + timeout
    most = SLICE if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX  # no other thread gets interrupts
    while True:
        left = most if deadline is None else max(0.0, min(most, deadline - monotonic()))
        if wait(0.0 if turn is not None and turn(left) else left):
            return True
        if deadline is not None and monotonic() >= deadline:
            return False


def wait_interruptibly(future: cf.Future[T], timeout: float | None = None, *, is_wanted: Callable[[], bool] | None = None) -> T:
    """The result of `future`, waited for in plain code; an interrupt or the timeout cancels it.

    Parameters
    ----------
    future : concurrent.futures.Future
        What another thread does.
    timeout : float or None
        Seconds; None: as long as it takes.
    is_wanted : callable, optional
        Asked twice a second; once it says no, the future is cancelled.

    Raises
    ------
    TimeoutError
        It was not done in time.
    asyncio.CancelledError
        It is not wanted any more.
    """
    done = Latch()
    future.add_done_callback(done.open)
    try:
        if is_wanted is not None:
            while not wait_in_slices(done.wait, _LOOK):
                if not is_wanted():
                    raise asyncio.CancelledError
        elif not wait_in_slices(done.wait, timeout):
            raise TimeoutError
    except BaseException:
        future.cancel()
        raise
    return future.result()


async def wait_awake(awaitable: Awaitable[T]) -> T:
    """Await so that the stop button is heard: the loop keeps waking; see `keep_loop_awake`."""
    with keep_loop_awake():
        return await awaitable


async def wait_until_over(is_over: Callable[[], bool], seconds: float = GRACE) -> None:
    """After a cancellation: wait until what was cancelled is over, at most so many seconds."""
    until = monotonic() + seconds
    while not is_over() and monotonic() < until:
        await asyncio.sleep(_SOON)


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
