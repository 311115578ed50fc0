"""Monitors: one-way watches that report the end of an agent."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
from collections.abc import Generator
from typing import Any

from pocketflex_nb.agents.messaging.envelopes import Addressee, InternalMessage
from pocketflex_nb.agents.protocol.errors import AgentDown, AgentError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, format_reason
from pocketflex_nb.agents.protocol.info_messages import Down
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.concurrency.interruptible import keep_loop_awake, wait_interruptibly

__all__ = ["DeathFuture", "Monitor", "Pending"]


class DeathFuture:
    """A monitor for use in this room: a future of the host's loop with ``(reason, zombie)``."""

    __slots__ = ("_incarnation", "future")

    def __init__(self, incarnation: Addressee) -> None:
        self._incarnation = incarnation
        self.future: asyncio.Future[tuple[Any, bool]] = incarnation.host.loop.create_future()
        if incarnation.status is DEAD:
            self.future.set_result((incarnation.reason, incarnation.fenced))
        else:
            incarnation.watchers = incarnation.watchers or []
            incarnation.watchers.append(self)

    def _down(self, incarnation: Addressee, reason: object, zombie: bool, seq: int | None) -> None:
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
        if self._incarnation.watchers and self in self._incarnation.watchers:
            self._incarnation.watchers.remove(self)


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

    __slots__ = ("_future", "_incarnation", "_owner", "_waiting", "ref")

    def __init__(self, ref: Ref, owner: Addressee | None) -> None:
        self.ref, self._owner = ref, owner
        self._future: cf.Future[Any] = cf.Future()
        self._waiting = 0
        self._incarnation: Addressee | None = None

    def _attach(self, incarnation: Addressee) -> None:
        """Begin to watch `incarnation`; on the host's loop."""
        if incarnation.status is DEAD:
            self._down(incarnation, "noproc", False, None)
        elif not self._future.done():
            self._incarnation = incarnation
            incarnation.watchers = incarnation.watchers or []
            incarnation.watchers.append(self)

    def _down(self, incarnation: Addressee, reason: object, zombie: bool, seq: int | None) -> None:
        """Handle the end of `incarnation`, by `reason` (perhaps as a `zombie`); `seq` is the event that caused it."""
        if self._future.done():
            return
        down = Down(self.ref, reason, zombie)
        if self._owner is None:
            facts = {"of": incarnation.address, "reason": format_reason(reason), "from": incarnation.address, "to": ""}
            incarnation.note("down", facts, seq)
        elif (owner := self._owner).status is not DEAD:
            facts = {"of": incarnation.address, "reason": format_reason(reason), "from": incarnation.address, "to": owner.address}
            cause = owner.note("down", facts, seq, incarnation)
            if not self._waiting:
                owner.host.post(self._deliver, owner, down, cause) if not owner.host.is_here else self._deliver(owner, down, cause)
        self._settle(down)

    def _deliver(self, owner: Addressee, down: Down, cause: int) -> None:
        def order(incarnation: Addressee) -> object:
            if self._waiting:  # it was awaited meanwhile
                return None
            incarnation.cause = cause
            return incarnation.agent.handle_info(down)

        if owner.status is not DEAD:
            owner.put(InternalMessage(order))

    def _settle(self, value: object) -> None:
        """Give `value` to the waiters."""
        if not self._future.done():
            self._future.set_result(value)

    def _fail(self, error: BaseException) -> None:
        """Raise `error` in the waiters."""
        if not self._future.done():
            self._future.set_exception(error)

    def cancel(self) -> None:
        """Stop watching: no `Down` will come."""
        self._future.cancel()
        incarnation = self._incarnation
        if incarnation is not None:
            incarnation.host.post(_drop, incarnation, self)

    def __await__(self) -> Generator[Any, None, Any]:
        self._waiting += 1
        return self._wait().__await__()

    async def _wait(self) -> Any:
        if not self._future.done():
            over = asyncio.wrap_future(self._future)
            over.add_done_callback(_read)  # what it brings is raised below; asyncio would report this copy as never looked at
            with keep_loop_awake():  # shielded: a waiter that is cancelled does not cancel the watching
                await asyncio.wait([over])
        if self._future.cancelled():
            raise AgentError(f"this monitor of {self.ref!r} was cancelled: no Down will arrive")
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
        return wait_interruptibly(self._future, timeout)

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

    def _down(self, incarnation: Addressee, reason: object, zombie: bool, seq: int | None) -> None:
        """Fail because the agent ended first."""
        self._fail(AgentDown(reason, incarnation.name))

    def _settle(self, value: object) -> None:
        """Give `value`, and stop watching."""
        super()._settle(value)
        if self._incarnation is not None:
            _drop(self._incarnation, self)


def _drop(incarnation: Addressee, monitor: Monitor) -> None:
    if incarnation.watchers and monitor in incarnation.watchers:
        incarnation.watchers.remove(monitor)


