"""`RunHistory`: a table of the runs that journals keep, over all kernels: filtered, and resumed, cancelled, forked or deleted together."""

from __future__ import annotations

import contextlib
import html
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets  # type: ignore[import-untyped]  # it has no stubs
import traitlets

from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.core.units import count_text
from pocketflex_nb.engine.resume import resume
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.widgets.base.js_bundle import bundle
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback, display_with_fallback, handle_clicks_while_busy, has_widgets
from pocketflex_nb.notebook.widgets.run_history.history_rows import HistoryRow, RunsKept, told_rows
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
from pocketflex_nb.views.diagrams.palette import GLYPHS
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_messages import speakable

__all__ = ["RunHistory"]

_HERE = Path(__file__).parent
#: seconds between two looks at the files, and rows of the still form
_EVERY, _STILL = 1.0, 60


class RunHistory(StaticFallback, anywidget.AnyWidget):
    """The runs that journals keep, of this kernel and of earlier ones.

    Parameters
    ----------
    *journals : str or Path
        Their files. Default: those that this process has open, and those in the notebook's folder.
    flow : Flow or dict of str to Flow, optional
        What the runs walk, for going on and forks; default: the notebook's flows by their ids.

    Notes
    -----
    Filters are chips: flow, state, age, cost. Up and Down go through the rows, Space chooses one, Ctrl+A all that are shown, Enter
    opens it below, in the view of a live run. What is done with several is done with each alone: one that cannot be is named, the
    others are done.

    Examples
    --------
    >>> import tempfile
    >>> from pocketflex_nb import linear, node
    >>> @node
    ... def draft(shared):
    ...     shared["text"] = "..."
    >>> file = Path(tempfile.mkdtemp()) / "runs.sqlite"
    >>> _ = linear(draft, name="report").launch({}, name="kept", journal=file).wait(10)
    >>> history = RunHistory(file)
    >>> [(row["flow"], row["status"], row["steps"]) for row in history.rows]
    [('report', 'done', 1)]
    >>> history.close()
    """

    _offered = ("close", "plain", "rows")
    _esm = bundle(_HERE / "run_history.js")
    _css = _HERE / "run_history.css"

    rows: traitlets.List[HistoryRow] = traitlets.List().tag(sync=True)
    told = traitlets.Dict().tag(sync=True)
    icons = traitlets.Dict().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, *journals: str | os.PathLike[str], flow: object = None, **options: object) -> None:
        self._kept, self._flow = RunsKept(journals, flow), flow
        self._next = 0.0
        self._place = ipywidgets.VBox([])  # where a run is opened
        super().__init__(icons=dict(GLYPHS), **options)
        self._look()
        self.on_msg(self._command)
        handle_clicks_while_busy(self)
        refresh_loop.follow(self)

    def __repr__(self) -> str:
        return f"RunHistory({count_text(len(self.rows), 'run')})"

    def _ipython_display_(self, **_: object) -> None:
        from IPython.display import display

        display_with_fallback(self)
        if has_widgets():
            model = {"version_major": 2, "version_minor": 0, "model_id": self._place.model_id}
            display({"application/vnd.jupyter.widget-view+json": model, "text/plain": ""}, raw=True)  # empty until a run is opened

    def close(self) -> None:
        """Close the table and what it has opened."""
        if hasattr(self, "_place"):
            self._opened([])
            self._place.close()
        super().close()

    # the refresh loop's side -----------------------------------------------------------------------------------------
    def refresh(self) -> bool:
        """Look at the files again, when they were written to."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self._look()
        return self.comm is not None

    def _look(self) -> None:
        if self._kept.is_changed() or any(row["status"] not in ("done", "failed", "cancelled") for row in self.rows):
            rows = self._kept.rows()
            if rows != self.rows:
                self.rows = rows
        if self._kept.problems and self.told.get("text") != self._kept.problems[0]:
            self._say(clean(self._kept.problems[0], 300), is_bad=True)

    def _say(self, text: str, *, is_bad: bool = False) -> None:
        self.told = {"text": text, "bad": is_bad, "n": self.told.get("n", 0) + 1}

    # what the page asks ----------------------------------------------------------------------------------------------
    def _command(self, _widget: object, content: Any, _buffers: object) -> None:
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):  # a page may send anything
            do = _DOES[content["do"]]
            places = [self._kept.place(int(key)) for key in content["keys"]]
            at = max(int(content.get("at") or 0), 0)
            self._say(do(self, places, at))
        self._kept.is_changed()
        self.rows = self._kept.rows()
        refresh_loop.follow(self)

    def _each(self, places: Iterable[tuple[Path, int]], do: Any, done: str) -> tuple[str, list[Any]]:
        """Do something with each; what was done in words, and what came of it."""
        made, refused = [], []
        for place in places:
            try:
                if (found := do(place)) is not None:
                    made.append(found)
            except (PocketflexError, ValueError, TypeError, LookupError, OSError) as exc:
                refused.append(clean(str(exc), 200))
        self._kept.forget(places)
        told = f"{count_text(len(made), 'run')} {done}"
        return f"{told}; {len(refused)} not: {refused[0]}" if refused else told, made

    def _resume(self, places: list[tuple[Path, int]], at: int) -> str:
        """Go on with those that did not end, that failed or that were cancelled."""
        told, made = self._each(places, lambda place: resume(place[0], place[1], flow=self._flow, show=False), "go on")
        self._opened(made)
        return told

    def _cancel(self, places: list[tuple[Path, int]], at: int) -> str:
        def cancelled(place: tuple[Path, int]) -> bool:
            run = self._kept.run(place)
            if not run.cancel():
                raise ValueError(f"run {run.name!r} is over: {run.status}")
            return True

        return self._each(places, cancelled, "cancelled")[0]

    def _fork(self, places: list[tuple[Path, int]], at: int) -> str:
        def forked(place: tuple[Path, int]) -> Run:
            run = self._kept.run(place)
            return run.fork(at=min(at, run.hops), show=False)

        told, made = self._each(places, forked, f"forked at step {at}")
        self._opened(made)
        return told

    def _again(self, places: list[tuple[Path, int]], at: int) -> str:
        """Run those that failed again, from their beginning."""
        failed = [place for place in places if self._kept.run(place).status == "failed"]
        told, made = self._each(failed, lambda place: self._kept.run(place).fork(at=0, show=False), "run again")
        self._opened(made)
        return told

    def _delete(self, places: list[tuple[Path, int]], at: int) -> str:
        def deleted(place: tuple[Path, int]) -> bool:
            if not self._kept.journal(place[0]).prune(only=[place[1]]):
                raise ValueError("a run that goes on stays: cancel it first")
            return True

        return self._each(places, deleted, "deleted")[0]

    def _open(self, places: list[tuple[Path, int]], at: int) -> str:
        runs = [self._kept.run(place) for place in places]
        self._opened(runs)
        return f"{count_text(len(runs), 'run')} opened below"

    def _opened(self, runs: list[Any]) -> None:
        """Show runs below the table, in place of those that were shown there."""
        before = list(self._place.children)
        chosen = [run for one in runs for run in (list(one) if isinstance(one, RunGroup) else [one])]
        self._place.children = [RunView(chosen)] if chosen else []
        for view in before:
            view.close()

    # the still form --------------------------------------------------------------------------------------------------
    def still_stamp(self) -> object:
        """Changes with the rows."""
        return [(row["key"], row["status"], row["steps"]) for row in self.rows]

    def still_bundle(self) -> dict[str, str]:
        """The table as HTML and as text."""
        told = [{name: speakable(str(value)) for name, value in row.items()} for row in told_rows(self.rows[:_STILL])]
        names = [name for name in (told[0] if told else {}) if any(row[name] for row in told)]
        head = "".join(f'<th scope="col" style="text-align:left">{html.escape(name)}</th>' for name in names)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(row[name])}</td>' for name in names) + "</tr>" for row in told
        )
        more = len(self.rows) - len(told)
        note = f"<p>and {count_text(more, 'older run')}</p>" if more > 0 else "" if told else "<p>No journal keeps a run here.</p>"
        table = f"<table><caption>Runs in journals</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if told else ""
        return {"text/html": f'<div data-static="{html.escape(self.static)}">{table}{note}</div>', "text/plain": self.plain()}

    def plain(self) -> str:
        """The rows as lines of text."""
        if not self.rows:
            return "no journal keeps a run here: launch(..., journal='runs.sqlite')"
        told = [[speakable(str(value)) for value in row.values()] for row in told_rows(self.rows[:_STILL])]
        return "\n".join("  ".join(filter(None, row)) for row in told)


_DOES = {
    "resume": RunHistory._resume, "cancel": RunHistory._cancel, "fork": RunHistory._fork, "again": RunHistory._again,
    "delete": RunHistory._delete, "open": RunHistory._open,
}
