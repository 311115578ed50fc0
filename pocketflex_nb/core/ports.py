"""The ports: callables that higher rooms fill in, so that core reaches the engine, the screen, the views and the journal.

Core imports no other room; the package root fills the ports. What it fills `screen`, `display` and `draw` with imports the notebook room
when it is first called in a notebook. Their types are in :mod:`pocketflex_nb.core.port_types`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pocketflex_nb.core.port_types import DisplayPort, DrawPort, EnginePort, ExportPort, JournalPort

__all__ = ["display", "draw", "engine", "export", "journal", "screen"]

#: the engine; filled by the package root, before anything can run
engine: EnginePort[Any, Any] = None  # type: ignore[assignment]  # the root fills it
#: prepares the notebook for live views before a run starts, and says whether one can be shown; filled by the package root
screen: Callable[[], bool] = None  # type: ignore[assignment]  # the root fills it
#: shows things on the screen; filled by the package root
display: DisplayPort = None  # type: ignore[assignment]  # the root fills it
#: draws things that are a cell's last value; filled by the package root
draw: DrawPort = None  # type: ignore[assignment]  # the root fills it
#: writes things in a form; filled by the package root
export: ExportPort = None  # type: ignore[assignment]  # the root fills it
#: opens journals; filled by the package root
journal: JournalPort | None = None
