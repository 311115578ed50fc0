"""Ends the agents of a cell's previous execution, in order, before the cell runs again."""

from __future__ import annotations

import sys
from typing import Any

from pocketflex_nb.core.context import CURRENT_CELL

__all__ = ["install_cell_agents", "remove_cell_agents"]


def install_cell_agents(shell: Any) -> None:
    """Make each cell the owner of the agents that it starts."""
    shell.events.register("pre_run_cell", _begin)


def remove_cell_agents(shell: Any) -> None:
    """Leave cells alone again."""
    shell.events.unregister("pre_run_cell", _begin)
    CURRENT_CELL.set(None)


def _begin(info: Any = None) -> None:
    cell_id = getattr(info, "cell_id", None) or ""
    CURRENT_CELL.set(cell_id)
    scope: Any = sys.modules.get("pocketflex_nb.agents.actor.cell_scope")
    if scope is not None and cell_id:  # no agents yet, nothing to end
        scope.stop_scope(cell_id)
