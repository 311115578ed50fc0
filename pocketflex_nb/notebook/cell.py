"""What is a cell that runs flows? It starts them, shows them, waits without blocking the page, and tells how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from pocketflex_nb.engine.group import RunGroup
from pocketflex_nb.engine.run import Run
from pocketflex_nb.engine.thread import engine_thread
from pocketflex_nb.notebook.options import Options
from pocketflex_nb.notebook.short import Interrupted, fail
from pocketflex_nb.notebook.show import show
from pocketflex_nb.notebook.starting import entries_of, find_run, start

__all__ = ["CellRun"]


class CellRun:
    """What a magic gives: awaited by the cell when the whole line is ours, waited for in plain code otherwise.

    Parameters
    ----------
    shell : InteractiveShell
        Where names are bound.
    options : Options
        What was written.
    value : object
        What to run: flows, stores, runs; anything else is displayed.
    coroutine : coroutine, optional
        Gives `value` when it is awaited on the engine's loop.
    """

    is_magic_result = True

    def __init__(self, shell: Any, options: Options, value: Any = None, coroutine: Any = None) -> None:
        self.shell, self.options = shell, options
        self.value, self.coroutine = value, coroutine
        self.runs: Run | RunGroup | None = None

    def __repr__(self) -> str:
        return f"<CellRun of {self.runs!r}>" if self.runs is not None else "<CellRun>"

    def __await__(self) -> Generator[Any, None, Any]:
        return self._await().__await__()

    async def _await(self) -> Any:
        try:
            if self.coroutine is not None:
                self.value = await _crossing(self.coroutine)
            after = self._after()
            if after is not None and not self.options.has("--bg"):
                await after.wait_async() if isinstance(after, Run) else await after
            if self._begin():
                return self.result()
            assert self.runs is not None
            await _over(self.runs)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise self._interrupted() from None
        return self.end()

    def block(self) -> Any:
        """The same in plain code, for a magic inside another one."""
        try:
            if self.coroutine is not None:
                self.value = _blocking(self.coroutine)
            after = self._after()
            if after is not None and not self.options.has("--bg"):
                after.wait()
            if self._begin():
                return self.result()
            assert self.runs is not None
            self.runs.wait()
        except KeyboardInterrupt:
            raise self._interrupted() from None
        return self.end()

    def _after(self) -> Any:
        name = self.options.one("--after")
        return find_run(name, self.shell.user_ns) if name is not None else None

    def _begin(self) -> bool:
        """Start and show; True when there is nothing to wait for."""
        if isinstance(self.value, (Run, RunGroup)):
            self.runs = self.value
        else:
            entries = entries_of(self.value)
            if entries is None:
                if self.value is not None:
                    print(f"not run: the last expression is {type(self.value).__name__}, no flow, list or dict of flows, or run")
                return True
            self.runs = start(entries, self.options, self.shell.user_ns)
        self._bind()
        view = self.options.one("--view", "auto")
        self.view = show(self.runs, height=int(self.options.one("--height") or 500), view=str(view))
        self._at_end()
        return self.options.has("--bg")

    def _bind(self) -> None:
        name = self.options.one("-o")
        if name:
            self.shell.user_ns[name] = self.runs

    def _at_end(self) -> None:
        """What ``--then`` and ``--notify`` ask for, done on the shell's own thread when all is over."""
        command, notify = self.options.one("--then"), self.options.has("--notify")
        if not command and not notify:
            return
        runs = [self.runs] if isinstance(self.runs, Run) else list(self.runs or ())
        kernel = getattr(self.shell, "kernel", None)
        loop = kernel.io_loop if kernel is not None else None
        left = [len(runs)]

        def over(_: Run) -> None:
            left[0] -= 1
            if left[0] == 0 and loop is not None:
                loop.add_callback(self._afterwards, command, notify)

        for run in runs:
            run.add_done_callback(over)

    def _afterwards(self, command: str | None, notify: bool) -> None:
        if notify:
            print(f"{self.runs!r} is over")
        if command:
            self.shell.run_cell(command.replace("%pf", "%pocketflex", 1) if command.startswith("%pf ") else command, silent=False)

    def _interrupted(self) -> Interrupted:
        if self.runs is None:
            return Interrupted("Interrupted before anything was started.")
        self.runs.cancel()
        self.runs.wait(5.0)
        ended = [self.runs] if isinstance(self.runs, Run) else list(self.runs)
        number = sum(run.status == "cancelled" for run in ended)
        return Interrupted(
            f"Interrupted: {number} run{'s' if number != 1 else ''} cancelled, nothing is left running.\n"
            f"The stores are kept: %pocketflex store {ended[0].name}"
        )

    def end(self) -> Any:
        """Everything is over: bring the view up to date, bind, and tell of failures."""
        from pocketflex_nb.notebook.bridge import pump

        view = getattr(self, "view", None)
        if view is not None:
            pump.close(view)
            view.look()
            if hasattr(view, "said"):
                print(view.said)
        self._into()
        self._raise_failures()
        return self.result()

    def result(self) -> Any:
        """What the magic gives: nothing, since the view shows it; ``-o`` binds the run."""
        return None

    def _into(self) -> None:
        name = self.options.one("--into")
        if name and self.runs is not None:
            self.shell.user_ns[name] = self.runs.to_frame()

    def _raise_failures(self) -> None:
        """One run that failed fails the cell; of several, only when none is of use or ``--on-error stop`` was asked for."""
        runs = [self.runs] if isinstance(self.runs, Run) else list(self.runs or ())
        failed = [run for run in runs if run.status == "failed"]
        if not failed:
            return
        first = failed[0]
        state = first.state()
        where = f"in run {first.name!r}, node {_failing(state)!r}; the store is kept: %pocketflex store {first.name}"
        if len(failed) == len(runs) or self.options.one("--on-error") == "stop":
            error = first.error
            assert error is not None
            raise error if self.options.has("--traceback") else fail(self.shell, error, where)
        for run in failed:
            print(f"{run.name} failed: {run.state().error}; the other {len(runs) - len(failed)} went on")


def _failing(state: Any) -> str:
    return next((path for path, node in reversed(state.nodes.items()) if node.status == "failed"), "?")


async def _over(runs: Run | RunGroup) -> None:
    """Wait until they are over; a failure is not raised here."""
    if isinstance(runs, RunGroup):
        await runs
    else:
        await runs.wait_async()


async def _crossing(coroutine: Any) -> Any:
    """Await a body's own awaits on the engine's loop, with a beat that lets interrupts through."""
    future = asyncio.wrap_future(engine_thread.submit(coroutine))
    try:
        while not future.done():
            await asyncio.wait([future], timeout=0.05)
    except asyncio.CancelledError:
        future.cancel()
        raise
    return future.result()


def _blocking(coroutine: Any) -> Any:
    future = engine_thread.submit(coroutine)
    try:
        while True:
            try:
                return future.result(0.05)
            except TimeoutError:
                if future.done():
                    raise
    except KeyboardInterrupt:
        future.cancel()
        raise
