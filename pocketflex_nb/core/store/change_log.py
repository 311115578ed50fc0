"""The records of a store's changes: bounded, on pages, nine fields each.

An object of its own for each change would be one more for the garbage collector to visit, and half of what a write costs. A record is
identified by its position, the page and the index where it begins; what readers see is made from it when it is read
(:mod:`pocketflex_nb.core.store.changes`). A page is dropped as a whole, but stays alive while a run's log still refers to a change on
it; large values are removed from it then, so that the log keeps no memory alive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from pocketflex_nb.core.frozen.frozen_tree import Opaque
from pocketflex_nb.core.store.key_state import KeyState
from pocketflex_nb.core.store.writer import OFTEN, Writer

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = [
    "FIELDS",
    "FORGOTTEN",
    "HOP_START",
    "KEPT_BYTES",
    "KEY",
    "NEW",
    "OLD",
    "OP",
    "PAGE",
    "SIZE_DELTA",
    "STEP",
    "TIME",
    "VERSION",
    "WRITER",
    "ChangeLog",
    "Page",
    "Record",
    "RecordPos",
    "add_change",
    "changes_of",
    "net",
    "numbered",
    "places_in",
    "record_at",
]

#: offset of each field of a record, and their number. TIME is the wall clock in s as a float, or the monotonic one in ns as an int, or
#: None until the hop ends. SIZE_DELTA is minus the estimated bytes of the values; where a hop made one change, of a plain value, that field
#: holds the hop's start in the end (HOP_START, monotonic ns)
VERSION, KEY, OP, OLD, NEW, WRITER, STEP, TIME, SIZE_DELTA = range(9)
HOP_START = SIZE_DELTA
FIELDS = 9
#: records on a page
PAGE = 512
#: estimated bytes of old values that a store keeps at most, whatever the number of changes
KEPT_BYTES = 32 * 2**20
#: stands for a value that is no longer kept
FORGOTTEN = Opaque(object, "no longer kept")

#: records one behind the other, nine fields each
Page = list[object]
#: the position of a record: its page, and the index where it begins there
RecordPos = tuple[Page, int]


class Record(NamedTuple):
    """One record, read from its page.

    Attributes
    ----------
    version : int
        The store's version that the change made.
    key : hashable
        What was written.
    op : str
        ``"set"``, ``"delete"`` or ``"maybe"``.
    old, new : object
        Frozen values.
    writer : Writer
        Who wrote.
    step : int
        Number of the hop that wrote, from 1; 0 while it goes on, and outside of any run.
    time : float, int or None
        Wall clock in s, monotonic clock in ns, or None until the hop ends.
    size_delta : int
        Minus the estimated bytes of the values, or the start of the hop.
    """

    version: int
    key: object
    op: str
    old: object
    new: object
    writer: Writer
    step: int
    time: float | int | None
    size_delta: int


def record_at(pos: RecordPos) -> Record:
    """The record at a position."""
    page, at = pos
    return Record._make(page[at : at + FIELDS])


def places_in(changes: list[object]) -> Iterator[RecordPos]:
    """The positions, page and index in turn, in the flat list of a frame's changes."""
    fields = iter(changes)
    return cast("Iterator[RecordPos]", zip(fields, fields, strict=True))


def numbered(places: Iterator[RecordPos], step: int, end: int) -> None:
    """Set the hop number in the records of one node, and the time of the hop's end (monotonic, ns) in those that have none."""
    for page, at in places:
        page[at + STEP] = step
        if page[at + TIME] is None:
            page[at + TIME] = end


def net(changes: list[object]) -> list[object]:
    """The changes reduced to one per key, on a page of their own: the last, with the `old` of the first."""
    last: dict[object, list[object]] = {}
    for page, at in places_in(changes):
        record = page[at : at + FIELDS]
        first = last.pop(record[KEY], record)
        record[OLD] = first[OLD]
        last[record[KEY]] = record
    own = [field for record in last.values() for field in record]
    return [part for at in range(0, len(own), FIELDS) for part in (own, at)]


def add_change(frame: WalkFrame, page: Page, at: int) -> None:
    """Add a change to a frame's list. The first of a visit, mostly the only one, is kept in the frame itself: ``page`` and ``at``."""
    if frame.page is None:
        frame.page, frame.at = page, at
        return
    if frame.changes is None:
        frame.changes = [frame.page, frame.at]
    frame.changes += (page, at)
    if not len(frame.changes) & OFTEN:  # a node may write in a long loop
        last = places_in(frame.changes[-2_000:])
        if len({page[at + KEY] for page, at in last}) < 500:
            frame.changes = net(frame.changes)


