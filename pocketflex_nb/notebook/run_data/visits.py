"""The visits of nodes: listed, found by an address, and what is kept of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.events import Event
from pocketflex_nb.engine.records.visit_values import VISITS, KeptValue, KeptVisit
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.notebook.run_data.active_visits import ActiveVisits
from pocketflex_nb.notebook.run_data.playback import Replay, ViewedRun, engine_side
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel

__all__ = ["Visit", "kept_visit", "part_of", "visit_at", "visits_of", "why_not"]

#: finished visits of a journalled run up to which its journal is read for a value that is kept no more
_JOURNALLED = 20_000
_NO_VALUES = {
    "replay": "A replay shows what was recorded: values stay with the run that it plays.",
    "plain": "The values of steps are kept for launched runs: flow.launch(...) or %%pocketflex keeps them.",
    "fast": f"Each visit takes so little that the values of the first {VISITS} are kept, and not of this one.",
    "old": f"The values of this visit are kept no more: of each node the latest {VISITS} are, within a bound for all runs.",
    "hidden": "The values of this step are not seen: a flow has none, and a node that overrides _run hides them.",
    "earlier": "This visit was taken over from the journal, which keeps what exec gave, not what prep did.",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of a node.

    Attributes
    ----------
    run : Run or Replay
        Whose visit.
    node : str
        Graph path.
    address : str
        Unique in the run.
    start : int
        Monotonic ns.
    end : Event or None
        What ended it; None while it goes on.
    """

    run: ViewedRun
    node: str
    address: str
    start: int
    end: Event | None

    def holds(self, address: str) -> bool:
        """Whether something at `address` is of this visit, of one of its items, or of a visit inside."""
        return address == self.address or address.startswith((f"{self.address}/", f"{self.address}["))


def visits_of(run: ViewedRun, node: str, time_travel: TimeTravel) -> list[Visit]:
    """The visits of `node` that are kept, oldest first, with the one that goes on."""
    events = time_travel.events_of(run).read()
    found = [_finished(run, event) for event in events if event.node == node and event.kind in ("node_finished", "node_failed")]
    found += [Visit(run, node, active.address, active.start, None) for active in ActiveVisits(run).current() if active.node == node]
    return sorted(found, key=lambda visit: visit.start)


def visit_at(run: ViewedRun, address: str, time_travel: TimeTravel) -> Visit | None:
    """The visit at `address`, or the one that what is at `address` is part of."""
    best: Visit | None = None
    for event in time_travel.events_of(run).read():
        if event.kind in ("node_finished", "node_failed") and address.startswith(event.address):
            visit = _finished(run, event)
            if visit.holds(address) and (best is None or len(visit.address) > len(best.address)):
                best = visit
    for active in ActiveVisits(run).current():
        visit = Visit(run, active.node, active.address, active.start, None)
        if visit.holds(address) and (best is None or len(visit.address) >= len(best.address)):
            best = visit
    return best


def _finished(run: ViewedRun, event: Event) -> Visit:
    return Visit(run, event.node, event.address, int(event.get("start", event.ns)), event)


# the values ------------------------------------------------------------------------------------------------------
def kept_visit(visit: Visit) -> KeptVisit | None:
    """What is kept of the values of a visit."""
    side = engine_side(visit.run)
    if isinstance(side, Replay) or side.values is None:
        return None
    if visit.end is not None:
        return side.values.of(visit.node, visit.start)
    for frame in side.frames():
        if frame.node is not None and frame.kept is not None and frame.kept.node is frame.node and side.log.address(frame) == visit.address:
            return frame.kept if side.status != "paused" or frame.kept.began >= visit.start else None
    return None


def part_of(visit: Visit, part: str) -> tuple[object, str, KeptValue | None]:
    """A value of a visit, how it stands (see `KeptValue.read`; ``"none"``: there is none), and what keeps it."""
    kept = kept_visit(visit)
    value = None if kept is None else kept.prep if part == "prep" else kept.result
    if value is not None:
        found, how = value.read()
        if how != "gone" or part != "exec":
            return found, how, value
    if part == "exec":
        is_found, recorded = _recorded(visit)
        if is_found:
            return recorded, "", None
    return ("", "none", None) if value is None else (*value.read(), value)


def _recorded(visit: Visit) -> tuple[bool, object]:
    """What the journal has of `exec`, for a value that is not kept here."""
    run = visit.run
    if not isinstance(run, Run) or (kept_at := lifecycle_of(run).kept_at) is None or visit.end is None:
        return False, None
    is_found, value = False, None
    if (recording := lifecycle_of(run).recording) is not None:
        is_found, value = recording.result(visit.address)
    if is_found or run.hops > _JOURNALLED or ports.journal is None:
        return is_found, value
    history: Any = ports.journal.left(*kept_at)
    row = history.results.get(visit.address)
    return (False, None) if row is None else (True, row.value("e"))


def why_not(visit: Visit) -> str:
    """Why what `prep` gave is not there; ``""`` where there is no more to say."""
    side = engine_side(visit.run)
    if isinstance(side, Replay):
        return _NO_VALUES["replay"]
    if side.values is None:
        return _NO_VALUES["plain" if side.kept_at is None else "earlier"]
    kept = kept_visit(visit)
    if kept is not None:
        return "" if visit.end is None or kept.error is not None else _NO_VALUES["earlier"]
    if side.values.is_over(visit.node):
        return _NO_VALUES["fast"]
    is_known = any(one.frame.path(one.node) == visit.node for one in side.values)
    return _NO_VALUES["old"] if is_known else _NO_VALUES["hidden"]
