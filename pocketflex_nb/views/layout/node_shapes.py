"""The size and the outline of a node: Mermaid's shapes as plain SVG elements."""

from __future__ import annotations

import math

from pocketflex_nb.core.flow.flow_graph import GraphNode
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.text.text_metrics import FONT, LINE, number, width, wrap

__all__ = ["node_size", "outline", "text_lines"]

_HEIGHT, _PAD, _ROOM = 44.0, 16.0, 164.0


def text_lines(label: str) -> list[str]:
    """The lines in which a label is drawn."""
    parts = [wrap(shown(part), _ROOM, FONT, 3) for part in label.split("\n", 3)[:3]]
    return [line for part in parts for line in part][:3]


def node_size(node: GraphNode, lines: list[str]) -> tuple[float, float]:
    """Width and height of a node in pixels."""
    w = max((width(line, FONT) for line in lines), default=0.0) + 2 * _PAD
    h = _HEIGHT + LINE * (len(lines) - 1)
    w = max(w, 88.0)
    if node.shape in ("stadium", "hexagon", "lean_right", "lean_left", "trapezoid", "trapezoid_alt", "asymmetric", "subroutine"):
        w += 16
    if node.shape in ("circle", "double_circle"):
        w = h = max(w * 0.92, h + 8)
    if node.shape == "diamond":
        w, h = w * 1.5 + 12, h * 1.62
    if node.shape == "cylinder":
        h += 12
    return math.ceil(w), math.ceil(h)


def _polygon(points: list[tuple[float, float]], more: str) -> str:
    text = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return f'<polygon points="{text}" stroke-linejoin="round" {more}/>'


def _rect(x: float, y: float, w: float, h: float, radius: float, more: str) -> str:
    return f'<rect x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}" rx="{number(radius)}" {more}/>'


def outline(shape: str, x: float, y: float, w: float, h: float, more: str) -> str:
    """The outline as an SVG element; `more` are attributes of it. Shapes that are not known are drawn as rectangles."""
    if shape in ("circle", "double_circle"):
        middle = f'<circle cx="{number(x + w / 2)}" cy="{number(y + h / 2)}"'
        inner = f'{middle} r="{number(w / 2 - 4)}" class="pf-line" fill="none"/>' if shape == "double_circle" else ""
        return f'{middle} r="{number(w / 2)}" {more}/>{inner}'
    if shape in _SLANTED:
        return _polygon([(x + fx * w + dx, y + fy * h) for fx, fy, dx in _SLANTED[shape]], more)
    if shape == "hexagon":
        d = min(12.0, h / 3)
        return _polygon(
            [(x + d, y), (x + w - d, y), (x + w, y + h / 2), (x + w - d, y + h), (x + d, y + h), (x, y + h / 2)], more
        )
    if shape == "cylinder":
        return _cylinder(x, y, w, h, more)
    if shape == "subroutine":
        bars = f"M{number(x + 8)},{number(y)}v{number(h)}M{number(x + w - 8)},{number(y)}v{number(h)}"
        return _rect(x, y, w, h, 3, more) + f'<path d="{bars}" class="pf-line" fill="none"/>'
    return _rect(x, y, w, h, {"round": 16, "stadium": h / 2}.get(shape, 8), more)


_SLANTED: dict[str, list[tuple[float, float, float]]] = {
    "diamond": [(0.5, 0, 0), (1, 0.5, 0), (0.5, 1, 0), (0, 0.5, 0)],
    "lean_right": [(0, 0, 12), (1, 0, 0), (1, 1, -12), (0, 1, 0)],
    "lean_left": [(0, 0, 0), (1, 0, -12), (1, 1, 0), (0, 1, 12)],
    "trapezoid": [(0, 0, 12), (1, 0, -12), (1, 1, 0), (0, 1, 0)],
    "trapezoid_alt": [(0, 0, 0), (1, 0, 0), (1, 1, -12), (0, 1, 12)],
    "asymmetric": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0.5, 12)],
}


def _cylinder(x: float, y: float, w: float, h: float, more: str) -> str:
    lid, top = 6.0, y + 6.0
    arc = f"{number(w / 2)},{number(lid)} 0 0 "
    body = (
        f"M{number(x)},{number(top)}a{arc}1 {number(w)},0v{number(h - 2 * lid)}a{arc}1 {number(-w)},0z"
    )
    rim = f"M{number(x)},{number(top)}a{arc}0 {number(w)},0"
    return f'<path d="{body}" {more}/><path d="{rim}" class="pf-line" fill="none"/>'
