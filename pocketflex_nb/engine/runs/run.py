"""`Run`: the handle of one execution of a flow: status, events, result, cancel, pause and answer."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import logging
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from time import monotonic
from time import perf_counter_ns as now
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.foreign_errors import is_cut
from pocketflex_nb.concurrency.interruptible import Latch
from pocketflex_nb.concurrency.reentrancy import cancel_task
from pocketflex_nb.core import ports
from pocketflex_nb.core.context import CURRENT_CELL, CURRENT_FRAME
from pocketflex_nb.core.errors import RunCancelled
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.flow.joins import join_of
from pocketflex_nb.core.flow.node_ids import base_id, base_name
from pocketflex_nb.engine.control.controller import Hold
from pocketflex_nb.engine.control.outer_run import alert
from pocketflex_nb.engine.control.question import Question, next_question, next_question_async, would_await
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.record import FINISHED
from pocketflex_nb.engine.records.run_log import Log
from pocketflex_nb.engine.records.usage import Usage, usage_of
from pocketflex_nb.engine.runs.event_stream import EventStream, kinds_of
from pocketflex_nb.engine.runs.nested_runs import Nest
from pocketflex_nb.engine.runs.run_registry import began, began_elsewhere, ended, gone, runs

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow_graph import Graph
    from pocketflex_nb.core.state import State

__all__ = ["GRACE", "LOOK", "SLICE", "Run", "beginning", "limited", "subscribe"]

#: stores of flows with their own that a run keeps
_PRIVATE_STORES = 100
#: seconds between two looks of a waiting main thread, so that an interrupt gets through
SLICE = 0.05
#: seconds that a cancelled run gets to end before its waiter goes
GRACE = 5.0
#: seconds between two looks at whether what was cancelled is over
LOOK = 0.005

#: held while a run gets its task, and while it is cancelled: a run without a task is ended by the first request, and never gets one
beginning = threading.Lock()

_naming, _making = threading.Lock(), threading.Lock()
_numbers: Counter[str] = Counter()
_hearers: list[Callable[[Event], Any]] = []
_log = logging.getLogger("pocketflex_nb")
_count = count(1)  # no attribute of the class: writing one would make every look-up on it slow again


def subscribe(fn: Callable[[Event], Any]) -> Callable[[], None]:
    """Call `fn` with each event of every run that begins from now on; returns a function that ends this.

    Notes
    -----
    In order per run, from the thread that walks, between two steps: a slow `fn` slows the run. One that raises is reported by
    `logging` and hears no more of that run.
    """
    _hearers.append(fn)

    def stop() -> None:
        if fn in _hearers:
            _hearers.remove(fn)
        for run in runs(live=True):
            if run.held is not None:
                run.held.subscribers.drop(fn)

    return stop


class Run:
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
        pending, running, paused, asking, done, failed or cancelled.
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

    __slots__ = (
        "__dict__", "__weakref__", "_base", "_status", "action", "cell", "finished", "flow", "held", "hops", "number", "parent", "records",
        "root", "signal", "started", "store", "task",
    )
    # rare, so kept in the `__dict__`, which ten thousand runs without a view never make
    _callbacks: Any = None
    has_changes: bool = False  # whether a record of a hop may hold the place of a change
    is_ended = False  # whether `end` was called: waits that begin now are over at once
    cancels = 0  # how often the walking task was cancelled on our account
    _cancels: Any = None
    _classes: Any = None
    _joins: Any = None
    _log: Any = None
    _name: str | None = None
    _over: Any = None  # the latch that opens when a launched run is over
    branches: int | None = None  # of one fan-out at once, as `launch` was told
    blocks: bool = False  # whether it keeps the main thread waiting, so that no click can arrive
    privates: Any = None  # the latest walks on stores of their own
    crosses: bool = False  # whether it is a plain run in a step on a user's loop: its async steps are awaited on the engine thread
    nest: Any = None  # the runs that its steps began
    cursors: Any = None
    detached: Any = None
    lazy: Any = None  # weak references to generators that steps gave, each with the look at its end
    ending: BaseException | None = None
    error: BaseException | None = None
    launched: bool = False
    limits: Any = None
    loop_below: Any = None  # the loop that a plain run in a step of another stands on
    outer: Any = None  # the frame of the run around it that it was begun in, if it is a part of one
    trace: Any = None  # the traceback of `error`, as it was when that ended the run

    def __init__(
        self, flow: Any, store: Any, *, name: str | None = None, launched: bool = False, is_detached: bool = False
    ) -> None:
        outer = None if is_detached else CURRENT_FRAME.get()
        self.flow, self.store, self._base = flow, store, name
        self.parent: Run | None = outer.run if outer is not None else None
        self.number, self.cell = next(_count), CURRENT_CELL.get()
        self.records: list[Any] = []  # walks extend it; see engine.log
        self.root = Frame(self, None, flow)
        self._status = "pending"
        self.signal = False  # whether walks must call `hold` before each node
        self.started = self.finished = self.hops = 0
        self.action: Any = None
        self.held: Any = None
        self.task: Any = None
        if launched:
            self.launched, self._over = True, Latch()
        if outer is not None and outer.run._status == "running":
            self.outer = outer
            outer.run.adopt(self, outer)

    # what it is ------------------------------------------------------------------------------------------------------
    @property
    def base(self) -> str:
        """The name it was given, or its flow's, before numbering."""
        return self._base or _name_of(self.flow)

    @property
    def name(self) -> str:
        """Unique in this process."""
        if self._name is None:  # numbered when somebody asks: ten thousand runs that nobody looks at need no names
            with _naming:
                if self._name is None:
                    base = self.base
                    _numbers[base] += 1
                    self._name = base if _numbers[base] == 1 else f"{base}-{_numbers[base]}"
        return str(self._name)

    @property
    def log(self) -> Log:
        """Reads the records."""
        if self._log is None:
            self._log = Log(self, self.records)
        log: Log = self._log
        return log

    @property
    def children(self) -> list[Run]:
        """The runs that its steps began, oldest first: all that are not over, and the last 200 that are."""
        return sorted([*self.nest.ended, *self.nest.live], key=lambda run: run.number) if self.nest is not None else []

    @property
    def outer_run(self) -> Run | None:
        """The run that this one is a part of, until that is over."""
        return self.parent if self.outer is not None and self.parent is not None and not self.parent.done() else None

    @property
    def lane_run(self) -> Run | None:
        """The launched run, this one or an outer one, whose lane shows what this one prints."""
        if self.launched:
            return self
        outer = self.outer_run
        return None if outer is None else outer.lane_run

    @property
    def flow_id(self) -> str:
        """The first part of every address."""
        return base_id(self.flow)

    @property
    def status(self) -> str:
        """pending, running, paused, asking, done, failed or cancelled."""
        if self._status == "running" and self.held is not None:
            return str(self.held.status)
        return self._status

    @property
    def events(self) -> list[Event]:
        """The events, oldest first."""
        return self.log.events()

    @property
    def graph(self) -> Graph:
        """The flow as data."""
        from pocketflex_nb.core.flow.flow_graph import graph_of  # a run that nobody looks at needs none

        return graph_of(self.flow, name=self.name)

    @property
    def seconds(self) -> float:
        """Its duration so far, in seconds."""
        return ((self.finished or now()) - self.started) / 1e9 if self.started else 0.0

    def state(self) -> State:
        """The state now: the fold of its events, with the current nodes marked."""
        return self.log.state()

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
        walks = [*(walk for walk in self.frames() if walk.private is not None), *(self.privates or ())]
        found = {"": self.store}
        return found | {self.log.walk_address(walk): walk.private for walk in dict.fromkeys(walks)}

    def frames(self) -> list[Frame]:
        """The frames of all its walks that are not over."""
        return [self.root, *list(self.cursors or ())]

    def in_flight(self) -> list[str]:
        """Graph paths of the nodes that are being visited now."""
        return [] if self.done() else self.log.in_flight()

    def done(self) -> bool:
        """Whether it is over: done, failed or cancelled."""
        return self._status in ("done", "failed", "cancelled")

    def __repr__(self) -> str:
        return f"<Run {self.name!r} {self.status}>"

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
        if self.done():
            return self
        if self._over is None:
            raise RuntimeError(f"run {self.name!r} walks in the thread that called run(): there is nothing to wait for here")
        try:
            _refuse_on_engine(f"run {self.name!r}")
            deadline = None if timeout is None else monotonic() + timeout
            with engine_thread.pool.lent():
                while not self.done() and (deadline is None or monotonic() < deadline):
                    left = SLICE if deadline is None else max(0.0, min(SLICE, deadline - monotonic()))
                    if not engine_thread.turn(left):
                        self._over.wait(left)
        except KeyboardInterrupt:
            self.cancel()
            until = monotonic() + GRACE
            while not self.done() and monotonic() < until and engine_thread.turn(SLICE):
                pass
            self._over.wait(until - monotonic())
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
        return self.outcome()

    def outcome(self) -> Any:
        """The last action of a run that is over, or its exception raised."""
        if self.error is not None:
            raise self.error.with_traceback(self.trace)  # as it was, however often it is raised here
        return self.action

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        await self.wait_async()
        return self.outcome()

    async def wait_async(self) -> Run:
        """Wait until it is over, without blocking the loop, and return the run itself. Never raises the run's error.

        When the waiting task is cancelled (the kernel's stop button), the run is cancelled too and waited for.
        """
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        try:
            self.add_done_callback(lambda _: _wake(loop, over))
            # ipykernel's SIGINT handler does not wake an idle selector: without a beat an interrupt waits for the run's end
            beat = engine_thread.beat(SLICE)
            while not over.done():
                await asyncio.wait([over], timeout=beat)
        except (asyncio.CancelledError, KeyboardInterrupt):  # the latter between two awaits
            self.cancel()
            until = monotonic() + GRACE
            while not self.done() and monotonic() < until:
                await asyncio.sleep(LOOK)
            raise
        return self

    def add_done_callback(self, fn: Callable[[Run], Any]) -> None:
        """Call ``fn(run)`` when it is over, in the thread that ends it; at once when it is over already.

        Parameters
        ----------
        fn : callable
            Gets this run; what it raises is logged, and harms nobody.
        """
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(fn)
        if self.done():
            try:
                self._callbacks.remove(fn)
            except ValueError:  # the thread that ended it has taken it meanwhile
                return
            _tell(fn, self)

    # steering --------------------------------------------------------------------------------------------------------
    def cancel(self) -> bool:
        """Cancel it: inside an await at once, in plain code before the next node. Returns False when it is over already.

        The store is kept. Works from any thread.
        """
        return self.end(RunCancelled(f"run {self.name!r} was cancelled"))

    def end(self, error: BaseException) -> bool:
        """End it with `error` as its reason, as `cancel` does; False when it is over already."""
        if self.done():
            return False
        with beginning:
            first = self.ending is None
            if first:
                self.ending = error
            self.signal = True
            self.is_ended = True
            task = self.task
        if self.held is not None:  # a `Hold` for each of ten thousand runs that are cancelled would cost more than the cancel
            self.held.wake()
        if task is not None:
            _on_loop(task, self._cancel_task, task)
        for child in list(self.nest.live) if self.nest is not None else ():  # after its own task, or a step that waits for them goes on
            child.cancel()
        for cancel in list((self._cancels or {}).values()):
            cancel()
        if task is None and first and self.launched and self._status == "pending":
            self.finish(error=error)
        return True

    def _cancel_task(self, task: Any) -> None:
        """Cancel the task that walks, unless the walk is over meanwhile: what its task does then is not ours."""
        if self.task is task and not self.done():
            self.cancels += cancel_task(task)

    def pause(self) -> None:
        """Pause before the next node. Nodes that are running finish first."""
        if not self.done():
            alert(self)
            self.hold_state().pause()

    def resume(self) -> None:
        """Continue after `pause`."""
        self.hold_state().resume()

    def step(self) -> None:
        """Run one more node while paused; pauses if it is not paused yet."""
        self.pause()
        self.hold_state().permit()

    def answer(self, value: Any, question: int | Question | None = None, *, ask: int | None = None) -> None:
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
        self.hold_state().questions.answer(value, ask if question is None else question)

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
        if would_await(sys._getframe(1)):
            return next_question_async(self, timeout)
        _refuse_on_engine(f"a question of run {self.name!r}")
        return next_question(self, timeout)

    def subscribe(self, fn: Callable[[Event], Any]) -> Callable[[], None]:
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
        subscribers = self.hold_state().subscribers
        alert(self)
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
        return EventStream([self], kinds_of(kinds, more), since, nested)

    @property
    def usage(self) -> Usage:
        """The tokens and the cost so far, inner runs included: ``run.usage.tokens``, ``run.usage.cost``."""
        return usage_of([self])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that its steps and inner runs sent by ``emit("message", text, role=...)``, oldest first, as far as kept."""
        return [dict(event.data) for event in self.events if event.kind == "message"]

    def show(self, **options: Any) -> Any:
        """Show the live view in the notebook."""
        if ports.display is None:
            raise RuntimeError("there is no screen here: run `%load_ext pocketflex_nb` in a notebook first")
        return ports.display(self, **options)

    def to_frame(self) -> Any:
        """The events as a pandas DataFrame: seq, time, kind, address, node, and a column for each fact."""
        return ports.export(self.rows(), "frame")

    def to_html(self, path: Any) -> Any:
        """Write one HTML file that opens anywhere, offline: diagram, timeline, messages, error, store, events. Returns its path.

        Parameters
        ----------
        path : str or Path
            The file to write.

        Returns
        -------
        Path
        """
        return ports.export([self], "html", path=path)

    def to_svg(self) -> str:
        """The diagram with its state, as the text of an SVG file."""
        return str(ports.export(self, "svg"))

    def to_timeline(self) -> str:
        """The timeline, as the text of an SVG file."""
        return str(ports.export(self, "timeline"))

    def rows(self) -> list[dict[str, Any]]:
        """The events as flat dicts, a table's rows."""
        return [_row(event) for event in self.events]

    # for the engine ---------------------------------------------------------------------------------------------------
    def hold_state(self) -> Any:
        """The controller of pause, limits and questions; made when first needed."""
        if self.held is None:
            with _making:  # two steps in threads may ask at the same time
                if self.held is None:
                    self.held = Hold(self)
        return self.held

    def hold(self, frame: Frame) -> None:
        """Wait before the current node of `frame`, in plain code, when `signal` is set."""
        self.hold_state().before(frame)

    async def hold_async(self, frame: Frame) -> None:
        """Wait before the current node of `frame`, on a loop, when `signal` is set."""
        await self.hold_state().before_async(frame)

    def check(self, frame: Frame) -> None:
        """Raise the error with which a walk must end, if there is one; called between two items of a batch when `signal` is set.

        Parameters
        ----------
        frame : Frame
            The walk.
        """
        if self.ending is not None:
            raise self.ending
        if self.held is not None:
            self.held.check(frame)

    def live_class(self, code: Any) -> Any:
        """The class or function that this run uses for `code`: the one bound in the notebook when it was launched."""
        return self._classes.get(code, code) if self._classes else code

    def enter(self, frame: Frame) -> None:
        """Register the walk of `frame`, inside the outermost, which begins."""
        if self.cursors is None:
            self.cursors = {}
        self.cursors[frame] = None

    def leave(self, frame: Frame) -> None:
        """Unregister the walk of `frame`, which is over."""
        if self.cursors is not None:
            self.cursors.pop(frame, None)

    def keep_store(self, walk: Frame) -> None:
        """Register the private store of `walk`, which begins, for `stores`."""
        if self.privates is None:
            self.privates = deque(maxlen=_PRIVATE_STORES)
        self.privates.append(walk)

    def adopt(self, child: Run, frame: Frame) -> None:
        """Register `child`, which the step at `frame` began and which is a part of this run from now on."""
        if self.nest is None:
            with _making:
                if self.nest is None:
                    self.nest = Nest(self)
        self.nest.adopt(child, frame)
        if self.signal:
            child.signal = True
            child.hold_state()

    def fence(self, step: Frame) -> None:
        """Abandon `step`: the runs that it began end too, and late writes of plain ones in its thread are dropped."""
        for child in list(self.nest.live) if self.nest is not None else ():
            if child.outer is step:
                for frame in child.frames() if not child.launched else ():
                    frame.fenced = True
                    child.fence(frame)
                child.cancel()

    def discard(self) -> None:
        """Remove a run that was made and cannot be started."""
        gone(self)
        self._leave_outer()

    def _leave_outer(self) -> None:
        if self.outer is not None and self.parent is not None and self.parent.nest is not None:
            self.parent.nest.release(self)

    def use_classes(self, classes: dict[Any, Any] | None) -> None:
        """Make `live_class` answer from `classes`, which map old code to the newest."""
        self._classes = classes

    def join_of(self, fork: Any) -> Any:
        """The join of `fork`, or None."""
        if self._joins is None:
            self._joins = {}
        if fork not in self._joins:
            self._joins[fork] = join_of(fork)
        return self._joins[fork]

    @contextmanager
    def cancelling(self, cancel: Callable[[], Any]) -> Iterator[None]:
        """Within the block, `cancel` is called when the run is to end."""
        mine = object()  # steps in several threads may come and go at the same time: every change is one operation of a dict
        self.__dict__.setdefault("_cancels", {})[mine] = cancel
        if self.is_ended:  # it was ended while this wait began
            cancel()
        try:
            yield
        finally:
            del self._cancels[mine]

    def begin(self) -> None:
        """Note that it starts to walk."""
        if not self.launched:
            (began if self.task is None else began_elsewhere)(self)
        self._status, self.started = "running", now()
        for fn in _hearers:
            self.signal = True
            self.hold_state().subscribers.add(fn, is_of_all=True)

    def conclude(self, action: Any) -> None:
        """End the run after its walk: it is done, unless a limit was exceeded all the same, which is raised.

        Parameters
        ----------
        action : object
            The last action.
        """
        if self.held is not None and (late := self.held.overrun()) is not None:
            self.ending = late
            raise late
        self.finish(action)

    def fail(self, error: BaseException) -> None:
        """End the run with `error`; when that is the cancellation that `end` made, raise what `end` was given instead."""
        ending = self.ending
        if ending is None or not isinstance(error, (asyncio.CancelledError, RunCancelled)):
            self.finish(error=error)
            return
        self.finish(error=ending)
        if error is ending:
            return
        if is_cut(error) and self.parent is not None and self.parent.ending is not None:
            return  # the step around this is cancelled: it is to see that
        task = asyncio.current_task() if self.task is not None else None
        self.task = None
        if task is not None:
            for _ in range(self.cancels):
                task.uncancel()  # the cancel was ours
        raise ending from None

    def finish(self, action: Any = None, error: BaseException | None = None) -> None:
        """End the run with its last `action` or `error`: record it, and wake the waiters."""
        if self.done():
            return
        if self.detached:
            for task in self.detached:
                _cancel_anywhere(task)
        self.action, self.finished = action, now()
        self.started = self.started or self.finished
        status = "done"
        if error is not None:
            cancelled = isinstance(error, (RunCancelled, asyncio.CancelledError, KeyboardInterrupt))
            cancelled = cancelled or (isinstance(error, cf.CancelledError) and self.is_ended)
            cancelled = cancelled or (isinstance(error, GeneratorExit) and not self.launched)  # its coroutine was closed
            status = "cancelled" if cancelled else "failed"
            if cancelled and not isinstance(error, RunCancelled):
                error = RunCancelled(f"run {self.name!r} was cancelled")
            self.error, self.trace = error, error.__traceback__
        if self.nest is not None:
            self.nest.over()
        self.records.extend((self.root, None, FINISHED[status], self.finished, self.finished))
        self._status = status
        if error is None:
            self.task = None
        if self.held is not None:
            self.held.over()
        if self.outer is not None:
            self._leave_outer()
        ended(self)
        if self._over is not None:
            self._over.open()
        while self._callbacks:
            _tell(self._callbacks.pop(0), self)


