"""`open_topic`: the topic behind a URL."""

from __future__ import annotations

from pocketflex_nb.resources.connections.opening import open_backend, with_name
from pocketflex_nb.resources.connections.urls import Address, parse_url
from pocketflex_nb.resources.topics.backends.backend import TopicBackend
from pocketflex_nb.resources.topics.topic import TOPIC_KINDS, Topic

__all__ = ["open_topic", "topic_at"]


def open_topic(url: str, *, name: str | None = None, keep: int = 10_000) -> Topic:
    """The topic behind a URL.

    Parameters
    ----------
    url : str
        ``memory:`` (``memory:news`` is the same one wherever it is opened), ``sqlite:///news.db``, ``redis://host:6379/0``,
        ``postgresql://user@host/db`` or ``amqp://user:password@host/`` (RabbitMQ).
    name : str, optional
        Which topic there; also ``?name=news`` in the URL. Default ``"default"``.
    keep : int
        Messages kept for subscribers that are behind or cut off.

    Returns
    -------
    Topic
        Connected. May be used on any loop and in any thread; ``async with`` or `Topic.close` ends it.

    Raises
    ------
    BadURL, MissingExtra, Unreachable, Refused
        At once, or within 5 s; no secret of the URL is in the message.

    Examples
    --------
    >>> with open_topic("memory:") as topic:
    ...     news = topic.subscribe()
    ...     _ = topic.publish_sync("rain")
    ...     news.get_sync(timeout=1).item
    'rain'
    """
    address = parse_url(url, what="topic", kinds=TOPIC_KINDS)
    if name is not None:
        address = with_name(address, name)
    if not isinstance(keep, int) or keep < 1:
        raise ValueError(f"keep={keep!r}: a whole number, 1 or more")
    return topic_at(address, keep)


def topic_at(address: Address, keep: int = 10_000) -> Topic:
    """The topic at an address that was read already; see `open_topic`."""
    backend = _backend(address, keep)
    open_backend(backend, address)
    return Topic(backend)


def _backend(address: Address, keep: int) -> TopicBackend:
    if address.kind == "memory":
        from pocketflex_nb.resources.topics.backends.memory import MemoryTopicBackend

        return MemoryTopicBackend(address)
    if address.kind == "sqlite":
        from pocketflex_nb.resources.topics.backends.sqlite import SqliteTopicBackend

        return SqliteTopicBackend(address, keep)
    if address.kind == "redis":
        from pocketflex_nb.resources.topics.backends.redis import RedisTopicBackend

        return RedisTopicBackend(address, keep)
    if address.kind == "postgres":
        from pocketflex_nb.resources.topics.backends.postgres import PostgresTopicBackend

        return PostgresTopicBackend(address, keep)
    from pocketflex_nb.resources.topics.backends.rabbitmq import AmqpTopicBackend

    return AmqpTopicBackend(address, keep)
