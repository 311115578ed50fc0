"""The PostgreSQL topic backend: messages are rows numbered without gaps, NOTIFY wakes subscribers. Extra ``postgres``.

The rows carry the messages, not NOTIFY: its payload ends at 8000 bytes, and a subscriber whose connection broke continues where it was.
Publishing is one call of a function, hence one transaction; the row of the topic is locked until the commit, so that numbers become
visible in their order. All subscriptions of one `Topic` share one connection.

References
----------
https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.core.errors import ResourceError, Unreachable
from pocketflex_nb.resources.connections.postgres import GUARD, arguments, client, connection_error, inherited
from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import CONNECT, Address, refused, unreachable
from pocketflex_nb.resources.topics.backends.backend import Feed

if TYPE_CHECKING:
    from pocketflex_nb.resources.connections.postgres import AsyncConnection

__all__ = ["PostgresTopicBackend"]

#: seconds to wait for a server that went away
_PATIENCE = 30.0
#: seconds after which a subscriber checks without a notification
_LOOK = 5.0
_PAGE = 500
_SCHEMA = GUARD + """
CREATE TABLE IF NOT EXISTS pocketflex.topics (
    name text PRIMARY KEY, n bigint NOT NULL, born text NOT NULL DEFAULT md5(random()::text || clock_timestamp()::text)
);
CREATE TABLE IF NOT EXISTS pocketflex.news (
    topic text, n bigint, id text NOT NULL, body text NOT NULL, headers text NOT NULL, put_at double precision NOT NULL,
    PRIMARY KEY (topic, n)
);
CREATE OR REPLACE FUNCTION pocketflex.publish_2(
    t text, c text, i text, b text, h text, at double precision, keep bigint, again boolean
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v bigint;
BEGIN
    INSERT INTO pocketflex.topics AS known (name, n) VALUES (t, 1) ON CONFLICT (name) DO UPDATE SET n = known.n + 1 RETURNING n INTO v;
    IF again AND EXISTS (SELECT 1 FROM pocketflex.news WHERE topic = t AND id = i) THEN
        UPDATE pocketflex.topics SET n = v - 1 WHERE name = t;
        RETURN v - 1;
    END IF;
    INSERT INTO pocketflex.news VALUES (t, v, i, b, h, at) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN  -- a foreign row has that number: the numbers continue after it
        SELECT max(n) + 1 INTO v FROM pocketflex.news WHERE topic = t;
        UPDATE pocketflex.topics SET n = v WHERE name = t;
        INSERT INTO pocketflex.news VALUES (t, v, i, b, h, at);
    END IF;
    IF v % 64 = 0 THEN DELETE FROM pocketflex.news WHERE topic = t AND n <= v - keep; END IF;
    PERFORM pg_notify(c, '');
    RETURN v;
END $$;
"""
_IS_MADE = "SELECT to_regprocedure('pocketflex.publish_2(text,text,text,text,text,double precision,bigint,boolean)')"
_PUBLISH = "SELECT pocketflex.publish_2(%s,%s,%s,%s,%s,%s,%s,%s)"
#: of one row, or of none when nothing was published yet
_LAST = "SELECT coalesce(max(n), 0), coalesce(max(born), '') FROM pocketflex.topics WHERE name = %s"
_NEWS = "SELECT n, id, body, headers, put_at FROM pocketflex.news WHERE topic = %s AND n > %s ORDER BY n LIMIT %s"
#: the tables, functions or schema are missing: they were deleted
_EMPTIED = {"42P01", "42883", "3F000"}
_T = TypeVar("_T")


class PostgresTopicBackend:
    """See `TopicBackend`. Its connections, one to publish and one to follow, belong to the room's own loop."""

    def __init__(self, address: Address, keep: int) -> None:
        self.address, self._keep, self._psycopg = address, keep, client(address)
        self._channel = f"pfx_topic_{hashlib.sha256(address.name.encode()).hexdigest()[:24]}"
        self._begin()

    def _begin(self) -> None:
        """Start without connections in a child of `fork`: its parent's are not its own."""
        self._pid = pid()
        self._connection: AsyncConnection | None = None
        self._following: asyncio.Task[None] | None = None
        self._using = asyncio.Lock()
        self._feeds: dict[int, tuple[Feed, int]] = {}  # with the number of the last message that each was given
        self._born = ""  # tells this topic from another one of its name, made after somebody has deleted it
        self._is_closed = False

    # connecting ------------------------------------------------------------------------------------------------------
    async def _on_loop(self, coro: Coroutine[object, None, _T]) -> _T:
        """Wait, on any loop, for work on the room's own loop."""
        if self._pid != pid():
            inherited.append((self._connection, self._following))
            self._begin()
        if asyncio.get_running_loop() is io_thread.loop:
            return await coro
        return await asyncio.wrap_future(io_thread.submit(coro))

    async def _connect(self) -> AsyncConnection:
        psycopg, address = self._psycopg, self.address
        try:
            async with asyncio.timeout(CONNECT + 0.5):  # looking up a name may take longer than connecting
                connection: AsyncConnection = await psycopg.AsyncConnection.connect(address.url, **arguments(address))
                return connection
        except TimeoutError:
            error: Exception = unreachable(address, f"no answer within {CONNECT + 0.5:g} s")
        except psycopg.Error as exc:
            error = connection_error(psycopg, address, exc)
        raise error  # not above, where psycopg's would be its context: that holds the password

    async def _prepared(self) -> AsyncConnection:
        """A new connection, to a server where all is made that a topic needs: mostly it is, and who opens need not be allowed to."""
        connection = await self._connect()
        try:
            found = await (await connection.execute(_IS_MADE)).fetchone()
            if found is None or found[0] is None:
                async with connection.transaction():
                    await connection.execute(_SCHEMA, prepare=False)
        except self._psycopg.Error as exc:
            await connection.close()
            raise (unreachable if connection.broken else refused)(self.address, exc) from None
        except BaseException:
            await connection.close()
            raise
        return connection

    async def open(self) -> None:
        """Connect, and make the tables."""
        await self._on_loop(self._opened())

    async def _opened(self) -> None:
        async with self._using:
            self._connection = await self._prepared()

    async def _request(self, ask: Callable[[bool], tuple[str, tuple[object, ...]]]) -> list[tuple[Any, ...]]:
        """What a statement gives; asked again while the server is away, for `_PATIENCE` seconds. `ask` is told whether it is again."""
        until, pause, is_again = time.monotonic() + _PATIENCE, 0.02, False
        async with self._using:
            while True:
                try:
                    if self._connection is None or self._connection.closed:
                        self._connection = await self._prepared()
                    return list(await (await self._connection.execute(*ask(is_again))).fetchall())
                except self._psycopg.Error as exc:
                    connection, self._connection = self._connection, None
                    is_gone = connection is None or connection.closed or exc.sqlstate in _EMPTIED
                    cause = (unreachable if is_gone else refused)(self.address, exc)
                    if connection is not None:
                        await connection.close()
                except Unreachable as exc:
                    is_gone, cause = True, exc
                if not is_gone or self._is_closed or time.monotonic() + pause > until:
                    raise cause
                await asyncio.sleep(pause)
                pause, is_again = min(pause * 2, 0.5), True

    # publishing ------------------------------------------------------------------------------------------------------
    async def publish(self, stored: StoredMessage) -> None:
        """Insert a row with the next number."""
        values = self.address.name, self._channel, stored.id, stored.body, stored.headers, stored.put_at, self._keep
        await self._on_loop(self._request(lambda is_again: (_PUBLISH, (*values, is_again))))

    # following -------------------------------------------------------------------------------------------------------
    async def attach(self, feed: Feed) -> Callable[[], None]:
        """Begin after the last row."""
        return await self._on_loop(self._attach(feed))

    async def _attach(self, feed: Feed) -> Callable[[], None]:
        rows = await self._request(lambda _: (_LAST, (self.address.name,)))
        last, born = rows[0]
        self._know(born)
        self._feeds[id(feed)] = feed, int(last)
        loop = asyncio.get_running_loop()
        if self._following is None or self._following.done() or self._following.cancelling():
            self._following = loop.create_task(self._follow())

        def end() -> None:
            try:
                loop.call_soon_threadsafe(self._detach, id(feed))
            except RuntimeError:  # that loop was closed
                pass

        return end

    def _detach(self, number: int) -> None:
        self._feeds.pop(number, None)
        if not self._feeds:
            self._stop_following()

    def _stop_following(self) -> None:
        if self._following is not None and not self._following.cancelling():  # psycopg complains of a second time
            self._following.cancel()

    async def _follow(self) -> None:
        """Give every feed what is new, over a listening connection that is replaced when it breaks."""
        until = None
        while self._feeds:
            try:
                connection = await self._prepared()
                until = None
                try:
                    await connection.execute(f"LISTEN {self._channel}")
                    await self._listen(connection)
                finally:
                    await connection.close()
            except (self._psycopg.Error, ResourceError) as exc:
                until = until or time.monotonic() + _PATIENCE
                is_away = isinstance(exc, (Unreachable, self._psycopg.OperationalError)) or getattr(exc, "sqlstate", "") in _EMPTIED
                if not is_away or time.monotonic() > until:
                    self._fail(exc if isinstance(exc, ResourceError) else refused(self.address, exc))
                    return
                await asyncio.sleep(0.1)

    def _fail(self, error: Exception) -> None:
        feeds, self._feeds = list(self._feeds.values()), {}
        for feed, _ in feeds:
            feed.fail(error)

    async def _listen(self, connection: AsyncConnection) -> None:
        while self._feeds:
            first = min(at for _, at in self._feeds.values())
            rows = await (await connection.execute(_NEWS, (self.address.name, first, _PAGE))).fetchall()
            if rows:
                self._hand_out(rows)
            elif not await self._is_new(connection):
                async for _ in connection.notifies(timeout=_LOOK, stop_after=1):
                    pass

    async def _is_new(self, connection: AsyncConnection) -> bool:
        """Whether the topic was deleted and created again, so that its numbers restarted."""
        row = await (await connection.execute(_LAST, (self.address.name,))).fetchone()
        return row is not None and self._know(row[1])

    def _know(self, born: str) -> bool:
        was, self._born = self._born, born
        if born == was or not was:
            return False
        self._feeds = {number: (feed, 0) for number, (feed, _) in self._feeds.items()}
        return True

    def _hand_out(self, rows: list[tuple[Any, ...]]) -> None:
        messages = [StoredMessage(id, body, headers, None, put_at) for _, id, body, headers, put_at in rows]
        first, last = rows[0][0], rows[-1][0]
        for number, (feed, at) in list(self._feeds.items()):
            if last <= at:
                continue
            wanted = feed.push(messages[max(at + 1 - first, 0) :], max(first - at - 1, 0))
            if wanted:
                self._feeds[number] = feed, last
            else:
                self._feeds.pop(number, None)

    # the end ---------------------------------------------------------------------------------------------------------
    async def close(self) -> None:
        """End the connections."""
        if self._pid == pid():
            await self._on_loop(self._closing())

    async def _closing(self) -> None:
        self._is_closed = True
        self._feeds.clear()
        self._stop_following()
        if self._following is not None:
            await asyncio.wait({self._following})
        if self._connection is not None:
            await self._connection.close()
