"""The layout of a flow with nested flows: pure Python, no `dot`, the same on every machine.

A nested flow is laid out first and then placed as one box: arrows never cross its border, so each level is a picture of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pocketflex_nb.core.flow.flow_graph import Edge, Graph, GraphNode, Group
from pocketflex_nb.views.layout.edge_routing import EdgePath, PathStep, loop_reaches, routed
from pocketflex_nb.views.layout.layered_layout import ranked
from pocketflex_nb.views.layout.layout_graph import LayoutEdge, LayoutNode, Level
from pocketflex_nb.views.layout.node_shapes import node_size, text_lines
from pocketflex_nb.views.layout.subgraph_boxes import Reach, items_within, reaches, separate_boxes
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.text.text_metrics import cut_to_width, width

__all__ = ["DOT", "INSET", "MARGIN", "PAD", "RING", "SMALL", "TITLE", "Box", "Layout", "Route", "edge_text", "layout"]

#: room inside a group's border, height of its title, size of start and end marks, margin of the picture, font size of edge labels
INSET, TITLE, DOT, RING, MARGIN, SMALL = 16.0, 22.0, 10.0, 16.0, 14.0, 11.0
#: room inside a cluster's border
PAD = 12.0
_LABEL_ROOM = 150.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: left, top, width, height, in pixels."""

    x: float
    y: float
    w: float
    h: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return self.x + self.w / 2, self.y + self.h / 2


