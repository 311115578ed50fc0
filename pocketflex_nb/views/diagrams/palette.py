"""The colour, icon and word of each state: one table for every picture and every widget.

Colour is never the only sign: each state has a glyph of its own shape and a word. Text on every fill has a contrast of at least 4.5 to
1 in both themes, lines at least 3 to 1 on white and on #111.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAMILY", "GLYPHS", "INK", "PALETTE", "SIGNS", "STATUSES", "Colours", "style"]

#: node states, in the order of legends
STATUSES = ("idle", "running", "waiting", "asking", "done", "failed", "cancelled", "cached")
#: one character each, for plain text
SIGNS = {
    "idle": "o", "running": ">", "waiting": "||", "asking": "?", "done": "v", "failed": "x", "cancelled": "-", "cached": "=",
    "pending": "o", "paused": "||",
}
#: an outline each, in a square of 12 by 12, drawn as a line of 1.8 without fill
GLYPHS = {
    "idle": "M6,3.4a2.6,2.6 0 1 1 -0.01,0z",
    "running": "M4.4,2.8L9,6L4.4,9.2z",
    "waiting": "M4.3,3v6M7.7,3v6",
    "asking": "M4.1,4.3a1.95,1.95 0 1 1 2.9,1.7q-1,.55 -1,1.5M6,9.55v.1",
    "done": "M2.9,6.3L5.1,8.5L9.2,3.8",
    "failed": "M3.4,3.4L8.6,8.6M8.6,3.4L3.4,8.6",
    "cancelled": "M3,6h6",
    "cached": "M3.2,4.6h5.6M3.2,7.4h5.6",
}


@dataclass(frozen=True, slots=True)
class Colours:
    """Fill and line of a node, and the strong colour of its glyph's disc and of its caption."""

    fill: str
    line: str
    strong: str


_LIGHT = {
    "idle": Colours("#ffffff", "#7d8797", "#5b6472"),
    "running": Colours("#e3edff", "#2f6fe4", "#1d56c4"),
    "waiting": Colours("#f0eafd", "#8657d8", "#6b3cc0"),
    "asking": Colours("#fff3d6", "#b7791f", "#8a5606"),
    "done": Colours("#e2f6e9", "#23945a", "#11703f"),
    "failed": Colours("#fde8e8", "#d64545", "#b3261e"),
    "cancelled": Colours("#eff1f4", "#7d8797", "#5b6472"),
    "cached": Colours("#def4f7", "#15899b", "#0d6674"),
}
_DARK = {
    "idle": Colours("#22262d", "#7d8797", "#a9b2c0"),
    "running": Colours("#16294a", "#4c8df6", "#8ab6ff"),
    "waiting": Colours("#2b2146", "#9a74e8", "#c2a8ff"),
    "asking": Colours("#3a2c0e", "#bd8425", "#f2c263"),
    "done": Colours("#12321f", "#2fa868", "#6fdb9f"),
    "failed": Colours("#401a1c", "#e05c5c", "#ff9c96"),
    "cancelled": Colours("#262a31", "#7d8797", "#a9b2c0"),
    "cached": Colours("#0f3238", "#23a0b3", "#6ad3e2"),
}
#: by theme and state
PALETTE: dict[str, dict[str, Colours]] = {"light": _LIGHT, "dark": _DARK}
#: by theme: text, edge labels' fill and text, lines of edges, taken edges, error edges, groups' fill, disc of a glyph's sign
INK = {
    "light": {
        "ink": "#1b2028", "chip": "#f3f5f8", "chip-ink": "#3d4654", "edge": "#808a99", "taken": "#3b7de8", "error": "#d94f4f",
        "box": "#808a9914", "sign": "#ffffff",
    },
    "dark": {
        "ink": "#eef1f6", "chip": "#2d323b", "chip-ink": "#d3d9e3", "edge": "#808a99", "taken": "#4688f0", "error": "#d94f4f",
        "box": "#808a9920", "sign": "#14171c",
    },
}
FAMILY = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def _variables(theme: str) -> str:
    names = {f"--pf-{name}": value for name, value in INK[theme].items()}
    for status, colours in PALETTE[theme].items():
        names |= {f"--pf-{status}-{part}": getattr(colours, part) for part in ("fill", "line", "strong")}
    return ";".join(f"{name}:{value}" for name, value in names.items())


def style() -> str:
    """The style sheet of a picture: light by default, dark where the reader's theme is, every rule below ``.pf-svg``."""
    dark = _variables("dark")
    states = [
        f'.pf-svg [data-state="{s}"]{{--f:var(--pf-{s}-fill);--l:var(--pf-{s}-line);--s:var(--pf-{s}-strong)}}' for s in STATUSES
    ]
    return "".join([
        f".pf-svg{{{_variables('light')}}}",
        f"@media (prefers-color-scheme:dark){{.pf-svg{{{dark}}}}}",
        f'[data-jp-theme-light="true"] .pf-svg,[data-theme="light"] .pf-svg{{{_variables("light")}}}',
        f'[data-jp-theme-light="false"] .pf-svg,[data-theme="dark"] .pf-svg{{{dark}}}',
        *states,
        ".pf-svg .pf-shape{fill:var(--f);stroke:var(--l)}.pf-svg .pf-line{stroke:var(--l)}.pf-svg .pf-label{fill:var(--pf-ink)}",
        ".pf-svg .pf-caption{fill:var(--s)}.pf-svg .pf-disc{fill:var(--s)}.pf-svg .pf-glyph{stroke:var(--pf-sign)}",
        ".pf-svg .pf-visits rect{fill:var(--s)}.pf-svg .pf-visits text{fill:var(--pf-sign)}",
        ".pf-svg .pf-edge path{stroke:var(--pf-edge)}.pf-svg .pf-edge .pf-head{fill:var(--pf-edge)}",
        ".pf-svg .pf-edge.pf-taken path{stroke:var(--pf-taken)}.pf-svg .pf-edge.pf-taken .pf-head{fill:var(--pf-taken)}",
        ".pf-svg .pf-edge.pf-error path{stroke:var(--pf-error)}.pf-svg .pf-edge.pf-error .pf-head{fill:var(--pf-error)}",
        ".pf-svg .pf-chip rect,.pf-svg .pf-chip path{fill:var(--pf-chip)}.pf-svg .pf-chip text{fill:var(--pf-chip-ink)}",
        ".pf-svg .pf-box{fill:var(--pf-box);stroke:var(--l)}.pf-svg .pf-title rect{fill:var(--pf-chip)}",
        ".pf-svg .pf-title text{fill:var(--pf-chip-ink)}",
        ".pf-svg .pf-mark{fill:var(--pf-edge)}.pf-svg .pf-ring{stroke:var(--pf-edge)}",
    ])
