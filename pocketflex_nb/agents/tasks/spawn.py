"""`spawn`: starts one function as a task."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from pocketflex_nb.agents.actor.cell_scope import adopt
from pocketflex_nb.agents.host.agent_host import Engine, host_for
from pocketflex_nb.agents.host.agent_log import callable_name
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.protocol.tree_position import TreePosition
from pocketflex_nb.agents.tasks.task_incarnation import TaskIncarnation
from pocketflex_nb.agents.tasks.task_ref import TaskRef, start_task
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["spawn"]


def spawn(
    fn: Callable[..., object],
    /,
    *args: object,
    link: bool = True,
    engine: Engine = None,
    clock: Clock | None = None,
    **kwargs: object,
) -> TaskRef:
    """Start ``fn(*args, **kwargs)`` concurrently; the current agent, or the cell, owns it.

    Parameters
    ----------
    fn : callable
        An ``async def`` runs on the engine thread, a plain function in a thread of the pool.
    link : bool
        A crash of the task hits the owning agent (unless that waits for it just then), and the owner's end ends the task. A task that
        a node spawned ends when that node's run is cancelled.
    engine, clock
        See `Agent.start`.

    Returns
    -------
    TaskRef
        ``await`` it, or `poll` it. An unlinked task's value comes to the owning agent as `TaskDone`, its crash as `Down`.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb import spawn
    >>> async def double(n):
    ...     return 2 * n
    >>> async def main():
    ...     tasks = [spawn(double, n) for n in (1, 2, 3)]
    ...     return [await task for task in tasks]
    >>> asyncio.run(main())
    [2, 4, 6]
    """
    if not callable(fn):
        raise TypeError(f"spawn({fn!r}): give the function, and its arguments after it: spawn(fetch, url)")
    host = host_for(engine, clock)
    owner = CURRENT_AGENT.get()
    incarnation = TaskIncarnation(host, fn, TreePosition(None), owner=owner, is_linked=link)
    incarnation.slot.id = f"{callable_name(fn).rpartition('.')[2]}-{incarnation.pid}"
    if owner is not None:
        incarnation.slot.parent = owner.slot
    else:
        adopt(incarnation, False)
    if link and (frame := CURRENT_FRAME.get()) is not None:
        _end_with(incarnation, frame)
    start_task(incarnation, args, kwargs)
    ref: TaskRef = incarnation.ref  # type: ignore[assignment]  # ref_class says so
    return ref


def _end_with(incarnation: TaskIncarnation, frame: WalkFrame) -> None:
    """End a task that a node spawned when that node's run is cancelled, unless it was unlinked meanwhile."""

    def end() -> None:
        if incarnation.is_linked:
            incarnation.host.post(incarnation.kill)

    tied = ExitStack()
    tied.enter_context(frame.cancelling(end))
    incarnation.cleanups = [*(incarnation.cleanups or ()), lambda _: tied.close()]
