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
from typing import Any, TypeVar

from pocketflex_nb.concurrency.waiters import remaining
from pocketflex_nb.resources.connections.rabbitmq import (
    ANSWER,
    LATEST,
    PATIENCE,
    TRUST,
    UNUSED,
    AmqpLine,
    AmqpLines,
    in_background,
    mail_of,
    message_of,
    through,
)
from pocketflex_nb.resources.connections.stored_message import Mail
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.queues.backends.backend import QueueStats

__all__ = ["AmqpQueue"]


_T = TypeVar("_T")


class AmqpQueue:
    """See the backend port. The server notices by itself when a consumer has ended, so there are no leases."""

    is_leased = False

    def __init__(self, address: Address, prefetch: int) -> None:
        self.address, self._prefetch = address, prefetch
        self._name = f"pfx.queue.{address.name}"
        self._dead = f"{self._name}.dead"
        self._lines = AmqpLines(address, self._prepare)
        self._delays: dict[str, float] = {}  # queues for delays that were declared here, and until when that is trusted

    async def _prepare(self, line: AmqpLine) -> None:
        await line.putting.declare_queue(self._dead, durable=True)
        arguments = {"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": self._dead}
        await line.taking.set_qos(prefetch_count=self._prefetch)
        line.queue = await line.taking.declare_queue(self._name, durable=True, arguments=arguments)
        self._delays = dict.fromkeys(self._delays, 0.0)

    async def open(self) -> None:
        """Connect, and declare the queues."""
        await self._lines.open()

    # producers -------------------------------------------------------------------------------------------------------
    async def put(self, mail: Mail, delay: float) -> None:
        """Publish, and wait for the confirmation."""
        if delay > LATEST:
            raise ValueError(f"put(delay={delay!r}) at {self.address.safe}: RabbitMQ delays by {LATEST:,} seconds (48 days) at most")
        if delay > 0:
            await through(self._lines.do(lambda line: self._publish_late(line, mail, delay)))
        else:
            await through(self._lines.do(lambda line: self._publish(line, mail, self._name)))

    async def _publish(self, line: AmqpLine, mail: Mail, queue: str) -> None:
        await line.putting.default_exchange.publish(message_of(self._lines.pika, mail), queue, timeout=PATIENCE)

    async def _publish_late(self, line: AmqpLine, mail: Mail, delay: float) -> None:
        """Publish to a queue whose messages expire after `delay`. One for each length: only its head expires."""
        digits = max(0, len(str(math.ceil(delay * 1000))) - 3)
        ms = math.ceil(delay * 1000 / 10**digits) * 10**digits
        name = f"{self._name}.delay.{ms}"
        if self._delays.get(name, 0.0) < time.monotonic():
            arguments = {"x-message-ttl": ms, "x-expires": int(ms + UNUSED * 1000), "x-dead-letter-exchange": "",
                         "x-dead-letter-routing-key": self._name}
            await line.putting.declare_queue(name, durable=True, arguments=arguments)
            self._delays[name] = time.monotonic() + TRUST
        await self._publish(line, mail, name)

    # consumers -------------------------------------------------------------------------------------------------------
    async def take(self, until: float | None, is_open: Callable[[], bool]) -> Mail | None:
        """Pull the next message, or consume until one comes."""
        taken = await self._lines.do(lambda line: self._next(line, until, is_open))
        if taken is None:
            return None
        line, message = taken
        return mail_of(message, (line, message))

    async def _next(self, line: AmqpLine, until: float | None, is_open: Callable[[], bool]) -> tuple[AmqpLine, Any] | None:
        if not is_open():
            return None
        if self._prefetch > 1:
            message = await self._buffered(line, until)
        else:
            message = await self._pull(line)
            if message is None:
                left = remaining(until)
                message = await self._consume_one(line, left) if left is None or left > 0 else None
        return None if message is None else (line, message)

    async def _buffered(self, line: AmqpLine, until: float | None) -> Any:
        if line.buffer is None:  # not before somebody takes here: a line that only puts must hold nothing back
            line.buffer = asyncio.Queue()
            await line.queue.consume(line.buffer.put, timeout=ANSWER)
        if not line.buffer.empty():
            return line.buffer.get_nowait()
        left = remaining(until)
        getting = asyncio.ensure_future(line.buffer.get())
        try:
            # what was just put needs some time to be sent ahead
            return await getting if await line.first(getting, None if left is None else max(left, 0.05)) else None
        finally:
            getting.cancel()

    async def _pull(self, line: AmqpLine) -> Any:
        """basic.get; when the caller is cancelled meanwhile, the message is given back."""
        pulling = asyncio.ensure_future(line.queue.get(fail=False, timeout=ANSWER))
        try:
            return await asyncio.shield(pulling)
        except asyncio.CancelledError:
            in_background(self._return(pulling))
            raise

    async def _return(self, pulling: asyncio.Future[Any]) -> None:
        message = await pulling
        if message is not None:
            await message.nack(requeue=True)

    async def _consume_one(self, line: AmqpLine, seconds: float | None) -> Any:
        """Consume until one message came; with a prefetch of 1, there is no second one."""
        arrived: asyncio.Future[Any] = line.loop.create_future()
        tag = uuid.uuid4().hex

        async def deliver(message: Any) -> None:
            if arrived.done():
                await message.nack(requeue=True)
            else:
                arrived.set_result(message)

        consuming = asyncio.ensure_future(line.queue.consume(deliver, consumer_tag=tag, timeout=ANSWER))
        try:
            await asyncio.shield(consuming)
            if await line.first(arrived, seconds):
                # On its way before the ack can be: else the next one is sent here, given back, and counted as delivered.
                await line.queue.cancel(tag, nowait=True)
                return arrived.result()
            await through(line.queue.cancel(tag, timeout=ANSWER))
            return arrived.result() if arrived.done() else None
        except asyncio.CancelledError:
            in_background(self._withdraw(line, consuming, tag, arrived))
            raise
        finally:
            arrived.cancel()  # what is delivered from now on goes back

    async def _withdraw(self, line: AmqpLine, consuming: asyncio.Future[Any], tag: str, arrived: asyncio.Future[Any]) -> None:
        await consuming
        await line.queue.cancel(tag, timeout=ANSWER)
        if not arrived.cancelled():
            await arrived.result().nack(requeue=True)

    async def ack(self, mail: Mail) -> bool:
        """basic.ack."""
        line, message = mail.tag
        return await self._lines.answer(line, message.ack)

    async def give_back(self, mail: Mail, delay: float) -> bool:
        """basic.nack; with a delay, put it again and acknowledge this one."""
        line, message = mail.tag
        if delay > 0:
            await self.put(mail, delay)
            return await self._lines.answer(line, message.ack)
        return await self._lines.answer(line, lambda: message.nack(requeue=True))

    async def bury(self, mail: Mail) -> bool:
        """Publish it to the dead letters and acknowledge this one."""
        line, message = mail.tag
        await through(self._lines.do(lambda line: self._publish(line, mail, self._dead)))
        return await self._lines.answer(line, message.ack)

    async def renew(self, mails: Iterable[Mail]) -> list[Mail]:
        """Does nothing: there are no leases."""
        return []

    def drop(self, mail: Mail) -> None:
        """Give it back, since it will not be acknowledged."""
        line, message = mail.tag
        if not line.loop.is_closed() and not line.broken.done():
            try:
                line.loop.call_soon_threadsafe(_nack, message)
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

        async def ask(line: AmqpLine) -> int | None:
            channel = await line.connection.channel(publisher_confirms=False)
            try:
                queue = await channel.declare_queue(name, passive=True, timeout=ANSWER)
                return int(queue.declaration_result.message_count)
            except self._lines.errors.ChannelNotFoundEntity:
                return None
            finally:
                await channel.close()

        found: int | None = await self._lines.do(ask)
        return found

    async def dead(self, limit: int) -> list[Mail]:
        """Take them on a channel, and close it: the server puts all back in their order."""
        found: list[Mail] = []

        async def look(line: AmqpLine, queue: Any) -> None:
            found.clear()
            while len(found) < limit and (message := await queue.get(fail=False, timeout=ANSWER)) is not None:
                found.append(mail_of(message, None, times=0))

        await self._with_dead(look)
        return found

    async def revive(self, ids: frozenset[str]) -> int:
        """Publish them again."""

        async def publish(line: AmqpLine, mail: Mail) -> None:
            mail.deliveries, mail.error = 0, ""
            await self._publish(line, mail, self._name)

        return await self._unbury(ids, publish)

    async def discard(self, ids: frozenset[str]) -> int:
        """Acknowledge them."""

        async def forget(line: AmqpLine, mail: Mail) -> None:
            pass

        return await self._unbury(ids, forget)

    async def _unbury(self, ids: frozenset[str], each: Callable[[AmqpLine, Mail], Awaitable[None]]) -> int:
        count = 0

        async def go(line: AmqpLine, queue: Any) -> None:
            nonlocal count
            for _ in range(queue.declaration_result.message_count):
                message = await queue.get(fail=False, timeout=ANSWER)
                if message is None:
                    return
                mail = mail_of(message, None, times=0)
                if not ids or mail.id in ids:
                    await each(line, mail)
                    await message.ack()
                    count += 1

        await self._with_dead(go)
        return count

    async def _with_dead(self, use: Callable[[AmqpLine, Any], Awaitable[None]]) -> None:
        async def send(line: AmqpLine) -> None:
            channel = await line.connection.channel(publisher_confirms=False)
            try:
                await use(line, await channel.declare_queue(self._dead, durable=True, timeout=ANSWER))
            finally:
                await channel.close()

        await self._lines.do(send)

    async def close(self) -> None:
        """Close the connections; the server requeues unacknowledged messages."""
        await self._lines.close()


def _nack(message: Any) -> None:
    in_background(message.nack(requeue=True))


