"""`Subscription`: an iterator over what a topic publishes from its creation on, one `News` per message."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.concurrency.waiters import WaitQueue, remaining
from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.context import still_wanted
from pocketflex_nb.core.errors import DecodingError, ResourceError
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.resources.connections.stored_message import StoredMessage

__all__ = ["LivingAgent", "News", "SubscribedTopic", "Subscription", "Weakly"]


_log = logging.getLogger("pocketflex_nb")


class News:
    """One published message, as a subscriber gets it.

    Attributes
    ----------
    id : str
        The same for every subscriber.
    published_at : float
        Seconds since 1970, UTC.
    """

    __slots__ = ("_stored",)

    def __init__(self, stored: StoredMessage) -> None:
        self._stored = stored

    @property
    def id(self) -> str:
        """The same for every subscriber."""
        return self._stored.id

    @property
    def item(self) -> Any:
        """The published item; every subscriber has its own copy."""
        return decode(self._stored.body)

    @property
    def headers(self) -> dict[str, Any]:
        """The headers that were published with the item."""
        headers = decode(self._stored.headers)
        if not isinstance(headers, dict):
            raise DecodingError(f"the headers of message {self.id} are a {type(headers).__name__}, written by another program")
        return headers

    @property
    def published_at(self) -> float:
        """Seconds since 1970, UTC."""
        return self._stored.put_at

    def __repr__(self) -> str:
        return f"<News {self.id}>"


class SubscribedTopic(Protocol):
    """The part of a topic that a subscription uses."""

    _told: set[Subscription]

    @property
    def name(self) -> str:
        """The topic's name, for messages."""

    @property
    def url(self) -> str:
        """Its URL, secrets masked."""


class LivingAgent(Protocol):
    """A subscriber that may end."""

    @property
    def is_alive(self) -> bool:
        """Whether it still takes messages."""


class Subscription:
    """The messages published since it was made: an async iterator of `News`. Made by `Topic.subscribe`.

    Attributes
    ----------
    missed : int
        Messages that were dropped: nobody read them in time, or the place no longer had them.
    """

    def __init__(self, topic: SubscribedTopic, fn: Callable[[Any], object] | None, agent: LivingAgent | None, limit: int) -> None:
        self._topic, self._fn, self._agent, self._limit = topic, fn, agent, limit
        self.missed = 0
        self._lock = threading.Lock()
        self._news: deque[News] = deque()
        self._waiters = WaitQueue(self._lock)
        self._error: Exception | None = None
        self._is_closed = False
        self._end: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        return f"<Subscription to {self._topic.name!r}, {len(self._news)} unread{', closed' if self._is_closed else ''}>"

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._is_closed

    # called by the backend ---------------------------------------------------------------------------------------------
    def _push(self, messages: list[StoredMessage], missed: int) -> bool:
        if self._fn is not None:
            self.missed += missed
            for stored in messages:
                self._call(stored)
            return not self._is_closed
        with self._lock:
            if self._is_closed:
                return False
            self.missed += missed
            for stored in messages:
                self._news.append(News(stored))
                self._waiters.wake_one()
            while len(self._news) > self._limit:
                self._news.popleft()
                self.missed += 1
        return True

    def _call(self, stored: StoredMessage) -> None:
        if self._agent is not None and not self._agent.is_alive:
            self.close()
        if self._is_closed or self._fn is None:
            return
        try:
            self._fn(decode(stored.body))
        except Exception:
            _log.exception("a subscriber of topic %r failed on message %s", self._topic.name, stored.id)

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
        is_wanted = still_wanted()
        return io_thread.run(self._got(timeout, is_wanted), is_wanted=is_wanted)

    async def _next(self, timeout: float | None, is_wanted: Callable[[], bool] = lambda: True) -> News | None:
        """The next message; None when it is closed."""
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
            with waiting("topic", f"a message of topic {self._topic.name}", timeout=timeout):
                await self._waiters.wait(waiter, left)

    def close(self) -> None:
        """End it; what was not read yet can still be read."""
        with self._lock:
            was, self._is_closed = self._is_closed, True
            self._waiters.wake_all()
        self._topic._told.discard(self)
        if not was:
            # not here: a thread that is pushing may hold the lock that ending needs
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


class Weakly:
    """A backend's weak reference to a subscription, so that an unused one can be collected."""

    __slots__ = ("_reference",)

    def __init__(self, subscription: Subscription) -> None:
        self._reference = weakref.ref(subscription)

    def push(self, messages: list[StoredMessage], missed: int) -> bool:
        """Deliver news; False when no more are wanted."""
        subscription = self._reference()
        return subscription is not None and subscription._push(messages, missed)

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""
        subscription = self._reference()
        if subscription is not None:
            subscription._fail(error)


def _nothing() -> None:
    """What ends a subscription that never began."""
