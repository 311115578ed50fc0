"""Replication between a store and its backend: one round trip per write, one for changes, and a local replica of the rest."""

from __future__ import annotations

import itertools
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.errors import LockLost, StoreError, Unreachable
from pocketflex_nb.core.frozen.freezer import MISSING, is_plain
from pocketflex_nb.core.store.change_log import add_change
from pocketflex_nb.core.store.key_state import UNTRACKED
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.store.writer import OUTSIDE, Writer, writer_of
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, ConnectionLost, StoreBackend
from pocketflex_nb.resources.stores.key_encoding import key_text
from pocketflex_nb.resources.stores.leases import HELD, tokens_of
from pocketflex_nb.resources.stores.provenance import who_text
from pocketflex_nb.resources.stores.replica import Entry, PastChange, Replica, frozen_of

__all__ = ["REPLICA_ONLY", "Replication"]

#: set while reads answer from the replica alone
REPLICA_ONLY: ContextVar[bool] = ContextVar("pocketflex_nb_replica_only", default=False)
_T = TypeVar("_T")
_held = HELD.get


class Replication(Store):
    """A store with a replica of what a backend keeps; reads and writes are in the classes below it."""

    def __init__(self, backend: StoreBackend, reopen: Callable[..., Any], **options: Any) -> None:
        super().__init__((), **options)
        self._backend, self._reopen, self._closed = backend, reopen, False
        self._replica = Replica(backend.keep)
        self._mark, self._marks = uuid.uuid4().hex[:12], itertools.count(1)
        self._mine: dict[int, tuple[Writer, Any, Entry | None]] = {}
        self._names: dict[Any, str] = {}
        self._transient_values: dict[Any, Any] = {}
        self._following: Any = None
        self._finish = weakref.finalize(self, backend.close)
        self._load()

    @property
    def url(self) -> str:
        """Its URL, without secrets."""
        return self._backend.address.safe

    # the replica ------------------------------------------------------------------------------------------------------
    def _load(self) -> None:
        version, rows = self._request(lambda backend: backend.load())
        self._replica.load(version, rows)
        self.version = version
        self._refill()

    def _refill(self) -> None:
        """Have the dict that this is hold what the replica holds, and what is set aside."""
        dict.clear(self)
        dict.update(self, {key: entry.value for key, entry in self._replica.entries.items()})
        dict.update(self, self._transient_values)

    def _request(self, ask: Callable[[StoreBackend], _T]) -> _T:
        """Send a request that may be repeated safely."""
        while True:
            if self._closed:
                raise self._is_closed()
            try:
                return ask(self._backend)
            except ConnectionLost:
                self._backend.reopen()

    def _is_closed(self) -> StoreError:
        return StoreError(f"the store {self.url} is closed; open it again: open_store(...)")

    def _pull(self) -> None:
        """Apply what was written since."""
        if REPLICA_ONLY.get():
            return
        with self._lock:
            known = self._replica.version
            if self._closed:
                raise self._is_closed()
            try:
                version, rows = self._backend.since(known)
            except ConnectionLost:
                version, rows = self._request(lambda backend: backend.since(known))
            if version != known or rows:
                self._take_in(known, version, rows)
            if self._replica.strange and self._replica.name_again():
                self._refill()
        if self._listeners is not None:
            self._listeners.deliver(self._lock)

    def _take_in(self, known: int, version: int, rows: list[ChangeRow]) -> None:
        if rows and rows[0][0] == known + 1:
            for row in rows:
                self._apply(row, self._mine.pop(row[0], None))
        else:  # too long ago, or the place was emptied
            self._mine.clear()
            self._load()

    def _apply(self, row: ChangeRow, own: tuple[Writer, Any, Entry | None] | None) -> None:
        kept = self._replica.apply(row, own)
        if row[0] > self.version:
            self.version = row[0]
        if row[2] is None:
            dict.pop(self, kept.key, None)
        else:
            dict.__setitem__(self, kept.key, self._replica.entries[kept.key].value)
        if self._listeners:
            self._publish_kept(kept)

    def _name(self, key: Any) -> str:
        """A key as text; cached, since the same keys are used again and again."""
        try:
            return self._names[key]
        except KeyError:
            pass
        name = key_text(key)
        if len(self._names) > 100_000:
            self._names.clear()
        self._names[key] = name
        return name

    @contextmanager
    def replica_only(self) -> Iterator[None]:
        """Inside, reads use the replica with no round trip: the last known content, which `follow` keeps up to date."""
        token = REPLICA_ONLY.set(True)
        try:
            yield
        finally:
            REPLICA_ONLY.reset(token)

    def _publish_kept(self, kept: PastChange) -> None:
        """Pass a change to watches and subscribers. The lock is held; never waits."""
        if self._listeners is not None and not self._listeners.publish(kept.key, lambda: kept.change):
            self._forget(None)

    # sending ---------------------------------------------------------------------------------------------------------
    def _send(self, key: Any, text: str | None, frame: Any, expect: int | None, live: Any = None, entry: Entry | None = None) -> None:
        """Write one key, and apply it; raises `VersionConflict` when it is not at version `expect`."""
        name, mark = self._names.get(key) or self._name(key), f"{self._mark}.{next(self._marks)}"
        who, fence = who_text(frame, mark), tokens_of(self._mark) if _held() else ()
        if self._closed:
            raise self._is_closed()
        if frame is None and self._untracked:
            self._flush()
        with self._lock:
            try:
                version = self._backend.write(name, text, who, expect, fence)
            except LockLost as exc:
                raise self._fenced(exc, key) from None
            except ConnectionLost:
                version = self._again(mark, lambda: self._backend.write(name, text, who, expect, fence))
            self._apply_own_write((version, name, text, who), live, frame, entry)
        if self._listeners is not None:
            self._listeners.deliver(self._lock)

    def _fenced(self, lost: LockLost, key: Any) -> LockLost:
        name = decode(str(lost), unloaded="keep")
        return LockLost(
            f"the write of {key!r} to {self.url} was refused: lock({name!r}) is no longer held with the token of this writer, its lease "
            "has ended; take the lock again and read again what stands there, or give it a longer lease="
        )

    def _again(self, mark: str, send: Callable[[], int]) -> int:
        """After the connection broke in the middle of a write: find out whether it was done, and do it if it was not."""
        for _ in range(5):
            self._backend.reopen()
            try:
                known = self._replica.version
                version, rows = self._backend.since(known)
                if version != known and not (rows and rows[0][0] == known + 1):
                    break
                done = [row for row in rows if mark in row[3]]
                return done[0][0] if done else send()
            except ConnectionLost:
                continue
        raise Unreachable(
            f"the connection to {self.url} broke while a value was being written, and whether it was written cannot be told; "
            "read it before writing again", url=self.url, host=self._backend.address.host, port=self._backend.address.port,
        )

    def _apply_own_write(self, row: ChangeRow, live: Any, frame: Any, entry: Entry | None) -> None:
        """Apply a change that was made here. The lock is held."""
        if frame is None:
            writer, old = OUTSIDE, MISSING
        else:
            writer = writer_of(frame, self._change_log.unresolved)
            before = self._replica.entries.get(self._replica.key(row[1]))
            old = MISSING if before is None else before.frozen
        own = (writer, live, entry)
        if row[0] == self._replica.version + 1:
            self._apply(row, own)
        else:
            self._mine[row[0]] = own
            self._backend.wake()
            if not is_plain(live):  # its nested changes are looked for from now on
                self._pull()
        if frame is not None:
            self._note_change(row, old, writer, frame)

    def _note_change(self, row: ChangeRow, old: Any, writer: Writer, frame: Any) -> None:
        """List the change in the run's log."""
        version, name, text, _ = row
        key = self._replica.key(name)
        now = self._replica.entries.get(key)
        new = now.frozen if now is not None and now.text == text else frozen_of(text)
        record = [version, key, "delete" if text is None else "set", old, new, writer, 0, time.time(), 0]
        add_change(frame, record, 0)

    def _encoded(self, key: Any, value: Any) -> str:
        for _ in range(20):
            try:
                return encode(value, at=(key,))
            except RuntimeError:  # changed by another thread meanwhile
                time.sleep(0)
        return encode(value, at=(key,))

    def _flush(self) -> None:
        """Send the nested changes that were made outside of runs."""
        untracked, self._untracked = self._untracked, None
        for cell in untracked or ():
            cell.tracked_by = UNTRACKED
            self._detect_mutation(cell, None)
