"""Reads of a shared store: those of a dict, each of which first asks the backend for changes; and the past, as far as it is kept."""

from __future__ import annotations

import itertools
import threading
import time
import warnings
import weakref
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.errors import DecodingError
from pocketflex_nb.core.frozen.diff import Difference
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.frozen.persistent_map import Snapshot
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.store.watch import StoreListener
from pocketflex_nb.core.store.working_copies import holds, is_related, owner_of
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.resources.stores.backends.backend import StoreBackend
from pocketflex_nb.resources.stores.conflict_rule import ConflictRule
from pocketflex_nb.resources.stores.nested_merge import ReadMark, Twin, read_marks_of, twins_of
from pocketflex_nb.resources.stores.provenance import SharedWritten
from pocketflex_nb.resources.stores.replica import PastChange, Replica, ReplicaEntry
from pocketflex_nb.resources.stores.replication import NOTHING, Applied, Replication

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame
    from pocketflex_nb.core.store.changes import Change

__all__ = ["REPLICA_ONLY", "ReplicatedReads"]

#: set while reads answer from the replica alone
REPLICA_ONLY: ContextVar[bool] = ContextVar("pocketflex_nb_replica_only", default=False)
_frame, _agent = CURRENT_FRAME.get, CURRENT_AGENT.get


