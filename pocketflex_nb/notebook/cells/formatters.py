"""IPython formatters that show flows, runs and stores as a cell's last expression."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import graph_of
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.cells.show import is_shown
from pocketflex_nb.notebook.run_data.run_view_model import MANY, RunViewModel, summed
from pocketflex_nb.notebook.widgets.base.static_fallback import has_widgets
from pocketflex_nb.views.diagrams.flow_svg import svg

if TYPE_CHECKING:
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.interactiveshell import InteractiveShell

    from pocketflex_nb.agents.host.trace import Trace
    from pocketflex_nb.agents.supervision.supervisor import Supervisor

__all__ = ["register", "unregister"]


def _flow_svg(flow: Flow) -> str | None:
    return svg(graph_of(flow)) if flow.start_node is not None else None


def _run_svg(run: Run) -> str | None:
    return None if is_shown(run) else svg(run.graph, run.state())


def _group_svg(group: RunGroup) -> str | None:
    runs = list(group)
    if not runs or is_shown(runs[0]):
        return None
    alike = [run for run in runs if run.flow is runs[0].flow]
    state = summed([run.state() for run in alike]) if len(alike) <= MANY else RunViewModel(list(alike)).crowd_state(runs[0].flow)
    return svg(runs[0].graph, state)


def _live(show: Callable[[Any], None]) -> Callable[[Any], object]:
    """A formatter that shows a live view and says that this is all; a terminal gets the repr."""

    def shown(thing: object) -> bool:
        if not has_widgets():
            return False
        show(thing)
        return True

    return shown


def _store(store: Store) -> None:
    from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import inspect_store

    inspect_store(store)


def _supervisor(supervisor: Supervisor) -> None:
    from pocketflex_nb.notebook.widgets.agents_view.agents_view import show_supervisor

    show_supervisor(supervisor)


def _trace(trace: Trace) -> None:
    from pocketflex_nb.notebook.widgets.agents_view.agents_view import show_trace

    show_trace(trace)


def _safe(draw: Callable[[Any], object]) -> Callable[[Any], object]:
    """Display code never raises: what cannot be drawn falls back to its repr."""

    def drawn(thing: object) -> object:
        try:
            return draw(thing)
        except Exception:
            return None

    return drawn


#: shown live; by name, so that agents are imported only when they are used
_LIVE: dict[tuple[str, str], Callable[[Any], None]] = {
    ("pocketflex_nb.core.store.store", "Store"): _store,
    ("pocketflex_nb.agents.supervision.supervisor", "Supervisor"): _supervisor,
    ("pocketflex_nb.agents.supervision.dynamic_supervisor", "DynamicSupervisor"): _supervisor,
    ("pocketflex_nb.agents.supervision.partition_supervisor", "PartitionSupervisor"): _supervisor,
    ("pocketflex_nb.agents.host.trace", "Trace"): _trace,
}
_SVG: dict[type, Callable[[Any], str | None]] = {Flow: _flow_svg, Run: _run_svg, RunGroup: _group_svg}


def _formatter(shell: InteractiveShell) -> DisplayFormatter:
    assert shell.display_formatter is not None, "a shell without display"
    return shell.display_formatter


def register(shell: InteractiveShell) -> None:
    """Register the formatters for flows, runs and groups in `shell`."""
    formatter = _formatter(shell).formatters["image/svg+xml"]
    for kind, draw in _SVG.items():
        formatter.for_type(kind, _safe(draw))
    live = _formatter(shell).ipython_display_formatter
    for (module, name), show in _LIVE.items():
        live.for_type_by_name(module, name, _safe(_live(show)))


def unregister(shell: InteractiveShell) -> None:
    """Undo `register`."""
    formatter = _formatter(shell).formatters["image/svg+xml"]
    for kind in _SVG:
        formatter.pop(kind, None)
    live = _formatter(shell).ipython_display_formatter
    for module, name in _LIVE:
        with contextlib.suppress(KeyError):
            live.pop(f"{module}.{name}")
