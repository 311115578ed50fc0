"""The gate before each node: where a walk waits while its run is paused, single steps, and breakpoints."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING

from pocketflex_nb.concurrency.interruptible import SLICE, wait_in_slices
from pocketflex_nb.concurrency.reentrancy import run_nested
from pocketflex_nb.engine.control.outer_run import Outside, inner_controllers
from pocketflex_nb.engine.control.question import Questions
from pocketflex_nb.engine.control.run_limits import IdleClock, RunLimits
from pocketflex_nb.engine.control.subscribers import Subscribers
from pocketflex_nb.engine.records.frame import Frame

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["PauseGate"]

#: seconds for which a plain walk in a step on a loop may keep that loop from turning between two nodes
_TURN = 0.02


class PauseGate:
    """Lets walks pass to their next node, or makes them wait.

    Attributes
    ----------
    paused : bool
        Whether this run was paused; see `is_paused`.
    breaks : frozenset of str
        Ids and graph paths of the nodes before which the run is paused.
    break_if : callable or None
        Gets the frame before each node; pauses the run where it gives True.
    waiting : set of Frame
        Walks that stand still before their node.
    since : int
        Monotonic ns since when it is paused.
    broke : bool
        Whether a breakpoint paused it.
    """

    def __init__(
        self, run: Lifecycle[Frame], *, limits: RunLimits, clock: IdleClock, questions: Questions, subscribers: Subscribers,
        outside: Outside | None, lock: threading.RLock,
    ) -> None:
        self.run, self.outside = run, outside
        self._limits, self._clock, self._questions, self._subscribers = limits, clock, questions, subscribers
        self.paused = self.broke = False
        self.since = 0
        self.breaks: frozenset[str] = frozenset()
        self.break_if: Callable[[Frame], object] | None = None
        self.waiting: set[Frame] = set()
        self._permits = 0
        self._lock = lock  # taken by itself: an interrupt may leave a Condition that is entered locked for ever
        self._passed = threading.Condition(self._lock)
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._turned = monotonic()

    @property
    def is_paused(self) -> bool:
        """Whether the run, or a run around it, is paused."""
        return self.paused or (self.outside is not None and self.outside.is_paused)

    # before each node ---------------------------------------------------------------------------------------------------
    def before(self, frame: Frame) -> None:
        """Block a plain walk here while the run is paused. One in a step on a loop lets that loop run meanwhile."""
        loop = self.run.loop_below
        if loop is not None and monotonic() > self._turned + _TURN:
            run_nested(loop, asyncio.sleep(0), self.run.cancelling)
            self._turned = monotonic()
        try:
            first = True
            while not self._may_pass(frame, first=first):
                first = False
                self.waiting.add(frame)
                if loop is not None:
                    run_nested(loop, asyncio.sleep(SLICE), self.run.cancelling)
                else:
                    wait_in_slices(self._wait, SLICE)
        finally:
            self.waiting.discard(frame)
        self._pass(frame)

    def _wait(self, seconds: float) -> bool:
        with self._lock:
            return self._passed.wait(seconds)

    async def before_async(self, frame: Frame) -> None:
        """Suspend a walk on a loop here while the run is paused."""
        try:
            first = True
            while not self._may_pass(frame, first=first):
                first = False
                self.waiting.add(frame)
                loop = asyncio.get_running_loop()
                waiter: asyncio.Future[None] = loop.create_future()
                with self._lock:
                    self._waiters.append((loop, waiter))
                if not self.is_paused or self._permits or self.run.ending is not None:
                    self.wake()
                await waiter
        finally:
            self.waiting.discard(frame)
        self._pass(frame)

    def _may_pass(self, frame: Frame, *, first: bool) -> bool:
        """Raise when the run must end; return whether it may continue at once. Only the first look stops at a breakpoint."""
        if self._subscribers:
            self._subscribers.tell()
        if first:
            if self.has_breaks:
                self.stop_at(frame.node_id, frame)
            if self.outside is not None:
                self.outside.stop_at(frame)
        self._limits.check(frame)
        return (not self.paused or self.take_permit()) and (self.outside is None or self.outside.may_go())

    def _pass(self, frame: Frame) -> None:
        self._limits.count(frame)
        if self._subscribers:
            frame.note("node_started")

    def wake(self) -> None:
        """Make every waiting walk check again."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
            self._passed.notify_all()
        for loop, waiter in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_set, waiter)
        for controller in inner_controllers(self.run):
            controller.gate.wake()

    # breakpoints ----------------------------------------------------------------------------------------------------------
    @property
    def has_breaks(self) -> bool:
        """Whether there is any breakpoint."""
        return bool(self.breaks) or self.break_if is not None

    def stop_at(self, path: str, frame: Frame) -> None:
        """Pause before the node at `path` when it has a breakpoint, unless the run is paused or ends anyway."""
        if self.run.ending is None and not self.paused and self._breaks_at(path, frame):
            self.pause()
            self.broke = True

    def _breaks_at(self, path: str, frame: Frame) -> bool:
        if path in self.breaks or path.rsplit("/", 1)[-1] in self.breaks:
            return True
        return self.break_if is not None and bool(self.break_if(frame))

    # pause --------------------------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Stop walks before their next node."""
        if not self.paused:
            self.paused, self.broke, self.since = True, False, perf_counter_ns()
            self._clock.stop_run()
            for controller in inner_controllers(self.run):
                controller.gate.stop_clock()
            self.run.root.note("run_paused")

    def resume(self) -> None:
        """Let walks continue."""
        if self.paused:
            self.paused, self._permits = False, 0
            self.start_clock()
            for controller in inner_controllers(self.run):
                controller.gate.start_clock()
            self.run.root.note("run_resumed")
        self.wake()

    def allow_one(self) -> None:
        """Let one waiting walk pass."""
        with self._lock:
            self._permits += 1
        self.wake()

    def take_permit(self) -> bool:
        """Whether a single step was requested while the run is paused; consumes the request."""
        with self._lock:
            if self._permits:
                self._permits -= 1
                return True
            return False

    def stop_clock(self) -> None:
        """Count no time from now on: the run waits for a person."""
        self._clock.stop_run()

    def start_clock(self) -> None:
        """Count time again, unless the run still waits for a person."""
        if not self.is_paused and not self._questions.open:
            self._clock.start_run()


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
