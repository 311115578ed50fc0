"""`RunLifecycle`: the engine's side of a run: how it begins, what holds it back, how it ends, and what it leaves.

`Run` is the handle that users type, and keeps this in one private field. Frames, walks, controllers and logs work with the lifecycle,
which they find at `Frame.lifecycle`; `run.lifecycle_of` gives it for a handle.
"""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from time import perf_counter_ns as now
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.foreign_errors import is_cut
from pocketflex_nb.concurrency.interruptible import Latch
from pocketflex_nb.concurrency.reentrancy import cancel_task
from pocketflex_nb.core.context import CURRENT_CELL, CURRENT_FRAME
from pocketflex_nb.core.errors import RunCancelled
from pocketflex_nb.core.flow.node_ids import base_id, base_name
from pocketflex_nb.core.user_traceback import shorten_in_notebook
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.record import FINISHED, format_error
from pocketflex_nb.engine.runs.run_registry import RunRegistry

if TYPE_CHECKING:
    import weakref

    from pocketflex_nb.core.events import Event
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.core.flow.flow_graph import Graph
    from pocketflex_nb.core.flow.nodes import BaseNode, Fork
    from pocketflex_nb.core.state import State
    from pocketflex_nb.engine.control.controller import RunController
    from pocketflex_nb.engine.records.lifecycle import Handle
    from pocketflex_nb.engine.records.recording import Recording
    from pocketflex_nb.engine.records.reuse import Reuse
    from pocketflex_nb.engine.records.run_log import RunLog
    from pocketflex_nb.engine.records.visit_values import VisitValues
    from pocketflex_nb.engine.runs.nested_runs import NestedRuns

__all__ = ["RunLifecycle", "handle_of", "observers", "registry", "start_lock"]

CodeT = TypeVar("CodeT")
#: stores of flows with their own that a run keeps
_PRIVATE_STORES = 100

#: held while a run gets its task, and while it is cancelled: a run without a task is ended by the first request, and never gets one
start_lock = threading.Lock()
#: called with each event of every run that begins from now on
observers: list[Callable[[Event], object]] = []
#: makes a handle; set by :mod:`pocketflex_nb.engine.runs.run`, whose class it is
handle_of: Callable[[RunLifecycle], Any] = None  # type: ignore[assignment]  # before anything can ask

_naming, _making = threading.Lock(), threading.Lock()
_numbers: Counter[str] = Counter()
_log = logging.getLogger("pocketflex_nb")
_count = count(1)  # no attribute of the class: writing one would make every look-up on it slow again


