"""The SQLite topic backend, for processes of one machine: the last messages are rows, and subscribers poll for new ones."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pocketflex_nb.concurrency.waiters import WaitQueue
from pocketflex_nb.resources.connections.sqlite import SqliteFile
from pocketflex_nb.resources.connections.stored_message import StoredMessage, stored_message
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.topics.backends.backend import Feed, followed

__all__ = ["SqliteTopicBackend"]

#: seconds between two looks for what other processes have published
_LOOK = (0.005, 0.04)
_PAGE = 500
#: old rows are deleted once in so many publications
_TRIM = 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pfx_topic (
    topic TEXT NOT NULL, n INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, headers TEXT NOT NULL, put_at REAL NOT NULL,
    PRIMARY KEY (topic, n)
) WITHOUT ROWID;
"""
#: a number that `publish` gave; any other is a foreign row's, which would come last for ever and is numbered anew
_GIVEN = "typeof(n) = 'integer' AND n BETWEEN 1 AND 4611686018427387904"
_LAST = f"SELECT coalesce(max(n), 0) FROM pfx_topic WHERE topic = ?1 AND {_GIVEN}"
_NUMBERED = f"""UPDATE pfx_topic SET n = ({_LAST}) + 1
                WHERE topic = ?1 AND n = (SELECT n FROM pfx_topic WHERE topic = ?1 AND NOT ({_GIVEN}) LIMIT 1)"""
_PUBLISH = f"INSERT INTO pfx_topic VALUES (?1, ({_LAST}) + 1, ?2, ?3, ?4, ?5) RETURNING n"
_NEWS = "SELECT n, id, body, headers, put_at FROM pfx_topic WHERE topic = ? AND n > ? ORDER BY n LIMIT ?"


class SqliteTopicBackend:
    """See `TopicBackend`."""

    def __init__(self, address: Address, keep: int) -> None:
        self.address, self._keep = address, keep
        self._file = SqliteFile(address, _SCHEMA)
        self._lock = threading.Lock()
        self._waiters = WaitQueue(self._lock)
        self._is_closed = False

    async def open(self) -> None:
        """Open the file."""
        self._file.open()

    async def publish(self, stored: StoredMessage) -> None:
        """Insert a row with the next number."""
        rows, _ = await self._file.do(_PUBLISH, (self.address.name, stored.id, stored.body, stored.headers, stored.put_at))
        n = rows[0][0]
        with self._lock:
            self._waiters.wake_all()
        if n % _TRIM == 0:
            await self._file.do("DELETE FROM pfx_topic WHERE topic = ? AND n <= ?", (self.address.name, n - self._keep))

    async def attach(self, feed: Feed) -> Callable[[], None]:
        """Begin after the last row."""
        rows, _ = await self._file.do(_LAST, (self.address.name,))
        return followed(self._follow(feed, rows[0][0]), feed)

    async def _follow(self, feed: Feed, last: int) -> None:
        look = _LOOK[0]
        while not self._is_closed:
            with self._lock:
                waiter = self._waiters.add()  # before looking: what is published meanwhile wakes
            rows, _ = await self._file.do(_NEWS, (self.address.name, last, _PAGE))
            if rows and not all(row[0].__class__ is int and row[0] <= 1 << 62 for row in rows):
                await self._file.do(_NUMBERED, (self.address.name,))
                waiter.set_result(None)
            elif rows:
                messages = [
                    stored_message(str(n), None, id=id, body=body, headers=headers, put_at=put_at)
                    for n, id, body, headers, put_at in rows
                ]
                missed, last, look = rows[0][0] - last - 1, rows[-1][0], _LOOK[0]
                waiter.set_result(None)
                if not feed.push(messages, missed):
                    return
            await self._waiters.wait(waiter, look)
            look = min(look * 1.5, _LOOK[1])

    async def close(self) -> None:
        """Close the file."""
        self._is_closed = True
        with self._lock:
            self._waiters.wake_all()
        self._file.close()
