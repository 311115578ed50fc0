"""Runs the flows of a cell: starts them, shows them, waits without blocking the page, and reports how they ended."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pocketflex_nb.concurrency.interruptible import GRACE, hold_interrupts, wait_awake
from pocketflex_nb.concurrency.portal import EngineTask
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.state import State
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.cells.cell_wait import CellWait
from pocketflex_nb.notebook.cells.show import ShownRuns, show
from pocketflex_nb.notebook.requests.cell_body import PythonBody
from pocketflex_nb.notebook.requests.diagram_reload import current_flow
from pocketflex_nb.notebook.requests.input_stores import read_inputs
from pocketflex_nb.notebook.requests.names import FlowEntry, as_flow, entries_of, find_run, runs_of
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.run_options import RunOptions
from pocketflex_nb.notebook.requests.run_request import checked, plan_text, start, when_over
from pocketflex_nb.notebook.shell.awaitable_magics import run_awaited
from pocketflex_nb.notebook.shell.cell_errors import Interrupted, fail, own_error, users_line
from pocketflex_nb.notebook.shell.output_capture import finish_lines
from pocketflex_nb.notebook.shell.safe_print import print_safely
from pocketflex_nb.notebook.widgets.base.refresh_loop import Refreshable, refresh_loop
from pocketflex_nb.notebook.widgets.store_inspector.watch_expressions import WatchTable, show_watched

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["CellRun"]


class CellRun(CellWait):
    """The run of a cell's flows, from the values of its options to the report of the end.

    Parameters
    ----------
    shell : InteractiveShell
        Where names are bound.
    line : ParsedLine
        What was written; its inputs are evaluated when the body has run.
    options : RunOptions
        The rest of it, as values.
    value : object
        What to run: flows, stores, runs; anything else is displayed.
    body : PythonBody, optional
        Gives `value` when it is awaited, on the engine's loop.
    name : str, optional
        Names the run of a single flow, unless ``--name`` does.
    is_checked : bool
        Whether the flow was built and checked just now.
    """

    def __init__(
        self, shell: InteractiveShell, line: ParsedLine, options: RunOptions, value: object = None, *,
        body: PythonBody | None = None, name: str | None = None, is_checked: bool = False,
    ) -> None:
        self.shell, self.line, self.options = shell, line, options
        self.name = name
        self.value, self.body = value, body
        self.is_checked = is_checked
        self.runs: Run | RunGroup | None = None
        self.view: ShownRuns | None = None
        self.watched: WatchTable | None = None
        self._names: dict[str, object] = shell.user_ns
        self._kernel_loop = asyncio.get_event_loop() if getattr(shell, "kernel", None) is not None else None

    def __repr__(self) -> str:
        return f"<CellRun of {self.runs!r}>" if self.runs is not None else "<CellRun>"

    # beginning -------------------------------------------------------------------------------------------------------
    async def _prepare(self) -> None:
        if self.body is None:
            return
        body = EngineTask(self.body.run_async(), asyncio.get_running_loop())
        over = body.over.future
        assert over is not None  # it has a loop
        try:
            body.begin()
            await wait_awake(asyncio.shield(over))
        except (asyncio.CancelledError, KeyboardInterrupt):
            body.cancel()
            await asyncio.wait([over], timeout=GRACE)
            raise
        self.value, error = body.over.result()
        if isinstance(error, Exception):
            raise own_error(self.shell, error) from None
        if error is not None:
            raise error

    def _begin(self) -> Run | RunGroup | None:
        """Start and show; returns what is to be waited for, or None."""
        entries = entries_of(self.value)
        launched = _launched(self.value)
        if self.name and not self.options.name and isinstance(self.value, BaseNode):
            self.options = replace(self.options, name=self.name)
        if launched is not None:
            self.runs = launched
        elif entries is None:
            self._display_value()
            return None
        else:
            current = [entry._replace(flow=current_flow(entry.flow, self._names)) for entry in entries]
            if self.options.is_check or self.options.is_dry or self.options.run is False:
                self._report(current)
                return None
            with hold_interrupts():
                inputs = read_inputs(self.line, self._names)
                self.runs = start(current, self.options, inputs, after=self._after(), is_checked=self.is_checked)
        if self.options.output:
            self._names[self.options.output] = self.runs
        self.view = show(self.runs, asked=launched is None, height=self.options.height, view=self.options.view)
        if self.options.watch:
            self.watched = show_watched(self.options.watch, runs_of(self.runs))
        if self.options.is_background:
            self._finish_later()
            return None
        return self.runs

    def _after(self) -> Run | RunGroup | None:
        return find_run(self.options.after, self._names) if self.options.after is not None else None

    def _display_value(self) -> None:
        from IPython.display import display

        if self.value is None:
            print_safely("not run: the body does not end with a flow, a list or dict of flows, or a run")
            return
        display(self.value)
        print_safely(f"not run: the last expression is {type(self.value).__name__}, no flow, list or dict of flows, or run")

    def _report(self, entries: Iterable[FlowEntry]) -> None:
        """Check, draw or list the flows, and run nothing."""
        from IPython.display import display

        for label, node, _ in entries:
            flow = as_flow(node)
            for warning in checked(flow):
                print_safely(f"note: {warning}")
            if self.options.is_check:
                print_safely(f"{label or flow.name or type(flow).__name__}: nothing wrong")
            elif self.options.run is False:
                display(flow)
        if self.options.is_dry:
            print_safely(plan_text(entries, self.options, read_inputs(self.line, self._names)))

    # ending ----------------------------------------------------------------------------------------------------------
    async def _until_over(self) -> object:
        try:
            return await super()._until_over()
        finally:
            if self._is_over() and self.options.then is not None:
                _displayed(await run_awaited(self.shell.run_line_magic, "pocketflex", self.options.then))

    def _is_over(self) -> bool:
        return self.runs is not None and not self.options.is_background and all(run.done() for run in runs_of(self.runs))

    def _end(self) -> object:
        """Update the view, bind results, and report failures."""
        if self.runs is None:
            return None
        if self.options.is_background:
            return self.runs
        for run in runs_of(self.runs):
            finish_lines(run)
        for view in (self.view, self.watched):
            _last_refresh(view)
        self._bind_and_notify(self.runs)
        self._raise_failures(self.runs)
        return None  # the view shows it, ``-o`` binds it

    def _bind_and_notify(self, runs: Run | RunGroup) -> None:
        """What ``--into`` and ``--notify`` ask for."""
        if self.options.table:
            self._names[self.options.table] = runs.to_frame()
        if self.options.notifies:
            print_safely(f"{runs!r} is over")

    def _raise_failures(self, thing: Run | RunGroup) -> None:
        """A failure of a single run fails the cell; of several, only if all failed or with ``--on-error stop``."""
        runs = runs_of(thing)
        failed = [run for run in runs if run.status == "failed"]
        if not failed:
            return
        first = failed[0]
        if len(failed) == len(runs) or self.options.on_error == "stop":
            error = first.error
            assert error is not None
            node = _failing(first.state())
            where = f"in run {first.name!r}{f', node {node!r}' if node else ''}; the store is kept: %pocketflex store {first.name}"
            raise error if self.options.has_traceback else fail(self.shell, error, where)
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
    def _finish_later(self) -> None:
        """Register what ``--into``, ``--notify`` and ``--then`` ask for, to be done at the end."""
        if not (self.options.table or self.options.notifies or self.options.then is not None):
            return
        context = contextvars.copy_context()  # what it prints belongs to this cell
        loop = self._kernel_loop
        assert self.runs is not None
        if loop is None:  # a terminal waits for the next line: in a thread of its own
            when_over(self.runs, lambda: threading.Thread(target=context.run, args=(self._finish_in_terminal,), daemon=True).start())
        else:
            when_over(self.runs, lambda: loop.call_soon_threadsafe(self._finish_on, loop, context=context))

    def _finish_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._finish())

    def _finish_in_terminal(self) -> None:
        asyncio.run(self._finish())

    async def _finish(self) -> None:
        assert self.runs is not None
        self._bind_and_notify(self.runs)
        if self.options.then is not None:
            try:
                _displayed(await run_awaited(self.shell.run_line_magic, "pocketflex", self.options.then))
            except Exception as exc:  # nobody awaits this: it is told in the cell that asked
                print_safely(f"--then: {exc}")


def _launched(value: object) -> Run | RunGroup | None:
    """Runs that a Python body has launched itself."""
    if isinstance(value, (Run, RunGroup)):
        return value
    several = list(value.values()) if isinstance(value, dict) else value
    if isinstance(several, (list, tuple)) and several and all(isinstance(run, Run) for run in several):
        return RunGroup(list(several))
    return None


def _last_refresh(view: Refreshable | None) -> None:
    """Update the view for the last time, now, and stop following."""
    if view is not None:
        refresh_loop.last(view)


def _displayed(value: object) -> None:
    """What a magic of ``--then`` gives, shown as a cell's last value is."""
    from IPython.display import display

    if value is not None:
        display(value)


def _failing(state: State) -> str | None:
    return next((path for path, node in reversed(state.nodes.items()) if node.status == "failed"), None)
