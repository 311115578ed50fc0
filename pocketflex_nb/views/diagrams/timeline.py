"""Timelines as SVG: one row per run, one bar per visit, parallel branches beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pocketflex_nb.core.state import Span, State
from pocketflex_nb.views.diagrams.node_colours import COLOURS, pattern_path
from pocketflex_nb.views.diagrams.palette import FAMILY, INK, PALETTE, style
from pocketflex_nb.views.text.safe_text import attribute, shown, xml
from pocketflex_nb.views.text.text_metrics import cut_to_width, number, width

__all__ = ["timeline"]

#: pixels of a bar that have its colour in full, and of the cross of a failed one
_EDGE, _CROSS = 4.0, 11.0
_ROW, _BAR, _LEFT, _TOP, _RIGHT = 22.0, 16.0, 110.0, 24.0, 14.0


def timeline(
    states: State | Mapping[str, State], *, width_px: float = 760, limit: int = 400, colours: Mapping[str, int] | None = None
) -> str:
    """A timeline as an SVG document. A bar has the colour of its node, its name where there is room, and a sign of how it ended.

    Parameters
    ----------
    states : State, or mapping of str to State
        One run, or several by name.
    width_px : float
        Width in pixels.
    limit : int
        Bars drawn of one run, the latest; older ones are counted.
    colours : mapping of str to int, optional
        The numbers of the nodes' colours, as `colour_numbers` gives them; others follow in the order in which they were visited.
    """
    named = dict(states) if isinstance(states, Mapping) else {states.run or "run": states}
    return _Timeline(named, width_px, limit, colours or {}).text()


class _Timeline:
    def __init__(self, states: dict[str, State], width_px: float, limit: int, colours: Mapping[str, int]) -> None:
        self.states, self.width, self.limit = states, width_px, limit
        spans = [s for state in states.values() for s in state.spans]
        begins = [s.start for s in spans] + [state.started for state in states.values() if state.started]
        ends = [s.end for s in spans] + [state.finished for state in states.values() if state.finished]
        self.begin = min(begins, default=0)
        self.span = max(max(ends, default=self.begin) - self.begin, 1)
        self.colours = dict(colours)
        for span in spans:
            self.colours.setdefault(span.node, len(self.colours))

    def x(self, ns: int) -> float:
        return _LEFT + (self.width - _LEFT - _RIGHT) * (ns - self.begin) / self.span

    def text(self) -> str:
        parts: list[str] = []
        y = _TOP
        for name, state in self.states.items():
            drawn, height = self.row(name, state, y)
            parts.append(drawn)
            y += height
        bottom = number(math.ceil(y + 6))
        shown_names = ", ".join(list(self.states)[:5])
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pf-svg pf-timeline" width="{number(self.width)}" height="{bottom}" '
            f'viewBox="0 0 {number(self.width)} {bottom}" role="img" aria-label="{attribute("Timeline of " + shown_names, 300)}" '
            f'font-family="{FAMILY}" font-size="11">',
            f"<style>{style()}{_hue_style()}</style>",
            self.axis(y), *parts, "</svg>",
        ])

    def axis(self, bottom: float) -> str:
        seconds = self.span / 1e9
        step = _nice(seconds / max((self.width - _LEFT) / 90, 1))
        grey, ink = INK["light"]["edge"], INK["light"]
        parts = [
            f'<g class="pf-chip"><rect x="{number(_LEFT - 14)}" y="3" width="{number(self.width - _LEFT + 10)}" height="15" '
            f'rx="7" fill="{ink["chip"]}"/></g>'
        ]
        for tick in range(math.floor(seconds / step) + 1):
            x = self.x(self.begin + round(tick * step * 1e9))
            anchor = "end" if x > self.width - 2 * _RIGHT else "middle"
            parts.append(
                f'<path d="M{number(x)},{number(_TOP - 4)}V{number(bottom)}" stroke="{grey}" stroke-opacity="0.25"/>'
                f'<g class="pf-chip"><text x="{number(x)}" y="14" font-size="10" text-anchor="{anchor}" '
                f'fill="{ink["chip-ink"]}">{_seconds(tick * step)}</text></g>'
            )
        return f'<g class="pf-axis" aria-hidden="true">{"".join(parts)}</g>'

    def row(self, name: str, state: State, y: float) -> tuple[str, float]:
        spans = list(state.spans)
        left_out = max(len(spans) - self.limit, 0)
        lanes: list[int] = []
        bars = []
        for span in sorted(spans[left_out:], key=lambda s: (s.start, s.end)):
            lane = next((n for n, end in enumerate(lanes) if end <= span.start), len(lanes))
            lanes[lane:] = [span.end] if lane == len(lanes) else [span.end, *lanes[lane + 1 :]]
            bars.append(self.bar(span, y + lane * (_BAR + 2) + 3))
        height = max(_ROW, len(lanes) * (_BAR + 2) + 6)
        grey = INK["light"]["edge"]
        label = cut_to_width(shown(name, 200), _LEFT - 16, 11)
        more = f" ({left_out} older not drawn)" if left_out else ""
        chip = (
            f'<g class="pf-chip"><title>{xml(f"{name}: {state.status}{more}")}</title><rect x="4" y="{number(y + 3)}" '
            f'width="{number(width(label, 11) + 14)}" height="17" rx="8" fill="{INK["light"]["chip"]}"/>'
            f'<text x="11" y="{number(y + 15)}" fill="{INK["light"]["chip-ink"]}">{xml(label)}</text></g>'
        )
        line = f'<path d="M0,{number(y + height)}H{number(self.width)}" stroke="{grey}" stroke-opacity="0.2"/>'
        head = f'<g class="pf-row" data-run="{attribute(name)}" data-state="{attribute(state.status)}">'
        return f"{head}{chip}{''.join(bars)}{line}</g>", height

    def bar(self, span: Span, y: float) -> str:
        x = self.x(span.start)
        w = max(self.x(span.end) - x - 1, 2.0)
        colour = self.colours[span.node]
        hue = colour % len(COLOURS["light"])
        fill, bad = COLOURS["light"][hue], PALETTE["light"]["failed"].line
        took = (span.end - span.start) / 1e9
        said = f"{span.address or span.node}: {_seconds(took)}" + (f" → {span.action}" if span.action else "")
        said += ", failed" if span.failed else ", cancelled" if span.cancelled else ""
        left = _EDGE + (_CROSS if span.failed else 0)
        cross = f'<path class="pf-bad" d="M{number(x + _EDGE + 2)},{number(y + 4)}l8,8m0,-8l-8,8" stroke="{bad}" stroke-width="2"/>'
        dash = ' stroke-dasharray="3 2"' if span.cancelled else ""
        lines = pattern_path(colour, x, y, w, _BAR)
        pattern = f'<path class="pf-h{hue}" d="{lines}" fill="none" stroke="{fill}"/>' if lines else ""
        place = f'x="{number(x)}" y="{number(y)}"'
        edge = f'<rect class="pf-h{hue}" {place} width="{number(min(w, _EDGE))}" height="{number(_BAR)}" rx="2" fill="{fill}"/>'
        return (
            f'<g class="pf-bar" data-node="{attribute(span.node)}" data-seq="{span.seq}"><title>{xml(said)}</title>'
            f'<rect class="pf-h{hue}{" pf-bad" if span.failed else ""}" {place} width="{number(w)}" height="{number(_BAR)}" rx="3" '
            f'fill="{fill}" fill-opacity="0.2" stroke="{bad if span.failed else fill}" stroke-width="{1.8 if span.failed else 1}"{dash}/>'
            f'{pattern}{edge}{cross if span.failed else ""}{_inside(span.node, x + left, y, w - left)}</g>'
        )


def _inside(node: str, x: float, y: float, room: float) -> str:
    """The name of a node inside its bar, as far as there is room."""
    text = cut_to_width(shown(node.rsplit("/", 1)[-1], 100), room - 6, 10) if room > 20 else ""
    if not text.strip("…"):
        return ""
    place = f'x="{number(x + 3)}" y="{number(y + 11.5)}"'
    return f'<text class="pf-label" {place} font-size="10" fill="{INK["light"]["ink"]}">{xml(text)}</text>'


def _hue_style() -> str:
    """The bars' colours, by the reader's theme."""
    light, dark = (";".join(f"--pf-b{n}:{colour}" for n, colour in enumerate(COLOURS[theme])) for theme in ("light", "dark"))
    return "".join([
        f".pf-timeline{{{light}}}@media (prefers-color-scheme:dark){{.pf-timeline{{{dark}}}}}",
        f'[data-jp-theme-light="true"] .pf-timeline,[data-theme="light"] .pf-timeline{{{light}}}',
        f'[data-jp-theme-light="false"] .pf-timeline,[data-theme="dark"] .pf-timeline{{{dark}}}',
        *(f".pf-svg .pf-h{n}{{fill:var(--pf-b{n});stroke:var(--pf-b{n})}}" for n in range(len(COLOURS["light"]))),
        ".pf-svg path[class^=pf-h]{fill:none}.pf-svg .pf-bad{stroke:var(--pf-failed-line)}",
    ])


def _nice(step: float) -> float:
    """The round number of seconds at or above `step`: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(step, 1e-9)))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= step * 0.999)


def _seconds(value: float) -> str:
    if value >= 120:
        return f"{value / 60:.4g} min"
    return f"{value:.4g} s" if value >= 1 or not value else f"{value * 1e3:.4g} ms" if value >= 1e-3 else f"{value * 1e6:.4g} µs"
