"""Subscriptions to changes of a store: plain callbacks, and an async iterator with a bounded queue."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pocketflex_nb.core.units import count_text
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.core.wait_marks import waiting

if TYPE_CHECKING:
    from pocketflex_nb.core.store.changes import Change

__all__ = ["Listener", "Listeners", "StoreListener", "Watch"]

_log = logging.getLogger("pocketflex_nb")


class StoreListener(Protocol):
    """A watch or a subscriber, as a store sees it."""

    def reference(self) -> Callable[[], StoreListener | None]:
        """The store's reference to it."""
        ...

    def wants(self, key: object) -> bool:
        """Whether it follows this key."""
        ...

    def push(self, change: Change) -> bool:
        """Take a change, from any thread, without waiting; False when `call` must be called after the store's lock was released."""
        ...

    def call(self, change: Change) -> None:
        """Pass on a change that `push` did not take."""
        ...


class Listeners:
    """The watches and subscribers of one store, and the calls that wait until its lock is released."""

    __slots__ = ("_outbox", "_references")

    def __init__(self) -> None:
        self._references: list[Callable[[], StoreListener | None]] = []
        self._outbox: deque[tuple[StoreListener, Change]] = deque()

    def __iter__(self) -> Iterator[StoreListener]:
        return iter([listener for reference in self._references if (listener := reference()) is not None])

    def __bool__(self) -> bool:
        return bool(self._references)

    def add(self, listener: StoreListener) -> None:
        """Begin to tell `listener`. The store's lock is held."""
        self._references = [*self._references, listener.reference()]

    def remove(self, listener: StoreListener | None) -> int:
        """Tell `listener`, and watches that nobody holds any more, nothing from now on; returns how many these are."""
        kept = [known for known in self._references if known() is not None and known() is not listener]
        removed, self._references = len(self._references) - len(kept), kept
        return removed

    def publish(self, key: object, make: Callable[[], Change]) -> bool:
        """Pass a change of `key`, made when somebody wants it; False when a watch was found that nobody holds any more.

        The store's lock is held. Never waits.
        """
        change, all_held = None, True
        for reference in self._references:
            listener = reference()
            if listener is None:
                all_held = False
            elif listener.wants(key):
                change = change or make()
                if not listener.push(change):
                    self._outbox.append((listener, change))
        return all_held

    def deliver(self, lock: threading.RLock) -> None:
        """Call subscribers, unless this thread still holds the store's `lock`: its outermost holder does it at the end."""
        while self._outbox and not lock._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks it
            try:
                listener, change = self._outbox.popleft()
            except IndexError:  # another thread was quicker
                return
            listener.call(change)


class Watch:
    """The changes of some keys of a store, as an async iterator.

    Made by `Store.watch`; ended by `close`, by leaving ``with``, or when nobody holds it any more.

    Attributes
    ----------
    missed : int
        Changes that were dropped because nobody read them in time.
    """

    def __init__(self, keys: tuple[object, ...], limit: int, forget: Callable[[StoreListener], None]) -> None:
        if limit < 1:
            raise ValueError(f"watch(limit={limit!r}): a number of keys of at least 1 is needed")
        self.missed = 0
        self._keys, self._limit, self._forget = frozenset(keys), limit, forget
        self._pending: dict[object, Change] = {}
        self._lock = threading.Lock()
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._closed = False

    def __repr__(self) -> str:
        keys = ", ".join(sorted(value_text(key, 40) for key in self._keys)) or "all keys"
        return f"<Watch of {keys}, {count_text(len(self._pending), 'change')} unread{', closed' if self._closed else ''}>"

    def reference(self) -> Callable[[], StoreListener | None]:
        """The store's reference to it: weak, so that a watch without a reader disappears."""
        return weakref.ref(self)

    def wants(self, key: object) -> bool:
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

    def call(self, change: Change) -> None:
        """Nothing is left to do: `push` takes every change."""

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
                    raise RuntimeError("another task reads this watch already: give each its own store.watch()")
                loop = asyncio.get_running_loop()
                future: asyncio.Future[None] = loop.create_future()
                self._waiter = loop, future
            try:
                with waiting("watch", self._awaited):
                    await future
            finally:
                with self._lock:
                    if self._waiter is not None and self._waiter[1] is future:
                        self._waiter = None

    def _awaited(self) -> str:
        keys = ", ".join(value_text(key, 40) for key in list(self._keys)[:3])
        return f"a change of {keys or 'the store'}"

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

    def __init__(self, fn: Callable[[Change], object], keys: tuple[object, ...]) -> None:
        if not callable(fn):
            raise TypeError(f"subscribe({fn!r}): a function of one argument, the change, is needed")
        self._fn, self._keys = fn, frozenset(keys)

    def reference(self) -> Callable[[], StoreListener | None]:
        """The store's reference to it: strong, until it is ended."""
        return lambda: self

    def wants(self, key: object) -> bool:
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
