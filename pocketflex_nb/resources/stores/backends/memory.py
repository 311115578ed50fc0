"""The store backend in this process: for experiments, for tests, and for agents of one kernel that share a name."""

from __future__ import annotations

import threading
import time
from collections import deque

from pocketflex_nb.core.errors import LockLost
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.stores.backends.arithmetic import exact_sum
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, FencingTokens, VersionConflict

__all__ = ["MemoryStoreBackend", "memory_backend"]


class _Content:
    """The content that all who opened the store share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = self.tokens = 0
        self.rows: dict[str, ChangeRow] = {}
        self.log: deque[ChangeRow] = deque()
        self.locks: dict[str, tuple[int, float]] = {}


_named: dict[str, _Content] = {}
_opening = threading.Lock()


class MemoryStoreBackend:
    """A store in this process's memory."""

    def __init__(self, address: Address, keep: int, content: _Content) -> None:
        self.address, self.keep, self._content = address, keep, content
        self._woken = False

    def load(self) -> tuple[int, list[ChangeRow]]:
        """See `StoreBackend`."""
        with self._content.changed:
            return self._content.version, list(self._content.rows.values())

    def since(self, version: int) -> tuple[int, list[ChangeRow]]:
        """See `StoreBackend`."""
        held = self._content
        if held.version == version:
            return version, []
        with held.changed:
            count = min(held.version - version, len(held.log))
            return held.version, [held.log[at] for at in range(-count, 0)]

    def past(self, version: int) -> list[ChangeRow]:
        """See `StoreBackend`."""
        with self._content.changed:
            return [row for row in self._content.log if row[0] <= version]

    def write(self, key: str, text: str | None, who: str, expect: int | None, fence: FencingTokens) -> int:
        """See `StoreBackend`."""
        held = self._content
        with held.changed:
            self._check(fence)
            row = held.rows.get(key)
            if expect is not None and expect != (row[0] if row is not None else 0):
                raise VersionConflict
            return self._keep(key, text, who)

    def add(self, key: str, n: float, limit: float | None, reset: float | None, who: str, fence: FencingTokens) -> tuple[int, str] | None:
        """See `StoreBackend`."""
        held = self._content
        with held.changed:
            self._check(fence)
            row = held.rows.get(key)
            text = exact_sum(None if row is None else row[2], n, limit, reset)
            return None if text is None else (self._keep(key, text, who), text)

    def _keep(self, key: str, text: str | None, who: str) -> int:
        held = self._content
        held.version += 1
        row = (held.version, key, text, who)
        if text is None:
            held.rows.pop(key, None)
        else:
            held.rows[key] = row
        held.log.append(row)
        while len(held.log) > self.keep:
            held.log.popleft()
        held.changed.notify_all()
        return held.version

    def _check(self, fence: FencingTokens) -> None:
        for name, token in fence:
            if not self._holds(name, token):
                raise LockLost(name)

    def _holds(self, name: str, token: int) -> bool:
        known = self._content.locks.get(name)
        return known is not None and known[0] == token and known[1] > time.monotonic()

    def take_lock(self, name: str, owner: str, lease: float) -> int:
        """See `StoreBackend`."""
        held, now = self._content, time.monotonic()
        with held.changed:
            known = held.locks.get(name)
            if known is not None and known[1] > now:
                return 0
            held.tokens += 1
            held.locks[name] = held.tokens, now + lease
            return held.tokens

    def keep_lock(self, name: str, token: int, lease: float) -> bool:
        """See `StoreBackend`."""
        with self._content.changed:
            if not self._holds(name, token):
                return False
            self._content.locks[name] = token, time.monotonic() + lease
            return True

    def drop_lock(self, name: str, token: int) -> bool:
        """See `StoreBackend`."""
        with self._content.changed:
            held = self._holds(name, token)
            if held:
                del self._content.locks[name]
            return held

    def has_lock(self, name: str) -> bool:
        """See `StoreBackend`."""
        with self._content.changed:
            known = self._content.locks.get(name)
            return known is not None and known[1] > time.monotonic()

    def wait(self, version: int, timeout: float) -> None:
        """See `StoreBackend`."""
        with self._content.changed:
            self._content.changed.wait_for(lambda: self._woken or self._content.version != version, timeout)
            self._woken = False

    def wake(self) -> None:
        """See `StoreBackend`."""
        with self._content.changed:
            self._woken = True
            self._content.changed.notify_all()

    def reopen(self) -> None:
        """See `StoreBackend`: memory is never lost."""

    def close(self) -> None:
        """See `StoreBackend`."""
        self.wake()


def memory_backend(address: Address, keep: int) -> MemoryStoreBackend:
    """The backend of a ``memory:`` URL: a new one, or the one of that name in this process."""
    if not address.name:
        return MemoryStoreBackend(address, keep, _Content())
    with _opening:
        return MemoryStoreBackend(address, keep, _named.setdefault(address.name, _Content()))
