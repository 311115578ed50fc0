"""The Redis store backend: two hashes, a counter, and a stream of the last changes. Extra ``redis``.

Each operation is one script, which Redis runs alone from beginning to end, and one round trip. A stream is what makes both the replica
and `watch` cheap: it gives what came after a number, and lets one connection wait for it.

References
----------
https://redis.io/docs/latest/develop/programmability/eval-intro/ and https://redis.io/docs/latest/commands/xread/
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.core.errors import BadURL, LockLost, ResourceError
from pocketflex_nb.resources.connections.connect import connect_within, reconnect
from pocketflex_nb.resources.connections.urls import CONNECT, Address, missing_extra, refused, unreachable
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, ConnectionLost, FencingTokens, VersionConflict

if TYPE_CHECKING:
    from redis.connection import AbstractConnection

__all__ = ["RedisStoreBackend"]

#: a part of a command
_Word = str | float

_PAGE = 5_000
_CHECK = "for i = 5, #KEYS do if redis.call('GET', KEYS[i]) ~= ARGV[i + 2] then return {-1, i - 4} end end\n"
_ADDED = "('XADD', KEYS[4], 'MAXLEN', '~', ARGV[6], string.format('%.0f-0', n), 'k', ARGV[1], 'v', text, 'w', who)\n"
#: a foreign entry after the last number prevents no write: the numbers continue after it
_LOG = "local told = redis.pcall" + _ADDED + """
if type(told) == 'table' and told.err then
  local facts, last = redis.call('XINFO', 'STREAM', KEYS[4]), '0'
  for i = 1, #facts, 2 do if facts[i] == 'last-generated-id' then last = facts[i + 1] end end
  n = tonumber(string.match(last, '^%d+')) + 1
  redis.call('SET', KEYS[3], string.format('%.0f', n))
  if text ~= '' then redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f ', n) .. who) end
  redis.call""" + _ADDED + "end\n"
_HOLD = "redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f ', n) .. who)\n"
#: key, text ('' deletes), who, version expected or '', nothing, changes kept; the tokens
_WRITE = _CHECK + """
local text, who = ARGV[2], ARGV[3]
if ARGV[4] ~= '' then
  local known = redis.call('HGET', KEYS[2], ARGV[1])
  if (known and string.match(known, '^%d+') or '0') ~= ARGV[4] then return {0, 0} end
