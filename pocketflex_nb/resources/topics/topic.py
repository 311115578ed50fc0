"""How does one tell many? Topics behind a URL: what is published goes to every subscriber that is there.

A subscriber gets what is published after it subscribed, in order, once each, as long as it keeps up: it may be `limit` messages
behind, and is told what it `missed`. Who needs work done exactly by one, or kept until somebody comes, wants a queue instead.

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

import asyncio
import inspect
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.concurrency.waiters import Waiters, remaining, wanted_here
from pocketflex_nb.core.codec.encoder import decode, encode
from pocketflex_nb.core.errors import ResourceError
from pocketflex_nb.resources.connections.opening import opened, renamed
from pocketflex_nb.resources.connections.urls import Address, parse
from pocketflex_nb.resources.queues.message import Mail, new_id
from pocketflex_nb.resources.topics.backends.backend import TopicPlace

__all__ = ["KINDS", "News", "Subscription", "Topic", "open_topic", "topic_at"]

#: kinds of URL that a topic may have
KINDS = ("memory", "sqlite", "redis", "postgres", "amqp")
_log = logging.getLogger("pocketflex_nb")


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


class News:
    """One published message, as a subscriber has it.

    Attributes
    ----------
    id : str
        The same for every subscriber.
    published_at : float
        Seconds since 1970, UTC.
    """

    __slots__ = ("_mail",)

    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    @property
    def id(self) -> str:
        """The same for every subscriber."""
        return self._mail.id

    @property
    def item(self) -> Any:
        """What was published; every subscriber has its own copy."""
        return decode(self._mail.body)

    @property
    def headers(self) -> dict[str, Any]:
        """What was published beside the item."""
        headers: dict[str, Any] = decode(self._mail.headers)
        return headers

    @property
    def published_at(self) -> float:
        """Seconds since 1970, UTC."""
        return self._mail.put_at

    def __repr__(self) -> str:
        return f"<News {self.id}>"


class Topic:
    """Publishes to whoever has subscribed. Made by `open_topic`; see there, and the recipes of this module.

    Attributes
    ----------
    name : str
        Which topic in that place.
    url : str
        Where, without secrets.
    """

    def __init__(self, place: TopicPlace) -> None:
        self._place = place
        self._closed = threading.Event()
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._told: set[Subscription] = set()  # those with a function live until they are closed

    @property
    def name(self) -> str:
        """Which topic in that place."""
        return self._place.address.name or "default"

    @property
    def url(self) -> str:
        """Where, without secrets."""
        return self._place.address.safe

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def __repr__(self) -> str:
        return f"<Topic {self.name!r} at {self.url}{', closed' if self.is_closed else ''}>"

    def _check(self) -> None:
        if self.is_closed:
            raise ResourceError(f"topic {self.name!r} at {self.url} is closed; open it again with open_topic", url=self.url)

    async def publish(self, item: Any, *, headers: dict[str, Any] | None = None) -> str:
        """Tell every subscriber; return the message's id when the place has it.

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
        mail = Mail(new_id(), encode(item, at=("item",)), kept)
        await self._place.publish(mail)
        return mail.id

    def publish_sync(self, item: Any, *, headers: dict[str, Any] | None = None) -> str:
        """`publish` from plain code."""
        return io_thread.run(self.publish(item, headers=headers))

    def subscribe(self, to: Any = None, *, limit: int = 10_000) -> Subscription:
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
        subscription._end = io_thread.run(self._place.attach(_Weakly(subscription)))
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
            await self._place.close()

    def close_sync(self) -> None:
        """`close` from plain code."""
        io_thread.run(self.close())

    async def __aenter__(self) -> Topic:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __enter__(self) -> Topic:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close_sync()


def _function(to: Any) -> Callable[[Any], Any] | None:
    """What is called with each item."""
    if to is None:
        return None
    send: Callable[[Any], Any] = getattr(to, "send", to)
    if not callable(send):
        raise TypeError(f"subscribe({to!r}): a plain function, an agent's ref, or nothing")
    if inspect.iscoroutinefunction(send):
        raise TypeError(f"subscribe({to!r}): a coroutine function would wait on a loop that is not yours; write "
                        "`async for msg in topic.subscribe()` in a task")
    return send


