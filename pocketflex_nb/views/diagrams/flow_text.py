"""Flows as plain text for terminals and logs: one line per node, nested flows indented, with states and visits."""

from __future__ import annotations

from pocketflex_nb.core.flow.flow_graph import Cluster, Edge, Graph, GraphNode, Group
from pocketflex_nb.core.state import State
from pocketflex_nb.views.diagrams.flow_svg import inner_runs_of
from pocketflex_nb.views.diagrams.palette import SIGNS
from pocketflex_nb.views.layout.subgraph_boxes import arranged
from pocketflex_nb.views.text.redaction import redacted_head
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["text"]

_WORDS = {"error": "on error → ", "detached": "starts → "}


def text(graph: Graph, state: State | None = None) -> str:
    """A graph as lines of plain text.

    Parameters
    ----------
    graph : Graph
        What to tell.
    state : State, optional
        Adds each node's sign (``o > || ? v x - =``), visits and seconds, and its error.
    """
    return "\n".join(_Lines(graph, state).lines()) + "\n"


class _Lines:
    def __init__(self, graph: Graph, state: State | None) -> None:
        self.graph, self.state = graph, state
        self.nodes = getattr(state, "nodes", {}) if state is not None else {}
        self.inside = arranged(graph)
        self.arrows: dict[str, list[Edge]] = {}
        for edge in graph.edges:
            self.arrows.setdefault(edge.source, []).append(edge)

    def lines(self) -> list[str]:
        rows = list(self.rows())
        room = min(max((len(left) for left, _ in rows), default=0), 60)
        head = shown(self.graph.name, 200)
        if self.state is not None:
            head += f" · {self.state.status} · {self.state.steps} steps"
        return [head, *(f"{left:<{room}}  {right}".rstrip() for left, right in rows)]

    def rows(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        stack: list[tuple[GraphNode | Group | Cluster, int]] = [(m, 0) for m in reversed(self.inside[""])]
        while stack:
            member, depth = stack.pop()
            if isinstance(member, Cluster):
                found.append((f"{'' if self.state is None else '   '}{'  ' * depth}({shown(member.label or member.id, 60)})", ""))
            else:
                found.append((self.left(member, depth), self.right(member)))
            if not isinstance(member, GraphNode):
                stack += [(m, depth + 1) for m in reversed(self.inside[member.id])]
        return found

    def left(self, member: GraphNode | Group, depth: int) -> str:
        short = shown(member.id.rsplit("/", 1)[-1], 80)
        label = shown(member.label, 60)
        name = short if label == short else f"{short} [{label}]"
        if isinstance(member, Group):
            name += "/" + (f" ({shown(member.store, 60)})" if member.store else "")
        known = self.nodes.get(member.id)
        if self.state is None:
            return f"{'  ' * depth}{name}"
        sign = SIGNS.get(getattr(known, "status", "idle"), "o")
        visits = getattr(known, "visits", 0)
        seconds = getattr(known, "seconds", 0.0)
        due, lost = getattr(known, "due", 0), getattr(known, "lost", 0)
        facts = (f" ×{visits}" if visits > 1 else "") + (f" of {due}" if due > max(visits, 1) else "") + (f" {lost} failed" if lost else "")
        inside = inner_runs_of(known)
        facts += f" ({inside})" if inside else ""
        facts += (f" {seconds:.1f} s" if seconds >= 0.05 else "")
        return f"{sign:<2} {'  ' * depth}{name}{facts}"

    def right(self, member: GraphNode | Group) -> str:
        bundles: dict[tuple[str, str], list[str]] = {}
        for edge in self.arrows.get(member.id, ()):
            target = shown(edge.target.rsplit("/", 1)[-1], 80)
            bundles.setdefault((edge.kind, edge.action), []).append(target)
        parts = []
        for (kind, action), targets in bundles.items():
            named = "" if action == "default" or kind == "error" else f"{shown(action, 60)} "
            parts.append(f"{named}{_WORDS.get(kind, '→ ')}{' & '.join(targets)}")
        known = self.nodes.get(member.id)
        error = getattr(known, "error", "")
        if error and getattr(known, "status", "") == "failed":
            parts.append(f"! {shown(redacted_head(str(error), 400), 160)}")
        return "   ".join(parts)
