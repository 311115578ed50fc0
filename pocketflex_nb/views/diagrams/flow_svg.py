"""Flows as plain SVG: no script, no foreign object, nothing fetched, every text escaped.

The picture works alone in both themes: nodes and labels have their own fill, arrows are a grey that is visible on white and on black,
and the style sheet follows the reader's theme (JupyterLab's attribute, else the system's) where it can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice

from pocketflex_nb.core.flow.flow_graph import Cluster, Edge, Graph, GraphNode, Group
from pocketflex_nb.core.state import NodeState, State
from pocketflex_nb.core.units import count_text
from pocketflex_nb.views.diagrams.palette import FAMILY, GLYPHS, INK, PALETTE, style
from pocketflex_nb.views.layout.flow_layout import Box, Layout, Route, edge_text, layout
from pocketflex_nb.views.layout.node_shapes import outline, text_lines
from pocketflex_nb.views.text.redaction import redacted_head
from pocketflex_nb.views.text.safe_text import attribute, shown, xml
from pocketflex_nb.views.text.summary_text import summary_text
from pocketflex_nb.views.text.text_metrics import FONT, LINE, cut_to_width, number, width

__all__ = ["branches_text", "caption_of", "edge_key", "inner_runs_of", "node_caption", "svg"]

_SMALL = 11.0
#: nodes that the picture's text alternative tells of, and its characters
_TOLD, _WORDS = 20, 900
_DASHES = {"error": ' stroke-dasharray="5 4"', "detached": ' stroke-dasharray="1.5 4.5" stroke-linecap="round"'}


def svg(
    graph: Graph,
    state: State | None = None,
    *,
    direction: str | None = None,
    captions: Mapping[str, str] | None = None,
    live: bool = False,
    lean: bool = False,
    place: Layout | None = None,
) -> str:
    """A flow as an SVG document.

    Parameters
    ----------
    graph : Graph
        What to draw.
    state : State, optional
        Colours the nodes and counts visits and arrows.
    direction : {"LR", "TD", "RL", "BT"}, optional
        Where the arrows run; default: the graph's own.
    captions : mapping of str to str, optional
        Second line of nodes by id, instead of their state's word: ``{"search": "37 here, 912 done"}``.
    live : bool
        Write the parts that show a state even without one, for a page that changes them.
    lean : bool
        Leave out titles, and signs where a caption says the same, and draw arrows that look the same as one: half the elements, for
        flows of hundreds of nodes.
    place : Layout, optional
        A layout made before, when the same graph is drawn again.

    Returns
    -------
    str
        The same text for the same input. Each node is ``<g class="pf-node" data-node=ID data-state=STATUS>``, each arrow
        ``<g class="pf-edge" data-edge="SOURCE|ACTION|TARGET" data-count=N>``; error arrows have the action ``!error``. A lean picture
        names its nodes only.
    """
    picture = _Picture(graph, state, captions or {}, live or state is not None, place or layout(graph, direction))
    picture.live, picture.lean = live, lean
    return picture.text()


def edge_key(edge: Edge) -> str:
    """The name of an arrow in the picture: ``source|action|target``."""
    return f"{edge.source}|{'!error' if edge.kind == 'error' else edge.action}|{edge.target}"


def caption_of(status: str, seconds: float = 0.0) -> str:
    """A state as a word, with the time it took."""
    if status == "idle":
        return ""
    if status in ("done", "failed", "cached") and seconds >= 0.05:
        return f"{status} · {seconds:.1f} s" if seconds < 90 else f"{status} · {seconds / 60:.1f} min"
    return status


def branches_text(node: NodeState | None) -> str:
    """How many of the branches that a list of actions began here are finished, while they run; else ``""``."""
    visits, due = getattr(node, "visits", 0), getattr(node, "due", 0)
    return f"{visits} of {due} done" if due > max(visits, 1) and getattr(node, "active", 0) else ""


def inner_runs_of(node: NodeState | None, seconds: float = 0.0) -> str:
    """How many runs the visits of a node began: ``12 runs · 3 done · 7 waiting``, ``3 runs · 1 failed``, or ``3 runs`` and the time."""
    runs: Mapping[str, int] = getattr(node, "runs", None) or {}
    number, live, failed, waiting = (sum(runs.values()), *(runs.get(status, 0) for status in ("running", "failed", "pending")))
    if not number:
        return ""
    told = f"{number} run{'s' * (number > 1)}"
    if failed or live or waiting:
        went = f"{failed} failed" if failed else f"{number - live - waiting} done"
        return f"{told} · {went}{f' · {waiting} waiting' if waiting else ''}"
    return f"{told} · {caption_of('done', seconds).rpartition(' · ')[2]}" if seconds >= 0.05 else told


def node_caption(node: NodeState | None, status: str, seconds: float = 0.0) -> str:
    """The second line of a node: how far its branches or runs are, its summary, else its state."""
    summary = summary_text(node.summary) if node is not None else ""
    return branches_text(node) or inner_runs_of(node, seconds) or summary or caption_of(status, seconds)


class _Picture:
    def __init__(self, graph: Graph, state: State | None, captions: Mapping[str, str], stateful: bool, place: Layout) -> None:
        self.graph, self.captions, self.stateful, self.place = graph, captions, stateful, place
        self.live = self.lean = False
        self.nodes: Mapping[str, NodeState] = state.nodes if state is not None else {}
        self.taken: Mapping[tuple[str, str], int] = state.edges if state is not None else {}

    def text(self) -> str:
        w, h = number(math.ceil(self.place.width)), number(math.ceil(self.place.height))
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pf-svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" '
            f'aria-label="{attribute(redacted_head(self._summary(), _WORDS), _WORDS)}" font-family="{FAMILY}" font-size="13">',
            f"<style>{style()}</style>",
            *(self._cluster(box) for box in self.graph.clusters if box.id in self.place.clusters),
            *(self._group(group) for group in self.graph.groups if group.id in self.place.groups),
            *self._marks(),
            *(self._arrows_at_once() if self.lean else map(self._arrow, self.place.routes)),
            *(self._chips_at_once() if self.lean else (self._chip(route) for route in self.place.routes if route.label is not None)),
            *(self._node(node) for node in self.graph.nodes if node.id in self.place.nodes),
            "</svg>",
        ]
        return "\n".join(part for part in parts if part)

    def _summary(self) -> str:
        """What the picture shows, in words: how many nodes and arrows, and of the first nodes what is written at them."""
        counts: dict[str, int] = {}
        for node in self.nodes.values():
            counts[node.status] = counts.get(node.status, 0) + 1
        states = ", ".join(f"{n} {status}" for status, n in counts.items())
        said = f"Flow {self.graph.name}: {count_text(len(self.graph.nodes), 'node')}, {count_text(len(self.graph.edges), 'arrow')}"
        if self.lean or (self.live and not self.nodes):
            return f"{said}; {states}" if states else said
        told = ", ".join(self._in_words(node) for node in islice(self.graph.nodes, _TOLD))
        return f"{said}{f'; {states}' if states else ''}. {told}"

    def _in_words(self, node: GraphNode) -> str:
        status, visits = self._status(node.id), getattr(self.nodes.get(node.id), "visits", 0)
        targets = list(dict.fromkeys(edge.target for edge in self.graph.edges if edge.source == node.id))
        times = f" ×{visits}" if visits > 1 else ""
        return f"{node.label} {status}{times}{' → ' if targets else ''}{' & '.join(targets[:4])}" if self.stateful else node.label

    def _status(self, path: str) -> str:
        status = getattr(self.nodes.get(path), "status", "idle")
        return status if status in PALETTE["light"] else "idle"

    def _group(self, group: Group) -> str:
        box, status = self.place.groups[group.id], self._status(group.id)
        title = cut_to_width(shown(group.title, 400), min(220.0 if not group.store else 400.0, box.w - 40), _SMALL)
        w = width(title, _SMALL) * 1.08 + 16
        line, ink, cls = PALETTE["light"][status].line, INK["light"], f"pf-group{' pf-private' if group.store else ''}"
        return (
            f'<g class="{cls}" data-node="{attribute(group.id)}" data-state="{status}">{_full(group.title, title)}'
            f'<rect class="pf-box" x="{number(box.x)}" y="{number(box.y)}" width="{number(box.w)}" height="{number(box.h)}" '
            f'rx="12" fill="{ink["edge"]}" fill-opacity="0.09" stroke="{line}" stroke-width="1.2" stroke-dasharray="5 4"/>'
            f'<g class="pf-title"><rect x="{number(box.x + 12)}" y="{number(box.y + 8)}" width="{number(w)}" height="18" rx="9" '
            f'fill="{ink["chip"]}"/><text x="{number(box.x + 20)}" y="{number(box.y + 21)}" font-size="11" font-weight="600" '
            f'fill="{ink["chip-ink"]}">{xml(title)}</text></g></g>'
        )

    def _cluster(self, cluster: Cluster) -> str:
        box, ink = self.place.clusters[cluster.id], INK["light"]
        title = cut_to_width(shown(cluster.label, 400), max(box.w - 20, 20.0), _SMALL)
        return (
            f'<g class="pf-cluster">{_full(cluster.label, title)}'
            f'<rect x="{number(box.x)}" y="{number(box.y)}" width="{number(box.w)}" height="{number(box.h)}" rx="8" '
            f'fill="{ink["edge"]}" fill-opacity="0.05" stroke="{ink["edge"]}" stroke-opacity="0.6"/>'
            f'<text x="{number(box.x + 10)}" y="{number(box.y + 18)}" font-size="11" fill="{ink["chip-ink"]}">{xml(title)}</text></g>'
        )

    def _marks(self) -> list[str]:
        grey = INK["light"]["edge"]
        dots = [
            f'<circle class="pf-mark" cx="{number(x)}" cy="{number(y)}" r="5" fill="{grey}"/>' for x, y in self.place.starts
        ]
        rings = [
            f'<circle class="pf-ring" cx="{number(x)}" cy="{number(y)}" r="7" fill="none" stroke="{grey}" stroke-width="1.6"/>'
            f'<circle class="pf-mark" cx="{number(x)}" cy="{number(y)}" r="3.6" fill="{grey}"/>'
            for x, y in self.place.ends
        ]
        return ['<g class="pf-marks" aria-hidden="true">' + "".join(dots + rings) + "</g>"] if dots or rings else []

    def _count(self, edge: Edge) -> int:
        return int(self.taken.get((edge.source, "!error" if edge.kind == "error" else edge.action), 0))

    def _look(self, route: Route) -> tuple[str, float, str, str]:
        """Classes, thickness, dashes and colour of an arrow."""
        if route.edge < 0:
            return "pf-edge pf-begin", 1.5, "", INK["light"]["edge"]
        edge = self.graph.edges[route.edge]
        count, error = self._count(edge), edge.kind == "error"
        thick = 1.5 if not count else min(1.9 + 0.5 * math.log2(count), 4.5)
        thick += 0.6 if edge.kind == "detached" else 0.0
        names = "pf-edge" + (" pf-error" if error else "") + (" pf-detached" if edge.kind == "detached" else "")
        colour = INK["light"]["error" if error else "taken" if count else "edge"]
        return names + (" pf-taken" if count else ""), thick, _DASHES.get(edge.kind, ""), colour

    def _arrows_at_once(self) -> list[str]:
        """One line and one head for all arrows of one look."""
        alike: dict[tuple[str, float, str, str], list[Route]] = {}
        for route in self.place.routes:
            alike.setdefault(self._look(route), []).append(route)
        drawn = []
        for (names, thick, dash, colour), routes in alike.items():
            lines = "".join(map(_path, routes))
            heads = "".join(f"M{_head(route, thick).replace(' ', 'L')}z" for route in routes)
            bars = [_fork_bar(r, colour) for r in routes if r.edge >= 0 and self.graph.edges[r.edge].parallel > 1]
            drawn.append(
                f'<g class="{names}" fill="none"><path d="{lines}" stroke="{colour}" stroke-width="{number(thick)}"{dash}/>'
                f'<path class="pf-head" d="{heads}" fill="{colour}" style="stroke:none"/>{"".join(bars)}</g>'
            )
        return drawn

    def _chips_at_once(self) -> list[str]:
        chips = [(edge_text(self.graph.edges[r.edge]), r.label) for r in self.place.routes if r.label is not None]
        if not chips:
            return []
        boxes = "".join(f"M{number(b.x)},{number(b.y + 1)}h{number(b.w)}v{number(b.h - 2)}h{number(-b.w)}z" for _, b in chips)
        texts = "".join(f'<text x="{number(b.middle[0])}" y="{number(b.middle[1] + 3.8)}">{xml(text)}</text>' for text, b in chips)
        ink = INK["light"]
        return [
            f'<g class="pf-chip" font-size="11" text-anchor="middle" fill="{ink["chip-ink"]}"><path d="{boxes}" fill="{ink["chip"]}"/>'
            f"{texts}</g>"
        ]

    def _arrow(self, route: Route) -> str:
        names, thick, dash, colour = self._look(route)
        if route.edge < 0:
            return f'<g class="{names}" fill="none">{self._line(route, thick, dash, colour)}</g>'
        edge = self.graph.edges[route.edge]
        count, error = self._count(edge), edge.kind == "error"
        said = f"{edge.source} to {edge.target}" + (f", {edge.action}" if edge.action != "default" else "")
        said += ", on error" if error else ", not waited for" if edge.kind == "detached" else ""
        said += f", taken {count} times" if count > 1 else ", taken once" if count else ""
        fork = _fork_bar(route, colour) if edge.parallel > 1 else ""
        return (
            f'<g class="{names}" data-edge="{attribute(edge_key(edge))}" data-count="{count}" fill="none">'
            f"<title>{xml(said)}</title>{self._line(route, thick, dash, colour)}{fork}</g>"
        )

    def _line(self, route: Route, thick: float, dash: str, colour: str) -> str:
        return (
            f'<path d="{_path(route)}" stroke="{colour}" stroke-width="{number(thick)}"{dash}/>'
            f'<polygon class="pf-head" points="{_head(route, thick)}" fill="{colour}"/>'
        )

    def _chip(self, route: Route) -> str:
        if route.label is None:
            return ""
        edge, box = self.graph.edges[route.edge], route.label
        text = edge_text(edge)
        x, y = box.middle
        return (
            f'<g class="pf-chip" data-edge="{attribute(edge_key(edge))}">{_full(edge.action, text)}<rect x="{number(box.x)}" '
            f'y="{number(box.y + 1)}" width="{number(box.w)}" height="{number(box.h - 2)}" rx="8" fill="{INK["light"]["chip"]}"/>'
            f'<text x="{number(x)}" y="{number(y + 3.8)}" font-size="11" text-anchor="middle" fill="{INK["light"]["chip-ink"]}">'
            f"{xml(text)}</text></g>"
        )

    def _node(self, node: GraphNode) -> str:
        box, status = self.place.nodes[node.id], self._status(node.id)
        known = self.nodes.get(node.id)
        visits = int(getattr(known, "visits", 0))
        colours = PALETTE["light"][status]
        lines = text_lines(node.label)
        caption = self.captions.get(node.id)
        if caption is None:
            seconds = float(getattr(known, "seconds", 0.0))
            caption = node_caption(known, status, seconds) if self.stateful else ""
        caption = shown(caption, 200)
        said = shown(node.label, 300) + (f": {status}" if self.stateful else "") + (f", {visits} visits" if visits > 1 else "")
        if runs := getattr(known, "runs", None):
            said += ", runs begun here: " + ", ".join(f"{times} {shown(how, 20)}" for how, times in runs.items())
        error = str(getattr(known, "error", "") or "")
        dash = ' stroke-dasharray="4 3"' if status == "cancelled" else ""
        more = f'class="pf-shape" fill="{colours.fill}" stroke="{colours.line}" stroke-width="1.5"{dash}'
        parts = [
            f'<g class="pf-node" data-node="{attribute(node.id)}" data-state="{status}" data-visits="{visits}" '
            f'data-kind="{attribute(node.kind)}">',
            "" if self.lean and not error else
            f"<title>{xml(said)}{xml(' — ' + redacted_head(error, 2_000), 300) if error and status == 'failed' else ''}</title>",
            self._behind(node, box, more, bool(getattr(known, "runs", None))),
            outline(node.shape, box.x, box.y, box.w, box.h, more),
            _texts(lines, caption, box, colours.strong),
        ]
        if self.stateful and not (self.lean and (caption or status == "idle")):
            parts.append(_sign(node.shape, box, status))
        if self.live or visits > 1:
            parts.append(_visits(node.shape, box, visits, colours.strong))
        return "".join([*parts, "</g>"])

    def _behind(self, node: GraphNode, box: Box, more: str, has_runs: bool) -> str:
        """The mark of a stack: a batch, or a step that began runs."""
        if not (node.kind == "batch" or has_runs) or node.shape not in ("rect", "round", "stadium"):
            return ""
        return outline(node.shape, box.x + 4, box.y - 4, box.w, box.h, more.replace("pf-shape", "pf-shape pf-behind"))


def _path(route: Route) -> str:
    return "".join(kind + " ".join(f"{number(x)},{number(y)}" for x, y in points) for kind, points in route.steps)


def _head(route: Route, thick: float) -> str:
    """The corners of an arrow's head."""
    (x, y), (ax, ay) = route.tip, route.aim
    size = 8.0 + max(thick - 1.5, 0.0)
    reach = math.hypot(ax, ay) or 1.0
    ax, ay = ax / reach, ay / reach
    back, half = (x - ax * size, y - ay * size), size * 0.46
    hollow = (x - ax * size * 0.72, y - ay * size * 0.72)
    corners = [(x, y), (back[0] - ay * half, back[1] + ax * half), hollow, (back[0] + ay * half, back[1] - ax * half)]
    return " ".join(f"{number(px)},{number(py)}" for px, py in corners)


