"""`Change` and `Changes`: a store's records as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import gmtime, strftime
from time import time as wall_clock
from typing import Any, TypedDict, overload

from pocketflex_nb.core.events import EPOCH
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.store.change_log import TIME, RecordPos, record_at
from pocketflex_nb.core.value_text import value_text

__all__ = ["Change", "ChangeDict", "Changes", "Written", "change_of", "time_of", "written_of"]


@dataclass(frozen=True, slots=True)
class Written:
    """The writer, time and version of a key's last write.

    Attributes
    ----------
    version : int
        The store's version that this write made; 0 for what the store began with.
    run, node : str
        Name of the run and graph path of the node; ``""`` for code outside of any run.
    step : int
        Number of the hop that wrote, from 1; 0 outside of any run, and while that hop is not finished.
    time : float
        Wall clock, seconds since the epoch (UTC): of the write, or, in a plain `run`, of the end of the hop that wrote.
    """

    version: int
    run: str
    node: str
    step: int
    time: float

    def __repr__(self) -> str:
        return f"<Written version {self.version} {_by(self.run, self.node, self.step)}{_at(self.time)}>"


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
        Wall clock, seconds since the epoch (UTC): of the write, or, in a plain `run`, of the end of the hop that wrote.
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

    def __repr__(self) -> str:
        key = value_text(self.key, 40)
        old, new = (value_text(side, 60) for side in (self.old, self.new))
        what = f"was {old}" if self.op == "delete" else new if self.old is MISSING else f"{old} -> {new}"
        op = "" if self.op == "set" else f"{'deleted' if self.op == 'delete' else 'maybe changed'}: "
        return f"<Change {key} version {self.version}: {op}{what}, {_by(self.run, self.node, self.step)}{_at(self.time)}>"


def _by(run: str, node: str, step: int) -> str:
    who = "/".join(filter(None, (run, node))) or "code outside of runs"
    return f"by {who}{f' step {step}' if step else ''}"


def _at(time: float) -> str:
    return strftime(", %H:%M:%S UTC", gmtime(time)) if time else ""


def change_of(place: RecordPos) -> Change:
    """A record as people read it."""
    record = record_at(place)
    writer = record.writer.resolve()
    return Change(record.key, record.version, record.op, record.old, record.new, writer.run, writer.path, record.step, time_of(place))


def time_of(place: RecordPos) -> float:
    """The wall-clock time of a record. Where writes take no time of their own, it is that of their hop's end."""
    page, at = place
    time = record_at(place).time
    if time is None:
        time = page[at + TIME] = wall_clock()
    return time if isinstance(time, float) else float((time + EPOCH) / 1e9)


def written_of(place: RecordPos) -> Written:
    """The writer of a record."""
    change = change_of(place)
    return Written(change.version, change.run, change.node, change.step, change.time)


class ChangeDict(TypedDict):
    """One change, as the event ``store_changed`` lists it."""

    key: Any
    version: int
    op: str
    old: Any
    new: Any


class Changes(Sequence[ChangeDict]):
    """The changes that one node made, as dicts of key, version, op, old and new; made when they are read."""

    __slots__ = ("_places",)

    def __init__(self, places: Iterable[RecordPos]) -> None:
        self._places = list(places)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> ChangeDict: ...
    @overload
    def __getitem__(self, index: slice) -> list[ChangeDict]: ...
    def __getitem__(self, index: int | slice) -> ChangeDict | list[ChangeDict]:
        if isinstance(index, slice):
            return [_as_dict(place) for place in self._places[index]]
        return _as_dict(self._places[index])

    def __iter__(self) -> Iterator[ChangeDict]:
        return map(_as_dict, self._places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Changes, list)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # holds frozen values, which have none

    def __repr__(self) -> str:
        return repr(list(self))


def _as_dict(place: RecordPos) -> ChangeDict:
    version, key, op, old, new, *_ = record_at(place)
    return {"key": key, "version": version, "op": op, "old": old, "new": new}
