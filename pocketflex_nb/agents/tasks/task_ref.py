"""`TaskRef`: one function with one result or one exit, owned by whoever spawned it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Generator
from typing import Any

from pocketflex_nb.agents.actor.stop_agent import stop_incarnation
from pocketflex_nb.agents.host.agent_host import host_for
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.monitors import DeathFuture
from pocketflex_nb.agents.protocol.directives import Ok
from pocketflex_nb.agents.protocol.errors import AgentDown, BadSpec, CallTimeout, NotOwner, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, format_reason
from pocketflex_nb.agents.protocol.info_messages import Exit
from pocketflex_nb.agents.protocol.tree_position import TreePosition
from pocketflex_nb.agents.tasks.task_incarnation import TaskIncarnation
from pocketflex_nb.concurrency.interruptible import wait_interruptibly
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.wait_marks import waiting

__all__ = ["TaskRef", "outcome_of", "start_task"]


class TaskRef(AgentRef):
    """The address of a task, and its outcome for its owner: ``await task``.

    Notes
    -----
    Given by `spawn` and `TaskSupervisor.spawn`. ``await task`` waits 5 seconds, as ``task.result()`` does; ``task.result(timeout=None)``
    as long as it takes. Who did not spawn it may `monitor` it and read `outcome`.

    Examples
    --------
    >>> from pocketflex_nb import spawn
    >>> task = spawn(sum, [1, 2, 3])
    >>> task.result_sync()       # in a cell with `await`: await task
    6
    >>> task.outcome
    Ok(value=6)
    """

    __slots__ = ()
    _incarnation: TaskIncarnation

    def __init__(self, incarnation: TaskIncarnation) -> None:
        self._incarnation = incarnation

    @property
    def outcome(self) -> Ok | Exit | None:
        """`Ok(value)`, `Exit(ref, reason)`, or None while it runs; readable by everybody."""
        return self._incarnation.outcome

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()

    async def result(self, *, timeout: float | None = 5.0) -> Any:
        """Its value.

        Parameters
        ----------
        timeout : float or None
            Seconds, by the task's clock; None: as long as it takes.

        Raises
        ------
        AgentDown
            It ended without one.
        CallTimeout
            Not in time; a linked task is cancelled then.
        NotOwner
            Somebody else spawned it; at once.
        """
        incarnation = self._own("result")
        outcome = await outcome_of(incarnation, timeout)
        return self._value(outcome, timeout)

    def result_sync(self, *, timeout: float | None = 5.0) -> Any:
        """`result` from plain code.

        Parameters
        ----------
        timeout : float or None
            Seconds, by the task's clock; None: as long as it takes.

        Raises
        ------
        AgentDown, CallTimeout, NotOwner
            As `result`.
        RuntimeError
            Called on the loop that runs the task: use ``await task`` there.
        """
        incarnation = self._own("result_sync")
        check_time(timeout, "timeout")
        incarnation.host.must_not_wait("use `await task`")
        future = asyncio.run_coroutine_threadsafe(outcome_of(incarnation, timeout), incarnation.host.loop)
        return self._value(wait_interruptibly(future, None), timeout)

    def _value(self, outcome: Ok | Exit | None, timeout: float | None) -> Any:
        if outcome is None:
            if self._incarnation.is_linked:
                self._incarnation.host.post(self._incarnation.kill)
            raise CallTimeout(self.name, timeout, "")
        if isinstance(outcome, Ok):
            return outcome.value
        raise AgentDown(outcome.reason, self.name)

    async def poll(self, timeout: float | None = 5.0) -> Ok | Exit | None:
        """Its outcome, or None when it still runs after `timeout` seconds; may be repeated.

        Parameters
        ----------
        timeout : float or None
            Seconds, by the task's clock; 0: at once; None: as long as it takes.

        Raises
        ------
        NotOwner
            Somebody else spawned it.
        """
        return await outcome_of(self._own("poll"), timeout)

    async def shutdown(self, timeout: float | str | None = 5.0) -> Ok | Exit | None:
        """Unlink it and end it: ``"shutdown"`` first, a kill after `timeout` seconds, or at once with ``"kill"``.

        Parameters
        ----------
        timeout : float, "kill" or None
            Seconds it gets to clean up; None: as long as it takes.

        Returns
        -------
        Ok, Exit or None
            `Ok` if its value made it; None if it died of this signal; else `Exit` (also when it had to be killed after `timeout`).

        Raises
        ------
        NotOwner
            Somebody else spawned it.
        """
        incarnation = self._own("shutdown")
        if isinstance(timeout, str):
            if timeout != "kill":
                raise BadSpec(f'shutdown({timeout!r}): give seconds, "kill" or None')
        else:
            check_time(timeout, "timeout")
        outcome = incarnation.outcome
        if outcome is not None:
            incarnation.is_polled = True
            return outcome
        incarnation.unlink_from_owner()
        incarnation.waiting += 1
        try:
            reason = await incarnation.host.do(_shut, incarnation, timeout)
        finally:
            incarnation.waiting -= 1
        outcome = incarnation.outcome
        if isinstance(outcome, Ok):
            return outcome
        is_ours = reason == ("killed" if timeout == "kill" else "shutdown")
        return None if is_ours else outcome

    def ignore(self) -> Ok | Exit | None:
        """Unlink it, let it run on, and drop its value; returns the outcome if it has ended already."""
        incarnation = self._own("ignore")
        incarnation.is_ignored = True
        incarnation.unlink_from_owner()
        return incarnation.outcome

    @classmethod
    def done(cls, value: object) -> TaskRef:
        """A task that has ended with `value`.

        Parameters
        ----------
        value : object
            Its value, for places that want a task where there is nothing to wait for.
        """
        incarnation = TaskIncarnation(host_for(), _nothing, TreePosition("done"), owner=CURRENT_AGENT.get())
        incarnation.outcome, incarnation.status, incarnation.reason, incarnation.is_open = Ok(value), DEAD, "normal", False
        ref: TaskRef = incarnation.ref  # type: ignore[assignment]  # ref_class says so
        return ref

    def _own(self, what: str) -> TaskIncarnation:
        incarnation, me = self._incarnation, CURRENT_AGENT.get()
        if me is not incarnation.owner:
            owner = incarnation.owner.address if incarnation.owner is not None else "plain code"
            raise NotOwner(f"{what}() of task {incarnation.name!r}: only its owner, {owner}, may call this; others use ref.monitor()")
        return incarnation

    def __repr__(self) -> str:
        outcome = self._incarnation.outcome
        state = "running" if outcome is None else "done" if isinstance(outcome, Ok) else format_reason(outcome.reason)
        return f"<TaskRef {self.address} {state}>"


TaskIncarnation.ref_class = TaskRef  # type: ignore[assignment]  # its refs are made for tasks only


async def _nothing() -> None:
    """The function of a task that never ran."""


async def _shut(incarnation: TaskIncarnation, timeout: float | str | None) -> object:
    return await stop_incarnation(incarnation, timeout, is_told=True)


async def outcome_of(incarnation: TaskIncarnation, timeout: float | None) -> Ok | Exit | None:
    """The outcome within `timeout` seconds of the task's clock, from any loop; else None."""
    check_time(timeout, "timeout")
    if incarnation.outcome is None and timeout != 0:
        incarnation.waiting += 1
        try:
            with waiting("task", f"task {incarnation.name}", timeout=timeout):
                await incarnation.host.do(_wait, incarnation, timeout)
        finally:
            incarnation.waiting -= 1
    if incarnation.outcome is not None:
        incarnation.is_polled = True
    return incarnation.outcome


async def _wait(incarnation: TaskIncarnation, timeout: float | None) -> None:
    if incarnation.status is DEAD or incarnation.outcome is not None:
        return
    gone = DeathFuture(incarnation)
    timer = incarnation.host.clock.call_later(timeout, gone.expire, TimeoutError()) if timeout is not None else None
    try:
        await gone.future
    except TimeoutError:
        pass
    finally:
        gone.detach()
        if timer is not None:
            timer.cancel()


def start_task(incarnation: TaskIncarnation, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    """Start a task, from any thread, with the context of the caller."""
    if incarnation.host.is_here:
        _begin(incarnation, args, kwargs)
    else:
        incarnation.host.post(contextvars.copy_context().run, _begin, incarnation, args, kwargs)


def _begin(incarnation: TaskIncarnation, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    if incarnation.is_linked:
        incarnation.link_to_owner()
    if incarnation.status is not DEAD:
        incarnation.begin(*args, **kwargs)


