"""`Queue`: hands each message to exactly one consumer, at least once; kept in memory, in a file or at a server.

**At least once.** A message that was put is delivered until a consumer acknowledges it; leaving ``async with queue.get()`` cleanly
does. It is delivered again when its consumer raised, was killed, or lost its lease; so a message is handled twice only if a consumer
ended between doing the work and acknowledging it, and a message is put twice only if the connection broke between the server's storing
it and its confirmation (`put` sends again, with the same id). The bound, therefore: one duplicate for each held message when a consumer
ends, and one for each `put` or acknowledgement in transit when a server does. Order is that of putting, roughly; what is given back
comes later.

**Effects exactly once** need one thing of the consumer: what it writes must be the same when written twice. `Message.key` is the
same over every delivery, and for the same work put twice if the producer gives it: write the result under it ::

    async with queue.get() as msg:
        store.insert_new(f"result/{msg.key}", await work(msg.item))      # the second time it is there already

or change a value and note the key in one atomic step ::

    def add(total):
        return total if msg.key in total["seen"] else {"sum": total["sum"] + msg.item, "seen": [*total["seen"], msg.key]}
    store.update("total", add)

**With flows and agents** there is nothing between: a queue is awaited in a node's step, and a whole flow may handle a message ::

    class Take(Node):
        async def exec(self, _):                       # a plain `def exec` writes `with queue.get_sync() as msg:`
            async with queue.get() as msg:
                return await work(msg.item)            # an error here gives the message back

    async for msg in queue:                            # acknowledged when the loop asks for the next one
        await flow.run_async({"item": msg.item})

    async def feed(queue, ref):                        # an agent's mailbox, acknowledged when the agent has replied
        async for msg in queue:
            await ref.call(msg.item)
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any

from pocketflex_nb.concurrency.blocking_form import blocking_form
from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.context import still_wanted
from pocketflex_nb.core.errors import DecodingError, EncodingError, ResourceError
from pocketflex_nb.core.self_display import SelfDisplay
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.resources.connections.opening import open_backend, with_name
from pocketflex_nb.resources.connections.stored_message import StoredMessage, new_id
from pocketflex_nb.resources.queues.backends.backend import QueueBackend, QueueStats
from pocketflex_nb.resources.queues.calls import Calls, call_of
from pocketflex_nb.resources.queues.lease_renewal import LeaseRenewer
from pocketflex_nb.resources.queues.message import DeadLetter, Message, delivery_error

__all__ = ["Messages", "PendingGet", "Queue", "open_backend", "with_name"]

#: characters of an idempotency key
_KEY = 10_000
_log = logging.getLogger("pocketflex_nb")


class Queue(SelfDisplay):
    """Messages that are delivered until a consumer has handled them. Made by `open_queue`.

    Every waiting method has a plain form, ``..._sync``, for plain functions such as a node's ``def exec``; those may be called in any
    thread but a loop's own.

    Attributes
    ----------
    name : str
        Which queue in that place.
    url : str
        Where, without secrets.
    """

    def __init__(self, backend: QueueBackend, max_deliveries: int, retry_delay: float, lease: float) -> None:
        self._backend, self._max, self._retry_delay = backend, max_deliveries, retry_delay
        self._closed = threading.Event()
        self._renewer = LeaseRenewer(backend, lease) if backend.is_leased else None
        self._calls = Calls(backend.address)

    @property
    def name(self) -> str:
        """The name of the queue at its URL."""
        return self._backend.address.name or "default"

    @property
    def url(self) -> str:
        """Its URL, without secrets."""
        return self._backend.address.safe

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def __repr__(self) -> str:
        return f"<Queue {self.name!r} at {self.url}{', closed' if self.is_closed else ''}>"

    def _check(self) -> None:
        if self.is_closed:
            raise ResourceError(f"queue {self.name!r} at {self.url} is closed; open it again with open_queue", url=self.url)

    # producers -------------------------------------------------------------------------------------------------------
    async def put(self, item: object, *, headers: dict[str, Any] | None = None, delay: float = 0.0, key: str | None = None) -> str:
        """Put a message; return when the backend has stored it.

        Parameters
        ----------
        item : object
            What :func:`pocketflex_nb.core.codec.encoder.encode` can write.
        headers : dict, optional
            More such values, beside the item.
        delay : float
            Seconds before it can be taken (kept to about a quarter of a second by Redis; rounded up to three digits by RabbitMQ, which
            knows 48 days at most).
        key : str, optional
            Idempotency key: consumers see it as `Message.key`. Nothing is refused because of it.

        Returns
        -------
        str
            The message's id.

        Raises
        ------
        EncodingError
            With the path of what cannot be written; nothing was put.
        Unreachable
            The server did not come back within 30 s (RabbitMQ, which takes long to start: 60 s). It may have the message.
        """
        self._check()
        stored = _stored(item, headers, delay, key)
        await self._backend.put(stored, delay)
        return stored.id

    put_sync = blocking_form(put)

    async def call(
        self, item: object, *, timeout: float | None = 60.0, headers: dict[str, Any] | None = None, key: str | None = None
    ) -> Any:
        """Put a message, and wait for its consumer's reply.

        Parameters
        ----------
        item : object
            What :func:`pocketflex_nb.core.codec.encoder.encode` can write.
        timeout : float or None
            Seconds to wait for the reply, from now; None: as long as it takes.
        headers : dict, optional
            More such values, beside the item.
        key : str, optional
            Idempotency key.

        Returns
        -------
        object
            What was given to `Message.reply`.

        Raises
        ------
        TimeoutError
            No reply came in time. The message stays in the queue, and a late reply is dropped.
        CallFailed
            The message has become a dead letter: its consumers failed, or were lost, as often as it is delivered.
        ResourceError
            The queue was closed, or the connection for the reply ended.

        Notes
        -----
        A consumer that is killed with the message in hand replies nothing; the message is delivered again, after the lease at the latest,
        and the next consumer replies. It may hence be handled twice. Calls of one loop are put in the order in which they were made.

        Examples
        --------
        >>> import asyncio
        >>> from pocketflex_nb import open_queue
        >>> async def main():
        ...     async with open_queue("memory:") as queue:
        ...         async def serve():
        ...             async with queue.get() as msg:
        ...                 await msg.reply(msg.item * 2)
        ...         serving = asyncio.create_task(serve())
        ...         return await queue.call(21, timeout=5)
        >>> asyncio.run(main())
        42
        """
        self._check()
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"call(timeout={timeout!r}): seconds, 0 or more")
        given = dict(headers or {})

        async def put(call: dict[str, str | int]) -> str:
            return await self.put(item, headers={**given, **call}, key=key)

        return await self._calls.call(put, timeout, lambda: not self.is_closed)

    call_sync = blocking_form(call, until_abandoned=True)

    async def _reply(self, message: Message, value: object) -> bool:
        if not await self._calls.reply(message._stored, value=value):
            raise ValueError(f"{message!r} was put, not called, so that nobody waits for a reply; see `Queue.call`")
        return await message.ack()

    async def _dead_letter(self, stored: StoredMessage) -> bool:
        """Make it a dead letter, and notify a caller that waits for a reply to it."""
        done = await self._backend.dead_letter(stored)
        if done and call_of(stored) is not None:
            try:
                await self._calls.reply(stored, error=stored.error or "no reason was given")
            except ResourceError as exc:  # who calls is told by the end of its time
                _log.warning("the caller of message %s of queue %r was not told that it is a dead letter: %s", stored.id, self.name, exc)
        return done

    # consumers -------------------------------------------------------------------------------------------------------
    def get(self, timeout: float | None = None) -> PendingGet:
        """The next message: ``async with queue.get() as msg``.

        It is acknowledged when the block is left cleanly, and given back when it raises or is cancelled. ``msg = await queue.get()``
        leaves it to the caller to `Message.ack` or `Message.nack`.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for one; 0 takes only what is there.

        Raises
        ------
        TimeoutError
            None came. Raised by ``async with``.
        DecodingError
            What came is no message of this package. It is a dead letter now, with the reason; the next `get` goes on behind it.
        """
        self._check()
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"get(timeout={timeout!r}): seconds, 0 or more")
        return PendingGet(self, timeout)

    def get_sync(self, timeout: float | None = None) -> Message:
        """`get` from plain code: ``with queue.get_sync() as msg``. A step that was abandoned by its run takes nothing more."""
        getting = self.get(timeout)
        is_wanted = still_wanted()
        return io_thread.run(getting.take(is_wanted), is_wanted=is_wanted)

    def __aiter__(self) -> Messages:
        """Every message, one after the other: each is acknowledged when the loop asks for the next.

        A loop that is left by ``break`` or an error gives the message in hand back, unless it was acknowledged with ``await
        msg.ack()``. ``async with msg:`` inside the loop is allowed, and gives it back without ending the loop. `close` ends it.
        """
        self._check()
        return Messages(self)

    async def _receive(self, timeout: float | None, is_wanted: Callable[[], bool]) -> Message:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                with waiting("queue", self._awaited, timeout=timeout):
                    stored = await self._backend.receive(until, lambda: not self.is_closed and is_wanted())
            except ResourceError:
                self._check()
                raise
            if stored is None:
                self._check()
                raise TimeoutError(f"no message in queue {self.name!r} at {self.url} within {timeout} s")
            if not is_wanted():  # abandoned while the place was handing it out
                stored.deliveries -= 1
                await self._backend.nack(stored, 0)
                raise asyncio.CancelledError
            message = Message(self, stored)
            wrong = stored.broken or (message._read() if stored.deliveries <= self._max else "")
            if not wrong and stored.deliveries <= self._max:
                break
            message._settled = True
            stored.deliveries -= 1  # it is not handed out this time
            unanswered = stored.error or f"its consumer ended without an answer, {stored.deliveries} times"
            stored.error = delivery_error(wrong) if wrong else unanswered
            await self._dead_letter(stored)
            if wrong:
                raise DecodingError(
                    f"an entry of queue {self.name!r} at {self.url} is no message of ours and is a dead letter now, "
                    f"id {stored.id!r}: {wrong}"
                )
        if self._renewer is not None:
            self._renewer.hold(message)
        return message

    def _awaited(self) -> str:
        return f"a message of queue {self.name}"

    async def _ack(self, message: Message) -> bool:
        self._release(message)
        done = not self.is_closed and await self._backend.ack(message._stored)
        message.is_lost = message.is_lost or not done
        return done

    async def _nack(self, message: Message, error: str, delay: float | None) -> bool:
        self._release(message)
        stored = message._stored
        stored.error = error
        if self.is_closed:  # which has given it back
            done = False
        elif stored.deliveries >= self._max:
            done = await self._dead_letter(stored)
        else:
            done = await self._backend.nack(stored, self._retry_delay if delay is None else delay)
        message.is_lost = message.is_lost or not done
        return done

    def _release(self, message: Message) -> None:
        if self._renewer is not None:
            self._renewer.release(message)

    def _drop(self, stored: StoredMessage) -> None:
        self._backend.drop(stored)

    # what is there ---------------------------------------------------------------------------------------------------
    async def stats(self) -> QueueStats:
        """How many messages are ready, delayed, held and dead."""
        self._check()
        return await self._backend.stats()

    stats_sync = blocking_form(stats)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest messages that nobody could handle, `limit` at most, with their errors. They are not removed.

        Parameters
        ----------
        limit : int
            How many, at most.
        """
        self._check()
        return [DeadLetter._of(stored) for stored in await self._backend.dead(limit)]

    dead_letters_sync = blocking_form(dead_letters)

    async def requeue(self, *letters: DeadLetter | str) -> int:
        """Make dead letters (or their ids) available again, counted from 1; all of them if none are named. Returns how many.

        Parameters
        ----------
        *letters : DeadLetter or str
            Which; none: all.
        """
        self._check()
        return await self._backend.requeue(_ids(letters))

    requeue_sync = blocking_form(requeue)

    async def discard(self, *letters: DeadLetter | str) -> int:
        """Delete dead letters (or their ids); all of them if none are named. Returns how many.

        Parameters
        ----------
        *letters : DeadLetter or str
            Which; none: all.
        """
        self._check()
        return await self._backend.discard(_ids(letters))

    discard_sync = blocking_form(discard)

    # the end ---------------------------------------------------------------------------------------------------------
    async def close(self) -> None:
        """Close the connections and end every waiting `get` and loop. Held messages are delivered again elsewhere; stored ones stay."""
        if not self._closed.is_set():
            self._closed.set()
            if self._renewer is not None:
                self._renewer.close()
            await self._calls.close()
            await self._backend.close()

    close_sync = blocking_form(close)

    async def __aenter__(self) -> Queue:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close_sync()