class Subscription:
    """What is published since it was made: an async iterator of `News`. Made by `Topic.subscribe`.

    Attributes
    ----------
    missed : int
        Messages that were dropped: nobody read them in time, or the place no longer had them.
    """

    def __init__(self, topic: Topic, fn: Callable[[Any], Any] | None, agent: Any, limit: int) -> None:
        self._topic, self._fn, self._agent, self._limit = topic, fn, agent, limit
        self.missed = 0
        self._lock = threading.Lock()
        self._news: deque[News] = deque()
        self._waiters = Waiters(self._lock)
        self._error: Exception | None = None
        self._is_closed = False
        self._end: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        return f"<Subscription to {self._topic.name!r}, {len(self._news)} unread{', closed' if self._is_closed else ''}>"

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes."""
        return self._is_closed

    # called by the place ---------------------------------------------------------------------------------------------
    def _push(self, mails: list[Mail], missed: int) -> bool:
        if self._fn is not None:
            self.missed += missed
            for mail in mails:
                self._call(mail)
            return not self._is_closed
        with self._lock:
            if self._is_closed:
                return False
            self.missed += missed
            for mail in mails:
                self._news.append(News(mail))
                self._waiters.wake_one()
            while len(self._news) > self._limit:
                self._news.popleft()
                self.missed += 1
        return True

    def _call(self, mail: Mail) -> None:
        if self._agent is not None and not self._agent.is_alive:
            self.close()
        if self._is_closed or self._fn is None:
            return
        try:
            self._fn(decode(mail.body))
        except Exception:
            _log.exception("a subscriber of topic %r failed on message %s", self._topic.name, mail.id)

    def _fail(self, error: Exception) -> None:
        _log.warning("a subscription to topic %r ended: %s", self._topic.name, error)
        with self._lock:
            self._error, self._is_closed = error, True
            self._waiters.wake_all()

    # for readers -----------------------------------------------------------------------------------------------------
    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> News:
        news = await self._next(None)
        if news is None:
            raise StopAsyncIteration
        return news

    async def get(self, timeout: float | None = None) -> News:
        """The next message.

        Raises
        ------
        TimeoutError
            None came within `timeout` seconds.
        ResourceError
            It is closed, and everything was read.
        """
        return await self._got(timeout, lambda: True)

    async def _got(self, timeout: float | None, is_wanted: Callable[[], bool]) -> News:
        news = await self._next(timeout, is_wanted)
        if news is None:
            raise ResourceError(f"{self!r} is closed", url=self._topic.url)
        return news

    def get_sync(self, timeout: float | None = None) -> News:
        """`get` from plain code. A step that was abandoned by its run takes nothing more."""
        is_wanted = wanted_here()
        return io_thread.run(self._got(timeout, is_wanted), is_wanted=is_wanted)

    async def _next(self, timeout: float | None, is_wanted: Callable[[], bool] = lambda: True) -> News | None:
        """None: it is closed."""
        if self._fn is not None:
            raise RuntimeError("this subscription has a function to call; one to read is made by `topic.subscribe()`")
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                if not is_wanted():
                    self._waiters.wake_one()
                    raise asyncio.CancelledError
                if self._news:
                    return self._news.popleft()
                if self._error is not None:
                    raise self._error
                if self._is_closed:
                    return None
                left = remaining(until)
                if left is not None and left <= 0:
                    raise TimeoutError(f"nothing was published to {self._topic.name!r} within {timeout} s")
                waiter = self._waiters.add()
            await self._waiters.wait(waiter, left)

    def close(self) -> None:
        """Nothing more comes; what was not read yet can be."""
        with self._lock:
            was, self._is_closed = self._is_closed, True
            self._waiters.wake_all()
        self._topic._told.discard(self)
        if not was:
            # not here: whoever pushes just now may hold what ending needs
            io_thread.loop.call_soon_threadsafe(self._end)

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True):
            io_thread.loop.call_soon_threadsafe(self._end)


class _Weakly:
    """How a place holds a subscription: one that nobody reads any more goes away."""

    __slots__ = ("_reference",)

    def __init__(self, subscription: Subscription) -> None:
        self._reference = weakref.ref(subscription)

    def push(self, mails: list[Mail], missed: int) -> bool:
        """News; False when nobody wants more."""
        subscription = self._reference()
        return subscription is not None and subscription._push(mails, missed)

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""
        subscription = self._reference()
        if subscription is not None:
            subscription._fail(error)


def _nothing() -> None:
    """What ends a subscription that never began."""
