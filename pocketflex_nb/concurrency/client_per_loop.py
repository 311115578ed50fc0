"""Keeps one client connection for each event loop that asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Generic, TypeVar

from pocketflex_nb.concurrency.process_id import pid

__all__ = ["ClientPerLoop"]

_C = TypeVar("_C")

#: seconds to wait for another loop to close its client
_END = 2.0


class ClientPerLoop(Generic[_C]):
    """One client per event loop: connections belong to the loop that made them.

    Parameters
    ----------
    make, end : coroutine functions
        Connect; close a client, called on its own loop.
    """

    def __init__(self, make: Callable[[], Coroutine[object, object, _C]], end: Callable[[_C], Coroutine[object, object, None]]) -> None:
        self._make, self._end = make, end
        self._clients: dict[asyncio.AbstractEventLoop, tuple[int, _C, AsyncGenerator[None, None]]] = {}
        self._making: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    def known(self) -> _C | None:
        """The running loop's client, if there is one."""
        found = self._clients.get(asyncio.get_running_loop())
        return found[1] if found is not None and found[0] == pid() else None

    async def get(self) -> _C:
        """The running loop's client, connected if need be."""
        client = self.known()
        if client is not None:
            return client
        loop = asyncio.get_running_loop()
        for gone in [known for known in self._making if known.is_closed()]:
            self._clients.pop(gone, None)
            self._making.pop(gone, None)
        async with self._making.setdefault(loop, asyncio.Lock()):
            client = self.known()
            if client is None:
                client = await self._make()
                ending = self._ending(loop, client)
                await anext(ending)
                self._clients[loop] = pid(), client, ending
        return client

    async def _ending(self, loop: asyncio.AbstractEventLoop, client: _C) -> AsyncGenerator[None, None]:
        """Suspended at its one ``yield`` until the client or its loop ends: `asyncio.run` closes the generators that are left."""
        try:
            yield
        finally:
            if (found := self._clients.get(loop)) is not None and found[1] is client:
                del self._clients[loop]
            await self._end(client)

    async def drop(self, client: _C) -> None:
        """Forget a client whose connection broke."""
        loop = asyncio.get_running_loop()
        if (found := self._clients.get(loop)) is not None and found[1] is client:
            del self._clients[loop]
            await found[2].aclose()

    def close_soon(self) -> None:
        """End every client, each on its own loop, from any thread and without waiting; those of loops that do not run are dropped."""
        clients, self._clients = self._clients, {}
        for loop, (owner, _, ending) in clients.items():
            if owner == pid() and loop.is_running():
                loop.call_soon_threadsafe(_close_as_task, loop, ending)

    async def close(self) -> None:
        """End every client, each on its own loop; those of loops that no longer run are dropped."""
        here = asyncio.get_running_loop()
        clients, self._clients = self._clients, {}
        for loop, (owner, _, ending) in clients.items():
            if owner != pid() or loop.is_closed():
                continue
            if loop is here:
                await ending.aclose()
            elif loop.is_running():
                ended = asyncio.run_coroutine_threadsafe(_close(ending), loop)
                await asyncio.wait([asyncio.wrap_future(ended)], timeout=_END)


async def _close(ending: AsyncGenerator[None, None]) -> None:
    await ending.aclose()


#: tasks that close clients nobody waits for; a loop keeps only weak references
_closing: set[asyncio.Task[None]] = set()


def _close_as_task(loop: asyncio.AbstractEventLoop, ending: AsyncGenerator[None, None]) -> None:
    task = loop.create_task(_close(ending))
    _closing.add(task)
    task.add_done_callback(_closing.discard)
