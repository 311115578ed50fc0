"""The limits of one run: steps, time, and a budget of tokens and cost; a limit that is reached ends the run before its next node.

The limits of nested flows are counted in :mod:`pocketflex_nb.engine.control.flow_limits`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from time import perf_counter_ns as now
from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import BudgetSpent, RunCancelled, RunError, RunTimeout, StepLimit
from pocketflex_nb.engine.control.attempt_clock import LATE, unwatch, watch
from pocketflex_nb.engine.control.flow_limits import FlowLimits
from pocketflex_nb.engine.control.outer_run import Outside
from pocketflex_nb.engine.records.frame import Frame

__all__ = ["IdleClock", "RunLimits"]

#: seconds between two looks at the clock while the run rests
_SLICE = 0.05


class IdleClock:
    """Measures the time in which a run waits for a person, paused or asking: it counts for no limit.

    Attributes
    ----------
    since : int
        When the present wait began, in nanoseconds; 0 while there is none.
    """

    __slots__ = ("_idle", "since")

    def __init__(self) -> None:
        self.since = self._idle = 0

    def stop_run(self) -> None:
        """The run waits from now on."""
        if not self.since:
            self.since = now()

    def start_run(self) -> None:
        """The run continues."""
        if self.since:
            self._idle += now() - self.since
            self.since = 0

    @property
    def idle(self) -> int:
        """Nanoseconds waited so far."""
        return self._idle + (now() - self.since if self.since else 0)


class RunLimits:
    """What one run may use, and what it has used.

    Attributes
    ----------
    spent : Counter
        Tokens and cost so far, those of runs inside included.
    scopes : dict
        The limits of flows inside the run's, by the frame they count below.
    """

    def __init__(self, run: Any, clock: IdleClock, outside: Outside | None, lock: threading.RLock) -> None:
        self.run, self.outside, self._idle_clock, self._lock = run, outside, clock, lock
        self.spent: Counter[str] = Counter()
        self.scopes: dict[Frame, FlowLimits] = {}
        self._steps = 0
        self._max_steps: int | None = None
        self._timeout: float | None = None
        self._budget: dict[str, float] = {}
        self._timed = self._is_told = False
        self._alarm: asyncio.TimerHandle | None = None

    def limit(self, max_steps: int | None, timeout: float | None, budget: Mapping[str, float] | None) -> None:
        """Set the limits and start the clock. A budget's steps and seconds count as those limits, with an error of their own."""
        self._max_steps, self._timeout, self._budget = max_steps, timeout, dict(budget or {})
        self.run.alert()
        self._timed = bool(timeout or self._budget.get("seconds"))
        if self._timed:
            if self.outside is not None and self.outside.is_paused:
                self._idle_clock.stop_run()
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
        return float(now() - self.run.started - self._idle_clock.idle) / 1e9

    @property
    def _seconds(self) -> float:
        """The tighter of the limits of time."""
        return min(seconds for seconds in (self._timeout, self._budget.get("seconds")) if seconds)

    # time --------------------------------------------------------------------------------------------------------------
    def _arm(self) -> None:
        engine_thread.call_soon(self._set_alarm, max(self._seconds - self.active, 0.001))

    def _set_alarm(self, seconds: float) -> None:
        if not self.run.done():
            self._alarm = engine_thread.loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        if self.run.done():
            return
        late = self._overtime()
        if late is None:
            self._arm() if not self._idle_clock.since else self._set_alarm(_SLICE)
        else:
            self.run.end(late)

    def _overtime(self) -> RunError | None:
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
        if self._is_told or self._idle_clock.since or self.run.done():
            return
        seconds = self._seconds
        if self.active >= seconds + LATE:
            self._is_told = True
            where = ", ".join(self.run.in_flight()) or "it"
            self.run.root.note(
                "overdue", limit=seconds,
                text=f"{where}: goes on past the run's limit of {seconds:g} s; it blocks, or swallows its cancellation",
            )

    def over(self) -> None:
        """The run has ended."""
        unwatch(self)
        if self._alarm is not None:  # else a run with an hour to go would be kept for an hour
            engine_thread.call_soon(self._alarm.cancel)

    # steps and budget --------------------------------------------------------------------------------------------------
    def check(self, frame: Frame | None) -> None:
        """Raise the error with which the walk of `frame` must end, if there is one; called between two items of a batch."""
        if self.run.ending is not None:
            raise self.run.ending
        for scope in self.around(frame) if self.scopes else ():
            scope.check()
        if self.outside is not None:
            self.outside.check()

    def around(self, frame: Frame | None) -> Iterator[FlowLimits]:
        """The limits of nested flows around `frame`, the innermost first."""
        while frame is not None:
            if frame in self.scopes:
                yield self.scopes[frame]
            frame = frame.parent

    def _overspent(self, what: str, spent: float, allowed: float) -> BudgetSpent:
        return BudgetSpent(
            f"run {self.run.name!r} has spent {spent:g} of {allowed:g} {what}; the store is kept; raise budget={{{what!r}: ...}}",
            what=what, spent=spent, allowed=allowed,
        )

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
                    self.run.alert()
        if self.outside is not None:
            self.outside.spend(amounts)

    def count(self, frame: Frame | None) -> None:
        """Count one more step, here and in outer runs; raise when it exceeds a limit."""
        self._count_step()
        if self.run.ending is not None:
            raise self.run.ending
        for scope in self.around(frame) if self.scopes else ():
            scope.count()
        if self.outside is not None:
            self.outside.count()

    def _count_step(self) -> None:
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
