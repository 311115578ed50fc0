"""`TaskSupervisor`: a supervisor of functions, none of which outlives it."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator, Hashable
from typing import Any

from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.host.agent_host import Engine
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import InternalMessage
from pocketflex_nb.agents.protocol.directives import Stop
from pocketflex_nb.agents.protocol.errors import BadSpec, MaxChildren, NotRunning, ReplyError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD
from pocketflex_nb.agents.supervision.child import Child, report_exit
from pocketflex_nb.agents.supervision.child_info import ChildInfo
from pocketflex_nb.agents.supervision.child_spec import ChildSpec
from pocketflex_nb.agents.supervision.dynamic_supervisor import DynamicSupervisorBehaviour, check_limit
from pocketflex_nb.agents.supervision.restart_intensity import needs_restart
from pocketflex_nb.agents.supervision.supervisor import AnySupervisor
from pocketflex_nb.agents.supervision.supervisor_options import SupervisorOptions
from pocketflex_nb.agents.tasks.outcome_stream import STREAM_CONCURRENCY, Items, Stream
from pocketflex_nb.agents.tasks.task_incarnation import TaskIncarnation
from pocketflex_nb.agents.tasks.task_ref import TaskRef, start_task
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import nearest

__all__ = ["StartedRef", "TaskSupervisor", "TaskSupervisorBehaviour"]

_RESTARTS = ("permanent", "temporary", "transient")


class StartedRef(AgentRef):
    """The address of a task that was started without interest in its value; awaiting it returns itself."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        return self
        yield


class _StartedIncarnation(TaskIncarnation):
    __slots__ = ()
    ref_class = StartedRef


class TaskSupervisorBehaviour(DynamicSupervisorBehaviour):
    """The agent that runs a `TaskSupervisor`."""

    async def init(self, options: SupervisorOptions) -> Stop | None:
        """Begin without tasks."""
        self.waiting: dict[TaskIncarnation, Child] = {}  # those that start at the end of a suspension
        return await super().init(options)

    def admit_task(self, spec: ChildSpec, incarnation_class: type[TaskIncarnation], owner: Incarnation | None, is_linked: bool) -> AgentRef:
        """Create a tree position and start the task, at the end of a suspension if there is one; on the host's loop."""
        if self.is_over or self.incarnation.status is DEAD:  # it is ending its tasks: this one would outlive it
            raise NotRunning(self.incarnation.name, ": it is ending its tasks")
        if self.incarnation.mailbox.is_suspended or self.waiting:
            return self._start_later(spec, incarnation_class, owner, is_linked).ref
        try:
            self.check_room()
        except ReplyError as exc:
            raise exc.exc from None
        child = self.admit(spec)
        return self._run(child, incarnation_class, owner, is_linked).ref

    def _run(self, child: Child, incarnation_class: type[TaskIncarnation], owner: Incarnation | None, is_linked: bool) -> Incarnation:
        incarnation = self._make(child, incarnation_class, owner, is_linked)
        self._take(child, incarnation)
        start_task(incarnation, child.spec.args, child.spec.kwargs)
        return incarnation

    def _make(self, child: Child, incarnation_class: type[TaskIncarnation], owner: Incarnation | None, is_linked: bool) -> TaskIncarnation:
        supervisor = self.incarnation
        incarnation: TaskIncarnation = incarnation_class(
            supervisor.host, child.spec.cls, child.slot, supervisor, owner=owner, is_linked=is_linked
        )
        incarnation.info.restarts, incarnation.is_strict = child.restarts, supervisor.is_strict
        supervisor.links = supervisor.links or set()
        supervisor.links.add(incarnation)
        incarnation.links = {supervisor}
        return incarnation

    def _take(self, child: Child, incarnation: TaskIncarnation) -> None:
        supervisor = self.incarnation
        child.incarnation, child.last = incarnation, incarnation.info
        child.is_restarting = False
        child.see(child.spec.cls)
        incarnation.on_exit = lambda incarnation, reason: report_exit(supervisor, child, incarnation, reason)

    # suspended: a start waits its turn, as the call does in OTP; here it has an address meanwhile ---------------------------
    def _start_later(
        self, spec: ChildSpec, incarnation_class: type[TaskIncarnation], owner: Incarnation | None, is_linked: bool
    ) -> TaskIncarnation:
        limit = self.options.max_children
        if limit is not None and sum(map(_is_lasting, self.by_slot.values())) + len(self.waiting) >= limit:
            raise MaxChildren(limit)
        child, context = self.position(spec), contextvars.copy_context()
        incarnation = self._make(child, incarnation_class, owner, is_linked)
        incarnation.is_waiting = True
        self.waiting[incarnation] = child
        incarnation.on_exit = lambda _, reason: self.waiting.pop(incarnation, None)
        self.incarnation.put(InternalMessage(lambda supervisor: context.run(self._start_waiting, incarnation)))
        return incarnation

    def _start_waiting(self, incarnation: TaskIncarnation) -> None:
        child = self.waiting.pop(incarnation, None)
        if child is None:  # it was ended while it waited
            return
        incarnation.is_waiting = False
        self.by_slot[child.slot] = child
        self._take(child, incarnation)
        start_task(incarnation, child.spec.args, child.spec.kwargs)
        begun, incarnation.on_begin = incarnation.on_begin, ()
        for call in begun:
            call()

    async def _end_children(self) -> None:
        """Stop all tasks at once, each within its own time; those that wait to start never do."""
        for incarnation in list(self.waiting):
            incarnation.finalize("shutdown")
        await super()._end_children()

    async def _start(self, child: Child) -> bool:
        self._run(child, _StartedIncarnation, None, False)
        return True


