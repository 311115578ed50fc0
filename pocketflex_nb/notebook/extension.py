"""What does ``%load_ext pocketflex_nb`` change in a shell? What `load` adds and `unload` takes back."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.notebook import await_cell, cell_scope, complete, formatters, lanes
from pocketflex_nb.notebook.magics import PocketflexMagics
from pocketflex_nb.notebook.show import begin_cell, show

__all__ = ["load", "unload"]

_loaded: set[int] = set()


def load(shell: Any) -> None:
    """Add magics, awaited cells, completion, pictures and lanes to `shell`. Loading again changes nothing."""
    if id(shell) in _loaded:
        return
    _loaded.add(id(shell))
    shell.register_magics(PocketflexMagics)
    await_cell.install(shell)
    shell.events.register("pre_run_cell", begin_cell)
    cell_scope.install(shell)
    complete.install(shell)
    formatters.register(shell)
    lanes.install()
    ports.display = show


def unload(shell: Any) -> None:
    """Leave `shell` as it was found."""
    if id(shell) not in _loaded:
        return
    _loaded.discard(id(shell))
    for kind in ("line", "cell"):
        for name in ("pocketflex", "pf"):
            shell.magics_manager.magics[kind].pop(name, None)
    shell.magics_manager.registry.pop(PocketflexMagics.__name__, None)
    await_cell.remove(shell)
    shell.events.unregister("pre_run_cell", begin_cell)
    cell_scope.remove(shell)
    complete.remove(shell)
    formatters.unregister(shell)
    lanes.remove()
    ports.display = None
