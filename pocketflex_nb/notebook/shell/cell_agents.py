"""Ends the agents of a cell's previous execution, in order, before the cell runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflex_nb.core.context import CURRENT_CELL
from pocketflex_nb.notebook.shell.loaded_agents import stop_agents_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["enter_cell", "install_cell_agents", "remove_cell_agents"]


def install_cell_agents(shell: InteractiveShell) -> None:
    """Make each cell the owner of the agents that it starts."""
    shell.events.register("pre_run_cell", _begin)


def enter_cell(shell: InteractiveShell) -> None:
    """The cell that runs now owns what it starts from here on: it began before it was looked at."""
    parent: object = getattr(getattr(shell, "kernel", None), "get_parent", dict)()
    metadata = parent.get("metadata") if isinstance(parent, dict) else None
    CURRENT_CELL.set(str(metadata.get("cellId") or "") if isinstance(metadata, dict) else "")


def remove_cell_agents(shell: InteractiveShell) -> None:
    """Leave cells alone again."""
    shell.events.unregister("pre_run_cell", _begin)
    CURRENT_CELL.set(None)


def _begin(info: object = None) -> None:
    cell_id = getattr(info, "cell_id", None) or ""
    CURRENT_CELL.set(cell_id)
    if cell_id:
        stop_agents_of(cell_id)
