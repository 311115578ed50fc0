"""The Redis topic backend: a stream of the last messages, numbered without gaps. Extra ``redis``.

A stream instead of PUBLISH: a subscriber whose connection broke continues where it was, and can tell how much it has missed.
"""

from __future__ import annotations

from collections.abc import Callable

from pocketflex_nb.core.errors import ResourceError
from pocketflex_nb.resources.connections.redis import RedisConnections, entry_fields, message_from_entry
from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address, refused
from pocketflex_nb.resources.topics.backends.backend import Feed, followed

__all__ = ["RedisTopicBackend"]

_PAGE = 500
#: milliseconds that one XREAD waits
_BLOCK = 1_000
#: stream, counter; messages kept, fields. A foreign entry after the last number prevents nothing: the numbers continue after it
_PUBLISH = """
local n = redis.call('INCR', KEYS[2])
local fields = {}
for i = 2, #ARGV do fields[i - 1] = ARGV[i] end
local added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], string.format('%.0f-0', n), unpack(fields))
if type(added) == 'table' and added.err then
  local facts, last = redis.call('XINFO', 'STREAM', KEYS[1]), '0'
  for i = 1, #facts, 2 do if facts[i] == 'last-generated-id' then last = facts[i + 1] end end
  n = tonumber(string.match(last, '^%d+')) + 1
  redis.call('SET', KEYS[2], string.format('%.0f', n))
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], string.format('%.0f-0', n), unpack(fields))
end
return n
"""


class RedisTopicBackend:
    """See `TopicBackend`."""

    def __init__(self, address: Address, keep: int) -> None:
        self.address, self._keep = address, keep
        self._connections = RedisConnections(address)
        base = f"pfx:{{{address.name}}}:topic"
        self._stream, self._counter = base, f"{base}:number"

    async def open(self) -> None:
        """Connect."""
        await self._connections.open()

    async def publish(self, stored: StoredMessage) -> None:
        """Append it with the next number."""
        try:
            await self._connections.script(_PUBLISH, (self._stream, self._counter), self._keep, *entry_fields(stored))
        except self._connections.errors.ResponseError as exc:
            raise refused(self.address, exc) from None

    async def attach(self, feed: Feed) -> Callable[[], None]:
        """Begin after the last number."""
        return followed(self._follow(feed, await self._last()), feed)

    async def _last(self) -> int:
        return int(await self._connections.command("GET", self._counter) or 0)

    async def _follow(self, feed: Feed, last: int) -> None:
        while not self._connections.is_closed:
            try:
                told = await self._connections.command("XREAD", "COUNT", _PAGE, "BLOCK", _BLOCK, "STREAMS", self._stream, f"{last}-0")
            except ResourceError:
                if self._connections.is_closed:
                    return
                raise
            if not told:
                last = min(last, await self._last())  # a server that kept nothing counts from 1 again
                continue
            entries: list[tuple[str, dict[str, str]]] = told[0][1]
            first = int(entries[0][0].partition("-")[0])
            missed, last = max(first - last - 1, 0), int(entries[-1][0].partition("-")[0])
            if not feed.push([message_from_entry(entry, fields, 0) for entry, fields in entries], missed):
                return

    async def close(self) -> None:
        """End the connections."""
        await self._connections.close()
