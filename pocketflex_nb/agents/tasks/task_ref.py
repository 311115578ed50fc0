"""How is one piece of work done beside another? Tasks: one function, one value or one exit, owned by who spawned them."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import ExitStack
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.actor.cell_scope import adopt
from pocketflex_nb.agents.actor.incarnation import Life
from pocketflex_nb.agents.actor.stop_agent import stop_life
from pocketflex_nb.agents.host.agent_host import Home, home_for, in_slices, pulse
from pocketflex_nb.agents.host.agent_log import name_of
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import INFO, Turn
from pocketflex_nb.agents.messaging.monitors import Gone
from pocketflex_nb.agents.protocol.errors import AgentDown, BadSpec, CallTimeout, NotOwner, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, RUNNING, Down, Exit, Ok, TaskDone, tell
from pocketflex_nb.agents.protocol.tree_position import Slot
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.context import AGENT, FRAME
from pocketflex_nb.core.errors import nearest

__all__ = ["TaskLife", "TaskRef", "offload", "poll_many", "results", "spawn", "start_task"]


async def offload(fn: Callable[..., Any], *args: Any) -> Any:
    """Call the blocking function `fn` in a thread, so that the agents' loop goes on.

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


class TaskLife(Life):
    """A task alive.

    Attributes
    ----------
    owner : Life or None
        Who may ask for the outcome; None is plain code.
    outcome : Ok or Exit or None
        None until it ends.
    waiting : int
        How many wait for it just now: they are told, so the link need not strike.
    """

    __slots__ = ("is_ignored", "is_linked", "is_polled", "outcome", "owner", "waiting")
    type = "task"

    def __init__(
        self, home: Home, fn: Any, slot: Slot, boss: Life | None = None, *, owner: Life | None = None, is_linked: bool = True
    ) -> None:
        super().__init__(home, fn, slot, boss)
        self.owner, self.is_linked = owner, is_linked
        self.outcome: Ok | Exit | None = None
        self.waiting = 0
        self.is_ignored = self.is_polled = False
        if owner is not None:
            self.callers = (owner.ref, *owner.callers)
            self.place.callers = (owner.address, *owner.place.callers)

    def _enter(self) -> None:
        AGENT.set(self)  # the walk it was spawned in, if any, stays its own: it is part of that node's work

    def tie(self) -> None:
        """Link it to its owner."""
        owner = self.owner
        if owner is None or owner.home.loop is not self.home.loop:
            return
        if owner.status is DEAD:
            self.hit("noproc", None)
            return
        owner.links = owner.links or set()
        owner.links.add(self)
        self.links = (self.links or set()) | {owner}

    def untie(self) -> None:
        """Unlink it from its owner."""
        owner, self.is_linked = self.owner, False
        if owner is not None:
            if owner.links:
                owner.links.discard(self)
            if self.links:
                self.links.discard(owner)

    async def boot(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the function; its value is the outcome."""
        self.status = RUNNING
        self.is_awake = True
        self.note("start", None, self.birth)
        self.is_up()
        try:
            value = await self._work(args, kwargs)
        except BaseException as exc:
            await self._conclude(exc)
            return
        if self.doom is not None or self.status is DEAD:
            await self._conclude(None)
            return
        self.outcome = self.outcome or Ok(value)
        self.die("normal")

    async def _work(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        fn = self.cls
        if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
            return await fn(*args, **kwargs)
        value = await offload(lambda: fn(*args, **kwargs))
        return await value if value.__class__ is CoroutineType else value

    def _facts(self) -> dict[str, Any]:
        facts = {"owner": self.owner.address if self.owner is not None else ""}
        if isinstance(self.outcome, Ok):
            facts["value"] = self.home.log.describe(self.outcome.value)
        return facts

    async def _conclude(self, exc: BaseException | None) -> None:
        if self.status is not DEAD and exc is None and self.doom is None:
            return
        await super()._conclude(exc)

    @property
    def _terminates(self) -> bool:
        return False

    async def _terminate(self, reason: Any) -> Any:
        return reason

    def die(self, reason: Any, zombie: bool = False) -> None:
        """The end: an owner that waits is told by the outcome, not struck over the link."""
        if self.status is DEAD:
            return
        if self.outcome is None:
            self.outcome = Exit(self.ref, reason)
        if self.waiting and self.owner is not None and self.links:
            self.links.discard(self.owner)
            if self.owner.links:
                self.owner.links.discard(self)
        super().die(reason, zombie)
        self._report()

    def _report(self) -> None:
        """An agent that does not wait gets the outcome of an unlinked task as a message."""
        owner = self.owner
        if owner is None or self.is_linked or self.is_ignored or self.waiting or owner.status is DEAD:
            return
        if isinstance(self.outcome, Ok):
            message: Any = TaskDone(self.ref, self.outcome.value)
            cause = owner.note(INFO, owner.home.log.describe(message), self.cause, self)
        else:
            message = Down(self.ref, self.reason, self.fenced)
            facts = {"of": self.address, "reason": tell(self.reason), "from": self.address, "to": owner.address}
            cause = owner.note("down", facts, self.cause, self)

        def order(life: Any) -> Any:
            if self.is_polled:
                return None
            life.cause = cause
            return life.agent.handle_info(message)

        owner.put(Turn(order)) if owner.home.is_here else owner.home.post(owner.put, Turn(order))


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
        """`Ok(value)`, `Exit(ref, reason)`, or None while it runs; for anybody."""
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
        outcome = await _outcome(life, timeout)
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
        return self._value(in_slices(asyncio.run_coroutine_threadsafe(_outcome(life, timeout), life.home.loop), None), timeout)

    def _value(self, outcome: Ok | Exit | None, timeout: float | None) -> Any:
        if outcome is None:
            if self._life.is_linked:
                self._life.home.post(self._life.kill)
            raise CallTimeout(self.name, timeout, "")
        if isinstance(outcome, Ok):
            return outcome.value
        raise AgentDown(outcome.reason, self.name)

    async def poll(self, timeout: float | None = 5.0) -> Ok | Exit | None:
        """Its outcome, or None when it still runs after `timeout` seconds; then ask again.

        Parameters
        ----------
        timeout : float or None
            Seconds, by the task's clock; 0: at once; None: as long as it takes.

        Raises
        ------
        NotOwner
            Somebody else spawned it.
        """
        outcome: Ok | Exit | None = await _outcome(self._own("poll"), timeout)
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
        """Unlink it, let it run on, and drop its value; gives the outcome if it has ended already."""
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
        life = TaskLife(home_for(), _nothing, Slot("done"), owner=AGENT.get())
        life.outcome, life.status, life.reason, life.is_open = Ok(value), DEAD, "normal", False
        ref: TaskRef = life.ref  # type: ignore[assignment]  # ref_class says so
        return ref

    def _own(self, what: str) -> Any:
        life, me = self._life, AGENT.get()
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
    """What a task that never ran would do."""


async def _shut(life: Any, timeout: Any) -> Any:
    return await stop_life(life, timeout, is_told=True)


async def _outcome(life: Any, timeout: float | None) -> Any:
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
    """Begin a task, from any thread, with the context of the caller."""
    if life.home.is_here:
        _begin(life, args, kwargs)
    else:
        life.home.post(contextvars.copy_context().run, _begin, life, args, kwargs)


def _begin(life: TaskLife, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if life.is_linked:
        life.tie()
    if life.status is not DEAD:
        life.begin(*args, **kwargs)


def spawn(fn: Callable[..., Any], /, *args: Any, link: bool = True, engine: Any = None, clock: Any = None, **kwargs: Any) -> TaskRef:
    """Start ``fn(*args, **kwargs)`` beside what runs now; the current agent, or the cell, owns it.

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
    home = home_for(engine, clock)
    owner = AGENT.get()
    life = TaskLife(home, fn, Slot(None), owner=owner, is_linked=link)
    life.slot.id = f"{name_of(fn).rpartition('.')[2]}-{life.pid}"
    if owner is not None:
        life.slot.parent = owner.slot
    else:
        adopt(life, False)
    if link and (frame := FRAME.get()) is not None:
        _end_with(life, frame.run)
    start_task(life, args, kwargs)
    ref: TaskRef = life.ref  # type: ignore[assignment]  # ref_class says so
    return ref


def _end_with(life: TaskLife, run: Any) -> None:
    """Let a task that a node spawned end when that node's run is cancelled, unless it was unlinked meanwhile."""

    def end() -> None:
        if life.is_linked:
            life.home.post(life.kill)

    tied = ExitStack()
    tied.enter_context(run.cancelling(end))
    life.cleanups = [*(life.cleanups or ()), lambda _: tied.close()]


async def results(tasks: Iterable[TaskRef], *, timeout: float | None = 5.0) -> list[Any]:
    """The values of `tasks` in their order, or the first failure as soon as it happens; linked tasks left over are cancelled then.

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
    lives = [ref._own("results") for ref in refs]
    waits = {asyncio.ensure_future(_outcome(life, timeout)): life for life in lives}
    try:
        with pulse():
            await _first_failure(waits)
        return [ref._value(wait.result(), timeout) for ref, wait in zip(refs, waits, strict=True)]
    except BaseException:
        _cancel_linked(lives)
        raise
    finally:
        for wait in waits:
            wait.cancel()


def _refs(tasks: Iterable[TaskRef], what: str) -> list[TaskRef]:
    refs = list(tasks)
    for ref in refs:
        if not isinstance(ref, TaskRef):
            raise BadSpec(f"{what}() waits for tasks, and {ref!r} is none: give what spawn() returned")
    return refs


async def _first_failure(waits: dict[Any, Any]) -> None:
    """Wait until all have a value, one has failed (which is raised), or time is over."""
    pending = set(waits)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        is_late = any(wait.result() is None for wait in done)
        for life in waits.values() if is_late else [waits[wait] for wait in waits if wait in done]:
            if isinstance(life.outcome, Exit):  # at the last moment, too
                raise AgentDown(life.outcome.reason, life.outcome.ref.name)
        if is_late:
            return


def _cancel_linked(lives: list[Any]) -> None:
    for life in lives:
        if life.is_linked and life.status is not DEAD:
            life.waiting += 1  # its end is no news to the owner
            life.home.post(life.kill)


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
        raise BadSpec(f"on_timeout={on_timeout!r}: no such way{nearest(str(on_timeout), known)}")
    if limit is not None and limit < 1:
        raise BadSpec(f"limit={limit!r}: give 1 or more, or None")
    refs = _refs(tasks, "poll_many")
    lives = [ref._own("poll_many") for ref in refs]
    waits = {asyncio.ensure_future(_outcome(life, timeout)): life for life in lives}
    await _until_enough(waits, limit)
    enough = limit is not None and sum(life.outcome is not None for life in lives) >= limit
    late = on_timeout if not enough else "nothing"
    return [(ref, ref._life.outcome or await _late(ref, late)) for ref in refs]


async def _until_enough(waits: dict[Any, Any], limit: int | None) -> None:
    pending: set[Awaitable[Any]] = set(waits)
    try:
        with pulse():
            while pending and (limit is None or sum(life.outcome is not None for life in waits.values()) < limit):
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]  # futures, all
    finally:
        for wait in waits:
            wait.cancel()


async def _late(ref: TaskRef, on_timeout: str) -> Ok | Exit | None:
    """What becomes of a task that still runs; its outcome, if that came in just now."""
    if on_timeout == "ignore":
        return ref.ignore()
    return await ref.shutdown("kill") if on_timeout == "kill" else None
