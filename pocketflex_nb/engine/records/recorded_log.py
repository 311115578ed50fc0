"""`RecordedLog`: the log of a run that is read from a journal; to others it is the `RunLog` of a run that is over."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from threading import RLock
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.frozen.frozen_tree import MISSING
from pocketflex_nb.core.store.change_log import FORGOTTEN
from pocketflex_nb.core.store.changes import Changes
from pocketflex_nb.core.store.recorded_changes import lay_change, recorded_store, recorded_writer
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.store.writer import Writer
from pocketflex_nb.engine.records.recorded_events import Pair, RecordedEvents, branch_counts, path_at, recorded_action
from pocketflex_nb.engine.records.visit_counts import VisitCounts

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import RecordedSums, ReopenedRun
    from pocketflex_nb.core.state import State

__all__ = ["RecordedLog"]

#: finished nodes from which on the state is made of sums and the last ones, and how many those are: as many visits as a state keeps
_LONG, _TAIL = 5_000, 2_000


class RecordedLog:
    """The log of a recorded run.

    Parameters
    ----------
    recorded : ReopenedRun
        What the journal has of it.

    Attributes
    ----------
    records : list
        Empty: there are no cursors whose records these would be.
    """

    def __init__(self, recorded: ReopenedRun) -> None:
        self.recorded = recorded
        self.records: list[Any] = []
        self._lock = RLock()
        self._state: State | None = None
        self._events: list[Event] | None = None
        self._stores = _RecordedStores(recorded)

    @property
    def flow_id(self) -> str:
        """The first part of its addresses."""
        return str(self.recorded.header.get("flow", ""))

    @property
    def _base(self) -> str:
        return str(self.recorded.header.get("base", self.recorded.name))

    def _reader(self, stores: Any, **options: Any) -> RecordedEvents:
        header = self.recorded.header
        return RecordedEvents(self.recorded.name, self.flow_id, self.recorded.begun, stores, told=bool(header.get("told")), **options)

    def events(self) -> list[Event]:
        """All its events, which are read once, with the stores."""
        with self._lock:
            if self._events is None:
                reader = self._reader(self._stores)
                with _few_collections():
                    self._events = _ordered([reader.start(self._base), *reader.of(self.recorded.history.rows)], 0)
                self._state = None  # what was told of it before told no old values
            return self._events

    def events_from(self, seq: int) -> list[Event]:
        """Its events from number `seq` on."""
        return self.events()[max(seq, 0) :]

    def follow(self, counts: VisitCounts) -> tuple[list[Event], VisitCounts]:
        """The events that a reader with these `counts` has not seen, and the counts after them."""
        events = self.events()
        new = events[counts.seq :]
        counts.seq = len(events)
        return list(new), counts

    def size(self) -> int:
        """How many events there are."""
        return len(self.events())

    def stores(self) -> dict[str, Store]:
        """Its store under ``""``, and the private stores of its flows by address."""
        self.events()
        return self._stores.stores

    def state(self) -> State:
        """The state at its end. Of a long run it is made of sums and the last visits; of all its events where these cannot be had."""
        with self._lock:
            if self._state is None:
                self._state = self._summed() if self.is_long else None
            if self._state is None:
                from pocketflex_nb.core.state import replay

                self._state = _settled(replay(self.events()))
            return self._state

    @cached_property
    def is_long(self) -> bool:
        """Whether it is read in two steps."""
        return self.recorded.hops() > _LONG

    def _summed(self) -> State | None:
        from pocketflex_nb.core.state import State

        first, rows = self.recorded.tail(_TAIL)
        sums = self.recorded.sums(first)
        if sums is None:
            return None
        state, unlaid, before = State(), _Unlaid(), 1 + int(sum(one.events for one in sums))
        state.add(self._reader(unlaid).start(self._base))
        for one in sums:
            _add(state, one)
        hops = state.steps
        for event in self._reader(unlaid, hops=hops).of(self.recorded.lasting(first)):
            if event.kind in _LASTING:
                state.add(event)
        if self._events is None:
            last = self._reader(unlaid, seq=before, hops=hops, last=_time_before(rows))
            events = _ordered(list(last.of(rows)), before)
        else:
            events = self._events[before:]
        for event in events:
            state.add(event)
        return _settled(state)


def _add(state: State, sums: RecordedSums) -> None:
    """Add visits that were summed."""
    state.tokens += sums.tokens
    state.cost += sums.cost
    if sums.kind not in ("hop", "failed", "attempt"):
        return
    path, number = path_at(f"{sums.place}1"), int(sums.number)
    node = state.node(path)
    if sums.kind == "attempt":
        node.retries += number
        return
    state.steps += number
    node.visits, node.seconds, node.status = node.visits + number, node.seconds + sums.seconds, "done"
    if sums.kind == "failed":
        node.status, node.failures = "failed", node.failures + number
        _take(state, path, {"!error": 1}, number)
    else:
        named = recorded_action(_parsed(sums.action))
        node.action = str(named or "default")
        _take(state, path, branch_counts(named) or {node.action: 1}, number)


_LASTING = frozenset({"abandoned", "conflict", "node_failed", "overdue", "pool_full", "summary", "unknown_action"})


@contextmanager
def _few_collections() -> Iterator[None]:
    """While hundreds of thousands of objects are made that all stay, looking for garbage among them takes longer than making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _ordered(events: list[Event], first: int) -> list[Event]:
    """The events by the time when they happened: branches side by side are recorded in the order in which they were written down."""
    if all(one.ns <= two.ns for one, two in pairwise(events)):
        return events
    events.sort(key=lambda event: event.ns)
    return [event if event.seq == seq else replace(event, seq=seq) for seq, event in enumerate(events, first)]


