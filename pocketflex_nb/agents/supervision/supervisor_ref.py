"""`SupervisorRef`: the requests to a running supervisor."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.delivery import enqueue_system_message
from pocketflex_nb.agents.messaging.envelopes import InternalMessage, MethodCall
from pocketflex_nb.agents.supervision.child_info import ChildInfo, Counts
from pocketflex_nb.agents.supervision.child_spec import as_spec
from pocketflex_nb.core.errors import nearest

__all__ = ["SupervisorRef"]


class SupervisorRef(AgentRef):
    """The address of a supervisor: an agent's ref, with methods for its children.

    Notes
    -----
    Given by ``sup.ref``, `whereis`, and for a supervisor that is a child by ``sup["id"]``.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Supervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> ref = Supervisor([child(Idler, id="a"), Supervisor([Idler], name="inner")]).start_sync().ref
    >>> ref.count()
    Counts(specs=2, active=2, supervisors=1, workers=1)
    >>> [info.id for info in ref["inner"].children()]
    ['Idler']
    >>> ref.stop_sync()
    """

    __slots__ = ()

    def children(self) -> list[ChildInfo]:
        """The children in order, as they are now; empty when the supervisor has ended."""
        tree = self._incarnation.agent
        return [child.to_info() for child in list(tree.members())] if tree is not None else []

    def count(self) -> Counts:
        """How many there are."""
        infos = self.children()
        supervisors = sum(info.type == "supervisor" for info in infos)
        return Counts(len(infos), sum(info.ref is not None for info in infos), supervisors, len(infos) - supervisors)

    def __getitem__(self, id: Hashable) -> Any:
        infos = self.children()
        for info in infos:
            if info.id == id:
                return info.ref
        raise KeyError(f"{self.name} has no child {id!r}{nearest(str(id), [str(info.id) for info in infos])}")

    async def start_child(self, spec: object) -> AgentRef | None:
        """Add a child, last, and start it.

        Parameters
        ----------
        spec : child(...), class, template or supervisor
            What to start.

        Returns
        -------
        AgentRef or None
            None when its `init` returned `IGNORE`.

        Raises
        ------
        AlreadyStarted, AlreadyPresent
            Its id is taken by a running child; by one that does not run.
        StartError
            It did not start; nothing is kept.
        """
        ref: AgentRef | None = await self._ask("start_child", as_spec(spec))
        return ref

    async def terminate_child(self, id: Hashable) -> None:
        """Stop a child (a dynamic supervisor's: by its ref). Its spec stays, unless it is temporary, and it is not restarted.

        Parameters
        ----------
        id : hashable
            Which child.

        Raises
        ------
        NotFound
            No such child.
        """
        await self._ask("terminate_child", id)

    async def restart_child(self, id: Hashable) -> AgentRef | None:
        """Start a child that is not running, and return its ref.

        Parameters
        ----------
        id : hashable
            Which child.

        Raises
        ------
        NotFound, StillRunning, Restarting
            No such child; it runs; it is between two tries.
        StartError
            It did not start; its spec stays.
        """
        ref: AgentRef | None = await self._ask("restart_child", id)
        return ref

    def delete_child(self, id: Hashable) -> None:
        """Delete a child that is not running; called in another thread, in order with the messages of that thread.

        While the supervisor is suspended, a call from its own thread (which cannot wait) is carried out after `resume`.

        Parameters
        ----------
        id : hashable
            Which child.

        Raises
        ------
        NotFound, StillRunning, Restarting
            No such child; it runs, starts or stops; it is between two tries.
        """
        incarnation = self._incarnation
        agent = self._agent()
        if incarnation.host.can_call_now:
            if incarnation.mailbox.is_suspended and not incarnation.host.loop.is_closed():
                agent.check_deletable(id)
                enqueue_system_message(incarnation, InternalMessage(lambda incarnation: incarnation.agent.delete_if_stopped(id)))
            else:
                agent.delete_child(id)
            return
        waiting = self._ordered(lambda incarnation: incarnation.agent.delete_child(id), lambda incarnation: None, InternalMessage)
        waiting.wait()

    @property
    def zombies(self) -> int:
        """How many agents of this tree were killed and still run."""
        return sum(incarnation.slot.is_under(self.slot) for incarnation in list(self._incarnation.host.zombies))

    async def _ask(self, verb: str, *args: object) -> Any:
        return await self.call(MethodCall(verb, args), timeout=None)
