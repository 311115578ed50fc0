"""The Redis queue backend: a stream with one consumer group. Extra ``redis``.

=====================  ===============================================================================================
``pfx:{NAME}:queue``   the stream; what was read and not acknowledged is in the group's list of pending entries
``...:delayed``        a sorted set of messages by the millisecond at which they are due
``...:dead``           a stream of dead letters
=====================  ===============================================================================================

An entry is deleted when it is acknowledged, so that the stream contains only what waits or is held. XAUTOCLAIM reassigns what has been
pending for a lease; a held entry is renewed by XCLAIM, which restarts its idle time. A message that is given back is appended again,
with its count, since a pending entry wakes no consumer.

References
----------
https://redis.io/docs/latest/develop/data-types/streams/ and https://redis.io/docs/latest/commands/xautoclaim/
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from pocketflex_nb.concurrency.waiters import remaining
from pocketflex_nb.resources.connections.redis import RedisConnections, entry_fields, json_of, message_from_entry
from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address, refused
from pocketflex_nb.resources.queues.backends.backend import QueueStats

__all__ = ["RedisQueueBackend"]

ReplyT = TypeVar("ReplyT")

#: seconds between two looks at delayed messages and ended leases
_TICK = 0.25
_GROUP = "workers"
_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
#: A clock that was set back would hold delayed messages up: what is due is computed from the latest known time.
_BACK = _NOW + """
local known = tonumber(redis.call('GET', KEYS[4]) or '0') or 0
if known > now + 1000 then
  local all = redis.call('ZRANGE', KEYS[2], 0, -1)
  for _, member in ipairs(all) do redis.call('ZINCRBY', KEYS[2], now - known, member) end
end
redis.call('SET', KEYS[4], string.format('%.0f', now))
"""
#: stream, delayed, dead, clock; group -> milliseconds until the next is due (-1: none) and how many were moved
_RIPEN = _BACK + """
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)
for _, member in ipairs(due) do
  redis.call('ZREM', KEYS[2], member)
  local ok, fields = pcall(cjson.decode, member)
  local told = ok and type(fields) == 'table' and #fields > 0 and #fields % 2 == 0
    and redis.pcall('XADD', KEYS[1], '*', unpack(fields)) or {err = 'no message'}
  if type(told) == 'table' and told.err then
    redis.call('XADD', KEYS[3], '*', 'i', 'unreadable-' .. redis.sha1hex(member), 'b', member, 't', '0', 'e',
      'unreadable: an entry among the delayed ones that is no message')
  end
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local wait = first[2] and math.max(first[2] - now, 0) or -1
"""
#: stream, delayed, dead, clock; group, consumer, lease in ms, where to go on -> wait, moved, where to go on, entry, times delivered
_MAINTAIN = _RIPEN + """
local told = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', 1)
local entry = told[2][1]
if not entry then return {wait, #due, told[1]} end
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)
return {wait, #due, told[1], entry, pending[1][4]}
"""
_HOLDS = """
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])[1]
local holds = pending and pending[4] == tonumber(ARGV[4])
"""
#: stream, target; group, consumer, entry, times delivered, "delayed" or "", ms, fields
_MOVE = _NOW + _HOLDS + """
if not holds then return 0 end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
if ARGV[5] == 'delayed' then
  redis.call('ZADD', KEYS[2], now + ARGV[6], ARGV[7])
else
  redis.call('XADD', KEYS[2], '*', unpack(cjson.decode(ARGV[7])))
