"""Call timeouts without a timer for each call."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pocketflex_nb.agents.host.clock import Clock

__all__ = ["MIN_SWEEP", "Deadlines", "Expiring", "ReplyFuture"]


#: answered calls that a queue of deadlines may hold before it looks for them
MIN_SWEEP = 32


class Expiring(Protocol):
    """A call that waits for its reply."""

    _due: float

    @property
    def _fut(self) -> ReplyFuture:
        """Where the reply goes."""
        ...

    def _expire(self, seconds: float) -> None:
        """Report that `seconds` are over."""
        ...


class ReplyFuture(Protocol):
    """What a reply is given to: a future of the host's loop, or a `PortalFuture`."""

    def done(self) -> bool:
        """Whether it is settled, or its waiter has given up."""
        ...

    def set_result(self, value: object, /) -> object:
        """Settle it."""
        ...

    def set_exception(self, error: BaseException, /) -> object:
        """Settle it with an error."""
        ...


class _Due(deque[Expiring]):
    """The calls with the same timeout.

    Attributes
    ----------
    most : int
        More of them, and the answered ones among them are let go.
    """

    __slots__ = ("most",)
    most: int


class Deadlines:
    """The timers of calls: one queue per length of time, so that a call costs an append instead of a timer."""

    __slots__ = ("_queues", "clock")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._queues: dict[float, _Due] = {}

    def add(self, seconds: float, waiting: Expiring) -> None:
        """Call ``waiting._expire(seconds)`` after `seconds`, unless ``waiting._fut`` is done by then. Sets ``waiting._due``."""
        waiting._due = self.clock.time() + seconds
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = _Due()
            queue.most = MIN_SWEEP
            self.clock.call_later(seconds, self._ring, seconds)
        queue.append(waiting)
        if len(queue) > queue.most:
            self._forget_answered(queue)

    def _forget_answered(self, queue: _Due) -> None:
        """Drop the answered calls with their messages; the work is spread over as many calls as are left."""
        left = [waiting for waiting in queue if not waiting._fut.done()]
        queue.clear()
        queue.extend(left)
        queue.most = max(MIN_SWEEP, 2 * len(left))

    def _ring(self, seconds: float) -> None:
        queue, now = self._queues[seconds], self.clock.time()
        while queue and (queue[0]._fut.done() or queue[0]._due <= now + 1e-9):
            waiting = queue.popleft()
            if not waiting._fut.done():
                waiting._expire(seconds)
        if queue:
            self.clock.call_later(queue[0]._due - now, self._ring, seconds)
        else:
            del self._queues[seconds]