def limited(run: Run, flow: Any) -> None:
    """Give `run` the limits of its flow, and start their clock."""
    if flow._pfx_max_steps or flow._pfx_timeout or flow._pfx_budget:
        run.started = now()
        run.hold_state().limit(flow._pfx_max_steps, flow._pfx_timeout, flow._pfx_budget)


def _row(e: Event) -> dict[str, Any]:
    """An event as a flat dict; a fact of the user's with the name of a column is left out."""
    own = {"run": e.run, "seq": e.seq, "time": e.time, "kind": e.kind, "address": e.address, "node": e.node}
    return {**own, **e.data, **own}


def _name_of(flow: Any) -> str:
    name = base_name(flow)
    return name if isinstance(getattr(flow, "name", None), str) else name[:1].lower() + name[1:]


def _wake(loop: Any, over: Any) -> None:
    def wake() -> None:
        if not over.done():
            over.set_result(None)

    if not loop.is_closed():
        loop.call_soon_threadsafe(wake)


def _on_loop(task: Any, fn: Callable[..., Any], *args: Any) -> None:
    """Call `fn` on the loop of `task` soon."""
    loop = task.get_loop()
    if loop is engine_thread._loop:
        engine_thread.call_together(fn, *args)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(fn, *args)


def _cancel_anywhere(task: Any) -> None:
    if isinstance(task, asyncio.Future):
        _on_loop(task, cancel_task, task)
    else:
        task.cancel()


def _tell(fn: Callable[[Run], Any], run: Run) -> None:
    """Call a done callback; one that fails is reported and does not prevent the others."""
    try:
        fn(run)
    except Exception:
        _log.exception("a done callback of run %r failed", run.name)


def _refuse_on_engine(what: str) -> None:
    if engine_thread.is_here and threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"waiting for {what} in plain code on the engine thread would stop everything there: write `await run`")