end
return 1
"""
#: stream, delayed, dead, clock; ms, fields
_DELAY = _BACK + "return redis.call('ZADD', KEYS[2], now + ARGV[1], ARGV[2])"
#: stream; group, consumer, entry, times delivered
_RENEW = _HOLDS + """
if holds then redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'JUSTID') return 1 end
return 0
"""
_STATS = _NOW + """
local held = redis.call('XPENDING', KEYS[1], ARGV[1])[1]
local due, delayed = redis.call('ZCOUNT', KEYS[2], '-inf', now), redis.call('ZCARD', KEYS[2])
return {redis.call('XLEN', KEYS[1]) - held + due, delayed - due, held, redis.call('XLEN', KEYS[3])}
"""
#: dead, stream; "requeue" or "discard", ids as a JSON object ({} is all)
_UNBURY = """
local chosen, all = cjson.decode(ARGV[2]), ARGV[2] == '{}'
local count = 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  local fields, kept, id = entry[2], {}, nil
  for i = 1, #fields, 2 do
    if fields[i] == 'i' then id = fields[i + 1] end
    if fields[i] ~= 'n' and fields[i] ~= 'e' then kept[#kept + 1] = fields[i] kept[#kept + 1] = fields[i + 1] end
  end
  if not id then id = 'unreadable-' .. entry[1] end
  if all or chosen[id] then
    count = count + 1
    redis.call('XDEL', KEYS[1], entry[1])
    if ARGV[1] == 'requeue' and #kept > 0 then redis.call('XADD', KEYS[2], '*', unpack(kept)) end
  end
end
return count
"""
#: stream; group, a consumer or '' for those that have been away for an hour. One that holds nothing may be forgotten
_FORGET = """
for _, told in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local facts = {}
  for i = 1, #told, 2 do facts[told[i]] = told[i + 1] end
  if facts.pending == 0 and (facts.name == ARGV[2] or (ARGV[2] == '' and facts.idle > 3600000)) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts.name)
  end
