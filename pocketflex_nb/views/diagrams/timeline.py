"""Timelines as SVG: one row per run, one bar per visit, parallel branches beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle

from pocketflex_nb.core.state import Span, State
from pocketflex_nb.views.diagrams.palette import FAMILY, INK, PALETTE, style
from pocketflex_nb.views.text.safe_text import attribute, shown, xml
from pocketflex_nb.views.text.text_metrics import cut_to_width, number, width

__all__ = ["timeline"]

#: hues of nodes: (light fill, light line, dark fill)
_HUES = (
    ("#dbe8ff", "#4a7fe0", "#1c3358"), ("#d9f2e3", "#2f9a63", "#173a28"), ("#ece3fc", "#8a63d2", "#32264f"),
    ("#ffeccc", "#b7822c", "#40310f"), ("#d6f1f4", "#2a93a3", "#143b41"), ("#fbe0ec", "#c25a8c", "#451f33"),
    ("#e6ecd2", "#7c8f2f", "#303713"), ("#e4e7ec", "#7d8797", "#2b3038"),
)
_ROW, _BAR, _LEFT, _TOP, _RIGHT = 22.0, 16.0, 110.0, 24.0, 14.0


def timeline(states: State | Mapping[str, State], *, width_px: float = 760, limit: int = 400) -> str:
    """A timeline as an SVG document.

    Parameters
    ----------
    states : State, or mapping of str to State
        One run, or several by name.
    width_px : float
        Width in pixels.
    limit : int
        Bars drawn of one run, the latest; older ones are counted.
    """
    named = dict(states) if isinstance(states, Mapping) else {states.run or "run": states}
    return _Timeline(named, width_px, limit).text()


class _Timeline:
    def __init__(self, states: dict[str, State], width_px: float, limit: int) -> None:
        self.states, self.width, self.limit = states, width_px, limit
        spans = [s for state in states.values() for s in state.spans]
        begins = [s.start for s in spans] + [state.started for state in states.values() if state.started]
        ends = [s.end for s in spans] + [state.finished for state in states.values() if state.finished]
        self.begin = min(begins, default=0)
        self.span = max(max(ends, default=self.begin) - self.begin, 1)
        hues = cycle(_HUES)
        self.hues: dict[str, tuple[str, str, str]] = {}
        for span in spans:
            if span.node not in self.hues:
                self.hues[span.node] = next(hues)

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
        fill, line, _ = self.hues[span.node]
        hue = _HUES.index(self.hues[span.node])
        if span.failed:
            line = PALETTE["light"]["failed"].line
        short = span.node.rsplit("/", 1)[-1]
        text = cut_to_width(shown(short, 100), w - 8, 10) if w > 26 else ""
        took = (span.end - span.start) / 1e9
        said = f"{span.address or span.node}: {_seconds(took)}" + (f" → {span.action}" if span.action else "")
        said += ", failed" if span.failed else ", cancelled" if span.cancelled else ""
        ink = INK["light"]["ink"]
        inside = f'<text class="pf-label" x="{number(x + 4)}" y="{number(y + 11.5)}" font-size="10" fill="{ink}">'
        inside = f"{inside}{xml(text)}</text>" if text.strip("…") else ""
        cross = f'<path d="M{number(x)},{number(y)}l{number(min(w, 8))},8" stroke="{line}"/>' if span.failed else ""
        dash = ' stroke-dasharray="3 2" fill-opacity="0.5"' if span.cancelled else ""
        return (
            f'<g class="pf-bar" data-node="{attribute(span.node)}" data-seq="{span.seq}"><title>{xml(said)}</title>'
            f'<rect class="pf-h{hue}" x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(_BAR)}" rx="3" '
            f'fill="{fill}" stroke="{line}" stroke-width="{1.6 if span.failed else 1}"{dash}/>{cross}{inside}</g>'
        )


def _hue_style() -> str:
    """The bars' fills, by the reader's theme."""
    dark = "".join(f".pf-svg .pf-h{n}{{fill:{deep}}}" for n, (_, _, deep) in enumerate(_HUES))
    rules = [f"@media (prefers-color-scheme:dark){{{dark}}}"]
    for n, (light, _, deep) in enumerate(_HUES):
        for flag, theme, fill in (("true", "light", light), ("false", "dark", deep)):
            bar = f".pf-svg .pf-h{n}"
            rules.append(f'[data-jp-theme-light="{flag}"] {bar},[data-theme="{theme}"] {bar}{{fill:{fill}}}')
    return "".join(rules)


def _nice(step: float) -> float:
    """The round number of seconds at or above `step`: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(step, 1e-9)))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= step * 0.999)


def _seconds(value: float) -> str:
    if value >= 120:
        return f"{value / 60:.4g} min"
    return f"{value:.4g} s" if value >= 1 or not value else f"{value * 1e3:.4g} ms" if value >= 1e-3 else f"{value * 1e6:.4g} µs"
