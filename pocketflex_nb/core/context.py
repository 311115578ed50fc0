"""The context variables: the current frame, agent and notebook cell, and whether the running step is still wanted.

A *frame* is the activation record of one walk of one flow, or of one branch or batch item of it; the engine makes frames and sets
`CURRENT_FRAME` once per walk. What core reads of frames, runs and agents is listed in :mod:`pocketflex_nb.core.ports`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["CURRENT_AGENT", "CURRENT_CELL", "CURRENT_FRAME", "still_wanted", "walked_with"]

#: the frame of the walk that the running code belongs to, or None outside of any run. Readers annotate it with the type that their room
#: knows: ``frame: WalkFrame | None = CURRENT_FRAME.get()``, in the engine `Frame`
CURRENT_FRAME: ContextVar[Any] = ContextVar("pocketflex_nb_frame", default=None)

#: the incarnation of the agent or task that the running code belongs to (`RunningAgent`; set once each), or None outside of any. A zombie's
#: has ``fenced`` True: what it still sends or writes is dropped
CURRENT_AGENT: ContextVar[Any] = ContextVar("pocketflex_nb_agent", default=None)

#: the notebook cell that the running code belongs to: its id, ``""`` where the front end sends none, None outside of a notebook
CURRENT_CELL: ContextVar[str | None] = ContextVar("pocketflex_nb_cell", default=None)


def walked_with(frame: WalkFrame) -> object:
    """The store that the walk of `frame` uses: the private one of the nearest enclosing flow that has one, else the run's."""
    scope = getattr(frame, "scope", None)
    return getattr(frame.run, "store", None) if scope is None else scope.private


def still_wanted() -> Callable[[], bool]:
    """A function that tells whether the step or agent that calls this now is still wanted; an abandoned one must take nothing more."""
    frame, agent = CURRENT_FRAME.get(), CURRENT_AGENT.get()
    return lambda: not (getattr(frame, "fenced", False) or getattr(agent, "fenced", False))
