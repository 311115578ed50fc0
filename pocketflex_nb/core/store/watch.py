"""Subscriptions to changes of a store: plain callbacks, and an async iterator with a bounded queue."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketflex_nb.core.store.changes import Change

__all__ = ["Listener", "Watch"]

_log = logging.getLogger("pocketflex_nb")


class Watch:
    """The changes of some keys of a store, as an async iterator.

    Made by `Store.watch`; ended by `close`, by leaving ``with``, or when nobody holds it any more.

    Attributes
    ----------
    missed : int
        Changes that were dropped because nobody read them in time.
    """

    def __init__(self, keys: tuple[Any, ...], limit: int, forget: Callable[[Any], None]) -> None:
        if limit < 1:
            raise ValueError(f"watch(limit={limit!r}): at least 1 key")
        self.missed = 0
        self._keys, self._limit, self._forget = frozenset(keys), limit, forget
        self._pending: dict[Any, Change] = {}
        self._lock = threading.Lock()
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._closed = False

    def reference(self) -> Any:
        """The store's reference to it: weak, so that a watch without a reader disappears."""
        return weakref.ref(self)

    def wants(self, key: Any) -> bool:
        """Whether it follows this key."""
        return not self._keys or key in self._keys

    def push(self, change: Change) -> bool:
        """Queue a change and wake the reader, from any thread. Never waits."""
        with self._lock:
            known = self._pending.pop(change.key, None)
            self._pending[change.key] = change if known is None else replace(change, old=known.old)
            if len(self._pending) > self._limit:
                del self._pending[next(iter(self._pending))]
                self.missed += 1
            self._wake()
        return True

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            loop, future = waiter
            try:
                loop.call_soon_threadsafe(_set, future)
            except RuntimeError:  # its loop was closed: nobody reads any more
                self._closed = True

    def take(self) -> Change | None:
        """The oldest unread change, or None. Never waits."""
        with self._lock:
            return self._pending.pop(next(iter(self._pending))) if self._pending else None

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Change:
        while True:
            with self._lock:
                if self._pending:
                    return self._pending.pop(next(iter(self._pending)))
                if self._closed:
                    raise StopAsyncIteration
                if self._waiter is not None and not self._waiter[1].done():
                    raise RuntimeError("this watch is being read by another task: give each its own store.watch()")
                loop = asyncio.get_running_loop()
                future: asyncio.Future[None] = loop.create_future()
                self._waiter = loop, future
            try:
                await future
            finally:
                with self._lock:
                    if self._waiter is not None and self._waiter[1] is future:
                        self._waiter = None

    def close(self) -> None:
        """End it: a reader gets what is queued, then the iteration ends. Closing twice does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._wake()
        self._forget(self)

    async def aclose(self) -> None:
        """`close`, for ``contextlib.aclosing``."""
        self.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Listener:
    """A function to call after each change of some keys."""

    def __init__(self, fn: Callable[[Change], Any], keys: tuple[Any, ...]) -> None:
        if not callable(fn):
            raise TypeError(f"subscribe({fn!r}): a function of one change")
        self._fn, self._keys = fn, frozenset(keys)

    def reference(self) -> Any:
        """The store's reference to it: strong, until it is ended."""
        return lambda: self

    def wants(self, key: Any) -> bool:
        """Whether it follows this key."""
        return not self._keys or key in self._keys

    def push(self, change: Change) -> bool:
        """False: it must be called after the store's lock was released."""
        return False

    def call(self, change: Change) -> None:
        """Call the function; what it raises is logged."""
        try:
            self._fn(change)
        except Exception:
            _log.exception("a subscriber of a store failed on the change of %r", change.key)
