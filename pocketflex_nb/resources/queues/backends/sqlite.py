"""The SQLite queue backend: a file that several processes of one machine share. Standard library only.

A message is a row; taking one is one UPDATE, so that SQLite's own lock decides who gets it. A taken row is due again when its lease
ends. Statements take some ten microseconds and run in the calling thread; a caller that finds the file locked sleeps and tries again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from pocketflex_nb.concurrency.waiters import WaitQueue, remaining
from pocketflex_nb.core.errors import ResourceError
from pocketflex_nb.resources.connections.sqlite import SqliteFile
from pocketflex_nb.resources.connections.sqlite_file_checks import SteadyClock, raw_of
from pocketflex_nb.resources.connections.stored_message import StoredMessage, new_id, stored_message
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.queues.backends.backend import QueueStats

__all__ = ["SqliteQueueBackend"]

#: seconds between two looks for messages of other processes
_LOOK = (0.004, 0.05)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pfx_queue (
    seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, key TEXT, body TEXT NOT NULL, headers TEXT NOT NULL,
    put_at REAL NOT NULL, due REAL NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0, owner TEXT, error TEXT NOT NULL DEFAULT '',
    dead INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS pfx_queue_due ON pfx_queue (queue, due) WHERE dead = 0;
CREATE INDEX IF NOT EXISTS pfx_queue_dead ON pfx_queue (queue, due) WHERE dead = 1;
"""
_PUT = "INSERT INTO pfx_queue (queue, id, key, body, headers, put_at, due) VALUES (?, ?, ?, ?, ?, ?, ?)"
_NEXT = "SELECT seq FROM pfx_queue WHERE queue = ? AND dead = 0 AND due <= ? ORDER BY due, seq LIMIT 1"
_COLUMNS = "id, body, headers, key, put_at, deliveries, error, seq"
_TAKE = f"UPDATE pfx_queue SET due = ?, owner = ?, deliveries = deliveries + 1 WHERE seq = ({_NEXT}) RETURNING {_COLUMNS}"
_DUE = "SELECT due, put_at FROM pfx_queue WHERE queue = ? AND dead = 0 ORDER BY due LIMIT 1"
#: rows that are neither dead nor alive
_UNDEAD = "UPDATE pfx_queue SET dead = 1, due = ?, error = 'unreadable: its state is not 0 or 1' WHERE queue = ? AND dead NOT IN (0, 1)"
#: rows whose time is no time: they would never be due
_TIMELESS = """UPDATE pfx_queue SET dead = 1, due = ?, error = 'unreadable: its time is no number'
               WHERE queue = ? AND dead = 0 AND typeof(due) NOT IN ('real', 'integer')"""
_MINE = "WHERE seq = ? AND owner = ? AND dead = 0"