end
local n = redis.call('INCR', KEYS[3])
if text == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], text)
""" + _HOLD + "end\n" + _LOG + "return {1, n}"
#: key, what to add, who, limit or '', what then, changes kept; the tokens. Lua's numbers are exact below 2**53
_ADD = _CHECK + """
local who, bound = ARGV[3], 9007199254740992
local total = redis.pcall('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
if type(total) ~= 'number' then return {2, 0} end
if total >= bound or total <= -bound then
  if ARGV[2] ~= '0' then redis.call('HINCRBY', KEYS[1], ARGV[1], -tonumber(ARGV[2])) end  -- Lua writes -0 for it, no integer
  return {2, 0}
end
local text = string.format('%.0f', total)
if ARGV[4] ~= '' then
  local limit = tonumber(ARGV[4])
  if (tonumber(ARGV[2]) >= 0 and total > limit) or (tonumber(ARGV[2]) < 0 and total < limit) then
    text = ARGV[5]
    redis.call('HSET', KEYS[1], ARGV[1], text)
  end
end
local n = redis.call('INCR', KEYS[3])
""" + _HOLD + _LOG + "return {1, n, text}"
_LOAD = "return {redis.call('GET', KEYS[3]) or '0', redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}"
_TAKE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local token = redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
return token
"""
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
_DROP = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class RedisStoreBackend:
    """A store at a Redis server."""

    def __init__(self, address: Address, keep: int) -> None:
        try:
            import redis
        except ImportError as exc:
            raise missing_extra(address, exc) from exc
        self._redis = redis
        self.address, self.keep = address, keep
        base = f"pfx:{{{address.name}}}:"  # the braces keep a store's keys on one node of a cluster
        self._keys = (f"{base}values", f"{base}who", f"{base}version", f"{base}log")
        self._lock, self._tokens = f"{base}lock:", f"{base}tokens"
        self._scripts: dict[str, str] = {}
        self._using = threading.Lock()
        self._pid = pid()
        self._waiting: tuple[int, AbstractConnection] | None = None
        self._waits, self._closed = threading.Lock(), False
        self._connection = connect_within(address, self._opened)

    def _opened(self) -> AbstractConnection:
        """One connection, used without a pool and without its retries: a write must not be repeated unnoticed."""
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        redis, address = self._redis, self.address
        try:
            pool = redis.ConnectionPool.from_url(
                address.url, socket_connect_timeout=CONNECT, socket_timeout=CONNECT, retry=Retry(NoBackoff(), 0), protocol=2,
                decode_responses=True, encoding="utf-8", encoding_errors="surrogateescape", health_check_interval=0,
            )
            connection: AbstractConnection = pool.make_connection()
        except (ValueError, TypeError, AttributeError) as exc:
            raise BadURL(f"{address.safe} cannot be used: {address.clean(exc)}", url=address.safe) from None
        try:
            connection.connect()
            connection.send_command("PING")
            connection.read_response()
        except redis.exceptions.AuthenticationError as exc:
            raise refused(address, exc) from None
        except redis.exceptions.ResponseError as exc:
            raise refused(address, exc) from None
        except (redis.exceptions.RedisError, OSError) as exc:
            raise unreachable(address, exc) from None
        return connection

    def _do(self, *command: _Word) -> Any:
        """Send one command and read its answer."""
        return self._sent((command,))[0]

    def _sent(self, commands: tuple[tuple[_Word, ...], ...]) -> list[Any]:
        """Send commands in one round trip, and read their answers; `ConnectionLost` when the connection breaks."""
        errors = self._redis.exceptions
        with self._using:
            if self._pid != pid():  # a child of `fork`: the connection is its parent's
                self._connection, self._pid = self._opened(), pid()
            connection = self._connection
            try:
                connection.send_packed_command((b"".join(map(_packed, commands)),), check_health=False)
                return [connection.read_response() for _ in commands]
            except errors.NoScriptError:
                raise
            except errors.ResponseError as exc:
                connection.disconnect()  # answers of the other commands may be on their way
                raise ResourceError(f"{self.address.safe} refuses: {self.address.clean(exc)}", url=self.address.safe) from None
            except (errors.RedisError, OSError) as exc:
                connection.disconnect()
                raise ConnectionLost(str(exc)) from None
            except BaseException:  # interrupted: an answer that nobody reads must not be the next one's
                connection.disconnect()
                raise

    def _run(self, script: str, keys: tuple[str, ...], *arguments: _Word) -> Any:
        sha = self._scripts.get(script)
        if sha is None:
            sha = self._scripts[script] = self._do("SCRIPT", "LOAD", script)
        try:
            return self._do("EVALSHA", sha, len(keys), *keys, *arguments)
        except self._redis.exceptions.NoScriptError:  # the server was restarted
            return self._do("EVAL", script, len(keys), *keys, *arguments)

    # reading ---------------------------------------------------------------------------------------------------------
    def load(self) -> tuple[int, list[ChangeRow]]:
        """See `StoreBackend`."""
        version, values, told = self._run(_LOAD, self._keys)
        whose = dict(zip(told[::2], told[1::2], strict=True))
        rows: list[ChangeRow] = []
        for key, text in zip(values[::2], values[1::2], strict=True):
            number, _, writer = whose.get(key, "").partition(" ")
            rows.append((int(number) if number.isdecimal() else 0, key, text, writer))
        return self._number(version), sorted(rows, key=lambda row: row[0])

    def _number(self, version: object) -> int:
        if not str(version or "0").isdecimal():
            raise ResourceError(
                f"{self.address.safe}: {self._keys[2]!r} holds {str(version)[:40]!r} where the version stands; delete it, or set it to a "
                "number beyond all that were given", url=self.address.safe,
            )
        return int(str(version or 0))

    def since(self, version: int) -> tuple[int, list[ChangeRow]]:
        """See `StoreBackend`."""
        rows: list[ChangeRow] = []
        while True:
            after = rows[-1][0] if rows else version
            now, found = self._sent((("GET", self._keys[2]), ("XREAD", "COUNT", _PAGE, "STREAMS", self._keys[3], f"{after}-0")))
            page = found[0][1] if found else []
            rows += [row for entry in page if (row := _row(entry)) is not None and row[0] > after]
            if len(page) < _PAGE:
                return max(self._number(now), rows[-1][0] if rows else 0), rows

    def past(self, version: int) -> list[ChangeRow]:
        """See `StoreBackend`."""
        entries = self._do("XRANGE", self._keys[3], "-", f"{version}-0")
        return [row for entry in entries if (row := _row(entry)) is not None]

    # writing ---------------------------------------------------------------------------------------------------------
    def write(self, key: str, text: str | None, who: str, expect: int | None, fence: FencingTokens) -> int:
        """See `StoreBackend`."""
        locks, tokens = self._fence(fence)
        told = self._run(_WRITE, (*self._keys, *locks), key, text or "", who, "" if expect is None else expect, "", self.keep, *tokens)
        if told[0] == 0:
            raise VersionConflict
        return self._version(told, fence)

    def add(self, key: str, n: float, limit: float | None, reset: float | None, who: str, fence: FencingTokens) -> tuple[int, str] | None:
        """See `StoreBackend`. Whole numbers only: the others are added here, and written if nobody else did meanwhile."""
        then = limit if reset is None else reset
        if not all(number is None or number.__class__ is int for number in (n, limit, then)):
            return None
        locks, tokens = self._fence(fence)
        bounds: tuple[_Word, _Word] = ("", "") if limit is None or then is None else (limit, then)
        told = self._run(_ADD, (*self._keys, *locks), key, n, who, *bounds, self.keep, *tokens)
        return None if told[0] == 2 else (self._version(told, fence), told[2])

    def _fence(self, fence: FencingTokens) -> tuple[list[str], list[int]]:
        return [self._lock + name for name, _ in fence], [token for _, token in fence]

    def _version(self, told: list[Any], fence: FencingTokens) -> int:
        if told[0] == -1:
            raise LockLost(fence[told[1] - 1][0])
        return int(told[1])

    # locks -----------------------------------------------------------------------------------------------------------
    def take_lock(self, name: str, owner: str, lease: float) -> int:
        """See `StoreBackend`."""
        return int(self._run(_TAKE, (self._lock + name, self._tokens), name, max(int(lease * 1000), 1)))

    def keep_lock(self, name: str, token: int, lease: float) -> bool:
        """See `StoreBackend`."""
        return bool(self._run(_RENEW, (self._lock + name,), token, max(int(lease * 1000), 1)))

    def drop_lock(self, name: str, token: int) -> bool:
        """See `StoreBackend`."""
        return bool(self._run(_DROP, (self._lock + name,), token))

    def has_lock(self, name: str) -> bool:
        """See `StoreBackend`."""
        return bool(self._do("EXISTS", self._lock + name))

    # others ----------------------------------------------------------------------------------------------------------
    def wait(self, version: int, timeout: float) -> None:
        """See `StoreBackend`. The server wakes this connection when there is something after `version`."""
        with self._waits:
            if self._closed:
                raise ConnectionLost("closed")
            if self._waiting is None or self._waiting[0] != pid():
                self._waiting = pid(), self._opened()
            connection = self._waiting[1]
        try:
            connection.send_command("XREAD", "BLOCK", int(timeout * 1000), "COUNT", 1, "STREAMS", self._keys[3], f"{version}-0")
            connection.read_response()
        except (self._redis.exceptions.RedisError, OSError) as exc:
            self._hang_up()
            raise ConnectionLost(str(exc)) from None

    def _hang_up(self) -> None:
        """Close the waiting connection."""
        with self._waits:
            waiting, self._waiting = self._waiting, None
            if waiting is not None and waiting[0] == pid():
                waiting[1].disconnect()

    def wake(self) -> None:
        """See `StoreBackend`: the server does."""

    def reopen(self) -> None:
        """See `StoreBackend`."""
        connection = reconnect(lambda: connect_within(self.address, self._opened))
        with self._using:
            self._connection.disconnect()
            self._connection = connection

    def close(self) -> None:
        """See `StoreBackend`. Not in a child of `fork`: the connections are its parent's."""
        self._closed = True
        if self._pid == pid():
            self._connection.disconnect()
        self._hang_up()


def _packed(command: tuple[_Word, ...]) -> bytes:
    """A command in wire format; redis-py's own packing costs several times as much, and every write needs it."""
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else b"%d" % part
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _row(entry: Any) -> ChangeRow | None:
    """An entry of the stream; None for one that is not a change of a store."""
    ident, fields = entry
    if len(fields) != 6 or fields[::2] != ["k", "v", "w"] or not ident.endswith("-0"):
        return None
    return int(ident.partition("-")[0]), fields[1], fields[3] or None, fields[5]
