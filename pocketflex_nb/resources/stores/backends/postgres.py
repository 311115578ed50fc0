"""The PostgreSQL store backend: tables and functions in the schema ``pocketflex``. Extra ``postgres``.

Each operation is one call of a function, hence one transaction and one round trip. The row of the store is locked until the commit, so
that versions become visible in their order; ``NOTIFY`` wakes those who wait.

References
----------
https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.core.errors import LockLost, ResourceError
from pocketflex_nb.resources.connections.connect import connect_within, reconnect
from pocketflex_nb.resources.connections.postgres import GUARD, arguments, client, connection_error, inherited
from pocketflex_nb.resources.connections.urls import Address, refused
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, ConnectionLost, FencingTokens, VersionConflict

if TYPE_CHECKING:
    from pocketflex_nb.resources.connections.postgres import Connection

__all__ = ["PostgresStoreBackend"]

#: created once, by the first user
_SCHEMA = GUARD + """
CREATE TABLE IF NOT EXISTS pocketflex.stores (name text PRIMARY KEY, version bigint NOT NULL, channel text NOT NULL);
CREATE TABLE IF NOT EXISTS pocketflex.entries (
    store text, key text, version bigint NOT NULL, value text NOT NULL, who text NOT NULL, PRIMARY KEY (store, key)
) WITH (fillfactor = 70);
CREATE TABLE IF NOT EXISTS pocketflex.log (
    store text, version bigint, key text NOT NULL, value text, who text NOT NULL, PRIMARY KEY (store, version)
);
CREATE TABLE IF NOT EXISTS pocketflex.locks (
    store text, name text, token bigint NOT NULL, until timestamptz NOT NULL, PRIMARY KEY (store, name)
);

