"""The incarnation of a task: one function from its start to its end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.host.agent_host import AgentHost
from pocketflex_nb.agents.messaging.envelopes import INFO, Addressee, InternalMessage
from pocketflex_nb.agents.protocol.directives import Ok
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, RUNNING, format_reason
from pocketflex_nb.agents.protocol.info_messages import Down, Exit, TaskDone
from pocketflex_nb.agents.protocol.tree_position import TreePosition
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["TaskIncarnation", "offload"]


async def offload(fn: Callable[..., object], *args: object) -> Any:
    """Call the blocking function `fn` in a thread, so that the agents' loop is not blocked.

    Parameters
    ----------
    fn : callable
        A plain function; `args` are its arguments.

    Notes
    -----
    A thread cannot be stopped: when the waiting agent is ended, the thread is given up, and what it still sends is dropped.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, offload
    >>> class Sorter(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return await offload(sorted, message)     # a long one would not keep other agents waiting
    >>> ref = Sorter.start_sync()
    >>> ref.call_sync([3, 1, 2])
    [1, 2, 3]
    >>> ref.stop_sync()
    """
    future = engine_thread.in_pool(fn, *args)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        if not future.cancel() and not future.done():
            engine_thread.pool.abandon()
            future.add_done_callback(lambda _: engine_thread.pool.reclaim())
        raise


class TaskIncarnation(Incarnation):
    """One incarnation of a task.

    Attributes
    ----------
    owner : Incarnation or None
        Who may ask for the outcome; None is plain code.
    outcome : Ok or Exit or None
        None until it ends.
    waiting : int
        How many wait for it just now: they are told, so the link need not strike.
    is_waiting : bool
        Its supervisor is suspended: it starts afterwards, and calls `on_begin` then.
    """

    __slots__ = ("is_ignored", "is_linked", "is_polled", "is_waiting", "on_begin", "outcome", "owner", "waiting")
    type = "task"

    def __init__(
        self,
        host: AgentHost,
        fn: Callable[..., object],
        slot: TreePosition,
        supervisor: Incarnation | None = None,
        *,
        owner: Incarnation | None = None,
        is_linked: bool = True,
    ) -> None:
        super().__init__(host, fn, slot, supervisor)
        self.owner, self.is_linked = owner, is_linked
        self.outcome: Ok | Exit | None = None
        self.waiting = 0
        self.is_ignored = self.is_polled = self.is_waiting = False
        self.on_begin: tuple[Callable[[], object], ...] = ()
        if owner is not None:
            self.callers = (owner.ref, *owner.callers)
            self.info.callers = (owner.address, *owner.info.callers)

    def _enter(self) -> None:
        CURRENT_AGENT.set(self)  # the walk it was spawned in, if any, stays its own: it is part of that node's work

    def link_to_owner(self) -> None:
        """Link it to its owner."""
        owner = self.owner
        if owner is None or owner.host.loop is not self.host.loop:
            return
        if owner.status is DEAD:
            self.on_exit_signal("noproc", None)
            return
        owner.links = owner.links or set()
        owner.links.add(self)
        self.links = (self.links or set()) | {owner}

    def unlink_from_owner(self) -> None:
        """Unlink it from its owner."""
        owner, self.is_linked = self.owner, False
        if owner is not None:
            if owner.links:
                owner.links.discard(self)
            if self.links:
                self.links.discard(owner)

    async def boot(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Call the function; its value is the outcome."""
        self.status = RUNNING
        self.note("start", None, self.start_cause)
        self.is_up()
        try:
            value = await self._work(args, kwargs)
        except BaseException as exc:
            await self.conclude(exc)
            return
        if self.pending_exit is not None or self.status is DEAD:
            await self.conclude(None)
            return
        self.outcome = self.outcome or Ok(value)
        self.finalize("normal")

    async def _work(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        fn = self.cls
        if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
            return await fn(*args, **kwargs)
        value = await offload(lambda: fn(*args, **kwargs))
        return await value if value.__class__ is CoroutineType else value

    @property
    def is_busy(self) -> bool:
        """Whether the function runs now."""
        return self.status is RUNNING

    def exit_facts(self) -> dict[str, object]:
        """Owner, and value if it has one."""
        facts: dict[str, object] = {"owner": self.owner.address if self.owner is not None else ""}
        if isinstance(self.outcome, Ok):
            facts["value"] = self.host.log.describe(self.outcome.value)
        return facts

    async def conclude(self, exc: BaseException | None) -> None:
        """End, unless it has a value: as for an agent."""
        if self.status is not DEAD and exc is None and self.pending_exit is None:
            return
        await super().conclude(exc)

    @property
    def has_terminate(self) -> bool:
        """Always False: a function has none."""
        return False

    async def run_terminate(self, reason: object) -> object:
        """There is none to run."""
        return reason

    def finalize(self, reason: object, zombie: bool = False) -> None:
        """End it: an owner that waits gets the outcome, not an exit signal over the link."""
        if self.status is DEAD:
            return
        if self.outcome is None:
            self.outcome = Exit(self.ref, reason)
        if self.waiting and self.owner is not None and self.links:
            self.links.discard(self.owner)
            if self.owner.links:
                self.owner.links.discard(self)
        super().finalize(reason, zombie)
        self._report()

    def _report(self) -> None:
        """Send the outcome of an unlinked task as a message to an agent that does not wait for it."""
        owner = self.owner
        if owner is None or self.is_linked or self.is_ignored or self.waiting or owner.status is DEAD:
            return
        if isinstance(self.outcome, Ok):
            message: TaskDone | Down = TaskDone(self.ref, self.outcome.value)
            cause = owner.note(INFO, owner.host.log.describe(message), self.cause, self)
        else:
            message = Down(self.ref, self.reason, self.fenced)
            facts = {"of": self.address, "reason": format_reason(self.reason), "from": self.address, "to": owner.address}
            cause = owner.note("down", facts, self.cause, self)

        def order(incarnation: Addressee) -> object:
            if self.is_polled:
                return None
            incarnation.cause = cause
            return incarnation.agent.handle_info(message)

        owner.put(InternalMessage(order)) if owner.host.is_here else owner.host.post(owner.put, InternalMessage(order))
