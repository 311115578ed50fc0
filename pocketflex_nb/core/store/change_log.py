"""Where do a store's changes lie? On pages, nine fields each, until somebody reads them.

An object of its own for each change would be one more for the garbage collector to visit, and half of what a write costs. A record is
named by its *place*, the page and where on it it begins; everything that a reader sees is made of it when it is read
(:mod:`pocketflex_nb.core.store.changes`). A page is let go of as a whole, but lives on while a run's log still lists a change on it; heavy values
are taken out of it then, so that the log keeps no memory alive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from pocketflex_nb.core.frozen.frozen_tree import Opaque

__all__ = [
    "BYTES", "FIELDS", "FORGOTTEN", "KEY", "MORE", "NEW", "OLD", "OP", "OUTSIDE", "PAGE", "STEP", "TIME", "UNMARKED", "UNRESOLVED",
    "VERSION", "WRITER", "Cell", "Ledger", "Place", "Writer", "add_change", "changes_of", "net", "numbered", "places_in", "writer_of",
]

#: where a field stands behind a record's beginning, and their number. TIME is the wall clock in s as a float, or the monotonic one in
#: ns as an int, or None while the hop goes on. MORE is minus the estimated bytes of the values, or when the hop began that wrote
VERSION, KEY, OP, OLD, NEW, WRITER, STEP, TIME, MORE = range(9)
FIELDS = 9
#: records on a page
PAGE = 512
#: estimated bytes of old values that a store keeps at most, whatever the number of changes
BYTES = 32 * 2**20
#: stands for a value that is no longer kept
FORGOTTEN = Opaque(object, "no longer kept")
#: writers whose frames a store may hold
UNRESOLVED = 256
#: a node's changes are looked at, to be shortened, when their list's length has none of these bits
_OFTEN = 2_047

#: a record: its page, and where on it it begins
Place = tuple[list[Any], int]


class Writer:
    """Who writes: one node in one walk. Holds the walk's frame only until its names were read."""

    __slots__ = ("frame", "line", "node", "path", "run")

    def __init__(self, frame: Any) -> None:
        self.frame: Any = frame
        self.node = None if frame is None else frame.node
        self.run = self.path = ""
        self.line: tuple[int, ...] = ()

    def resolve(self) -> Writer:
        """Read the names off the frame and let go of it.

        `line` is the `id`s of the frame and those it was entered from. An id is used again once its frame is gone, but only by
        a frame that began after whatever the old one wrote, so it cannot be mistaken in `is_related` as conflicts ask it.
        """
        frame = self.frame
        if frame is not None:
            self.run = str(getattr(frame.run, "name", "") or "")
            self.path = "" if self.node is None else str(frame.path(self.node))
            line = []
            above = frame
            while above is not None:
                line.append(id(above))
                above = above.parent
            self.line = tuple(line)
            self.frame = self.node = None
        return self

    def is_related(self, frame: Any) -> bool:
        """Whether `frame` is this writer's own, or one that it was entered from, or was entered from it."""
        line = self.resolve().line
        if id(frame) in line:
            return True
        mine = line[0] if line else 0
        while frame is not None:
            if id(frame) == mine:
                return True
            frame = frame.parent
        return False

    @property
    def name(self) -> str:
        """For messages: ``node 'search' of run 'night'``."""
        self.resolve()
        return f"node {self.path!r} of run {self.run!r}" if self.run or self.path else "code outside of any run"


#: whoever writes outside of a run
OUTSIDE = Writer(None)


def writer_of(frame: Any, unresolved: list[Writer]) -> Writer:
    """The writer that stands for the node in flight in `frame`, made once per walk and node."""
    if frame is None:
        return OUTSIDE
    writers = getattr(frame, "writers", None)
    if writers is None:
        writers = {}
        try:
            frame.writers = writers
        except AttributeError:  # a frame that has no place for it
            pass
    writer: Writer | None = writers.get(frame.node)
    if writer is None:
        writer = writers[frame.node] = Writer(frame)
        unresolved.append(writer)
        if len(unresolved) > UNRESOLVED:  # let the runs that came by be forgotten
            for known in unresolved:
                known.resolve()
            unresolved.clear()
    return writer


def places_in(changes: list[Any]) -> Iterator[Place]:
    """The places that stand in turn, page and beginning, in the flat list of a frame's changes."""
    fields = iter(changes)
    return zip(fields, fields, strict=True)


def numbered(places: Iterator[Place], step: int, end: int) -> None:
    """Tell the records of one node the number of its hop, and those that took no time when it ended, on the monotonic clock in ns."""
    for page, at in places:
        page[at + STEP] = step
        if page[at + TIME] is None:
            page[at + TIME] = end


def net(changes: list[Any]) -> list[Any]:
    """The changes with one for each key, on a page of their own: the last, with the `old` of the first."""
    last: dict[Any, list[Any]] = {}
    for page, at in places_in(changes):
        record = page[at : at + FIELDS]
        first = last.pop(record[KEY], record)
        record[OLD] = first[OLD]
        last[record[KEY]] = record
    own = [field for record in last.values() for field in record]
    return [part for at in range(0, len(own), FIELDS) for part in (own, at)]


def add_change(frame: Any, page: list[Any], at: int) -> None:
    """Have a frame list a change. The first of a visit, mostly the only one, stands in the frame itself: ``page`` and ``at``."""
    if frame.page is None:
        frame.page, frame.at = page, at
        return
    if frame.changes is None:
        frame.changes = [frame.page, frame.at]
    frame.changes += (page, at)
    if not len(frame.changes) & _OFTEN:  # a node may write in a long loop
        last = places_in(frame.changes[-2_000:])
        if len({page[at + KEY] for page, at in last}) < 500:
            frame.changes = net(frame.changes)


