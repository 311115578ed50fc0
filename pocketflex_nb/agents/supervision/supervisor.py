"""`Supervisor`, as users write it: ``async with Supervisor([...]) as sup``."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from typing import Any, Self

from pocketflex_nb.agents.actor.cell_scope import adopt, evict_namesake
from pocketflex_nb.agents.actor.start_agent import bring_up, named
from pocketflex_nb.agents.host.agent_host import AgentHost, Engine, host_for
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.host.log_events import EventView
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.monitors import Monitor
from pocketflex_nb.agents.protocol.errors import AlreadyStarted, NotRunning, StartError, SupervisorExit
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, Shutdown, is_reason
from pocketflex_nb.agents.protocol.tree_position import TreePosition
from pocketflex_nb.agents.supervision.behaviour import SupervisorBehaviour, SupervisorIncarnation
from pocketflex_nb.agents.supervision.child_info import ChildInfo, Counts
from pocketflex_nb.agents.supervision.child_spec import as_spec, check_specs
from pocketflex_nb.agents.supervision.restart_intensity import Intensity
from pocketflex_nb.agents.supervision.supervisor_options import SupervisorOptions, check_auto_shutdown, check_strategy
from pocketflex_nb.agents.supervision.supervisor_ref import SupervisorRef
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.self_display import SelfDisplay

__all__ = ["AnySupervisor", "Supervisor"]

class AnySupervisor(SelfDisplay):
    """The base of all supervisors: start, stop, ``async with``, events. Not instantiated by itself."""

    _pfx_behaviour: type[SupervisorBehaviour] = SupervisorBehaviour
    _pfx_incarnation: type[SupervisorIncarnation] = SupervisorIncarnation

    def __init__(self, options: SupervisorOptions, *, name: Hashable, clock: Clock | None, engine: Engine, keep: bool) -> None:
        Intensity(options.max_restarts, options.max_seconds)
        self._options, self.name, self._clock, self._engine, self._keep = options, name, clock, engine, keep
        self._life: SupervisorIncarnation | None = None
        self._body: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._was_stopped = self._was_struck = self._gave_up = False

    # start and end --------------------------------------------------------------------------------------------------------
    async def start(self) -> Self:
        """Start it and its children, in order, and return itself.

        Raises
        ------
        StartError
            A child did not start; those that had are stopped again.
        AlreadyStarted
            The name is taken, or this supervisor runs already.
        """
        host = host_for(self._engine, self._clock)
        await host.do(self._begin, host)
        return self

    def start_sync(self) -> Self:
        """`start` from plain code, on the engine thread."""
        host = host_for(None, self._clock)
        host.do_sync(self._begin, host)
        return self

    async def _begin(self, host: AgentHost) -> None:
        if self._life is not None and self._life.status is not DEAD:
            raise AlreadyStarted(self._life.ref, self._life.name)
        await evict_namesake(self.name)
        incarnation = self._pfx_incarnation(host, self._pfx_behaviour, TreePosition(named(self.name)))
        if self.name is None:
            incarnation.slot.id = self._free_name(incarnation.pid)
        if CURRENT_AGENT.get() is None:
            adopt(incarnation, self._keep)
        self._was_stopped = self._was_struck = False
        try:
            await bring_up(incarnation, self.name, (self._options,), {})
        except StartError as exc:
            if isinstance(exc.reason, Shutdown) and isinstance(exc.reason.term, StartError):
                raise exc.reason.term from exc.reason.term.__cause__
            raise
        self._life = incarnation

    def _free_name(self, pid: int) -> str:
        return f"{type(self).__name__}-{pid}"

    def _bind_incarnation(self, incarnation: SupervisorIncarnation) -> None:
        """For a supervisor that is a child: bind this object to the present incarnation."""
        self._life = incarnation

    async def stop(self, reason: object = "normal", timeout: float | None = None) -> None:
        """Stop its children in its order, then itself; does nothing when `stop` or `exit` has ended it already.

        Parameters
        ----------
        reason : object
            Its exit reason.
        timeout : float or None
            Seconds, by its clock; None: as long as the children take.

        Raises
        ------
        NotRunning
            It was never started, or it ended by itself, as one that has used up its restarts does.
        AgentDown, CallTimeout
            As `AgentRef.stop`.
        """
        if not self._has_ended_as_asked():
            self._was_stopped = True
            await self.ref.stop(reason, timeout)

    def stop_sync(self, reason: object = "normal", timeout: float | None = None) -> None:
        """`stop` from plain code.

        Parameters
        ----------
        reason : object
            Its exit reason.
        timeout : float or None
            Seconds, by its clock; None: as long as the children take.
        """
        if not self._has_ended_as_asked():
            self._was_stopped = True
            self.ref.stop_sync(reason, timeout)

    def _has_ended_as_asked(self) -> bool:
        return (self._was_stopped or self._was_struck) and self._life is not None and self._life.status is DEAD

    def exit(self, reason: object = "shutdown") -> None:
        """Send it an exit signal; ``"kill"`` ends it and its children.

        Parameters
        ----------
        reason : object
            See `AgentRef.exit`.
        """
        self.ref.exit(reason)
        self._was_struck = self._was_struck or not is_reason(reason, "normal")

    def monitor(self) -> Monitor:
        """See `AgentRef.monitor`."""
        return self.ref.monitor()

    async def __aenter__(self) -> Self:
        await self.start()
        self._body = asyncio.current_task()
        self._watch = asyncio.get_running_loop().create_task(self._watch_over(self.monitor()))
        return self

    async def _watch_over(self, monitor: Monitor) -> None:
        down = await monitor
        if not self._was_stopped and down.reason != "normal":
            self._gave_up = True
            if self._body is not None:
                self._body.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._gave_up:
            self._gave_up = False
            await self._take_back_cancel(kind)
            if kind is None or issubclass(kind, asyncio.CancelledError):
                raise SupervisorExit(self.reason) from None
        elif self._life is not None and self._life.status is not DEAD:
            await self._stop_at_exit()
        elif not self._was_stopped and self.reason != "normal" and kind is None:
            raise SupervisorExit(self.reason)

    async def _take_back_cancel(self, kind: type[BaseException] | None) -> None:
        """Withdraw the cancellation of the body that this supervisor requested, so that no outer code sees it."""
        if kind is None or not issubclass(kind, asyncio.CancelledError):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass
        if self._body is not None and self._body.cancelling():
            self._body.uncancel()

    async def _stop_at_exit(self) -> None:
        try:
            await self.stop()
        except NotRunning:  # it ended by itself meanwhile
            pass

    # what it is ------------------------------------------------------------------------------------------------------
    @property
    def ref(self) -> SupervisorRef:
        """Its address.

        Raises
        ------
        NotRunning
            It was never started.
        """
        if self._life is None:
            raise NotRunning(str(self.name or type(self).__name__), ": start it with `await sup.start()` or `async with`")
        return self._life.ref

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._life is not None and bool(self._life.ref.is_alive)

    @property
    def reason(self) -> Any:
        """Its exit reason; None while it runs."""
        return self._life.reason if self._life is not None else None

    @property
    def events(self) -> EventView:
        """The events of its tree: a list of the kept ones, and an async iterator."""
        incarnation = self.ref._incarnation
        return EventView(incarnation.host.log, incarnation.slot, lambda: incarnation.status is DEAD)

    @property
    def zombies(self) -> int:
        """How many agents of this tree were killed and still run."""
        return self.ref.zombies

    def children(self) -> list[ChildInfo]:
        """The children in order, as they are now."""
        return self.ref.children()

    def count(self) -> Counts:
        """How many there are."""
        return self.ref.count()

    def tree(self) -> dict[str, Any]:
        """The whole tree as plain data, as it is now: what the live picture shows."""
        from pocketflex_nb.agents.supervision.tree_snapshot import snapshot

        return snapshot(self.ref) | {"strategy": self._options.strategy}     # which an ended incarnation no longer knows

    def __repr__(self) -> str:
        if self._life is None:
            return f"<{type(self).__name__} {self.name or ''} not started>"
        return f"<{type(self).__name__} {self.ref.address}: {self.count().active} of {self.count().specs} children run>"


class Supervisor(AnySupervisor):
    """Starts children in order, restarts them by rule, stops them in reverse.

    Parameters
    ----------
    children : iterable
        ``child(...)`` specs, agent classes, templates such as ``Counter(3)``, or supervisors.
    strategy : "one_for_one", "rest_for_one" or "one_for_all"
        Who is restarted when one ends: it; it and those started after it; all.
    max_restarts, max_seconds : int, float
        More than `max_restarts` within `max_seconds` and the supervisor ends as ``"shutdown"``.
    auto_shutdown : "never", "any_significant" or "all_significant"
        Whether it ends with its significant children.
    name : hashable or Via
        Registered name.
    clock, engine
        See `Agent.start`.
    keep : bool
        Let it live on when the cell that started it is run again.
    strict : bool
        Its agents copy their messages and refuse what could not travel to a process.

    Raises
    ------
    BadSpec
        Before anything starts.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Supervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> sup = Supervisor([child(Idler, id="a"), child(Idler, id="b")]).start_sync()
    >>> [info.id for info in sup.children()]
    ['a', 'b']
    >>> sup.stop_sync()
    """

    def __init__(
        self,
        children: Iterable[object] = (),
        *,
        strategy: str = "one_for_one",
        max_restarts: int = 3,
        max_seconds: float = 5.0,
        auto_shutdown: str = "never",
        name: Hashable = None,
        clock: Clock | None = None,
        engine: Engine = None,
        keep: bool = False,
        strict: bool = False,
    ) -> None:
        check_strategy(strategy)
        check_auto_shutdown(auto_shutdown)
        specs = [as_spec(item) for item in children]
        check_specs(specs, auto_shutdown)
        options = SupervisorOptions(tuple(specs), strategy, max_restarts, max_seconds, auto_shutdown, strict=strict)
        super().__init__(options, name=name, clock=clock, engine=engine, keep=keep)

    def __getitem__(self, id: Hashable) -> Any:
        return self.ref[id]

    async def start_child(self, spec: object) -> AgentRef | None:
        """Add the child that `spec` describes, last, and start it: see `SupervisorRef.start_child`.

        Parameters
        ----------
        spec : child(...), class, template or supervisor
            What to start.
        """
        return await self.ref.start_child(spec)

    async def terminate_child(self, id: Hashable) -> None:
        """Stop the child `id` and do not restart it: see `SupervisorRef.terminate_child`.

        Parameters
        ----------
        id : hashable
            Which child.
        """
        await self.ref.terminate_child(id)

    async def restart_child(self, id: Hashable) -> AgentRef | None:
        """Start the child `id`, which is not running, and return its ref: see `SupervisorRef.restart_child`.

        Parameters
        ----------
        id : hashable
            Which child.
        """
        return await self.ref.restart_child(id)

    def delete_child(self, id: Hashable) -> None:
        """Delete the child `id`, which is not running: see `SupervisorRef.delete_child`.

        Parameters
        ----------
        id : hashable
            Which child.
        """
        self.ref.delete_child(id)
