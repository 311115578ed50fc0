"""`Topic`: publishes each message to every current subscriber; kept in memory, in a file or at a server.

A subscriber gets what is published after it subscribed, in order, once each, as long as it keeps up: it may be `limit` messages behind,
and learns how many it `missed`. Work that must be done by exactly one consumer, or kept until one comes, belongs into a queue instead.

**With agents and flows**::

    class Writer(Agent):
        async def init(self):
            self.news = topic.subscribe(self.ref)      # each item comes to handle_info; ends with the agent
        async def handle_info(self, item): ...

    topic.subscribe(ref.cast)                          # or any plain function, called with each item

    async with topic.subscribe() as news:              # in a step, a cell, or a task that wakes an agent
        async for msg in news:
            await flow.run_async({"news": msg.item})

    async for change in store.watch("plan"):           # a store's changes wake an agent in the same way
        ref.cast(change.new)
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable
from typing import Any

from pocketflex_nb.concurrency.blocking_form import blocking_form
from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.errors import ResourceError
from pocketflex_nb.resources.connections.stored_message import StoredMessage, new_id
from pocketflex_nb.resources.topics.backends.backend import TopicBackend
from pocketflex_nb.resources.topics.subscription import Subscription, Weakly

__all__ = ["TOPIC_KINDS", "Topic"]

#: kinds of URL that a topic may have
TOPIC_KINDS = ("memory", "sqlite", "redis", "postgres", "amqp")


class Topic:
    """Publishes to all subscribers. Made by `open_topic`; see there, and the recipes of this module.

    Attributes
    ----------
    name : str
        Which topic in that place.
    url : str
        Where, without secrets.
    """

    def __init__(self, backend: TopicBackend) -> None:
        self._backend = backend
        self._closed = threading.Event()
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._told: set[Subscription] = set()  # those with a function live until they are closed

    @property
    def name(self) -> str:
        """The name of the topic at its URL."""
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
        return f"<Topic {self.name!r} at {self.url}{', closed' if self.is_closed else ''}>"

    def _check(self) -> None:
        if self.is_closed:
            raise ResourceError(f"topic {self.name!r} at {self.url} is closed; open it again with open_topic", url=self.url)

    async def publish(self, item: object, *, headers: dict[str, Any] | None = None) -> str:
        """Send an item to every subscriber; return the message's id when the backend has it.

        Parameters
        ----------
        item : object
            What :func:`pocketflex_nb.core.codec.encoder.encode` can write.
        headers : dict, optional
            More such values.

        Raises
        ------
        EncodingError
            With the path of what cannot be written; nothing was published.
        Unreachable
            The server did not come back in time.
        """
        self._check()
        if headers is not None and not isinstance(headers, dict):
            raise TypeError(f"publish(headers={headers!r}): a dict")
        kept = encode(headers, at=("headers",)) if headers else "{}"
        stored = StoredMessage(new_id(), encode(item, at=("item",)), kept)
        await self._backend.publish(stored)
        return stored.id

    publish_sync = blocking_form(publish)

    def subscribe(self, to: object = None, *, limit: int = 10_000) -> Subscription:
        """Get what is published from now on.

        Parameters
        ----------
        to : None, callable, or an agent's ref
            None: read the subscription, as an async iterator. A plain function is called with each item, one after the other, on a
            thread of this room (``memory:``: where it is published); what it raises is logged. A ref (whatever has a ``send`` method)
            gets each item as a message, until its agent has ended.
        limit : int
            Messages that may wait unread; beyond it the oldest are dropped and counted as missed.

        Returns
        -------
        Subscription
            In force when this returns. Ended by `Subscription.close`, by leaving ``with`` or ``async with``, when the topic is closed,
            or, if it has no `to`, when nobody holds it any more.

        Notes
        -----
        Waits for a server's answer, some milliseconds: a step that must not may write ``await asyncio.to_thread(topic.subscribe)``.
        """
        self._check()
        if not isinstance(limit, int) or limit < 1:
            raise ValueError(f"subscribe(limit={limit!r}): a whole number, 1 or more")
        subscription = Subscription(self, _function(to), to if hasattr(to, "is_alive") else None, limit)
        subscription._end = io_thread.run(self._backend.attach(Weakly(subscription)))
        self._subscriptions.add(subscription)
        if to is not None:
            self._told.add(subscription)
        return subscription

    def __aiter__(self) -> Subscription:
        """A subscription of its own: ``async for msg in topic``."""
        return self.subscribe()

    async def close(self) -> None:
        """End every subscription made here, and the connections."""
        if not self._closed.is_set():
            self._closed.set()
            for subscription in list(self._subscriptions):
                subscription.close()
            await self._backend.close()

    close_sync = blocking_form(close)

    async def __aenter__(self) -> Topic:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __enter__(self) -> Topic:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close_sync()


def _function(to: object) -> Callable[[Any], object] | None:
    """The function that is called with each item."""
    if to is None:
        return None
    send = getattr(to, "send", to)
    if not callable(send):
        raise TypeError(f"subscribe({to!r}): a plain function, an agent's ref, or nothing")
    if inspect.iscoroutinefunction(send):
        raise TypeError(f"subscribe({to!r}): a coroutine function would wait on a loop that is not yours; write "
                        "`async for msg in topic.subscribe()` in a task")
    return send


