"""The live view of one run or many: status strip, diagram, lanes, timeline."""

from __future__ import annotations

import contextlib
import html
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from pocketflex_nb.core.state import State
from pocketflex_nb.notebook.bridge import pump
from pocketflex_nb.notebook.picture import LANES, Picture, graphs_of, summed
from pocketflex_nb.views.palette import GLYPHS
from pocketflex_nb.views.svg import svg

__all__ = ["RunView"]

_HERE = Path(__file__).parent
#: seconds between two updates of lanes and of the timeline
_LANES_EVERY, _SPANS_EVERY = 0.25, 0.5


class RunView(anywidget.AnyWidget):
    """A live view of runs inside the cell.

    Parameters
    ----------
    runs : Run, RunGroup, or iterable of Run
        What to show.
    height : int
        Pixels at most of the lanes.
    name : str, optional
        Title; default: the run's or group's name.

    Notes
    -----
    Follows the runs at most ten times a second and sends only what changed. Space pauses, ``s`` stops.
    """

    _esm = _HERE / "run_view.js"
    _css = _HERE / "run_view.css"

    strip = traitlets.Dict().tag(sync=True)
    pictures: Any = traitlets.List().tag(sync=True)
    states = traitlets.Dict().tag(sync=True)
    edges = traitlets.Dict().tag(sync=True)
    lanes: Any = traitlets.List().tag(sync=True)
    heat = traitlets.Unicode().tag(sync=True)
    spans: Any = traitlets.List().tag(sync=True)
    signs = traitlets.Dict().tag(sync=True)
    focus = traitlets.Int(-1).tag(sync=True)
    height = traitlets.Int(500).tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, runs: Any, height: int = 500, *, name: str | None = None, **options: Any) -> None:
        made = list(runs) if isinstance(runs, Iterable) else [runs]
        self._name = name or getattr(runs, "name", None)
        self._picture = Picture(made)
        self._flows: list[Any] = []
        self._seen: tuple[Any, ...] | None = None
        self._next_lanes = self._next_spans = 0.0
        self._finished: list[Any] = []
        self.on_final: Any = None
        super().__init__(height=height, signs=dict(GLYPHS), **options)
        self._draw()
        self._tell(final=False)
        self.on_msg(self._command)
        self._answer_here()
        pump.follow(self)

    def __repr__(self) -> str:
        return f"RunView({self.title!r}, {len(self.runs)} run{'s' if len(self.runs) != 1 else ''})"

    @property
    def runs(self) -> list[Any]:
        """The runs it shows."""
        return self._picture.runs

    @property
    def title(self) -> str:
        """What the strip says."""
        if self._name:
            return str(self._name)
        return str(self.runs[0].name) if len(self.runs) == 1 else f"{len(self.runs)} runs"

    def add(self, runs: Iterable[Any]) -> None:
        """Show more runs in the same view."""
        new = [run for run in runs if run not in self.runs]
        if new:
            self._picture.runs.extend(new)
            self._name = None
            self._draw()
            self._seen = None
            pump.follow(self)

    # the pump's side -------------------------------------------------------------------------------------------------
    def look(self) -> bool:
        """Send what changed since the last look; False when every run is over and was shown."""
        live = self._picture.is_live()
        seen = tuple((run.status, len(run.records)) for run in self.runs) if not self._picture.is_many else (time.monotonic(),)
        if seen != self._seen or not live:
            self._seen = seen
            self._tell(final=not live)
        if not live and self.on_final is not None:
            tell, self.on_final = self.on_final, None
            tell()
        return live

    def _draw(self) -> None:
        graphs = graphs_of(self.runs)
        self._flows = [flow for flow, _ in graphs]
        self.pictures = [{"name": graph.name, "svg": svg(graph, None, live=True)} for _, graph in graphs[:20]]

    def _tell(self, *, final: bool) -> None:
        picture, now = self._picture, time.monotonic()
        with self.hold_sync():
            self.strip = picture.strip(self.title)
            self.states = {str(k): picture.states(flow) for k, flow in enumerate(self._flows)}
            self.edges = {str(k): picture.edges(flow) for k, flow in enumerate(self._flows)}
            self.heat = picture.heat()
            if final or now >= self._next_lanes:
                self._next_lanes = now + _LANES_EVERY
                self.lanes = picture.lanes(self._tail(final))
            if final or now >= self._next_spans:
                self._next_spans = now + _SPANS_EVERY
                self.spans = picture.spans()

    def _tail(self, final: bool) -> int:
        runs = len(self.runs)
        if runs > LANES:
            return 1
        return (200 if final else 40) if runs == 1 else (60 if final else 12)

    # the page's side -------------------------------------------------------------------------------------------------
    def _answer_here(self) -> None:
        """Have clicks handled while a cell is busy, as ipykernel 7.1 to 7.3 do."""
        comm = self.comm
        if comm is not None and hasattr(comm, "_reply_subshell_for"):
            comm._reply_subshell_for = lambda data, default: default

    def _command(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A button was pressed: post it, and let the pump show what came of it."""
        with contextlib.suppress(Exception):  # a click must not leave a traceback in some other cell
            self._do(content)
        pump.hurry()

    def _do(self, content: dict[str, Any]) -> None:
        do, index = content.get("do"), content.get("run", -1)
        chosen = [self.runs[index]] if isinstance(index, int) and 0 <= index < len(self.runs) else list(self.runs)
        if do == "focus":
            self._picture.focus = index if len(chosen) == 1 and len(self.runs) > 1 and index >= 0 else None
            self.focus = -1 if self._picture.focus is None else self._picture.focus
            self._seen = None
            pump.follow(self)
            return
        for run in chosen:
            if run.done():
                continue
            if do == "stop":
                run.cancel()
            elif do == "pause":
                run.pause()
            elif do == "resume":
                run.resume()
            elif do == "step":
                run.step()
            elif do == "answer":
                _answer(run, content)

    # the static form -------------------------------------------------------------------------------------------------
    def snapshot(self) -> str:
        """The diagram as it stands, as SVG text."""
        runs = [run for run in self._picture.chosen() if run.flow is self._flows[0]]
        state = summed([run.state() for run in runs]) if runs else State()
        captions = {path: text for path, (_, _, text) in self._picture.states(self._flows[0]).items() if text}
        return svg(runs[0].graph if runs else graphs_of(self.runs)[0][1], state, captions=captions if len(runs) > 1 else None)

    def summary(self) -> str:
        """One line of plain text."""
        strip = self._picture.strip(self.title)
        counts = ", ".join(f"{n} {status}" for status, n in strip["counts"].items())
        steps = f", {strip['steps']} steps" if "steps" in strip else ""
        return f"{strip['name']}: {counts}{steps}"

    def to_html(self, path: str | Path) -> Path:
        """Write what it shows as one HTML file that opens anywhere, offline; returns its path."""
        lanes = "".join(
            f"<h2>{html.escape(lane['name'])} <small>{lane['status']}</small></h2><pre>"
            + html.escape("\n".join(text for _, text, _ in lane["lines"])) + "</pre>"
            for lane in self._picture.lanes(500)
        )
        style = "body{font:15px system-ui;margin:2rem;max-width:70rem}pre{white-space:pre-wrap}small{color:#666}"
        target = Path(path)
        target.write_text(
            f"<!doctype html><meta charset=utf-8><title>{html.escape(self.title)}</title><style>{style}</style>"
            f"<h1>{html.escape(self.summary())}</h1>{self.snapshot()}{lanes}",
            encoding="utf-8",
        )
        return target


def _answer(run: Any, content: dict[str, Any]) -> None:
    """Give an answer that came as text back as what was asked for."""
    value, number = content.get("value"), content.get("ask")
    held = run.hold_state()
    question = held.questions.get(number)
    if question is not None and question.choices is not None:
        value = next((choice for choice in question.choices if str(choice) == str(value)), value)
    run.answer(value, number)
