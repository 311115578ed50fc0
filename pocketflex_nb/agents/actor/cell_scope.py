"""Ties agents to the notebook cell that started them; when the cell runs again, they are ended in order.

The notebook sets `core.context.CURRENT_CELL` before each cell, and calls `stop_scope(cell_id)`; what the cell's code starts then,
outside of other agents, belongs to the cell. Where the front end sends no cell id, starting a named agent ends the earlier one of that
name.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable

from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.actor.stop_agent import Stoppable, stop_incarnation
from pocketflex_nb.agents.host.agent_host import KILL_GRACE, hosts
from pocketflex_nb.agents.messaging.envelopes import Addressee
from pocketflex_nb.agents.messaging.name_table import registry_and_key
from pocketflex_nb.agents.protocol.exit_reasons import DEAD
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.concurrency.interruptible import wait_interruptibly
from pocketflex_nb.core.context import CURRENT_CELL

__all__ = ["SCOPE_TIMEOUT", "Scope", "adopt", "evict_namesake", "living", "start_scope", "stop_scope"]

#: seconds that re-running a cell waits for its old agents, before it kills what is left
SCOPE_TIMEOUT = 10.0

_scopes: dict[str, Scope] = {}
_lock = threading.Lock()


class Scope:
    """The agents that one cell started.

    Attributes
    ----------
    cell_id : str
        Which cell; ``""`` where the front end does not say.
    members : list of AgentRef
        Living tops of trees, in order of their start.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, start_scope, stop_scope
    >>> class Idler(Agent):
    ...     pass
    >>> cell = start_scope("cell-1")
    >>> ref = Idler.start_sync(name="idler")
    >>> cell
    <Scope 'cell-1': 1 agents>
    >>> [member.name for member in cell.members]
    ['idler']
    >>> stop_scope("cell-1")
    """

    __slots__ = ("_incarnations", "cell_id")

    def __init__(self, cell_id: str) -> None:
        self.cell_id = cell_id
        self._incarnations: dict[Addressee, None] = {}

    @property
    def members(self) -> list[Ref]:
        """Refs of the top-level agents that are running, in order of their start."""
        return [incarnation.ref for incarnation in list(self._incarnations) if incarnation.status is not DEAD]

    def _add(self, incarnation: Addressee) -> None:
        """Add `incarnation` until it ends."""
        self._incarnations[incarnation] = None
        incarnation.cleanups = [*(incarnation.cleanups or ()), self._drop]

    def _drop(self, incarnation: Addressee) -> None:
        """Remove `incarnation`, which ended."""
        self._incarnations.pop(incarnation, None)

    def __repr__(self) -> str:
        return f"<Scope {self.cell_id!r}: {len(self.members)} agents>"


def start_scope(cell_id: str | None) -> Scope:
    """End what `cell_id` started before, and register what the code of this context starts from now on. For plain threads.

    Parameters
    ----------
    cell_id : str or None
        Id of the cell; None where cells have none.

    Returns
    -------
    Scope
        What the cell has started so far: nothing.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, start_scope, stop_scope
    >>> class Idler(Agent):
    ...     pass
    >>> _ = start_scope("cell-2")
    >>> old = Idler.start_sync()
    >>> _ = start_scope("cell-2")        # the cell is run again
    >>> old.status
    'dead'
    >>> stop_scope("cell-2")
    """
    stop_scope(cell_id)
    CURRENT_CELL.set(cell_id or "")
    return _scope_of(cell_id or "")


def _scope_of(cell_id: str) -> Scope:
    with _lock:
        return _scopes.setdefault(cell_id, Scope(cell_id))


def stop_scope(cell_id: str | None, *, patience: float = SCOPE_TIMEOUT) -> None:
    """End what `cell_id` started, last first, each in its own order; waits, and kills what takes more than `patience` seconds.

    Parameters
    ----------
    cell_id : str or None
        Id of the cell; nothing happens without one.
    patience : float
        Seconds for each agent to end in an orderly way.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, start_scope, stop_scope
    >>> class Idler(Agent):
    ...     pass
    >>> _ = start_scope("cell-3")
    >>> lost, kept = Idler.start_sync(), Idler.start_sync(keep=True)
    >>> stop_scope("cell-3")
    >>> lost.status, kept.status
    ('dead', 'running')
    >>> kept.stop_sync()
    """
    with _lock:
        scope = _scopes.pop(cell_id, None) if cell_id else None
    if scope is None:
        return
    for ref in reversed(scope.members):
        _stop_hard(ref, patience)


def _stop_hard(ref: Ref, patience: float) -> None:
    host = ref._incarnation.host
    if host.loop.is_closed():
        return
    future = asyncio.run_coroutine_threadsafe(_stop(ref._incarnation), host.loop)
    try:
        wait_interruptibly(future, patience)
    except TimeoutError:
        ref.exit("kill")
        ref.monitor().wait(10 * KILL_GRACE)


async def _stop(incarnation: Stoppable) -> None:
    await stop_incarnation(incarnation, None)


def adopt(incarnation: Addressee, keep: bool) -> None:
    """Register an unsupervised incarnation with the current cell."""
    cell_id = CURRENT_CELL.get()
    if cell_id is not None and not keep:
        _scope_of(cell_id)._add(incarnation)


async def evict_namesake(name: Hashable) -> None:
    """Where cells have no id: end the agent of the same name that an earlier cell started."""
    if name is None or CURRENT_CELL.get() != "":
        return
    registry, key = registry_and_key(name)
    old = registry.whereis(key)
    incarnation = old._incarnation if old is not None else None
    if isinstance(incarnation, Incarnation) and incarnation.supervisor is None and _is_anonymous(incarnation):
        await _stop(incarnation)


def _is_anonymous(incarnation: Addressee) -> bool:
    owners = [getattr(cleanup, "__self__", None) for cleanup in incarnation.cleanups or ()]
    return any(isinstance(owner, Scope) and not owner.cell_id for owner in owners)


def living() -> list[Ref]:
    """Refs of every agent, supervisor and task without a supervisor in this process, oldest first.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, living
    >>> class Idler(Agent):
    ...     pass
    >>> ref = Idler.start_sync()
    >>> ref in living()
    True
    >>> ref.stop_sync()
    >>> ref in living()
    False
    """
    return [incarnation.ref for host in hosts() for incarnation in list(host.incarnations.values()) if incarnation.supervisor is None]