def _full(whole: str, drawn: str) -> str:
    return f"<title>{xml(whole, 500)}</title>" if drawn != whole else ""


def _fork_bar(route: Route, colour: str) -> str:
    """The small bar at the root of arrows that leave together."""
    first, second = route.steps[0][1][0], route.steps[1][1][0] if len(route.steps) > 1 else route.tip
    upright = abs(second[1] - first[1]) > abs(second[0] - first[0])
    way = 1 if (second[1] - first[1] if upright else second[0] - first[0]) >= 0 else -1
    x, y = first
    if upright:
        d = f"M{number(x - 7)},{number(y + 5 * way)}h14"
    else:
        d = f"M{number(x + 5 * way)},{number(y - 7)}v14"
    return f'<path d="{d}" stroke="{colour}" stroke-width="3" stroke-linecap="round"/>'


def _texts(lines: list[str], caption: str, box: Box, strong: str) -> str:
    x, y = box.middle
    rows = len(lines)
    top = y - (rows - 1) * LINE / 2 + FONT * 0.36 - (6.5 if caption else 0.0)
    ink = INK["light"]["ink"]
    labels = "".join(
        f'<text class="pf-label" x="{number(x)}" y="{number(top + row * LINE)}" text-anchor="middle" font-weight="500" '
        f'fill="{ink}">{xml(line)}</text>'
        for row, line in enumerate(lines)
    )
    if not caption:
        return labels
    room = max(box.w - 8, 40.0)
    size = min(10.0, max(10.0 * room / width(caption, 10.0), 7.0))  # smaller letters before a word is cut
    return (
        f'{labels}<text class="pf-caption" x="{number(x)}" y="{number(top + (rows - 1) * LINE + 14)}" font-size="{number(size)}" '
        f'text-anchor="middle" fill="{strong}">{xml(cut_to_width(caption, room, size))}</text>'
    )