class TaskSupervisor(AnySupervisor):
    """Tasks at run time: ``async with TaskSupervisor() as ts: task = ts.spawn(fetch, url)``.

    Parameters
    ----------
    max_children : int or None
        Tasks at once; one more raises `MaxChildren`.
    max_restarts, max_seconds, name, clock, engine, keep, strict
        See `Supervisor`.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import TaskSupervisor
    >>> async def double(n):
    ...     return 2 * n
    >>> async def main():
    ...     async with TaskSupervisor(max_children=10) as ts:
    ...         tasks = [ts.spawn(double, n) for n in (1, 2, 3)]
    ...         return [await task for task in tasks]
    >>> asyncio.run(main())
    [2, 4, 6]
    """

    _pfx_behaviour = TaskSupervisorBehaviour

    def __init__(
        self,
        *,
        max_children: int | None = None,
        max_restarts: int = 3,
        max_seconds: float = 5.0,
        name: Hashable = None,
        clock: Clock | None = None,
        engine: Engine = None,
        keep: bool = False,
        strict: bool = False,
    ) -> None:
        check_limit(max_children)
        options = SupervisorOptions(max_restarts=max_restarts, max_seconds=max_seconds, max_children=max_children, strict=strict)
        super().__init__(options, name=name, clock=clock, engine=engine, keep=keep)

    def spawn(self, fn: Callable[..., object], /, *args: object, link: bool = True, **kwargs: object) -> TaskRef:
        """Start a task that the current agent, or the cell, owns.

        Parameters
        ----------
        fn : callable
            An ``async def`` runs on the supervisor's loop, a plain function in a thread of the pool; other arguments are its own.
        link : bool
            False: a crash does not hit the owning agent; it gets `TaskDone` or `Down` as a message.

        Raises
        ------
        MaxChildren
            One too many.

        Notes
        -----
        While the supervisor is suspended the task waits: it starts after ``ts.ref.resume()``, in the order of the calls, or ends as
        ``"shutdown"`` with the supervisor.
        """
        spec = _spec(fn, args, kwargs, "temporary", 5.0)
        ref: TaskRef = self._admit(spec, TaskIncarnation, CURRENT_AGENT.get(), link)  # type: ignore[assignment]  # ref_class says so
        return ref

    def start(
        self,
        fn: Callable[..., object] | None = None,
        /,
        *args: object,
        restart: str = "temporary",
        shutdown: float | str | None = 5.0,
        **kwargs: object,
    ) -> Any:
        """Start a task whose result is not awaited; it may be restarted. Without a function: start the supervisor, to be awaited.

        Parameters
        ----------
        fn : callable
            An ``async def`` runs on the supervisor's loop, a plain function in a thread of the pool; other arguments are its own.
        restart : "temporary", "transient" or "permanent"
            Never; after an abnormal end; always.
        shutdown : float, "kill" or None
            Seconds to end in an orderly way when the supervisor stops; None: as long as it takes.

        Returns
        -------
        AgentRef
            Its address, for `AgentRef.stop` and `AgentRef.monitor`; its value is lost.

        Raises
        ------
        MaxChildren
            One too many.
        """
        if fn is None:
            return super().start()
        return self._admit(_spec(fn, args, kwargs, restart, shutdown), _StartedIncarnation, None, False)

    def stream(
        self,
        fn: Callable[..., object],
        items: Items,
        *,
        max_concurrency: int | None = None,
        ordered: bool = True,
        timeout: float | None = 5.0,
        on_timeout: str = "raise",
        zip_input: bool = False,
        link: bool = False,
    ) -> Stream:
        """`pocketflex_nb.stream` with tasks of this supervisor.

        Parameters
        ----------
        fn, items, max_concurrency, ordered, timeout, on_timeout, zip_input, link
            See `pocketflex_nb.stream`.

        Returns
        -------
        Stream
            To be read by ``async for``.
        """
        return Stream(
            fn,
            items,
            STREAM_CONCURRENCY if max_concurrency is None else max_concurrency,
            ordered,
            timeout,
            on_timeout,
            zip_input,
            lambda fn, item: self.spawn(fn, item, link=False)._incarnation,
            lambda: self.ref._incarnation.host,
            link,
        )

    def children(self) -> list[ChildInfo]:
        """The tasks that run, oldest first."""
        return [info for info in super().children() if info.ref is not None or info.status == "restarting"]

    def _admit(self, spec: ChildSpec, incarnation_class: type[TaskIncarnation], owner: Incarnation | None, link: bool) -> AgentRef:
        ref = self.ref
        behaviour: TaskSupervisorBehaviour = ref._agent()
        incarnation = ref._incarnation
        if incarnation.status is DEAD:
            raise NotRunning(incarnation.name)
        return incarnation.host.call_on_loop(behaviour.admit_task, spec, incarnation_class, owner, link)


def _is_lasting(child: Child) -> bool:
    """Whether a child lives, or will be restarted."""
    incarnation = child.incarnation
    return incarnation is None or incarnation.status is not DEAD or needs_restart(child.spec.restart, incarnation.reason)


def _spec(
    fn: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object], restart: str, shutdown: float | str | None
) -> ChildSpec:
    if not callable(fn):
        raise TypeError(f"{fn!r} is not callable: pass the function first, then its arguments")
    if restart not in _RESTARTS:
        raise BadSpec(f"restart={restart!r}: no such restart type{nearest(str(restart), _RESTARTS)}")
    from pocketflex_nb.agents.protocol.errors import check_time

    if shutdown != "kill":
        check_time(shutdown, "shutdown")
    name = getattr(fn, "__name__", type(fn).__name__)
    return ChildSpec(fn, args, kwargs, id=name, restart=restart, shutdown=shutdown, type="task")
