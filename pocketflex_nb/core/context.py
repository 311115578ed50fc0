"""The context variables: the current frame, agent and notebook cell, and whether the running step is still wanted.

A *frame* is the cursor of one walk of one flow, or of one branch or batch item of it; the engine makes frames and sets `CURRENT_FRAME` once
per walk. Core reads only these attributes of it, all plain:

- ``run``: the run, with ``name`` and ``live_class(code)``; ``parent``: the frame this one was entered from, or None
- ``node``: the node in flight (the original, not the visit's copy); ``path(node)``: its graph path, e.g. ``"research/search"``
- ``scope``: the frame of the nearest walk around on a store of its own, its ``private``; None on the run's store
- ``began``: the store's `version` when the node in flight began its `prep` (set by the engine for a `Store` only)
- ``life``: what `CURRENT_AGENT` was when it was made
- ``timed``: whether each write takes the time; the walk gives its changes that of the hop's end if not
- ``touched``: dict of cell -> store for mutable values read or written since, or None
- ``undo``: while a try may fail, a dict in which stores note the values that it replaces; else None
- ``writers``: dict of node -> writer, or None: made and kept by stores, so that a name is told once a walk and node
- ``page``, ``at``: the place of the first change that the node in flight made, ``page`` None if there is none; ``changes``: the flat
  list of the places of all its changes, or None while there is one at most
- ``fenced``: True when the step was abandoned: its late writes are dropped
- ``note(kind, **data)``: append an event to the run's log
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

__all__ = ["CURRENT_AGENT", "CURRENT_CELL", "CURRENT_FRAME", "still_wanted", "walked_with"]

#: the frame of the walk that the running code belongs to, or None outside of any run
CURRENT_FRAME: ContextVar[Any] = ContextVar("pocketflex_nb_frame", default=None)

#: the life of the agent or task that the running code belongs to (set once per life), or None outside of any. A zombie's has
#: ``fenced`` True: what it still sends or writes is dropped
CURRENT_AGENT: ContextVar[Any] = ContextVar("pocketflex_nb_agent", default=None)

#: the notebook cell that the running code belongs to: its id, ``""`` where the front end sends none, None outside of a notebook
CURRENT_CELL: ContextVar[str | None] = ContextVar("pocketflex_nb_cell", default=None)


def walked_with(frame: Any) -> Any:
    """The store that the walk of `frame` uses: the private one of the nearest enclosing flow that has one, else the run's."""
    scope = getattr(frame, "scope", None)
    return getattr(frame.run, "store", None) if scope is None else scope.private


def still_wanted() -> Callable[[], bool]:
    """What tells whether the step or agent that calls this now still counts: once its run has abandoned it, it must take nothing more."""
    frame, life = CURRENT_FRAME.get(), CURRENT_AGENT.get()
    return lambda: not (getattr(frame, "fenced", False) or getattr(life, "fenced", False))
