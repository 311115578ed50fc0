"""`open_queue`: the queue behind a URL."""

from __future__ import annotations

from pocketflex_nb.resources.connections.connect import QUEUE_KINDS
from pocketflex_nb.resources.connections.opening import open_backend, with_name
from pocketflex_nb.resources.connections.urls import Address, parse_url
from pocketflex_nb.resources.queues.backends.backend import QueueBackend
from pocketflex_nb.resources.queues.queue import Queue

__all__ = ["open_queue"]


def open_queue(
    url: str, *, name: str | None = None, max_deliveries: int = 5, retry_delay: float = 0.0, lease: float = 30.0, prefetch: int = 1,
) -> Queue:
    """The queue behind a URL: at-least-once delivery, with dead letters.

    Parameters
    ----------
    url : str
        ``memory:`` (``memory:jobs`` is the same one wherever it is opened), ``sqlite:///jobs.db`` (several processes of one machine),
        ``redis://host:6379/0`` (streams with a consumer group), ``amqp://user:password@host/`` (RabbitMQ, quorum queues).
    name : str, optional
        Which queue there; also ``?name=jobs`` in the URL. Default ``"default"``.
    max_deliveries : int
        How often a message is handed out, at most; then it is a dead letter.
    retry_delay : float
        Seconds before a message that was given back comes again.
    lease : float
        Seconds (1 or more) after which the messages of a killed consumer come again; a living one renews it by itself, even while
        its own loop is busy. RabbitMQ sees by itself when a consumer is gone.
    prefetch : int
        RabbitMQ only: messages that the server sends ahead to this queue object, where they wait. 1 takes none before it is asked
        for; more is quicker, and leaves others with nothing to do when the work is long. More than 1 is also the most that this
        queue object has in hand at once: `get` then waits for an answer to one of them.

    Returns
    -------
    Queue
        Connected. May be used on any loop and in any thread; ``async with`` or `Queue.close` ends it.

    Raises
    ------
    BadURL, MissingExtra, Unreachable, Refused
        At once, or within 5 s; no secret of the URL is in the message.

    Notes
    -----
    Nothing that was put is lost when a consumer or producer is killed, at any kind. When the *server* is killed, its settings count:
    RabbitMQ needs none, it confirms what its quorum queue has on disk. Redis answers before it has written, unless it is set to
    ``appendonly yes`` and ``appendfsync always``; with ``everysec``, the default beside ``appendonly yes``, a kill or a power cut may
    cost the last two seconds, and without ``appendonly`` all since the last snapshot. SQLite commits with ``synchronous=NORMAL``: a
    kill loses nothing, a power cut the last moments. What is in hand when a server dies may be handled twice.

    Examples
    --------
    >>> import asyncio
    >>> async def main():
    ...     async with open_queue("memory:") as queue:
    ...         await queue.put({"n": 1})
    ...         async with queue.get() as msg:
    ...             print(msg.item, msg.deliveries)
    ...         return await queue.stats()
    >>> asyncio.run(main())
    {'n': 1} 1
    QueueStats(ready=0, delayed=0, held=0, dead=0)
    """
    address = parse_url(url, what="queue", kinds=QUEUE_KINDS)
    if name is not None:
        address = with_name(address, name)
    if not isinstance(max_deliveries, int) or max_deliveries < 1:
        raise ValueError(f"max_deliveries={max_deliveries!r}: a whole number, 1 or more")
    if not retry_delay >= 0:
        raise ValueError(f"retry_delay={retry_delay!r}: seconds, 0 or more")
    if not lease >= 1:
        raise ValueError(f"lease={lease!r}: seconds, 1 or more")
    if not isinstance(prefetch, int) or not 1 <= prefetch <= 65_535:
        raise ValueError(f"prefetch={prefetch!r}: a whole number from 1 to 65535")
    backend = _backend(address, lease, prefetch)
    open_backend(backend, address)
    return Queue(backend, max_deliveries, retry_delay, lease)


def _backend(address: Address, lease: float, prefetch: int) -> QueueBackend:
    """The backend of that kind; imported here, since most notebooks need one."""
    if address.kind == "memory":
        from pocketflex_nb.resources.queues.backends.memory import MemoryQueueBackend

        return MemoryQueueBackend(address)
    if address.kind == "sqlite":
        from pocketflex_nb.resources.queues.backends.sqlite import SqliteQueueBackend

        return SqliteQueueBackend(address, lease)
    if address.kind == "redis":
        from pocketflex_nb.resources.queues.backends.redis import RedisQueueBackend

        return RedisQueueBackend(address, lease)
    from pocketflex_nb.resources.queues.backends.rabbitmq import AmqpQueueBackend

    return AmqpQueueBackend(address, prefetch)
