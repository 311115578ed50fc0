"""What does a view of these runs show now? Plain data for the page, made of state only; nothing here knows a widget.

Everything is bounded: long lines are cut, only the last of them are sent, and above `MANY` runs only sums are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pocketflex_nb.core.graph import Graph, ids_of
from pocketflex_nb.core.state import NodeState, State
from pocketflex_nb.engine.frame import Note
from pocketflex_nb.engine.log import rows
from pocketflex_nb.views.svg import caption_of

__all__ = ["CUT", "LANES", "MANY", "Picture", "graphs_of", "summed"]

#: up to so many runs have a lane each; up to `MANY` a row each; above that a cell each
LANES, MANY = 6, 60
#: characters of one line on the page
CUT = 400
_ORDER = ("failed", "asking", "paused", "running", "pending", "cancelled", "done")
_CODES = {status: status[0] for status in ("running", "done", "failed", "cancelled", "asking")} | {"paused": "w", "pending": "p"}


def summed(states: Sequence[State]) -> State:
    """Several runs of one flow as one: visits and arrows added, the most urgent status of each node."""
    if len(states) == 1:
        return states[0]
    total = State()
    urgency = {s: n for n, s in enumerate(("idle", "cached", "done", "cancelled", "waiting", "running", "failed", "asking"))}
    for state in states:
        for path, node in state.nodes.items():
            known = total.nodes.setdefault(path, NodeState())
            known.visits += node.visits
            known.active += node.active
            known.seconds += node.seconds
            known.error = known.error or node.error
            if urgency.get(node.status, 0) > urgency.get(known.status, 0):
                known.status = node.status
        for edge, times in state.edges.items():
            total.edges[edge] = total.edges.get(edge, 0) + times
    return total


class Picture:
    """What the page shows of some runs.

    Parameters
    ----------
    runs : list of Run
        In the order of their lanes; may grow.
    """

    def __init__(self, runs: list[Any]) -> None:
        self.runs = runs
        self.focus: int | None = None
        self._tallied: set[int] = set()
        self._visits: Counter[Any] = Counter()
        self._taken: Counter[tuple[Any, str]] = Counter()

    @property
    def is_many(self) -> bool:
        """Whether only sums are shown."""
        return len(self.runs) > MANY

    def chosen(self) -> list[Any]:
        """The runs that the diagram shows: the one in focus, or all."""
        if self.focus is not None and self.focus < len(self.runs):
            return [self.runs[self.focus]]
        return self.runs

    # the strip -------------------------------------------------------------------------------------------------------
    def strip(self, name: str) -> dict[str, Any]:
        """Counts, time and tokens."""
        counts = Counter(run.status for run in self.runs)
        status = next((s for s in ("asking", "running", "paused", "pending", "failed", "cancelled", "done") if counts[s]), "pending")
        begun = [run.started for run in self.runs if run.started]
        ended = max((run.finished for run in self.runs), default=0) if not self.is_live() else 0
        strip: dict[str, Any] = {
            "name": name, "status": status, "counts": {s: counts[s] for s in _ORDER if counts[s]}, "runs": len(self.runs),
            "seconds": round((ended - min(begun)) / 1e9, 2) if ended and begun else None,
            "since": min(begun) / 1e6 if begun else None,
        }
        if not self.is_many:
            states = [run.state() for run in self.runs]
            strip["steps"] = sum(s.steps for s in states)
            strip["tokens"] = sum(s.tokens for s in states)
            strip["cost"] = round(sum(s.cost for s in states), 4)
            strip["problems"] = [text[:CUT] for s in states for text in s.problems][:5]
            progress = [s for s in states if s.total]
            if progress:
                strip["progress"] = [sum(s.done or 0 for s in progress), sum(s.total or 0 for s in progress)]
        return strip

    def is_live(self) -> bool:
        """Whether any run goes on."""
        return not all(run.done() for run in self.runs)

    # the diagram -----------------------------------------------------------------------------------------------------
    def states(self, flow: Any) -> dict[str, list[Any]]:
        """Graph path to [status, visits, caption] for the runs of `flow`."""
        runs = [run for run in self.chosen() if run.flow is flow]
        if len(runs) > MANY:
            return self._crowd(flow, runs)
        state = summed([run.state() for run in runs]) if runs else State()
        return {path: [n.status, n.visits, self._caption(n, len(runs))] for path, n in state.nodes.items()}

    def edges(self, flow: Any) -> dict[str, int]:
        """``source|action`` to the number of times it was taken."""
        runs = [run for run in self.chosen() if run.flow is flow]
        if len(runs) > MANY:
            ids = ids_of(flow)
            return {f"{ids.get(node, '?')}|{action}": n for (node, action), n in self._taken.items() if node in ids}
        state = summed([run.state() for run in runs]) if runs else State()
        return {f"{source}|{action}": n for (source, action), n in state.edges.items()}

    def _caption(self, node: NodeState, runs: int) -> str:
        if runs == 1 or not node.visits:
            return f"{node.active} here" if node.active > 1 else caption_of(node.status, node.seconds)
        here = f"{node.active} here, " if node.active else ""
        return f"{here}{node.visits} done" if node.status != "failed" else f"{here}{node.visits} visits, failed"

    def _crowd(self, flow: Any, runs: list[Any]) -> dict[str, list[Any]]:
        """The same for thousands of runs, from their cursors and, once a run is over, its records: no event is made."""
        here: Counter[Any] = Counter()
        for run in runs:
            if run.done():
                if run.number not in self._tallied:
                    self._tally(run)
            elif run.root.node is not None:
                here[run.root.node] += 1
        told: dict[str, list[Any]] = {}
        for node, path in ids_of(flow).items():
            now, visits = here[node], self._visits[node]
            if now or visits:
                text = f"{now} here, {visits} done" if now else f"{visits} done"
                told[path] = ["running" if now else "done", 0, text]
        return told

    def _tally(self, run: Any) -> None:
        self._tallied.add(run.number)
        for frame, node, action, _, _ in rows(run.records):
            if frame is run.root and action.__class__ is not Note:
                self._visits[node] += 1
                if action is None or isinstance(action, str):
                    self._taken[node, action or "default"] += 1

    # the lanes -------------------------------------------------------------------------------------------------------
    def lanes(self, tail: int) -> list[dict[str, Any]]:
        """One per run: name, status, nodes in flight, the last lines, an open question, the error."""
        if self.is_many:
            return []
        return [self._lane(run, tail) for run in self.runs]

    def _lane(self, run: Any, tail: int) -> dict[str, Any]:
        state = run.state()
        lines = list(state.lines)[-tail:]
        lane: dict[str, Any] = {
            "name": run.name, "status": run.status, "at": run.in_flight()[:4] if not run.done() else [],
            "lines": [[stream, str(text)[-CUT:], node] for _, stream, text, node in lines],
            "steps": state.steps, "seconds": round(run.seconds, 2) if run.done() else None,
        }
        if state.asking:
            lane["asks"] = [
                {"ask": e["ask"], "question": str(e["question"])[:CUT], "choices": [str(c) for c in e["choices"] or ()][:20],
                 "schema": e.get("schema")} for e in state.asking.values()
            ]
        if run.error is not None and run.status == "failed":
            lane["error"] = state.error[:CUT]
        return lane

    def heat(self) -> str:
        """One letter per run, sorted by status; for more runs than rows."""
        if not self.is_many:
            return ""
        counts = Counter(run.status for run in self.runs)
        return ",".join(f"{_CODES[s]}{counts[s]}" for s in _ORDER if counts[s])

    # the timeline ----------------------------------------------------------------------------------------------------
    def spans(self, limit: int = 240) -> list[list[list[Any]]]:
        """Per run its last visits: [node, start ms, end ms, failed, row], counted from the first start; visits that overlap get rows."""
        begun = [run.started for run in self.runs if run.started]
        if self.is_many or not begun:
            return []
        zero = min(begun)
        per_run = max(limit // len(self.runs), 12)
        return [_stacked(sorted(list(run.state().spans)[-per_run:], key=lambda s: s.start), zero) for run in self.runs]


def _stacked(spans: list[Any], zero: int) -> list[list[Any]]:
    """Visits that overlap, one below the other: each in the first row that is free again."""
    free: list[int] = []
    told = []
    for s in spans:
        row = next((k for k, until in enumerate(free) if until <= s.start), None)
        if row is None:
            row = len(free)
            free.append(0)
        free[row] = s.end
        told.append([s.node, round((s.start - zero) / 1e6, 1), round((s.end - zero) / 1e6, 1), int(s.failed), row])
    return told


def graphs_of(runs: Sequence[Any]) -> list[tuple[Any, Graph]]:
    """The flows of these runs, each once, with their graphs."""
    flows: dict[int, Any] = {id(run.flow): run for run in runs}
    return [(run.flow, run.graph) for run in flows.values()]
