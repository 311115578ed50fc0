"""The host of agents: one event loop with its clock, its log and the agents that run on it.

The usual host is the engine thread. ``engine="inline"`` is the caller's own loop, for servers and unit tests.
"""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import contextvars
import threading
from asyncio.events import _get_running_loop as running_loop
from collections import deque
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Protocol, TypeVar

from pocketflex_nb.agents.host.agent_log import AgentLog
from pocketflex_nb.agents.host.clock import Clock, LoopClock
from pocketflex_nb.agents.host.deadlines import Deadlines
from pocketflex_nb.agents.host.inbox import Inbox, Post
from pocketflex_nb.agents.protocol.errors import BadSpec
from pocketflex_nb.agents.protocol.exit_reasons import Status
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.agents.protocol.tree_position import AGENT_INFOS, AgentInfo, TreePosition
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import keep_loop_awake, wait_interruptibly
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import nearest

__all__ = [
    "INFO_LIMIT", "KILL_GRACE", "PARK", "AgentHost", "Engine", "Hosted", "Parking", "host_for", "hosts", "register_incarnation",
    "running_loop",
]

_T = TypeVar("_T")

#: where agents run: None or "thread" (the engine thread), "inline" (the caller's loop), or a loop
Engine = str | asyncio.AbstractEventLoop | None

#: seconds between a kill and the moment the agent is given up as a zombie
KILL_GRACE = 0.2
#: seconds that a task waits for the next message, at most, before it goes
PARK = 0.02
#: places kept before those of the dead are looked for
INFO_LIMIT = 30_000


class Parking(Protocol):
    """A message loop whose task waits a moment for work.

    Attributes
    ----------
    parked : asyncio.Future or None
        What the task waits for.
    is_parking : bool
        Whether the host will end that wait.
    """

    parked: asyncio.Future[None] | None
    is_parking: bool


