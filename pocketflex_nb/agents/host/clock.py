"""The clock of agents, which tests can replace so that they need not sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Protocol

__all__ = ["Clock", "LoopClock", "Timer"]


class Timer(Protocol):
    """The handle that `Clock.call_later` returns."""

    def cancel(self) -> None:
        """Cancel the call, if it was not made yet."""
        ...


class Clock(Protocol):
    """Times and timers; all in float seconds. `pocketflex_nb.testing.VirtualClock` is the other implementation.

    Examples
    --------
    >>> from pocketflex_nb import Agent
    >>> from pocketflex_nb.agents import Idle, Stop
    >>> from pocketflex_nb.testing import VirtualClock
    >>> class Session(Agent):
    ...     async def init(self):
    ...         return Idle(3600)
    ...     async def handle_info(self, message):
    ...         return Stop("shutdown")
    >>> import asyncio
    >>> async def main():
    ...     clock = VirtualClock()
    ...     session = await Session.start(clock=clock, engine="inline")
    ...     await clock.advance(3600)            # an hour, at once
    ...     return session.reason
    >>> asyncio.run(main())
    'shutdown'
    """

    def time(self) -> float:
        """Monotonic seconds."""
        ...

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> Timer:
        """Call ``fn(*args)`` on the running loop after `seconds`.

        Parameters
        ----------
        seconds : float
            From now.
        fn : callable
            What to call; other arguments are its own.

        Returns
        -------
        Timer
            Its `cancel` takes the call back.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`.

        Parameters
        ----------
        seconds : float
            How long.
        """
        ...


class LoopClock:
    """The real clock."""

    is_real = True

    def time(self) -> float:
        """Monotonic seconds."""
        return monotonic()

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> Timer:
        """Call ``fn(*args)`` on the running loop after `seconds`."""
        return asyncio.get_running_loop().call_later(seconds, fn, *args)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
