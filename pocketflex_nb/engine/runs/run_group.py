"""`RunGroup`: several runs that are waited for, gathered and cancelled as one."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import suppress
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import GRACE, wait_awake, wait_in_slices, wait_until_over
from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.self_display import SelfDisplay
from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.engine.runs.group_queue import GroupQueue
from pocketflex_nb.engine.runs.run import Run, lifecycle_of, rows_of

if TYPE_CHECKING:
    from pocketflex_nb.core.events import Event
    from pocketflex_nb.engine.records.usage import Usage
    from pocketflex_nb.engine.runs.event_stream import EventStream

__all__ = ["RunGroup", "queue_of"]

#: runs that a timeline has rows for
_ROWS = 1_000
#: what Tab offers on a group
_OFFERED = (
    "as_completed", "cancel", "counts", "done", "name", "pause", "results", "resume", "runs", "show", "step", "stream", "to_frame",
    "to_html", "to_timeline", "usage", "wait",
)


class RunGroup(SelfDisplay):
    """Runs that were launched together.

    Parameters
    ----------
    made : list of Run
        In order.
    on_error : {"others", "stop"}
        ``"stop"`` cancels the others when one fails.
    name : str, optional
        What views call it.

    Notes
    -----
    Iterating gives the runs in order; ``group["name"]`` and ``group[0]`` give one.

    Examples
    --------
    >>> from pocketflex_nb import Flow, node
    >>> @node
    ... def measure(shared):
    ...     shared["letters"] = len(shared["topic"])
    >>> group = Flow(measure).launch_each("topic", ["tides", "wind"]).wait(10)
    >>> group.counts()
    {'done': 2}
    >>> [run.store["letters"] for run in group]
    [5, 4]
    """

    def __init__(self, made: list[Run], *, on_error: str = "others", name: str | None = None) -> None:
        if on_error not in ("others", "stop"):
            raise ValueError(f"on_error={on_error!r}: 'others' or 'stop'")
        self.runs = {run.name: run for run in made}
        self._runs = list(made)
        self._name = name
        self._queue = GroupQueue(made, self.cancel if on_error == "stop" else None)
        for run in made:
            run.add_done_callback(self._queue.follow)

    def __dir__(self) -> list[str]:
        return [*_OFFERED, *(name for name in super().__dir__() if name.startswith("_"))]

    @property
    def name(self) -> str:
        """The name that views show."""
        if self._name:
            return self._name
        bases = {lifecycle_of(run).base for run in self._runs}
        return bases.pop() if len(bases) == 1 else "group"

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __getitem__(self, key: str | int) -> Run:
        if isinstance(key, int):
            return self._runs[key]
        if key in self.runs:
            return self.runs[key]
        for run in self._runs:
            if lifecycle_of(run).base == key:
                return run
        raise KeyError(f"no run {key!r} in this group{nearest(key, self.runs)}")

    def __repr__(self) -> str:
        counts = ", ".join(f"{n:,} {status}" for status, n in self.counts().items())
        began = [life.started for life in map(lifecycle_of, self._runs) if life.started]
        ended = [life.finished or perf_counter_ns() for life in map(lifecycle_of, self._runs) if life.started]
        took = f", {duration_text((max(ended) - min(began)) / 1e9)}" if began else ""
        return f"<RunGroup {self.name!r}, {count_text(len(self._runs), 'run')}{': ' if counts else ''}{counts}{took}>"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.runs)

    def counts(self) -> dict[str, int]:
        """Status to number of runs."""
        counts: dict[str, int] = {}
        for run in self._runs:
            counts[run.status] = counts.get(run.status, 0) + 1
        return counts

    def done(self) -> bool:
        """Whether every run is over."""
        return all(run.done() for run in self._runs)

    # waiting -----------------------------------------------------------------------------------------------------------
    def wait(self, timeout: float | None = None) -> RunGroup:
        """Wait until every run is over, at most `timeout` seconds, and return the group. Never raises a run's error.

        Parameters
        ----------
        timeout : float or None
            Seconds for all of them together; None: as long as it takes.
        """
        try:
            deadline = None if timeout is None else monotonic() + timeout
            for run in self._runs:
                run.wait(None if deadline is None else max(0.0, deadline - monotonic()))
        except KeyboardInterrupt:
            self._stopped()
            raise
        return self

    def _stopped(self) -> None:
        """On an interrupt while plain code waits: end every run, and wait until they are over."""
        self.cancel()
        until = monotonic() + GRACE
        for run in self._runs:
            run.wait(max(0.0, until - monotonic()))

    def results(self, timeout: float | None = None) -> list[Any]:
        """The last action of every run, in order; raises the first failure in order.

        Parameters
        ----------
        timeout : float or None
            Seconds for all of them together; None: as long as it takes.

        Raises
        ------
        TimeoutError
            A run is not over by then. It goes on.
        RunCancelled
            A run was cancelled.
        Exception
            The very exception that ended a run.
        """
        self.wait(timeout)
        return [run.result(0) for run in self._runs]

    def __await__(self) -> Generator[object, None, RunGroup]:
        return self._wait().__await__()

    async def _wait(self) -> RunGroup:
        try:
            loop = asyncio.get_running_loop()
            over: asyncio.Future[None] = loop.create_future()
            left = [len(self._runs)]

            def one(_: Run) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(count)

            def count() -> None:
                left[0] -= 1
                if left[0] <= 0 and not over.done():
                    over.set_result(None)

            for run in self._runs:
                run.add_done_callback(one)
            if left[0] > 0:
                with waiting("run", lambda: count_text(left[0], "run")):
                    await wait_awake(over)
        except (asyncio.CancelledError, KeyboardInterrupt):
            await self._stopped_async()
            raise
        return self

    async def _stopped_async(self) -> None:
        """When the waiting task is cancelled, or interrupted between two awaits: end every run, and wait until they are over."""
        self.cancel()
        await wait_until_over(self.done)

    def as_completed(self, timeout: float | None = None) -> Iterator[Run]:
        """The runs in the order in which they end.

        Parameters
        ----------
        timeout : float or None
            Seconds for all of them together; None: as long as it takes.

        Yields
        ------
        Run

        Raises
        ------
        TimeoutError
            They are not all over after `timeout` seconds.
        """
        try:
            ended: queue.SimpleQueue[Run] = queue.SimpleQueue()
            for run in self._runs:
                run.add_done_callback(ended.put)
            deadline = None if timeout is None else monotonic() + timeout
            for _ in self._runs:
                yield self._next(ended, deadline)
        except KeyboardInterrupt:
            self._stopped()
            raise

    def _next(self, ended: queue.SimpleQueue[Run], deadline: float | None) -> Run:
        came: list[Run] = []

        def wait(seconds: float) -> bool:
            with suppress(queue.Empty):
                came.append(ended.get(timeout=seconds))
            return bool(came)

        with waiting("run", lambda: f"the next of {count_text(len(self._runs), 'run')}"):
            left = None if deadline is None else max(0.0, deadline - monotonic())
            is_in_time = wait_in_slices(wait, left, turn=engine_thread.run_once)
        if not is_in_time:
            raise TimeoutError(f"{self!r}: not all runs are over")
        return came[0]

    async def __aiter__(self) -> AsyncIterator[Run]:
        try:
            loop = asyncio.get_running_loop()
            ended: deque[Run] = deque()
            come = asyncio.Event()

            def one(run: Run) -> None:
                ended.append(run)
                if not loop.is_closed():
                    loop.call_soon_threadsafe(come.set)

            for run in self._runs:
                run.add_done_callback(one)
            for _ in self._runs:
                while not ended:
                    come.clear()
                    if not ended:
                        with waiting("run", lambda: f"the next of {count_text(len(self._runs), 'run')}"):
                            await wait_awake(come.wait())
                yield ended.popleft()
        except (asyncio.CancelledError, KeyboardInterrupt):
            await self._stopped_async()
            raise

    def stream(self, kinds: str | Iterable[str] | None = None, *more: str, since: int | Event = 0, nested: bool = True) -> EventStream:
        """The events of all its runs as they come: ``async for event in group.stream(): ...``; `Event.run` names the run.

        Parameters
        ----------
        kinds, *more : str or iterable of str, optional
            Only these kinds of events; ``"token"``, ``"print"`` and ``"log"`` stand for those outputs. Default: all.
        since : int or Event
            The number of the first event of each run to tell, or an event: those after it. Default: the first.
        nested : bool
            Whether runs that steps began are told of too.

        Returns
        -------
        EventStream
            An async iterator, in order for each run, that ends when every run is over. See `Run.stream`.
        """
        from pocketflex_nb.engine.runs.event_stream import EventStream, kinds_of

        return EventStream(self._runs, kinds_of(kinds, more), since, nested)

    @property
    def usage(self) -> Usage:
        """The tokens and the cost of all its runs so far."""
        from pocketflex_nb.engine.records.usage import usage_of

        return usage_of(map(lifecycle_of, self._runs))

    # steering ----------------------------------------------------------------------------------------------------------
    def cancel(self) -> None:
        """End every run."""
        self._queue.clear()
        for run in self._runs:
            run.cancel()

    def pause(self) -> None:
        """Pause every run before its next node."""
        for run in self._runs:
            run.pause()

    def resume(self) -> None:
        """Continue every run."""
        for run in self._runs:
            run.resume()

    def step(self) -> None:
        """Run one more node of every run."""
        for run in self._runs:
            if not run.done():
                run.step()

    def show(self, **options: Any) -> Any:
        """Show the live view in the notebook."""
        return ports.display(self, **options)

    def to_frame(self) -> Any:
        """The events of every run as one pandas DataFrame."""
        return ports.export([row for run in self._runs for row in rows_of(run)], "frame")

    def to_html(self, path: Any) -> Any:
        """Write one HTML file of all runs that opens anywhere, offline. Returns its path.

        Parameters
        ----------
        path : str or Path
            The file to write.

        Returns
        -------
        Path
        """
        return ports.export(self._runs, "html", path=path, title=self.name)

    def to_timeline(self) -> str:
        """The timelines of the runs below each other, the first 1000 of them, as the text of an SVG file."""
        return str(ports.export({run.name: run.state() for run in self._runs[:_ROWS]}, "timeline"))


def queue_of(group: RunGroup) -> GroupQueue:
    """The engine's side of `group`: which of its runs begin next."""
    return group._queue
