"""The records of a journal as events: what a run's own log tells, told again from what was kept of it.

Each record becomes a fixed number of events, so that the last ones can be told, with their numbers, before the others were read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from pocketflex_nb.core.events import EPOCH, Event
from pocketflex_nb.core.flow.declared_actions import pair_of
from pocketflex_nb.core.flow.node_ids import action_text
from pocketflex_nb.engine.records.frame import Several

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import JournalRow

__all__ = ["Laying", "Pair", "RecordedEvents", "branch_counts", "ns_of", "path_at", "recorded_action"]

#: visit and item of a part of an address; the part before a branch names the node that forked, which is none around it
_MARKS = re.compile(r"#\d+(?:\[\d+\])?$")
_BRANCH = re.compile(r"\}(?:\[\d+\])?$")
_VISIT = re.compile(r"#(\d+)(?:\[\d+\])?$")
_PREPARED = " prep"
#: where the results of a visit were taken from, if it made none
_TAKEN = ("cached", "taped")

#: of a change: the key, whether it is there, its value
Pair = tuple[Any, bool, Any]


class Laying(Protocol):
    """Where the changes of recorded steps go."""

    def begin(self, scope: str, pairs: list[Pair], /) -> None:
        """The store at `scope` begins anew with these."""
        ...

    def lay(self, scope: str, pairs: list[Pair], node: str, step: int, time: float, /) -> Sequence[Any]:
        """The node at a path changed the store at `scope`, as hop `step`, at a time (wall clock, s): the changes as events list them."""
        ...


def path_at(address: str) -> str:
    """The graph path of the node at an address.

    Examples
    --------
    >>> path_at("report/research#2/search#1[3]")
    'research/search'
    >>> path_at("report/plan#1{search}/rank#1")
    'rank'
    """
    return _path_of(address.removesuffix(_PREPARED).rstrip("0123456789"))


@lru_cache(4_096)
def _path_of(place: str) -> str:
    """The same of an address without the number of its last visit, which a loop has many of."""
    parts = f"{place}1".split("/")[1:] if place.endswith("#") else place.split("/")[1:]
    return "/".join(_MARKS.sub("", part) for part in parts if not _BRANCH.search(part))


def ns_of(time: float) -> int:
    """Wall clock, in seconds since the epoch, as the monotonic clock of this process would have shown it, in ns."""
    return int(time * 1e9) - EPOCH


def recorded_action(found: object) -> Any:
    """An action as `post` returned it, from the record: a text, None, or a list of them with their params."""
    return [_entry(one) for one in found] if isinstance(found, list) else found


def _entry(found: Any) -> object:
    return tuple(found["v"]) if isinstance(found, dict) and isinstance(found.get("v"), list) else found


def branch_counts(action: object) -> dict[str, int] | None:
    """How often a list of actions names each; None for a single one."""
    if not isinstance(action, (list, tuple)):
        return None
    pairs = [pair_of(one) for one in action]
    return dict(Counter(action_text(pair[0] or "default") for pair in pairs if pair is not None))


class RecordedEvents:
    """Makes events of records.

    Parameters
    ----------
    name, flow : str
        The run's name, and the id of its flow: the first part of its addresses.
    begun : float
        When it was launched, in seconds since the epoch.
    stores : Laying
        Takes the changes of each step.
    told : bool
        Whether the records of what steps told say what was spent, too; in older journals the records of nodes do.
    seq, hops : int
        How many events and finished nodes lie before the first record.
    """

    def __init__(
        self, name: str, flow: str, begun: float, stores: Laying, *, told: bool = True, seq: int = 1, hops: int = 0, last: float = 0.0,
    ) -> None:
        self.name, self.flow, self.begun, self._stores, self.seq, self.hops = name, flow, begun, stores, seq, hops
        self._sums = not told
        self._last = last  # seconds since the launch of what was recorded last

    def start(self, name: str) -> Event:
        """The first event; `name` is the run's before it was numbered."""
        return self._event("run_started", 0.0, self.flow, "", {"flow": self.flow, "name": name, "parent": None}, seq=0)

    def of(self, rows: Iterable[JournalRow]) -> Iterator[Event]:
        """The events of records, in order."""
        rows = list(rows)
        ends = [number for number, row in enumerate(rows) if row.what == "end"]
        resumed = max((number for number, row in enumerate(rows) if row.what == "resumed"), default=-1)
        last = ends[-1] if ends and ends[-1] > resumed else -1
        for number, row in enumerate(rows):
            if row.what == "end" and number != last:
                yield from self._ended_before(row)
            else:
                yield from _EVENTS[row.what](self, row)

    def _event(self, kind: str, at: float, address: str, node: str, data: Mapping[str, Any], *, seq: int | None = None) -> Event:
        if seq is None:
            seq, self.seq = self.seq, self.seq + 1
        time = self.begun + at
        return Event(seq, ns_of(time), kind, self.name, address, node, data, None, time)

    def _at(self, data: Mapping[str, Any]) -> float:
        """When a record was made, in seconds since the launch; of one that does not say, when the one before was, and what it took."""
        self._last = float(data["t"]) if "t" in data else self._last + float(data.get("s", 0.0))
        return self._last

    def _changes(self, row: JournalRow, at: float, node: str, hop: int) -> Iterator[Event]:
        for scope, pairs in row.changes():
            data: dict[str, Any] = {"changes": self._stores.lay(scope, pairs, node, hop, self.begun + at)}
            if scope:
                data["store"] = scope
            yield self._event("store_changed", at, row.address.removesuffix(_PREPARED), node, data)

    def _used(self, row: JournalRow, at: float, node: str) -> Iterator[Event]:
        if self._sums and "u" in row.data:
            tokens, cost = row.data["u"]
            yield self._event("usage", at, row.address, node, {"tokens": tokens, "cost": cost})

    def _hop(self, row: JournalRow) -> Iterator[Event]:
        self.hops += 1
        found, node = row.data, path_at(row.address)
        at, seconds, visit = self._at(found), float(found.get("s", 0.0)), _VISIT.search(row.address)
        yield from self._changes(row, at, node, self.hops)
        yield from self._used(row, at, node)
        data: dict[str, Any] = {
            "start": ns_of(self.begun + at - seconds), "seconds": seconds, "visit": int(visit[1]) if visit is not None else 1,
        }
        if "error" in found:
            yield self._event("node_failed", at, row.address, node, data | {"error": found["error"], "handled": True, "status": "failed"})
            return
        data |= {name: True for name in _TAKEN if found.get(name)}
        action = recorded_action(found.get("a"))
        branches = branch_counts(action)
        data["action"] = action or "default" if branches is None else str(Several(branches, None))
        if branches is not None:
            data["branches"] = branches
        yield self._event("node_finished", at, row.address, node, data)

    def _result(self, row: JournalRow) -> Iterator[Event]:
        at, node = self._at(row.data), path_at(row.address)
        yield from self._changes(row, at, node, self.hops + 1)
        yield from self._used(row, at, node)

    def _attempt(self, row: JournalRow) -> Iterator[Event]:
        data = {"attempt": row.data["n"], "error": row.data.get("error")}
        yield self._event("node_retried", self._at(row.data), row.address, path_at(row.address), data)

    def _content(self, row: JournalRow) -> Iterator[Event]:
        if row.data.get("all"):
            for scope, pairs in row.changes():
                self._stores.begin(scope, pairs)
            return
        yield from self._changes(row, self._last, "", 0)

    def _resumed(self, row: JournalRow) -> Iterator[Event]:
        self._last = max(self._last, float(row.data.get("t", 0.0)) - self.begun)
        yield self._event("run_resumed", self._last, self.flow, "", {"by": "another process", "changed": row.data.get("changed")})

    def _ended(self, row: JournalRow) -> Iterator[Event]:
        at = self._end_of(row)
        yield from self._changes(row, at, "", self.hops + 1)
        data = {"status": row.data["status"], "action": recorded_action(row.data.get("a")), "error": row.data.get("error")}
        yield self._event("run_finished", at, self.flow, "", data)

    def _ended_before(self, row: JournalRow) -> Iterator[Event]:
        """An end behind which another process went on."""
        at = self._end_of(row)
        yield from self._changes(row, at, "", self.hops + 1)
        text = f"{row.data['status']}{': ' + str(row.data['error']) if row.data.get('error') else ''}; it went on later"
        yield self._event("output", at, self.flow, "", {"stream": "log", "text": text})

    def _end_of(self, row: JournalRow) -> float:
        self._last = max(self._last, float(row.data.get("t", 0.0)) - self.begun)
        return self._last

    def _noted(self, row: JournalRow) -> Iterator[Event]:
        for kind, address, is_node, when, facts in row.notes():
            facts.pop("place", None)
            if kind == "node_failed":
                facts["start"] = ns_of(self.begun + when - facts["seconds"])
                visit = _VISIT.search(address)
                facts["visit"] = int(visit[1]) if visit is not None else 1
            yield self._event(kind, when, address, path_at(address) if is_node else "", facts)


_EVENTS: dict[str, Callable[[RecordedEvents, JournalRow], Iterator[Event]]] = {
    "hop": RecordedEvents._hop, "failed": RecordedEvents._hop, "result": RecordedEvents._result, "item": RecordedEvents._result,
    "attempt": RecordedEvents._attempt, "content": RecordedEvents._content, "resumed": RecordedEvents._resumed,
    "end": RecordedEvents._ended, "noted": RecordedEvents._noted, "sums": lambda self, row: iter(()),
}
