"""What was written, when, and by whom? The small records behind a store's history, and the ring that keeps them.

A write makes one *record*, a list of nine (see the names below); everything that a reader sees is made of it when it is read.
When the ring drops a record its values are taken out of it, so that a run's log which still lists the change keeps no memory
alive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pocketflex_nb.core.frozen import Opaque

__all__ = [
    "BYTES", "FORGOTTEN", "KEY", "NEW", "OLD", "OP", "OUTSIDE", "STEP", "TIME", "UNMARKED", "UNRESOLVED", "VERSION", "WEIGHT",
    "WRITER", "Cell", "Change", "Changes", "Ledger", "Writer", "Written", "change_of", "net", "writer_of", "written_of",
]

#: places in a record
VERSION, KEY, OP, OLD, NEW, WRITER, STEP, TIME, WEIGHT = range(9)
#: estimated bytes of old values that a store keeps at most, whatever the number of changes
BYTES = 32 * 2**20
#: stands for a value that the ring dropped
FORGOTTEN = Opaque(object, "no longer kept")
#: writers whose frames a store may hold
UNRESOLVED = 256


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
    writer = record[WRITER].resolve()
    return Change(
        record[KEY], record[VERSION], record[OP], record[OLD], record[NEW], writer.run, writer.path, record[STEP], record[TIME]
    )


def written_of(record: list[Any]) -> Written:
    """Who made a record."""
    writer = record[WRITER].resolve()
    return Written(record[VERSION], writer.run, writer.path, record[STEP], record[TIME])


def net(records: list[list[Any]]) -> list[list[Any]]:
    """The records with one for each key: its last, with the `old` of its first."""
    last: dict[Any, list[Any]] = {}
    for record in records:
        first = last.pop(record[KEY], record)
        last[record[KEY]] = [*record[:OLD], first[OLD], *record[NEW:]]
    return list(last.values())


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
    """The last changes of a store, by version, oldest first.

    Attributes
    ----------
    records : dict of int to list
        Insertion order is the order of versions. Writes put their record in directly.
    floor : int
        Version of the newest record that was dropped: what happened after it is known.
    gone : dict
        The records that deleted a key which has not come back, so that overwriting a deletion is seen.
    unresolved : list of Writer
        Those that still hold a frame; bounded.
    """

    __slots__ = ("floor", "gone", "limit", "records", "unresolved", "weight")

    def __init__(self, limit: int) -> None:
        self.limit, self.floor, self.weight = limit, 0, 0
        self.records: dict[int, list[Any]] = {}
        self.gone: dict[Any, list[Any]] = {}
        self.unresolved: list[Writer] = []

    def trim(self) -> None:
        """Drop what is beyond the bounds of number and size. Called by the store now and then, under its lock."""
        surplus = len(self.records) - self.limit
        if surplus > 0:
            self._drop(surplus)
        while self.weight > BYTES and len(self.records) > 1:
            self._drop(max(1, len(self.records) // 16))

    def _drop(self, count: int) -> None:
        records = self.records
        for version in list(islice(records, count)):
            record = records.pop(version)
            self.weight -= record[WEIGHT]
            self.floor = version
            record[OLD] = record[NEW] = FORGOTTEN
            if self.gone.get(record[KEY]) is record:
                del self.gone[record[KEY]]

    def after(self, version: int) -> Iterator[list[Any]]:
        """The records newer than `version`, newest first."""
        for record in reversed(list(self.records.values())):
            if record[VERSION] <= version:
                return
            yield record
