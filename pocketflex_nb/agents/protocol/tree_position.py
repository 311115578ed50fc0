"""The position of an agent in the supervision tree, which outlives the incarnations that occupy it."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Protocol, overload

from pocketflex_nb.agents.protocol.ref import Ref

__all__ = ["AGENT_INFOS", "AgentInfo", "Occupant", "RefFuture", "TreePosition", "info_of"]


class Occupant(Protocol):
    """The incarnation in a position, as the position sees it."""

    @property
    def ref(self) -> Ref:
        """Its address."""
        ...


class RefFuture(Protocol):
    """A future for the ref of the next occupant."""

    def done(self) -> bool:
        """Whether it is settled."""
        ...

    def set_result(self, value: Ref, /) -> object:
        """Settle it."""
        ...


class TreePosition:
    """One position in the tree: a restarted child gets a new ref in the same position.

    Attributes
    ----------
    id : hashable
        The child's id, or the name of a lone agent.
    parent : TreePosition or None
        The supervisor's slot.
    """

    __slots__ = ("_occupant", "_waiting", "id", "parent")

    def __init__(self, id: Hashable, parent: TreePosition | None = None) -> None:
        self.id, self.parent = id, parent
        self._occupant: weakref.ref[Occupant] | None = None
        self._waiting: list[RefFuture] | None = None

    def _occupy(self, incarnation: Occupant) -> None:
        """Set the incarnation that occupies this position from now on."""
        self._occupant = weakref.ref(incarnation)
        waiting, self._waiting = self._waiting, None
        for future in waiting or ():
            if not future.done():
                future.set_result(incarnation.ref)

    @property
    def path(self) -> str:
        """The path from the top: ``"team/writers/w1"``."""
        parts, slot = [], self.parent
        text = str(self.id)
        if slot is None:
            return text
        while slot is not None:
            parts.append(str(slot.id))
            slot = slot.parent
        return "/".join([*reversed(parts), text])

    @property
    def root(self) -> TreePosition:
        """The top of this tree."""
        slot = self
        while slot.parent is not None:
            slot = slot.parent
        return slot

    def is_under(self, other: TreePosition) -> bool:
        """Whether this is `other` or below it."""
        slot: TreePosition | None = self
        while slot is not None:
            if slot is other:
                return True
            slot = slot.parent
        return False

    def __repr__(self) -> str:
        return f"<TreePosition {self.path}>"


class AgentInfo:
    """The facts that the log keeps of one incarnation, without the agent's state, its reason or its refs.

    Attributes
    ----------
    slot : TreePosition
        Where it stands.
    pid : int
        Its number.
    type : "worker", "supervisor" or "task"
        What it is.
    cls : str
        Name of its class or function.
    restarts : int
        How often its child had been restarted when it began.
    callers : tuple of str
        Addresses of who asked for a task; the first is its owner.
    """

    __slots__ = ("callers", "cls", "pid", "restarts", "slot", "type")

    def __init__(self, slot: TreePosition, pid: int, type: str, cls: str) -> None:
        self.slot, self.pid, self.type, self.cls = slot, pid, type, cls
        self.restarts = 0
        self.callers: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Its path in the supervision tree."""
        return self.slot.path


#: by number: a message's record names its agents by their numbers, so that a long mailbox is no work for the garbage collector
AGENT_INFOS: dict[int, AgentInfo] = {}


@overload
def info_of(number: int | AgentInfo) -> AgentInfo: ...
@overload
def info_of(number: int | AgentInfo | None) -> AgentInfo | None: ...
def info_of(number: int | AgentInfo | None) -> AgentInfo | None:
    """The facts that a record refers to by number; None stays None."""
    if not isinstance(number, int):
        return number
    info = AGENT_INFOS.get(number)
    return info if info is not None else AgentInfo(TreePosition(f"agent {number}"), number, "worker", "")