CREATE OR REPLACE FUNCTION pocketflex.begin_2(s text, fence text[], tokens bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v bigint;
BEGIN
    UPDATE pocketflex.stores SET version = version + 1 WHERE name = s RETURNING version INTO v;
    IF EXISTS (SELECT 1 FROM pocketflex.log WHERE store = s AND version >= v) THEN  -- foreign rows: the numbers continue after them
        SELECT max(version) + 1 INTO v FROM pocketflex.log WHERE store = s;
        UPDATE pocketflex.stores SET version = v WHERE name = s;
    END IF;
    FOR i IN 1 .. coalesce(array_length(fence, 1), 0) LOOP
        PERFORM 1 FROM pocketflex.locks
            WHERE store = s AND name = fence[i] AND token = tokens[i] AND until > clock_timestamp() FOR SHARE;
        IF NOT FOUND THEN RAISE EXCEPTION 'lock %', i USING ERRCODE = 'PFX02'; END IF;
    END LOOP;
    RETURN v;
END $$;

CREATE OR REPLACE FUNCTION pocketflex.keep_1(s text, v bigint, k text, val text, w text, keep bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pocketflex.log VALUES (s, v, k, val, w);
    IF v % 256 = 0 THEN DELETE FROM pocketflex.log WHERE store = s AND version <= v - keep; END IF;
    PERFORM pg_notify((SELECT channel FROM pocketflex.stores WHERE name = s), '');
END $$;

CREATE OR REPLACE FUNCTION pocketflex.write_1(
    s text, k text, val text, w text, expect bigint, fence text[], tokens bigint[], keep bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v bigint := pocketflex.begin_2(s, fence, tokens); known bigint;
BEGIN
    IF expect IS NOT NULL THEN
        SELECT version INTO known FROM pocketflex.entries WHERE store = s AND key = k;
        IF coalesce(known, 0) <> expect THEN RAISE EXCEPTION 'changed' USING ERRCODE = 'PFX01'; END IF;
    END IF;
    IF val IS NULL THEN
        DELETE FROM pocketflex.entries WHERE store = s AND key = k;
    ELSE
        INSERT INTO pocketflex.entries VALUES (s, k, v, val, w)
            ON CONFLICT (store, key) DO UPDATE SET version = v, value = val, who = w;
    END IF;
    PERFORM pocketflex.keep_1(s, v, k, val, w, keep);
    RETURN v;
END $$;

CREATE OR REPLACE FUNCTION pocketflex.add_1(
    s text, k text, n bigint, lim bigint, res bigint, w text, fence text[], tokens bigint[], keep bigint, OUT v bigint, OUT val text
) LANGUAGE plpgsql AS $$
DECLARE total bigint;
BEGIN
    v := pocketflex.begin_2(s, fence, tokens);
    SELECT value INTO val FROM pocketflex.entries WHERE store = s AND key = k;
    IF val IS NOT NULL AND val !~ '^-?[0-9]{1,15}$' THEN RAISE EXCEPTION 'no number' USING ERRCODE = 'PFX03'; END IF;
    total := coalesce(val::bigint, 0) + n;
    IF abs(total) > 9007199254740992 THEN RAISE EXCEPTION 'too large' USING ERRCODE = 'PFX03'; END IF;
    IF lim IS NOT NULL AND ((n >= 0 AND total > lim) OR (n < 0 AND total < lim)) THEN total := res; END IF;
    val := total::text;
    INSERT INTO pocketflex.entries VALUES (s, k, v, val, w)
        ON CONFLICT (store, key) DO UPDATE SET version = EXCLUDED.version, value = EXCLUDED.value, who = EXCLUDED.who;
    PERFORM pocketflex.keep_1(s, v, k, val, w, keep);
END $$;
"""
#: the tables, functions or schema are missing: they were deleted
_EMPTIED = {"42P01", "42883", "3F000"}
_CHANGED, _NOT_HELD, _NO_NUMBER = "PFX01", "PFX02", "PFX03"
_SINCE = (
    "SELECT s.version, l.version, l.key, l.value, l.who FROM pocketflex.stores s LEFT JOIN pocketflex.log l "
    "ON l.store = s.name AND l.version > %s WHERE s.name = %s ORDER BY l.version"
)


class PostgresStoreBackend:
    """A store at a PostgreSQL server."""

    def __init__(self, address: Address, keep: int) -> None:
        self._psycopg = client(address)
        self.address, self.keep, self._store = address, keep, address.name
        self._channel = f"pfx_{hashlib.sha256(self._store.encode()).hexdigest()[:24]}"
        self._using = threading.Lock()
        self._pid = pid()
        self._waiting: tuple[int, Connection] | None = None
        self._waits, self._closed = threading.Lock(), False
        self._connection = connect_within(address, self._opened)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _opened(self) -> Connection:
        try:
            opened: Connection = self._psycopg.connect(self.address.url, **arguments(self.address))
            return opened
        except self._psycopg.Error as exc:
            error = connection_error(self._psycopg, self.address, exc)
        raise error  # not above, where psycopg's would be its context: that holds the password

    def _prepare(self) -> None:
        """Create schema and store, unless they exist: most users must not create them, and need not."""
        try:
            found = self._sent(
                "SELECT to_regprocedure('pocketflex.add_1(text,text,bigint,bigint,bigint,text,text[],bigint[],bigint)'), "
                "to_regprocedure('pocketflex.begin_2(text,text[],bigint[])')"
            )
            if not found or None in found[0]:
                with self._using, self._connection.transaction():
                    self._connection.execute(_SCHEMA, prepare=False)
            self._sent(
                "INSERT INTO pocketflex.stores VALUES (%s, 0, %s) ON CONFLICT DO NOTHING", (self._store, self._channel), rows=False
            )
        except self._psycopg.Error as exc:
            raise refused(self.address, exc) from None

    def _one(self, query: str, arguments: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        found = self._all(query, arguments)
        return found[0] if found else None

    def _all(self, query: str, arguments: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; `ConnectionLost` when the connection breaks, and ours when the server refuses it."""
        try:
            return self._sent(query, arguments)
        except self._psycopg.Error as exc:
            raise self._refuses(exc) from None

    def _refuses(self, exc: Exception) -> ResourceError:
        return ResourceError(f"{self.address.safe} refuses: {self.address.clean(exc)}", url=self.address.safe)

    def _sent(self, query: str, arguments: tuple[object, ...] = (), *, rows: bool = True) -> list[tuple[Any, ...]]:
        """Run one statement; the client's own errors, but `ConnectionLost` when the connection breaks."""
        psycopg = self._psycopg
        with self._using:
            if self._pid != pid():  # a child of `fork`: the connections are its parent's
                inherited.append((self._connection, self._waiting))
                self._connection, self._pid = self._opened(), pid()
            try:
                cursor = self._connection.execute(query, arguments)
                return cursor.fetchall() if rows else []
            except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
                if not self._connection.closed and not self._connection.broken:
                    raise self._refuses(exc) from None
                raise ConnectionLost(self.address.clean(exc)) from None
            except psycopg.ProgrammingError as exc:
                if exc.sqlstate not in _EMPTIED:
                    raise
                raise ConnectionLost(self.address.clean(exc)) from None

    def _called(self, query: str, arguments: tuple[object, ...], fence: FencingTokens) -> tuple[Any, ...] | None:
        """Call a function; its own errors become ours."""
        try:
            found = self._sent(query, arguments)
        except self._psycopg.Error as exc:
            if exc.sqlstate == _CHANGED:
                raise VersionConflict from None
            if exc.sqlstate == _NOT_HELD:
                raise LockLost(fence[int(str(exc).split()[1]) - 1][0]) from None
            if exc.sqlstate == _NO_NUMBER:
                return None
            raise self._refuses(exc) from None
        return found[0] if found else None

    # reading ---------------------------------------------------------------------------------------------------------
    def load(self) -> tuple[int, list[ChangeRow]]:
        """See `StoreBackend`."""
        found = self._all(
            "SELECT s.version, e.version, e.key, e.value, e.who FROM pocketflex.stores s LEFT JOIN pocketflex.entries e "
            "ON e.store = s.name WHERE s.name = %s ORDER BY e.version", (self._store,),
        )
        if not found:  # somebody has emptied the tables
            self._prepare()
            return 0, []
        return found[0][0], [row[1:] for row in found if row[1] is not None]

    def since(self, version: int) -> tuple[int, list[ChangeRow]]:
        """See `StoreBackend`."""
        found = self._one("SELECT version FROM pocketflex.stores WHERE name = %s", (self._store,))
        if found is not None and found[0] == version:  # mostly: one look by the key, as quick as reading the value itself
            return version, []
        rows = self._all(_SINCE, (version, self._store))
        return (rows[0][0], [row[1:] for row in rows if row[1] is not None]) if rows else (0, [])

    def past(self, version: int) -> list[ChangeRow]:
        """See `StoreBackend`."""
        return self._all(
            "SELECT version, key, value, who FROM pocketflex.log WHERE store = %s AND version <= %s ORDER BY version",
            (self._store, version),
        )

    # writing ---------------------------------------------------------------------------------------------------------
    def write(self, key: str, text: str | None, who: str, expect: int | None, fence: FencingTokens) -> int:
        """See `StoreBackend`."""
        arguments = (self._store, key, text, who, expect, *self._fence(fence), self.keep)
        found = self._called("SELECT pocketflex.write_1(%s,%s,%s,%s,%s,%s,%s,%s)", arguments, fence)
        assert found is not None  # the function returns a version, or raises
        return int(found[0])

    def add(self, key: str, n: float, limit: float | None, reset: float | None, who: str, fence: FencingTokens) -> tuple[int, str] | None:
        """See `StoreBackend`. Whole numbers only: the others are added here, and written if nobody else did meanwhile."""
        then = limit if reset is None else reset
        if not all(number is None or number.__class__ is int for number in (n, limit, then)):
            return None
        arguments = (self._store, key, n, limit, then, who, *self._fence(fence), self.keep)
        found = self._called("SELECT v, val FROM pocketflex.add_1(%s,%s,%s,%s,%s,%s,%s,%s,%s)", arguments, fence)
        return None if found is None else (int(found[0]), found[1])

    def _fence(self, fence: FencingTokens) -> tuple[list[str] | None, list[int] | None]:
        return ([name for name, _ in fence], [token for _, token in fence]) if fence else (None, None)

    # locks -----------------------------------------------------------------------------------------------------------
    def take_lock(self, name: str, owner: str, lease: float) -> int:
        """See `StoreBackend`. The row stays when the lock is given back, so that tokens go on rising; the clock is the server's."""
        found = self._one(
            "INSERT INTO pocketflex.locks AS l VALUES (%s, %s, 1, clock_timestamp() + %s * interval '1 second') "
            "ON CONFLICT (store, name) DO UPDATE SET token = l.token + 1, until = EXCLUDED.until "
            "WHERE l.until <= clock_timestamp() RETURNING token", (self._store, name, lease),
        )
        return 0 if found is None else int(found[0])

    def keep_lock(self, name: str, token: int, lease: float) -> bool:
        """See `StoreBackend`."""
        return self._until(name, token, lease)

    def drop_lock(self, name: str, token: int) -> bool:
        """See `StoreBackend`."""
        return self._until(name, token, 0.0)

    def _until(self, name: str, token: int, lease: float) -> bool:
        return self._one(
            "UPDATE pocketflex.locks SET until = clock_timestamp() + %s * interval '1 second' "
            "WHERE store = %s AND name = %s AND token = %s AND until > clock_timestamp() RETURNING 1", (lease, self._store, name, token),
        ) is not None

    def has_lock(self, name: str) -> bool:
        """See `StoreBackend`."""
        return self._one(
            "SELECT 1 FROM pocketflex.locks WHERE store = %s AND name = %s AND until > clock_timestamp()", (self._store, name)
        ) is not None

    # others ----------------------------------------------------------------------------------------------------------
    def wait(self, version: int, timeout: float) -> None:
        """See `StoreBackend`. The server wakes this connection at each commit."""
        try:
            with self._waits:
                if self._closed:
                    raise ConnectionLost("closed")
                if self._waiting is None or self._waiting[0] != pid():
                    self._waiting = pid(), self._opened()
                    self._waiting[1].execute(f"LISTEN {self._channel}")
                connection = self._waiting[1]
            found = connection.execute("SELECT version FROM pocketflex.stores WHERE name = %s", (self._store,)).fetchone()
            if found is None or found[0] != version:
                return
            for _ in connection.notifies(timeout=timeout, stop_after=1):
                return
        except self._psycopg.Error as exc:
            self._hang_up()
            raise ConnectionLost(self.address.clean(exc)) from None

    def _hang_up(self) -> None:
        """Close the waiting connection."""
        with self._waits:
            waiting, self._waiting = self._waiting, None
            if waiting is not None and waiting[0] == pid():
                waiting[1].close()

    def wake(self) -> None:
        """See `StoreBackend`: the server does."""

    def reopen(self) -> None:
        """See `StoreBackend`."""
        connection = reconnect(lambda: connect_within(self.address, self._opened))
        with self._using:
            self._connection.close()
            self._connection = connection
        self._prepare()

    def close(self) -> None:
        """See `StoreBackend`. Not in a child of `fork`: the connections are its parent's."""
        self._closed = True
        if self._pid == pid():
            self._connection.close()
        self._hang_up()
