"""Replication: a replica of a store kept elsewhere, and the transport to its backend.

A write is one round trip; a read asks first for what is new, also in one. What was applied to the replica is returned to the store,
which shows it to its readers.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Sequence
from functools import partial

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.errors import LockLost
from pocketflex_nb.core.frozen.freezer import MISSING, is_plain
from pocketflex_nb.core.port_types import WalkFrame
from pocketflex_nb.core.store.change_log import add_change
from pocketflex_nb.core.store.writer import OUTSIDE, Writer, writer_of
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, ConnectionLost, StoreBackend
from pocketflex_nb.resources.stores.key_encoding import key_text
from pocketflex_nb.resources.stores.leases import HELD, tokens_of
from pocketflex_nb.resources.stores.provenance import who_text
from pocketflex_nb.resources.stores.replica import OwnWrite, PastChange, Replica, ReplicaEntry, frozen_of
from pocketflex_nb.resources.stores.transport import Transport

__all__ = ["NOTHING", "Applied", "Replication"]

#: the changes that a request applied to the replica, oldest first; None when the replica was loaded anew
Applied = Sequence[PastChange] | None
#: no change
NOTHING: Sequence[PastChange] = ()
#: keys whose texts are cached
_NAMES = 100_000
#: attempts to encode a value that another thread changes meanwhile
_ATTEMPTS = 20
_held = HELD.get


class Replication:
    """The replica of one store object, kept up to date over its transport. Its user holds a lock around `pull`, `send` and `add`.

    Attributes
    ----------
    transport : Transport
        Round trips to the backend.
    replica : Replica
        What is known of the store here.
    origin : str
        Names this store object among all that write to the backend.
    """

    def __init__(self, backend: StoreBackend) -> None:
        self.transport, self.replica = Transport(backend), Replica(backend.keep)
        self.origin, self._numbers = uuid.uuid4().hex[:12], itertools.count(1)
        self._backend = backend
        self._names: dict[object, str] = {}
        self._own: dict[int, OwnWrite] = {}  # made here, and not applied yet, by version
        self._unresolved: list[Writer] = []

    # reading ---------------------------------------------------------------------------------------------------------
    def load(self) -> None:
        """Load the replica anew."""
        version, rows = self.transport.request(lambda backend: backend.load())
        self.replica.load(version, rows)

    def pull(self) -> Applied:
        """Apply what was written since the last request."""
        transport, known = self.transport, self.replica.version
        if transport.is_closed:
            raise transport.closed_error()
        try:
            version, rows = self._backend.since(known)
        except ConnectionLost:
            version, rows = transport.request(lambda backend: backend.since(known))
        if version == known and not rows:
            return NOTHING
        if not rows or rows[0][0] != known + 1:  # too long ago, or the store was emptied
            self._own.clear()
            self.load()
            return None
        return [self.replica.apply(row, self._own.pop(row[0], None)) for row in rows]

    def deepen(self) -> None:
        """Load the earlier changes that the backend keeps, unless that was done."""
        replica = self.replica
        if replica.is_shallow:
            replica.deepen(self.transport.request(lambda backend: backend.past(replica.floor)))

    # writing ---------------------------------------------------------------------------------------------------------
    def name(self, key: object) -> str:
        """A key as text; cached, since the same keys are used again and again."""
        try:
            return self._names[key]
        except KeyError:
            pass
        name = key_text(key, is_known=key in self.replica.entries)
        if len(self._names) > _NAMES:
            self._names.clear()
        self._names[key] = name
        return name

    def encoded(self, key: object, value: object) -> str:
        """A value as text; `EncodingError` with the path of what cannot be written."""
        for _ in range(_ATTEMPTS):
            try:
                return encode(value, at=(key,))
            except RuntimeError:  # changed by another thread meanwhile
                time.sleep(0)
        return encode(value, at=(key,))

    def send(
        self, key: object, text: str | None, frame: WalkFrame | None, expect: int | None, live: object = None,
        entry: ReplicaEntry | None = None,
    ) -> Applied:
        """Write one key, or delete it if `text` is None; `VersionConflict` when it is not at version `expect`.

        `live` is the value that `text` encodes, and `entry` the one that holds it already, when it was changed in place.
        """
        transport = self.transport
        if transport.is_closed:
            raise transport.closed_error()
        name, mark = self._names.get(key) or self.name(key), f"{self.origin}.{next(self._numbers)}"
        who, fence = who_text(frame, mark), tokens_of(self.origin) if _held() else ()
        try:
            version = self._backend.write(name, text, who, expect, fence)
        except LockLost as exc:
            raise self._fenced(exc, key) from None
        except ConnectionLost:
            send = partial(self._backend.write, name, text, who, expect, fence)
            version = transport.resume(mark, self.replica.version, send, lambda row: row[0])
        return self._apply_own_write((version, name, text, who), live, frame, entry)

    def add(
        self, key: object, n: float, limit: float | None, reset: float | None, frame: WalkFrame | None, *, applies: bool
    ) -> tuple[float, int, Applied] | None:
        """Add to a number; returns its new value, the version, and what was applied. None when the backend cannot add to it.

        With `applies` False the replica is left as it is: it catches up when it is next asked.
        """
        name, mark = self._names.get(key) or self.name(key), f"{self.origin}.{next(self._numbers)}"
        who, fence = who_text(frame, mark), tokens_of(self.origin) if _held() else ()
        try:
            added = self._backend.add(name, n, limit, reset, who, fence)
        except LockLost as exc:
            raise self._fenced(exc, key) from None
        except ConnectionLost:
            send = partial(self._backend.add, name, n, limit, reset, who, fence)
            added = self.transport.resume(mark, self.replica.version, send, lambda row: (row[0], str(row[2])))
        if added is None:
            return None
        version, text = added
        value = int(text) if text.isdigit() else decode(text)
        return value, version, self._apply_own_write((version, name, text, who), value, frame, None) if applies else NOTHING

    def _fenced(self, lost: LockLost, key: object) -> LockLost:
        name = decode(str(lost), unloaded="keep")
        return LockLost(
            f"the write of {key!r} to {self.transport.url} was refused: lock({name!r}) is no longer held with the token of this writer, "
            "its lease has ended; take the lock again and read again what stands there, or give it a longer lease="
        )

    def _apply_own_write(self, row: ChangeRow, live: object, frame: WalkFrame | None, entry: ReplicaEntry | None) -> Applied:
        """Apply a change that was made here."""
        replica = self.replica
        old: object = MISSING
        if frame is None:
            writer = OUTSIDE
        else:
            writer = writer_of(frame, self._unresolved)
            before = replica.entries.get(replica.key(row[1]))
            if before is not None:
                old = before.frozen
        applied: Applied
        if row[0] == replica.version + 1:
            applied = (replica.apply(row, (writer, live, entry)),)
        else:
            self._own[row[0]] = writer, live, entry
            self._backend.wake()
            applied = NOTHING if is_plain(live) else self.pull()  # its nested changes are looked for from now on
        if frame is not None:
            self._log_change(row, old, writer, frame)
        return applied

    def _log_change(self, row: ChangeRow, old: object, writer: Writer, frame: WalkFrame) -> None:
        """List the change in the run's log."""
        version, name, text, _ = row
        key = self.replica.key(name)
        now = self.replica.entries.get(key)
        new = now.frozen if now is not None and now.text == text else frozen_of(text)
        add_change(frame, [version, key, "delete" if text is None else "set", old, new, writer, 0, time.time(), 0], 0)

