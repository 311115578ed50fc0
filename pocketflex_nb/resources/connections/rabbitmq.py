"""RabbitMQ connections, and the fields of a message there."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pocketflex_nb.concurrency.client_per_loop import ClientPerLoop
from pocketflex_nb.resources.connections.stored_message import StoredMessage, stored_message
from pocketflex_nb.resources.connections.urls import CONNECT, Address, missing_extra, refused, unreachable

if TYPE_CHECKING:
    from types import ModuleType

    from aio_pika import Message
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage, AbstractQueue

__all__ = [
    "AMQP_PATIENCE", "ANSWER", "LATEST", "TRUST", "UNUSED", "AmqpConnection", "AmqpConnectionPool", "amqp_message", "in_background",
    "message_from_amqp", "shielded",
]

_T = TypeVar("_T")

#: seconds to wait for a server that went away
AMQP_PATIENCE = 60.0

#: seconds that one answer may take before the connection counts as broken
ANSWER = 15.0

#: characters of headers that AMQP may have as headers, which must fit into one frame of 128 KiB; longer ones stand before the body
_HEADERS = 16_000

#: seconds of the longest delay: the server counts milliseconds in 32 bits
LATEST = 48 * 86_400

#: seconds that an unused queue for delays is kept, and for which its declaration is trusted
UNUSED, TRUST = 60.0, 20.0

_background: set[asyncio.Task[object]] = set()


def in_background(coro: Coroutine[object, None, _T]) -> asyncio.Task[_T]:
    """Run `coro` on the running loop; an error means that the connection broke, which has undone what it was to undo."""
    task = asyncio.get_running_loop().create_task(coro)
    _background.add(task)

    def ended(task: asyncio.Task[_T]) -> None:
        _background.discard(task)
        if not task.cancelled():
            task.exception()

    task.add_done_callback(ended)
    return task


async def shielded(coro: Coroutine[object, None, _T]) -> _T:
    """Wait for `coro`, which continues when the caller is cancelled: aiormq's asyncio.wait_for would lose that on Python 3.11."""
    return await asyncio.shield(in_background(coro))


