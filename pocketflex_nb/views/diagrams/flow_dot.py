"""Flows as Graphviz DOT text; writing it needs no Graphviz."""

from __future__ import annotations

from pocketflex_nb.core.flow.flow_graph import Cluster, Edge, Graph, GraphNode
from pocketflex_nb.core.state import State
from pocketflex_nb.views.diagrams.flow_svg import branches_text, inner_runs_of
from pocketflex_nb.views.diagrams.palette import INK, PALETTE
from pocketflex_nb.views.layout.subgraph_boxes import arranged
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["dot"]

_SHAPES = {
    "rect": "box", "round": "box", "stadium": "box", "subroutine": "box", "cylinder": "cylinder", "circle": "circle",
    "double_circle": "doublecircle", "diamond": "diamond", "hexagon": "hexagon", "lean_right": "parallelogram",
    "lean_left": "parallelogram", "trapezoid": "trapezium", "trapezoid_alt": "invtrapezium", "asymmetric": "cds",
}
_STYLES = {"error": "dashed", "detached": "dotted"}


def dot(graph: Graph, state: State | None = None) -> str:
    """A graph as DOT text; nested flows are clusters, `state` colours the nodes. The same for the same input."""
    return _Dot(graph, state).text()


class _Dot:
    def __init__(self, graph: Graph, state: State | None) -> None:
        self.graph = graph
        self.nodes = getattr(state, "nodes", {}) if state is not None else {}
        self.inside = arranged(graph)
        self.lines: list[str] = []

    def text(self) -> str:
        rankdir = {"TD": "TB", "BT": "BT", "RL": "RL"}.get(self.graph.direction, "LR")
        self.lines += [
            f"digraph {_quoted(self.graph.name)} {{",
            f"  graph [rankdir={rankdir}, compound=true, bgcolor=transparent]",
            '  node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#7d8797", fontname="Helvetica", fontsize=12]',
            '  edge [color="#808a99", fontname="Helvetica", fontsize=10, arrowsize=0.7]',
        ]
        self.members()
        for number, edge in enumerate(self.graph.edges):
            self.edge(edge, number)
        return "\n".join([*self.lines, "}"]) + "\n"

    def members(self) -> None:
        stack = [("", 1, list(self.inside[""]))]
        while stack:
            _, depth, todo = stack[-1]
            pad = "  " * depth
            if not todo:
                stack.pop()
                if stack:
                    self.lines.append("  " * (depth - 1) + "}")
            elif isinstance(member := todo.pop(0), GraphNode):
                self.lines.append(pad + self.node(member))
            else:
                self.lines.append(f"{pad}subgraph {_quoted('cluster_' + member.id)} {{")
                title, style = (member.label, "rounded") if isinstance(member, Cluster) else (member.title, "rounded,dashed")
                self.lines.append(f'{pad}  label={_quoted(title)}; style="{style}"; color="#7d8797"')
                stack.append((member.id, depth + 1, list(self.inside[member.id])))

    def node(self, node: GraphNode) -> str:
        known = self.nodes.get(node.id)
        status = getattr(known, "status", "idle")
        colours = PALETTE["light"].get(status, PALETTE["light"]["idle"])
        visits = getattr(known, "visits", 0)
        facts = branches_text(known) or inner_runs_of(known) or (f"{status} ×{visits}" if visits > 1 else status)
        label = node.label + ("" if facts == "idle" else f"\n{facts}")
        more = f', fillcolor="{colours.fill}", color="{colours.line}", fontcolor="{INK["light"]["ink"]}"' if known else ""
        shape = _SHAPES.get(node.shape, "box")
        style = "" if shape == "box" and node.shape != "subroutine" else ', style="filled"'
        return f"{_quoted(node.id)} [label={_quoted(label)}, shape={shape}{style}{more}]"

    def edge(self, edge: Edge, number: int) -> None:
        source, target, more = edge.source, edge.target, []
        if edge.action != "default":
            more.append(f"label={_quoted(edge.action)}")
        if edge.kind in _STYLES:
            more.append(f"style={_STYLES[edge.kind]}")
        if edge.kind == "error":
            more.append('color="#d94f4f"')
        if source in self.inside and source:
            more.append(f"ltail={_quoted('cluster_' + source)}")
            source = self.leaf(source)
        if target == "END":
            target = f"END {number}"
            self.lines.append(f'  {_quoted(target)} [label="", shape=doublecircle, width=0.12, fillcolor="#808a99"]')
        elif target in self.inside and target:
            more.append(f"lhead={_quoted('cluster_' + target)}")
            target = self.leaf(target)
        options = f" [{', '.join(more)}]" if more else ""
        self.lines.append(f"  {_quoted(source)} -> {_quoted(target)}{options}")

    def leaf(self, group: str) -> str:
        """A node inside a group: DOT's arrows join nodes, and are clipped at the cluster's border."""
        seen: set[str] = set()
        while group in self.inside and group not in seen and self.inside[group]:
            seen.add(group)
            group = self.inside[group][0].id
        return group


def _quoted(text: str) -> str:
    """A DOT string: quotes, backslashes and entities are taken as they stand."""
    lines = [shown(line, 500).replace("\\", "\\\\").replace('"', '\\"') for line in text[:2_000].split("\n")]
    return '"' + "\\n".join(lines).replace("&", "&amp;") + '"'
