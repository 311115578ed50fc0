"""The queue backend in this process: not kept beyond it; ``memory:jobs`` is the same queue wherever it is opened."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from pocketflex_nb.concurrency.waiters import WaitQueue, remaining
from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.queues.backends.backend import QueueStats

__all__ = ["MemoryQueueBackend"]


class _Box:
    """The messages of one queue."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ready: deque[StoredMessage] = deque()
        self.delayed: list[tuple[float, int, StoredMessage]] = []
        self.held: dict[int, StoredMessage] = {}
        self.dead: dict[str, StoredMessage] = {}
        self.waiters = WaitQueue(self.lock)
        self.count = itertools.count()


_boxes: dict[str, _Box] = {}
_guard = threading.Lock()


def _box(name: str) -> _Box:
    if not name:
        return _Box()
    with _guard:
        return _boxes.setdefault(name, _Box())


class MemoryQueueBackend:
    """See the backend port. A consumer cannot end without this process, so there are no leases."""

    is_leased = False

    def __init__(self, address: Address) -> None:
        self.address, self._box = address, _box(address.name)
        self._mine: set[int] = set()  # tags of what is in hand here

    async def open(self) -> None:
        """Does nothing."""

    async def put(self, stored: StoredMessage, delay: float) -> None:
        """Append it."""
        self._insert(stored, delay)

    def _insert(self, stored: StoredMessage, delay: float) -> None:
        box = self._box
        with box.lock:
            if delay > 0:
                heappush(box.delayed, (time.monotonic() + delay, next(box.count), stored))
            else:
                box.ready.append(stored)
            box.waiters.wake_one() if delay <= 0 else box.waiters.wake_all()

    async def receive(self, until: float | None, is_open: Callable[[], bool]) -> StoredMessage | None:
        """The oldest that is ready."""
        box = self._box
        while is_open():
            with box.lock:
                due = self._ripen()
                if box.ready:
                    stored = box.ready.popleft()
                    stored.deliveries += 1
                    stored.tag = next(box.count)
                    box.held[stored.tag] = stored
                    self._mine.add(stored.tag)
                    return _copy(stored)
                left = remaining(until)
                if left is not None and left <= 0:
                    return None
                waiter = box.waiters.add()
            pause = min((p for p in (left, None if due is None else due - time.monotonic()) if p is not None), default=None)
            await box.waiters.wait(waiter, pause)
        return None

    def _ripen(self) -> float | None:
        """Move due messages to the ready ones; returns when the next will be due."""
        box, now = self._box, time.monotonic()
        while box.delayed and box.delayed[0][0] <= now:
            box.ready.append(heappop(box.delayed)[2])
        if len(box.ready) > 1:
            box.waiters.wake_one()  # one more than the caller will take
        return box.delayed[0][0] if box.delayed else None

    async def ack(self, stored: StoredMessage) -> bool:
        """Delete it."""
        return self._release(stored) is not None

    def _release(self, stored: StoredMessage) -> StoredMessage | None:
        with self._box.lock:
            self._mine.discard(stored.tag)
            return self._box.held.pop(stored.tag, None)

    async def nack(self, stored: StoredMessage, delay: float) -> bool:
        """Append it again."""
        if self._release(stored) is None:
            return False
        self._insert(stored, delay)
        return True

    async def dead_letter(self, stored: StoredMessage) -> bool:
        """Move it to the dead letters."""
        if self._release(stored) is None:
            return False
        with self._box.lock:
            self._box.dead[stored.id] = stored
        return True

    async def renew(self, messages: Iterable[StoredMessage]) -> list[StoredMessage]:
        """Does nothing: there are no leases."""
        return []

    async def stats(self) -> QueueStats:
        """Lengths."""
        with self._box.lock:
            self._ripen()
            return QueueStats(len(self._box.ready), len(self._box.delayed), len(self._box.held), len(self._box.dead))

    async def dead(self, limit: int) -> list[StoredMessage]:
        """The oldest dead letters."""
        with self._box.lock:
            return list(itertools.islice(self._box.dead.values(), limit))

    async def requeue(self, ids: frozenset[str]) -> int:
        """Append them again."""
        messages = self._unbury(ids)
        for stored in messages:
            stored.deliveries, stored.error = 0, ""
            self._insert(stored, 0)
        return len(messages)

    async def discard(self, ids: frozenset[str]) -> int:
        """Delete them."""
        return len(self._unbury(ids))

    def _unbury(self, ids: frozenset[str]) -> list[StoredMessage]:
        with self._box.lock:
            return [self._box.dead.pop(key) for key in list(self._box.dead) if not ids or key in ids]

    def drop(self, stored: StoredMessage) -> None:
        """Make it available again at once, since it will not be acknowledged."""
        if self._release(stored) is not None:
            stored.error = "dropped without an answer"
            self._insert(stored, 0)

    async def close(self) -> None:
        """Return held messages to the queue, and wake the waiters."""
        box = self._box
        with box.lock:
            held = [stored for tag in sorted(self._mine) if (stored := box.held.pop(tag, None)) is not None]
            self._mine.clear()
            for stored in held:
                stored.error = "its queue was closed"
            box.ready.extend(held)
            box.waiters.wake_all()


def _copy(stored: StoredMessage) -> StoredMessage:
    return StoredMessage(stored.id, stored.body, stored.headers, stored.key, stored.put_at, stored.deliveries, stored.error, stored.tag)
