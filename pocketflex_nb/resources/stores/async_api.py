"""The async API of shared stores: each method awaited, with the round trip made in a thread so that no loop blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import setitem
from typing import Any

from pocketflex_nb.core.store.store import Store

__all__ = ["AsyncApi"]


class AsyncApi(Store):
    """A store with async forms of its methods: the same names with an ``a`` in front, the same arguments, results and errors."""

    async def aget(self, key: object, default: object = None, /) -> Any:
        """The value of `key`, or `default`.

        Parameters
        ----------
        key : hashable
            Which key.
        default : object
            What a missing key gives.
        """
        return await asyncio.to_thread(self.get, key, default)

    async def aset(self, key: object, value: object) -> None:
        """Set `key`.

        Parameters
        ----------
        key : hashable
            Which key.
        value : object
            What to set.
        """
        await asyncio.to_thread(setitem, self, key, value)

    async def apop(self, key: object, *default: object) -> Any:
        """Remove `key` and return its value, or `default` when it is missing.

        Parameters
        ----------
        key : hashable
            Which key.
        *default : object
            At most one; without it a missing key raises KeyError.
        """
        return await asyncio.to_thread(self.pop, key, *default)

    async def aupdate(self, key: object, fn: Callable[[Any], Any], *, default: object = None) -> Any:
        """Change one key atomically and return its new value; `fn` runs in the thread.

        Parameters
        ----------
        key : hashable
            Which key.
        fn : callable
            Makes the new value of the present one; called again when somebody else wrote in between.
        default : object
            What `fn` gets when the key is missing.
        """
        return await asyncio.to_thread(self.update, key, fn, default=default)

    async def aincrement(self, key: object, n: object = 1, limit: object = None, reset: object = None) -> Any:
        """Add `n` atomically and return the new value.

        Parameters
        ----------
        key : hashable
            Which key.
        n : number
            What to add; may be negative.
        limit, reset : number, optional
            As for `increment`.
        """
        return await asyncio.to_thread(self.increment, key, n, limit, reset)

    async def ainsert_new(self, key: object, value: object) -> bool:
        """Set `key` unless it exists; returns whether it was set.

        Parameters
        ----------
        key : hashable
            Which key.
        value : object
            What to set.
        """
        return bool(await asyncio.to_thread(self.insert_new, key, value))

    async def acas(self, key: object, old: object, new: object) -> bool:
        """Set `key` to `new` if it is equal to `old`; returns whether it was set.

        Parameters
        ----------
        key : hashable
            Which key.
        old : object
            What must be there, by ``==``.
        new : object
            What takes its place.
        """
        return bool(await asyncio.to_thread(self.cas, key, old, new))

    async def acopy(self) -> dict[Any, Any]:
        """A plain dict of the present content."""
        return await asyncio.to_thread(lambda: dict(self.items()))
