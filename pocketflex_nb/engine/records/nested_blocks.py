"""The log of an inner run within the log of the outer one: blocks, each a single record for many events.

A run that begins while a step of another is running (`run`, `run_async`, `launch`) keeps a log of its own, so that its hop costs what
any hop costs. The outer log takes over what is new there when it is read, or when the inner run ends
(:mod:`pocketflex_nb.engine.runs.nested_runs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pocketflex_nb.core.events import Event
from pocketflex_nb.engine.records.record import Note

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle, Log
    from pocketflex_nb.engine.records.visit_counts import VisitCounts

__all__ = ["NESTED", "Block", "inner_event"]

#: stands for the action where a record is a block of an inner run's events, which stands instead of the start
NESTED = Note("nested")
#: how the outer log calls what the inner one says of its whole run
_RENAMED = {
    "run_started": "child_started", "run_paused": "child_paused", "run_resumed": "child_resumed", "run_finished": "child_finished",
}


class Block:
    """Some events of an inner run, as one record of the outer one.

    Parameters
    ----------
    child : Run
        The inner run. It is let go when the events are made or dropped; its number and flow stay known.
    number : int
        How many events it stands for; 0 marks the place at which the inner run began.
    first : int
        The number of the first of them in the inner log.
    events : list of Event, optional
        They, as the inner log tells them.
    counts : Counts, optional
        What stands before them in the log of an inner run that is over: then they are made when somebody reads them.
    """

    __slots__ = ("_events", "_source", "first", "flow_id", "is_last", "key", "number")

    def __init__(
        self, child: Lifecycle[Frame], number: int, first: int = 0, events: list[Event] | None = None, counts: VisitCounts | None = None
    ) -> None:
        self.key, self.flow_id, self.number, self.first = child.number, child.flow_id, number, first
        self._events: Sequence[Event] = events or ()
        self._source: tuple[Log[Frame], VisitCounts] | None = None if counts is None else (child.log, counts)
        self.is_last = counts is not None or bool(events and events[-1].kind == "run_finished" and not events[-1].depth)

    def read(self) -> Sequence[Event]:
        """The kept events, as the inner log gives them."""
        source = self._source
        if source is None:
            return self._events
        log, counts = source
        events, _ = log.follow(counts.copy())
        return [event for event in events if event.seq < self.first + self.number]

    def settle(self) -> None:
        """Make the events now, and release the inner run, whose store may be large."""
        self._events, self._source = self.read(), None

    def empty(self) -> None:
        """Drop the events; their number stays known."""
        self._events, self._source = (), None


def inner_event(event: Event, block: Block, base: int, address: str, path: str, asks: Mapping[tuple[int, int], int]) -> Event:
    """An event of `block` as the outer log gives it; the first of the block has the number `base` there.

    `address` and `path` lead to the inner run; `asks` numbers its questions anew.
    """
    data, kind = event.data, event.kind
    if kind in ("asked", "answered"):
        data = {**data, "ask": asks.get((block.key, data["ask"]), data["ask"])}
    elif not event.depth:
        kind = _RENAMED.get(kind, kind)
    cause = None if event.cause is None or event.cause < block.first else event.cause - block.first + base
    inside = event.address[len(block.flow_id) :] if event.address else ""
    node = f"{path}/{event.node}" if event.node else path
    seq = event.seq - block.first + base
    return Event(seq, event.ns, kind, event.run, address + inside, node, data, cause, event.time, event.depth + 1)