def _corner(shape: str, box: Box) -> tuple[float, float]:
    """The offset of a node's outline from its box's upper left corner."""
    if shape == "diamond":
        return box.w * 0.17, box.h * 0.33
    if shape in ("circle", "double_circle"):
        return box.w * 0.15, box.h * 0.15
    return (9.0, 3.0) if shape in ("stadium", "hexagon", "lean_right", "trapezoid", "round") else (3.0, 3.0)


def _sign(shape: str, box: Box, status: str) -> str:
    """The disc with the state's glyph, on the node's upper left corner."""
    dx, dy = _corner(shape, box)
    x, y, strong = box.x + dx, box.y + dy, PALETTE["light"][status].strong
    return (
        f'<g class="pf-sign" transform="translate({number(x - 8)},{number(y - 8)})"><circle class="pf-disc" cx="8" cy="8" r="8" '
        f'fill="{strong}"/><path class="pf-glyph" transform="translate(2,2)" d="{GLYPHS[status]}" fill="none" '
        f'stroke="{INK["light"]["sign"]}" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/></g>'
    )


def _visits(shape: str, box: Box, visits: int, strong: str) -> str:
    dx, dy = _corner(shape, box)
    text = f"×{visits}" if visits < 10_000 else f"×{visits // 1000}k"
    w = width(text, 10.0) + 10
    right, middle = box.x + box.w - dx + 8, box.y + dy - 2
    hidden = "" if visits > 1 else ' display="none"'
    return (
        f'<g class="pf-visits"{hidden}><rect x="{number(right - w)}" y="{number(middle - 7.5)}" width="{number(w)}" height="15" '
        f'rx="7.5" fill="{strong}"/><text x="{number(right - w / 2)}" y="{number(middle + 3.6)}" font-size="10" '
        f'font-weight="600" text-anchor="middle" fill="{INK["light"]["sign"]}">{text}</text></g>'
    )