class PendingGet:
    """A pending `get`: ``async with`` it, or await it."""

    __slots__ = ("_message", "_queue", "_timeout")

    def __init__(self, queue: Queue, timeout: float | None) -> None:
        self._queue, self._timeout = queue, timeout
        self._message: Message | None = None

    async def take(self, is_wanted: Callable[[], bool] = lambda: True) -> Message:
        """Wait for the message."""
        return await self._queue._receive(self._timeout, is_wanted)

    def __await__(self) -> Generator[object, None, Message]:
        return self.take().__await__()

    async def __aenter__(self) -> Message:
        self._message = await self.take()
        return self._message

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        message, self._message = self._message, None
        if message is not None:
            await message.__aexit__(kind, exc, trace)


class Messages:
    """The loop over a queue; see `Queue.__aiter__`."""

    __slots__ = ("__weakref__", "_held", "_loop", "_queue")

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._held: Message | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message:
        held, self._held = self._held, None
        if held is not None and not held.is_settled:
            await held.ack()
        self._loop = asyncio.get_running_loop()
        while self._held is None:
            try:
                self._held = await self._queue.get()
            except DecodingError as exc:  # a dead letter by now, which keeps nobody from the rest
                _log.warning("%s", exc)
            except ResourceError:
                if self._queue.is_closed:
                    raise StopAsyncIteration from None
                raise
        return self._held

    def __del__(self) -> None:
        held = self._held
        if held is None or held.is_settled or self._queue.is_closed or self._loop is None or self._loop.is_closed():
            return
        # the interpreter lets go of the loop at its end, however that came: what is in hand is given back
        self._loop.call_soon_threadsafe(_nack, self._loop, held)


