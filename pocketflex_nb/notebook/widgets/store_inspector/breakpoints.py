"""Breakpoints on store keys that a person set in the inspector, and the reason why a run is paused at one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.frozen.freezer import MISSING, thaw
from pocketflex_nb.core.store.changes import Change
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.value_text import path_text
from pocketflex_nb.engine.runs.run import Run, lifecycle_of, runs
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.store_rows import value_at

__all__ = ["KeyBreaks"]

_Path = tuple[object, ...]


class KeyBreaks:
    """Breakpoints on the keys of one store: after a node has changed such a key, the runs that use the store are paused.

    Parameters
    ----------
    store : Store or mapping
        Whose keys; a plain mapping tells of no change, so no break can be set on it.
    notify : callable
        Called, in the thread that wrote, after a break has paused a run.

    Notes
    -----
    A run is held before its next node; nodes in flight end first. Only launched runs are held: a plain ``run`` has the thread in which
    the click that lets it go on would arrive. What a person or a cell writes holds nobody. A break on a value inside of a key's
    value holds only when that value has become another one.
    """

    def __init__(self, store: object, notify: Callable[[], object]) -> None:
        self.store, self._notify = store, notify
        self._ends: dict[_Path, Callable[[], None]] = {}
        self._why = ""

    def __contains__(self, path: _Path) -> bool:
        return path in self._ends

    def walking(self) -> list[Run]:
        """The runs that a breakpoint would pause."""
        return [run for run in runs(live=True) if lifecycle_of(run).launched and run.store is self.store]

    def refusal(self, run: Run | None) -> str:
        """Why no breakpoint can be set now, as text; ``""`` if one can.

        Parameters
        ----------
        run : Run or None
            Whose store it is, where that is known.
        """
        if not isinstance(self.store, Store):
            return "A plain dict does not tell of its changes: launch the flow, or give it a Store"
        if self.walking():
            return ""
        if run is not None and run.done():
            return "The run is over: no node will change this any more"
        return "No launched run is walking with this store"

    def toggle(self, path: _Path) -> None:
        """Set a breakpoint on the value at `path`, or remove it.

        Raises
        ------
        LookupError
            No run could be held.
        """
        if path in self._ends:
            self._ends.pop(path)()
        elif why_not := self.refusal(None):
            raise LookupError(why_not)
        elif isinstance(self.store, Store):
            self._ends[path] = self.store.subscribe(partial(self._changed, path), path[0])

    def close(self) -> None:
        """Remove all breakpoints; paused runs stay paused."""
        while self._ends:
            self._ends.popitem()[1]()

    # what a break does -----------------------------------------------------------------------------------------------
    def _changed(self, path: _Path, change: Change) -> None:
        if path not in self._ends or not change.node or not _differs(change, path[1:]):
            return
        who = " · ".join(part for part in (change.run, change.node) if part)
        did = "may have been changed" if change.op == "maybe" else "was removed" if _is_gone(change, path[1:]) else "was changed"
        frame = CURRENT_FRAME.get()  # the hop that writes is not counted yet
        step = change.step or (frame.hops + 1 if frame is not None else 0)
        self._why = clean(f"{path_text(path)} {did} by {who}{f', step {step}' if step else ''}", 300)
        for run in self.walking():
            run.pause()
            lifecycle_of(run).ensure_controller().gate.broke = True
            lifecycle_of(run).root.note("output", stream="log", text=f"paused: {self._why}", by="break")
        self._notify()

    @property
    def why(self) -> str:
        """Why runs are paused now, and before what; ``""`` when none is because of a breakpoint."""
        paused = [run for run in self.walking() if run.status == "paused"] if self._why else []
        if not paused:
            self._why = ""
            return ""
        ahead = sorted({frame.node_id for run in paused for frame in list(lifecycle_of(run).ensure_controller().gate.waiting)})
        where = f"before {clean(', '.join(ahead[:3]), 120)}" if ahead else "when the node in flight has ended"
        return f"Paused {where}: {self._why}"

    def resume(self) -> None:
        """Continue the paused runs."""
        self._why = ""
        for run in self.walking():
            if run.status == "paused":
                run.resume()


def _differs(change: Change, inside: _Path) -> bool:
    """Whether the value at `inside` of the key is another one than before."""
    if change.op == "maybe":
        return True
    old, new = _inner(change.old, inside), _inner(change.new, inside)
    if type(old) is not type(new):
        return True
    try:
        return not bool(old == new)
    except Exception:  # a user's own ==, or an array's, which has no one answer
        return True


def _is_gone(change: Change, inside: _Path) -> bool:
    return _inner(change.new, inside) is MISSING


def _inner(frozen: object, inside: _Path) -> object:
    """The value at `inside` of a frozen one, `MISSING` where there is none."""
    if frozen is MISSING:
        return MISSING
    try:
        return value_at(thaw(frozen), inside) if inside else thaw(frozen)
    except (LookupError, TypeError):
        return MISSING
