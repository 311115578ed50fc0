"""Where do plain functions wait for what only a loop can do? A daemon thread with a loop of its own, started at first use.

Leases are renewed there too, so that a consumer whose own loop is busy keeps its messages.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from pocketflex_nb.concurrency.process_id import pid

__all__ = ["IOThread", "PerLoop", "io_thread"]

#: seconds to wait for another loop to close its client
_END = 2.0
_T = TypeVar("_T")
_C = TypeVar("_C")


class IOThread:
    """One loop in a daemon thread; a forked child starts its own."""

    def __init__(self, name: str = "pocketflex-resources") -> None:
        self._name, self._lock = name, threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; the thread is started when it is asked for first."""
        with self._lock:
            if self._loop is None or self._pid != pid():
                self._loop, self._pid = asyncio.new_event_loop(), pid()
                threading.Thread(target=self._serve, args=(self._loop,), name=self._name, daemon=True).start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    def submit(self, coro: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Start `coro` there, from any thread."""
        return asyncio.run_coroutine_threadsafe(coro, self.loop)

    def run(self, coro: Coroutine[Any, Any, _T], *, is_wanted: Callable[[], bool] = lambda: True) -> _T:
        """Wait for `coro` in plain code, in slices, so that a cell's stop button gets through.

        Parameters
        ----------
        is_wanted : callable
            Asked twice a second; once it says no, `coro` is cancelled.

        Raises
        ------
        RuntimeError
            On that thread itself, which would wait for itself.
        """
        if threading.current_thread().name == self._name:
            coro.close()
            raise RuntimeError("the plain form of a queue's method cannot be used in a callback of that queue; await the other one")
        future = self.submit(coro)
        try:
            while True:
                try:
                    return future.result(0.5)
                except TimeoutError:
                    if future.done():
                        return future.result()
                    if not is_wanted():
                        raise asyncio.CancelledError from None
        except BaseException:
            future.cancel()
            raise


class PerLoop(Generic[_C]):
    """A client for each loop that asks: connections belong to the loop that made them.

    Parameters
    ----------
    make, end : coroutine functions
        Connect; close a client, called on its own loop.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, _C]], end: Callable[[_C], Coroutine[Any, Any, None]]) -> None:
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
        """Held at its one ``yield`` until the client is to end, or its loop: `asyncio.run` closes what generators are left."""
        try:
            yield
        finally:
            if (found := self._clients.get(loop)) is not None and found[1] is client:
                del self._clients[loop]
            await self._end(client)

    async def drop(self, client: _C) -> None:
        """Let go of a client whose connection broke."""
        loop = asyncio.get_running_loop()
        if (found := self._clients.get(loop)) is not None and found[1] is client:
            del self._clients[loop]
            await found[2].aclose()

    async def close(self) -> None:
        """End every client, each on its own loop; those of loops that no longer run are let go."""
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


io_thread = IOThread()
