"""The RabbitMQ queue backend: a quorum queue, publisher confirms, manual acknowledgements. Extra ``rabbitmq``.

========================  ==============================================================================================
``pfx.queue.NAME``        the quorum queue; it counts deliveries, even to consumers that were killed
``...NAME.delay.MS``      one for each length of delay in use: its messages expire into the queue; expires itself when unused
``...NAME.dead``          dead letters
========================  ==============================================================================================

With ``prefetch=1`` nothing is sent before it is requested: ``get`` pulls what is there (basic.get), else it is a consumer of its own
for one message. So no message waits in one process while another is idle. With a higher prefetch there is one lasting consumer.

References
----------
https://www.rabbitmq.com/docs/quorum-queues, https://www.rabbitmq.com/docs/confirms and https://www.rabbitmq.com/docs/ttl
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from pocketflex_nb.concurrency.waiters import remaining
from pocketflex_nb.resources.connections.rabbitmq import (
    AMQP_PATIENCE,
    ANSWER,
    LATEST,
    TRUST,
    UNUSED,
    AmqpConnection,
    AmqpConnectionPool,
    amqp_message,
    in_background,
    message_from_amqp,
    shielded,
)
from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.queues.backends.backend import QueueStats

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, FieldValue

__all__ = ["AmqpQueueBackend"]




class AmqpQueueBackend:
    """See the backend port. The server notices by itself when a consumer has ended, so there are no leases."""

    is_leased = False

    def __init__(self, address: Address, prefetch: int) -> None:
        self.address, self._prefetch = address, prefetch
        self._name = f"pfx.queue.{address.name}"
        self._dead = f"{self._name}.dead"
        self._connections = AmqpConnectionPool(address, self._prepare)
        self._delays: dict[str, float] = {}  # queues for delays that were declared here, and until when that is trusted

    async def _prepare(self, connection: AmqpConnection) -> None:
        await connection.putting.declare_queue(self._dead, durable=True)
        arguments: dict[str, FieldValue] = {"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": self._dead}
        await connection.taking.set_qos(prefetch_count=self._prefetch)
        connection.queue = await connection.taking.declare_queue(self._name, durable=True, arguments=arguments)
        self._delays = dict.fromkeys(self._delays, 0.0)

    async def open(self) -> None:
        """Connect, and declare the queues."""
        await self._connections.open()

    # producers -------------------------------------------------------------------------------------------------------
    async def put(self, stored: StoredMessage, delay: float) -> None:
        """Publish, and wait for the confirmation."""
        if delay > LATEST:
            raise ValueError(f"put(delay={delay!r}) at {self.address.safe}: RabbitMQ delays by {LATEST:,} seconds (48 days) at most")
        if delay > 0:
            await shielded(self._connections.do(lambda connection: self._publish_late(connection, stored, delay)))
        else:
            await shielded(self._connections.do(lambda connection: self._publish(connection, stored, self._name)))

    async def _publish(self, connection: AmqpConnection, stored: StoredMessage, queue: str) -> None:
        await connection.putting.default_exchange.publish(amqp_message(self._connections.pika, stored), queue, timeout=AMQP_PATIENCE)

    async def _publish_late(self, connection: AmqpConnection, stored: StoredMessage, delay: float) -> None:
        """Publish to a queue whose messages expire after `delay`. One for each length: only its head expires."""
        digits = max(0, len(str(math.ceil(delay * 1000))) - 3)
        ms = math.ceil(delay * 1000 / 10**digits) * 10**digits
        name = f"{self._name}.delay.{ms}"
        if self._delays.get(name, 0.0) < time.monotonic():
            arguments: dict[str, FieldValue] = {"x-message-ttl": ms, "x-expires": int(ms + UNUSED * 1000), "x-dead-letter-exchange": "",
                         "x-dead-letter-routing-key": self._name}
            await connection.putting.declare_queue(name, durable=True, arguments=arguments)
            self._delays[name] = time.monotonic() + TRUST
        await self._publish(connection, stored, name)

    # consumers -------------------------------------------------------------------------------------------------------
    async def receive(self, until: float | None, is_open: Callable[[], bool]) -> StoredMessage | None:
        """Pull the next message, or consume until one comes."""
        taken = await self._connections.do(lambda connection: self._next(connection, until, is_open))
        if taken is None:
            return None
        connection, message = taken
        return message_from_amqp(message, (connection, message))

    async def _next(
        self, connection: AmqpConnection, until: float | None, is_open: Callable[[], bool]
    ) -> tuple[AmqpConnection, AbstractIncomingMessage] | None:
        if not is_open():
            return None
        if self._prefetch > 1:
            message = await self._buffered(connection, until)
        else:
            message = await self._pull(connection)
            if message is None:
                left = remaining(until)
                message = await self._consume_one(connection, left) if left is None or left > 0 else None
        return None if message is None else (connection, message)

    async def _buffered(self, connection: AmqpConnection, until: float | None) -> AbstractIncomingMessage | None:
        if connection.buffer is None:  # not before somebody takes here: a connection that only puts must hold nothing back
            connection.buffer = asyncio.Queue()
            await connection.queue.consume(connection.buffer.put, timeout=ANSWER)
        if not connection.buffer.empty():
            return connection.buffer.get_nowait()
        left = remaining(until)
        getting = asyncio.ensure_future(connection.buffer.get())
        try:
            # what was just put needs some time to be sent ahead
            return await getting if await connection.first(getting, None if left is None else max(left, 0.05)) else None
        finally:
            getting.cancel()

    async def _pull(self, connection: AmqpConnection) -> AbstractIncomingMessage | None:
        """basic.get; when the caller is cancelled meanwhile, the message is given back."""
        pulling = asyncio.ensure_future(connection.queue.get(fail=False, timeout=ANSWER))
        try:
            return await asyncio.shield(pulling)
        except asyncio.CancelledError:
            in_background(self._return(pulling))
            raise

    async def _return(self, pulling: asyncio.Future[AbstractIncomingMessage | None]) -> None:
        message = await pulling
        if message is not None:
            await message.nack(requeue=True)

    async def _consume_one(self, connection: AmqpConnection, seconds: float | None) -> AbstractIncomingMessage | None:
        """Consume until one message came; with a prefetch of 1, there is no second one."""
        arrived: asyncio.Future[AbstractIncomingMessage] = connection.loop.create_future()
        tag = uuid.uuid4().hex

        async def deliver(message: AbstractIncomingMessage) -> None:
            if arrived.done():
                await message.nack(requeue=True)
            else:
                arrived.set_result(message)

        consuming = asyncio.ensure_future(connection.queue.consume(deliver, consumer_tag=tag, timeout=ANSWER))
        try:
            await asyncio.shield(consuming)
            if await connection.first(arrived, seconds):
                # On its way before the ack can be: else the next one is sent here, given back, and counted as delivered.
                await connection.queue.cancel(tag, nowait=True)
                return arrived.result()
            await shielded(connection.queue.cancel(tag, timeout=ANSWER))
            return arrived.result() if arrived.done() else None
        except asyncio.CancelledError:
            in_background(self._withdraw(connection, consuming, tag, arrived))
            raise
        finally:
            arrived.cancel()  # what is delivered from now on goes back

    async def _withdraw(
        self, connection: AmqpConnection, consuming: asyncio.Future[str], tag: str, arrived: asyncio.Future[AbstractIncomingMessage]
    ) -> None:
        await consuming
        await connection.queue.cancel(tag, timeout=ANSWER)
        if not arrived.cancelled():
            await arrived.result().nack(requeue=True)

    async def ack(self, stored: StoredMessage) -> bool:
        """basic.ack."""
        connection, message = stored.tag
        return await self._connections.answer(connection, message.ack)

    async def nack(self, stored: StoredMessage, delay: float) -> bool:
        """basic.nack; with a delay, put it again and acknowledge this one."""
        connection, message = stored.tag
        if delay > 0:
            await self.put(stored, delay)
            return await self._connections.answer(connection, message.ack)
        return await self._connections.answer(connection, lambda: message.nack(requeue=True))

    async def dead_letter(self, stored: StoredMessage) -> bool:
        """Publish it to the dead letters and acknowledge this one."""
        connection, message = stored.tag
        await shielded(self._connections.do(lambda connection: self._publish(connection, stored, self._dead)))
        return await self._connections.answer(connection, message.ack)

    async def renew(self, messages: Iterable[StoredMessage]) -> list[StoredMessage]:
        """Does nothing: there are no leases."""
        return []

    def drop(self, stored: StoredMessage) -> None:
        """Give it back, since it will not be acknowledged."""
        connection, message = stored.tag
        if not connection.loop.is_closed() and not connection.broken.done():
            try:
                connection.loop.call_soon_threadsafe(_nack, message)
            except RuntimeError:  # that loop was closed just now
                pass

    # what is there ---------------------------------------------------------------------------------------------------
    async def stats(self) -> QueueStats:
        """The server's counts. It does not report how many are held, and delays only by name: those that were used here."""
        ready, dead = await self._count(self._name), await self._count(self._dead)
        delayed = 0
        for name in list(self._delays):
            count = await self._count(name)
            if count is None:  # unused for so long that the server has forgotten it
                self._delays.pop(name, None)
            delayed += count or 0
        return QueueStats(ready or 0, delayed, None, dead or 0)

    async def _count(self, name: str) -> int | None:
        """Messages that are ready in one queue; None if there is no such queue."""

        async def ask(connection: AmqpConnection) -> int | None:
            channel = await connection.client.channel(publisher_confirms=False)
            try:
                queue = await channel.declare_queue(name, passive=True, timeout=ANSWER)
                return queue.declaration_result.message_count or 0
            except self._connections.errors.ChannelNotFoundEntity:
                return None
            finally:
                await channel.close()

        return await self._connections.do(ask)

    async def dead(self, limit: int) -> list[StoredMessage]:
        """Take them on a channel, and close it: the server puts all back in their order."""
        found: list[StoredMessage] = []

        async def look(connection: AmqpConnection, queue: AbstractQueue) -> None:
            found.clear()
            while len(found) < limit and (message := await queue.get(fail=False, timeout=ANSWER)) is not None:
                found.append(message_from_amqp(message, None, times=0))

        await self._with_dead(look)
        return found

    async def requeue(self, ids: frozenset[str]) -> int:
        """Publish them again."""

        async def publish(connection: AmqpConnection, stored: StoredMessage) -> None:
            stored.deliveries, stored.error = 0, ""
            await self._publish(connection, stored, self._name)

        return await self._unbury(ids, publish)

    async def discard(self, ids: frozenset[str]) -> int:
        """Acknowledge them."""

        async def forget(connection: AmqpConnection, stored: StoredMessage) -> None:
            pass

        return await self._unbury(ids, forget)

    async def _unbury(self, ids: frozenset[str], each: Callable[[AmqpConnection, StoredMessage], Awaitable[None]]) -> int:
        count = 0

        async def go(connection: AmqpConnection, queue: AbstractQueue) -> None:
            nonlocal count
            for _ in range(queue.declaration_result.message_count or 0):
                message = await queue.get(fail=False, timeout=ANSWER)
                if message is None:
                    return
                stored = message_from_amqp(message, None, times=0)
                if not ids or stored.id in ids:
                    await each(connection, stored)
                    await message.ack()
                    count += 1

        await self._with_dead(go)
        return count

    async def _with_dead(self, use: Callable[[AmqpConnection, AbstractQueue], Awaitable[None]]) -> None:
        async def send(connection: AmqpConnection) -> None:
            channel = await connection.client.channel(publisher_confirms=False)
            try:
                await use(connection, await channel.declare_queue(self._dead, durable=True, timeout=ANSWER))
            finally:
                await channel.close()

        await self._connections.do(send)

    async def close(self) -> None:
        """Close the connections; the server requeues unacknowledged messages."""
        await self._connections.close()


def _nack(message: AbstractIncomingMessage) -> None:
    in_background(message.nack(requeue=True))