class RunLifecycle:
    """The engine's side of one run.

    Parameters
    ----------
    flow, store, name, launched, is_detached
        See `Run`.

    Attributes
    ----------
    run : Run
        The handle for its owner. Made when somebody asks for it: ten thousand runs that nobody holds need none.
    needs_check : bool
        Whether walks must call `hold` before each node.
    controller : RunController or None
        Pause, limits, questions and subscribers, once one of them was needed.
    ending : BaseException or None
        What the run is to end with; walks raise it before their next node.
    is_ended : bool
        Whether `end` was called: waits that begin now are over at once.
    outer : Frame or None
        The frame of the run around it that it was begun in, if it is a part of one.
    records : list
        The flat list of records that walks extend; see `run_log`.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "action",
        "cell",
        "controller",
        "finished",
        "flow",
        "given_name",
        "handle",
        "hops",
        "needs_check",
        "number",
        "parent",
        "records",
        "root",
        "stage",
        "started",
        "store",
        "task",
    )
    root: Frame
    stage: str
    needs_check: bool
    started: int
    finished: int
    hops: int
    # rare, so kept in the `__dict__`, which ten thousand runs without a view never make
    callbacks: list[Callable[[Any], object]] | None = None
    has_changes: bool = False  # whether a record of a hop may hold the place of a change
    is_ended = False
    cancels = 0  # how often the walking task was cancelled on our account
    cancellations: dict[object, Callable[[], object]] | None = None
    classes: Mapping[Any, Any] | None = None
    joins: dict[Any, BaseNode | None] | None = None
    _log: RunLog | None = None
    _name: str | None = None
    over: Latch | None = None  # the latch that opens when a launched run is over
    branches: int | None = None  # of one fan-out at once, as `launch` was told
    blocks: bool = False  # whether it keeps the main thread waiting, so that no click can arrive
    privates: deque[Frame] | None = None  # the latest walks on stores of their own
    crosses: bool = False  # whether it is a plain run in a step on a user's loop: its async steps are awaited on the engine thread
    nested: NestedRuns | None = None  # the runs that its steps began
    cursors: dict[Frame, None] | None = None
    detached: Sequence[asyncio.Future[object] | cf.Future[object]] | None = None
    lazy: set[weakref.ref[Any]] | None = None  # weak references to generators that steps gave, each with the look at its end
    ending: BaseException | None = None
    error: BaseException | None = None
    launched: bool = False
    limits: dict[str, Any] | None = None
    recording: Recording | None = None  # what writes it into a journal, if it has one
    reuse: Reuse | None = None  # where results of `exec` are taken from: a tape, a cache
    is_stepwise: bool = False  # whether it has one of both, so that visits are made step by step
    loop_below: asyncio.AbstractEventLoop | None = None  # the loop that a plain run in a step of another stands on
    item: tuple[str | None, object] | None = None  # the key and the value that it was launched for, as one of many
    origin: str = ""  # for views: the run that it was forked from
    outer: Frame | None = None
    outer_node: BaseNode | None = None  # the node whose step began it there
    values: VisitValues | None = None  # what its steps were given and gave, where somebody may look
    trace: TracebackType | None = None  # the traceback of `error`, as it was when that ended the run
    waits: dict[Any, None] | None = None  # marks of what its steps wait for, made when the first of them waits
    known_waits: tuple[int, list[Any]] | None = None  # when they were last read, and what was found, where they are many

    def __init__(self, flow: Any, store: Any, name: str | None = None, launched: bool = False, is_detached: bool = False) -> None:
        outer = None if is_detached else CURRENT_FRAME.get()
        self.flow, self.store, self.given_name = flow, store, name
        self.handle: Any = None
        self.parent: RunLifecycle | None = outer.lifecycle if outer is not None else None
        self.number, self.cell = next(_count), CURRENT_CELL.get()
        self.records: list[Any] = []
        self.root = Frame(self, None, flow)
        self.stage = "pending"
        self.needs_check = False
        self.started = self.finished = self.hops = 0
        self.action: object = None
        self.controller: RunController | None = None
        self.task: asyncio.Task[Any] | None = None
        if launched:
            self.launched, self.over = True, Latch()
        if outer is not None and outer.lifecycle.stage == "running":
            self.outer, self.outer_node = outer, outer.node
            outer.lifecycle.add_child(self, outer)
            if outer.lifecycle.values is not None:
                from pocketflex_nb.engine.records.visit_values import VisitValues

                self.values = VisitValues()

    # what it is ------------------------------------------------------------------------------------------------------
    @property
    def run(self) -> Any:
        """The handle for its owner."""
        if self.handle is None:
            with _making:
                if self.handle is None:
                    self.handle = handle_of(self)
        return self.handle

    @property
    def base(self) -> str:
        """The name it was given, or its flow's, before numbering."""
        return self.given_name or _name_of(self.flow)

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
    def log(self) -> RunLog:
        """Reads the records."""
        if self._log is None:
            from pocketflex_nb.engine.records.run_log import RunLog

            self._log = RunLog(self, self.records)
        return self._log

    @property
    def children(self) -> list[RunLifecycle]:
        """The runs that its steps began, oldest first: all that are not over, and the last 200 that are."""
        return sorted([*self.nested.ended, *self.nested.live], key=lambda run: run.number) if self.nested is not None else []

    @property
    def outer_run(self) -> RunLifecycle | None:
        """The run that this one is a part of, until that is over."""
        return self.parent if self.outer is not None and self.parent is not None and not self.parent.done() else None

    @property
    def lane_run(self) -> Handle | None:
        """The handle of the launched run, this one or an outer one, whose lane shows what this one prints."""
        if self.launched:
            handle: Handle = self.run
            return handle
        outer = self.outer_run
        return None if outer is None else outer.lane_run

    @property
    def flow_id(self) -> str:
        """The first part of every address."""
        return base_id(self.flow)

    @property
    def kept_at(self) -> tuple[Any, int] | None:
        """Its journal's file, and its number there; None when it has none."""
        if self.recording is None or self.recording.root:  # a run inside is recorded with the one around it
            return None
        return (self.recording.recorder.path, self.recording.recorder.run)

    @property
    def source_text(self) -> str:
        """For views: the journal that it was reopened or resumed from; ``""`` for one that began here."""
        kept = self.kept_at
        return f"resumed from {kept[0].name}" if kept is not None and self.recording is not None and self.recording.is_resumed else ""

    @property
    def spent(self) -> Mapping[str, float]:
        """Tokens and cost so far, by name."""
        return {} if self.controller is None else self.controller.limits.spent

    def graph(self) -> Graph:
        """The flow as data."""
        from pocketflex_nb.core.flow.flow_graph import graph_of  # a run that nobody looks at needs none

        return graph_of(self.flow, name=self.name)

    @property
    def status(self) -> str:
        """pending, running, paused, asking, done, failed or cancelled."""
        if self.stage == "running" and self.controller is not None:
            return str(self.controller.status)
        return self.stage

    def state(self) -> State:
        """The state now: the fold of its events, with the current nodes marked and what is waited for."""
        from pocketflex_nb.engine.control.waits import waits_of  # a run that nobody looks at needs none

        state = self.log.state()
        state.waits = waits_of(self)
        return state

    def waits_now(self) -> dict[Any, None]:
        """The marks of what its steps wait for now; see `wait_marks`."""
        marks: dict[Any, None] = self.__dict__.setdefault("waits", {})  # one operation: steps in several threads may begin to wait at once
        return marks

    def frames(self) -> list[Frame]:
        """The frames of all its walks that are not over."""
        return [self.root, *list(self.cursors or ())]

    def stores(self) -> dict[str, Any]:
        """Its store under ``""``, and the private stores of flows by address: those in use, and the last 100."""
        walks = [*(walk for walk in self.frames() if walk.private is not None), *(self.privates or ())]
        found = {"": self.store}
        return found | {self.log.walk_address(walk): walk.private for walk in dict.fromkeys(walks)}

    def in_flight(self) -> list[str]:
        """Graph paths of the nodes that are being visited now."""
        return [] if self.done() else self.log.in_flight()

    def done(self) -> bool:
        """Whether it is over: done, failed or cancelled."""
        return self.stage in ("done", "failed", "cancelled")

    def outcome(self) -> object:
        """The last action of a run that is over, or its exception raised."""
        if self.error is not None:
            self.error.__traceback__ = self.trace
            if CURRENT_FRAME.get() is None:
                shorten_in_notebook(self.error)
            raise self.error  # with the same lines, however often it is raised here
        return self.action

    def __repr__(self) -> str:
        return f"<RunLifecycle {self.name!r} {self.status}>"

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call `fn` with the handle when the run is over, in the thread that ends it; at once when it is over already."""
        if self.callbacks is None:
            self.callbacks = []
        self.callbacks.append(fn)
        if self.done():
            try:
                self.callbacks.remove(fn)
            except ValueError:  # the thread that ended it has taken it meanwhile
                return
            self._tell(fn)

    def _tell(self, fn: Callable[[object], object]) -> None:
        """Call a done callback; one that fails is reported and does not prevent the others."""
        try:
            fn(self.run)
        except Exception:
            _log.exception("a done callback of run %r failed", self.name)

    # what holds it back ----------------------------------------------------------------------------------------------
    def ensure_controller(self) -> RunController:
        """The controller of pause, limits and questions; made when first needed."""
        if self.controller is None:
            from pocketflex_nb.engine.control.controller import RunController

            with _making:  # two steps in threads may ask at the same time
                if self.controller is None:
                    self.controller = RunController(self)
        return self.controller

    def hold(self, frame: Frame) -> None:
        """Wait before the current node of `frame`, in plain code, when `needs_check` is set."""
        self.ensure_controller().gate.before(frame)

    async def hold_async(self, frame: Frame) -> None:
        """Wait before the current node of `frame`, on a loop, when `needs_check` is set."""
        await self.ensure_controller().gate.before_async(frame)

    def alert(self) -> None:
        """Make it, and every run inside of it, check before each node."""
        self.needs_check = True
        for child in list(self.nested.live) if self.nested is not None else ():
            child.ensure_controller()
            child.alert()

    def check(self, frame: Frame) -> None:
        """Raise the error with which a walk must end, if there is one; called between two items of a batch when `needs_check` is set.

        Parameters
        ----------
        frame : Frame
            The walk.
        """
        if self.ending is not None:
            raise self.ending
        if self.controller is not None:
            self.controller.limits.check(frame)

    def limit(self, flow: Flow) -> None:
        """Give the run the limits of its flow, and start their clock."""
        if flow._pfx_max_steps or flow._pfx_timeout or flow._pfx_budget:
            self.started = now()
            self.ensure_controller().limits.limit(flow._pfx_max_steps, flow._pfx_timeout, flow._pfx_budget)

    # what it walks with ----------------------------------------------------------------------------------------------
    def use_classes(self, classes: Mapping[object, object] | None) -> None:
        """Make `current_class` answer from `classes`, which map old code to the newest."""
        self.classes = classes

    def record_in(self, recording: Recording) -> None:
        """Write what it does into a journal."""
        self.recording, self.is_stepwise = recording, True

    def take_from(self, reuse: Reuse) -> None:
        """Take results from a tape or a cache."""
        self.reuse, self.is_stepwise = reuse, True

    def current_class(self, code: CodeT) -> CodeT:
        """The class or function that this run uses for `code`: the one bound in the notebook when it was launched."""
        return self.classes.get(code, code) if self.classes else code

    def join_of(self, fork: Fork) -> BaseNode | None:
        """The join of `fork`, or None."""
        if self.joins is None:
            self.joins = {}
        if fork not in self.joins:
            from pocketflex_nb.core.flow.joins import join_of

            self.joins[fork] = join_of(fork)
        return self.joins[fork]

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

    def add_child(self, child: RunLifecycle, frame: Frame) -> None:
        """Register `child`, which the step at `frame` began and which is a part of this run from now on."""
        if self.nested is None:
            from pocketflex_nb.engine.runs.nested_runs import NestedRuns

            with _making:
                if self.nested is None:
                    self.nested = NestedRuns(self)
        self.nested.add(child, frame)
        if self.needs_check or (self.recording is not None and not child.launched):  # whose walk then tells of each change
            child.needs_check = True
            child.ensure_controller()

    @contextmanager
    def cancelling(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Within the block, `cancel` is called when the run is to end."""
        mine = object()  # steps in several threads may come and go at the same time: every change is one operation of a dict
        cancellations: dict[object, Callable[[], object]] = self.__dict__.setdefault("cancellations", {})
        cancellations[mine] = cancel
        if self.is_ended:  # it was ended while this wait began
            cancel()
        try:
            yield
        finally:
            del cancellations[mine]

    # from its beginning to its end -----------------------------------------------------------------------------------
    def begin(self) -> None:
        """Note that it starts to walk."""
        if not self.launched:
            (registry.add if self.task is None else registry.add_elsewhere)(self)
        self.stage, self.started = "running", now()
        for fn in observers:
            self.needs_check = True
            self.ensure_controller().subscribers.add(fn, is_of_all=True)

    def end(self, error: BaseException) -> bool:
        """End it with `error` as its reason, as `cancel` does; False when it is over already."""
        if self.done():
            return False
        with start_lock:
            first = self.ending is None
            if first:
                self.ending = error
            self.needs_check = True
            self.is_ended = True
            task = self.task
        if self.controller is not None:  # one for each of ten thousand runs that are cancelled would cost more than the cancel
            self.controller.gate.wake()
        if task is not None:
            _on_loop(task, self._cancel_task, task)
        for child in list(self.nested.live) if self.nested is not None else ():  # after its own task, or a step that waits for them goes on
            child.cancel()
        for cancel in list((self.cancellations or {}).values()):
            cancel()
        if task is None and first and self.launched and self.stage == "pending":
            self.finish(error=error)
        return True

    def cancel(self) -> bool:
        """Cancel it; False when it is over already."""
        return self.end(RunCancelled(f"run {self.name!r} was cancelled"))

    def _cancel_task(self, task: asyncio.Task[object]) -> None:
        """Cancel the task that walks, unless the walk is over meanwhile: what its task does then is not ours."""
        if self.task is task and not self.done():
            self.cancels += cancel_task(task)

    def abandon_step(self, step: Frame) -> None:
        """Abandon `step`: the runs that it began end too, and late writes of plain ones in its thread are dropped."""
        for child in list(self.nested.live) if self.nested is not None else ():
            if child.outer is step:
                for frame in child.frames() if not child.launched else ():
                    frame.fenced = True
                    child.abandon_step(frame)
                child.cancel()

    def unregister(self) -> None:
        """Remove a run that was made and cannot be started."""
        registry.remove(self)
        self._leave_outer()

    def _leave_outer(self) -> None:
        if self.outer is not None and self.parent is not None and self.parent.nested is not None:
            self.parent.nested.release(self)

    def conclude(self, action: object) -> None:
        """End the run after its walk: it is done, unless a limit was exceeded all the same, which is raised.

        Parameters
        ----------
        action : object
            The last action.
        """
        if self.controller is not None and (late := self.controller.limits.overrun()) is not None:
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

    def finish(self, action: object = None, error: BaseException | None = None) -> None:
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
            if self.recording is not None:  # before anybody is told: what a person ended is not resumed
                self.recording.ended(status, format_error(error))
        if self.nested is not None:
            self.nested.over()
        self.records.extend((self.root, None, FINISHED[status], self.finished, self.finished))
        self.stage = status
        if error is None:
            self.task = None
        if self.controller is not None:
            self.controller.over()
        if self.outer is not None:
            self._leave_outer()
        registry.end(self)
        if self.over is not None:
            self.over.open()
        while self.callbacks:
            self._tell(self.callbacks.pop(0))


#: the runs of this process
registry: RunRegistry[RunLifecycle] = RunRegistry()


def _name_of(flow: Flow) -> str:
    name = base_name(flow)
    return name if isinstance(getattr(flow, "name", None), str) else name[:1].lower() + name[1:]


def _on_loop(task: asyncio.Future[object], fn: Callable[..., object], *args: object) -> None:
    """Call `fn` on the loop of `task` soon."""
    loop = task.get_loop()
    if loop is engine_thread._loop:
        engine_thread.call_together(fn, *args)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(fn, *args)


def _cancel_anywhere(task: asyncio.Future[object] | cf.Future[object]) -> None:
    if isinstance(task, asyncio.Future):
        _on_loop(task, cancel_task, task)
    else:
        task.cancel()