def _settled(state: State) -> State:
    """A state in which nothing goes on: its process is gone."""
    for node in state.nodes.values():
        if node.status in ("running", "asking", "waiting"):
            node.status = "cancelled" if state.finished else "waiting"  # for somebody to resume it
        node.active = 0
    if not state.finished:
        state.status = "unfinished"
    return state


def _time_before(rows: Sequence[Any]) -> float:
    return float(next((row.data["t"] for row in rows if "t" in row.data and row.what in ("hop", "failed")), 0.0))


def _parsed(action: object) -> object:
    """An action as SQLite's JSON gives it: lists are texts there."""
    if isinstance(action, str) and action.startswith("["):
        import json

        try:
            return json.loads(action)
        except ValueError:
            return action
    return action


def _take(state: State, path: str, named: dict[str, int], times: int) -> None:
    for action, number in named.items():
        state.edges[path, action] = state.edges.get((path, action), 0) + number * times


class _Unlaid:
    """Changes as they were recorded, whose earlier values were not read."""

    def begin(self, scope: str, pairs: list[Pair]) -> None:
        """A store begins: of no interest."""

    def lay(self, scope: str, pairs: list[Pair], node: str, step: int, time: float) -> Sequence[Any]:
        """The changes, without what was there before."""
        return [
            {"key": key, "version": 0, "op": "set" if is_there else "delete", "old": FORGOTTEN, "new": value if is_there else MISSING}
            for key, is_there, value in pairs
        ]


class _RecordedStores:
    """The stores of a recorded run, with their whole past."""

    def __init__(self, recorded: ReopenedRun) -> None:
        self._recorded = recorded
        self._writers: dict[str, Writer] = {}

    @cached_property
    def stores(self) -> dict[str, Store]:
        """By address, the run's own under ``""``."""
        history = self._recorded.history
        self._most = 4 * len(history.rows) + 1_000
        return {"": recorded_store(history.content(hops=0), self._most, self._recorded.begun)}

    def begin(self, scope: str, pairs: list[Pair]) -> None:
        """A store of its own begins, or what an attempt left of one."""
        content = {key: value for key, is_there, value in pairs if is_there}
        known = self.stores.get(scope)
        if known is None:
            self.stores[scope] = recorded_store(content, self._most, self._recorded.begun)
            return
        gone = [(key, False, None) for key in known if key not in content]
        self.lay(scope, [*gone, *((key, True, value) for key, value in content.items())], "", 0, self._recorded.begun)

    def lay(self, scope: str, pairs: list[Pair], node: str, step: int, time: float) -> Changes:
        """Write the changes of one step."""
        store = self.stores.get(scope)
        if store is None:
            store = self.stores[scope] = recorded_store({}, self._most, self._recorded.begun)
        writer = self._writers.get(node)
        if writer is None:
            writer = self._writers[node] = recorded_writer(self._recorded.name, node)
        return Changes(lay_change(store, key, value if is_there else MISSING, writer, step, time) for key, is_there, value in pairs)
