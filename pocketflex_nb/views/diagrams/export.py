"""`export`: anything that can be drawn, in the format asked for; the function behind `core.ports.export`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pocketflex_nb.core.comparison import Comparison
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import Graph, graph_of
from pocketflex_nb.core.state import State
from pocketflex_nb.views.diagrams.flow_dot import dot
from pocketflex_nb.views.diagrams.flow_mermaid import mermaid
from pocketflex_nb.views.diagrams.flow_svg import svg
from pocketflex_nb.views.diagrams.flow_text import text
from pocketflex_nb.views.diagrams.graphviz import GraphvizSource, has_dot, source, svg_by_dot
from pocketflex_nb.views.diagrams.node_colours import colour_numbers
from pocketflex_nb.views.diagrams.sequence import sequence, sequence_svg
from pocketflex_nb.views.diagrams.timeline import timeline
from pocketflex_nb.views.values.run_comparison import comparison_text

__all__ = ["FORMS", "export"]


def _svg(graph: Graph, state: State | None = None, *, engine: str = "builtin", **options: Any) -> str:
    if engine not in ("builtin", "dot", "auto"):
        raise ValueError(f"engine={engine!r}: 'builtin', 'dot' or 'auto'{nearest(engine, ('builtin', 'dot', 'auto'))}")
    if engine == "dot" or (engine == "auto" and has_dot()):
        return svg_by_dot(dot(graph, state))
    return svg(graph, state, **options)


def _graphviz(graph: Graph, state: State | None = None) -> GraphvizSource:
    return source(dot(graph, state))


_OF_GRAPHS: dict[str, Callable[..., object]] = {"mermaid": mermaid, "dot": dot, "svg": _svg, "text": text, "graphviz": _graphviz}
_OF_EVENTS: dict[str, Callable[..., object]] = {"mermaid": sequence, "sequence": sequence, "svg": sequence_svg}
_OF_COMPARISONS: dict[str, Callable[..., object]] = {"text": comparison_text}
#: every form there is
FORMS = ("dot", "graphviz", "mermaid", "sequence", "svg", "text", "timeline")


def export(thing: object, form: str, **options: Any) -> Any:
    """`thing` as text, or as a `graphviz.Source`.

    Parameters
    ----------
    thing : Flow, Graph, Run, State, Trace or iterable of events
        A flow or graph is drawn; a run is drawn with its state; a trace, or events, are a sequence.
    form : str
        ``"mermaid"``, ``"dot"``, ``"svg"``, ``"text"`` or ``"graphviz"``; ``"timeline"`` of a run or a state; ``"sequence"`` of
        events.
    **options
        ``state=`` colours a flow; ``engine="builtin" | "dot" | "auto"`` for ``"svg"``; the rest goes to the form's own function.

    Raises
    ------
    ValueError
        There is no such form, or not of this thing.
    """
    if form not in FORMS:
        raise ValueError(f"no form {form!r} to export{nearest(form, FORMS)}")
    if isinstance(thing, Comparison):
        return _made(_OF_COMPARISONS, form, thing)(thing, **options)
    if form == "timeline":
        return timeline(_state_of(thing), **{"colours": _colours(thing), **options})
    graph = _graph(thing)
    if graph is None:
        return _made(_OF_EVENTS, form, thing)(_events(thing), **options)
    if form == "sequence":
        return sequence(_events(thing), **options)
    state = getattr(thing, "state", None)
    if callable(state):
        options.setdefault("state", state())
    return _made(_OF_GRAPHS, form, thing)(graph, **options)


def _made(forms: dict[str, Callable[..., object]], form: str, thing: object) -> Callable[..., object]:
    if form not in forms:
        raise ValueError(f"a {type(thing).__name__} has no form {form!r}; it has: {', '.join(map(repr, forms))}")
    return forms[form]


def _graph(thing: object) -> Graph | None:
    """The graph of a graph, a flow, or a run; None for what has none."""
    if isinstance(thing, Graph):
        return thing
    if isinstance(thing, Flow):
        return graph_of(thing)
    found = getattr(thing, "graph", None)
    return found if isinstance(found, Graph) else None


def _colours(thing: Any) -> dict[str, int]:
    """The numbers of the colours of nodes of a run, or of the runs of a group."""
    runs = getattr(thing, "runs", None) or {}
    flows = [getattr(run, "flow", None) for run in (thing, *(runs.values() if isinstance(runs, Mapping) else runs))]
    return colour_numbers(graph_of(flow) for flow in flows if isinstance(flow, Flow))


def _events(thing: object) -> Iterable[Event]:
    events = getattr(thing, "events", thing)
    if not isinstance(events, Iterable) or isinstance(events, (str, bytes, dict)):
        raise ValueError(f"a {type(thing).__name__} has no picture: a flow, a graph, a run, a trace or events are needed")
    return events


def _state_of(thing: Any) -> State | Mapping[str, State]:
    state = getattr(thing, "state", None)
    if callable(state):
        found: State = state()
        return found
    runs = getattr(thing, "runs", None)
    named: State | Mapping[str, State] = {name: run.state() for name, run in runs.items()} if isinstance(runs, dict) else thing
    return named
