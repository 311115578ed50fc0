"""`open_topic`: the topic behind a URL."""

from __future__ import annotations

from pocketflex_nb.resources.connections.opening import opened, renamed
from pocketflex_nb.resources.connections.urls import Address, parse
from pocketflex_nb.resources.topics.backends.backend import TopicPlace
from pocketflex_nb.resources.topics.topic import KINDS, Topic

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
    address = parse(url, what="topic", kinds=KINDS)
    if name is not None:
        address = renamed(address, name)
    if not isinstance(keep, int) or keep < 1:
        raise ValueError(f"keep={keep!r}: a whole number, 1 or more")
    return topic_at(address, keep)


def topic_at(address: Address, keep: int = 10_000) -> Topic:
    """The topic at an address that was read already; see `open_topic`."""
    place = _place(address, keep)
    opened(place, address)
    return Topic(place)


def _place(address: Address, keep: int) -> TopicPlace:
    if address.kind == "memory":
        from pocketflex_nb.resources.topics.backends.memory import MemoryTopic

        return MemoryTopic(address)
    if address.kind == "sqlite":
        from pocketflex_nb.resources.topics.backends.sqlite import SqliteTopic

        return SqliteTopic(address, keep)
    if address.kind == "redis":
        from pocketflex_nb.resources.topics.backends.redis import RedisTopic

        return RedisTopic(address, keep)
    if address.kind == "postgres":
        from pocketflex_nb.resources.topics.backends.postgres import PostgresTopic

        return PostgresTopic(address, keep)
    from pocketflex_nb.resources.topics.backends.rabbitmq import AmqpTopic

    return AmqpTopic(address, keep)
