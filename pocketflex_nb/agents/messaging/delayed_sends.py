"""Messages sent later, by a timer of the receiver's clock that can be cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pocketflex_nb.agents.host.clock import Clock, Timer
from pocketflex_nb.agents.protocol.errors import check_time
from pocketflex_nb.agents.protocol.ref import Ref

__all__ = ["Sending", "TimedHost"]


class TimedHost(Protocol):
    """The part of a host that a `Sending` uses."""

    @property
    def is_here(self) -> bool:
        """Whether the calling code runs on the host's loop."""
        ...

    @property
    def clock(self) -> Clock:
        """For the timer."""
        ...

    def post(self, fn: Callable[..., object], *args: object) -> None:
        """Call ``fn(*args)`` on the host's loop."""
        ...


class Sending:
    """A message that is scheduled: the result of `AgentRef.send_after`.

    Attributes
    ----------
    is_over : bool
        Whether it was sent or cancelled.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent
    >>> class Kettle(Agent):
    ...     async def init(self):
    ...         self.heard = []
    ...     async def handle_info(self, message):
    ...         self.heard.append(message)
    >>> kettle = Kettle.start_sync()
    >>> later = kettle.send_after("it boils", 60)
    >>> later.cancel() > 59              # seconds that were left
    True
    >>> later.cancel() is None           # it will not be sent any more
    True
    >>> kettle.stop_sync()
    """

    __slots__ = ("_due", "_find", "_host", "_message", "_timer", "is_over")

    def __init__(self, host: TimedHost, find: Callable[[], Ref | None], message: object, seconds: float) -> None:
        check_time(seconds, "seconds", none=False)
        self._host, self._find, self._message = host, find, message
        self._due = self._host.clock.time() + seconds
        self._timer: Timer | None = None
        self.is_over = False
        if self._host.is_here:
            self._begin()
        else:
            self._host.post(self._begin)

    def _begin(self) -> None:
        if not self.is_over:
            self._timer = self._host.clock.call_later(max(self._due - self._host.clock.time(), 0.0), self._send)

    def _send(self) -> None:
        if not self.is_over:
            self.is_over = True
            ref, message = self._find(), self._message
            self._message = self._timer = None
            if ref is not None:
                ref.send(message)

    def cancel(self) -> float | None:
        """Cancel it, from any thread; returns the seconds that were left, or None when it was sent or cancelled before."""
        if self.is_over:
            return None
        self.is_over, self._message = True, None
        if self._host.is_here:
            self._drop()
        else:
            self._host.post(self._drop)
        return float(max(self._due - self._host.clock.time(), 0.0))

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __repr__(self) -> str:
        return f"<Sending {'is over' if self.is_over else f'in {max(self._due - self._host.clock.time(), 0.0):.3g} s'}>"
