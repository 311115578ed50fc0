"""What was written, when, and by whom? The small records behind a store's history, and the ring that keeps them.

A write makes one *record*, a list of nine (see the names below); everything that a reader sees is made of it when it is read.
When the ring drops a heavy record its values are taken out of it, so that a run's log which still lists the change keeps no
memory alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pocketflex_nb.core.frozen import Opaque

__all__ = [
    "BYTES", "FORGOTTEN", "KEY", "NEW", "OLD", "OP", "OUTSIDE", "SMALLEST", "STEP", "TIME", "UNMARKED", "UNRESOLVED", "VERSION", "WEIGHT",
    "WRITER", "Cell", "Change", "Changes", "Ledger", "Writer", "Written", "change_of", "net", "numbered", "shorten", "writer_of",
    "written_of",
]

#: places in a record
VERSION, KEY, OP, OLD, NEW, WRITER, STEP, TIME, WEIGHT = range(9)
#: estimated bytes of old values that a store keeps at most, whatever the number of changes
BYTES = 32 * 2**20
#: stands for a value that the ring dropped
FORGOTTEN = Opaque(object, "no longer kept")
#: places that a ring begins with
SMALLEST = 64
#: writers whose frames a store may hold
UNRESOLVED = 256


class Writer:
    """Who writes: one node in one walk. Holds the walk's frame only until its names were read."""

    __slots__ = ("_live", "frame", "line", "node", "path", "run")

    def __init__(self, frame: Any) -> None:
        self.frame: Any = frame
        self.node = None if frame is None else frame.node
        self.run = self.path = ""
        self.line: tuple[int, ...] = ()
        self._live: Any = None

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
            self._live = weakref.ref(frame.run)
            self.frame = self.node = None
        return self

    def count(self) -> None:
        """Have the run number the changes that it has recorded: it does so when its hops are counted."""
        run = self._live() if self._live is not None else self.frame.run if self.frame is not None else None
        if run is not None:
            _ = run.hops

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


@dataclass(frozen=True, slots=True)
class Written:
    """Who wrote a key last.

    Attributes
    ----------
    version : int
        The store's version that this write made; 0 for what the store began with.
    run, node : str
        Name of the run and graph path of the node; ``""`` for code outside of any run.
    step : int
        Number of the hop that wrote, from 1; 0 outside of any run, and while that hop is not finished.
    time : float
        Wall clock, seconds since the epoch (UTC).
    """

    version: int
    run: str
    node: str
    step: int
    time: float


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one key.

    Attributes
    ----------
    key : hashable
    version : int
        The store's version that it made.
    op : str
        ``"set"``, ``"delete"``, or ``"maybe"``: a value too large to compare was read, and may have been changed in place.
    old, new : object
        Frozen values (`thaw` gives plain ones); `MISSING` where there was or is none.
    run, node : str
        Who wrote; ``""`` outside of any run.
    step : int
        Number of the hop that wrote, from 1; 0 outside of any run.
    time : float
        Wall clock, seconds since the epoch (UTC).
    """

    key: Any
    version: int
    op: str
    old: Any
    new: Any
    run: str = ""
    node: str = ""
    step: int = 0
    time: float = 0.0


def change_of(record: list[Any]) -> Change:
    """A record as people read it."""
    if not record[STEP]:
        record[WRITER].count()
    writer = record[WRITER].resolve()
    return Change(
        record[KEY], record[VERSION], record[OP], record[OLD], record[NEW], writer.run, writer.path, record[STEP], record[TIME]
    )


def written_of(record: list[Any]) -> Written:
    """Who made a record."""
    if not record[STEP]:
        record[WRITER].count()
    writer = record[WRITER].resolve()
    return Written(record[VERSION], writer.run, writer.path, record[STEP], record[TIME])


def numbered(records: list[list[Any]], step: int) -> None:
    """Tell the records of one node the number of its hop."""
    for record in records:
        record[STEP] = step


def net(records: list[list[Any]]) -> list[list[Any]]:
    """The records with one for each key: its last, with the `old` of its first."""
    last: dict[Any, list[Any]] = {}
    for record in records:
        first = last.pop(record[KEY], record)
        last[record[KEY]] = [*record[:OLD], first[OLD], *record[NEW:]]
    return list(last.values())


def shorten(frame: Any) -> None:
    """Keep what a node has changed so far bounded, though it writes in a long loop."""
    changes = frame.changes
    if changes is not None and len(changes) > 1_000 and len({record[KEY] for record in changes[-1_000:]}) < 500:
        frame.changes = net(changes)


class Changes(Sequence[dict[str, Any]]):
    """The changes that one node made, as dicts of key, version, op, old and new; made when they are read."""

    __slots__ = ("_records",)

    def __init__(self, records: list[list[Any]]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [_as_dict(record) for record in self._records[index]]
        return _as_dict(self._records[index])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(_as_dict, self._records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Changes, list)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # holds frozen values, which have none

    def __repr__(self) -> str:
        return repr(list(self))


def _as_dict(record: list[Any]) -> dict[str, Any]:
    return {"key": record[KEY], "version": record[VERSION], "op": record[OP], "old": record[OLD], "new": record[NEW]}


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
        Whether a write may take the short way: plain, neither transient nor deleted.
    mark : object
        The frame that has the key among those to look at again, None for code outside of any run, `UNMARKED` for nobody.
    record : list
        Of the last write.
    """

    __slots__ = ("frozen", "key", "mark", "plain", "quick", "record", "value")

    def __init__(self, key: Any, value: Any, frozen: Any, plain: bool, quick: bool, record: list[Any]) -> None:
        self.key, self.value, self.frozen, self.plain, self.quick, self.record = key, value, frozen, plain, quick, record
        self.mark: Any = UNMARKED


