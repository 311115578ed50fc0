"""`Run`: the handle of one execution of a flow: status, events, result, cancel, pause and answer."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from time import perf_counter_ns as now
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import GRACE, wait_awake, wait_in_slices, wait_until_over
from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import RunError
from pocketflex_nb.core.self_display import SelfDisplay
from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.engine.records.record import error_name
from pocketflex_nb.engine.runs import run_lifecycle
from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle, observers, registry

if TYPE_CHECKING:
    from pathlib import Path

    from pocketflex_nb.core.events import Event
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.core.flow.flow_graph import Graph
    from pocketflex_nb.core.state import State
    from pocketflex_nb.core.waits import Wait
    from pocketflex_nb.engine.control.question import Question
    from pocketflex_nb.engine.records.usage import Usage
    from pocketflex_nb.engine.runs.event_stream import EventStream

__all__ = ["Run", "forget", "forgetting", "lifecycle_of", "rows_of", "runs", "subscribe"]


#: what Tab offers on a run; the rest of its public attributes is in the docstring
_OFFERED = (
    "action", "answer", "asking", "cancel", "children", "done", "error", "events", "flow", "fork", "messages", "name", "pause",
    "replay", "result", "resume", "show", "state", "status", "step", "store", "stores", "stream", "subscribe", "to_frame", "to_html",
    "usage", "wait",
)

#: called with the runs that are forgotten, before they are: views let go of them
forgetting: list[Callable[[list[Run]], object]] = []


def subscribe(fn: Callable[[Event], object]) -> Callable[[], None]:
    """Call `fn` with each event of every run that begins from now on; returns a function that ends this.

    Notes
    -----
    In order per run, from the thread that walks, between two steps: a slow `fn` slows the run. One that raises is reported by
    `logging` and hears no more of that run.
    """
    observers.append(fn)

    def stop() -> None:
        if fn in observers:
            observers.remove(fn)
        for run in registry.live():
            if run.controller is not None:
                run.controller.subscribers.drop(fn)

    return stop


def runs(*, live: bool = False, keep: int | None = None) -> list[Run]:
    """The runs of this process, oldest first: all that are not over, and the last that are, 200 unless `keep` was given.

    Parameters
    ----------
    live : bool
        Only those that go on.
    keep : int, optional
        From now on, remember so many runs that are over; those beyond are dropped now. Each of them keeps its store and its events.

    Returns
    -------
    list of Run

    Raises
    ------
    TypeError, ValueError
        `keep` is no whole number from 0.

    See Also
    --------
    forget : Drop what is over now.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, launch, runs
    >>> run = launch(Flow(Node()), name="nightly").wait(10)
    >>> run in runs(), run in runs(live=True)
    (True, False)
    >>> run in runs(keep=0)                             # nothing that is over is kept any more
    False
    >>> _ = runs(keep=200)
    """
    if keep is not None:
        registry.remember(keep)
    return [run.run for run in (registry.live() if live else registry.all())]


def forget(*which: Run | Iterable[Run]) -> int:
    """Drop runs that are over, with their stores, from `runs()` and from the views that show them; returns how many.

    Parameters
    ----------
    *which : Run or RunGroup
        Only these; those that go on are passed over. Default: all that are over.

    Notes
    -----
    A view that shows only runs that are dropped stays on the page as it is, and looks into them no longer. What you have a name for
    yourself, IPython's ``Out[3]`` and ``_3`` among them, stays as long as the name does; ``%pf clear`` takes the runs out of ``Out`` too.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, forget, launch, runs
    >>> run = launch(Flow(Node())).wait(10)
    >>> forget(run), run in runs()
    (1, False)
    """
    if not which:
        return registry.forget()
    named = [run for one in which for run in (one if isinstance(one, Iterable) else [one])]
    return registry.forget([lifecycle_of(run) for run in named])


def _let_go(lost: list[RunLifecycle]) -> None:
    """Pass the runs that the registry forgets on to `forgetting`, as handles."""
    handles = [run.run for run in lost]
    for tell in list(forgetting):
        tell(handles)


registry.forgetting.append(_let_go)


class Run(SelfDisplay):
    """One execution of a flow; `Flow.launch` and `launch` make it.

    Parameters
    ----------
    flow : Flow
        What is walked.
    store : object
        What its nodes share.
    name : str, optional
        Default: the flow's name; numbered when another run has it.
    launched : bool
        Whether it walks on the engine thread, and its prints go to its lane.
    is_detached : bool
        Whether it is no part of the run whose step makes it.

    Attributes
    ----------
    name : str
        Unique in this process.
    flow : Flow
        What is walked.
    store : object
        The shared store: after `launch` a `Store`, after `run` whatever was passed.
    status : str
        pending, running, paused, asking, done, failed or cancelled; of a run that `open_journal` gave also unfinished: its process ended
        before it did.
    error : BaseException or None
        What ended it.
    action : object
        The last action, once it is done.
    hops : int
        Finished hops so far, those that failed among them: what ``at=`` counts.
    events : list of Event
        What happened; the last 10 000 records at least are kept.
    cell : str or None
        Id of the notebook's cell that it was started in.
    parent : Run or None
        The run whose node started this one, which is a part of it: pause, cancel, limits and budgets of the parent reach it, its questions
        and events show there. ``launch(detached=True)`` gives a run without one.
    children : list of Run
        The runs that its nodes started, oldest first: those that go on, and the last 200 that are over.

    Examples
    --------
    >>> from pocketflex_nb import END, Flow, Node
    >>> class Count(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["n"] += 1
    ...         return "again" if shared["n"] < 3 else "enough"
    >>> count = Count()
    >>> _ = count - "again" >> count
    >>> _ = count - "enough" >> END
    >>> run = Flow(count).launch({"n": 0}, name="counting").wait(10)
    >>> run.status, run.hops, run.store["n"]
    ('done', 3, 3)
    """

    __slots__ = ("__weakref__", "_lifecycle")

    def __init__(
        self, flow: Flow, store: object, *, name: str | None = None, launched: bool = False, is_detached: bool = False
    ) -> None:
        self._lifecycle = RunLifecycle(flow, store, name, launched, is_detached)
        self._lifecycle.handle = self

    def __dir__(self) -> list[str]:
        return [*_OFFERED, *(name for name in super().__dir__() if name.startswith("_"))]

    # what it is ------------------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """Unique in this process."""
        return self._lifecycle.name

    @property
    def number(self) -> int:
        """Its number in this process, in the order of making."""
        return self._lifecycle.number

    @property
    def flow(self) -> Any:
        """What is walked."""
        return self._lifecycle.flow

    @property
    def store(self) -> Any:
        """The shared store: after `launch` a `Store`, after `run` whatever was passed."""
        return self._lifecycle.store

    @property
    def stores(self) -> dict[str, Any]:
        """Its store under ``""``, and the private stores of flows by address: those in use, and the last 100.

        Examples
        --------
        >>> from pocketflex_nb import Flow, linear, node
        >>> @node
        ... def draft(shared):
        ...     shared["notes"] = ["sun"]
        ...     shared["draft"] = f"about {shared['topic']}"
        >>> flow = linear(Flow(draft, name="write", inputs=["topic"], outputs=["draft"]))
        >>> run = flow.launch({"topic": "tides"}, name="stores").wait(10)
        >>> dict(run.store)
        {'topic': 'tides', 'draft': 'about tides'}
        >>> dict(run.stores["Flow/write#1"])
        {'topic': 'tides', 'notes': ['sun'], 'draft': 'about tides'}
        """
        return self._lifecycle.stores()

    @property
    def status(self) -> str:
        """pending, running, paused, asking, done, failed or cancelled."""
        return self._lifecycle.status

    @property
    def error(self) -> BaseException | None:
        """What ended it, if that was an error or a cancellation."""
        return self._lifecycle.error

    @property
    def action(self) -> Any:
        """The last action, once it is done."""
        return self._lifecycle.action

    @property
    def hops(self) -> int:
        """Finished hops so far."""
        return self._lifecycle.hops

    @property
    def cell(self) -> str | None:
        """Id of the notebook's cell that it was started in."""
        return self._lifecycle.cell

    @property
    def parent(self) -> Run | None:
        """The run whose step started this one."""
        parent = self._lifecycle.parent
        return None if parent is None else parent.run

    @property
    def children(self) -> list[Run]:
        """The runs that its steps began, oldest first: all that are not over, and the last 200 that are."""
        return [child.run for child in self._lifecycle.children]

    @property
    def events(self) -> list[Event]:
        """The events, oldest first."""
        return self._lifecycle.log.events()

    @property
    def graph(self) -> Graph:
        """The flow as data."""
        return self._lifecycle.graph()

    @property
    def seconds(self) -> float:
        """Its duration so far, in seconds."""
        life = self._lifecycle
        return ((life.finished or now()) - life.started) / 1e9 if life.started else 0.0

    def state(self) -> State:
        """The state now: the fold of its events, with the current nodes marked, and in `waits` what steps wait for.

        Examples
        --------
        >>> from pocketflex_nb import Flow, Limiter, Node, launch
        >>> limiter = Limiter(1, per=60)
        >>> class Read(Node):
        ...     async def exec(self, prep_res):
        ...         async with limiter:
        ...             return "read"
        >>> first = launch(Flow(Read()), show=False).wait(10)
        >>> second = launch(Flow(Read()), show=False)
        >>> while not second.state().waits:
        ...     pass
        >>> second.state().waits                                # doctest: +ELLIPSIS
        [<Wait Read: limiter 1/min, next in ...>]
        >>> _ = second.cancel()
        """
        return self._lifecycle.state()

    def in_flight(self) -> list[str]:
        """Graph paths of the nodes that are being visited now."""
        return self._lifecycle.in_flight()

    def done(self) -> bool:
        """Whether it is over: done, failed or cancelled."""
        return self._lifecycle.done()

    def __repr__(self) -> str:
        life = self._lifecycle
        at = "" if life.done() else f" at {', '.join(self.in_flight()[:3])}" if life.started else ""
        told = [f"{life.name!r} {life.status}{at}"]
        if life.started:
            told += [count_text(life.hops, "step"), duration_text(self.seconds)]
        told += [f"waits: {wait.told()}" for wait in self._waits()[:1]]
        error = f": {error_name(life.error)}" if life.status == "failed" else ""
        return f"<Run {', '.join(told)}{error}>"

    def _waits(self) -> list[Wait]:
        """What its steps wait for, but for questions and pauses, which its status tells."""
        from pocketflex_nb.engine.control.waits import waits_of  # a run that nobody looks at needs none

        return [wait for wait in waits_of(self._lifecycle) if wait.kind not in ("question", "pause")]

    # waiting ---------------------------------------------------------------------------------------------------------
    def wait(self, timeout: float | None = None) -> Run:
        """Wait until it is over, at most `timeout` seconds, and return the run itself. Never raises the run's error.

        An interrupt (the kernel's stop button) cancels the run, waits until it is over, and is raised.

        Parameters
        ----------
        timeout : float or None
            Seconds; None: as long as it takes.

        Raises
        ------
        RuntimeError
            Called on the engine thread, which the run needs: use ``await run`` there.
        """
        over = self._lifecycle.over
        if self.done():
            return self
        if over is None:
            raise RuntimeError(f"run {self.name!r} walks in the thread that called run(): there is nothing to wait for here")
        try:
            _refuse_on_engine(f"run {self.name!r}")
            with engine_thread.pool.release_slot(), waiting("run", lambda: f"run {self.name}", timeout=timeout):
                wait_in_slices(over.wait, timeout, turn=engine_thread.run_once)
        except KeyboardInterrupt:
            self.cancel()
            wait_in_slices(over.wait, GRACE, turn=engine_thread.run_once)
            raise
        return self

    def result(self, timeout: float | None = None) -> Any:
        """The last action, as `flow.run` returns it; waits for it.

        Parameters
        ----------
        timeout : float or None
            Seconds; None: as long as it takes.

        Raises
        ------
        TimeoutError
            It is not over after `timeout` seconds. It goes on.
        RunCancelled
            It was cancelled.
        Exception
            The very exception that ended it.
        """
        self.wait(timeout)
        if not self.done():
            raise TimeoutError(f"run {self.name!r} is still {self.status} after {timeout:g} s; it goes on")
        return self._lifecycle.outcome()

    def __await__(self) -> Generator[object, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> object:
        await self.wait_async()
        return self._lifecycle.outcome()

    async def wait_async(self) -> Run:
        """Wait until it is over, without blocking the loop, and return the run itself. Never raises the run's error.

        When the waiting task is cancelled (the kernel's stop button), the run is cancelled too and waited for.
        """
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        try:
            self.add_done_callback(lambda _: _wake(loop, over))
            with waiting("run", lambda: f"run {self.name}"):
                await wait_awake(over)
        except (asyncio.CancelledError, KeyboardInterrupt):  # the latter between two awaits
            self.cancel()
            await wait_until_over(self.done)
            raise
        return self

    def add_done_callback(self, fn: Callable[[Run], object]) -> None:
        """Call ``fn(run)`` when it is over, in the thread that ends it; at once when it is over already.

        Parameters
        ----------
        fn : callable
            Gets this run; what it raises is logged, and harms nobody.
        """
        self._lifecycle.add_done_callback(fn)

    # steering --------------------------------------------------------------------------------------------------------
    def cancel(self) -> bool:
        """Cancel it: inside an await at once, in plain code before the next node. Returns False when it is over already.

        The store is kept. Works from any thread.
        """
        return self._lifecycle.cancel()

    def pause(self) -> None:
        """Pause before the next node. Nodes that are running finish first."""
        if not self.done():
            self._lifecycle.alert()
            self._lifecycle.ensure_controller().gate.pause()

    def resume(self) -> None:
        """Continue after `pause`."""
        self._lifecycle.ensure_controller().gate.resume()

    def step(self) -> None:
        """Run one more node while paused; pauses if it is not paused yet."""
        self.pause()
        self._lifecycle.ensure_controller().gate.allow_one()

    def fork(
        self, at: int | None = None, *, before: str | None = None, swap: dict[str, Any] | None = None, name: str | None = None,
        show: bool | None = None, **edits: Any,
    ) -> Run:
        """A new run that begins where this one had made so many hops: ``run.fork(at=37, draft="")``. This one stays as it is.

        Parameters
        ----------
        at : int, optional
            How many finished hops are taken over.
        before : str, optional
            Instead of `at`: the graph path of a node; its last visit is made anew.
        swap : dict, optional
            Graph path of a node to the node that is visited in its place from there on.
        name : str, optional
            Default: this run's, with ``-fork``.
        show : bool, optional
            Show the live view; default: in a notebook, once per cell.
        **edits
            Values of the store that differ from there on.

        Returns
        -------
        Run
            Kept in the same journal, which knows where it comes from.

        Raises
        ------
        RunError
            This run has no journal.
        ValueError
            There are not so many hops, or there is no such node.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pocketflex_nb import Flow, linear, node
        >>> @node
        ... def draft(shared):
        ...     shared["text"] = f"about {shared['topic']}"
        >>> @node
        ... def review(shared):
        ...     shared["grade"] = len(shared["text"])
        >>> flow = linear(draft, review, name="report")
        >>> run = flow.launch({"topic": "tides"}, journal=Path(tempfile.mkdtemp()) / "runs.sqlite").wait(10)
        >>> other = run.fork(at=1, text="about the tides of the moon").wait(10)
        >>> run.store["grade"], other.store["grade"]
        (11, 27)
        """
        made: Run = ports.engine.fork(self, at, before=before, swap=swap, name=name, show=show, edits=edits)
        return made

    def answer(self, value: object, question: int | Question | None = None, *, ask: int | None = None) -> None:
        """Answer a question of this run: the one that has been open longest, or the one with number `question`.

        Parameters
        ----------
        value : object
            One of the choices, or what fits the schema.
        question : int or Question, optional
            The number of the question, or what `asking` gave; without it, the oldest that has no answer yet.
        ask : int, optional
            The same number, named as in events.

        Raises
        ------
        LookupError
            No question is open, or that one has its answer already.
        ValueError
            The value is not among the choices, or does not fit the schema; the question stays open.

        Notes
        -----
        From any thread. What runs inside this one asks is asked by this one too.
        """
        self._lifecycle.ensure_controller().questions.answer(value, ask if question is None else question)

    def asking(self, timeout: float | None = None) -> Any:
        """The next open question, waited for: ``await run.asking()``, or ``run.asking()`` in plain code.

        Parameters
        ----------
        timeout : float or None
            Seconds; None: as long as it takes.

        Returns
        -------
        Question or None
            The one that has been open longest and has no answer yet, with its `number`, `text`, `choices` and `schema`: the same until it
            is answered. None when the run is over. In a coroutine an awaitable of it.

        Raises
        ------
        TimeoutError
            It asked nothing for so long. It goes on.

        Notes
        -----
        An interrupt (the kernel's stop button) cancels the run.

        Examples
        --------
        >>> from pocketflex_nb import ask, launch, linear, node
        >>> @node
        ... def plan(shared):
        ...     shared["topic"] = ask("Which topic?")
        ...     shared["depth"] = ask("How deep?", schema=int)
        >>> run = launch(linear(plan))
        >>> answers = {"Which topic?": "tides", "How deep?": "3"}
        >>> while (question := run.asking(timeout=10)) is not None:
        ...     run.answer(answers[question.text], question=question.number)
        >>> run.store["topic"], run.store["depth"]
        ('tides', 3)
        """
        from pocketflex_nb.engine.control.question import next_question, next_question_async, would_await

        if would_await(sys._getframe(1)):
            return next_question_async(self._lifecycle, timeout)
        _refuse_on_engine(f"a question of run {self.name!r}")
        return next_question(self._lifecycle, timeout)

    def subscribe(self, fn: Callable[[Event], object]) -> Callable[[], None]:
        """Call `fn` with each event, in order, from the first on; returns a function that ends this.

        What has happened already is told at once, in the caller's thread, as far as it is kept; the rest from the threads that walk. Runs
        that steps begin are told of too. Starts of nodes are recorded from now on. A slow `fn` slows the run; one that raises is
        reported by `logging` and hears no more.

        Parameters
        ----------
        fn : callable
            Gets each `Event`; it must be quick.

        Returns
        -------
        callable
            Called without arguments, it ends this.
        """
        subscribers = self._lifecycle.ensure_controller().subscribers
        self._lifecycle.alert()
        subscribers.add(fn)
        return lambda: subscribers.drop(fn)

    def stream(self, kinds: str | Iterable[str] | None = None, *more: str, since: int | Event = 0, nested: bool = True) -> EventStream:
        """Its events as they come, from the first to the last: ``async for event in run.stream(): ...``.

        However late it begins, it tells what is kept of the past, and it ends when the run is over, be it done, failed or cancelled.

        Parameters
        ----------
        kinds, *more : str or iterable of str, optional
            Only these kinds of events; ``"token"``, ``"print"`` and ``"log"`` stand for those outputs. Default: all.
        since : int or Event
            The number of the first event to tell, or an event: those after it. Default: the first.
        nested : bool
            Whether runs that its steps began are told of too (`Event.depth`, `Event.address`).

        Returns
        -------
        EventStream
            An async iterator; leaving the loop ends it, and so does its `aclose`. The run goes on.

        Notes
        -----
        Nothing is dropped: what a slow reader has not read waits in memory. Starts of nodes are recorded from then on. In a notebook the
        stop button cancels the run, as with ``await run``.

        Examples
        --------
        >>> import asyncio
        >>> from pocketflex_nb import emit, launch, linear, node
        >>> @node
        ... def think(shared):
        ...     for word in ("to", "be"):
        ...         emit("token", word)
        >>> async def follow():
        ...     return [event["text"] async for event in launch(linear(think)).stream("token")]
        >>> asyncio.run(follow())
        ['to', 'be']
        """
        from pocketflex_nb.engine.runs.event_stream import EventStream, kinds_of

        return EventStream([self], kinds_of(kinds, more), since, nested)

    @property
    def usage(self) -> Usage:
        """The tokens and the cost so far, inner runs included: ``run.usage.tokens``, ``run.usage.cost``."""
        from pocketflex_nb.engine.records.usage import usage_of

        return usage_of([self._lifecycle])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that its steps and inner runs told by ``emit("message", text, role=...)``, oldest first, as far as kept.

        Each is a dict of the fields that `emit` was given, calls of tools among them (``message["tool_calls"]``).
        """
        return [dict(event.data) for event in self.events if event.kind == "message"]

    def show(self, **options: Any) -> Any:
        """Show the live view in the notebook."""
        return ports.display(self, **options)

    def replay(self, *, speed: float = 1.0, first: int = 0, **options: Any) -> Any:
        """Watch a run that is over again, in the notebook: its events at their pace. Nothing runs and nothing is called.

        Parameters
        ----------
        speed : float
            How many times as fast.
        first : int
            So many finished steps are told at once, the rest in their time.
        **options
            As for `show`.

        Raises
        ------
        RunError
            It is not over.
        ValueError
            `speed` is not above 0, or it has not made so many steps.
        """
        if not self.done():
            raise RunError(f"run {self.name!r} is {self.status}: replay() shows what is over; show() shows it live")
        if not speed > 0:
            raise ValueError(f"replay(speed={speed!r}): must be more than 0, such as 0.5, 1 or 4")
        if not 0 <= first <= self.hops:
            raise ValueError(f"replay(first={first!r}): run {self.name!r} has made {self.hops} steps")
        return ports.display(self, again=(speed, first), **options)

    def to_frame(self) -> Any:
        """The events as a pandas DataFrame: seq, time, kind, address, node, and a column for each fact."""
        return ports.export(rows_of(self), "frame")

    def to_html(self, path: str | Path) -> Path:
        """Write one HTML file that opens anywhere, offline: diagram, timeline, messages, error, store, events. Returns its path.

        Parameters
        ----------
        path : str or Path
            The file to write.

        Returns
        -------
        Path
        """
        written: Path = ports.export([self], "html", path=path)
        return written

    def to_svg(self) -> str:
        """The diagram with its state, as the text of an SVG file."""
        return str(ports.export(self, "svg"))

    def to_timeline(self) -> str:
        """The timeline, as the text of an SVG file."""
        return str(ports.export(self, "timeline"))


def lifecycle_of(run: Run) -> RunLifecycle:
    """The engine's side of `run`: for the rooms that show and steer runs."""
    return run._lifecycle


def _handle_of(lifecycle: RunLifecycle) -> Run:
    run = Run.__new__(Run)
    run._lifecycle = lifecycle
    return run


run_lifecycle.handle_of = _handle_of


def rows_of(run: Run) -> list[dict[str, object]]:
    """The events as flat dicts, a table's rows."""
    return [_row(event) for event in run.events]


def _row(e: Event) -> dict[str, object]:
    """An event as a flat dict; a fact of the user's with the name of a column is left out."""
    own = {"run": e.run, "seq": e.seq, "time": e.time, "kind": e.kind, "address": e.address, "node": e.node}
    return {**own, **e.data, **own}


def _wake(loop: asyncio.AbstractEventLoop, over: asyncio.Future[None]) -> None:
    def wake() -> None:
        if not over.done():
            over.set_result(None)

    if not loop.is_closed():
        loop.call_soon_threadsafe(wake)


def _refuse_on_engine(what: str) -> None:
    if engine_thread.is_here and threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"waiting for {what} in plain code on the engine thread would stop everything there: write `await run`")