def changes_of(frame: WalkFrame) -> list[object] | None:
    """Take the changes out of a frame: the page and index of each, in turn; None when there are none."""
    page, changes = frame.page, frame.changes
    if page is None:
        return None
    frame.page = frame.changes = None
    return [page, frame.at] if changes is None else changes


class ChangeLog:
    """The last changes of a store, one record per version, on pages.

    Attributes
    ----------
    limit : int
        Changes kept.
    page : list
        The last page, which new records are laid on.
    base, end : int
        The version of the first record of that page, and of the first that does not fit on it.
    fast_limit : int
        The version from which on writes must take the long way: `end`, or 0 while somebody does something compound.
    tombstones : dict
        For each deleted key that has not come back, the version that deleted it and who did, so that overwriting a deletion is seen.
    unresolved : list of Writer
        Those that still hold a frame; bounded.
    most_bytes : int
        Estimated bytes of old values kept.
    """

    __slots__ = (
        "_cut", "_first", "_heavy", "_pages", "base", "end", "fast_limit", "limit", "most_bytes", "page", "tombstones", "unresolved",
        "weight",
    )

    def __init__(self, limit: int) -> None:
        self.limit, self.most_bytes = limit, KEPT_BYTES
        self.page: Page = []
        self._pages = deque([self.page])
        self._first = self.base = 1  # versions of the first record of the first page, and of the last
        self.end = self.fast_limit = self.base + PAGE
        self.weight = self._cut = 0
        self._heavy: set[int] = set()  # first versions of the pages that hold a heavy record
        self.tombstones: dict[object, tuple[int, Writer]] = {}
        self.unresolved: list[Writer] = []

    def floor(self, version: int) -> int:
        """The newest version that was dropped, when the store is at `version`; later changes are kept."""
        return max(self._cut, version - self.limit, 0)

    def weigh(self, weight: int, version: int) -> None:
        """Count the bytes of the last record, and drop old values when there are too many."""
        if not weight:
            return
        self.weight += weight
        self._heavy.add((version - self._first) // PAGE * PAGE + self._first)
        while self.weight > self.most_bytes and self._cut < version - 1:
            self._cut = self.floor(version) + 1
            self._forget(*self.find(self._cut))

    def turn(self, states: Mapping[object, KeyState]) -> None:
        """Begin a page, and drop pages that are no longer needed. An interrupt anywhere in it leaves the log consistent."""
        floor, page = self.floor(self.end), list[object]()
        self._pages.append(page)
        self.page, self.base, self.end = page, self.end, self.end + PAGE
        while self._first + PAGE - 1 <= floor:
            self._retire(self._pages[0], states)
            del self._pages[0]
            self._first += PAGE

    def _retire(self, page: Page, states: Mapping[object, KeyState]) -> None:
        """Save what is still needed of a page that is dropped."""
        if self._first in self._heavy:
            self._heavy.discard(self._first)
            for at in range(0, len(page), FIELDS):
                self._forget(page, at)
        for key in set(page[KEY::FIELDS]):
            state = states.get(key)
            if state is not None and self._first <= state.version < self._first + PAGE:
                at = (state.version - self._first) * FIELDS
                state.kept = page[at : at + FIELDS]

    def _forget(self, page: Page, at: int) -> None:
        """Drop the values of a record that is heavy."""
        record = record_at((page, at))
        if record.size_delta < 0:
            self.weight += record.size_delta
            page[at + SIZE_DELTA] = 0
            page[at + OLD] = page[at + NEW] = FORGOTTEN
            if record.key in self.tombstones and self.tombstones[record.key][0] == record.version:
                del self.tombstones[record.key]

    def find(self, version: int) -> RecordPos:
        """The position of a version whose page is kept."""
        number, nth = divmod(version - self._first, PAGE)
        return self._pages[number], nth * FIELDS

    def last_of(self, state: KeyState) -> RecordPos:
        """The position of the record of a key's last write."""
        if state.version < self._first:
            assert state.kept is not None
            return state.kept, 0
        return self.find(state.version)

    def after(self, since: int, version: int) -> Iterator[RecordPos]:
        """The records newer than `since`, newest first, when the store is at `version`."""
        for number in range(version, max(since, self.floor(version)), -1):
            yield self.find(number)
