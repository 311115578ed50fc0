"""`show`: displays a live widget together with a static fallback for readers without a kernel.

Two outputs: the widget, and an SVG with the same content that the live widget hides. The SVG is rewritten when the runs are over, so
that a saved notebook, its preview elsewhere and an export all show how it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pocketflex_nb.notebook.widgets.base.refresh_loop import Refreshable, refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import display_with_fallback, has_widgets
from pocketflex_nb.notebook.widgets.base.view_lifetimes import close_with_cell, release_previous

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo

    from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle
    from pocketflex_nb.notebook.run_data.playback import ViewedRun

__all__ = ["ShownRuns", "begin_cell", "is_shown", "show", "shown_in_cell"]



class ShownRuns(Refreshable, Protocol):
    """A view of runs: a widget, or text."""

    @property
    def runs(self) -> Sequence[ViewedRun]:
        """The runs that it shows."""
        ...

    def add(self, runs: Sequence[ViewedRun]) -> None:
        """Show more runs in the same view."""
        ...


_in_cell: list[ShownRuns] = []
#: runs of this cell that are not to be seen
_unseen: list[object] = []


def begin_cell(info: ExecutionInfo | None = None) -> None:
    """Start a cell: what it launches gets one view. The view of its previous execution is closed, since it would keep its runs alive."""
    _in_cell.clear()
    _unseen.clear()
    if cell_id := getattr(info, "cell_id", None):
        release_previous(cell_id)


def shown_in_cell() -> ShownRuns | None:
    """The view that this cell made, if any."""
    return _in_cell[-1] if _in_cell else None


def is_shown(run: object) -> bool:
    """Whether a view of this cell shows `run`, or no view is wanted, so that its repr needs no picture."""
    return run in _unseen or any(run in view.runs for view in _in_cell)


def show(
    thing: object, *, asked: bool = True, height: int = 500, view: str = "auto", again: tuple[float, int] | None = None
) -> ShownRuns | None:
    """Show runs live; the function behind `core.ports.display`.

    Parameters
    ----------
    thing : Run, RunGroup, Flow, Store
        What to show.
    asked : bool
        Whether the user asked for it; if not, a cell's launches share one view.
    height : int
        Pixels at most.
    view : {"auto", "graph", "lanes", "timeline", "store", "text", "none"}
        What to show; ``text`` is plain text that is brought up to date.
    again : (float, int), optional
        A run is played again: so many times as fast, so many steps at once.
    """
    from IPython.display import display

    from pocketflex_nb.engine.runs.run import Run, lifecycle_of
    from pocketflex_nb.engine.runs.run_group import RunGroup
    from pocketflex_nb.notebook.run_data.playback import Replay

    if again is not None and isinstance(thing, Run):
        thing = Replay(thing, speed=again[0], first=again[1])
    if view == "none":
        _unseen.extend(thing if isinstance(thing, RunGroup) else [thing])
        return None
    if not isinstance(thing, (Run, RunGroup, Replay)):
        display(thing)  # flows, stores, supervisors and traces draw themselves
        return None
    runs: list[ViewedRun] = list(thing) if isinstance(thing, RunGroup) else [thing]
    inner = [] if asked else [lifecycle_of(run) for run in runs if isinstance(run, Run)]
    if inner and all(one.outer_run is not None for one in inner):
        return _show_inside(inner[0], height, view)
    known = shown_in_cell()
    if known is not None and not asked:
        known.add(runs)
        return known
    if view == "store" and has_widgets():
        from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import inspect_store

        _unseen.extend(runs)
        inspect_store(runs[0] if isinstance(runs[0], Run) else runs[0].store, runs[0].name)
        return None
    if view == "text" or not has_widgets():
        return _show_text(runs, getattr(thing, "name", None))
    return _show_widget(runs, getattr(thing, "name", None), height, view, asked=asked)


def _show_inside(inner: RunLifecycle, height: int, view: str) -> ShownRuns | None:
    """Runs that a step began are drawn inside of it, in the view of the run around; one that nobody launched, and shows, gets one now."""
    around = inner
    while (outer := around.outer_run) is not None:
        around = outer
    if around.launched or is_shown(around.run):
        return None
    return show(around.run, asked=False, height=height, view=view)


def _show_widget(runs: list[ViewedRun], name: str | None, height: int, only: str, *, asked: bool) -> ShownRuns:
    from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

    view = RunView(runs, height, name=name)
    if only in ("graph", "lanes", "timeline"):
        view.add_class(f"pf-only-{only}")
    _in_cell.append(view)
    close_with_cell(view)
    display_with_fallback(view)
    view.was_shown = asked
    return view


def _show_text(runs: list[ViewedRun], name: str | None) -> ShownRuns:
    from pocketflex_nb.notebook.reports.text_view import TextView

    text = TextView(runs, name, is_kernel=has_widgets())
    _in_cell.append(text)
    refresh_loop.follow(text)
    return text
