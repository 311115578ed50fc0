"""The time limit of one attempt, and the event that reports an attempt which cannot be cut off.

`asyncio.timeout` reports nothing when the code inside never awaits, or swallows its cancellation, and completes all the same; and its
`Task.cancel` has no effect where plain code waits inside of a step. Both cases are handled here.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from pocketflex_nb.concurrency.reentrancy import cancel_task
from pocketflex_nb.core.errors import NodeTimeout
from pocketflex_nb.engine.records.frame import Frame

__all__ = ["LATE", "AttemptClock", "limit", "unwatch", "watch"]

#: seconds between two checks of the current limits
_TICK = 0.1
#: seconds after a limit from which on what goes on is overdue
LATE = 0.1


class AttemptClock:
    """Cancels the task that made it when it is told to, and recognises that cancellation among others."""

    __slots__ = ("_asked", "_before", "_task", "is_over")

    def __init__(self) -> None:
        task: Any = asyncio.current_task()
        self._task = task
        self._before: int = task.cancelling()
        self._asked = self.is_over = False

    def end(self) -> None:
        """Cancel the task because the time is over. To be called in its loop's thread."""
        if not self.is_over:
            self.is_over = True
            self._asked = cancel_task(self._task)

    def is_its(self, error: BaseException | None) -> bool:
        """Whether the task leaves this block because of `end`: by `error`, or although that was swallowed. Withdraws the request."""
        if not self.is_over:
            return False
        left = self._task.uncancel() if self._asked else self._task.cancelling()
        return error is None or (isinstance(error, asyncio.CancelledError) and left <= self._before)


class limit:
    """``async with limit(seconds, frame)``: a time limit for the attempt inside; time spent on `ask` does not count.

    An attempt that came to its end all the same, late, has failed too: its result is dropped.
    """

    __slots__ = ("_alarm", "_clock", "_frame", "_is_told", "_loop", "_seconds", "_when")

    def __init__(self, seconds: float, frame: Frame) -> None:
        self._seconds, self._frame = seconds, frame
        self._when: float | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._is_told = False

    async def __aenter__(self) -> None:
        self._loop, self._clock = asyncio.get_running_loop(), AttemptClock()
        self._frame.clock = self._loop, self
        self.reschedule(self._loop.time() + self._seconds)
        watch(self)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: Any) -> None:
        unwatch(self)
        self._frame.clock = None
        when = self._when
        self.reschedule(None)
        late = self._clock.is_its(error)
        blocked = not late and error is None and when is not None and self._loop.time() > when
        if late or blocked:
            told = NodeTimeout(
                f"node {self._frame.node_id!r} took longer than {self._seconds:g} s; "
                f"give it more with timeout=, or tries with max_retries="
                + ("" if error is not None else "; it could not be cut off, and what it gave was dropped")
            )
            raise told.with_traceback(trace) from None  # its lines end where the step was, not in our own cancellation

    # as `asyncio.Timeout`, for code that stops the clock -----------------------------------------------------------------------
    def when(self) -> float | None:
        """Loop time at which it ends, if any."""
        return self._when

    def expired(self) -> bool:
        """Whether the time was over."""
        return self._clock.is_over

    def reschedule(self, when: float | None) -> None:
        """Move the end to another loop time, or remove it."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._when = when
        self._alarm = None if when is None else self._loop.call_at(when, self._clock.end)

    def look(self) -> None:
        """Report once if the attempt continues although its time is over. Called from the watching thread."""
        when = self._when
        if self._is_told or when is None or time.monotonic() < when + LATE:
            return
        self._is_told = True
        self._frame.note(
            "overdue", limit=self._seconds,
            text=f"{self._frame.node_id}: goes on past its timeout of {self._seconds:g} s; it blocks, or swallows its cancellation",
        )


# what cannot be cut off is seen while it lasts: a thread of its own looks, since it may be the loop that is blocked ---------------
_watched: dict[Any, None] = {}
_awake = threading.Event()
_beginning = threading.Lock()
_watcher: threading.Thread | None = None


def watch(limited: object) -> None:
    """Call ``limited.look()`` regularly, from a thread of its own, until `unwatch`."""
    global _watcher
    _watched[limited] = None
    if _watcher is None:
        with _beginning:
            if _watcher is None:
                _watcher = threading.Thread(target=_look, name="pocketflex-clock", daemon=True)
                try:
                    _watcher.start()
                except RuntimeError:  # a machine without threads
                    return
    _awake.set()


def unwatch(limited: object) -> None:
    """Stop watching `limited`."""
    _watched.pop(limited, None)


def _look() -> None:
    while True:
        if not _watched:
            _awake.clear()
            if not _watched:  # else one came before the flag fell
                _awake.wait()
        time.sleep(_TICK)
        for limited in list(_watched):
            limited.look()
