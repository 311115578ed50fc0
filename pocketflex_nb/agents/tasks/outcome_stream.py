"""Streams of outcomes: items are worked on a few at a time, and pulled only when a worker is free."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from pocketflex_nb.agents.actor.stop_agent import stop_incarnation
from pocketflex_nb.agents.host.agent_host import AgentHost, Engine, host_for, running_loop
from pocketflex_nb.agents.host.clock import Clock, Timer
from pocketflex_nb.agents.messaging.envelopes import Addressee
from pocketflex_nb.agents.protocol.directives import Ok
from pocketflex_nb.agents.protocol.errors import AgentDown, BadSpec, CallTimeout, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, is_reason
from pocketflex_nb.agents.protocol.info_messages import Exit
from pocketflex_nb.agents.tasks.spawn import spawn
from pocketflex_nb.agents.tasks.task_incarnation import TaskIncarnation
from pocketflex_nb.concurrency.interruptible import keep_loop_awake
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import nearest

__all__ = ["STREAM_CONCURRENCY", "Items", "Stream", "stream"]

#: what a stream reads
Items = Iterable[object] | AsyncIterable[object]

#: tasks at once unless said otherwise; OTP takes the number of cores, but work here mostly waits for the network
STREAM_CONCURRENCY = 8


def stream(
    fn: Callable[..., object],
    items: Items,
    *,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = 5.0,
    on_timeout: str = "raise",
    zip_input: bool = False,
    link: bool = False,
    engine: Engine = None,
    clock: Clock | None = None,
) -> Stream:
    """Call ``fn(item)`` for each item, a few at a time, and yield the outcomes: ``async for outcome in stream(fetch, urls)``.

    Parameters
    ----------
    fn : callable
        An ``async def`` runs on the engine thread, a plain function in a thread of the pool.
    items : iterable or async iterable
        Pulled only when a place is free.
    max_concurrency : int or None
        Tasks that run at once; None is 8. A value that waits for a slow head holds no place.
    ordered : bool
        Outcomes in the order of the items, else as they come.
    timeout : float or None
        Seconds for each task.
    on_timeout : "raise" or "kill"
        Raise `CallTimeout` here and end everything, or kill that task and give ``Exit(ref, "timeout")``.
    zip_input : bool
        The reason of an `Exit` is ``(item, reason)``.
    link : bool
        A task that ends otherwise than normally ends everything: `AgentDown` is raised here, as OTP's linked tasks end their caller. An
        agent with ``trap_exit`` gets its `Exit` and goes on.
    engine, clock
        See `Agent.start`.

    Yields
    ------
    Ok or Exit
        A task is started when its outcome, or one before it, is asked for and a place is free. Leaving the loop early ends the tasks
        that run and closes `items` (``close`` or ``aclose``, where it has one); ``await outcomes.aclose()`` waits for that.

    Raises
    ------
    ValueError
        An argument that cannot be; before anything runs.
    AgentDown
        With ``link=True``: a task crashed.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb import stream
    >>> async def half(n):
    ...     return n / 2
    >>> async def main():
    ...     return [outcome.value async for outcome in stream(half, [1, 2, 4], max_concurrency=2)]
    >>> asyncio.run(main())
    [0.5, 1.0, 2.0]
    """
    return Stream(
        fn,
        items,
        STREAM_CONCURRENCY if max_concurrency is None else max_concurrency,
        ordered,
        timeout,
        on_timeout,
        zip_input,
        lambda fn, item: _spawn_here(fn, item, engine, clock),
        lambda: host_for(engine, clock),
        link,
    )


def _spawn_here(fn: Callable[..., object], item: object, engine: Engine, clock: Clock | None) -> TaskIncarnation:
    return spawn(fn, item, link=False, engine=engine, clock=clock)._incarnation


class _Work:
    """One item and its task; watches its end."""

    __slots__ = ("__weakref__", "_stream", "incarnation", "is_late", "is_seen", "item", "number", "outcome", "timer")

    def __init__(self, stream: Stream, item: object) -> None:
        self._stream, self.item = weakref.ref(stream), item  # a stream that nobody reads any more must go, and end its tasks
        self.incarnation: TaskIncarnation
        self.outcome: Ok | Exit | None = None
        self.timer: Timer | None = None
        self.is_late = self.is_seen = False
        self.number = 0

    def attach(self, timeout: float | None) -> None:
        """Watch and time it; on the host's loop."""
        incarnation = self.incarnation
        if incarnation.status is DEAD:
            self._end(incarnation.outcome)
            return
        incarnation.watchers = [*(incarnation.watchers or ()), self]
        if timeout is not None and incarnation.is_waiting:
            incarnation.on_begin = (*incarnation.on_begin, lambda: self._begin_time(timeout))
        elif timeout is not None:
            self._begin_time(timeout)

    def _begin_time(self, timeout: float) -> None:
        if self.outcome is None:
            self.timer = self.incarnation.host.clock.call_later(timeout, self._late)

    def _down(self, incarnation: Addressee, reason: object, zombie: bool, seq: int | None) -> None:
        """Handle its end."""
        self._end(self.incarnation.outcome)

    def _late(self) -> None:
        if self.outcome is None:
            self.is_late = True
            self.incarnation.outcome = Exit(self.incarnation.ref, "timeout")
            self._end(self.incarnation.outcome)
            self.incarnation.kill()

    def _end(self, outcome: Ok | Exit | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.outcome is None:
            self.outcome = outcome
            stream = self._stream()
            if stream is not None:
                stream._ended(self)


class Stream:
    """The result of `stream`: outcomes, to be read once by ``async for``.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb import stream
    >>> async def half(n):
    ...     return n / 2
    >>> async def main():
    ...     outcomes = stream(half, range(1000))
    ...     first = await anext(outcomes)
    ...     await outcomes.aclose()          # ends the tasks that run; no further item is pulled
    ...     return first, [left async for left in outcomes]
    >>> asyncio.run(main())
    (Ok(value=0.0), [])
    """

    def __init__(
        self,
        fn: Callable[..., object],
        items: Items,
        at_once: int,
        ordered: bool,
        timeout: float | None,
        on_timeout: str,
        zip_input: bool,
        start: Callable[[Callable[..., object], object], TaskIncarnation],
        host: Callable[[], AgentHost],
        link: bool = False,
    ) -> None:
        known = ("raise", "kill")
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise BadSpec(f"max_concurrency={at_once!r}: give a whole number, 1 or more")
        if on_timeout not in known:
            raise BadSpec(f"on_timeout={on_timeout!r}: no such mode{nearest(str(on_timeout), known)}")
        check_time(timeout, "timeout")
        if not callable(fn):
            raise TypeError(f"stream({fn!r}, ...): give the function first, then the items")
        self._fn, self._at_once, self._ordered, self._timeout = fn, at_once, ordered, timeout
        self._on_timeout, self._zip, self._start = on_timeout, zip_input, start
        self._is_async = isinstance(items, AsyncIterable)
        self._source: Any = aiter(items) if isinstance(items, AsyncIterable) else iter(items)
        self._host = host()
        self._queue: deque[_Work] = deque()  # in order of their start, not yet given
        self._running: set[_Work] = set()
        self._ended_works: deque[_Work] = deque()  # in order of their end, not yet looked at: they still hold their places
        self._is_linked, self._owner = link, CURRENT_AGENT.get()
        self._count = 0
        self._pull: asyncio.Task[None] | None = None
        self._has_more, self._is_over = True, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._error: BaseException | None = None  # what ends the stream as soon as it is read again

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Ok | Exit:
        if self._is_over:
            raise StopAsyncIteration
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        try:
            work = await self._next()
        except BaseException:
            await self.aclose()
            raise
        if work is None:
            self._is_over = True
            raise StopAsyncIteration
        return self._give(work)

    def _give(self, work: _Work) -> Ok | Exit:
        outcome = work.outcome
        assert outcome is not None
        if isinstance(outcome, Ok):
            return outcome
        return Exit(outcome.ref, (work.item, outcome.reason)) if self._zip else outcome

    async def _next(self) -> _Work | None:
        """The next outcome; None at the end. The order of the steps is that of `Task.async_stream`: it decides what is started."""
        while True:
            self._wake.clear()
            if self._error is not None:
                raise self._error
            if self._queue and self._queue[0].is_seen:
                return self._queue.popleft()
            self._fill()
            if self._ended_works:
                work = self._look_at(self._ended_works.popleft())
                if not self._ordered:
                    return work
                continue
            if not self._queue and not self._running and not self._has_more and self._pull is None:
                return None
            if self._host.loop is self._loop:
                await self._wake.wait()
            else:
                with keep_loop_awake():
                    await self._wake.wait()
            if len(self._ended_works) > 1:  # they ended at one moment: the first that was started comes first
                self._ended_works = deque(sorted(self._ended_works, key=_number))

    def _look_at(self, work: _Work) -> _Work:
        """Register that `work` has ended, which allows another task."""
        self._running.discard(work)
        work.is_seen = True
        outcome = work.outcome
        if isinstance(outcome, Exit):
            if is_reason(outcome.reason, "timeout") and work.is_late:
                if self._on_timeout == "raise":
                    raise CallTimeout(work.incarnation.name, self._timeout, "")
            elif self._is_linked and not is_reason(outcome.reason, "normal") and not (self._owner is not None and self._owner.traps):
                raise AgentDown(outcome.reason, work.incarnation.name)
        return work

    def _fill(self) -> None:
        """Start tasks up to the limit."""
        while self._has_more and len(self._running) < self._at_once:
            if self._is_async:
                if self._pull is None:
                    self._pull = asyncio.get_running_loop().create_task(_pull_one(weakref.ref(self), self._source))
                return
            try:
                item = next(self._source)
            except StopIteration:
                self._has_more = False
                return
            self._begin(item)

    def _pulled(self, item: object) -> None:
        self._pull = None
        if item is _NO_MORE:
            self._has_more = False
        else:
            self._begin(item)
        self._wake.set()

    def _pull_failed(self, error: BaseException) -> None:
        self._pull, self._error, self._has_more = None, error, False
        self._wake.set()

    def _begin(self, item: object) -> None:
        work = _Work(self, item)
        self._count = work.number = self._count + 1
        incarnation: TaskIncarnation = self._start(self._fn, item)
        work.incarnation = incarnation
        incarnation.is_ignored = True  # its outcome comes through here
        incarnation.waiting += 1
        self._running.add(work)
        if self._ordered:
            self._queue.append(work)
        if incarnation.host.is_here:
            incarnation.link_to_owner()
            work.attach(self._timeout)
        else:
            incarnation.host.post(incarnation.link_to_owner)
            incarnation.host.post(work.attach, self._timeout)

    def _ended(self, work: _Work) -> None:
        """Handle the end of a task; on the host's loop."""
        if self._loop is None or self._loop is running_loop():
            self._settle(work)
        else:
            try:
                self._loop.call_soon_threadsafe(self._settle, work)
            except RuntimeError:  # the consumer's loop is closed: nobody waits
                pass

    def _settle(self, work: _Work) -> None:
        if work in self._running:
            self._ended_works.append(work)
            self._wake.set()

    async def aclose(self) -> None:
        """End the running tasks, and close the source; nothing more comes."""
        is_early, self._is_over, self._has_more = not self._is_over, True, False
        pull, self._pull = self._pull, None
        if pull is not None:
            pull.cancel()
            await asyncio.wait([pull])  # a source that is being read cannot be closed
        running, self._running = list(self._running), set()
        self._queue.clear()
        self._ended_works.clear()
        try:
            if running:
                await self._host.do(_end_all, [work.incarnation for work in running])
        finally:
            if is_early:
                await self._close_source()

    async def _close_source(self) -> None:
        close = getattr(self._source, "aclose" if self._is_async else "close", None)
        if callable(close):
            out = close()
            if self._is_async:
                await out

    def __del__(self) -> None:
        if getattr(self, "_is_over", True):
            return
        for work in self._running:  # the loop over it was left early
            if work.incarnation.status is not DEAD:
                work.incarnation.host.post(work.incarnation.end, "shutdown")
        if not self._is_async:
            close = getattr(self._source, "close", None)
            if callable(close):
                close()
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_close_later, self._loop, self._pull, self._source)


def _number(work: _Work) -> int:
    return work.number


_NO_MORE = object()


async def _pull_one(stream: weakref.ref[Stream], source: Any) -> None:
    """Wait for the next item of an async source, without keeping the stream alive."""
    try:
        item = await anext(source, _NO_MORE)
    except Exception as exc:
        reader = stream()
        if reader is not None:
            reader._pull_failed(exc)
    else:
        reader = stream()
        if reader is not None:
            reader._pulled(item)


def _close_later(loop: asyncio.AbstractEventLoop, pull: asyncio.Task[None] | None, source: Any) -> None:
    """Close an async source that is not read any more."""

    async def close() -> None:
        if pull is not None:
            pull.cancel()
            await asyncio.wait([pull])
        if callable(getattr(source, "aclose", None)):
            await source.aclose()

    task = loop.create_task(close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


#: tasks that close sources: asyncio itself holds them weakly
_closing: set[asyncio.Task[None]] = set()


async def _end_all(incarnations: list[TaskIncarnation]) -> None:
    await asyncio.gather(*(stop_incarnation(incarnation, 5.0, is_told=True) for incarnation in incarnations))