class Hosted(Protocol):
    """An incarnation of an agent, supervisor or task as its host sees it.

    Attributes
    ----------
    status : Status
        From starting to dead.
    cause : int or None
        Number of the event that is being handled.
    inbound, is_listed
        See :mod:`pocketflex_nb.agents.host.inbox`.
    task, reentrant_tasks : asyncio.Task or None, set of asyncio.Task or None
        What runs its code now.
    """

    status: Status
    cause: int | None
    inbound: deque[Post] | None
    is_listed: bool

    @property
    def pid(self) -> int:
        """Its number in this process."""
        ...

    @property
    def name(self) -> str:
        """The name that messages to people use."""
        ...

    @property
    def info(self) -> AgentInfo:
        """What the log keeps of it."""
        ...

    @property
    def slot(self) -> TreePosition:
        """Its position in the supervision tree."""
        ...

    @property
    def ref(self) -> Ref:
        """Its address."""
        ...

    @property
    def host(self) -> AgentHost:
        """Where it runs."""
        ...

    @property
    def log(self) -> AgentLog:
        """The log of its host."""
        ...

    @property
    def type(self) -> str:
        """Worker, supervisor or task."""
        ...

    @property
    def supervisor(self) -> Hosted | None:
        """Its supervisor."""
        ...

    @property
    def backlog(self) -> int:
        """Number of messages that wait."""
        ...

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What runs its code."""
        ...

    @property
    def reentrant_tasks(self) -> AbstractSet[asyncio.Task[None]] | None:
        """What runs its reentrant handlers."""
        ...

    def note(self, kind: str, data: object = None, cause: int | None = None, by: Hosted | None = None) -> int:
        """AgentRecord an event of it."""
        ...

    def on_exit_signal(self, reason: object, by: Hosted | None, cause: int | None = None, *, is_linked: bool = False) -> None:
        """Handle an exit signal."""
        ...

    def abandon(self) -> None:
        """End it without another word: its loop is closed."""
        ...


class AgentHost:
    """One event loop and the agents on it.

    Attributes
    ----------
    loop : asyncio.AbstractEventLoop
        The loop.
    clock : Clock
        For every timer of the agents here.
    log : AgentLog
        What happened here.
    incarnations : dict of int to Incarnation
        The incarnations that run here, oldest first.
    zombies : set of Incarnation
        Who was given up and still runs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, log: AgentLog) -> None:
        self.loop, self.clock, self.log = loop, clock, log
        self.incarnations: dict[int, Hosted] = {}
        self.zombies: set[Hosted] = set()
        self.deadlines = Deadlines(clock)
        self.ident: int | None = None
        self.is_real = getattr(clock, "is_real", False)
        self._inbox = Inbox(loop)
        self.signals: deque[tuple[Hosted, object, Hosted, int | None]] = deque()
        self.is_watched = self.is_delivering = False
        self._parking: list[Parking] = []

    def watch_park(self, loop: Parking) -> None:
        """Ensure that the task of a message loop, which waits a moment for work, ends within `PARK` seconds."""
        loop.is_parking = True
        if not self._parking:
            self.loop.call_later(PARK, self._sweep)
        self._parking.append(loop)

    def _sweep(self) -> None:
        parking, self._parking = self._parking, []
        for loop in parking:
            loop.is_parking = False
            if loop.parked is not None and not loop.parked.done():
                loop.parked.set_result(None)

    @property
    def is_here(self) -> bool:
        """Whether the calling code runs on this host's loop."""
        return running_loop() is self.loop

    def post(self, fn: Callable[..., object], *args: object) -> None:
        """Call ``fn(*args)`` on the loop, from any thread, in the order of the posts and before messages that come later."""
        self._inbox.post(fn, args)

    def post_to(self, incarnation: Hosted, fn: Callable[..., object], *args: object) -> None:
        """Call ``fn(*args)`` on the loop, from any thread, after what was sent to `incarnation` before."""
        self._inbox.post_to(incarnation, fn, args)

    def deliver(self) -> None:
        """Deliver the pending exit signals one after another, so that a long chain of links needs no recursion."""
        if self.is_delivering:
            return
        self.is_delivering = True
        try:
            while self.signals:
                peer, reason, by, cause = self.signals.popleft()
                peer.on_exit_signal(reason, by, cause, is_linked=True)
        finally:
            self.is_delivering = False

    async def do(self, fn: Callable[..., Awaitable[_T]], *args: object) -> _T:
        """Await ``fn(*args)`` on this host's loop, from any loop."""
        if self.is_here:
            return await fn(*args)
        future = asyncio.run_coroutine_threadsafe(_awaited(fn, args), self.loop)
        with keep_loop_awake():
            return await asyncio.wrap_future(future)

    def do_sync(self, fn: Callable[..., Awaitable[_T]], *args: object, timeout: float | None = None) -> _T:
        """Call `do` from plain code and wait; an interrupt cancels it.

        Raises
        ------
        RuntimeError
            On the host's own loop, where waiting would stop what is waited for.
        """
        self.must_not_wait("use `await` here")
        return wait_interruptibly(asyncio.run_coroutine_threadsafe(_awaited(fn, args), self.loop), timeout)

    @property
    def can_call_now(self) -> bool:
        """Whether the calling code need not, or cannot, wait for the loop: it runs on it, or the loop is closed."""
        return self.is_here or self.loop.is_closed() or (running_loop() is not None and threading.get_ident() == self.ident)

    def call_on_loop(self, fn: Callable[..., _T], *args: object) -> _T:
        """Call the plain function `fn` on the loop's thread and return its value; directly if this is that thread."""
        if self.can_call_now:
            return fn(*args)
        future: cf.Future[_T] = cf.Future()
        context = contextvars.copy_context()

        def call() -> None:
            try:
                future.set_result(context.run(fn, *args))
            except BaseException as exc:
                future.set_exception(exc)

        self.post(call)
        return wait_interruptibly(future, None)

    def is_closing(self) -> bool:
        """Whether the loop is being shut down: every task on it was cancelled, as `asyncio.run` does at its end."""
        return all(task.done() or task.cancelling() for task in asyncio.all_tasks(self.loop))

    def close(self) -> None:
        """End every agent here at once: the loop is closing, nothing can be awaited or restarted."""
        for incarnation in list(self.incarnations.values()):
            incarnation.abandon()

    def must_not_wait(self, mend: str) -> None:
        """Raise if this thread is the one that runs the agents."""
        if self.is_here or (self.ident is not None and threading.get_ident() == self.ident):
            raise RuntimeError(f"this would block the thread that runs the agents: {mend}")


