"""The SQLite store backend: a file that the processes of one machine share. Standard library only.

The file is in write-ahead mode: readers and the one writer do not wait for each other, and a process that is killed in the middle
of a write leaves nothing half written. `synchronous=NORMAL` (the default here) keeps every acknowledged write through the end of
any process; through a loss of power as well with ``?synchronous=full``, which waits for the disk at each write.

A change is one row of a log, whose number is its key: a write inserts the row after the last one that is known here, on the condition
that it is still the last. That is one statement, hence one transaction, as cheap as any that SQLite makes. When another connection has
written in between, it is repeated inside a transaction that first reads what is new. From time to time the log is folded into a table
of entries.

References
----------
https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html#pragma_data_version
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.core.errors import BadURL, LockLost, ResourceError, Unreachable
from pocketflex_nb.resources.connections.sqlite_file_checks import (
    FOLLOWER,
    Execute,
    OpenedFile,
    made_private,
    raw_of,
    readable_name,
    refuse_triggers,
    sqlite_text,
)
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.stores.backends.arithmetic import exact_sum
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, FencingTokens, VersionConflict, checked_row

__all__ = ["SqliteStoreBackend"]

#: seconds that a write waits for the writers before it
_BUSY = 30.0
#: seconds between two looks of who waits for others' changes
_LOOK = 0.02
#: changes after which the log is folded into the entries, and what is too old is dropped
_FOLD = 2_048
#: pages of the write-ahead log, of 4 KiB, after which they are moved into the file: the move waits for the disk
_CHECKPOINT = 4_000
#: a row's key is the number of its store, shifted, and its version
_STORE = 40
#: seconds by which a lease may seem longer than it is
_ROUNDING = 0.001
#: writes on the safe path after one that another connection had preceded
_WARY = 16
_TABLES = """
CREATE TABLE IF NOT EXISTS pfx_stores (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, folded INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pfx_log (at INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT, who TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pfx_entries (
    store INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, value TEXT NOT NULL, who TEXT NOT NULL, PRIMARY KEY (store, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pfx_guard (store INTEGER PRIMARY KEY, edits INTEGER NOT NULL, folding INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS pfx_guard_log AFTER UPDATE ON pfx_log BEGIN
    UPDATE pfx_guard SET edits = edits + 1 WHERE store = OLD.at >> 40;
END;
CREATE TRIGGER IF NOT EXISTS pfx_guard_cut AFTER DELETE ON pfx_log
    WHEN (SELECT folding FROM pfx_guard WHERE store = OLD.at >> 40) = 0
BEGIN
    UPDATE pfx_guard SET edits = edits + 1 WHERE store = OLD.at >> 40;
END;
CREATE TRIGGER IF NOT EXISTS pfx_guard_entries AFTER UPDATE ON pfx_entries BEGIN
    UPDATE pfx_guard SET edits = edits + 1 WHERE store = OLD.store;
END;
CREATE TRIGGER IF NOT EXISTS pfx_guard_gone AFTER DELETE ON pfx_entries
    WHEN (SELECT folding FROM pfx_guard WHERE store = OLD.store) = 0
BEGIN
    UPDATE pfx_guard SET edits = edits + 1 WHERE store = OLD.store;
END;
CREATE TABLE IF NOT EXISTS pfx_locks (
    store INTEGER NOT NULL, name TEXT NOT NULL, token INTEGER NOT NULL, until REAL NOT NULL, lease REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (store, name)
) WITHOUT ROWID;
"""
#: of a file that an earlier version made, whose leases went by the clock on the wall
_ADD_LEASE = "ALTER TABLE pfx_locks ADD COLUMN lease REAL NOT NULL DEFAULT 0"
#: the row behind one that is there: nothing, if that one has one behind it already, and an error (text is no row's number) if it is
#: gone. A scalar query, since INSERT ... SELECT from the table itself goes by way of a temporary one
_PUT = "INSERT OR IGNORE INTO pfx_log VALUES (coalesce((SELECT at + 1 FROM pfx_log WHERE at = ?4), 'gone'), ?1, ?2, ?3)"
_AFTER = "SELECT at - ?, key, value, who FROM pfx_log WHERE at > ? AND at < ? ORDER BY at"
_KEYS = "SELECT key FROM pfx_log WHERE at > ? AND at <= ?"
_FOLD_LIVING = "INSERT OR REPLACE INTO pfx_entries SELECT ?1, key, at - ?2, value, who FROM pfx_log WHERE at = ?2 + ?3"
_FOLD_GONE = "DELETE FROM pfx_entries WHERE store = ? AND key = ?"
_FOLD_RAW = {"blob": _FOLD_GONE, "text": _FOLD_GONE.replace("key = ?", "key = CAST(? AS TEXT)")}
_SYNCHRONOUS = {"normal": "NORMAL", "full": "FULL"}


def _row_of(row: Sequence[object]) -> ChangeRow:
    """A row as the file has it, with texts where anything else was written."""
    return checked_row(row if row[1].__class__ is str else (row[0], readable_name(row[1]), *row[2:]))


def _in_wal_mode(connection: sqlite3.Connection) -> str:
    """Set a file to write-ahead logging; returns its mode then. Of those who open a new file at once one is admitted at a time."""
    until = time.monotonic() + _BUSY
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as exc:  # the change of mode does not wait for others by itself
            if "locked" not in str(exc) or time.monotonic() > until:
                raise
            time.sleep(0.01)


#: a row that follows nothing: the store is to be read anew
_ANEW: ChangeRow = (-1, "", None, "")
#: version and text of a key that is not there
_NOTHING: tuple[int, str | None] = (0, None)


class SqliteStoreBackend:
    """A store in a file."""

    def __init__(self, address: Address, keep: int) -> None:
        self.address, self.keep = address, keep
        self._path = Path(address.path).absolute()  # the working directory may change before a child of `fork` opens it again
        wanted = address.options.get("synchronous", "normal").lower()
        unknown = set(address.options) - {"synchronous"}
        if unknown or wanted not in _SYNCHRONOUS:
            raise BadURL(f"{address.safe}: the options of a sqlite URL are name=... and synchronous=normal or full", url=address.safe)
        self._synchronous = _SYNCHRONOUS[wanted]
        self._using = threading.Lock()
        self._woken = threading.Event()
        self._untold = ""  # what somebody else has done to the tables, until a verb tells it
        self._is_stale = False
        self._guarded = -1  # PRAGMA data_version when it was last seen that only ours have written
        self._use(self._opened())
        self._stamp = -1  # PRAGMA data_version when `_at` was the last version
        self._store = self._numbered()
        with self._alone() as do:
            self._schema, self._edits = self._schema_now(do), self._edits_now(do)
        self._base, self._end = self._store << _STORE, (self._store + 1) << _STORE
        self._now: dict[str, tuple[int, str]] = {}  # what every key holds at version `_at`
        self._at = self._wary = 0

    def _opened(self) -> sqlite3.Connection:
        path = self._path
        made_private(path)
        try:
            # no transaction but those that are begun here; autocommit of 3.12 would be another way, 3.11 has not
            connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as exc:
            mend = f"there is no folder {path.parent}" if not path.parent.exists() else str(exc)
            raise ResourceError(f"{self.address.safe} cannot be opened: {mend}; create the folder, or name another file") from exc
        try:
            mode = _in_wal_mode(connection)
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT}")
            connection.text_factory = sqlite_text
            connection.executescript(_TABLES)
            if not connection.execute("SELECT 1 FROM pragma_table_info('pfx_locks') WHERE name = 'lease'").fetchone():
                with contextlib.suppress(sqlite3.OperationalError):  # another process does so just now
                    connection.execute(_ADD_LEASE)
            refuse_triggers(connection.execute, self.address)
        except ResourceError:
            connection.close()
            raise
        except sqlite3.Error as exc:
            connection.close()
            raise ResourceError(f"{self.address.safe} is not a SQLite file that this process may write ({exc}); name another file") from exc
        if mode != "wal":
            connection.close()
            raise ResourceError(f"{self.address.safe} stands on a file system that processes cannot share memory on; name a local file")
        return connection

    def _use(self, connection: sqlite3.Connection) -> None:
        self._connection, self._pid = connection, pid()
        self._file = OpenedFile(self._path, self.address)
        self._look = connection.cursor().execute
        self._write = connection.cursor().execute  # one cursor for all writes: making one is a tenth of a write

    @contextlib.contextmanager
    def _alone(self) -> Iterator[Execute]:
        """The connection's `execute`, one thread at a time; a child of `fork` opens its own."""
        with self._using:
            if self._pid != pid():
                self._use(self._opened())
            self._file.check()
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
    def _writing(self) -> Iterator[Execute]:
        """A transaction that holds the file's write lock from the beginning, so that what it reads stays true."""
        with self._alone() as do:
            try:
                do("BEGIN IMMEDIATE")
                yield do
                do("COMMIT")
            except BaseException:  # the stop button, too
                if self._connection.in_transaction:
                    do("ROLLBACK")
                raise

    def _numbered(self) -> int:
        """The number of the store of this name, created if new; version 0 of its log is a row that marks its beginning."""
        with self._writing() as do:
            found = do("SELECT id FROM pfx_stores WHERE name = ?", (self.address.name,)).fetchone()
            if found is None:
                number = do("INSERT INTO pfx_stores (name, folded) VALUES (?, 0)", (self.address.name,)).lastrowid or 0
                do("INSERT OR IGNORE INTO pfx_log VALUES (?, '', NULL, '')", (number << _STORE,))
            else:
                number = int(found[0])
            do("INSERT OR IGNORE INTO pfx_guard VALUES (?, 0, 0)", (number,))
            return number

    # what others have done to the tables -----------------------------------------------------------------------------
    def _schema_now(self, do: Execute) -> int:
        return int(do("PRAGMA schema_version").fetchone()[0])

    def _edits_now(self, do: Execute) -> int:
        found = do("SELECT edits FROM pfx_guard WHERE store = ?", (self._store,)).fetchone()
        return found[0] if found is not None and found[0].__class__ is int else -1

    def _guard(self, do: Execute) -> None:
        """After a write to the file: check whether it was one of ours, and keep what is to be reported if not."""
        self._guarded = do("PRAGMA data_version").fetchone()[0]
        schema, edits = self._schema_now(do), self._edits_now(do)
        if schema != self._schema:
            refuse_triggers(do, self.address)
            self._schema = schema
        begun = do("SELECT 1 FROM pfx_log WHERE at = ?", (self._base,)).fetchone()
        known = do("SELECT 1 FROM pfx_stores WHERE id = ?", (self._store,)).fetchone()
        if edits == self._edits and begun and known:
            return
        if not begun or not known or edits < 0:
            what = "emptied"
            do("INSERT OR IGNORE INTO pfx_stores VALUES (?, ?, 0)", (self._store, self.address.name))
            do("INSERT OR IGNORE INTO pfx_log VALUES (?, '', NULL, '')", (self._base,))
            do("INSERT OR IGNORE INTO pfx_guard VALUES (?, 0, 0)", (self._store,))
            edits = self._edits_now(do)
        else:
            what = "edited"
        self._edits, self._is_stale = edits, True
        self._untold = f"the tables of {self.address.safe} were {what} by another program while the store was open; it was read anew"

    def _tell(self) -> None:
        """Report it once, to the user of the store: not to the thread that follows it."""
        if self._untold and threading.current_thread().name != FOLLOWER:
            told, self._untold = self._untold, ""
            raise ResourceError(told, url=self.address.safe)

    # reading ---------------------------------------------------------------------------------------------------------
    def load(self) -> tuple[int, list[ChangeRow]]:
        """See `StoreBackend`."""
        with self._alone() as do:
            self._is_stale = False
            do("BEGIN")
            try:
                return self._read(do)
            finally:
                do("COMMIT")

    def _read(self, do: Execute) -> tuple[int, list[ChangeRow]]:
        """The entries, updated by the log since they were folded."""
        folded = self._folded(do)
        known = do("SELECT version, key, value, who FROM pfx_entries WHERE store = ? ORDER BY version", (self._store,))
        rows: dict[str, ChangeRow] = {row[1]: row for row in map(_row_of, known)}
        version = folded
        for row in map(_row_of, do(_AFTER, (self._base, self._base + folded, self._end))):
            version = row[0]
            rows.pop(row[1], None)
            if row[2] is not None:
                rows[row[1]] = row
        self._now, self._at = {key: (row[0], str(row[2])) for key, row in rows.items()}, version
        return version, list(rows.values())

    def _folded(self, do: Execute) -> int:
        found = do("SELECT folded FROM pfx_stores WHERE id = ?", (self._store,)).fetchone()
        return found[0] if found is not None and found[0].__class__ is int else 0

    def _version(self, do: Execute) -> int:
        found = do("SELECT max(at) FROM pfx_log WHERE at >= ? AND at < ?", (self._base, self._end)).fetchone()[0]
        return 0 if found is None else int(found) - self._base

    def since(self, version: int) -> tuple[int, list[ChangeRow]]:
        """See the port. A number in shared memory shows when no other connection has written."""
        if self._pid == pid() and not self._untold and not self._is_stale:
            with self._using:
                self._file.check()
                if version == self._at and self._look("PRAGMA data_version").fetchone()[0] == self._stamp:
                    return version, []
        with self._alone() as do:
            stamp = do("PRAGMA data_version").fetchone()[0]
            self._guard(do)
            self._tell()
            if self._is_stale:
                return version, [_ANEW]
            rows = list(map(_row_of, do(_AFTER, (self._base, self._base + version, self._end))))
            now = rows[-1][0] if rows else self._version(do)
            self._learn(rows)
            self._stamp = stamp if now == self._at else -1
            return now, rows

    def _learn(self, rows: list[ChangeRow]) -> None:
        for version, key, text, _ in rows:
            if version == self._at + 1:
                self._at = version
                if text is None:
                    self._now.pop(key, None)
                else:
                    self._now[key] = version, text

    def past(self, version: int) -> list[ChangeRow]:
        """See `StoreBackend`."""
        with self._alone() as do:
            return list(map(_row_of, do(_AFTER, (self._base, self._base, self._base + version + 1))))

    # writing ---------------------------------------------------------------------------------------------------------
    def write(self, key: str, text: str | None, who: str, expect: int | None, fence: FencingTokens) -> int:
        """See `StoreBackend`."""
        if not fence and (expect is None or expect == self._now.get(key, _NOTHING)[0]):
            version = self._put(key, text, who)
            if version:
                return version
        with self._writing() as do:
            self._check(do, fence)
            self._catch_up(do)
            if expect is not None and expect != self._now.get(key, _NOTHING)[0]:
                raise VersionConflict
            return self._insert(do, key, text, who)

    def add(self, key: str, n: float, limit: float | None, reset: float | None, who: str, fence: FencingTokens) -> tuple[int, str] | None:
        """See `StoreBackend`."""
        if not fence:
            now = self._now.get(key, _NOTHING)[1]
            if limit is None and n.__class__ is int and now is not None and len(now) < 15 and now.isdigit():
                text: str | None = str(int(now) + n)  # most sums are of this kind, and a sum is made in microseconds
            else:
                text = exact_sum(now, n, limit, reset)
            if text is not None and (version := self._put(key, text, who)):
                return version, text
        with self._writing() as do:
            self._check(do, fence)
            self._catch_up(do)
            text = exact_sum(self._now.get(key, _NOTHING)[1], n, limit, reset)
            return None if text is None else (self._insert(do, key, text, who), text)

    def _put(self, key: str, text: str | None, who: str) -> int:
        """Write the next version if the last one known here is the last; 0 if another connection has written, or may be about to."""
        if self._wary or self._pid != pid():
            self._wary = max(self._wary - 1, 0)
            return 0
        with self._using:
            version = self._at
            self._file.check()
            if self._look("PRAGMA data_version").fetchone()[0] != self._guarded:
                return 0
            try:
                is_done = self._write(_PUT, (key, text, who, self._base + version)).rowcount == 1
            except sqlite3.Error:  # told by the other way, if it stays
                is_done = False
            if is_done:  # as `_noted`, once more: this is the way of nearly every write
                self._at = version = version + 1
                if text is None:
                    self._now.pop(key, None)
                else:
                    self._now[key] = version, text
                if version % _FOLD == 0:
                    self._fold_alone(version)
                return version
        self._wary = _WARY
        return 0

    def _catch_up(self, do: Execute) -> None:
        """Learn what others have written. Inside a transaction that writes, so that it stays true until its end."""
        self._guard(do)
        if self._untold:
            do("COMMIT")  # what the guard has mended stays
            self._tell()
            do("BEGIN IMMEDIATE")
        rows = list(map(_row_of, do(_AFTER, (self._base, self._base + self._at, self._end))))
        if rows and rows[0][0] == self._at + 1:
            self._learn(rows)
        elif rows or self._version(do) != self._at:
            self._read(do)

    def _insert(self, do: Execute, key: str, text: str | None, who: str) -> int:
        version = self._at + 1
        if do("INSERT INTO pfx_log VALUES (?, ?, ?, ?)", (self._base + version, key, text, who)).rowcount != 1:
            raise ResourceError(f"{self.address.safe} did not take a write: a trigger drops it?", url=self.address.safe)
        return self._noted(version, key, text)

    def _noted(self, version: int, key: str, text: str | None) -> int:
        self._at = version
        if text is None:
            self._now.pop(key, None)
        else:
            self._now[key] = version, text
        if version % _FOLD == 0:
            self._fold(version)
        return version

    def _fold_alone(self, version: int) -> None:
        """`_fold` in a transaction of its own. The write before it is done, even if this fails: the next one makes up for it."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._fold(version)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _fold(self, version: int) -> None:
        """Bring the entries up to `version`, and drop changes beyond the kept ones."""
        do = self._connection.execute
        folded = self._folded(do)
        if folded >= version:  # somebody who came later was quicker
            return
        keys = {readable_name(key) for (key,) in do(_KEYS, (self._base + folded, self._base + version))}
        do("UPDATE pfx_guard SET folding = 1 WHERE store = ?", (self._store,))
        now, many = self._now, self._connection.executemany  # the version to fold is the last: what is known here is what stands there
        for data, kind in filter(None, map(raw_of, keys)):  # a foreign key that is no text: a write by its marked name replaces it
            do(_FOLD_RAW[kind], (self._store, data))
        many(_FOLD_LIVING, [(self._store, self._base, now[key][0]) for key in keys if key in now])
        many(_FOLD_GONE, [(self._store, key) for key in keys if key not in now])
        do("UPDATE pfx_stores SET folded = ? WHERE id = ?", (version, self._store))
        do("DELETE FROM pfx_log WHERE at > ? AND at <= ?", (self._base, self._base + version - self.keep))
        do("UPDATE pfx_guard SET folding = 0 WHERE store = ?", (self._store,))

    def _check(self, do: Execute, fence: FencingTokens) -> None:
        for name, token in fence:
            if not self._holds(do, name, token):
                raise LockLost(name)

    # locks -----------------------------------------------------------------------------------------------------------
    # A lease is measured by the clock that all processes of a machine share from its start on, and that nobody sets. After a restart of
    # the machine that clock begins anew, and whoever held a lock is gone: its row then ends too far ahead, or within one lease.
    def _lease(self, do: Execute, name: str) -> tuple[int, float]:
        """The last token of a lock, and the seconds that it is held for yet; 0 if it is free."""
        found = do("SELECT token, until, lease FROM pfx_locks WHERE store = ? AND name = ?", (self._store, name)).fetchone()
        token, until, lease = found or (0, 0.0, 0.0)
        token = token if token.__class__ is int else 0
        if until.__class__ is not float or lease.__class__ is not float:
            return token, 0.0
        left = until - time.monotonic()
        return token, left if 0 < left <= lease + _ROUNDING else 0.0

    def _holds(self, do: Execute, name: str, token: int) -> bool:
        known, left = self._lease(do, name)
        return known == token and left > 0

    def take_lock(self, name: str, owner: str, lease: float) -> int:
        """See `StoreBackend`. The row stays when the lock is given back, so that tokens go on rising."""
        with self._writing() as do:
            token, left = self._lease(do, name)
            if left > 0:
                return 0
            values = (self._store, name, token + 1, time.monotonic() + lease, lease)
            do("INSERT OR REPLACE INTO pfx_locks (store, name, token, until, lease) VALUES (?, ?, ?, ?, ?)", values)
            return token + 1

    def keep_lock(self, name: str, token: int, lease: float) -> bool:
        """See `StoreBackend`."""
        return self._until(name, token, lease)

    def drop_lock(self, name: str, token: int) -> bool:
        """See `StoreBackend`."""
        return self._until(name, token, 0.0)

    def _until(self, name: str, token: int, lease: float) -> bool:
        with self._writing() as do:
            held = self._holds(do, name, token)
            if held:
                values = (time.monotonic() + lease, lease, self._store, name)
                do("UPDATE pfx_locks SET until = ?, lease = ? WHERE store = ? AND name = ?", values)
            return held

    def has_lock(self, name: str) -> bool:
        """See `StoreBackend`."""
        with self._alone() as do:
            return self._lease(do, name)[1] > 0

    # others ----------------------------------------------------------------------------------------------------------
    def wait(self, version: int, timeout: float) -> None:
        """See the port. SQLite sends no notifications: this polls every 20 ms, at a few microseconds each."""
        until = time.monotonic() + timeout
        with self._alone() as do:
            begin = do("PRAGMA data_version").fetchone()[0]
            if self._version(do) != version:
                return
        while time.monotonic() < until:
            if self._woken.wait(_LOOK):
                self._woken.clear()
                return
            self._file.check()
            with self._alone() as do:
                if do("PRAGMA data_version").fetchone()[0] != begin:
                    return

    def wake(self) -> None:
        """See `StoreBackend`."""
        self._woken.set()

    def reopen(self) -> None:
        """See `StoreBackend`: a file is never lost."""

    def close(self) -> None:
        """See `StoreBackend`."""
        self.wake()
        with self._using:
            if self._pid == pid():
                self._connection.close()
