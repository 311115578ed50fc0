"""The lifetime of views: until their cell runs again, they are closed, or their runs are forgotten.

ipywidgets keeps every widget until it is closed, and IPython keeps what a cell gave as its value. So a cell that is run thirty times would
keep the stores of thirty runs. When it runs again, the views that stand below it are closed, the runs that it started and that are over
are forgotten, and IPython's ``Out`` lets them go.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from pocketflex_nb.core.context import CURRENT_CELL
from pocketflex_nb.engine.runs.run import forget, forgetting, runs

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from pocketflex_nb.engine.runs.run import Run

__all__ = [
    "Closable", "RunHolder", "close_with_cell", "forget_all", "install_lifetimes", "notify_when_forgotten", "release_previous",
    "remove_lifetimes",
]


class Closable(Protocol):
    """A view that can be closed."""

    def close(self) -> None:
        """Close it, and release what it shows."""
        ...


class RunHolder(Protocol):
    """A view that keeps runs alive."""

    def _let_go(self, gone: set[int]) -> None:
        """Runs of these numbers are forgotten: release them if there is nothing else to show."""
        ...


_holders: WeakSet[RunHolder] = WeakSet()
#: the views below each cell that were made by a launch or a display there, and are bound to no name
_below: dict[str, list[Closable]] = {}
_shells: list[InteractiveShell] = []
#: IPython's names for the values of the last cells
_LAST = ("_", "__", "___")


def notify_when_forgotten(view: RunHolder) -> None:
    """Call `view` when runs are forgotten."""
    _holders.add(view)


def close_with_cell(view: Closable) -> None:
    """Register `view` with the running cell; it is closed when that cell runs again."""
    if cell_id := CURRENT_CELL.get():
        _below.setdefault(cell_id, []).append(view)


def release_previous(cell_id: str) -> None:
    """The cell runs again: release what its previous execution left."""
    for view in _below.pop(cell_id, ()):
        view.close()
    over = [run for run in runs() if run.cell == cell_id and run.done()]
    if over:
        forget(*over)
        _uncache(over)


def forget_all() -> int:
    """Forget every run that is over, also where IPython keeps it as a cell's value; returns how many."""
    over = [run for run in runs() if run.done()]
    for shell in _shells:
        cached = shell.user_ns.get("_oh") or {}
        over += [run for value in list(cached.values()) for run in _runs_in(value) if run.done()]
    number = forget()
    _uncache(over)
    return number


def _let_go(gone: Iterable[Run]) -> None:
    numbers = {run.number for run in gone}
    for view in list(_holders):
        view._let_go(numbers)


# what IPython keeps --------------------------------------------------------------------------------------------------
def _uncache(gone: list[Run]) -> None:
    """Remove these runs from ``Out``, ``_3``, ``_`` and the like: IPython's own names, unless a user has rebound them.

    Their stores go, too, unless the user has a name for one.
    """
    numbers = {run.number for run in gone}
    for shell in _shells:
        named = {id(value) for name, value in list(shell.user_ns.items()) if not name.startswith("_")}
        stores = {id(run.store) for run in gone if isinstance(run.store, dict)} - named
        lost_here = partial(_is_gone, numbers=numbers, stores=stores)
        cached = shell.user_ns.get("_oh") or {}
        lost = [count for count, value in list(cached.items()) if lost_here(value)]
        for count in lost:
            del cached[count]
        for names in (shell.user_ns, shell.user_ns_hidden):
            for count in lost:
                if lost_here(names.get(f"_{count}")):
                    del names[f"_{count}"]
            for name in _LAST:
                if lost_here(names.get(name)):
                    names[name] = ""
        for name in _LAST:
            if lost_here(getattr(shell.displayhook, name, None)):
                setattr(shell.displayhook, name, "")


def _runs_in(value: object) -> list[Run]:
    from pocketflex_nb.engine.runs.run import Run
    from pocketflex_nb.engine.runs.run_group import RunGroup

    several: list[object] = list(value) if isinstance(value, (RunGroup, list, tuple)) else [value]
    found = [run for run in several if isinstance(run, Run)]
    return found if len(found) == len(several) else []


def _is_gone(value: object, numbers: set[int], stores: set[int]) -> bool:
    held = _runs_in(value)
    return id(value) in stores or (bool(held) and all(run.number in numbers for run in held))


def install_lifetimes(shell: InteractiveShell) -> None:
    """Look after the runs that `shell` and its views keep."""
    _shells.append(shell)
    if _let_go not in forgetting:
        forgetting.append(_let_go)


def remove_lifetimes(shell: InteractiveShell) -> None:
    """Undo `install_lifetimes`. Open views are still called."""
    if shell in _shells:
        _shells.remove(shell)
