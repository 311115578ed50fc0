"""What of an inner run's log stands in the outer one? Blocks: one record each, which stands for many events.

A run that begins while a step of another is at work (`run`, `run_async`, `launch`) keeps a log of its own, so that its hop costs what any
hop costs. The outer log takes over what is new there when somebody reads it, or when the inner run ends
(:mod:`pocketflex_nb.engine.nested`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocketflex_nb.core.events import Event
from pocketflex_nb.engine.frame import Note

__all__ = ["NESTED", "Block", "inner_event"]

#: stands for the action where a record is a block of an inner run's events, which stands instead of the start
NESTED = Note("nested")
#: how the outer log calls what the inner one says of its whole run
_RENAMED = {
    "run_started": "child_started", "run_paused": "child_paused", "run_resumed": "child_resumed", "run_finished": "child_finished",
}


class Block:
    """Some events of an inner run, as one record of the outer one.

    Attributes
    ----------
    child : Run
        The inner run.
    key : int
        The inner run's number, kept when the run itself is let go.
    number : int
        How many events it stands for; 0 marks the place at which the inner run began.
    is_last : bool
        Whether the inner run is over with it.
    """

    __slots__ = ("_counts", "_events", "child", "is_last", "key", "number")

    def __init__(self, child: Any, number: int, events: list[Event] | None = None, counts: Any = None) -> None:
        self.child, self.key, self.number, self._events, self._counts = child, child.number, number, events, counts
        self.is_last = counts is not None or bool(events and events[-1].kind == "run_finished" and not events[-1].depth)

    def read(self) -> list[Event]:
        """The events as the inner log tells them, those that are kept."""
        if self._events is None and self._counts is not None and self.child is not None:
            events, _ = self.child.log.follow(self._counts.copy())
            return [event for event in events if event.seq < self._counts.seq + self.number]
        return self._events or []

    @property
    def first(self) -> int:
        """Number of its first event in the inner log."""
        if self._counts is not None:
            return int(self._counts.seq)
        return self._events[0].seq if self._events else 0

    def empty(self) -> None:
        """Let go of the events; how many they were stays known."""
        self._events, self._counts, self.child = [], None, None


def inner_event(
    event: Event, seq: int, first: int, base: int, address: str, path: str, asks: Mapping[tuple[int, int], int], child: Any
) -> Event:
    """An event of an inner run as the outer log tells it.

    `address` and `path` lead to the inner run; `asks` numbers its questions anew; number `first` there is number `base` here.
    """
    data, kind = event.data, event.kind
    if kind in ("asked", "answered"):
        data = {**data, "ask": asks.get((child.number, data["ask"]), data["ask"])}
    elif not event.depth:
        kind = _RENAMED.get(kind, kind)
    cause = None if event.cause is None or event.cause < first else event.cause - first + base
    inside = event.address[len(child.flow_id) :] if event.address else ""
    node = f"{path}/{event.node}" if event.node else path
    return Event(seq, event.ns, kind, event.run, address + inside, node, data, cause, event.time, event.depth + 1)