def changes_of(frame: Any) -> list[Any] | None:
    """Take the changes out of a frame: of each its page and where it begins there, in turn; None when there are none."""
    page, changes = frame.page, frame.changes
    if page is None:
        return None
    frame.page = frame.changes = None
    return [page, frame.at] if changes is None else changes


class Cell:
    """What a store knows of one key, made when the key is first read or written.

    Attributes
    ----------
    value : object
        The live value, as in the dict.
    frozen : object
        Its last frozen copy.
    plain : bool
        Whether the value can never change in place, or is not to be looked at.
    quick : bool
        Whether a write may take the short way: plain, of a key that is a `str`, neither transient nor deleted.
    mark : object
        The frame that has the key among those to look at again, None for code outside of any run, `UNMARKED` for nobody.
    version : int
        The store's version that the last write made.
    writer : Writer
        Who made it.
    kept : list or None
        The record of that write, once its page is gone.
    views : dict or None
        What nodes in flight were handed instead of the store's own object (:mod:`pocketflex_nb.core.store.working_copies`).
    """

    __slots__ = ("frozen", "kept", "key", "mark", "plain", "quick", "value", "version", "views", "writer")

    def __init__(self, key: Any, value: Any, frozen: Any, version: int, writer: Writer, kept: list[Any] | None = None) -> None:
        self.key, self.value, self.frozen, self.version, self.writer, self.kept = key, value, frozen, version, writer, kept
        self.plain = self.quick = False
        self.mark: Any = UNMARKED
        self.views: dict[Any, Any] | None = None

    def is_of(self, plain: bool, hidden: bool) -> None:
        """Note what kind of value it holds: one that never changes in place, one that is not to be looked at."""
        self.plain, self.quick = plain or hidden, plain and not hidden and self.key.__class__ is str


class _Unmarked:
    __slots__ = ()


UNMARKED = _Unmarked()


class Ledger:
    """The last changes of a store, one for each version, on pages.

    Attributes
    ----------
    limit : int
        Changes kept.
    page : list
        The last page, which new records are laid on.
    base, end : int
        The version of the first record of that page, and of the first that has no room on it.
    room : int
        The version from which on writes must take the long way: `end`, or 0 while somebody does something compound.
    gone : dict
        For each deleted key that has not come back, the version that deleted it and who did, so that overwriting a deletion is seen.
    unresolved : list of Writer
        Those that still hold a frame; bounded.
    """

    __slots__ = ("_cut", "_first", "_heavy", "_pages", "base", "end", "gone", "limit", "page", "room", "unresolved", "weight")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.page: list[Any] = []
        self._pages = deque([self.page])
        self._first = self.base = 1  # versions of the first record of the first page, and of the last
        self.end = self.room = self.base + PAGE
        self.weight = self._cut = 0
        self._heavy: set[int] = set()  # first versions of the pages that hold a heavy record
        self.gone: dict[Any, tuple[int, Writer]] = {}
        self.unresolved: list[Writer] = []

    def floor(self, version: int) -> int:
        """The newest version that was dropped, when the store is at `version`: what happened after it is known."""
        return max(self._cut, version - self.limit, 0)

    def weigh(self, weight: int, version: int) -> None:
        """Count the bytes of a record that was just laid down, the last one, and let go of old values when there are too many."""
        if not weight:
            return
        self.weight += weight
        self._heavy.add((version - self._first) // PAGE * PAGE + self._first)
        while self.weight > BYTES and self._cut < version - 1:
            self._cut = self.floor(version) + 1
            self._forget(*self.find(self._cut))

    def turn(self, cells: Mapping[Any, Cell]) -> None:
        """Begin a page, and let go of those of which nothing is to be kept. An interrupt anywhere in it leaves it whole."""
        floor, page = self.floor(self.end), list[Any]()
        self._pages.append(page)
        self.page, self.base, self.end = page, self.end, self.end + PAGE
        while self._first + PAGE - 1 <= floor:
            self._retire(self._pages[0], cells)
            del self._pages[0]
            self._first += PAGE

    def _retire(self, page: list[Any], cells: Mapping[Any, Cell]) -> None:
        """Take from a page that goes what is needed of it."""
        if self._first in self._heavy:
            self._heavy.discard(self._first)
            for at in range(0, len(page), FIELDS):
                self._forget(page, at)
        for key in set(page[KEY::FIELDS]):
            cell = cells.get(key)
            if cell is not None and self._first <= cell.version < self._first + PAGE:
                at = (cell.version - self._first) * FIELDS
                cell.kept = page[at : at + FIELDS]

    def _forget(self, page: list[Any], at: int) -> None:
        if page[at + MORE] < 0:
            self.weight += page[at + MORE]
            page[at + MORE] = 0
            page[at + OLD] = page[at + NEW] = FORGOTTEN
            version, key = page[at], page[at + KEY]
            if key in self.gone and self.gone[key][0] == version:
                del self.gone[key]

    def find(self, version: int) -> Place:
        """The place of a version whose page is kept."""
        number, nth = divmod(version - self._first, PAGE)
        return self._pages[number], nth * FIELDS

    def last_of(self, cell: Cell) -> Place:
        """The place of the record of a cell's last write."""
        if cell.version < self._first:
            assert cell.kept is not None
            return cell.kept, 0
        return self.find(cell.version)

    def after(self, since: int, version: int) -> Iterator[Place]:
        """The records newer than `since`, newest first, when the store is at `version`."""
        for number in range(version, max(since, self.floor(version)), -1):
            yield self.find(number)