async def _awaited(fn: Callable[..., Awaitable[_T]], args: tuple[object, ...]) -> _T:
    return await fn(*args)


_hosts: dict[asyncio.AbstractEventLoop, dict[Clock, AgentHost]] = {}
_lock = threading.Lock()
_real = LoopClock()
_info_limit = INFO_LIMIT


def register_incarnation(incarnation: Hosted) -> None:
    """Register `incarnation` with its host and under its number."""
    global _info_limit
    incarnation.host.incarnations[incarnation.pid] = incarnation
    AGENT_INFOS[incarnation.pid] = incarnation.info
    if len(AGENT_INFOS) > _info_limit:
        _forget_infos()
        _info_limit = max(2 * len(AGENT_INFOS), INFO_LIMIT)


def _forget_infos() -> None:
    """Drop the facts about ended agents that no kept record refers to."""
    known = set(AGENT_INFOS)  # before the running ones are listed: whoever starts meanwhile is not among them
    with _lock:
        here = [host for of_loop in _hosts.values() for host in of_loop.values()]
    named = {number for host in here for number in list(host.incarnations)}
    for log in {id(host.log): host.log for host in here}.values():
        named.update(number for record in log.messages() for number in (record[3], record[6]) if isinstance(number, int))
    for number in known - named:
        AGENT_INFOS.pop(number, None)


def host_for(engine: Engine = None, clock: Clock | None = None) -> AgentHost:
    """The host of agents started with these options.

    Parameters
    ----------
    engine : None, "thread" or "inline"
        None is the engine thread, or, in an agent, that agent's host.
    clock : Clock or None
        None is the real one, or, in an agent, that agent's.
    """
    if clock is not None and not callable(getattr(clock, "call_later", None)):
        raise BadSpec(f"clock={clock!r}: give a clock with time, call_later and sleep, such as VirtualClock(), or None")
    by = CURRENT_AGENT.get()
    if by is not None and engine is None and by.host.is_here:
        engine, clock = by.host.loop, clock or by.host.clock
    loop = _loop_for(engine)
    key = clock if clock is not None else _real
    host = _hosts.get(loop, {}).get(key)
    return host if host is not None else _make_host(loop, key)


def _make_host(loop: asyncio.AbstractEventLoop, clock: Clock) -> AgentHost:
    ident = threading.get_ident() if running_loop() is loop else engine_thread.ident
    with _lock:
        for closed in [known for known in _hosts if known.is_closed()]:
            del _hosts[closed]
        of_loop = _hosts.setdefault(loop, {})
        if clock not in of_loop:
            known = next(iter(of_loop.values()), None)
            log = known.log if known is not None else AgentLog()  # one numbering per loop, whatever the clocks
            of_loop[clock] = host = AgentHost(loop, clock, log)
            if known is not None:
                host.signals, host._inbox = known.signals, known._inbox
            host.ident = next((one.ident for one in of_loop.values() if one.ident), ident)
        return of_loop[clock]


def _loop_for(engine: Engine) -> asyncio.AbstractEventLoop:
    if engine is None or engine == "thread":
        loop: asyncio.AbstractEventLoop = engine_thread.loop
        return loop
    if engine == "inline":
        return asyncio.get_running_loop()
    if isinstance(engine, asyncio.AbstractEventLoop):
        return engine
    raise BadSpec(f"engine={engine!r}: no such engine{nearest(engine, ['inline', 'thread'])}")


def hosts() -> list[AgentHost]:
    """Every host whose loop is open."""
    with _lock:
        return [host for loop, of_loop in _hosts.items() if not loop.is_closed() for host in of_loop.values()]
