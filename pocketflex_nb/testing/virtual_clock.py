"""`VirtualClock`, a clock of agents that moves only when a test advances it, and `settle`, which waits until they are idle.

>>> clock = VirtualClock()
>>> clock.advance(2.5) and clock.time()
2.5
"""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

from pocketflex_nb.agents.host.agent_host import running_loop

__all__ = ["TURNS", "VirtualClock", "settle"]

#: turns that `settle` gives a loop: a message that goes through ten agents needs fewer
TURNS = 50


class _Timer:
    __slots__ = ("args", "due", "fn", "is_cancelled", "loop")

    def __init__(self, due: float, loop: Any, fn: Callable[..., object], args: tuple[object, ...]) -> None:
        self.due, self.loop, self.fn, self.args = due, loop, fn, args
        self.is_cancelled = False

    def cancel(self) -> None:
        """Do not call it."""
        self.is_cancelled = True


class VirtualClock:
    """A clock that only `advance` moves: ``Supervisor(..., clock=clock)``.

    Parameters
    ----------
    start : float
        Seconds it shows at first.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.testing import VirtualClock
    >>> async def nap(clock):
    ...     await clock.sleep(3600)
    ...     return clock.time()
    >>> async def main():
    ...     clock = VirtualClock()
    ...     sleeper = asyncio.create_task(nap(clock))
    ...     await clock.run(7200)            # two hours, at once
    ...     return await sleeper, clock.time()
    >>> asyncio.run(main())
    (3600.0, 7200.0)
    """

    is_real = False

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._heap: list[tuple[float, int, _Timer]] = []
        self._count = count()
        self._lock = threading.Lock()

    def time(self) -> float:
        """The time that it shows, in seconds."""
        return self._now

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> _Timer:
        """Call ``fn(*args)``, on the running loop, when the clock has moved by `seconds`.

        Parameters
        ----------
        seconds : float
            From what the clock shows now.
        fn : callable
            What to call; other arguments are its own.

        Returns
        -------
        Timer
            Its `cancel` takes the call back.
        """
        timer = _Timer(self._now + max(seconds, 0.0), running_loop(), fn, args)
        with self._lock:
            heapq.heappush(self._heap, (timer.due, next(self._count), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved by `seconds`.

        Parameters
        ----------
        seconds : float
            0 or less only gives others a turn.
        """
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, _wake, future)
        try:
            await future
        finally:
            timer.cancel()

    def advance(self, seconds: float) -> _Settling:
        """Move the clock; what is due is woken in order of its time, and sees its time on the clock.

        Parameters
        ----------
        seconds : float
            By how much; 0 or more.

        Returns
        -------
        awaitable
            ``await`` it to let what was woken run until it waits again. It is true.

        Raises
        ------
        ValueError
            `seconds` is negative.

        Notes
        -----
        What the woken code asks for counts from the end of this step: to have chains of waits fall due one after another, use
        `run`.
        """
        if seconds < 0:
            raise ValueError(f"advance({seconds!r}): a clock only goes forward")
        end = self._now + seconds
        loops = set()
        while (timer := self._pop(end)) is not None:
            self._now = max(self._now, timer.due)
            _fire(timer)
            loops.add(timer.loop)
        self._now = end
        return _Settling(loops)

    async def run(self, seconds: float) -> None:
        """Move the clock from one due time to the next, and let what was woken run in between.

        Parameters
        ----------
        seconds : float
            By how much in all.
        """
        end = self._now + seconds
        await settle()
        while (due := self._next_due(end)) is not None:
            await self.advance(max(due - self._now, 0.0))
        await self.advance(max(end - self._now, 0.0))

    @property
    def waiting(self) -> int:
        """Number of timers that are not due yet."""
        with self._lock:
            return sum(not timer.is_cancelled for _, _, timer in self._heap)

    def _next_due(self, end: float) -> float | None:
        with self._lock:
            due = [timer.due for _, _, timer in self._heap if not timer.is_cancelled]
        return min(due) if due and min(due) <= end + 1e-9 else None

    def _pop(self, end: float) -> _Timer | None:
        with self._lock:
            while self._heap and self._heap[0][0] <= end + 1e-9:
                timer = heapq.heappop(self._heap)[2]
                if not timer.is_cancelled:
                    return timer
        return None


def _wake(future: Any) -> None:
    if not future.done():
        future.set_result(None)


def _fire(timer: _Timer) -> None:
    if timer.loop is None or timer.loop is running_loop():
        timer.fn(*timer.args)
        return
    if timer.loop.is_closed():
        return
    called = threading.Event()

    def call() -> None:
        try:
            if not timer.is_cancelled:
                timer.fn(*timer.args)
        finally:
            called.set()

    timer.loop.call_soon_threadsafe(call)
    called.wait(5.0)


class _Settling:
    def __init__(self, loops: set[object]) -> None:
        self._loops = loops

    def __await__(self) -> Generator[object, None, None]:
        return settle(*self._loops).__await__()


async def settle(*loops: Any) -> None:
    """Let this loop, the agents' loops and `loops` run their pending work.

    Parameters
    ----------
    *loops : asyncio.AbstractEventLoop
        Others that have work to do.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.testing import settle
    >>> async def main():
    ...     seen = []
    ...     task = asyncio.create_task(asyncio.sleep(0, seen.append("done")))
    ...     await settle()
    ...     return task.done()
    >>> asyncio.run(main())
    True
    """
    from pocketflex_nb.agents.host.agent_host import hosts

    here = asyncio.get_running_loop()
    others = {host.loop for host in hosts()} | {loop for loop in loops if loop is not None}
    for _ in range(2):
        for loop in others - {here}:
            if loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_turn(), loop))
        await _turn()


async def _turn() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


