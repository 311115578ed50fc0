"""The controller of a run: cancellation, pause, limits and questions, checked before each node. Made only for runs that need it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from time import perf_counter_ns as now
from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.reentrancy import run_nested
from pocketflex_nb.core.errors import BudgetSpent, RunCancelled, RunError, RunTimeout, StepLimit
from pocketflex_nb.engine.control.attempt_clock import LATE, unwatch, watch
from pocketflex_nb.engine.control.flow_limits import Scope
from pocketflex_nb.engine.control.outer_run import Outside, alert, inner_holds
from pocketflex_nb.engine.control.question import Question, Questions
from pocketflex_nb.engine.control.subscribers import Subscribers
from pocketflex_nb.engine.records.frame import Frame

__all__ = ["SLICE", "Hold"]

#: seconds between two looks of a paused plain run: a main thread must see interrupts
SLICE = 0.05
#: seconds for which a plain walk in a step on a loop may keep that loop from turning between two nodes
_TURN = 0.02


class Hold:
    """Everything that may keep a run from its next node: cancellation, pause, limits, questions.

    Attributes
    ----------
    status : str
        running, paused or asking: what the run's own "running" stands for.
    idle : int
        Nanoseconds spent paused or asking; they count for no limit.
    """

    def __init__(self, run: Any) -> None:
        self.run = run
        self.paused = False
        self.permits = 0
        self.idle = 0
        self.breaks: frozenset[str] = frozenset()
        self.break_if: Callable[[Frame], bool] | None = None
        self.questions = Questions(run)
        self.headless: bool | None = None
        self.waiting: set[Frame] = set()  # walks that stand still before their node
        self._since = 0
        self._lock = threading.RLock()  # taken by itself: an interrupt may leave a Condition that is entered locked for ever
        self._gate = threading.Condition(self._lock)
        self._waiters: list[tuple[Any, asyncio.Future[None]]] = []
        self.subscribers = Subscribers(run)
        self.outside = Outside(run) if run.outer is not None else None
        self._steps = 0
        self._max_steps: int | None = None
        self._timeout: float | None = None
        self._timed = self._is_told = False
        self._turned = monotonic()
        self._clock: asyncio.TimerHandle | None = None
        self._budget: dict[str, float] = {}
        self.spent: Counter[str] = Counter()
        self.scopes: dict[Frame, Scope] = {}  # limits of flows inside the run's, by the frame they count below

    @property
    def status(self) -> str:
        """The status of the run as far as its controller decides: asking, paused, or else running."""
        if self.questions.open:
            return "asking"
        return "paused" if self.is_paused else "running"

    @property
    def is_paused(self) -> bool:
        """Whether it, or a run around it, is paused."""
        return self.paused or (self.outside is not None and self.outside.is_paused)

    # limits ------------------------------------------------------------------------------------------------------------
    def limit(self, max_steps: int | None, timeout: float | None, budget: Mapping[str, float] | None) -> None:
        """Set the limits and start the clock. A budget's steps and seconds count as those limits, with an error of their own."""
        self._max_steps, self._timeout, self._budget = max_steps, timeout, dict(budget or {})
        alert(self.run)
        self._timed = bool(timeout or self._budget.get("seconds"))
        if self._timed:
            if self.outside is not None and self.outside.is_paused:
                self._rest()
            self._arm()
            watch(self)

    @property
    def most_steps(self) -> int | None:
        """How many steps the run may make, by ``max_steps`` or its budget; None for no limit."""
        allowed = [int(n) for n in (self._max_steps, self._budget.get("steps")) if n]
        return min(allowed) if allowed else None

    @property
    def active(self) -> float:
        """Seconds that the run has walked, without paused and asking time."""
        idle = self.idle + (now() - self._since if self._since else 0)
        return float(now() - self.run.started - idle) / 1e9

    def _arm(self) -> None:
        limits = [s for s in (self._timeout, self._budget.get("seconds")) if s]
        left = min(limits) - self.active
        engine_thread.call_soon(self._set_alarm, max(left, 0.001))

    def _set_alarm(self, seconds: float) -> None:
        if not self.run.done():
            self._clock = engine_thread.loop.call_later(seconds, self._alarm)

    def _alarm(self) -> None:
        if self.run.done():
            return
        late = self._overtime()
        if late is None:
            self._arm() if not self._since else self._set_alarm(SLICE)
        else:
            self.run.end(late)

    def _overtime(self) -> Exception | None:
        active, name = self.active, self.run.name
        if self._timeout and active >= self._timeout:
            return RunTimeout(f"run {name!r} took longer than {self._timeout:g} s; the store is kept; give it more with timeout=")
        seconds = self._budget.get("seconds")
        if seconds and active >= seconds:
            return self._overspent("seconds", active, seconds)
        return None

    def overrun(self) -> BaseException | None:
        """The limit that a finished walk has exceeded all the same, if any: for example because its last step could not be cut off."""
        ending = self.run.ending
        if isinstance(ending, BudgetSpent):
            return ending if self.spent.get(ending.what, ending.spent) > ending.allowed or ending.what == "seconds" else None
        if isinstance(ending, RunError) and not isinstance(ending, RunCancelled):
            return ending
        return self._overtime() if self._timed else None

    def look(self) -> None:
        """Report once if the run continues although its time is over: a step blocks. Called from the watching thread."""
        if self._is_told or self._since or self.run.done():
            return
        seconds = min(s for s in (self._timeout, self._budget.get("seconds")) if s)
        if self.active >= seconds + LATE:
            self._is_told = True
            where = ", ".join(self.run.in_flight()) or "it"
            self.run.root.note(
                "overdue", limit=seconds,
                text=f"{where}: goes on past the run's limit of {seconds:g} s; it blocks, or swallows its cancellation",
            )

    def check(self, frame: Frame) -> None:
        """Raise the error with which the walk of `frame` must end, if there is one; called between two items of a batch."""
        if self.run.ending is not None:
            raise self.run.ending
        for scope in self.around(frame) if self.scopes else ():
            scope.check()
        if self.outside is not None:
            self.outside.check()

    def _overspent(self, what: str, spent: float, allowed: float) -> BudgetSpent:
        return BudgetSpent(
            f"run {self.run.name!r} has spent {spent:g} of {allowed:g} {what}; the store is kept; raise budget={{{what!r}: ...}}",
            what=what, spent=spent, allowed=allowed,
        )

    def around(self, frame: Frame | None) -> Iterator[Scope]:
        """The limits of nested flows around `frame`, the innermost first."""
        while frame is not None:
            if frame in self.scopes:
                yield self.scopes[frame]
            frame = frame.parent

    def spend(self, amounts: Mapping[str, Any], frame: Frame | None = None) -> None:
        """Count tokens and cost; a spent budget ends the run, or the flow inside it that set it, before the next node."""
        for scope in self.around(frame) if self.scopes else ():
            scope.spend(amounts)
        for what in ("tokens", "cost"):
            if amounts.get(what):
                with self._lock:  # runs inside spend in threads of their own
                    self.spent[what] += amounts[what]
                allowed = self._budget.get(what)
                if allowed and self.spent[what] >= allowed and self.run.ending is None:
                    self.run.ending = self._overspent(what, self.spent[what], allowed)
                    alert(self.run)
        if self.outside is not None:
            self.outside.spend(amounts)

    def _count_step(self, frame: Frame) -> None:
        if self._max_steps is not None and self._steps >= self._max_steps:
            state = self.run.state()
            hot = sorted(((path, n.visits) for path, n in state.nodes.items()), key=lambda pair: -pair[1])[:5]
            path = " -> ".join(f"{p} ({n}x)" for p, n in hot)
            self.run.ending = StepLimit(
                f"run {self.run.name!r} made {self._steps} steps, as many as max_steps allows; busiest: {path}; the store is kept", hot=hot
            )
        allowed = self._budget.get("steps")
        if allowed and self._steps >= allowed:
            self.run.ending = self._overspent("steps", self._steps, allowed)
        if self._timed and self.run.ending is None:  # steps that never wait leave the engine thread no time to look at the clock
            self.run.ending = self._overtime()
        self._steps += 1

    # before each node ---------------------------------------------------------------------------------------------------
    def _look(self, frame: Frame, *, first: bool) -> bool:
        """Raise when the run must end; return whether it may continue at once. Only the first look stops at a breakpoint."""
        if self.subscribers:
            self.subscribers.tell()
        if first:
            if self.has_breaks:
                self.stop_at(frame.node_id, frame)
            if self.outside is not None:
                self.outside.stop_at(frame)
        self.check(frame)
        return (not self.paused or self.take_permit()) and (self.outside is None or self.outside.may_go())

    @property
    def has_breaks(self) -> bool:
        """Whether there is any breakpoint."""
        return bool(self.breaks) or self.break_if is not None

    def stop_at(self, path: str, frame: Frame) -> None:
        """Pause before the node at `path` when it has a breakpoint, unless the run is paused or ends anyway."""
        if self.run.ending is None and not self.paused and self._breaks_at(path, frame):
            self.pause()

    def _breaks_at(self, path: str, frame: Frame) -> bool:
        if path in self.breaks or path.rsplit("/", 1)[-1] in self.breaks:
            return True
        return self.break_if is not None and bool(self.break_if(frame))

    def take_permit(self) -> bool:
        """Whether a single step was requested while the run is paused; consumes the request."""
        with self._lock:
            if self.permits:
                self.permits -= 1
                return True
            return False

    def count(self, frame: Frame) -> None:
        """Count one more step, here and in outer runs; raise when it exceeds a limit."""
        self._count_step(frame)
        if self.run.ending is not None:
            raise self.run.ending
        for scope in self.around(frame) if self.scopes else ():
            scope.count()
        if self.outside is not None:
            self.outside.count()

    def _go(self, frame: Frame) -> None:
        self.count(frame)
        if self.subscribers:
            frame.note("node_started")

    def before(self, frame: Frame) -> None:
        """Block a plain walk here while the run is paused. One in a step on a loop lets that loop run meanwhile."""
        loop = self.run.loop_below
        if loop is not None and monotonic() > self._turned + _TURN:
            run_nested(loop, asyncio.sleep(0), self.run.cancelling)
            self._turned = monotonic()
        try:
            first = True
            while not self._look(frame, first=first):
                first = False
                self.waiting.add(frame)
                if loop is not None:
                    run_nested(loop, asyncio.sleep(SLICE), self.run.cancelling)
                    continue
                with self._lock:
                    self._gate.wait(SLICE)
        finally:
            self.waiting.discard(frame)
        self._go(frame)

    async def before_async(self, frame: Frame) -> None:
        """Suspend a walk on a loop here while the run is paused."""
        try:
            first = True
            while not self._look(frame, first=first):
                first = False
                self.waiting.add(frame)
                loop = asyncio.get_running_loop()
                waiter = loop.create_future()
                with self._lock:
                    self._waiters.append((loop, waiter))
                if not self.is_paused or self.permits or self.run.ending is not None:
                    self.wake()
                await waiter
        finally:
            self.waiting.discard(frame)
        self._go(frame)

    def wake(self) -> None:
        """Make every waiting walk check again."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
            self._gate.notify_all()
        for loop, waiter in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_set, waiter)
        for held in inner_holds(self.run):
            held.wake()

    # pause --------------------------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Stop walks before their next node."""
        if not self.paused:
            self.paused = True
            self._rest()
            for held in inner_holds(self.run):
                held._rest()
            self.run.root.note("run_paused")

    def resume(self) -> None:
        """Let walks continue."""
        if self.paused:
            self.paused, self.permits = False, 0
            self._unrest()
            for held in inner_holds(self.run):
                held._unrest()
            self.run.root.note("run_resumed")
        self.wake()

    def permit(self) -> None:
        """Let one waiting walk pass."""
        with self._lock:
            self.permits += 1
        self.wake()

    def _rest(self) -> None:
        if not self._since:
            self._since = now()

    def _unrest(self) -> None:
        if self._since and not self.is_paused and not self.questions.open:
            self.idle += now() - self._since
            self._since = 0

    # questions -----------------------------------------------------------------------------------------------------------
    def open(self, question: Question) -> None:
        """Park the asking step until its question is answered."""
        self.questions.add(question)
        self._rest()
        if self.outside is not None:
            self.outside.open(question)

    def close(self, question: Question) -> None:
        """Close a question: it is answered, or no longer waited for."""
        self.questions.drop(question)
        self._unrest()
        if question.seen is not None:
            held, seen = question.seen
            held.close(seen)

    def over(self) -> None:
        """The run has ended."""
        self.wake()
        unwatch(self)
        if self._clock is not None:  # else a run with an hour to go would be kept for an hour
            engine_thread.call_soon(self._clock.cancel)
        if self.subscribers:
            self.subscribers.tell()
        self.questions.tell()


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
