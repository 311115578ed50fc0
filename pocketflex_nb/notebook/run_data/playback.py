"""Playback of a finished run: its events are replayed at their original pace; no step runs again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter_ns as now

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.state import State
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle

__all__ = ["Replay", "ViewedRun", "engine_side"]


class Replay:
    """The playback of a finished run; views use it like a live run.

    Parameters
    ----------
    run : Run
        What is watched again.
    speed : float
        How many times as fast.
    first : int
        So many finished steps are told at once, the rest in their time.

    Notes
    -----
    Events are told when somebody looks: nothing runs, and nothing is called. `pause`, `resume`, `step` and `cancel` steer the
    telling.
    """

    def __init__(self, run: Run, *, speed: float = 1.0, first: int = 0) -> None:
        self.flow, self.graph, self.store, self.stores, self.number = run.flow, run.graph, run.store, run.stores, run.number
        self.name = self.base = f"{run.name} again"
        self.root, self.parent = lifecycle_of(run).root, None
        self.launched, self.speed = False, speed
        self.trace_lines: Callable[[], list[str]] | None = getattr(lifecycle_of(run), "trace_lines", None)
        self._end_error, self.trace = run.error, lifecycle_of(run).trace
        self.started = now()
        self._events = _told(run.events, self.started, speed, first)
        self._at = 0
        self._state = State()
        self._behind = 0  # ns that pauses have taken
        self._held = 0
        self._stopped = 0

    def __repr__(self) -> str:
        return f"<Replay of {self.name.removesuffix(' again')!r}>"

    # what views read --------------------------------------------------------------------------------------------------
    @property
    def _lifecycle(self) -> Replay:
        """What views read of a run's engine side, `lifecycle_of`: a replay has both sides."""
        return self

    @property
    def records(self) -> list[Event]:
        """The events replayed so far."""
        self._advance()
        return self._events[: self._at]

    events = records

    @property
    def status(self) -> str:
        """The status at that moment; paused while the playback is."""
        self._advance()
        if self._stopped:
            return "cancelled"
        return "paused" if self._held else self._state.status if self._at == len(self._events) else "running"

    @property
    def error(self) -> BaseException | None:
        """The run's error, once its end was replayed."""
        return self._end_error if self.done() and not self._stopped else None

    @property
    def finished(self) -> int:
        """When the last event was replayed, 0 before."""
        return self._stopped or (self._events[-1].ns + self._behind if self.done() and self._events else 0)

    @property
    def hops(self) -> int:
        """Finished steps so far."""
        return self.state().steps

    @property
    def seconds(self) -> float:
        """The duration of the playback so far."""
        return ((self.finished or now()) - self.started) / 1e9

    def state(self) -> State:
        """The state at that moment."""
        self._advance()
        return self._state

    def in_flight(self) -> list[str]:
        """The nodes that were being visited."""
        return [path for path, node in self.state().nodes.items() if node.status == "running"]

    def done(self) -> bool:
        """Whether all events were replayed."""
        self._advance()
        return bool(self._stopped) or self._at == len(self._events)

    def _advance(self) -> None:
        if self._stopped:
            return
        clock = (self._held or now()) - self._behind
        while self._at < len(self._events) and self._events[self._at].ns <= clock:
            self._one()

    def _one(self) -> None:
        self._state.add(self._events[self._at])
        self._at += 1

    # steering ---------------------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Pause the playback."""
        self._advance()
        self._held = self._held or now()

    def resume(self) -> None:
        """Continue the playback."""
        if self._held:
            self._behind += now() - self._held
            self._held = 0

    def step(self) -> None:
        """Replay one more finished step, and pause."""
        self.pause()
        steps = self._state.steps
        while self._at < len(self._events) and self._state.steps == steps:
            self._one()
        if self._at < len(self._events):  # the clock goes on from here
            self._behind = self._held - self._events[self._at - 1].ns

    def cancel(self) -> bool:
        """Stop the playback."""
        if self.done():
            return False
        self._stopped = now()
        return True

    def add_done_callback(self, fn: Callable[[Replay], object]) -> None:
        """Does nothing: views check for the end themselves."""

    def wait(self, timeout: float | None = None) -> Replay:
        """Nothing to wait for."""
        return self


#: what views show: a run, or the playback of one
ViewedRun = Run | Replay


def engine_side(run: ViewedRun) -> RunLifecycle | Replay:
    """What views read of the engine's side of a run; a replay has both sides."""
    return run._lifecycle


def _told(events: list[Event], start: int, speed: float, first: int) -> list[Event]:
    """The events with the starts of nodes, in order, at the times at which they are replayed."""
    if not events:
        return []
    known = {event.address for event in events if event.kind == "node_started"}
    begun = [
        replace(event, kind="node_started", ns=int(event.get("start", event.ns)), data={})
        for event in events if event.kind in ("node_finished", "node_failed") and event.address not in known
    ]
    ordered = sorted([*begun, *events], key=lambda event: event.ns)
    zero = _zero(ordered, first)

    def then(ns: int) -> int:
        return start + int(max(ns - zero, 0) / speed)

    return [replace(e, ns=then(e.ns), data={**e.data, "start": then(e.data["start"])} if "start" in e.data else e.data) for e in ordered]


def _zero(events: list[Event], first: int) -> int:
    """The moment from which on events keep their own pace; earlier ones are replayed at once."""
    ends = [event.ns for event in events if event.kind in ("node_finished", "node_failed")]
    return ends[first - 1] if first else events[0].ns