class _Unmarked:
    __slots__ = ()


UNMARKED = _Unmarked()


class Ledger:
    """The last changes of a store, in a ring that grows up to its limit.

    Attributes
    ----------
    ring : list
        The record of version v stands at ``v % size``; None where there is none.
    size : int
        Places in the ring.
    is_full : bool
        Whether the ring has its final size, so that a new record may take the place of a light one without more ado.
    gone : dict
        The records that deleted a key which has not come back, so that overwriting a deletion is seen.
    unresolved : list of Writer
        Those that still hold a frame; bounded.
    """

    __slots__ = ("_cut", "gone", "is_full", "limit", "ring", "size", "unresolved", "weight")

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, min(limit, SMALLEST)
        self.ring: list[list[Any] | None] = [None] * self.size
        self.is_full = self.size == limit
        self.weight = self._cut = 0
        self.gone: dict[Any, list[Any]] = {}
        self.unresolved: list[Writer] = []

    def floor(self, version: int) -> int:
        """The newest version that was dropped, when the store is at `version`: what happened after it is known."""
        return max(self._cut, version - self.size, 0)

    def put(self, record: list[Any]) -> None:
        """Keep a record, and drop what is beyond the bounds. Called under the store's lock."""
        version = record[VERSION]
        if version >= self.size and not self.is_full:
            self._grow(version)
        at = version % self.size
        if self.ring[at] is not None:
            self._drop(at)
        self.ring[at] = record
        self.weight += record[WEIGHT]
        while self.weight > BYTES and self._cut < version - 1:
            self._cut = self.floor(version) + 1
            self._drop(self._cut % self.size)

    def _grow(self, version: int) -> None:
        kept = [self.ring[v % self.size] for v in range(version - self.size, version)]
        self.size = min(2 * self.size, self.limit)
        self.is_full = self.size == self.limit
        self.ring = [None] * self.size
        for record in kept:
            if record is not None:
                self.ring[record[VERSION] % self.size] = record

    def _drop(self, at: int) -> None:
        record = self.ring[at]
        if record is None:
            return
        self.ring[at] = None
        self.weight -= record[WEIGHT]
        record[OLD] = record[NEW] = FORGOTTEN
        if self.gone.get(record[KEY]) is record:
            del self.gone[record[KEY]]

    def after(self, since: int, version: int) -> Iterator[list[Any]]:
        """The records newer than `since`, newest first, when the store is at `version`."""
        for number in range(version, max(since, self.floor(version)), -1):
            record = self.ring[number % self.size]
            if record is not None:
                yield record