class AmqpConnection:
    """One connection on one loop, with one channel to publish and one to consume.

    Attributes
    ----------
    queue, exchange : AbstractQueue, AbstractExchange
        What the pool's `prepare` made, of a queue or of a topic.
    broken : Future
        Done once the connection is lost.
    """

    queue: AbstractQueue
    exchange: AbstractExchange

    def __init__(self, client: AbstractConnection, putting: AbstractChannel, taking: AbstractChannel) -> None:
        self.client, self.putting, self.taking = client, putting, taking
        self.loop = asyncio.get_running_loop()
        self.broken: asyncio.Future[None] = self.loop.create_future()
        self.buffer: asyncio.Queue[AbstractIncomingMessage] | None = None
        for thing in (client, putting, taking):
            thing.close_callbacks.add(self._break)

    def _break(self, *_: object) -> None:
        if not self.broken.done():
            self.broken.set_result(None)

    async def first(self, future: asyncio.Future[Any], seconds: float | None) -> bool:
        """Wait for `future`; False when `seconds` are over. Raises `ConnectionError` when the connection broke."""
        await asyncio.wait({future, self.broken}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return True
        if self.broken.done():
            raise ConnectionError("the connection was lost")
        return False


class AmqpConnectionPool:
    """Connections to one server: one per loop, reconnected when they break.

    Parameters
    ----------
    prepare : coroutine function
        Makes what is needed at the server, for each new connection.
    """

    def __init__(self, address: Address, prepare: Callable[[AmqpConnection], Awaitable[None]]) -> None:
        try:
            import aio_pika
            import aio_pika.exceptions as errors
        except ImportError as exc:
            raise missing_extra(address, exc) from exc
        self.address, self.pika, self.errors = address, aio_pika, errors
        for name in ("aiormq", "aio_pika"):  # a lost connection is no news for stderr: who wants it configures logging
            if not (log := logging.getLogger(name)).handlers:
                log.addHandler(logging.NullHandler())
        self._prepare = prepare
        self._connections: ClientPerLoop[AmqpConnection] = ClientPerLoop(self._connect, _end)
        self._away = (*errors.CONNECTION_EXCEPTIONS, TimeoutError)
        self.is_closed = False

    async def _connect(self) -> AmqpConnection:
        # asked by hand first: aiormq logs each failed attempt as an error, and while a server restarts there are many
        _, probe = await asyncio.wait_for(asyncio.open_connection(self.address.host, self.address.port), CONNECT)
        probe.close()
        made: list[AbstractConnection] = []

        def keep(*args: object, **options: object) -> AbstractConnection:
            made.append(self.pika.Connection(*args, **options))
            return made[0]

        try:
            client = await self.pika.connect(self.address.url, timeout=CONNECT, connection_class=keep)
            async with asyncio.timeout(ANSWER):
                putting = await client.channel(publisher_confirms=True, on_return_raises=True)
                connection = AmqpConnection(client, putting, await client.channel(publisher_confirms=False))
                await self._prepare(connection)
        except BaseException:
            for begun in made:
                await _closed(begun)
            raise
        return connection

    def _refused(self, exc: BaseException) -> bool:
        kinds = (self.errors.AuthenticationError, self.errors.ProbableAuthenticationError, self.errors.ChannelPreconditionFailed)
        text = str(exc)
        return isinstance(exc, kinds) or "ACCESS_REFUSED" in text or "NOT_ALLOWED" in text

    async def open(self) -> None:
        """Connect. Raises `Unreachable` or `Refused`."""
        try:
            await self._connections.get()
        except self._away as exc:
            raise self._told(exc) from None

    def _told(self, exc: BaseException) -> Exception:
        if "got <Connection.Close" in str(exc):  # aiormq tells no more of what the server said
            host = self.address.path or "/"
            return refused(self.address, f"it closed the connection at once; is there a virtual host {host!r}, and may this user use it?")
        return (refused if self._refused(exc) else unreachable)(self.address, exc)

    async def do(self, send: Callable[[AmqpConnection], Awaitable[_T]]) -> _T:
        """``await send(connection)``, again on a new connection while the server is down, for `AMQP_PATIENCE` seconds."""
        until, pause = 0.0, 0.05
        while True:
            connection = None
            try:
                connection = self._connections.known() or await self._connections.get()
                return await send(connection)
            except self._away as exc:
                if self._refused(exc):
                    raise refused(self.address, exc) from None
                until = until or time.monotonic() + AMQP_PATIENCE
                if connection is not None:
                    await self._connections.drop(connection)
                if time.monotonic() > until or self.is_closed:
                    raise unreachable(self.address, exc) from None
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    async def answer(self, connection: AmqpConnection, send: Callable[[], Coroutine[object, None, object]]) -> bool:
        """``await send()`` on the loop of `connection`; False when that connection is closed, which lost its unacknowledged messages."""
        if connection.loop is not asyncio.get_running_loop():
            if not connection.loop.is_running():
                return False
            sent = asyncio.run_coroutine_threadsafe(self.answer(connection, send), connection.loop)
            return await asyncio.wrap_future(sent)
        try:
            await shielded(send())
        except self._away:
            return False
        return not connection.broken.done()

    async def close(self) -> None:
        """End every connection."""
        self.is_closed = True
        await self._connections.close()


async def _end(connection: AmqpConnection) -> None:
    connection._break()
    await _closed(connection.client)


async def _closed(client: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(2):
            await client.close()
    except Exception:  # it was broken already
        pass


def amqp_message(pika: ModuleType, stored: StoredMessage) -> Message:
    """A message in AMQP's form; defaults are left out."""
    headers: dict[str, str | int] = {"t": repr(stored.put_at)}
    body = stored.body.encode()
    if len(stored.headers) > _HEADERS:
        before = stored.headers.encode()
        headers["l"], body = len(before), before + body
    elif stored.headers != "{}":
        headers["h"] = stored.headers
    if stored.key is not None:
        headers["k"] = stored.key
    if stored.deliveries:
        headers["n"] = stored.deliveries
    if stored.error:
        headers["e"] = stored.error
    message: Message = pika.Message(body, headers=headers, message_id=stored.id, delivery_mode=pika.DeliveryMode.PERSISTENT,
                                    content_type="application/json")
    return message


def message_from_amqp(message: AbstractIncomingMessage, tag: object, *, times: int = 1) -> StoredMessage:
    """The message received over AMQP."""
    headers, body = message.headers or {}, message.body
    length = found if isinstance(found := headers.get("l", 0), int) else 0
    written = body[:length].decode("utf-8", "backslashreplace") if length else headers.get("h")
    before, again = headers.get("n", 0), headers.get("x-delivery-count", 0)
    count = before + times * (again + 1) if isinstance(before, int) and isinstance(again, int) else before
    return stored_message(
        hashlib.sha256(body).hexdigest()[:16], tag, id=message.message_id, body=body[length:].decode("utf-8", "backslashreplace"),
        headers=written, key=headers.get("k"), put_at=headers.get("t", 0), count=count, error=headers.get("e"),
    )
