"""Nested changes by parallel nodes of one key of a shared store: each works on its own copy, merged when it is sent.

It works as for a store of this process (:mod:`pocketflex_nb.core.store.working_copies`); here the common base is the text that the
backend keeps.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.store.key_state import UNTRACKED, Tracking
from pocketflex_nb.core.store.working_copies import READS, SECONDS, owner_of
from pocketflex_nb.resources.stores.replica import ReplicaEntry

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["ReadMark", "Twin", "read_marks_of", "twins_of"]


class ReadMark:
    """One visit of a node to a store: the version that it saw first. Registered with what the node touched, until its end."""

    __slots__ = ("is_over", "plain", "since", "tracked_by")
    copies = None

    def __init__(self, since: int) -> None:
        self.since, self.is_over, self.plain = since, False, False
        self.tracked_by: WalkFrame | Tracking | None = UNTRACKED


class Twin(ReplicaEntry):
    """A separate entry for one node, beside the one that others work on."""

    __slots__ = ("reads", "since")

    def __init__(self, entry: ReplicaEntry) -> None:
        super().__init__(entry.key)
        self.reads, self.since = 0, monotonic()
        self.holds(decode(entry.text, unloaded="keep"), entry.text, entry.version, entry.who, entry.writer)

    def is_waiting(self) -> bool:
        """Whether its node reads it again and again, as one that waits for another node does."""
        self.reads += 1
        return self.reads >= READS and monotonic() - self.since >= SECONDS


def read_marks_of(frame: WalkFrame) -> dict[int, ReadMark]:
    """The read marks of a node in flight, by the `id` of the store."""
    marks: dict[int, ReadMark] = frame.__dict__.setdefault("read_marks", {})
    return marks


def twins_of(frame: WalkFrame) -> dict[tuple[int, object], Twin]:
    """The twins that a node was handed, by the `id` of the store and the key."""
    twins: dict[tuple[int, object], Twin] = owner_of(frame).__dict__.setdefault("twins", {})
    return twins
