"""`Launcher`: a form that starts flows, and the line of code that does the same."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.core.error import UsageError

from pocketflex_nb.core.errors import PocketflexError, nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.units import count_text
from pocketflex_nb.engine.runs.code_reload import is_stale
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.reports.still_form import stories
from pocketflex_nb.notebook.reports.still_html import document, markdown_table, preformatted, table
from pocketflex_nb.notebook.requests.diagram_reload import current_flow
from pocketflex_nb.notebook.requests.input_stores import Inputs, read_inputs
from pocketflex_nb.notebook.requests.names import FlowEntry, as_flow, find_flow, runs_of
from pocketflex_nb.notebook.requests.option_line import parse_options
from pocketflex_nb.notebook.requests.run_options import DURABILITY_CHOICES, RunOptions, read_run_options
from pocketflex_nb.notebook.requests.run_request import plan_text, start
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.widgets.base.js_bundle import bundle
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import (
    StaticCopy,
    StaticFallback,
    display_with_fallback,
    handle_clicks_while_busy,
    model_of,
)
from pocketflex_nb.notebook.widgets.base.view_lifetimes import notify_when_forgotten
from pocketflex_nb.notebook.widgets.launcher.form_model import FILES, LIMITS, MODES, LaunchForm
from pocketflex_nb.notebook.widgets.launcher.form_view_model import checked_lines, fields_now, flows_in, page_of, runs_asked, variables_in
from pocketflex_nb.notebook.widgets.launcher.launch_history import LaunchHistory, LaunchRow
from pocketflex_nb.views.diagrams.palette import GLYPHS
from pocketflex_nb.views.text.page_text import clean

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import DisplayHandle

    from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
    from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import StoreInspector

__all__ = ["Launcher"]

_HERE = Path(__file__).parent
#: seconds between two looks at the notebook's names, and between two updates of the list of runs
_NAMES_EVERY, _ROWS_EVERY = 1.0, 0.25
_MOST_AGENTS, _MOST_ROWS = 10_000, 200
#: bytes of the runs in the still form, and rows of one screen of Markdown
_STILL_ROOM, _SCREEN = 80_000, 20


class Launcher(StaticFallback, anywidget.AnyWidget):
    """A form that starts flows of the notebook.

    Parameters
    ----------
    flow : Flow or str, optional
        The flow it starts with, or its name in the notebook; default: the one bound last.
    names : mapping, optional
        Where flows and variables are looked up; default: the notebook.

    Attributes
    ----------
    line : str
        The ``%pf run`` line for what is filled in: running it starts the same runs.
    runs : list of Run
        What it has started, the latest last.

    Notes
    -----
    The fields for inputs are the keys that the flow's nodes read. A field takes a Python value, plain text, or ``@expression`` for what
    the notebook holds. *Start* shows the runs below; all that buttons do happens beside the cell, so it works while a cell is busy.

    Examples
    --------
    >>> from pocketflex_nb import Flow, node
    >>> @node
    ... def greet(shared):
    ...     shared["said"] = f"hello {shared['name']}"
    >>> form = Launcher("hello", names={"hello": Flow(greet)})
    >>> form.fill(values={"name": "Ada"}, agents=3)
    >>> form.line
    "%pf run hello --seed name='Ada' -n 3"
    >>> [run.wait(10).store["said"] for run in form.start()]
    ['hello Ada', 'hello Ada', 'hello Ada']
    """

    _offered = ("check", "close", "fill", "flows", "line", "plain", "runs", "start", "stop")
    _esm = bundle(_HERE / "launcher.js")
    _css = _HERE / "launcher.css"

    form = traitlets.Dict().tag(sync=True)
    said: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    rows: traitlets.List[LaunchRow] = traitlets.List().tag(sync=True)
    totals = traitlets.Dict().tag(sync=True)
    icons = traitlets.Dict().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, flow: BaseNode | str | None = None, *, names: Mapping[str, object] | None = None, **options: object) -> None:
        self._shell = _shell()
        self._names = names
        self._requests: deque[Mapping[str, Any]] = deque()
        self._filled = LaunchForm()
        self._launched = LaunchHistory()
        self._own: dict[str, Flow] = {}
        self._next_names = self._next_rows = 0.0
        self.view: RunView | StoreInspector | None = None
        self._still: StaticCopy | None = None
        self._slot: list[DisplayHandle] = []
        super().__init__(icons=dict(GLYPHS), **options)
        self._choose_first(flow)
        self._push()
        self.on_msg(self._command)
        handle_clicks_while_busy(self)
        notify_when_forgotten(self)
        refresh_loop.follow(self)

    def _let_go(self, gone: set[int]) -> None:
        """Runs of these numbers are forgotten: they are counted, and have no row any more."""
        self._launched.let_go(gone)
        self._next_rows = 0.0

    def __repr__(self) -> str:
        return f"Launcher({self._filled.flow!r})" if self._filled.flow else "Launcher()"

    @property
    def runs(self) -> list[Run]:
        """The runs that it has started, the latest last: all that are not over, and the latest that are."""
        return list(self._launched.runs)

    @property
    def line(self) -> str:
        """The magic's line for what is filled in; ``""`` while a field cannot be read."""
        self._push()
        return str(self.form["line"])

    # the notebook ----------------------------------------------------------------------------------------------------
    def names(self) -> Mapping[str, object]:
        """Where flows and variables are looked up."""
        if self._names is not None:
            return self._names
        return self._shell.user_ns if self._shell is not None else {}

    def _hidden(self) -> Container[str]:
        return self._shell.user_ns_hidden if self._shell is not None and self._names is None else ()

    def flows(self) -> dict[str, Flow]:
        """The flows it can start, by name."""
        return {**flows_in(self.names(), self._hidden()), **self._own}

    def _choose_first(self, flow: BaseNode | str | None) -> None:
        known = self.flows()
        if flow is None:
            self._filled.flow = next(reversed(known), "")
        elif isinstance(flow, str):
            if flow not in known:
                self._own[flow] = find_flow(flow, self.names())
            self._filled.flow = flow
        elif isinstance(flow, BaseNode):
            name = next((name for name, value in self.names().items() if value is flow and not name.startswith("_")), None)
            if name is None:
                raise usage("the Launcher writes code, so the flow needs a name in the notebook: bind it, and give that name")
            self._own[name] = as_flow(flow)
            self._filled.flow = name
        else:
            raise TypeError(f"a flow or the name of one is needed, not {type(flow).__name__}")

    # filling in ------------------------------------------------------------------------------------------------------
    def fill(self, **filled: object) -> None:
        """Fill in fields, by the names of `LaunchForm`: ``flow``, ``agents``, ``values``, ``limits`` and so on.

        Raises
        ------
        ValueError
            When a field of that name does not exist, or cannot hold that.
        """
        for name, value in filled.items():
            self._set(name, value)
        self._push()

    def _set(self, name: str, value: object) -> None:
        fill = _FIELDS.get(name)
        if fill is None:
            raise ValueError(f"the form has no field {name!r}{nearest(name, _FIELDS)}")
        fill(self, value)

    def _set_flow(self, value: object) -> None:
        if value not in self.flows():
            raise ValueError(f"no flow {value!r} in the notebook")
        self._filled.flow, self._filled.breaks = str(value), []

    def _set_agents(self, value: Any) -> None:
        self._filled.agents = min(max(int(value), 1), _MOST_AGENTS)

    def _set_at_once(self, value: Any) -> None:
        self._filled.at_once = min(max(int(value or 0), 0), _MOST_AGENTS)

    def _set_mode(self, value: object) -> None:
        self._filled.mode = _one_of("mode", value, MODES)

    def _set_on_error(self, value: object) -> None:
        self._filled.on_error = _one_of("on_error", value, ("others", "stop", "pause"))

    def _set_limits(self, value: Any) -> None:
        self._filled.limits |= {what: str(value[what])[:40] for what in LIMITS if what in value}

    def _set_files(self, value: Any) -> None:
        self._filled.files |= {what: str(value[what])[:1_000] for what in FILES if what in value}

    def _set_durability(self, value: object) -> None:
        self._filled.durability = _one_of("durability", value, DURABILITY_CHOICES)

    def _set_values(self, value: Any) -> None:
        self._filled.values |= {str(key)[:200]: str(text)[:20_000] for key, text in value.items()}

    def _set_rows(self, value: Any) -> None:
        self._filled.rows = [{str(k)[:200]: str(t)[:20_000] for k, t in row.items()} for row in list(value)[:_MOST_ROWS]] or [{}]

    def _set_watch(self, value: object) -> None:
        self._filled.watch = _texts(value)

    def _set_breaks(self, value: object) -> None:
        self._filled.breaks = _texts(value)

    def _set_name(self, value: object) -> None:
        self._filled.name = str(value)[:200]

    def _set_key(self, value: object) -> None:
        self._filled.key = str(value)[:200]

    def _set_variable(self, value: object) -> None:
        self._filled.variable = str(value)[:200]
        self._filled.key = self._key_for(self._filled.variable)

    def _key_for(self, variable: str) -> str:
        """The key that the items of a variable are most likely for; none when they bring their keys."""
        items = variables_in(self.names(), self._hidden()).get(variable, ())
        if all(isinstance(item, Mapping) for item in items):
            return ""
        fields = fields_now(self.flows().get(self._filled.flow))
        likely = sorted(fields, key=lambda field: (not variable.startswith(field.key), not field.is_needed))
        return likely[0].key if likely else "item"

    # doing -----------------------------------------------------------------------------------------------------------
    def start(self) -> list[Run]:
        """Start what is filled in, and show it below.

        Raises
        ------
        UsageError
            When a field cannot be read or the flow has errors; nothing is started.
        """
        entry, options, inputs = self._asked()
        thing = start([entry], options, inputs)
        made = runs_of(thing)
        self._launched.add(made, self._filled.flow, options)
        self._show(thing, options)
        self._push()
        return made

    def check(self) -> list[tuple[str, str]]:
        """Check the flow and the inputs without running: (level, text) each, of level error, warning, plan or good."""
        entry, options, inputs = self._asked()
        flow = as_flow(entry.flow)
        plan = _shortened(plan_text([entry], options, inputs))
        return checked_lines(self._filled, flow, fields_now(flow), plan)

    def stop(self) -> None:
        """End every run that it has started."""
        for run in self.runs:
            run.cancel()

    def _asked(self) -> tuple[FlowEntry, RunOptions, Inputs]:
        """What the form's line would run, with its options and inputs."""
        flow = self.flows().get(self._filled.flow)
        if flow is None:
            raise usage("there is no flow to start: wire one, Flow(start=node), and bind it to a name")
        problems = self._filled.problems()
        if problems:
            raise usage(next(iter(problems.values())))
        line = self._filled.line(runs_asked(self._filled, variables_in(self.names(), self._hidden())))
        names = self.names()
        parsed = parse_options(line.removeprefix(f"%pf run {self._filled.flow}"), names)
        options = read_run_options(parsed, names)
        return FlowEntry(None, current_flow(flow, names)), options, read_inputs(parsed, names)

    # showing ---------------------------------------------------------------------------------------------------------
    def _ipython_display_(self, **_: object) -> None:
        from IPython.display import display

        display_with_fallback(self)
        if self.comm is not None and self._shell is not None and getattr(self._shell, "kernel", None) is not None:
            empty = {"text/html": "", "text/plain": ""}
            self._slot = [display(empty, raw=True, display_id=True) for _ in range(3)]

    def _show(self, thing: Run | RunGroup, options: RunOptions | None = None) -> None:
        """Runs, or a store, in the place below the form."""
        from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
        from pocketflex_nb.notebook.widgets.store_inspector.watch_expressions import WatchTable

        if not self._slot:
            return
        self._put(RunView(thing, options.height if options is not None else 500, static=f"{self.static}-view"))
        if options is not None and options.watch:
            table = WatchTable(options.watch, runs_of(thing))
            table.refresh()
            table.show_in(self._slot[2])
            refresh_loop.follow(table)
        else:
            self._slot[2].update({"text/html": "", "text/plain": ""}, raw=True)

    def _put(self, view: RunView | StoreInspector) -> None:
        if self.view is not None:
            refresh_loop.close(self.view)
        if self._still is not None:
            self._still.close()
        self.view = view
        with contextlib.suppress(Exception):  # the page may be gone
            self._slot[0].update(model_of(view), raw=True)
            self._still = StaticCopy(view, self._slot[1])

    def _push(self) -> None:
        names, hidden = self.names(), self._hidden()
        flows = self.flows()
        if self._filled.flow not in flows:
            self._filled.flow = next(reversed(flows), "")
        flow = flows.get(self._filled.flow)
        latest = self._launched.latest_of(self._filled.flow)
        changed = is_stale(latest) if latest is not None else []
        page = page_of(self._filled, flows, variables_in(names, hidden), fields_now(flow), changed=changed)
        page["found"] = len(flows)
        self.form = page
        self._push_runs()

    def _push_runs(self) -> None:
        self.totals = dict(self._launched.totals())
        self.rows = self._launched.rows()

    # the refresh loop's side -------------------------------------------------------------------------------------------------
    def refresh(self) -> bool:
        """Do what the page asked for, and send what changed."""
        requested = bool(self._requests)
        while self._requests:
            self._serve(self._requests.popleft())
        now = time.monotonic()
        if requested or now >= self._next_names:
            self._next_names = now + _NAMES_EVERY
            self._push()
        elif now >= self._next_rows:
            self._next_rows = now + _ROWS_EVERY
            self._push_runs()
        return self.comm is not None

    def _command(self, _widget: object, content: object, _buffers: object) -> None:
        if isinstance(content, dict):
            self._requests.append(content)
        refresh_loop.follow(self)
        refresh_loop.hurry()

    def _serve(self, request: Mapping[str, Any]) -> None:
        do = str(request.get("do"))
        method = _REQUESTS.get(do)
        try:
            if method is not None:
                method(self, request)
            if do not in _DEEDS:
                self.said = []
        except (UsageError, PocketflexError) as exc:
            self.said = [["error", clean(str(exc), 1_000)]]
        except Exception as exc:  # a page may send anything, and a copied or evaluated value may raise anything
            if do in ("start", "check", "run"):
                self.said = [["error", clean(f"{type(exc).__name__}: {exc}", 1_000)]]

    def _do_start(self, request: Mapping[str, Any]) -> None:
        made = self.start()
        self.said = [["good", f"{len(made)} started: {', '.join(run.name for run in made[:4])}{' …' if len(made) > 4 else ''}"]]

    def _do_check(self, request: Mapping[str, Any]) -> None:
        self.said = [list(line) for line in self.check()]

    def _do_stop(self, request: Mapping[str, Any]) -> None:
        self.stop()

    def _do_set(self, request: Mapping[str, Any]) -> None:
        self._set(str(request["name"]), request["value"])

    def _do_value(self, request: Mapping[str, Any]) -> None:
        self._set_values({request["key"]: request["text"]})

    def _do_drop_key(self, request: Mapping[str, Any]) -> None:
        self._filled.values.pop(request["key"], None)
        for row in self._filled.rows:
            row.pop(request["key"], None)

    def _do_cells(self, request: Mapping[str, Any]) -> None:
        """Cells of a table, from a place on: rows are added as they are needed."""
        keys, rows = list(request["keys"]), self._filled.rows
        for number, texts in enumerate(list(request["cells"])[:_MOST_ROWS], int(request["row"])):
            if number >= _MOST_ROWS:
                break
            while number >= len(rows):
                rows.append({})
            rows[number] |= {str(k)[:200]: str(t)[:20_000] for k, t in zip(keys, texts, strict=False)}

    def _do_add_row(self, request: Mapping[str, Any]) -> None:
        if len(self._filled.rows) < _MOST_ROWS:
            self._filled.rows.append({})

    def _do_drop_row(self, request: Mapping[str, Any]) -> None:
        del self._filled.rows[int(request["row"])]
        self._filled.rows = self._filled.rows or [{}]

    def _do_run(self, request: Mapping[str, Any]) -> None:
        run, deed = self._launched.find(int(request["run"])), _RUN_DEEDS.get(str(request.get("what")))
        if deed is not None:
            deed(self, run)

    def _show_store(self, run: Run) -> None:
        from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import StoreInspector

        if self._slot:
            self._put(StoreInspector(run, static=f"{self.static}-store"))

    def _start_again(self, run: Run) -> None:
        self._show(self._launched.again(run, self.names()))

    # the static form -------------------------------------------------------------------------------------------------
    def still_stamp(self) -> object:
        """The line, the rows, and the run shown below."""
        return self.form["line"], self.rows, self.view

    def still_bundle(self) -> dict[str, str]:
        """The line, what became of its runs, and the story of each that has no view below: HTML, Markdown, and text."""
        rows = [[row["name"], row["status"], row["node"], count_text(row["steps"], "step"), row["time"], row["note"]] for row in self.rows]
        heads = ("run", "status", "node", "steps", "time", "")
        line = str(self.form["line"] or "a form that starts flows")
        below = getattr(self.view, "runs", ())
        others = [run for run in reversed(self.runs) if run not in below]
        parts = [preformatted(line), table(heads, rows, _STILL_ROOM // 4), *stories(others, _STILL_ROOM)]
        told = f"```text\n{line.replace('```', '')}\n```\n\n{markdown_table(heads, rows[:_SCREEN]) if rows else ''}"
        return {"text/html": document(self.static, parts), "text/markdown": told.rstrip(), "text/plain": self.plain()}

    def plain(self) -> str:
        """The line for each flow, and the runs so far."""
        lines = []
        for name, flow in self.flows().items():
            needed = ",".join(f"{field.key}=..." for field in fields_now(flow) if field.is_needed)
            shown = self.form["line"] if name == self._filled.flow else ""
            lines.append(shown or f"%pf run {name}{f' --seed {needed}' if needed else ''}")
        lines += [f"{row['name']}: {row['status']}, {row['steps']} steps, {row['time']}" for row in self.rows]
        return "\n".join(lines) or "no flows in the notebook yet: flow = Flow(start=node)"


def _shortened(plan: str) -> str:
    """A plan in which equal lines are written once."""
    head, *lines = plan.splitlines()
    counts = Counter(lines)
    told = [f"{line}  ×{counts[line]}" if counts[line] > 1 else line for line in dict.fromkeys(lines)]
    return "\n".join([head, *told[:12], *([f"and {len(told) - 12} more"] if len(told) > 12 else [])])


def _shell() -> InteractiveShell | None:
    from IPython import get_ipython

    shell: InteractiveShell | None = get_ipython()
    return shell


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return str(value)


def _texts(value: Any) -> list[str]:
    return [str(text)[:500] for text in list(value)[:20]]


#: field of the form to what fills it in
_FIELDS: dict[str, Callable[[Launcher, Any], None]] = {
    "flow": Launcher._set_flow, "agents": Launcher._set_agents, "at_once": Launcher._set_at_once, "name": Launcher._set_name,
    "mode": Launcher._set_mode, "values": Launcher._set_values, "rows": Launcher._set_rows, "variable": Launcher._set_variable,
    "key": Launcher._set_key, "limits": Launcher._set_limits, "on_error": Launcher._set_on_error, "watch": Launcher._set_watch,
    "breaks": Launcher._set_breaks, "files": Launcher._set_files, "durability": Launcher._set_durability,
}
#: request of the page to what serves it
_REQUESTS: dict[str, Callable[[Launcher, Mapping[str, Any]], None]] = {
    "start": Launcher._do_start, "check": Launcher._do_check, "stop": Launcher._do_stop, "run": Launcher._do_run,
    "set": Launcher._do_set, "value": Launcher._do_value, "drop key": Launcher._do_drop_key, "cells": Launcher._do_cells,
    "add row": Launcher._do_add_row, "drop row": Launcher._do_drop_row,
}
#: requests that act instead of editing the form: what was said last stays
_DEEDS = frozenset({"start", "check", "stop", "run"})
#: what a row of the list of runs may ask for
_RUN_DEEDS: dict[str, Callable[[Launcher, Run], object]] = {
    "stop": lambda _, run: run.cancel(), "pause": lambda _, run: run.pause(), "resume": lambda _, run: run.resume(),
    "view": Launcher._show, "store": Launcher._show_store, "again": Launcher._start_again,
}
