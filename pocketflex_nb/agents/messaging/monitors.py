"""Monitors: one-way watches that report the end of an agent."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
from collections.abc import Generator
from typing import Any

from pocketflex_nb.agents.messaging.envelopes import Turn
from pocketflex_nb.agents.protocol.errors import AgentDown, AgentError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, tell
from pocketflex_nb.agents.protocol.info_messages import Down
from pocketflex_nb.concurrency.interruptible import in_slices, pulse

__all__ = ["Gone", "Monitor", "Pending"]


class Gone:
    """A monitor for use in this room: a future of the host's loop with ``(reason, zombie)``."""

    __slots__ = ("_life", "future")

    def __init__(self, life: Any) -> None:
        self._life = life
        self.future: asyncio.Future[tuple[Any, bool]] = life.home.loop.create_future()
        if life.status is DEAD:
            self.future.set_result((life.reason, life.fenced))
        else:
            life.watchers = life.watchers or []
            life.watchers.append(self)

    def down(self, life: Any, reason: Any, zombie: bool, seq: int | None) -> None:
        """Handle the agent's end."""
        if not self.future.done():
            try:
                self.future.set_result((reason, zombie))
            except RuntimeError:  # the loop is closed: nobody waits
                pass

    def expire(self, error: Exception) -> None:
        """Handle the timeout."""
        if not self.future.done():
            self.future.set_exception(error)

    def detach(self) -> None:
        """Stop watching."""
        if self._life.watchers and self in self._life.watchers:
            self._life.watchers.remove(self)


class Monitor:
    """A pending `Down`: ``await`` it from any loop, `wait` for it in plain code, or `cancel` it.

    Attributes
    ----------
    ref : AgentRef
        Who is watched.

    Notes
    -----
    Given by `AgentRef.monitor`, also for tasks and supervisors.

    Examples
    --------
    >>> from pocketflex_nb import Agent
    >>> class Idler(Agent):
    ...     pass
    >>> ref = Idler.start_sync()
    >>> ended = ref.monitor()
    >>> ended.is_down
    False
    >>> ref.stop_sync("shutdown")
    >>> ended.wait(5).reason         # in a cell with `await`: (await ended).reason
    'shutdown'
    """

    __slots__ = ("_future", "_life", "_owner", "_waiting", "ref")

    def __init__(self, ref: Any, owner: Any) -> None:
        self.ref, self._owner = ref, owner
        self._future: cf.Future[Any] = cf.Future()
        self._waiting = 0
        self._life: Any = None

    def attach(self, life: Any) -> None:
        """Begin to watch `life`; on the host's loop."""
        if life.status is DEAD:
            self.down(life, "noproc", False, None)
        elif not self._future.done():
            self._life = life
            life.watchers = life.watchers or []
            life.watchers.append(self)

    def down(self, life: Any, reason: Any, zombie: bool, seq: int | None) -> None:
        """Handle the end of `life`, by `reason` (perhaps as a `zombie`); `seq` is the event that caused it."""
        if self._future.done():
            return
        down = Down(self.ref, reason, zombie)
        if self._owner is None:
            life.note("down", {"of": life.address, "reason": tell(reason), "from": life.address, "to": ""}, seq)
        elif self._owner.status is not DEAD:
            facts = {"of": life.address, "reason": tell(reason), "from": life.address, "to": self._owner.address}
            cause = self._owner.note("down", facts, seq, life)
            if not self._waiting:
                self._owner.home.post(self._deliver, down, cause) if not self._owner.home.is_here else self._deliver(down, cause)
        self.settle(down)

    def _deliver(self, down: Down, cause: int) -> None:
        def order(life: Any) -> Any:
            if self._waiting:  # it was awaited meanwhile
                return None
            life.cause = cause
            return life.agent.handle_info(down)

        if self._owner.status is not DEAD:
            self._owner.put(Turn(order))

    def settle(self, value: Any) -> None:
        """Give `value` to the waiters."""
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Raise `error` in the waiters."""
        if not self._future.done():
            self._future.set_exception(error)

    def cancel(self) -> None:
        """Stop watching: no `Down` will come."""
        self._future.cancel()
        life = self._life
        if life is not None:
            life.home.post(_drop, life, self)

    def __await__(self) -> Generator[Any, None, Any]:
        self._waiting += 1
        return self._wait().__await__()

    async def _wait(self) -> Any:
        if not self._future.done():
            over = asyncio.wrap_future(self._future)
            over.add_done_callback(_read)  # what it brings is raised below; asyncio would report this copy as never looked at
            with pulse():  # shielded: a waiter that is cancelled does not cancel the watching
                await asyncio.wait([over])
        if self._future.cancelled():
            raise AgentError(f"this monitor of {self.ref!r} was cancelled: nothing will come")
        return self._future.result()

    def wait(self, timeout: float | None = None) -> Any:
        """The `Down`, waited for in plain code.

        Parameters
        ----------
        timeout : float or None
            Seconds; None: as long as it takes.

        Returns
        -------
        Down

        Raises
        ------
        TimeoutError
            Nothing within `timeout` seconds.
        """
        self._waiting += 1
        return in_slices(self._future, timeout)

    @property
    def is_down(self) -> bool:
        """Whether the `Down` has come."""
        return self._future.done() and not self._future.cancelled()

    def __repr__(self) -> str:
        return f"<Monitor of {self.ref!r}>"


def _read(over: asyncio.Future[Any]) -> None:
    if not over.cancelled():
        over.exception()


class Pending(Monitor):
    """The result of a system message to an agent; fails when the agent ends first."""

    __slots__ = ()

    def down(self, life: Any, reason: Any, zombie: bool, seq: int | None) -> None:
        """Fail because the agent ended first."""
        self.fail(AgentDown(reason, life.name))

    def settle(self, value: Any) -> None:
        """Give `value`, and stop watching."""
        super().settle(value)
        if self._life is not None:
            _drop(self._life, self)


def _drop(life: Any, monitor: Monitor) -> None:
    if life.watchers and monitor in life.watchers:
        life.watchers.remove(monitor)


