"""`draw`: how flows, runs, stores, supervisors, traces and queues show themselves as a cell's last value; behind `core.ports.draw`."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable
from typing import TYPE_CHECKING

from pocketflex_nb.core.comparison import Comparison
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import graph_of
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.recorded_run import RecordedLifecycle
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.cells.show import is_shown, show
from pocketflex_nb.notebook.reports.still_form import still_story
from pocketflex_nb.notebook.run_data.playback import engine_side
from pocketflex_nb.notebook.run_data.run_view_model import MANY, RunViewModel, summed
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback, display_with_fallback, has_widgets
from pocketflex_nb.notebook.widgets.base.view_lifetimes import close_with_cell
from pocketflex_nb.views.diagrams.flow_svg import svg
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.run_comparison import comparison_html, comparison_text

if TYPE_CHECKING:
    from pocketflex_nb.resources.queues.queue import Queue

__all__ = ["draw"]

#: seconds that a queue's server may take to say what it holds
_PATIENCE = 1.0


def draw(thing: object, form: str) -> object:
    """Draw `thing`; what cannot be drawn falls back to its repr, and display code never raises.

    Parameters
    ----------
    thing : Flow, Run, RunGroup, Store, Supervisor, Trace or Queue
        A cell's last value.
    form : {"live", "bundle", "marimo"}
        ``live`` shows a live view, ``bundle`` gives the still form by MIME type, ``marimo`` what marimo shows.

    Returns
    -------
    bool, dict, or object
        Whether a view was shown; the bundle; a widget or picture.
    """
    try:
        return _FORMS[form](thing)
    except Exception:
        return repr(thing) if form == "marimo" else None


def _show(thing: object) -> bool:
    """Show a live view. Flows and runs have none: a flow does not change, and a launch has shown its runs already."""
    if not has_widgets() or isinstance(thing, Comparison):
        return False
    if isinstance(thing, Run) and isinstance(engine_side(thing), RecordedLifecycle) and not is_shown(thing):
        show(thing)  # nobody launched it here, so no view has shown it
        return True
    if isinstance(thing, (Flow, Run, RunGroup)):
        return False
    view = _view(thing)
    if view is None:
        return False
    close_with_cell(view)
    display_with_fallback(view)
    return True


def _view(thing: object) -> StaticFallback | None:
    """A live view of `thing`; None where there is no such view. What it is of is imported already."""
    if isinstance(thing, (Run, RunGroup)):
        from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

        return RunView(thing)
    if isinstance(thing, Store):
        from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import StoreInspector

        return StoreInspector(thing)
    if type(thing).__module__.startswith("pocketflex_nb.resources") or isinstance(thing, Flow):
        return None
    from pocketflex_nb.agents.host.trace import Trace
    from pocketflex_nb.agents.supervision.supervisor import AnySupervisor
    from pocketflex_nb.notebook.widgets.agents_view.agents_view import SupervisorView, TraceView

    if isinstance(thing, Trace):
        return TraceView(thing)
    return SupervisorView(thing) if isinstance(thing, AnySupervisor) else None  # type: ignore[arg-type]  # any of the three kinds


def _bundle(thing: object) -> dict[str, str] | None:
    """The still form, by MIME type. A terminal shows the repr, and asks for nothing else."""
    if isinstance(thing, Comparison):
        return {"text/html": comparison_html(thing), "text/plain": comparison_text(thing)}
    if _is_terminal():
        return None
    if isinstance(thing, (Flow, Run, RunGroup)):
        drawn = _picture(thing)
        if not drawn:
            return None
        if isinstance(thing, Flow):
            return {"image/svg+xml": drawn}
        return still_story(list(thing) if isinstance(thing, RunGroup) else [thing], thing.name, [drawn])
    view = _view(thing)
    if view is None:
        return {"text/html": _queue_table(thing)}  # type: ignore[arg-type]  # the only kind that is left
    try:
        return {kind: text for kind, text in view.still_bundle().items() if kind != "text/plain"}
    finally:
        view.close()


def _is_terminal() -> bool:
    from IPython import get_ipython

    return getattr(getattr(get_ipython(), "display_formatter", None), "active_types", None) == ["text/plain"]


def _picture(thing: Flow | Run | RunGroup) -> str | None:
    if isinstance(thing, Flow):
        return svg(graph_of(thing)) if thing.start_node is not None else None
    runs = list(thing) if isinstance(thing, RunGroup) else [thing]
    if not runs or is_shown(runs[0]):
        return None
    alike = [run for run in runs if run.flow is runs[0].flow]
    state = summed([run.state() for run in alike]) if len(alike) <= MANY else RunViewModel(list(alike)).crowd_state(runs[0].flow)
    return svg(runs[0].graph, state)


def _queue_table(queue: Queue) -> str:
    """What a queue holds, in one row; without the numbers where its server does not answer in time."""
    from pocketflex_nb.concurrency.loop_thread import io_thread

    try:
        stats = io_thread.run(asyncio.wait_for(queue.stats(), _PATIENCE))
        held = "unknown" if stats.held is None else f"{stats.held:,}"
        cells = {"ready": f"{stats.ready:,}", "delayed": f"{stats.delayed:,}", "held": held, "dead": f"{stats.dead:,}"}
    except Exception as exc:  # closed, or out of reach
        cells = {"state": clean(f"{type(exc).__name__}: {exc}", 200)}
    heads = "".join(f'<th scope="col" style="text-align:right">{name}</th>' for name in cells)
    row = "".join(f'<td style="text-align:right">{html.escape(text)}</td>' for text in cells.values())
    caption = html.escape(clean(f"Queue {queue.name} at {queue.url}", 300))
    return (
        f'<table><caption style="text-align:left">{caption}</caption><thead><tr>{heads}</tr></thead><tbody><tr>{row}</tr></tbody></table>'
    )


class _Still:
    """A still form as marimo takes it: ``_mime_`` gives the MIME type and the text."""

    def __init__(self, kind: str, text: str) -> None:
        self._kind, self._text = kind, text

    def _mime_(self) -> tuple[str, str]:
        return self._kind, self._text


def _for_marimo(thing: object) -> object:
    """A live widget, which marimo knows how to show; a picture of what has none."""
    if (view := _view(thing)) is not None:
        return view
    if isinstance(thing, Flow):
        drawn = _picture(thing)
        return _Still("text/html", drawn) if drawn else repr(thing)
    return _Still("text/html", _queue_table(thing))  # type: ignore[arg-type]  # the only kind that is left


_FORMS: dict[str, Callable[[object], object]] = {"live": _show, "bundle": _bundle, "marimo": _for_marimo}