def _nack(loop: asyncio.AbstractEventLoop, held: Message) -> None:
    if not held.is_settled:
        task = loop.create_task(held.nack("the loop over the queue was left"))
        _giving.add(task)
        task.add_done_callback(_giving.discard)


_giving: set[asyncio.Task[bool]] = set()


def _stored(item: object, headers: dict[str, Any] | None, delay: float, key: str | None) -> StoredMessage:
    if not 0 <= delay < math.inf:
        raise ValueError(f"put(delay={delay!r}): seconds, 0 or more")
    if key is not None:
        _check_key(key)
    if headers is not None and not isinstance(headers, dict):
        raise TypeError(f"put(headers={headers!r}): a dict")
    return StoredMessage(new_id(), encode(item, at=("item",)), encode(headers, at=("headers",)) if headers else "{}", key)


def _check_key(key: object) -> None:
    if not (isinstance(key, str) and key):
        raise TypeError(f"put(key={key!r}): an idempotency key is text, and not empty")
    if len(key) > _KEY:
        raise ValueError(f"put(key=...): an idempotency key of {len(key):,} characters; at most {_KEY:,}: take a hash of it")
    try:
        key.encode()
    except UnicodeEncodeError as exc:
        raise EncodingError(f"key={key!r} cannot be kept: it holds half a surrogate pair, which no server takes", path=("key",)) from exc


def _ids(letters: tuple[DeadLetter | str, ...]) -> frozenset[str]:
    return frozenset(letter if isinstance(letter, str) else letter.id for letter in letters)
