"""Redis connections, and the fields of a message there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pocketflex_nb.concurrency.client_per_loop import ClientPerLoop
from pocketflex_nb.core.errors import BadURL
from pocketflex_nb.resources.connections.stored_message import StoredMessage, stored_message
from pocketflex_nb.resources.connections.urls import CONNECT, Address, missing_extra, refused, unreachable

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisConnections", "entry_fields", "json_of", "message_from_entry"]

ReplyT = TypeVar("ReplyT")

#: seconds to wait for a server that went away
_PATIENCE = 30.0

#: seconds that one answer may take before the connection counts as broken
_ANSWER = 2 * CONNECT


class RedisConnections:
    """Connections to one server: a pool per loop, and commands that are sent again after the server was down."""

    def __init__(self, address: Address) -> None:
        try:
            import redis.asyncio as client
            import redis.exceptions as errors
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as exc:
            raise missing_extra(address, exc) from exc
        self.address, self.errors = address, errors
        self._client = client
        self._never = Retry(NoBackoff(), 0)  # the retrying is ours: it must end, and say where
        self._connections: ClientPerLoop[Redis] = ClientPerLoop(self._connect, _end)
        # InvalidResponse: who tries again and again to reach a port of its own machine's range may be answered by itself
        self._away = (errors.ConnectionError, errors.TimeoutError, errors.ReadOnlyError, errors.InvalidResponse, OSError)
        self._shas: dict[str, str] = {}
        self.is_closed = False

    async def _connect(self) -> Redis:
        address = self.address
        try:
            # no socket_timeout: the client's asyncio.wait_for would lose a cancellation on Python 3.11 (cpython #81839)
            return self._client.Redis.from_url(
                address.url, decode_responses=True, encoding="utf-8", encoding_errors="surrogateescape",
                socket_connect_timeout=CONNECT, socket_timeout=None,
                retry=self._never, protocol=2, health_check_interval=0,
            )
        except (ValueError, TypeError, AttributeError) as exc:
            raise BadURL(f"{address.safe} cannot be used: {address.clean(exc)}", url=address.safe) from None

    async def open(self) -> None:
        """Check that the server answers."""
        try:
            await (await self._connections.get()).ping()
        except self.errors.RedisError as exc:
            raise self._told(exc) from None
        except OSError as exc:
            raise unreachable(self.address, exc) from None

    def _told(self, exc: Exception) -> Exception:
        is_refusal = isinstance(exc, (self.errors.AuthenticationError, self.errors.AuthorizationError, self.errors.ResponseError))
        return (refused if is_refusal else unreachable)(self.address, exc)

    def _raise_refusal(self, exc: Exception) -> None:
        """Raise `exc` as ours when the server is there and refuses: trying again would not help."""
        if isinstance(exc, (self.errors.AuthenticationError, self.errors.AuthorizationError)):
            raise refused(self.address, exc) from None

    async def do(self, send: Callable[[Redis], Awaitable[ReplyT]]) -> ReplyT:
        """``await send(client)``, again while the server is down, for `_PATIENCE` seconds."""
        client = self._connections.known() or await self._connections.get()
        try:
            async with asyncio.timeout(_ANSWER):
                return await send(client)
        except self._away as exc:
            self._raise_refusal(exc)
            return await self._do_again(send, client, exc)

    async def _do_again(self, send: Callable[[Redis], Awaitable[ReplyT]], client: Redis, cause: Exception) -> ReplyT:
        until, pause = time.monotonic() + _PATIENCE, 0.02
        while time.monotonic() < until and not self.is_closed:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.5)
            try:
                async with asyncio.timeout(_ANSWER):
                    return await send(client)
            except self._away as exc:
                self._raise_refusal(exc)
                cause = exc
        raise unreachable(self.address, cause) from None

    async def command(self, *words: str | float) -> Any:
        """One command."""
        return await self.do(lambda client: client.execute_command(*words))

    async def pipeline(self, *commands: tuple[str | float, ...]) -> list[Any]:
        """The replies to several commands, sent in one round trip."""

        async def send(client: Redis) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            for words in commands:
                pipe.execute_command(*words)
            return await pipe.execute()

        return await self.do(send)

    async def script(self, text: str, keys: tuple[str, ...], *values: str | float) -> Any:
        """One script, by its hash where the server knows it."""
        sha = self._shas.get(text)
        if sha is None:
            sha = self._shas[text] = await self.command("SCRIPT LOAD", text)
        try:
            return await self.command("EVALSHA", sha, len(keys), *keys, *values)
        except self.errors.NoScriptError:  # the server was restarted
            return await self.command("EVAL", text, len(keys), *keys, *values)

    async def close(self) -> None:
        """End every connection; nothing is sent again from now on."""
        self.is_closed = True
        await self._connections.close()


async def _end(client: Redis) -> None:
    try:
        async with asyncio.timeout(2):
            await client.aclose()
    except Exception:  # it was broken already
        pass


def entry_fields(stored: StoredMessage) -> list[str]:
    """A message as the fields of an entry; defaults are left out."""
    fields = ["i", stored.id, "b", stored.body, "t", repr(stored.put_at)]
    if stored.headers != "{}":
        fields += ["h", stored.headers]
    if stored.key is not None:
        fields += ["k", stored.key]
    if stored.deliveries:
        fields += ["n", str(stored.deliveries)]
    return [*fields, "e", stored.error] if stored.error else fields


def json_of(fields: list[str]) -> str:
    """Fields as the JSON object that a script reads."""
    return json.dumps(fields, ensure_ascii=False)


def message_from_entry(entry: str, fields: dict[str, str], times: int) -> StoredMessage:
    """The message of an entry that was delivered that many times."""
    count = fields.get("n", "0")
    return stored_message(
        entry, (entry, times), id=fields.get("i"), body=fields.get("b"), headers=fields.get("h"), key=fields.get("k"),
        put_at=fields.get("t"), count=int(count) + times if count.isdecimal() else count, error=fields.get("e"),
    )
