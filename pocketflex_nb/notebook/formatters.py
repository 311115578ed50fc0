"""How do flows, runs and stores draw themselves as a cell's last expression? Formatters of IPython, so that core knows no screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pocketflex_nb.core.flow import Flow
from pocketflex_nb.core.graph import graph_of
from pocketflex_nb.core.store import Store
from pocketflex_nb.engine.group import RunGroup
from pocketflex_nb.engine.run import Run
from pocketflex_nb.notebook.picture import summed
from pocketflex_nb.notebook.show import has_widgets
from pocketflex_nb.views.svg import svg

__all__ = ["register", "unregister"]


def _flow_svg(flow: Flow) -> str | None:
    return svg(graph_of(flow)) if flow.start_node is not None else None


def _run_svg(run: Run) -> str:
    return svg(run.graph, run.state())


def _group_svg(group: RunGroup) -> str | None:
    runs = list(group)
    if not runs:
        return None
    return svg(runs[0].graph, summed([run.state() for run in runs if run.flow is runs[0].flow][:60]))


def _store_widget(store: Store) -> dict[str, Any] | None:
    if not has_widgets():
        return None
    from pocketflex_nb.notebook.store_inspector import StoreInspector

    view = StoreInspector(store)
    model = {"version_major": 2, "version_minor": 0, "model_id": view.model_id}
    return {"application/vnd.jupyter.widget-view+json": model}


def _safe(draw: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Display code never raises: what cannot be drawn falls back to its repr."""

    def drawn(thing: Any) -> Any:
        try:
            return draw(thing)
        except Exception:
            return None

    return drawn


_SVG: dict[type, Callable[[Any], Any]] = {Flow: _flow_svg, Run: _run_svg, RunGroup: _group_svg}


def register(shell: Any) -> None:
    """Let flows, runs and groups draw themselves in `shell`."""
    formatter = shell.display_formatter.formatters["image/svg+xml"]
    for kind, draw in _SVG.items():
        formatter.for_type(kind, _safe(draw))


def unregister(shell: Any) -> None:
    """Undo `register`."""
    formatter = shell.display_formatter.formatters["image/svg+xml"]
    for kind in _SVG:
        formatter.pop(kind, None)
