"""The async API of shared stores: each method awaited, with the round trip made in a thread so that no loop blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import setitem
from typing import Any, cast

__all__ = ["AsyncApi"]


class AsyncApi:
    """The async forms of a shared store's methods: the same names with an ``a`` in front, the same arguments, results and errors."""

    async def aget(self, key: Any, default: Any = None, /) -> Any:
        """The value of `key`, or `default`."""
        return await asyncio.to_thread(self.get, key, default)  # type: ignore[attr-defined]  # the store's own

    async def aset(self, key: Any, value: Any) -> None:
        """Set `key`."""
        await asyncio.to_thread(setitem, cast(dict[Any, Any], self), key, value)

    async def apop(self, key: Any, *default: Any) -> Any:
        """Remove `key` and return its value, or `default` when it is missing."""
        return await asyncio.to_thread(self.pop, key, *default)  # type: ignore[attr-defined]  # the store's own

    async def aupdate(self, key: Any, fn: Callable[[Any], Any], *, default: Any = None) -> Any:
        """Change one key atomically and return its new value; `fn` runs in the thread."""
        return await asyncio.to_thread(self.update, key, fn, default=default)  # type: ignore[attr-defined]  # the store's own

    async def aincrement(self, key: Any, n: Any = 1, limit: Any = None, reset: Any = None) -> Any:
        """Add `n` atomically and return the new value."""
        return await asyncio.to_thread(self.increment, key, n, limit, reset)  # type: ignore[attr-defined]  # the store's own

    async def ainsert_new(self, key: Any, value: Any) -> bool:
        """Set `key` unless it exists; returns whether it was set."""
        return bool(await asyncio.to_thread(self.insert_new, key, value))  # type: ignore[attr-defined]  # the store's own

    async def acas(self, key: Any, old: Any, new: Any) -> bool:
        """Set `key` to `new` if it is equal to `old`; returns whether it was set."""
        return bool(await asyncio.to_thread(self.cas, key, old, new))  # type: ignore[attr-defined]  # the store's own

    async def acopy(self) -> dict[Any, Any]:
        """A plain dict of the present content."""
        return await asyncio.to_thread(lambda: dict(self.items()))  # type: ignore[attr-defined]  # the store's own
