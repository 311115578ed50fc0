"""`TaskRef`: one function with one result or one exit, owned by whoever spawned it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Generator
from typing import Any

from pocketflex_nb.agents.actor.stop_agent import stop_life
from pocketflex_nb.agents.host.agent_host import home_for
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.monitors import Gone
from pocketflex_nb.agents.protocol.directives import Ok
from pocketflex_nb.agents.protocol.errors import AgentDown, BadSpec, CallTimeout, NotOwner, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, tell
from pocketflex_nb.agents.protocol.info_messages import Exit
from pocketflex_nb.agents.protocol.tree_position import Slot
from pocketflex_nb.agents.tasks.task_incarnation import TaskLife
from pocketflex_nb.concurrency.interruptible import in_slices
from pocketflex_nb.core.context import CURRENT_AGENT

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

    @property
    def outcome(self) -> Any:
        """`Ok(value)`, `Exit(ref, reason)`, or None while it runs; readable by everybody."""
        return self._life.outcome

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
        life = self._own("result")
        outcome = await outcome_of(life, timeout)
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
        life = self._own("result_sync")
        check_time(timeout, "timeout")
        life.home.must_not_wait("use `await task`")
        return self._value(in_slices(asyncio.run_coroutine_threadsafe(outcome_of(life, timeout), life.home.loop), None), timeout)

    def _value(self, outcome: Ok | Exit | None, timeout: float | None) -> Any:
        if outcome is None:
            if self._life.is_linked:
                self._life.home.post(self._life.kill)
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
        outcome: Ok | Exit | None = await outcome_of(self._own("poll"), timeout)
        return outcome

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
        life = self._own("shutdown")
        if isinstance(timeout, str):
            if timeout != "kill":
                raise BadSpec(f'shutdown({timeout!r}): give seconds, "kill" or None')
        else:
            check_time(timeout, "timeout")
        outcome: Ok | Exit | None = life.outcome
        if outcome is not None:
            life.is_polled = True
            return outcome
        life.untie()
        life.waiting += 1
        try:
            reason = await life.home.do(_shut, life, timeout)
        finally:
            life.waiting -= 1
        outcome = life.outcome
        if isinstance(outcome, Ok):
            return outcome
        is_ours = reason == ("killed" if timeout == "kill" else "shutdown")
        return None if is_ours else outcome

    def ignore(self) -> Ok | Exit | None:
        """Unlink it, let it run on, and drop its value; returns the outcome if it has ended already."""
        life = self._own("ignore")
        life.is_ignored = True
        life.untie()
        outcome: Ok | Exit | None = life.outcome
        return outcome

    @classmethod
    def done(cls, value: Any) -> TaskRef:
        """A task that has ended with `value`.

        Parameters
        ----------
        value : object
            Its value, for places that want a task where there is nothing to wait for.
        """
        life = TaskLife(home_for(), _nothing, Slot("done"), owner=CURRENT_AGENT.get())
        life.outcome, life.status, life.reason, life.is_open = Ok(value), DEAD, "normal", False
        ref: TaskRef = life.ref  # type: ignore[assignment]  # ref_class says so
        return ref

    def _own(self, what: str) -> Any:
        life, me = self._life, CURRENT_AGENT.get()
        if me is not life.owner:
            owner = life.owner.address if life.owner is not None else "plain code"
            raise NotOwner(f"{what}() of task {life.name!r}: it was spawned by {owner}, only that may ask; others use ref.monitor()")
        return life

    def __repr__(self) -> str:
        outcome = self._life.outcome
        state = "running" if outcome is None else "done" if isinstance(outcome, Ok) else tell(outcome.reason)
        return f"<TaskRef {self.address} {state}>"


TaskLife.ref_class = TaskRef


async def _nothing() -> None:
    """The function of a task that never ran."""


async def _shut(life: Any, timeout: Any) -> Any:
    return await stop_life(life, timeout, is_told=True)


async def outcome_of(life: Any, timeout: float | None) -> Any:
    """The outcome within `timeout` seconds of the task's clock, from any loop; else None."""
    check_time(timeout, "timeout")
    if life.outcome is None and timeout != 0:
        life.waiting += 1
        try:
            await life.home.do(_wait, life, timeout)
        finally:
            life.waiting -= 1
    if life.outcome is not None:
        life.is_polled = True
    return life.outcome


async def _wait(life: Any, timeout: float | None) -> None:
    if life.status is DEAD or life.outcome is not None:
        return
    gone = Gone(life)
    timer = life.home.clock.call_later(timeout, gone.expire, TimeoutError()) if timeout is not None else None
    try:
        await gone.future
    except TimeoutError:
        pass
    finally:
        gone.detach()
        if timer is not None:
            timer.cancel()


def start_task(life: TaskLife, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Start a task, from any thread, with the context of the caller."""
    if life.home.is_here:
        _begin(life, args, kwargs)
    else:
        life.home.post(contextvars.copy_context().run, _begin, life, args, kwargs)


def _begin(life: TaskLife, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if life.is_linked:
        life.tie()
    if life.status is not DEAD:
        life.begin(*args, **kwargs)