class SqliteQueueBackend:
    """See the backend port."""

    is_leased = True

    def __init__(self, address: Address, lease: float) -> None:
        self.address, self._lease = address, lease
        self._file = SqliteFile(address, _SCHEMA)
        self._name = address.name
        self._lock = threading.Lock()
        self._waiters = WaitQueue(self._lock)
        self._clock = SteadyClock()

    async def open(self) -> None:
        """Open the file."""
        self._file.open()

    async def put(self, stored: StoredMessage, delay: float) -> None:
        """Insert a row."""
        now = self._clock.now()
        _, count = await self._file.do(_PUT, (self._name, stored.id, stored.key, stored.body, stored.headers, now, now + delay))
        if count != 1:
            raise ResourceError(f"{self.address.safe} did not take a message: a trigger drops it?", url=self.address.safe)
        self._wake(delay)

    def _wake(self, delay: float) -> None:
        with self._lock:
            if delay <= 0:
                self._waiters.wake_one()
            else:
                self._waiters.wake_all()

    async def receive(self, until: float | None, is_open: Callable[[], bool]) -> StoredMessage | None:
        """Lease the row that is due first."""
        look = _LOOK[0]
        while is_open():
            stored = await self._lease_next()
            if stored is not None:
                return stored
            while is_open():
                first, _ = await self._file.do(_DUE, (self._name,))
                due, put_at = first[0] if first else (None, None)
                if due is not None and not isinstance(due, (int, float)):
                    await self._file.do(_TIMELESS, (self._clock.now(), self._name))
                    continue
                if isinstance(put_at, (int, float)):
                    self._clock.saw(put_at)  # a message from the future: the clock was set back
                now, left = self._clock.now(), remaining(until)
                if due is not None and due <= now:
                    break
                if left is not None and left <= 0:
                    return None
                pauses = [look, *([due - now] if due is not None else []), *([left] if left is not None else [])]
                await self._pause(min(pauses))
                look = min(look * 1.3, _LOOK[1])
        return None

    async def _pause(self, seconds: float) -> None:
        with self._lock:
            waiter = self._waiters.add()
        await self._waiters.wait(waiter, max(seconds, 0.001))

    async def _lease_next(self) -> StoredMessage | None:
        now = self._clock.now()
        owner = new_id()
        rows, _ = await self._file.do(_TAKE, (now + self._lease, owner, self._name, now))
        return _stored(rows[0], owner) if rows else None

    async def ack(self, stored: StoredMessage) -> bool:
        """Delete the row."""
        return (await self._file.do(f"DELETE FROM pfx_queue {_MINE}", stored.tag))[1] == 1

    async def nack(self, stored: StoredMessage, delay: float) -> bool:
        """Make the row due."""
        sql = f"UPDATE pfx_queue SET due = ?, owner = NULL, error = ? {_MINE}"
        done = (await self._file.do(sql, (self._clock.now() + delay, stored.error, *stored.tag)))[1] == 1
        self._wake(delay)
        return done

    async def dead_letter(self, stored: StoredMessage) -> bool:
        """Mark the row dead."""
        sql = f"UPDATE pfx_queue SET dead = 1, due = ?, owner = NULL, error = ?, deliveries = ? {_MINE}"
        return (await self._file.do(sql, (self._clock.now(), stored.error, stored.deliveries, *stored.tag)))[1] == 1

    async def renew(self, messages: Iterable[StoredMessage]) -> list[StoredMessage]:
        """Extend each lease."""
        sql = f"UPDATE pfx_queue SET due = ? {_MINE}"
        return [stored for stored in messages if (await self._file.do(sql, (self._clock.now() + self._lease, *stored.tag)))[1] == 0]

    async def stats(self) -> QueueStats:
        """Count the rows."""
        sql = """SELECT count(*) FILTER (WHERE dead = 0 AND due <= ?1), count(*) FILTER (WHERE dead = 0 AND due > ?1 AND owner IS NULL),
                 count(*) FILTER (WHERE dead = 0 AND due > ?1 AND owner IS NOT NULL), count(*) FILTER (WHERE dead = 1)
                 FROM pfx_queue WHERE queue = ?2"""
        return QueueStats(*(await self._file.do(sql, (self._clock.now(), self._name)))[0][0])

    async def dead(self, limit: int) -> list[StoredMessage]:
        """The oldest dead rows."""
        await self._file.do(_UNDEAD, (self._clock.now(), self._name))
        sql = f"SELECT {_COLUMNS} FROM pfx_queue WHERE queue = ? AND dead = 1 ORDER BY due, seq LIMIT ?"
        return [_stored(row, "") for row in (await self._file.do(sql, (self._name, limit)))[0]]

    async def requeue(self, ids: frozenset[str]) -> int:
        """Mark them as available and due."""
        where, values = self._dead(ids)
        sql = f"UPDATE pfx_queue SET dead = 0, due = ?, deliveries = 0, error = '' {where}"
        count = (await self._file.do(sql, (self._clock.now(), *values)))[1]
        with self._lock:
            self._waiters.wake_all()
        return count

    async def discard(self, ids: frozenset[str]) -> int:
        """Delete them."""
        where, values = self._dead(ids)
        return (await self._file.do(f"DELETE FROM pfx_queue {where}", values))[1]

    def _dead(self, ids: frozenset[str]) -> tuple[str, tuple[Any, ...]]:
        """The condition of dead rows: those of `ids`, or all; an entry that has no text as its id goes by its number."""
        if not ids:
            return "WHERE queue = ? AND dead = 1", (self._name,)
        each = ["CAST(? AS TEXT)" if raw_of(id) else "?" for id in sorted(ids)]
        values = [(raw_of(id) or (id,))[0] for id in sorted(ids)]
        which = f"(id IN ({', '.join(each)}) OR ('unreadable-' || seq) IN ({', '.join(each)}))"
        return f"WHERE queue = ? AND dead = 1 AND {which}", (self._name, *values, *values)

    def drop(self, stored: StoredMessage) -> None:
        """Its lease will end."""

    async def close(self) -> None:
        """Close the file and wake the waiters."""
        with self._lock:
            self._waiters.wake_all()
        self._file.close()


def _stored(row: tuple[Any, ...], owner: str) -> StoredMessage:
    id, body, headers, key, put_at, deliveries, error, seq = row
    return stored_message(str(seq), (seq, owner), id=id, body=body, headers=headers, key=key, put_at=put_at, count=deliveries, error=error)