end
return 1
"""


class RedisQueueBackend:
    """See the backend port."""

    is_leased = True

    def __init__(self, address: Address, lease: float) -> None:
        self.address, self._lease = address, int(lease * 1000)
        self._connections = RedisConnections(address)
        base = f"pfx:{{{address.name}}}:queue"  # the braces keep a queue's keys on one node of a cluster
        self._stream, self._delayed, self._dead = base, f"{base}:delayed", f"{base}:dead"
        self._clock = f"{base}:clock"
        self._who = uuid.uuid4().hex[:12]
        self._next_tick, self._cursor, self._due = 0.0, "0-0", 0.0

    @property
    def _consumer(self) -> str:
        return f"{self._who}:{os.getpid()}"

    async def open(self) -> None:
        """Connect, and make the stream with its group."""
        await self._connections.open()
        await self._make_group()
        await self._script(_FORGET, (self._stream,), _GROUP, "")

    async def _make_group(self) -> None:
        errors = self._connections.errors
        try:
            await self._connections.command("XGROUP CREATE", self._stream, _GROUP, "0", "MKSTREAM")
        except errors.ResponseError as exc:
            if "BUSYGROUP" not in str(exc):
                raise refused(self.address, exc) from None

    async def _script(self, text: str, keys: tuple[str, ...], *values: str | float) -> Any:
        return await self._grouped(lambda: self._connections.script(text, keys, *values))

    async def _grouped(self, send: Callable[[], Awaitable[ReplyT]]) -> ReplyT:
        """``await send()``; a server that lost the stream (no persistence, or flushed) gets a new one."""
        try:
            return await send()
        except self._connections.errors.ResponseError as exc:
            if "NOGROUP" not in str(exc) and "no such key" not in str(exc):
                raise refused(self.address, exc) from None
        await self._make_group()
        return await send()

    async def put(self, stored: StoredMessage, delay: float) -> None:
        """XADD, or ZADD with a delay."""
        fields = entry_fields(stored)
        if delay > 0:
            keys = (self._stream, self._delayed, self._dead, self._clock)
            await self._script(_DELAY, keys, int(delay * 1000), json_of(fields))
        else:
            await self._grouped(lambda: self._connections.command("XADD", self._stream, "*", *fields))

    async def receive(self, until: float | None, is_open: Callable[[], bool]) -> StoredMessage | None:
        """XREADGROUP; four times a second before that, what is due or whose lease has ended."""
        while is_open():
            now = time.monotonic()
            if now >= min(self._next_tick, self._due):
                stored = await self._safely(self._maintain())
                if stored is not None:
                    return stored
            left = remaining(until)
            pause = max(min(self._next_tick, self._due) - time.monotonic(), 0.0)
            stored = await self._safely(self._read(pause if left is None else min(pause, left)))
            if stored is not None or (left is not None and left <= 0):
                return stored
        return None

    async def _safely(self, taking: Coroutine[object, None, StoredMessage | None]) -> StoredMessage | None:
        """Wait for a command that takes a message. If the caller is cancelled meanwhile, it completes and the message is given back."""
        task: asyncio.Task[StoredMessage | None] = asyncio.ensure_future(taking)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._return)
            raise

    def _return(self, task: asyncio.Task[StoredMessage | None]) -> None:
        if not task.cancelled() and task.exception() is None and (stored := task.result()) is not None:
            stored.deliveries -= 1
            giving = asyncio.ensure_future(self.nack(stored, 0))
            _giving.add(giving)
            giving.add_done_callback(_giving.discard)

    async def _maintain(self) -> StoredMessage | None:
        self._next_tick, self._due = time.monotonic() + _TICK, float("inf")
        keys = (self._stream, self._delayed, self._dead, self._clock)
        wait, _, self._cursor, *claimed = await self._script(_MAINTAIN, keys, _GROUP, self._consumer, self._lease, self._cursor)
        if wait >= 0:
            self._due = time.monotonic() + wait / 1000
        if not claimed:
            return None
        self._next_tick = 0.0  # there may be more
        (entry, fields), times = claimed
        return message_from_entry(entry, dict(zip(fields[::2], fields[1::2], strict=True)), times)

    async def _read(self, pause: float) -> StoredMessage | None:
        block = ("BLOCK", max(int(pause * 1000), 1)) if pause > 0 else ()
        told = await self._grouped(lambda: self._connections.command(
            "XREADGROUP", "GROUP", _GROUP, self._consumer, "COUNT", 1, *block, "STREAMS", self._stream, ">",
        ))
        if not told:
            return None
        entry, fields = told[0][1][0]
        return message_from_entry(entry, fields, 1)

    async def ack(self, stored: StoredMessage) -> bool:
        """XACK and XDEL."""
        entry = stored.tag[0]
        acknowledged, _ = await self._connections.pipeline(("XACK", self._stream, _GROUP, entry), ("XDEL", self._stream, entry))
        return bool(acknowledged)

    async def nack(self, stored: StoredMessage, delay: float) -> bool:
        """Append it again, or store it with a delay."""
        where = ("delayed", self._delayed) if delay > 0 else ("", self._stream)
        return await self._move(stored, *where, int(delay * 1000))

    async def dead_letter(self, stored: StoredMessage) -> bool:
        """Append it to the dead letters."""
        return await self._move(stored, "", self._dead, 0)

    async def _move(self, stored: StoredMessage, how: str, target: str, delay: int) -> bool:
        entry, times, consumer = stored.tag[0], stored.tag[1], self._consumer
        done = await self._script(_MOVE, (self._stream, target), _GROUP, consumer, entry, times, how, delay, json_of(entry_fields(stored)))
        return bool(done)

    async def renew(self, messages: Iterable[StoredMessage]) -> list[StoredMessage]:
        """Restart their idle times."""
        return [stored for stored in messages if not await self._script(_RENEW, (self._stream,), _GROUP, self._consumer, *stored.tag)]

    async def stats(self) -> QueueStats:
        """Lengths."""
        return QueueStats(*await self._script(_STATS, (self._stream, self._delayed, self._dead), _GROUP))

    async def dead(self, limit: int) -> list[StoredMessage]:
        """The oldest dead letters."""
        found = await self._grouped(lambda: self._connections.command("XRANGE", self._dead, "-", "+", "COUNT", limit))
        return [message_from_entry(entry, fields, 0) for entry, fields in found]

    async def requeue(self, ids: frozenset[str]) -> int:
        """Append them to the stream again."""
        return await self._unbury("requeue", ids)

    async def discard(self, ids: frozenset[str]) -> int:
        """Delete them."""
        return await self._unbury("discard", ids)

    async def _unbury(self, how: str, ids: frozenset[str]) -> int:
        return int(await self._script(_UNBURY, (self._dead, self._stream), how, json.dumps(dict.fromkeys(sorted(ids), True))))

    def drop(self, stored: StoredMessage) -> None:
        """Its lease will end."""

    async def close(self) -> None:
        """Delete this consumer, if it holds nothing, and close the connections."""
        try:
            async with asyncio.timeout(1):
                await self._script(_FORGET, (self._stream,), _GROUP, self._consumer)
        except (TimeoutError, Exception):
            pass
        await self._connections.close()


_giving: set[asyncio.Future[bool]] = set()


