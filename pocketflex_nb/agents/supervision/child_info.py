"""`ChildInfo` and `Counts`: a supervisor's answers about its children."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from pocketflex_nb.agents.messaging.agent_ref import AgentRef

__all__ = ["ChildInfo", "Counts"]


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """The present state of a child.

    Parameters
    ----------
    id : hashable
        By which the supervisor knows it.
    ref : AgentRef or None
        Its address, while it runs.
    status : "running", "restarting" or "stopped"
        What it does.
    type : "worker" or "supervisor"
        What it is.
    restarts : int
        How often it was restarted.
    version : int
        Number of code versions seen.
    is_stale : bool
        It runs older code than the notebook has now.
    error : str or None
        Why it ended last.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Supervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> sup = Supervisor([child(Idler, id="a")]).start_sync()
    >>> [info] = sup.children()
    >>> info.id, info.status, info.restarts, info.ref is sup["a"]
    ('a', 'running', 0, True)
    >>> sup.stop_sync()
    """

    id: Hashable
    ref: AgentRef | None
    status: str
    type: str
    restarts: int
    version: int = 1
    is_stale: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many children a supervisor has: specs, running ones, and the types of the specs.

    Parameters
    ----------
    specs : int
        Children that it knows, running or not.
    active : int
        Those that run.
    supervisors, workers : int
        Of `specs`, by type.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Supervisor
    >>> class Idler(Agent):
    ...     pass
    >>> sup = Supervisor([Idler]).start_sync()
    >>> sup.count()
    Counts(specs=1, active=1, supervisors=0, workers=1)
    >>> specs, active, supervisors, workers = sup.count()
    >>> sup.stop_sync()
    """

    specs: int
    active: int
    supervisors: int
    workers: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.specs, self.active, self.supervisors, self.workers))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, Counts)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))
