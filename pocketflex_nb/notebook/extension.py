"""The IPython extension ``pocketflex_nb``: what `load` adds to a shell and `unload` takes back.

Live views need no extension: the first launch in a kernel calls `follow_cells`, which is the part of `load` that views rest on.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary, WeakSet

from IPython.core.interactiveshell import InteractiveShell

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core import ports
from pocketflex_nb.core.port_types import DisplayPort
from pocketflex_nb.notebook.cells.show import begin_cell, show
from pocketflex_nb.notebook.magics.completion import install_completion, remove_completion
from pocketflex_nb.notebook.magics.magics import PocketflexMagics
from pocketflex_nb.notebook.requests.diagram_reload import install_diagram_reload, remove_diagram_reload
from pocketflex_nb.notebook.shell.awaitable_magics import install_awaitable_magics, remove_awaitable_magics
from pocketflex_nb.notebook.shell.cell_agents import enter_cell, install_cell_agents, remove_cell_agents
from pocketflex_nb.notebook.shell.cell_interrupts import install_interrupts, remove_interrupts
from pocketflex_nb.notebook.shell.output_capture import install_output_capture, remove_output_capture
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.view_lifetimes import install_lifetimes, remove_lifetimes

__all__ = ["follow_cells", "load", "unload"]

#: loaded shells, each with the magics of other packages that ours stand in for
_loaded: WeakKeyDictionary[object, dict[tuple[str, str], object]] = WeakKeyDictionary()
#: shells whose cells are followed
_followed: WeakSet[InteractiveShell] = WeakSet()
#: what `load` found in the ports
_ports_before: list[tuple[Callable[[], bool], DisplayPort]] = []
_NAMES = [(kind, name) for kind in ("line", "cell") for name in ("pocketflex", "pf")]


def load(shell: object) -> None:
    """Add magics, awaited cells, completion, views and lanes to `shell`. Loading again changes nothing."""
    if not isinstance(shell, InteractiveShell):
        raise TypeError(f"an IPython shell is needed, got {type(shell).__name__}")
    if shell in _loaded:
        return
    magics = shell.magics_manager.magics
    _loaded[shell] = {(kind, name): magics[kind][name] for kind, name in _NAMES if name in magics[kind]}
    shell.register_magics(PocketflexMagics)
    follow_cells(shell)
    install_awaitable_magics(shell)
    install_completion(shell)
    install_diagram_reload(shell)
    if not _ports_before:
        _ports_before.append((ports.screen, ports.display))
    ports.screen, ports.display = _has_screen, show
    if not hasattr(shell, "_last_traceback"):  # ipykernel 7.4 reads it for its reply; a usage error, shown without one, never set it
        shell.__dict__["_last_traceback"] = None


def follow_cells(shell: InteractiveShell) -> None:
    """Do for the cells of `shell` what live views rest on: lanes for prints, a view per cell, the stop button, the ends of views."""
    if shell in _followed:
        return
    _followed.add(shell)
    install_interrupts(shell)
    install_lifetimes(shell)
    shell.events.register("pre_run_cell", begin_cell)
    install_cell_agents(shell)
    install_output_capture()
    shell.events.register("post_run_cell", refresh_loop.finish)
    _guard_input(getattr(shell, "kernel", None))
    enter_cell(shell)


def _leave_cells(shell: InteractiveShell) -> None:
    """Undo `follow_cells`."""
    if shell not in _followed:
        return
    _followed.discard(shell)
    remove_interrupts(shell)
    remove_lifetimes(shell)
    shell.events.unregister("pre_run_cell", begin_cell)
    shell.events.unregister("post_run_cell", refresh_loop.finish)
    remove_cell_agents(shell)
    remove_output_capture()


def _has_screen() -> bool:
    return True


def _guard_input(kernel: object) -> None:
    """Make `input` raise on the engine thread, during cells and between them: ipykernel replaces it for each cell."""
    for name in ("raw_input", "_sys_raw_input"):
        if (read := getattr(kernel, name, None)) is not None:
            setattr(kernel, name, engine_thread.guard_input(read))


def unload(shell: object) -> None:
    """Restore `shell` to its state before `load`."""
    if not isinstance(shell, InteractiveShell) or shell not in _loaded:
        return
    before, magics = _loaded.pop(shell), shell.magics_manager.magics
    for kind, name in _NAMES:
        magics[kind].pop(name, None)
        if (kind, name) in before:
            magics[kind][name] = before[kind, name]
    shell.magics_manager.registry.pop(PocketflexMagics.__name__, None)
    remove_awaitable_magics(shell)
    remove_completion(shell)
    remove_diagram_reload(shell)
    _leave_cells(shell)
    if _ports_before and not _loaded:
        ports.screen, ports.display = _ports_before.pop()
