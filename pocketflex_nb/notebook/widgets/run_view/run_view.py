"""`RunView`: the live view of one run or many: header, diagram, lanes, timeline, time cursor, and detail tabs."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import traitlets

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.state import State
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.notebook.reports.export_menu import EXPORTS, exported
from pocketflex_nb.notebook.reports.html_page import write_page
from pocketflex_nb.notebook.reports.still_form import BOUND, BOUND_LIVE, diagram_words, glance, still_story
from pocketflex_nb.notebook.reports.still_html import document, image
from pocketflex_nb.notebook.reports.text_view import TextView
from pocketflex_nb.notebook.run_data.conversation_page import ConversationPart
from pocketflex_nb.notebook.run_data.conversations import has_conversation
from pocketflex_nb.notebook.run_data.detail_tabs import RUNS, TABS, TabContent, tab_content
from pocketflex_nb.notebook.run_data.error_card import whole_traceback
from pocketflex_nb.notebook.run_data.inner_runs import RunLevel, crumbs, runs_inside
from pocketflex_nb.notebook.run_data.pending import PendingItem
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.notebook.run_data.run_view_model import LANES, MANY, RunLane, RunViewModel, flow_names, graphs_of, summed
from pocketflex_nb.notebook.widgets.base.delta_widget import DeltaWidget
from pocketflex_nb.notebook.widgets.base.js_bundle import bundle
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback, handle_clicks_while_busy
from pocketflex_nb.notebook.widgets.base.view_lifetimes import notify_when_forgotten
from pocketflex_nb.notebook.widgets.run_view.drawer import Drawer
from pocketflex_nb.views.diagrams.flow_svg import svg
from pocketflex_nb.views.diagrams.node_colours import colour_numbers
from pocketflex_nb.views.diagrams.palette import GLYPHS
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["RunView"]

_HERE = Path(__file__).parent
#: seconds between two updates of timeline and tabs, at least, and bytes a second that they may take of the view's rate
_SPANS_EVERY, _SPANS_RATE = 0.5, 4_000
#: seconds between two updates of the numbers in the diagram
_COUNTS_EVERY = 0.5
_TIMELY = ("spans", "tab_content", "conversation")
#: nodes above which the still picture is drawn lean: a browser reads the whole of it in one go
_LARGE = 60
#: diagrams of a still form: one for each of the first flows
_PICTURES = 4


class _Kept(NamedTuple):
    """What a view still tells when it has let its runs go."""

    title: str
    picture: str
    still: dict[str, str]
    summary: str
    plain: str


class RunView(StaticFallback, DeltaWidget):
    """A live view of runs inside the cell.

    Parameters
    ----------
    runs : Run, RunGroup, or iterable of Run
        What to show.
    height : int
        Pixels that it takes at most: it opens compact, at 84 % of them and, up to 500, at 44 % of the window's height; lanes scroll
        inside, and the diagram follows what runs.
    tabs : sequence of str
        Which of ``"diff"``, ``"conversation"``, ``"messages"``, ``"store"``, ``"error"`` and ``"events"`` stand below, folded until one
        is clicked; ``()``: none. That of the conversation stands there only when there is one.
    follow : bool
        Whether it keeps up with the runs; False shows how they stand now.
    name : str, optional
        Title; default: the run's or group's name.

    Notes
    -----
    Follows the runs at most ten times a second and sends only what changed. While steps wait for a retry, a limiter, a lock, a question or
    the like, a strip under the header says which and for what (`State.waits`); many runs are counted.

    Keys: left and right go through the steps, Home and End
    to the first step and back to now, space pauses, ``n`` lets one node go while paused, ``s`` stops, ``d`` opens the diff, ``/``
    searches; ``+``, ``-`` and ``0`` zoom the diagram and fit it again; Escape goes back to the cell. The menu "More" writes the page,
    the diagram or the timeline as a file into the notebook's folder, and copies the diagram as Mermaid text.

    A click or Enter on a node, a bar, a line of a lane, or a row of the diff or the events opens its visit in the detail drawer, with its
    values in full; arrow keys go to the other visits, ``v`` opens the visits of a node that began runs, Escape closes it. Values are kept
    for launched runs: of each node the latest 200 visits, within 64 MB for all runs. Of a run with a journal, "Run from here" begins a
    fork before that step, and shows it in the same view.

    Examples
    --------
    >>> from pocketflex_nb import launch, linear, node
    >>> @node
    ... def draft(shared):
    ...     shared["text"] = "..."
    >>> view = RunView(launch(linear(draft), name="outline").wait(10), tabs=["store"])     # as the last line of a cell it shows itself
    >>> print(view.plain())                                                               # doctest: +ELLIPSIS
    outline: done, 1 step, ...
    >>> view.close()
    """

    _offered = ("add", "at", "close", "plain", "runs", "snapshot", "summary", "title", "to_html")
    _esm = bundle(_HERE / "run_view.js")
    _css = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("run_view.css", "drawer.css"))

    header = traitlets.Dict().tag(sync=True)
    diagrams: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)
    states = traitlets.Dict().tag(sync=True)
    edges = traitlets.Dict().tag(sync=True)
    lanes: traitlets.List[RunLane] = traitlets.List().tag(sync=True)
    status_grid = traitlets.Unicode().tag(sync=True)
    spans: traitlets.List[list[object]] = traitlets.List().tag(sync=True)
    marks: traitlets.List[list[object]] = traitlets.List().tag(sync=True)
    icons = traitlets.Dict().tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    focus = traitlets.Int(-1).tag(sync=True)
    height = traitlets.Int(500).tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)
    tabs: traitlets.List[str] = traitlets.List().tag(sync=True)
    tab_content = traitlets.Dict().tag(sync=True)
    conversation = traitlets.Dict().tag(sync=True)
    cursor = traitlets.Dict().tag(sync=True)
    pending: traitlets.List[PendingItem] = traitlets.List().tag(sync=True)

    def __init__(
        self, runs: ViewedRun | Iterable[ViewedRun], height: int = 500, *, tabs: Iterable[str] = TABS, follow: bool = True,
        name: str | None = None,
        **options: object,
    ) -> None:
        tabs = _known(tabs)
        made: list[ViewedRun] = list(runs) if isinstance(runs, Iterable) else [runs]
        self._name = name or getattr(runs, "name", None)
        self._outermost = self._view_model = RunViewModel(made)
        self._levels: list[RunLevel] = []  # the way into steps whose inner runs are shown
        self._flows: list[Flow] = []
        self._drawn: list[dict[str, str]] = []
        self._colours: dict[str, int] = {}
        self._seen: tuple[object, ...] | None = None
        self._next_spans = self._next_counts = 0.0
        self._owes_spans = self._owes_counts = False  # whether timeline and tab, or the numbers in the diagram, are behind
        self._tabs, self._has_conversation = tabs, False
        self._tab = tabs[0] if tabs else ""
        self._requests: deque[dict[str, Any]] = deque()
        self._drawer = Drawer(lambda: self._view_model, lambda: self._flows, self._show_begun)
        self._is_final = False  # whether the last update of runs that are over was sent
        self._follows = follow
        self._kept: _Kept | None = None  # what is left when its runs were forgotten
        self.on_final: Callable[[], None] | None = None
        self._has_told_end = False
        self._draw()
        traits = self._shown(final=False, timely=True)
        super().__init__(height=height, icons=dict(GLYPHS), diagrams=self._drawn, colours=self._colours, **traits, **options)
        self.on_msg(self._command)
        handle_clicks_while_busy(self)
        notify_when_forgotten(self)
        if follow:
            refresh_loop.follow(self)

    def __repr__(self) -> str:
        return f"RunView({self.title!r}, {len(self.runs)} run{'s' if len(self.runs) != 1 else ''})"

    @property
    def runs(self) -> list[ViewedRun]:
        """The runs it shows; none when they were forgotten, or it was closed."""
        return self._outermost.runs

    @property
    def title(self) -> str:
        """The title in the header."""
        if self._name:
            return str(self._name)
        if self._kept is not None:
            return self._kept.title
        runs = self.runs
        return self._view_model.label(runs[0]) if len(runs) == 1 else f"{len(runs)} runs"

    def add(self, runs: Iterable[ViewedRun]) -> None:
        """Show more runs in the same view.

        Parameters
        ----------
        runs : iterable of Run
            Those that it shows already are passed over.
        """
        new = [run for run in runs if run not in self.runs]
        if new:
            self._outermost.runs.extend(new)
            self._name = self._kept = None
            self._is_final = False
            self._has_told_end = False
            if not self._levels:
                self._redraw()
            self._seen = None
            refresh_loop.follow(self)

    @property
    def is_last(self) -> bool:
        """Whether all its runs are over, so that the next update is the last."""
        return all(run.done() for run in self.runs)

    # letting go ------------------------------------------------------------------------------------------------------
    def _let_go(self, gone: set[int]) -> None:
        """Runs of these numbers are forgotten: when it shows no others, it stays on the page as it is, and keeps them no longer."""
        if self.runs and all(run.number in gone for run in self.runs):
            refresh_loop.last(self)
            self._empty()

    def close(self) -> None:
        """Close the view, and release its runs and their stores."""
        if hasattr(self, "_view_model"):  # ipywidgets closes what was never finished, too
            refresh_loop.close(self)
            self._empty(is_shown=False)
        super().close()

    def _empty(self, *, is_shown: bool = True) -> None:
        if self._kept is None and self.runs:
            still = self.still_bundle() if self.static and is_shown else {}
            self._kept = _Kept(self.title, self.snapshot(), still, self.summary(), self.plain())
        self._outermost = self._view_model = RunViewModel([])
        self._levels, self._flows, self._seen, self.on_final = [], [], None, None
        self._requests.clear()

    # the refresh loop's side -------------------------------------------------------------------------------------------------
    def refresh(self) -> bool:
        """Send what changed since the last update; False when every run is over and was shown."""
        requested = self._serve()
        if self._kept is not None:
            return False
        live = self._outermost.is_live()
        if self._is_final and not live and not requested:
            return False
        if live and not requested and not self.has_budget():
            return self._follows
        if self._levels:
            self._grow()
        seen: tuple[object, ...] = (time.monotonic(),)
        if not self._view_model.is_many:
            model = self._view_model
            steps = ((run.status, len(engine_side(run).records)) for run in model.runs)
            seen = (*steps, model.old_code(), model.pending())  # a wait that begins or ends leaves no record
        is_due = time.monotonic() >= min(self._next_spans if self._owes_spans else inf, self._next_counts if self._owes_counts else inf)
        if seen != self._seen or requested or not live or is_due:
            self._seen = seen
            self._push(final=not live, now_all=requested)
        if live:
            self._has_told_end = False
        elif not self._has_told_end and self.on_final is not None:
            self._has_told_end = True
            self.on_final()
        return live and self._follows

    def _serve(self) -> bool:
        """Do what the page asked of the view model; here, so that only the refresh loop's thread reads runs for this view."""
        served = False
        while self._requests:
            request = self._requests.popleft()
            served = served or request.get("do") != "drawer"  # which changes nothing here
            with contextlib.suppress(ValueError, TypeError, LookupError):  # a page may send anything
                self._request(request)
        return served

    def _request(self, request: Mapping[str, Any]) -> None:
        do = str(request.get("do"))
        if do == "fresh":
            self.resync(int(request["revision"]))
        elif self._kept is None and (serve := _REQUESTS.get(do)) is not None:
            serve(self, request)

    def _focus_run(self, request: Mapping[str, Any]) -> None:
        index, model = int(request.get("run", -1)), self._view_model
        model.focus = index if 0 <= index < len(model.runs) > 1 else None

    def _pin_run(self, request: Mapping[str, Any]) -> None:
        model = self._view_model
        model.focus = model.ranked()[min(max(int(request["at"]), 0), len(model.runs) - 1)]

    def _enter_step(self, request: Mapping[str, Any]) -> None:
        self._enter(str(request["node"]), self._flows[int(request.get("flow", 0))])

    def _leave_steps(self, request: Mapping[str, Any]) -> None:
        self._go_up(int(request.get("to", 0)))

    def _choose_tab(self, request: Mapping[str, Any]) -> None:
        if request.get("name") in self.tabs:
            self._tab = request["name"]

    def _choose_store(self, request: Mapping[str, Any]) -> None:
        """Show a store by its address, or the latest private one of a flow in the picture, in the Store tab."""
        model = self._view_model
        if "node" in request:
            flow = self._flows[int(request.get("flow", 0))]
            model.store_choice.choose_of([run for run in model.chosen() if run.flow is flow], str(request["node"]))
        else:
            last = model.last()
            model.store_choice.choose([*([] if last is None else [last[0]]), *model.chosen()], str(request["place"]))
        self._choose_tab({"name": "store"})

    def _ask_conversation(self, request: Mapping[str, Any]) -> None:
        self._view_model.conversation.ask(request)

    def _go_live(self, request: Mapping[str, Any]) -> None:
        self._view_model.moment = None

    def _look(self, request: Mapping[str, Any]) -> None:
        self.send({"drawer": self._drawer.answer(request)})

    def _show_begun(self, run: ViewedRun) -> None:
        """Show a run that began in this view, alone until another is chosen."""
        self.add([run])
        self._outermost.focus = self._outermost.runs.index(run)

    def _move_cursor(self, request: Mapping[str, Any]) -> None:
        self._view_model.go_to(step=request.get("step"), by=int(request.get("by", 0)), ms=request.get("ms"))

    def at(self, step: int | None = None) -> None:
        """Show the state after that many finished steps; None: the present state.

        Parameters
        ----------
        step : int or None
            Number of finished steps, from 0.
        """
        self._requests.append({"do": "live"} if step is None else {"do": "cursor", "step": step})
        refresh_loop.follow(self)
        refresh_loop.hurry()

    # runs inside a step ----------------------------------------------------------------------------------------------
    def _enter(self, node: str, flow: Flow) -> None:
        """Show the runs that the steps at the node of that name in the picture began."""
        outer = [run for run in self._view_model.chosen() if run.flow is flow]
        path = next((path for run in outer for path in run.state().nodes if shown(path) == node), node)
        if inside := runs_inside(outer, path):
            self._levels.append(RunLevel(RunViewModel(list(inside)), outer, path))
            self._view_model = self._levels[-1].model
            self._redraw()

    def _go_up(self, to: int) -> None:
        """Go back to that part of the way, counted from the outer runs."""
        place = len(crumbs(self.title, self._levels)) - 1
        while self._levels and place > max(to, 0):
            if self._view_model.focus is not None:
                self._view_model.focus = None
            else:
                self._levels.pop()
                self._view_model = self._levels[-1].model if self._levels else self._outermost
            place -= 1
        self._redraw()

    def _grow(self) -> None:
        grown = [level.grow() for level in self._levels]
        if grown and grown[-1]:
            self._redraw()

    def _redraw(self) -> None:
        before = self._drawn
        self._draw()
        if self._drawn != before:
            self.diagrams, self.colours = self._drawn, self._colours

    def _draw(self) -> None:
        graphs = graphs_of(self._view_model.runs)
        self._flows = [flow for flow, _ in graphs]
        names = flow_names(self._flows)
        self._colours = {clean(path, 80): number for path, number in colour_numbers(graph for _, graph in graphs).items()}
        self._drawn = [{"name": name, "svg": svg(graph, None, live=True)} for name, (_, graph) in zip(names, graphs[:20], strict=False)]

    def _push(self, *, final: bool, now_all: bool = False) -> None:
        now = time.monotonic()
        timely = final or now_all or now >= self._next_spans
        shown = self._shown(final=final, timely=timely)
        if final or now_all or now >= self._next_counts:
            self._next_counts, self._owes_counts = now + _COUNTS_EVERY, False
        else:
            self._owes_counts = self._hold_counts(shown)
        sent = self.push(**shown)
        self._owes_spans = not timely
        if timely:
            self._next_spans = now + max(_SPANS_EVERY, sum(sent.get(trait, 0) for trait in _TIMELY) / _SPANS_RATE)
        if final:
            self.resync()
            self._is_final = True

    def _shown(self, *, final: bool, timely: bool) -> dict[str, object]:
        """The traits as they are now; timeline and tab only where it is time for them."""
        model = self._view_model
        shown: dict[str, object] = {
            "header": self._header(),
            "focus": -1 if model.focus is None else model.focus,
            "states": {str(k): model.states(flow) for k, flow in enumerate(self._flows)},
            "edges": {str(k): model.edges(flow) for k, flow in enumerate(self._flows)},
            "status_grid": model.status_grid(),
            "lanes": model.lanes(self._tail(final), final=final),
            "cursor": model.cursor(),
            "pending": model.pending(),
        }
        if not timely:
            return shown
        tabs = {"tabs": self._tabs_now(), "tab_content": self._tab_content(), "conversation": self._conversation()}
        return shown | {"spans": model.spans(), "marks": model.marks()} | tabs

    def _hold_counts(self, shown: dict[str, Any]) -> bool:
        """Leave how often nodes and arrows were passed as the page has it, but for the first time; returns whether it is behind now.

        These numbers change with each step, in every node of a loop, and made half of the traffic; nobody reads ten of them a second.
        """
        edges = {k: {edge: self.edges.get(k, {}).get(edge, times) for edge, times in told.items()} for k, told in shown["edges"].items()}
        states = {}
        for k, told in shown["states"].items():
            known = self.states.get(k, {})
            states[k] = {path: [row[0], known[path][1] or row[1], *row[2:]] if path in known else row for path, row in told.items()}
        is_behind = bool(edges != shown["edges"] or states != shown["states"])
        shown.update(edges=edges, states=states)
        return is_behind

    def _header(self) -> Mapping[str, object]:
        way = crumbs(self.title, self._levels)
        header = self._view_model.header(way[-1] if way else self.title)
        return {**header, "crumbs": way} if way else header

    def _tabs_now(self) -> list[str]:
        """The tabs that there is something for."""
        if "conversation" in self._tabs and not self._has_conversation:
            model = self._view_model
            self._has_conversation = model.has_steps and has_conversation(model.chosen()[:RUNS])
        return [tab for tab in self._tabs if tab != "conversation" or self._has_conversation]

    def _conversation(self) -> ConversationPart | dict[str, object]:
        model = self._view_model
        if self._tab != "conversation" or not model.has_steps:
            return {}
        runs = model.chosen()[:RUNS]
        return model.conversation.part(runs, model.moment, [model.label(run) for run in runs], [model.runs.index(run) for run in runs])

    def _tab_content(self) -> TabContent | dict[str, object]:
        model = self._view_model
        if not self._tab:
            return {}
        if not model.has_steps:
            return {"tab": self._tab, "rows": [], "note": "Click a cell of the status grid above to look into one run."}
        if self._tab == "conversation":
            return {"tab": self._tab, "rows": [], "note": ""}
        if self._tab == "store":
            return model.store_choice.content(model.chosen(), model.moment, model.last(), model.time_travel)
        return tab_content(self._tab, model.chosen(), model.moment, model.last(), model.time_travel)

    def _tail(self, final: bool) -> int:
        runs = len(self._view_model.chosen()) if self._view_model.is_many else len(self._view_model.runs)
        if runs > LANES:
            return 1
        return (200 if final else 40) if runs == 1 else (60 if final else 12)

    # the page's side -------------------------------------------------------------------------------------------------
    def _command(self, _widget: object, content: Any, _buffers: object) -> None:
        """A button was pressed: post it, and let the refresh loop show what came of it."""
        with contextlib.suppress(Exception):  # a click must not leave a traceback in some other cell
            self._do(content)
        refresh_loop.follow(self)
        refresh_loop.hurry()

    def _do(self, content: dict[str, Any]) -> None:
        do = content.get("do")
        if do in ("export", "mermaid", "traceback"):
            self._take_out(content)
            return
        if do not in _STEERS and do != "answer":
            self._requests.append(content)
            return
        index = content.get("run", -1)
        shown_runs = self._view_model.runs
        chosen = [shown_runs[index]] if isinstance(index, int) and 0 <= index < len(shown_runs) else list(shown_runs)
        for run in chosen:
            if run.done():
                continue
            if do == "answer":
                if isinstance(run, Run):
                    self._answer(run, content)
            else:
                getattr(run, _STEERS[do])()
        self._requests.append({})

    def _take_out(self, content: dict[str, Any]) -> None:
        """Write a file, or send the diagram's text for the page's clipboard; the page gets a message about the result."""
        if self._kept is not None:
            self.send({"said": "Its runs were forgotten: there is nothing left to write."})
            return
        if content["do"] == "traceback":
            text = whole_traceback(self.runs[int(content["run"])])
            self.send({"copied": text, "said": "The whole traceback is in the clipboard."})
            return
        flow = self._flows[min(max(int(content.get("flow", 0)), 0), len(self._flows) - 1)]
        if content["do"] == "mermaid":
            self.send({"copied": flow.to_mermaid(), "said": "The diagram is in the clipboard, as Mermaid text."})
            return
        what = str(content.get("what"))
        if what not in EXPORTS:
            return
        try:
            path = exported(what, self._view_model.chosen(), self.title, self._diagram(flow, self._view_model))
        except OSError as exc:
            self.send({"said": clean(f"Nothing was written: {exc.strerror or exc}: {exc.filename or Path.cwd()}", 300)})
            return
        self.send({"said": clean(f"Written to {path}, beside the notebook.", 300)})

    def _answer(self, run: Run, content: dict[str, Any]) -> None:
        """Give an answer that came as text back as what was asked for; what does not fit is said in the card."""
        value, number = content.get("value"), content.get("ask")
        question = lifecycle_of(run).ensure_controller().questions.open.get(number) if isinstance(number, int) else None
        if question is not None and question.choices is not None:
            value = next((choice for choice in question.choices if clean(str(choice), 200) == str(value)), value)
        try:
            run.answer(value, number)
        except (LookupError, ValueError) as exc:  # a second click finds the question answered
            self._view_model.refused[run.number, int(number or 0)] = str(exc)

    # the static form -------------------------------------------------------------------------------------------------
    def snapshot(self) -> str:
        """The diagram as it stands, as SVG text."""
        if self._kept is not None:
            return self._kept.picture
        return self._diagram(self.runs[0].flow, self._outermost)

    def _diagram(self, flow: Flow, model: RunViewModel) -> str:
        runs = [run for run in model.chosen() if run.flow is flow]
        if len(runs) > MANY:
            state = model.crowd_state(flow)
        else:
            state = summed([run.state() for run in runs]) if runs else State()
        captions = {path: str(text) for path, (_, _, text, _) in model.states(flow).items() if text}
        graph = next(run.graph for run in model.runs if run.flow is flow)
        return svg(graph, state, captions=captions if len(runs) > 1 else None, lean=len(graph.nodes) > _LARGE)

    def still_stamp(self) -> object:
        """The status and the number of records of each run."""
        return [(run.status, len(engine_side(run).records)) for run in self.runs]

    def still_bundle(self) -> dict[str, str]:
        """The whole story of the runs, as HTML and Markdown, the diagram, and the counts; shorter while they go on."""
        if self._kept is not None:
            return self._kept.still
        model, title, plain = self._outermost, self.title, self.summary()  # another thread may close the view meanwhile
        if model.focus is not None:
            model = RunViewModel(model.runs)
        flows = list(dict.fromkeys(run.flow for run in model.runs))
        pictures = [self._diagram(flow, model) for flow in flows[:_PICTURES]]
        room = BOUND_LIVE if model.is_live() else BOUND
        return still_story(model.runs, title, pictures, mark=self.static, plain=plain, room=room)

    def first_bundle(self) -> dict[str, str] | None:
        """The counts, and a small diagram, while runs go on: the page opens sooner, and there is little to tell yet."""
        if self._kept is not None or not self._outermost.is_live():
            return None
        picture = "" if self._is_large() else self.snapshot()
        told = document(self.static, [glance(self._outermost.header(self.title)), image(picture, diagram_words(picture))])
        return {"text/html": told, "text/plain": self.summary()}

    def _is_large(self) -> bool:
        return len(self.runs[0].graph.nodes) > _LARGE

    def plain(self) -> str:
        """What a terminal shows: a line for each run."""
        if self._kept is not None:
            return self._kept.plain
        return TextView(self.runs, self.title, is_kernel=False).text()

    def summary(self) -> str:
        """One line of plain text."""
        if self._kept is not None:
            return self._kept.summary
        header = self._outermost.header(self.title)
        counts = ", ".join(f"{n} {status}" for status, n in header["counts"].items())
        steps = f", {header['steps']}{'/' + str(header['most']) if 'most' in header else ''} steps" if "steps" in header else ""
        return f"{header['name']}: {counts}{steps}"

    def to_html(self, path: str | Path) -> Path:
        """Write its runs as one HTML file that opens anywhere, offline; returns its path.

        Parameters
        ----------
        path : str or Path
            The file to write.

        Raises
        ------
        RuntimeError
            Its runs were forgotten, or it was closed.
        """
        if self._kept is not None:
            raise RuntimeError(f"the runs of the view {self.title!r} were forgotten: there is nothing left to write")
        return write_page(self._outermost.chosen(), path, title=self.title)


#: request of the page, for the refresh loop's thread, to what serves it
_REQUESTS: dict[str, Callable[[RunView, Mapping[str, Any]], None]] = {
    "focus": RunView._focus_run, "pin": RunView._pin_run, "enter": RunView._enter_step, "up": RunView._leave_steps,
    "tab": RunView._choose_tab, "live": RunView._go_live, "cursor": RunView._move_cursor,
    "store": RunView._choose_store, "drawer": RunView._look, "talk": RunView._ask_conversation,
}
#: command of the page to method of a run
_STEERS = {"stop": "cancel", "pause": "pause", "resume": "resume", "step": "step"}


def _known(tabs: Iterable[str]) -> list[str]:
    asked = [tabs] if isinstance(tabs, str) else list(tabs)
    for tab in asked:
        if tab not in TABS:
            raise ValueError(f"no tab {tab!r}: there are {', '.join(TABS)}{nearest(str(tab), TABS)}")
    return asked
