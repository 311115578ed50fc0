"""``async for event in run.stream()``: the events of runs from the first to the last, however late one subscribes."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from pocketflex_nb.concurrency.interruptible import wait_awake, wait_until_over
from pocketflex_nb.core.context import CURRENT_CELL
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.units import count_text

__all__ = ["EventStream", "kinds_of"]


class EventStream:
    """The events of one run, or of several, as an async iterator that ends when they are all over.

    Parameters
    ----------
    runs : iterable of Run
        Whose events.
    kinds : iterable of str
        Only these: kinds of events, or ``"token"``, ``"print"`` and ``"log"`` for those outputs. Empty: all.
    since : int or Event
        The number of the first event of each run that is given, or the last one that is known already.
    nested : bool
        Whether runs that steps began are told of too.
    """

    def __init__(self, runs: Iterable[Any], kinds: Iterable[str], since: int | Event, nested: bool) -> None:
        self._runs = list(runs)
        self._left = len(self._runs)
        self._kinds, self._nested = frozenset(kinds), nested
        self._since = since.seq + 1 if isinstance(since, Event) else since
        self._feed = _Feed()
        self._stops: deque[Callable[[], None]] = deque()
        self._close = weakref.finalize(self, _stop_all, self._stops)  # whoever breaks out of the loop just drops it
        for run in self._runs:
            self._stops.append(run.subscribe(self._feed))

    def __repr__(self) -> str:
        return f"<EventStream of {count_text(len(self._runs), 'run')}, {self._left} not over>"

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        try:
            while True:
                while self._feed.events:
                    event = self._feed.events.popleft()
                    if event.kind == "run_finished" and not event.depth:
                        self._left -= 1
                    if self._is_wanted(event):
                        return event
                if self._left <= 0:
                    self._close()
                    raise StopAsyncIteration
                await self._news()
        except (asyncio.CancelledError, KeyboardInterrupt):  # an interrupted cell ends the runs, as ``await run`` does
            if CURRENT_CELL.get() is not None:
                await self._stopped()
            raise

    async def aclose(self) -> None:
        """Stop following. The runs continue."""
        self._left = 0
        self._feed.events.clear()
        self._close()

    def _is_wanted(self, event: Event) -> bool:
        if event.seq < self._since or (event.depth and not self._nested):
            return False
        return not self._kinds or event.kind in self._kinds or (event.kind == "output" and event.get("stream") in self._kinds)

    async def _news(self) -> None:
        """Wait for an event."""
        loop, come = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(come.set)

        self._feed.waiter = tell
        try:
            while not self._feed.events and not come.is_set():
                await wait_awake(come.wait())
        finally:
            self._feed.waiter = None

    async def _stopped(self) -> None:
        for run in self._runs:
            run.cancel()
        await wait_until_over(lambda: all(run.done() for run in self._runs))


def kinds_of(kinds: str | Iterable[str] | None, more: tuple[str, ...]) -> tuple[str, ...]:
    """The requested kinds, given one by one or together."""
    first = () if kinds is None else (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return (*first, *more)


class _Feed:
    """The queue that subscribers fill from any thread; it does not reference the stream, so that an unused stream can end."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self.waiter: Callable[[], None] | None = None

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter()


def _stop_all(stops: deque[Callable[[], None]]) -> None:
    while stops:
        stops.popleft()()