class ReplicatedReads(Store):
    """A store that has a `Replication` and answers from its replica. `SharedStore` adds what writes.

    Parameters
    ----------
    backend : StoreBackend
        Where the store is kept.
    **options : object
        Those of `Store`.
    """

    def __init__(self, backend: StoreBackend, **options: Any) -> None:
        super().__init__((), **options)
        self._replication = Replication(backend)
        self._replica, self._transport = self._replication.replica, self._replication.transport
        self._rule = ConflictRule(self._replica, self._conflicts)
        self._request, self._origin, self._encoded = self._transport.request, self._replication.origin, self._replication.encoded
        self._transient_values: dict[object, Any] = {}
        self._following: threading.Thread | None = None
        self._finish = weakref.finalize(self, backend.close)
        self._replication.load()
        self._show(None)

    @property
    def url(self) -> str:
        """Its URL, without secrets."""
        return self._transport.url

    # from the replica to the dict that this is -----------------------------------------------------------------------
    def _pull(self) -> None:
        """Apply what was written since."""
        if REPLICA_ONLY.get():
            return
        with self._lock:
            applied = self._replication.pull()
            if applied is not NOTHING:
                self._show(applied)
            if self._replica.strange and self._replica.name_again():
                self._refill()
        if self._listeners is not None:
            self._listeners.deliver(self._lock)

    def _show(self, applied: Applied) -> None:
        """Take over what was applied to the replica. The lock is held."""
        if applied is None:
            self.version = self._replica.version
            self._refill()
            return
        for change in applied:
            if change.row[0] > self.version:
                self.version = change.row[0]
            entry = self._replica.entries.get(change.key)
            if change.row[2] is None:
                dict.pop(self, change.key, None)
            elif entry is not None:
                dict.__setitem__(self, change.key, entry.value)
            if self._listeners:
                self._publish_change(change)

    def _refill(self) -> None:
        """Take over all values of the replica, and the transient ones."""
        dict.clear(self)
        dict.update(self, {key: entry.value for key, entry in self._replica.entries.items()})
        dict.update(self, self._transient_values)

    def _publish_change(self, change: PastChange) -> None:
        """Pass a change to watches and subscribers. The lock is held; never waits."""
        if self._listeners is not None and not self._listeners.publish(change.key, lambda: change.change):
            self._forget(None)

    def _refresh(self) -> ReadMark | None:
        """Ask the backend for changes; returns the visit of the current node, which begins now if this is its first access."""
        self._pull()
        frame: WalkFrame | None = _frame()
        if frame is None:
            return None
        marks: dict[int, ReadMark] | None = frame.__dict__.get("read_marks")  # no call: each access of a node comes here
        mark = None if marks is None else marks.get(id(self))
        if mark is None or mark.is_over:
            mark = read_marks_of(frame)[id(self)] = ReadMark(self._replica.version)
            self._touch(mark)  # type: ignore[arg-type]  # of a KeyState, only `tracked_by` and `plain` are read
        return mark

    def _reads(self, key: object) -> Iterator[ReplicaEntry | None]:
        """The entry of `key` as it is known, then, as often as it is asked for again, as it is at the backend by then."""
        while True:
            yield self._replica.entries.get(key)
            self._pull()

    # reading ---------------------------------------------------------------------------------------------------------
    def __getitem__(self, key: object) -> Any:
        if self._transient_values and key in self._transient_values:
            return self._transient_values[key]
        self._refresh()
        entry = self._replica.entries.get(key)
        if entry is None:
            raise KeyError(key)
        return entry.value if entry.plain else self._live(entry)

    def get(self, key: object, default: object = None, /) -> Any:
        """The value of `key`, or `default`.

        Parameters
        ----------
        key : hashable
            Which key.
        default : object
            What a missing key gives.
        """
        if key in self._transient_values:
            return self._transient_values[key]
        self._refresh()
        entry = self._replica.entries.get(key)
        return default if entry is None else entry.value if entry.plain else self._live(entry)

    def __contains__(self, key: object) -> bool:
        if key in self._transient_values:
            return True
        self._refresh()
        return key in self._replica.entries

    def _live(self, entry: ReplicaEntry) -> Any:
        """The object that the current node gets for a mutable value: the common one, or its own while another node works on that."""
        frame: WalkFrame | None = None if REPLICA_ONLY.get() else _frame()
        if frame is not None and entry.tracked_by is not frame:
            twin = self._twin(entry, frame)
            if twin is not None:
                return twin.value
        if not entry.is_whole:
            self._decode_again(entry)
        if entry.tracked_by is not _frame():
            self._touch(entry)  # type: ignore[arg-type]  # as above
        return entry.value

    def _twin(self, entry: ReplicaEntry, frame: WalkFrame) -> Twin | None:
        """The separate entry of the current node; None when it may have the common one."""
        owner, twins, at = owner_of(frame), twins_of(frame), (id(self), entry.key)
        twin = twins.get(at)
        if twin is not None and owner.touched is not None and twin in owner.touched:
            if not twin.is_waiting() or self._encoded(twin.key, twin.value) != twin.text:
                return twin
            owner.touched.pop(twin, None)  # it waits for others, and has changed nothing
        is_late = self._is_late(frame, told=False)
        if not is_late and (not holds(entry.tracked_by, entry) or is_related(entry.tracked_by, frame)):
            return None
        twin = twins[at] = Twin(entry)
        for walk in () if is_late else (frame, owner):
            walk.touched = walk.touched if walk.touched is not None else {}
            walk.touched[twin] = self
        return twin

    def _decode_again(self, entry: ReplicaEntry) -> None:
        """Decode again a value whose class was not loaded when it came, or had other fields."""
        entry.value, entry.is_whole = self._decoded(entry), True
        dict.__setitem__(self, entry.key, entry.value)

    def _decoded(self, entry: ReplicaEntry) -> Any:
        """A newly decoded value; an error names its position."""
        try:
            return decode(entry.text)
        except DecodingError as exc:
            exc.add_note(f"read from {entry.key!r} of the store {self.url}")
            raise

    def _whole(self) -> dict[Any, Any]:
        """A plain dict of the present content; the values are the live ones."""
        self._refresh()
        with self._lock:
            for entry in self._replica.entries.values():
                if not entry.is_whole:
                    try:
                        self._decode_again(entry)
                    except DecodingError:  # shown as it is
                        pass
            return dict(dict.items(self))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._whole())

    def __reversed__(self) -> Iterator[Any]:
        return iter([*self._whole()][::-1])

    def __len__(self) -> int:
        self._refresh()
        return dict.__len__(self)

    def keys(self) -> KeysView[Any]:  # type: ignore[override]  # of a copy: others write meanwhile
        """The keys now."""
        return self._whole().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # as above
        """The values now."""
        return self._whole().values()

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]  # as above
        """The keys with their values now."""
        return self._whole().items()

    def __eq__(self, other: object) -> bool:
        return self is other or self._whole() == (other._whole() if isinstance(other, ReplicatedReads) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # as a dict

    def __repr__(self) -> str:
        names = [value_text(key, 40) for key in itertools.islice(list(dict.keys(self)), 8)]
        more = f", {dict.__len__(self) - 8} more" if dict.__len__(self) > 8 else ""
        return f"<Store {self.url} at version {self.version}: {', '.join(names) + more if names else 'empty'}>"

    @contextmanager
    def replica_only(self) -> Iterator[None]:
        """Inside, reads use the replica with no round trip: the last known content, which `follow` keeps up to date."""
        token = REPLICA_ONLY.set(True)
        try:
            yield
        finally:
            REPLICA_ONLY.reset(token)

    def mirrored(self) -> AbstractContextManager[None]:
        """The former name of `replica_only`."""
        warnings.warn("SharedStore.mirrored() is now called replica_only()", DeprecationWarning, stacklevel=2)
        return self.replica_only()

    # the past --------------------------------------------------------------------------------------------------------
    def _catch_up(self) -> None:
        super()._catch_up()
        self._pull()

    def _deep(self) -> Replica:
        """The replica, with all the history that is kept."""
        self._catch_up()
        if not REPLICA_ONLY.get():
            with self._lock:
                self._replication.deepen()
        return self._replica

    def who(self, key: object) -> SharedWritten:
        """The last writer of `key`, when, and in which kernel; KeyError if the key is missing.

        Parameters
        ----------
        key : hashable
            Which key.
        """
        self._catch_up()
        with self._lock:
            return self._replica.written(key)

    def history(self, key: object = MISSING) -> list[Change]:
        """The kept changes of `key`, or of all keys, by whichever kernel, oldest first.

        Parameters
        ----------
        key : hashable, optional
            Which key; without it, all.
        """
        replica = self._deep()
        with self._lock:
            return replica.history(key)

    def snapshot(self) -> Snapshot:
        """The whole store as it is now, frozen."""
        self._catch_up()
        with self._lock:
            return Snapshot(self._replica.versions(), time.time())

    def at(self, version: int) -> dict[Any, Any]:
        """A plain copy of the store as it was at that `version`; `StoreError` if that is no longer kept.

        Parameters
        ----------
        version : int
            From 0 to what `version` is now.
        """
        replica = self._deep()
        with self._lock:
            return replica.at(version)

    def diff(self, a: int | Snapshot, b: int | Snapshot | None = None) -> list[Difference]:
        """The changes from `a` to `b`, versions or snapshots; `b` is the present one when it is left out.

        Parameters
        ----------
        a, b : int or Snapshot
            The two states to compare.
        """
        if isinstance(a, Snapshot) and (b is None or isinstance(b, Snapshot)):
            return a.diff(self.snapshot() if b is None else b)
        replica = self._deep()
        with self._lock:
            last = replica.version if b is None else b.version if isinstance(b, Snapshot) else b
            return replica.diff(a.version if isinstance(a, Snapshot) else a, last)

    def _forget(self, listener: StoreListener | None) -> None:
        with self._lock:
            if self._listeners is not None:
                self._listeners.remove(listener)

    def copy(self) -> Store:
        """A `Store` of this process with the same keys and values."""
        return Store(self._whole())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Store:
        return Store({key: decode(entry.text, unloaded="keep") for key, entry in self._replica.entries.items()})
