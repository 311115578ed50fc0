"""The RabbitMQ topic backend: a fanout exchange, and a queue for each subscriber. Extra ``rabbitmq``.

The subscriber's queue outlives its connection for a minute, so that a subscriber that was disconnected continues where it was.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from pocketflex_nb.core.errors import ResourceError
from pocketflex_nb.resources.connections.rabbitmq import (
    AMQP_PATIENCE,
    AmqpConnection,
    AmqpConnectionPool,
    amqp_message,
    message_from_amqp,
    shielded,
)
from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.topics.backends.backend import Feed, followed

__all__ = ["AmqpTopicBackend"]

#: milliseconds that the queue of a subscriber who is away is kept
_AWAY = 60_000
#: messages that the server sends ahead
_AHEAD = 200


class AmqpTopicBackend:
    """See `TopicBackend`."""

    def __init__(self, address: Address, keep: int) -> None:
        self.address, self._keep = address, keep
        self._exchange = f"pfx.topic.{address.name}"
        self._connections = AmqpConnectionPool(address, self._prepare)

    async def _prepare(self, connection: AmqpConnection) -> None:
        connection.exchange = await connection.putting.declare_exchange(self._exchange, "fanout", durable=True)
        await connection.taking.set_qos(prefetch_count=_AHEAD)

    async def open(self) -> None:
        """Connect, and declare the exchange."""
        await self._connections.open()

    async def publish(self, stored: StoredMessage) -> None:
        """Publish, and wait for the confirmation."""

        async def send(connection: AmqpConnection) -> None:
            # not mandatory: a topic without subscribers is not an error
            await connection.exchange.publish(amqp_message(self._connections.pika, stored), "", mandatory=False, timeout=AMQP_PATIENCE)

        await shielded(self._connections.do(send))

    async def attach(self, feed: Feed) -> Callable[[], None]:
        """Bind a queue of its own."""
        name = f"{self._exchange}.{uuid.uuid4().hex}"
        await self._connections.do(lambda connection: self._bound(connection, name))
        return followed(self._follow(feed, name), feed)

    async def _bound(self, connection: AmqpConnection, name: str) -> Any:
        queue = await connection.taking.declare_queue(name, durable=True, arguments={"x-expires": _AWAY, "x-max-length": self._keep})
        await queue.bind(self._exchange)
        return queue

    async def _follow(self, feed: Feed, name: str) -> None:
        seen: deque[str] = deque(maxlen=2 * _AHEAD)  # what the server sends again, when an acknowledgement was lost
        while not self._connections.is_closed:
            try:
                if not await self._connections.do(lambda connection: self._consume(connection, name, feed, seen)):
                    return
            except ResourceError:
                if self._connections.is_closed:
                    return
                raise

    async def _consume(self, connection: AmqpConnection, name: str, feed: Feed, seen: deque[str]) -> bool:
        """Push until no more is wanted; raises when the connection breaks, to be called again with another one."""
        queue = await self._bound(connection, name)
        unwanted: asyncio.Future[None] = connection.loop.create_future()

        async def deliver(message: Any) -> None:
            stored = message_from_amqp(message, None)
            wanted = True
            if stored.id not in seen:
                seen.append(stored.id)
                wanted = feed.push([stored], 0)
            await message.ack()
            if not wanted and not unwanted.done():
                unwanted.set_result(None)

        tag = await queue.consume(deliver)
        try:
            await connection.first(unwanted, None)
            await queue.cancel(tag)
            await queue.delete(if_unused=False, if_empty=False)
        except asyncio.CancelledError:
            await queue.delete(if_unused=False, if_empty=False)
            raise
        return False

    async def close(self) -> None:
        """End the connections."""
        await self._connections.close()
