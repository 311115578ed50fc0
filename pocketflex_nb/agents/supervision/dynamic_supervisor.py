"""Supervisors whose children are started at run time and addressed by ref."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable

from pocketflex_nb.agents.host.agent_host import Engine
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import Addressee
from pocketflex_nb.agents.protocol.directives import Stop
from pocketflex_nb.agents.protocol.errors import AlreadyStarted, BadSpec, MaxChildren, NotFound, ReplyError, StartError
from pocketflex_nb.agents.protocol.exit_reasons import format_reason
from pocketflex_nb.agents.protocol.tree_position import TreePosition
from pocketflex_nb.agents.supervision.behaviour import SupervisorBehaviour, check_ok
from pocketflex_nb.agents.supervision.child import Child, bring_up_child
from pocketflex_nb.agents.supervision.child_spec import ChildSpec, as_spec
from pocketflex_nb.agents.supervision.supervisor import AnySupervisor
from pocketflex_nb.agents.supervision.supervisor_options import SupervisorOptions

__all__ = ["DynamicSupervisor", "DynamicSupervisorBehaviour", "check_limit"]


class DynamicSupervisorBehaviour(SupervisorBehaviour):
    """The agent that runs a `DynamicSupervisor`."""

    async def init(self, options: SupervisorOptions) -> Stop | None:
        """Begin without children."""
        self.by_slot: dict[TreePosition, Child] = {}
        self.count_started = 0
        return await super().init(options)

    def members(self) -> Iterable[Child]:
        """The children, oldest first."""
        return self.by_slot.values()

    async def start_child(self, spec: ChildSpec) -> AgentRef | None:
        """See `DynamicSupervisor.start_child`."""
        check_ok(_check_dynamic, spec)
        self.check_room()
        child = self.admit(spec)
        try:
            if not await self._start(child):
                del self.by_slot[child.slot]
        except (StartError, AlreadyStarted) as exc:
            self.by_slot.pop(child.slot, None)
            raise ReplyError(exc) from None
        return child.ref

    def check_room(self) -> None:
        """Raise for one child too many; those being restarted count."""
        limit = self.options.max_children
        if limit is not None and len(self.by_slot) >= limit:
            raise ReplyError(MaxChildren(limit))

    def position(self, spec: ChildSpec) -> Child:
        """A new tree position for `spec`; ids may repeat, so it is numbered."""
        self.count_started += 1
        child = Child(spec, self.incarnation.slot)
        child.slot.id = f"{spec.id}-{self.count_started}"
        return child

    def admit(self, spec: ChildSpec) -> Child:
        """A child of `spec`, in a position of its own."""
        child = self.position(spec)
        self.by_slot[child.slot] = child
        return child

    async def _start(self, child: Child) -> bool:
        return await bring_up_child(self.incarnation, child, self.options.extra_args)

    async def child_ended(self, child: Child, incarnation: Addressee, reason: object) -> Stop | None:
        """See `SupervisorBehaviour.child_ended`."""
        if self.by_slot.get(child.slot) is not child:
            return None
        return await super().child_ended(child, incarnation, reason)

    def _forget_temporary(self, child: Child) -> None:
        self.by_slot.pop(child.slot, None)  # no spec outlives its child here

    async def restart(self, child: Child, reason: object) -> Stop | None:
        """Restart it in its position, or give up."""
        child.incarnation = None
        if not self.allows_restart(child, reason):
            return Stop("shutdown")
        child.restarts += 1
        child.is_restarting = True
        try:
            if not await self._start(child):
                del self.by_slot[child.slot]
        except (StartError, AlreadyStarted) as exc:
            child.error = format_reason(exc.__cause__ or exc)
            self.retry_later(child, reason)
        return None

    async def _retry(self, child: Child, reason: object) -> Stop | None:
        if not child.is_restarting or self.by_slot.get(child.slot) is not child or self.is_over:
            return None
        return await self.restart(child, reason)

    async def terminate_child(self, id: Hashable) -> None:
        """See `DynamicSupervisor.terminate_child`."""
        child = self.by_slot.get(getattr(id, "slot", None))  # type: ignore[arg-type]  # None finds nothing
        if child is None:
            raise ReplyError(NotFound(id, ": give the ref that start_child gave"))
        del self.by_slot[child.slot]
        await self._stop(child)

    async def _end_children(self) -> None:
        """Stop all children at once, each within its own time."""
        self.is_over = True
        children, self.by_slot = list(self.by_slot.values()), {}
        if children:
            await asyncio.gather(*(self._stop(child) for child in children))


def _check_dynamic(spec: ChildSpec) -> None:
    if spec.significant:
        raise BadSpec(f"child {spec.id!r} is significant: a dynamic supervisor has no significant children")


def check_limit(max_children: int | None) -> None:
    """Raise for an invalid limit."""
    if max_children is not None and (isinstance(max_children, bool) or not isinstance(max_children, int) or max_children < 0):
        raise BadSpec(f"max_children={max_children!r}: give a whole number, 0 or more, or None for no limit")


class DynamicSupervisor(AnySupervisor):
    """Children that are started at run time, restarted one for one, and stopped all at once.

    Parameters
    ----------
    max_children : int or None
        Those being restarted count.
    extra_args : tuple
        Come before the child's own arguments, at restarts too.
    max_restarts, max_seconds, name, clock, engine, keep, strict
        See `Supervisor`.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, DynamicSupervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> import asyncio
    >>> async def main():
    ...     async with DynamicSupervisor() as ds:
    ...         await ds.start_child(Idler)
    ...         await ds.start_child(Idler)
    ...         return ds.count().active
    >>> asyncio.run(main())
    2
    """

    _pfx_behaviour = DynamicSupervisorBehaviour

    def __init__(
        self,
        *,
        max_children: int | None = None,
        extra_args: Iterable[object] = (),
        max_restarts: int = 3,
        max_seconds: float = 5.0,
        name: Hashable = None,
        clock: Clock | None = None,
        engine: Engine = None,
        keep: bool = False,
        strict: bool = False,
    ) -> None:
        check_limit(max_children)
        options = SupervisorOptions(
            max_restarts=max_restarts,
            max_seconds=max_seconds,
            max_children=max_children,
            extra_args=tuple(extra_args),
            strict=strict,
        )
        super().__init__(options, name=name, clock=clock, engine=engine, keep=keep)

    async def start_child(self, spec: object) -> AgentRef | None:
        """Start a child: a ``child(...)``, a class, a template.

        Parameters
        ----------
        spec : child(...), class, template or supervisor
            What to start; its id need not differ from others'.

        Returns
        -------
        AgentRef or None
            None when its `init` returned `IGNORE`; nothing is kept then.

        Raises
        ------
        MaxChildren
            One too many.
        StartError
            It did not start; nothing is kept.
        """
        return await self.ref.start_child(as_spec(spec))

    async def terminate_child(self, ref: AgentRef) -> None:
        """Stop a child; also one between two restarts, by any of its refs.

        Parameters
        ----------
        ref : AgentRef
            Which child.

        Raises
        ------
        NotFound
            No such child.
        """
        await self.ref.terminate_child(ref)
