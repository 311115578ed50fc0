"""A store kept in a SQLite file, shared by the processes of one machine. Standard library only.

The file is in write-ahead mode: readers and the one writer do not wait for each other, and a process that is killed in the middle
of a write leaves nothing half written. `synchronous=NORMAL` (the default here) keeps every acknowledged write through the end of
any process; through a loss of power as well with ``?synchronous=full``.

References
----------
https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html#pragma_data_version
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pocketflex_nb.core.errors import BadURL, LockLost, ResourceError, Unreachable
from pocketflex_nb.resources.memory_store import sum_text
from pocketflex_nb.resources.place import Changed, Fence, Row
from pocketflex_nb.resources.urls import Address

__all__ = ["SqlitePlace"]

#: seconds that a write waits for the writers before it
_BUSY = 30.0
#: seconds between two looks of who waits for others' changes
_LOOK = 0.02
_TRIM = 256
#: pages of the write-ahead log, of 4 KiB, after which they are moved into the file: the move waits for the disk
_CHECKPOINT = 4_000
_SMALL = 2**51
_TABLES = """
CREATE TABLE IF NOT EXISTS pfx_entries (
    store TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, value TEXT NOT NULL, who TEXT NOT NULL, PRIMARY KEY (store, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pfx_log (
    store TEXT NOT NULL, version INTEGER NOT NULL, key TEXT NOT NULL, value TEXT, who TEXT NOT NULL, PRIMARY KEY (store, version)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS pfx_added AFTER INSERT ON pfx_entries BEGIN
    INSERT INTO pfx_log VALUES (NEW.store, NEW.version, NEW.key, NEW.value, NEW.who);
END;
CREATE TRIGGER IF NOT EXISTS pfx_changed AFTER UPDATE ON pfx_entries BEGIN
    INSERT INTO pfx_log VALUES (NEW.store, NEW.version, NEW.key, NEW.value, NEW.who);
END;
CREATE TABLE IF NOT EXISTS pfx_locks (
    store TEXT NOT NULL, name TEXT NOT NULL, token INTEGER NOT NULL, until REAL NOT NULL, PRIMARY KEY (store, name)
) WITHOUT ROWID;
"""
#: a statement alone is a transaction alone: each of these reads the version before and writes the next with its change
_NEXT = "(SELECT coalesce(max(version), 0) + 1 FROM pfx_log WHERE store = :store)"
_SET = (
    f"INSERT INTO pfx_entries VALUES (:store, :key, {_NEXT}, :text, :who) ON CONFLICT (store, key) DO UPDATE "
    "SET version = excluded.version, value = excluded.value, who = excluded.who RETURNING version"
)
_SET_NEW = f"INSERT INTO pfx_entries VALUES (:store, :key, {_NEXT}, :text, :who) ON CONFLICT DO NOTHING RETURNING version"
_SET_IF = (
    f"UPDATE pfx_entries SET version = {_NEXT}, value = :text, who = :who "
    "WHERE store = :store AND key = :key AND version = :expect RETURNING version"
)
_GONE = f"INSERT INTO pfx_log VALUES (:store, {_NEXT}, :key, NULL, :who) RETURNING version"
_ADD = (
    f"UPDATE pfx_entries SET value = CAST(CAST(value AS INTEGER) + :n AS TEXT), version = {_NEXT}, who = :who "
    "WHERE store = :store AND key = :key AND value = CAST(CAST(value AS INTEGER) AS TEXT) "
    "AND abs(CAST(value AS INTEGER)) < 4503599627370496 RETURNING version, value"
)
_SYNCHRONOUS = {"normal": "NORMAL", "full": "FULL"}


class SqlitePlace:
    """A place in a file."""

    def __init__(self, address: Address, keep: int) -> None:
        self.address, self.keep, self._store = address, keep, address.name
        wanted = address.options.get("synchronous", "normal").lower()
        unknown = set(address.options) - {"synchronous"}
        if unknown or wanted not in _SYNCHRONOUS:
            raise BadURL(f"{address.safe}: the options of a sqlite URL are name=... and synchronous=normal or full", url=address.safe)
        self._synchronous = _SYNCHRONOUS[wanted]
        self._using = threading.Lock()
        self._woken = threading.Event()
        self._connection = self._opened()
        self._pid, self._seen = os.getpid(), (-1, -1)

    def _opened(self) -> sqlite3.Connection:
        path = Path(self.address.path)
        try:
            # no transaction but those that are begun here; autocommit of 3.12 would be another way, 3.11 has not
            connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as exc:
            mend = f"there is no folder {path.parent}" if not path.parent.exists() else str(exc)
            raise ResourceError(f"{self.address.safe} cannot be opened: {mend}; create the folder, or name another file") from exc
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT}")
            connection.executescript(_TABLES)
        except sqlite3.Error as exc:
            connection.close()
            raise ResourceError(f"{self.address.safe} is not a SQLite file that this process may write ({exc}); name another file") from exc
        return connection

    @contextlib.contextmanager
    def _alone(self) -> Iterator[Any]:
        """The connection's `execute`, one thread at a time; a child of `fork` opens its own."""
        with self._using:
            if self._pid != os.getpid():
                self._connection, self._pid = self._opened(), os.getpid()
            try:
                yield self._connection.execute
            except sqlite3.OperationalError as exc:
                if "locked" in str(exc) or "busy" in str(exc):
                    raise Unreachable(
                        f"{self.address.safe} was written to by others for {_BUSY:g} s on end; is one of them stopped inside a write?",
                        url=self.address.safe,
                    ) from exc
                raise ResourceError(f"{self.address.safe} cannot be used: {exc}", url=self.address.safe) from exc
            except sqlite3.DatabaseError as exc:
                raise ResourceError(f"{self.address.safe} cannot be used: {exc}", url=self.address.safe) from exc

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Any]:
        """A transaction that holds the file's write lock from the beginning, so that what it reads stays true."""
        with self._alone() as do:
            do("BEGIN IMMEDIATE")
            try:
                yield do
            except BaseException:
                do("ROLLBACK")
                raise
            do("COMMIT")

    # reading ---------------------------------------------------------------------------------------------------------
    def load(self) -> tuple[int, list[Row]]:
        """See `Place`."""
        with self._alone() as do:
            do("BEGIN")
            try:
                rows = do("SELECT version, key, value, who FROM pfx_entries WHERE store = ? ORDER BY version", (self._store,)).fetchall()
                return self._version(do), rows
            finally:
                do("COMMIT")

    def _version(self, do: Any) -> int:
        found = do("SELECT version FROM pfx_log WHERE store = ? ORDER BY version DESC LIMIT 1", (self._store,)).fetchone()
        return 0 if found is None else int(found[0])

    def since(self, version: int) -> tuple[int, list[Row]]:
        """See `Place`. When no other connection has written, that is told by a number in shared memory."""
        if self._pid == os.getpid():
            with self._using:
                if (self._connection.execute("PRAGMA data_version").fetchone()[0], version) == self._seen:
                    return version, []
        with self._alone() as do:
            stamp = (do("PRAGMA data_version").fetchone()[0], version)
            rows = do(
                "SELECT version, key, value, who FROM pfx_log WHERE store = ? AND version > ? ORDER BY version", (self._store, version)
            ).fetchall()
            now = rows[-1][0] if rows else self._version(do)
            self._seen = (stamp[0], now)
            return now, rows

    def past(self, version: int) -> list[Row]:
        """See `Place`."""
        with self._alone() as do:
            return list(do(
                "SELECT version, key, value, who FROM pfx_log WHERE store = ? AND version <= ? ORDER BY version", (self._store, version)
            ))

    # writing ---------------------------------------------------------------------------------------------------------
    def write(self, key: str, text: str | None, who: str, expect: int | None, fence: Fence) -> int:
        """See `Place`."""
        facts = {"store": self._store, "key": key, "text": text, "who": who, "expect": expect}
        if text is not None and not fence:
            with self._alone() as do:
                return self._set(do, facts)
        with self._writing() as do:
            self._check(do, fence)
            return self._set(do, facts) if text is not None else self._delete(do, facts)

    def _set(self, do: Any, facts: dict[str, Any]) -> int:
        expect = facts["expect"]
        found = do(_SET if expect is None else _SET_IF if expect else _SET_NEW, facts).fetchall()
        if not found:
            raise Changed
        return self._noted(do, found[0][0])

    def _delete(self, do: Any, facts: dict[str, Any]) -> int:
        found = do("SELECT version FROM pfx_entries WHERE store = :store AND key = :key", facts).fetchone()
        if facts["expect"] is not None and facts["expect"] != (0 if found is None else found[0]):
            raise Changed
        do("DELETE FROM pfx_entries WHERE store = :store AND key = :key", facts)
        return self._noted(do, do(_GONE, facts).fetchall()[0][0])

    def add(self, key: str, n: float, limit: float | None, reset: float | None, who: str, fence: Fence) -> tuple[int, str] | None:
        """See `Place`."""
        if limit is None and not fence and n.__class__ is int and self._pid == os.getpid() and -_SMALL < n < _SMALL:
            try:
                with self._using:
                    do = self._connection.execute
                    found = do(_ADD, {"store": self._store, "key": key, "n": n, "who": who}).fetchall()
                    if found:
                        return self._noted(do, found[0][0]), found[0][1]
            except sqlite3.Error:  # told below, if it stays
                pass
        with self._writing() as do:
            self._check(do, fence)
            known = do("SELECT value FROM pfx_entries WHERE store = ? AND key = ?", (self._store, key)).fetchone()
            text = sum_text(None if known is None else known[0], n, limit, reset)
            facts = {"store": self._store, "key": key, "text": text, "who": who, "expect": None}
            return None if text is None else (self._set(do, facts), text)

    def _noted(self, do: Any, version: int) -> int:
        """Remember a version that was made here, and drop the past from time to time."""
        if version == self._seen[1] + 1:
            self._seen = (self._seen[0], version)
        if version % _TRIM == 0:
            do("DELETE FROM pfx_log WHERE store = ? AND version <= ?", (self._store, version - self.keep))
        return version

    def _check(self, do: Any, fence: Fence) -> None:
        for name, token in fence:
            if not self._holds(do, name, token):
                raise LockLost(name)

    # locks -----------------------------------------------------------------------------------------------------------
    def _holds(self, do: Any, name: str, token: int) -> bool:
        found = do("SELECT token, until FROM pfx_locks WHERE store = ? AND name = ?", (self._store, name)).fetchone()
        return found is not None and found[0] == token and found[1] > time.time()

    def take_lock(self, name: str, owner: str, lease: float) -> int:
        """See `Place`. The row stays when the lock is given back, so that tokens go on rising."""
        with self._writing() as do:
            found = do("SELECT token, until FROM pfx_locks WHERE store = ? AND name = ?", (self._store, name)).fetchone()
            token, until = found or (0, 0.0)
            now = time.time()
            if until > now:
                return 0
            do("INSERT OR REPLACE INTO pfx_locks VALUES (?, ?, ?, ?)", (self._store, name, token + 1, now + lease))
            return int(token) + 1

    def keep_lock(self, name: str, token: int, lease: float) -> bool:
        """See `Place`."""
        return self._until(name, token, time.time() + lease)

    def drop_lock(self, name: str, token: int) -> bool:
        """See `Place`."""
        return self._until(name, token, 0.0)

    def _until(self, name: str, token: int, until: float) -> bool:
        with self._writing() as do:
            held = self._holds(do, name, token)
            if held:
                do("UPDATE pfx_locks SET until = ? WHERE store = ? AND name = ?", (until, self._store, name))
            return held

    def has_lock(self, name: str) -> bool:
        """See `Place`."""
        with self._alone() as do:
            found = do("SELECT until FROM pfx_locks WHERE store = ? AND name = ?", (self._store, name)).fetchone()
            return found is not None and found[0] > time.time()

    # others ----------------------------------------------------------------------------------------------------------
    def wait(self, version: int, timeout: float) -> None:
        """See `Place`. SQLite tells nobody that it was written to: this looks every 20 ms, at a few microseconds each."""
        until = time.monotonic() + timeout
        with self._alone() as do:
            begin = do("PRAGMA data_version").fetchone()[0]
            if self._version(do) != version:
                return
        while time.monotonic() < until:
            if self._woken.wait(_LOOK):
                self._woken.clear()
                return
            with self._alone() as do:
                if do("PRAGMA data_version").fetchone()[0] != begin:
                    return

    def wake(self) -> None:
        """See `Place`."""
        self._woken.set()

    def reopen(self) -> None:
        """See `Place`: a file is never lost."""

    def close(self) -> None:
        """See `Place`."""
        self.wake()
        with self._using:
            if self._pid == os.getpid():
                self._connection.close()
