"""`results` and `poll_many`: the results of several tasks, awaited together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from pocketflex_nb.agents.protocol.directives import Ok
from pocketflex_nb.agents.protocol.errors import AgentDown, BadSpec, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD
from pocketflex_nb.agents.protocol.info_messages import Exit
from pocketflex_nb.agents.tasks.task_incarnation import TaskIncarnation
from pocketflex_nb.agents.tasks.task_ref import TaskRef, outcome_of
from pocketflex_nb.concurrency.interruptible import keep_loop_awake
from pocketflex_nb.core.errors import nearest

__all__ = ["poll_many", "results"]

#: the waits for outcomes, and the tasks that they wait for
_Waits = dict[asyncio.Task[Ok | Exit | None], TaskIncarnation]


async def results(tasks: Iterable[TaskRef], *, timeout: float | None = 5.0) -> list[Any]:
    """The values of `tasks` in their order, or the first failure as soon as it happens; the remaining linked tasks are cancelled then.

    Parameters
    ----------
    tasks : iterable of TaskRef
        The caller's own.
    timeout : float or None
        Seconds to wait; None: as long as it takes.

    Raises
    ------
    AgentDown, CallTimeout, NotOwner
        See `TaskRef.result`.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import results, spawn
    >>> async def main():
    ...     return await results([spawn(len, word) for word in ("sun", "wind")])
    >>> asyncio.run(main())
    [3, 4]
    """
    check_time(timeout, "timeout")
    refs = _refs(tasks, "results")
    incarnations = [ref._own("results") for ref in refs]
    waits = {asyncio.ensure_future(outcome_of(incarnation, timeout)): incarnation for incarnation in incarnations}
    try:
        with keep_loop_awake():
            await _first_failure(waits)
        return [ref._value(wait.result(), timeout) for ref, wait in zip(refs, waits, strict=True)]
    except BaseException:
        _cancel_linked(incarnations)
        raise
    finally:
        for wait in waits:
            wait.cancel()


def _refs(tasks: Iterable[TaskRef], what: str) -> list[TaskRef]:
    refs = list(tasks)
    for ref in refs:
        if not isinstance(ref, TaskRef):
            raise BadSpec(f"{what}() takes tasks, not {ref!r}: pass what spawn() returned")
    return refs


async def _first_failure(waits: _Waits) -> None:
    """Wait until all have a value, one has failed (which is raised), or time is over."""
    pending = set(waits)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        is_late = any(wait.result() is None for wait in done)
        for incarnation in waits.values() if is_late else [waits[wait] for wait in waits if wait in done]:
            if isinstance(incarnation.outcome, Exit):  # at the last moment, too
                raise AgentDown(incarnation.outcome.reason, incarnation.name)
        if is_late:
            return


def _cancel_linked(incarnations: list[TaskIncarnation]) -> None:
    for incarnation in incarnations:
        if incarnation.is_linked and incarnation.status is not DEAD:
            incarnation.waiting += 1  # its end is no news to the owner
            incarnation.host.post(incarnation.kill)


async def poll_many(
    tasks: Iterable[TaskRef], *, timeout: float | None = 5.0, limit: int | None = None, on_timeout: str = "nothing"
) -> list[tuple[TaskRef, Ok | Exit | None]]:
    """The outcomes of `tasks`, as pairs in their order; None for those that still run after `timeout` seconds.

    Parameters
    ----------
    tasks : iterable of TaskRef
        The caller's own.
    timeout : float or None
        Seconds to wait; None: as long as it takes.
    limit : int or None
        Be content with so many; the others then are left alone, whatever `on_timeout` says.
    on_timeout : "nothing", "ignore" or "kill"
        What becomes of those that still run when time is over.

    Returns
    -------
    list of (TaskRef, Ok or Exit or None)
        One pair for each task.

    Raises
    ------
    NotOwner
        Somebody else spawned one of them.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import poll_many, spawn
    >>> async def main():
    ...     tasks = [spawn(len, "sun"), spawn(asyncio.sleep, 60)]
    ...     found = await poll_many(tasks, limit=1)
    ...     await tasks[1].shutdown("kill")
    ...     return [outcome for _, outcome in found]
    >>> asyncio.run(main())
    [Ok(value=3), None]
    """
    check_time(timeout, "timeout")
    known = ("nothing", "ignore", "kill")
    if on_timeout not in known:
        raise BadSpec(f"on_timeout={on_timeout!r}: no such mode{nearest(str(on_timeout), known)}")
    if limit is not None and limit < 1:
        raise BadSpec(f"limit={limit!r}: give 1 or more, or None")
    refs = _refs(tasks, "poll_many")
    incarnations = [ref._own("poll_many") for ref in refs]
    waits = {asyncio.ensure_future(outcome_of(incarnation, timeout)): incarnation for incarnation in incarnations}
    await _until_enough(waits, limit)
    enough = limit is not None and sum(incarnation.outcome is not None for incarnation in incarnations) >= limit
    late = on_timeout if not enough else "nothing"
    return [(ref, ref._incarnation.outcome or await _late(ref, late)) for ref in refs]


async def _until_enough(waits: _Waits, limit: int | None) -> None:
    pending = set(waits)
    try:
        with keep_loop_awake():
            while pending and (limit is None or sum(incarnation.outcome is not None for incarnation in waits.values()) < limit):
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _late(ref: TaskRef, on_timeout: str) -> Ok | Exit | None:
    """Handle a task that still runs, as `on_timeout` says; its outcome, if that has come just now."""
    if on_timeout == "ignore":
        return ref.ignore()
    return await ref.shutdown("kill") if on_timeout == "kill" else None
