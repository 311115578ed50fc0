"""An SQLite file as a connection: usable from any thread, and after a fork."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
import time
from typing import Any

from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.core.errors import ResourceError, Unreachable
from pocketflex_nb.resources.connections.sqlite_file_checks import OpenedFile, made_private, refuse_triggers, sqlite_text
from pocketflex_nb.resources.connections.urls import Address

__all__ = ["SqliteFile", "is_locked"]


#: seconds to try for, while other processes have the file locked
_PATIENCE = 30.0


class SqliteFile:
    """One connection to one file, for any thread; opened again in a forked child."""

    def __init__(self, address: Address, schema: str) -> None:
        self.address, self._schema = address, schema
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    def open(self) -> None:
        """Open the file and make the tables."""
        with self._lock:
            self._opened()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != pid():
            made = None
            made_private(self.address.path)
            try:
                # timeout 5: making the tables and the switch to WAL are rare, and may wait here
                made = sqlite3.connect(self.address.path, timeout=5, isolation_level=None, check_same_thread=False)
                made.execute("PRAGMA journal_mode = WAL")
                made.execute("PRAGMA synchronous = NORMAL")
                made.execute("PRAGMA wal_autocheckpoint = 4000")  # 16 MB: the one moment that waits for the disk comes less often
                made.text_factory = sqlite_text
                made.executescript(self._schema)
                refuse_triggers(made.execute, self.address)
                made.execute("PRAGMA busy_timeout = 0")
            except sqlite3.Error as exc:
                if made is not None:
                    made.close()
                raise Unreachable(
                    f"{self.address.safe} cannot be opened ({exc}); is the folder there, writable, and the file an SQLite file?",
                    url=self.address.safe,
                ) from exc
            except ResourceError:
                if made is not None:
                    made.close()
                raise
            self._connection, self._pid = made, pid()
            self._file = OpenedFile(self.address.path, self.address)
        return self._connection

    def once(self, sql: str, values: tuple[object, ...] = ()) -> tuple[list[tuple[Any, ...]], int]:
        """Rows and row count of one statement. Raises `sqlite3.OperationalError` when the file is locked."""
        with self._lock:
            connection = self._opened()
            self._file.check()
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else [], cursor.rowcount

    async def do(self, sql: str, values: tuple[object, ...] = ()) -> tuple[list[tuple[Any, ...]], int]:
        """`once`, tried again while the file is locked."""
        end, pause = 0.0, 0.001
        while True:
            try:
                return self.once(sql, values)
            except sqlite3.DatabaseError as exc:
                if not isinstance(exc, sqlite3.OperationalError) or not is_locked(exc):
                    raise ResourceError(f"{self.address.safe}: {exc}", url=self.address.safe) from exc
                now = time.monotonic()
                end = end or now + _PATIENCE
                if now > end:
                    raise ResourceError(
                        f"{self.address.safe} has been locked for {_PATIENCE:g} s; which process holds a transaction open?",
                        url=self.address.safe,
                    ) from exc
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, 0.02)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            made, self._connection = self._connection, None
            if made is not None and self._pid == pid():
                made.close()


def is_locked(exc: sqlite3.OperationalError) -> bool:
    """Whether another connection has the file locked (or its schema changed just now)."""
    return (exc.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_SCHEMA)
