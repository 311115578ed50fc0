"""Time travel: the events up to a chosen moment folded into the state that views show at their time cursor."""

from __future__ import annotations

from bisect import bisect_right

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.state import State
from pocketflex_nb.engine.records.visit_counts import VisitCounts
from pocketflex_nb.notebook.run_data.playback import Replay, ViewedRun, engine_side

__all__ = ["RunEvents", "TimeTravel"]


class RunEvents:
    """The events of one run, read incrementally, and the state at one moment of them.

    Parameters
    ----------
    run : Run
        Whose log it reads; each record is made into an event once.
    """

    def __init__(self, run: ViewedRun) -> None:
        self.run = run
        self.events: list[Event] = []
        self._times: list[int] = []
        self._counts = VisitCounts()
        self._state, self._place = State(), 0
        self._ends: list[int] = []
        self._ended = 0  # events looked at for the ends of steps

    def read(self) -> list[Event]:
        """All events so far."""
        side = engine_side(self.run)
        if isinstance(side, Replay):
            new = side.records[len(self.events) :]
        else:
            new, self._counts = side.log.follow(self._counts)
        is_late = bool(new and self._times) and min(event.ns for event in new) < self._times[-1]
        self.events += new
        self._times += [event.ns for event in new]
        if is_late or any(event.depth for event in new):  # what an inner run did is taken over when somebody looks
            self.events.sort(key=lambda event: event.ns)
            self._times.sort()
            self._state, self._place = State(), 0
            self._ends, self._ended = [], 0
        return self.events

    def ends(self) -> list[int]:
        """When each step of the run itself ended, monotonic ns."""
        events = self.read()
        self._ends += [e.ns for e in events[self._ended :] if not e.depth and e.kind in ("node_finished", "node_failed")]
        self._ended = len(events)
        return self._ends

    def until(self, ns: int | None) -> list[Event]:
        """The events up to a moment (monotonic ns), or all."""
        events = self.read()
        return events if ns is None else events[: bisect_right(self._times, ns)]

    def state(self, ns: int) -> State:
        """The state at a moment; going forward folds only the events in between."""
        self.read()
        place = bisect_right(self._times, ns)
        if place < self._place:
            self._state, self._place = State(), 0
        for node in self._state.nodes.values():
            node.active = 0
        for event in self.events[self._place : place]:
            self._state.add(event)
        self._place = place
        self._mark(ns, place)
        return self._state

    def _mark(self, ns: int, place: int) -> None:
        """Mark the visits that had begun by then and ended later."""
        asking = {event.node for event in self._state.asking.values()}
        for event in self.events[place:]:
            if event.get("start", ns) < ns and event.node:
                node = self._state.node(event.node)
                node.active += 1
                node.status = "asking" if event.node in asking else "running"


class TimeTravel:
    """The past events of the runs of one view."""

    def __init__(self) -> None:
        self._by_run: dict[int, RunEvents] = {}

    def events_of(self, run: ViewedRun) -> RunEvents:
        """The events of `run`."""
        found = self._by_run.get(run.number)
        if found is None:
            found = self._by_run[run.number] = RunEvents(run)
        return found
