"""The visits in progress and their start times, which a timeline draws before a visit has left its record."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns

from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle
from pocketflex_nb.notebook.run_data.playback import Replay, ViewedRun, engine_side

__all__ = ["ActiveVisit", "ActiveVisits"]


@dataclass(frozen=True, slots=True)
class ActiveVisit:
    """A visit in progress; `start` is in monotonic ns."""

    node: str
    start: int
    address: str


class ActiveVisits:
    """The visits in progress of one run, from update to update.

    Parameters
    ----------
    run : Run or Replay
        Whose visits.

    Notes
    -----
    A walk leaves a record when a hop ends; when one begins it leaves nothing, so that a hop stays cheap. A visit begins where the
    visit before it in the same walk ended, one where branches join where the last of them ended, and the first of a walk where the
    node ended that forked, or where the flow around it began. One that waited, for a pause or for its turn, begins later: not before
    the last look that did not see it.
    """

    def __init__(self, run: ViewedRun) -> None:
        self.run = run
        self._starts: dict[str, int] = {}
        self._looked = 0

    def current(self) -> list[ActiveVisit]:
        """The visits in progress now, the oldest first; a walk that waits before its node has not begun it."""
        now, run = perf_counter_ns(), self.run
        if run.done():
            self._starts = {}
            return []
        side = engine_side(run)
        seen = _told(side) if isinstance(side, Replay) else _walking(side)
        starts = _Starts(run) if any(address not in self._starts for address, _, start in seen if start is None) else None
        found = []
        for address, node, start in seen:
            if start is None:
                start = self._starts.get(address)
            if start is None and starts is not None:
                start = max(starts.of(address), self._looked)
            found.append(ActiveVisit(node, start or now, address))
        self._starts, self._looked = {visit.address: visit.start for visit in found}, now
        return sorted(found, key=lambda visit: visit.start)


def _walking(life: RunLifecycle) -> list[tuple[str, str, int | None]]:
    """Address, graph path and nothing for each node that a walk of the run is at."""
    waiting = life.controller.gate.waiting if life.controller is not None else ()
    frames = [frame for frame in life.frames() if frame.node is not None and not frame.step and frame not in waiting]
    return [(life.log.address(frame), frame.node_id, None) for frame in frames if frame.node is not None]


def _told(replay: Replay) -> list[tuple[str, str, int | None]]:
    """The same of a replay, whose events tell each start."""
    begun: dict[str, tuple[str, int]] = {}
    for event in replay.records:
        if event.kind == "node_started":
            begun[event.address] = event.node, event.ns
        elif event.kind in ("node_finished", "node_failed"):
            begun.pop(event.address, None)
    return [(address, node, start) for address, (node, start) in begun.items()]


class _Starts:
    """When visits began at the earliest, from the visits that are over."""

    def __init__(self, run: ViewedRun) -> None:
        self.began: int = engine_side(run).started
        self.over: dict[str, int] = {}  # address of a visit: when it ended
        self.last: dict[str, int] = {}  # address of a walk: when its last visit ended
        for span in list(run.state().spans):
            self.over[span.address] = span.end
            for walk in _walks_of(span.address):
                self.last[walk] = max(self.last.get(walk, 0), span.end)

    def of(self, address: str) -> int:
        """The earliest start of the open visit at `address`."""
        walk = address.rpartition("/")[0]
        if walk in self.last:
            return self.last[walk]
        outer = walk.rpartition("[")[0] if walk.endswith("]") else walk
        if outer.endswith("}"):  # a branch: the visit that forked is over
            return self.over.get(outer.rpartition("{")[0], self.began)
        return self.of(outer) if "/" in outer else self.began


def _walks_of(address: str) -> list[str]:
    """The walk of a visit, and those that wait for it since it is in one of their branches."""
    found = [address.rpartition("/")[0]]
    while "{" in address:
        address = address.rpartition("{")[0]
        found.append(address.rpartition("/")[0])
    return found
