"""The limits of a nested flow, counted below its frame; a limit that is reached ends that flow, not the run.

The limits of the outermost flow are the run's; see :mod:`pocketflex_nb.engine.control.controller`. A nested flow that spends its own
fails like a node: an error edge may be taken, and the run continues from there.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.errors import BudgetSpent, RunError, RunTimeout, StepLimit
from pocketflex_nb.engine.control.attempt_clock import AttemptClock

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.engine.records.frame import Frame

__all__ = ["FlowLimits", "counted", "has_limits", "is_timed", "timed"]

#: seconds between two looks at the clock while the run rests
_SLICE = 0.05


def has_limits(flow: Flow) -> bool:
    """Whether `flow` has limits of its own."""
    return bool(flow._pfx_max_steps or flow._pfx_timeout or flow._pfx_budget)


def is_timed(flow: Flow) -> bool:
    """Whether `flow` has a time limit: then it is walked on a loop, so that an awaited step can be cancelled."""
    return bool(flow._pfx_timeout or (flow._pfx_budget or {}).get("seconds"))


class FlowLimits:
    """The limits of one visit of a nested flow, and what of them is used."""

    def __init__(self, frame: Frame, flow: Flow) -> None:
        self.frame, self.flow = frame, flow
        self.steps, self.spent = 0, Counter[str]()
        self.budget: Mapping[str, float] = flow._pfx_budget or {}
        self.ending: RunError | None = None
        self.began: float | None = None  # seconds that the run had walked then, if the time is bounded

    @property
    def what(self) -> str:
        """For messages: ``flow 'research' of run 'night'``."""
        log = self.frame.lifecycle.log
        return f"flow {log.prefix(self.frame)!r} of run {self.frame.lifecycle.name!r}"

    def check(self) -> None:
        """Raise the error with which it must end, if there is one."""
        if self.ending is not None:
            raise self.ending

    def count(self) -> None:
        """Count one more step. Checks the time as well, because steps that never wait leave the loop no time to do it."""
        if self.began is not None and self.ending is None:
            self.ending = self.late()
        most, allowed = self.flow._pfx_max_steps, self.budget.get("steps")
        if self.ending is not None:
            pass
        elif most is not None and self.steps >= most:
            inside = self.frame.lifecycle.log.prefix(self.frame) + "/"
            visits = [(path, node.visits) for path, node in self.frame.lifecycle.state().nodes.items() if path.startswith(inside)]
            hot = sorted(visits, key=lambda pair: -pair[1])[:5]
            told = " -> ".join(f"{path} ({n}x)" for path, n in hot)
            self.ending = StepLimit(
                f"{self.what} made {self.steps} steps, as many as its max_steps allows; busiest: {told}; the store is kept", hot=hot
            )
        elif allowed and self.steps >= allowed:
            self.ending = self.overspent("steps", self.steps, allowed)
        self.check()
        self.steps += 1

    def spend(self, amounts: Mapping[str, Any]) -> None:
        """Count tokens and cost; a spent budget ends the flow before its next node."""
        for what in ("tokens", "cost"):
            if amounts.get(what):
                self.spent[what] += amounts[what]
                allowed = self.budget.get(what)
                if allowed and self.spent[what] >= allowed and self.ending is None:
                    self.ending = self.overspent(what, self.spent[what], allowed)

    def settle(self) -> None:
        """At the end of its walk, raise for a limit that was exceeded all the same, e.g. by a step that could not be cut off."""
        ending = self.ending or (self.late() if self.began is not None else None)
        if ending is None or (isinstance(ending, BudgetSpent) and self.spent.get(ending.what, ending.spent) <= ending.allowed):
            return
        self.ending = ending
        raise ending

    def overspent(self, what: str, spent: float, allowed: float) -> BudgetSpent:
        """The error for a spent budget."""
        return BudgetSpent(
            f"{self.what} has spent {spent:g} of {allowed:g} {what}; the store is kept; raise its budget={{{what!r}: ...}}",
            what=what, spent=spent, allowed=allowed,
        )

    @property
    def active(self) -> float:
        """Seconds since it began, without those in which the run was paused or asked."""
        return float(self.frame.lifecycle.ensure_controller().limits.active - (self.began or 0.0))

    def late(self) -> RunError | None:
        """The error for exceeding the time limit, if it is exceeded."""
        active, seconds, timeout = self.active, self.budget.get("seconds"), self.flow._pfx_timeout
        if timeout and active >= timeout:
            return RunTimeout(f"{self.what} took longer than {timeout:g} s; the store is kept; give it more with timeout=")
        if seconds and active >= seconds:
            return self.overspent("seconds", active, seconds)
        return None


@contextmanager
def counted(frame: Frame, flow: Flow) -> Iterator[FlowLimits]:
    """Count what runs below `frame` against the limits of `flow`."""
    limits = frame.lifecycle.ensure_controller().limits
    scope = FlowLimits(frame, flow)
    limits.scopes[frame] = scope
    frame.lifecycle.needs_check = True
    try:
        yield scope
        scope.settle()
    finally:
        del limits.scopes[frame]


@asynccontextmanager
async def timed(scope: FlowLimits) -> AsyncIterator[None]:
    """Cancel what runs inside when the time of `scope` is over. Time in which the run is paused or asks does not count."""
    loop, clock = asyncio.get_running_loop(), AttemptClock()
    scope.began = scope.frame.lifecycle.ensure_controller().limits.active
    limit = min(seconds for seconds in (scope.flow._pfx_timeout, scope.budget.get("seconds")) if seconds)

    def look() -> None:
        late = scope.late()
        if late is None:
            alarms.append(loop.call_later(max(limit - scope.active, _SLICE), look))
        else:
            scope.ending = late
            clock.end()

    alarms = deque([loop.call_later(limit, look)], maxlen=1)
    try:
        yield
    except BaseException as exc:
        if not clock.is_its(exc) or scope.ending is None:
            raise
        raise scope.ending from exc
    else:
        clock.is_its(None)
    finally:
        alarms[0].cancel()
