"""Runs the flows of a cell: starts them, shows them, waits without blocking the page, and reports how they ended."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from dataclasses import replace
from time import monotonic
from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import unbroken
from pocketflex_nb.concurrency.portal import Crossing
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.engine.runs.run import GRACE, SLICE, Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.cells.cell_wait import CellWait
from pocketflex_nb.notebook.cells.show import show
from pocketflex_nb.notebook.requests.cell_body import PythonBody
from pocketflex_nb.notebook.requests.names import as_flow, entries_of, find_run, runs_of
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.run_options import RunOptions
from pocketflex_nb.notebook.requests.run_request import checked, fresh, plan_text, start, when_over
from pocketflex_nb.notebook.shell import output_capture as lanes
from pocketflex_nb.notebook.shell.awaitable_magics import run_awaited
from pocketflex_nb.notebook.shell.cell_errors import Interrupted, fail, own_error, users_line
from pocketflex_nb.notebook.shell.safe_print import print_safely
from pocketflex_nb.notebook.widgets.store_inspector.watch_expressions import show_watched

__all__ = ["CellRun"]


class CellRun(CellWait):
    """The run of a cell's flows, from parsing to the report of the end.

    Parameters
    ----------
    shell : InteractiveShell
        Where names are bound.
    options, terms : Options, Terms
        What was written, and what it means.
    value : object
        What to run: flows, stores, runs; anything else is displayed.
    body : Body, optional
        Gives `value` when it is awaited, on the engine's loop.
    name : str, optional
        Names the run of a single flow, unless ``--name`` does.
    """

    def __init__(
        self, shell: Any, options: ParsedLine, terms: RunOptions, value: Any = None, *,
        body: PythonBody | None = None, name: str | None = None,
    ) -> None:
        self.shell, self.options, self.terms = shell, options, terms
        self.name = name
        self.value, self.body = value, body
        self.runs: Run | RunGroup | None = None
        self.view: Any = None
        self.watched: Any = None

    def __repr__(self) -> str:
        return f"<CellRun of {self.runs!r}>" if self.runs is not None else "<CellRun>"

    # beginning -------------------------------------------------------------------------------------------------------
    async def _prepare_async(self) -> None:
        if self.body is None:
            return
        body = Crossing(self.body.run_async())
        over = asyncio.wrap_future(body)
        try:
            body.begin()
            while not over.done():  # a beat, as in `Run.wait_async`
                await asyncio.wait([over], timeout=SLICE)
        except (asyncio.CancelledError, KeyboardInterrupt):
            body.cancel()
            await asyncio.wait([over], timeout=GRACE)
            raise
        self._take(over)

    def _prepare(self) -> None:
        if self.body is None:
            return
        body = Crossing(self.body.run_async())
        try:
            body.begin()
            self._wait_for(body, None)
        except KeyboardInterrupt:
            body.cancel()
            self._wait_for(body, GRACE)
            raise
        self._take(body)

    @staticmethod
    def _wait_for(body: Crossing, seconds: float | None) -> None:
        until = None if seconds is None else monotonic() + seconds
        while not body.done() and (until is None or monotonic() < until):
            if not engine_thread.turn(SLICE):
                threading.Event().wait(SLICE)

    def _take(self, body: Future[Any] | asyncio.Future[Any]) -> None:
        self.value, error = body.result()
        if isinstance(error, Exception):
            raise own_error(self.shell, error) from None
        if error is not None:
            raise error

    def _begin(self) -> Run | RunGroup | None:
        """Start and show; returns what is to be waited for, or None."""
        entries = entries_of(self.value)
        launched = _launched(self.value)
        if self.name and not self.terms.name and isinstance(self.value, BaseNode):
            self.terms = replace(self.terms, name=self.name)
        if launched is not None:
            self.runs = launched
        elif entries is None:
            self._only_shown()
            return None
        elif any(self.options.has(flag) for flag in ("--check", "--dry", "--no-run")):
            self._looked_at(entries)
            return None
        else:
            with unbroken():
                self.runs = start(entries, self.options, self.terms, self.shell.user_ns, self._after())
        if self.terms.output:
            self.shell.user_ns[self.terms.output] = self.runs
        self.view = show(self.runs, asked=launched is None, height=self.terms.height, view=self.terms.view)
        if self.terms.watch:
            self.watched = show_watched(self.terms.watch, runs_of(self.runs), self.shell.user_ns)
        if self.terms.background:
            self._later()
            return None
        return self.runs

    def _after(self) -> Any:
        name = self.options.one("--after")
        return find_run(name, self.shell.user_ns) if name is not None else None

    def _only_shown(self) -> None:
        from IPython.display import display

        if self.value is None:
            print_safely("not run: the body ends with no expression that gives a flow, a list or dict of flows, or a run")
            return
        display(self.value)
        print_safely(f"not run: the last expression is {type(self.value).__name__}, no flow, list or dict of flows, or run")

    def _looked_at(self, entries: list[tuple[str | None, Any, Any]]) -> None:
        from IPython.display import display

        names = self.shell.user_ns
        for label, flow, _ in entries:
            now = as_flow(fresh(flow, names))
            for warning in checked(now):
                print_safely(f"note: {warning}")
            if self.options.has("--check"):
                print_safely(f"{label or now.name or type(now).__name__}: nothing wrong")
            elif self.options.has("--no-run"):
                display(now)
        if self.options.has("--dry"):
            print_safely(plan_text(entries, self.options, self.terms, names))

    # ending ----------------------------------------------------------------------------------------------------------
    async def _await(self) -> Any:
        try:
            return await super()._await()
        finally:
            if self._is_over() and self.terms.then is not None:
                _displayed(await run_awaited(self.shell.run_line_magic, "pocketflex", self.terms.then))

    def block(self) -> Any:
        """The same in plain code."""
        try:
            return super().block()
        finally:
            if self._is_over() and self.terms.then is not None:
                _displayed(self.shell.run_line_magic("pocketflex", self.terms.then))

    def _is_over(self) -> bool:
        return self.runs is not None and not self.terms.background and all(run.done() for run in runs_of(self.runs))

    def _end(self) -> Any:
        """Update the view, bind results, and report failures."""
        if self.runs is None:
            return None
        if self.terms.background:
            return self.runs
        for run in runs_of(self.runs):
            lanes.finish_lines(run)
        for view in (self.view, self.watched):
            if view is not None:
                _last_refresh(view)
        if self.terms.table:
            self.shell.user_ns[self.terms.table] = self.runs.to_frame()
        if self.terms.notify:
            print_safely(f"{self.runs!r} is over")
        self._raise_failures()
        return None  # the view shows it, ``-o`` binds it

    def _raise_failures(self) -> None:
        """A failure of a single run fails the cell; of several, only if all failed or with ``--on-error stop``."""
        assert self.runs is not None
        runs = runs_of(self.runs)
        failed = [run for run in runs if run.status == "failed"]
        if not failed:
            return
        first = failed[0]
        if len(failed) == len(runs) or self.terms.on_error == "stop":
            error = first.error
            assert error is not None
            node = _failing(first.state())
            where = f"in run {first.name!r}{f', node {node!r}' if node else ''}; the store is kept: %pocketflex store {first.name}"
            raise error if self.options.has("--traceback") else fail(self.shell, error, where)
        for run in failed:
            place = users_line(self.shell, run.error)
            print_safely(f"{run.name} failed{f' at {place}' if place else ''}: {run.state().error}")
        going = len(runs) - len(failed)
        print_safely(f"the other {going} went on" if going > 1 else "the other one went on")

    def _interrupted(self) -> BaseException:
        if self.runs is None:
            return super()._interrupted()
        self.runs.cancel()
        self.runs.wait(GRACE)
        _last_refresh(self.view)
        runs = runs_of(self.runs)
        number, left = sum(run.status == "cancelled" for run in runs), sum(not run.done() for run in runs)
        rest = "nothing is left running" if not left else f"{left} still {'ends' if left == 1 else 'end'} (%pocketflex runs)"
        return Interrupted(
            f"Interrupted: {number} run{'s' if number != 1 else ''} cancelled, {rest}.\n"
            f"The stores are kept: %pocketflex store {runs[0].name}"
        )

    # in the background -----------------------------------------------------------------------------------------------
    def _later(self) -> None:
        """Register what ``--into``, ``--notify`` and ``--then`` ask for, to be done at the end."""
        if not (self.terms.table or self.terms.notify or self.terms.then is not None):
            return
        kernel = getattr(self.shell, "kernel", None)
        context = contextvars.copy_context()  # what it prints belongs to this cell
        assert self.runs is not None
        if kernel is None:
            when_over(self.runs, lambda: threading.Thread(target=context.run, args=(self._ended,), daemon=True).start())
            return
        loop = asyncio.get_event_loop()
        when_over(self.runs, lambda: loop.call_soon_threadsafe(self._soon, loop, context=context))

    def _soon(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._ended_async())

    def _told_end(self) -> None:
        assert self.runs is not None
        if self.terms.table:
            self.shell.user_ns[self.terms.table] = self.runs.to_frame()
        if self.terms.notify:
            print_safely(f"{self.runs!r} is over")

    def _ended(self) -> None:
        """In a terminal, from a thread of its own: the shell waits for the next line."""
        self._told_end()
        if self.terms.then is not None:
            try:
                _displayed(self.shell.run_line_magic("pocketflex", self.terms.then))
            except Exception as exc:
                print_safely(f"--then: {exc}")

    async def _ended_async(self) -> None:
        self._told_end()
        if self.terms.then is not None:
            try:
                _displayed(await run_awaited(self.shell.run_line_magic, "pocketflex", self.terms.then))
            except Exception as exc:  # nobody awaits this: it is told in the cell that asked
                print_safely(f"--then: {exc}")


def _launched(value: Any) -> Run | RunGroup | None:
    """Runs that a Python body has launched itself."""
    if isinstance(value, (Run, RunGroup)):
        return value
    several = list(value.values()) if isinstance(value, dict) else value
    if isinstance(several, (list, tuple)) and several and all(isinstance(run, Run) for run in several):
        return RunGroup(list(several))
    return None


def _last_refresh(view: Any) -> None:
    """Update the view for the last time, now, and stop following."""
    if view is None:
        return
    from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop

    refresh_loop.last(view)


def _displayed(value: Any) -> None:
    """What a magic of ``--then`` gives, shown as a cell's last value is."""
    from IPython.display import display

    if value is not None:
        display(value)


def _failing(state: Any) -> str | None:
    return next((path for path, node in reversed(state.nodes.items()) if node.status == "failed"), None)