@dataclass(frozen=True, slots=True)
class Route:
    """One arrow as drawn. `edge` is its number in `Graph.edges`; -1 leads from a start mark."""

    edge: int
    steps: tuple[PathStep, ...]
    tip: tuple[float, float]
    aim: tuple[float, float]
    label: Box | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The finished drawing: boxes of nodes, groups and clusters by id, arrows, and the middles of start and end marks."""

    width: float
    height: float
    nodes: dict[str, Box]
    groups: dict[str, Box]
    routes: tuple[Route, ...]
    starts: tuple[tuple[float, float], ...] = ()
    ends: tuple[tuple[float, float], ...] = ()
    clusters: dict[str, Box] = field(default_factory=dict)


def edge_text(edge: Edge) -> str:
    """The label of an arrow: its action; empty for the default one."""
    return "" if edge.action == "default" else cut_to_width(shown(edge.action, 400), _LABEL_ROOM, SMALL)


def layout(graph: Graph, direction: str | None = None) -> Layout:
    """Place a graph.

    Parameters
    ----------
    graph : Graph
        What to draw.
    direction : {"LR", "TD", "RL", "BT"}, optional
        Where the arrows run; default: the graph's own.

    Notes
    -----
    Independent of any state, so a picture never jumps while a flow runs. About 2 ms for 30 nodes, 60 ms for 1 000.
    """
    return _Drawing(graph, direction or graph.direction).layout()


@dataclass(slots=True)
class _Inside:
    """The content of one group (``""``: the whole flow), laid out on its own."""

    keys: list[tuple[str, str]] = field(default_factory=list)  # ("node" | "group" | "start" | "end", id)
    items: list[LayoutNode] = field(default_factory=list)
    links: list[LayoutEdge] = field(default_factory=list)
    edges: list[int] = field(default_factory=list)
    level: Level = field(default_factory=Level)
    paths: list[EdgePath] = field(default_factory=list)
    boxes: dict[str, Reach] = field(default_factory=dict)  # of clusters
    left: float = 0.0
    top: float = 0.0
    w: float = 0.0
    h: float = 0.0


class _Drawing:
    def __init__(self, graph: Graph, direction: str) -> None:
        self.graph = graph
        self.direction = "TD" if direction == "TB" else direction
        self.upright = self.direction in ("TD", "BT")
        self.back = self.direction in ("RL", "BT")
        self.members: dict[str, list[GraphNode | Group]] = {"": []}
        for group in graph.groups:
            self.members[group.id] = []
        every: list[GraphNode | Group] = [*graph.nodes, *graph.groups]
        for member in every:
            home = member.group if isinstance(member, GraphNode) else member.parent
            self.members[home if home in self.members else ""].append(member)
        self.homes = {m.id: home for home, inside in self.members.items() for m in inside}
        self.edges: dict[str, list[int]] = {}
        for number, edge in enumerate(graph.edges):
            if edge.source in self.homes:
                self.edges.setdefault(self.homes[edge.source], []).append(number)
        self.inside: dict[str, _Inside] = {}

    def layout(self) -> Layout:
        for group in reversed(self.graph.groups):
            self.inside[group.id] = self._lay_out(group.id, group.starts or (group.start,))
        whole = self.inside[""] = self._lay_out("", self.graph.starts or (self.graph.start,))
        nodes: dict[str, Box] = {}
        groups: dict[str, Box] = {}
        clusters: dict[str, Box] = {}
        routes: list[Route] = []
        marks: dict[str, list[tuple[float, float]]] = {"start": [], "end": []}
        todo = [("", MARGIN, MARGIN)]
        for home, dx, dy in todo:  # grows while it is walked
            here = self.inside[home]
            move = self._mover(here, dx, dy)
            for (kind, name), item, at in zip(here.keys, here.items, here.level.at, strict=False):
                x, y = move(at)
                w, h = self._wh(item.along, item.across)
                if kind in marks:
                    marks[kind].append((x, y))
                elif kind == "node":
                    nodes[name] = Box(x - w / 2, y - h / 2, w, h)
                else:
                    groups[name] = box = Box(x - w / 2, y - h / 2, w, h)
                    inner = self.inside[name]
                    todo.append((name, box.x + (box.w - inner.w) / 2, box.y + TITLE + INSET - 6))
            for name, (a0, a1, c0, c1) in here.boxes.items():
                (x0, y0), (x1, y1) = move((a0, c0)), move((a1, c1))
                clusters[name] = Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))
            routes += self._routes(here, dx, dy)
        routes.sort(key=lambda r: r.edge)
        return Layout(
            whole.w + 2 * MARGIN, whole.h + 2 * MARGIN, nodes, groups, tuple(routes), tuple(marks["start"]), tuple(marks["end"]), clusters
        )

    def _lay_out(self, home: str, starts: tuple[str, ...]) -> _Inside:
        here = _Inside()
        members = self.members[home]
        number: dict[str, int] = {}
        shapes: list[str] = []

        def add(kind: str, name: str, item: LayoutNode, shape: str = "rect") -> int:
            here.keys.append((kind, name))
            here.items.append(item)
            shapes.append(shape)
            return len(here.items) - 1

        for member in members:
            kind = "node" if isinstance(member, GraphNode) else "group"
            w, h = self._size(member)
            along, across = (h, w) if self.upright else (w, h)
            shape = member.shape if isinstance(member, GraphNode) else "rect"
            number[member.id] = add(kind, member.id, LayoutNode(along, across), shape)
        ends: dict[str, int] = {}
        for at in self.edges.get(home, ()):
            edge = self.graph.edges[at]
            if edge.target == "END" and edge.source not in ends:
                ends[edge.source] = add("end", edge.source, LayoutNode(RING, RING, small=True), "circle")
            target = ends[edge.source] if edge.target == "END" else number.get(edge.target)
            if target is not None:
                here.links.append(self._link(number[edge.source], target, edge_text(edge)))
                here.edges.append(at)
        known = [number[s] for s in starts if s in number]
        if known:
            start = add("start", home, LayoutNode(DOT, DOT, small=True), "circle")
            here.links += [LayoutEdge(start, s) for s in known]
            here.edges += [-1] * len(known)
            known.insert(0, start)
        self._make_room_for_loops(here)
        here.level = ranked(here.items, here.links, known)
        self._make_boxes(here, home, number)
        here.paths = routed(here.level, here.items, here.links, shapes, loops_after=self.upright)
        self._measure(here)
        return here

    def _make_boxes(self, here: _Inside, home: str, number: dict[str, int]) -> None:
        within = items_within(self.graph, home, number)
        if not within:
            return
        top = PAD + TITLE
        pads = (PAD, PAD, top, PAD) if not self.upright else (PAD, top, PAD, PAD) if self.back else (top, PAD, PAD, PAD)
        parents = {cluster.id: cluster.parent for cluster in self.graph.clusters}
        separate_boxes(here.level, here.items, within, parents, pads)
        here.boxes = reaches(here.level, here.items, within, parents, pads)

    def _size(self, member: GraphNode | Group) -> tuple[float, float]:
        if isinstance(member, GraphNode):
            return node_size(member, text_lines(member.label))
        inner = self.inside[member.id]
        title = min(width(shown(member.title, 400), SMALL) * 1.08, 400.0 if member.store else 240.0) + 40
        return max(inner.w + 2 * INSET, title), inner.h + 2 * INSET + TITLE - 6

    def _link(self, source: int, target: int, text: str) -> LayoutEdge:
        if not text:
            return LayoutEdge(source, target)
        along, across = self._wh(width(text, SMALL) + 14, 18.0)
        return LayoutEdge(source, target, along, across)

    def _make_room_for_loops(self, here: _Inside) -> None:
        loops: dict[int, list[LayoutEdge]] = {}
        for link in here.links:
            if link.source == link.target:
                loops.setdefault(link.source, []).append(link)
        for at, links in loops.items():
            item, room = here.items[at], loop_reaches(links, after=self.upright)[-1][2] + 4
            item.along = max([item.along, *(link.along for link in links)])
            if self.upright:
                item.after = room
            else:
                item.before = room

    def _measure(self, here: _Inside) -> None:
        """The level's size, and the shift that brings its top left corner to 0, 0."""
        points = [(0.0, 0.0)] if not here.items else []
        for item, (a, c) in zip(here.items, here.level.at, strict=False):
            points += [(a - item.along / 2, c - item.across / 2), (a + item.along / 2, c + item.across / 2)]
        for path, link in zip(here.paths, here.links, strict=True):
            points += [p for _, step in path.steps for p in step]
            if path.label is not None:
                a, c = path.label
                points += [(a - link.along / 2, c - link.across / 2), (a + link.along / 2, c + link.across / 2)]
        for a0, a1, c0, c1 in here.boxes.values():
            points += [(a0, c0), (a1, c1)]
        first, second = [p[0] for p in points], [p[1] for p in points]
        if self.back:
            first = [-a for a in first]
        xs, ys = (second, first) if self.upright else (first, second)
        here.left, here.top, here.w, here.h = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)

    def _wh(self, along: float, across: float) -> tuple[float, float]:
        return (across, along) if self.upright else (along, across)

    def _turned(self, point: tuple[float, float]) -> tuple[float, float]:
        a, c = point
        if self.back:
            a = -a
        return (c, a) if self.upright else (a, c)

    def _mover(self, here: _Inside, dx: float, dy: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
        """From (along, across) in `here` to (x, y) in the picture."""
        dx, dy = dx - here.left, dy - here.top
        way = -1.0 if self.back else 1.0
        if self.upright:
            return lambda p: (p[1] + dx, way * p[0] + dy)
        return lambda p: (way * p[0] + dx, p[1] + dy)

    def _routes(self, here: _Inside, dx: float, dy: float) -> list[Route]:
        found, move = [], self._mover(here, dx, dy)
        for path, link, edge in zip(here.paths, here.links, here.edges, strict=True):
            steps = tuple([(kind, tuple([move(p) for p in points])) for kind, points in path.steps])
            label = None
            if path.label is not None:
                x, y = move(path.label)
                w, h = self._wh(link.along, link.across)
                label = Box(x - w / 2, y - h / 2, w, h)
            found.append(Route(edge, steps, move(path.tip), self._turned(path.aim), label))
        return found
