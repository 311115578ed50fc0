"""What a mailbox holds: calls, casts, infos and system messages, and the return address of a call.

A cast or info is a plain tuple, shaped as a record of the log with the message instead of its label; a call, and the system's own
messages, are objects.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from time import perf_counter_ns
from typing import Any, Protocol

from pocketflex_nb.agents.host.agent_host import Hosted
from pocketflex_nb.agents.host.agent_log import PLAIN, KeptRecord, NamedMessage
from pocketflex_nb.agents.host.deadlines import ReplyFuture
from pocketflex_nb.agents.protocol.errors import AgentDown, CallTimeout
from pocketflex_nb.agents.protocol.exit_reasons import short
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = [
    "CAST", "INFO", "Addressee", "Caller", "Envelope", "InternalMessage", "KeyTable", "Mailbox", "MethodCall", "OneWayMessage",
    "SystemMessage", "Watcher",
]

CAST, INFO = "cast", "info"


class Watcher(Protocol):
    """Told of one incarnation's end: a monitor, or whoever waits for the end."""

    def _down(self, incarnation: Addressee, reason: object, zombie: bool, seq: int | None) -> None:
        """Handle the end of `incarnation`; `seq` is the number of its exit event."""
        ...


class KeyTable(Protocol):
    """A registry as its entries' owners see it."""

    def _forget(self, tagged: Hashable, incarnation: Addressee) -> None:
        """Remove the entries of an ended `incarnation`."""
        ...


class Mailbox(Protocol):
    """The messages of an incarnation.

    Attributes
    ----------
    queue : deque of Envelope, or None
        None while there are none.
    is_draining : bool
        Whether a task takes messages now: then `queue` is there, and a message may simply be appended.
    is_suspended, is_blocked : bool
        Whether no message is handled; whether the queue must not simply be emptied.
    handled : int
        Number of messages handled.
    """

    queue: deque[Envelope] | None
    is_draining: bool
    is_suspended: bool
    is_blocked: bool
    handled: int

    def put(self, item: Envelope) -> None:
        """Put `item` into it, and see that somebody takes it."""
        ...


class Addressee(Hosted, Protocol):
    """An incarnation as messages and monitors see it.

    Attributes
    ----------
    agent : object
        The user's agent; None before `init` and after the end.
    cls : type or callable
        Its class, or the function of a task.
    current_call : Caller or None
        The call being handled, or handled last.
    pending_replies : set of Caller, or None
        Calls to be answered later.
    watchers, links : list of Watcher, set of Addressee, or None
        Those to tell of its end.
    names : dict or None
        What it is registered under: of ``(registry, key)``, the numbers of its entries.
    known : hashable or None
        The first unique name it had: where its successor is looked for.
    cleanups : list of callable, or None
        Called with it at its end.
    """

    agent: Any
    cls: Any
    current_call: Caller | None
    pending_replies: set[Caller] | None
    watchers: list[Watcher] | None
    links: set[Addressee] | None
    names: dict[tuple[KeyTable, Hashable], list[int]] | None
    known: Hashable | None
    cleanups: list[Callable[[Addressee], object]] | None

    @property
    def mailbox(self) -> Mailbox:
        """Its messages."""
        ...

    @property
    def ref_class(self) -> type[Any]:
        """The class of its refs."""
        ...

    @property
    def address(self) -> str:
        """Its path in the supervision tree."""
        ...

    @property
    def reason(self) -> object:
        """Its exit reason."""
        ...

    @property
    def supervisor(self) -> Addressee | None:
        """Its supervisor."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of its host."""
        ...

    @property
    def ident(self) -> int | None:
        """The thread of its host."""
        ...

    @property
    def fenced(self) -> bool:
        """A zombie: what it still does is dropped."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether messages may simply be put into the mailbox: alive, not strict."""
        ...

    @property
    def is_strict(self) -> bool:
        """Whether messages are copied."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether its code runs now."""
        ...

    @property
    def pending_exit(self) -> tuple[object, bool] | None:
        """The exit reason decided from outside, and whether `terminate` runs."""
        ...

    def put(self, item: Envelope) -> None:
        """Put `item` into the mailbox."""
        ...

    def cancel_call(self, caller: Caller) -> None:
        """Cancel the work for a caller that no longer waits."""
        ...

    def clear_cancel(self, item: Caller) -> bool:
        """Whether the running task was cancelled for the call `item` only; clears that."""
        ...

    async def successor(self, seconds: float) -> Addressee:
        """The next incarnation of its name or position, within `seconds`."""
        ...


class MethodCall(NamedMessage):
    """A message that names one of the agent's methods: what ``ref.pop(1)`` sends."""

    __slots__ = ("args", "is_reentrant", "kwargs", "label")

    def __init__(
        self, label: str, args: tuple[object, ...] = (), kwargs: dict[str, object] | None = None, is_reentrant: bool = False
    ) -> None:
        self.label, self.args, self.kwargs, self.is_reentrant = label, args, kwargs, is_reentrant

    def on(self, agent: object) -> Any:
        """Call the method."""
        method = getattr(agent, self.label)
        return method(*self.args, **self.kwargs) if self.kwargs else method(*self.args)

    def __repr__(self) -> str:
        parts = [short(arg) for arg in self.args]
        parts += [f"{name}={short(value)}" for name, value in (self.kwargs or {}).items()]
        return f"{self.label}({', '.join(parts)})"


class Caller:
    """The return address of one call: `handle_call` gets it, and may keep it to `reply` later.

    Attributes
    ----------
    message : object
        What was asked.
    ref : AgentRef or None
        The agent that asks; None for plain code such as a cell.

    Examples
    --------
    >>> from pocketflex_nb.agents import NO_REPLY, Agent
    >>> class Gate(Agent):
    ...     async def init(self):
    ...         self.waiting = []
    ...     async def handle_call(self, message, caller):
    ...         self.waiting.append(caller)
    ...         return NO_REPLY              # the agent is free; the caller waits on
    ...     async def handle_cast(self, message):
    ...         for caller in self.waiting:
    ...             caller.reply("open")
    >>> import asyncio
    >>> async def main():
    ...     gate = await Gate.start()
    ...     calls = [asyncio.create_task(gate.call("may I?")) for _ in range(2)]
    ...     while gate.stats()["handled"] < 2:
    ...         await asyncio.sleep(0.001)
    ...     gate.cast("now")
    ...     answers = await asyncio.gather(*calls)
    ...     await gate.stop()
    ...     return answers
    >>> asyncio.run(main())
    ['open', 'open']
    """

    __slots__ = ("_by", "_due", "_fut", "_incarnation", "_is_cancelling", "_seq", "_start", "_task", "message")
    _due: float
    _task: asyncio.Task[None]

    def __init__(
        self,
        incarnation: Addressee,
        message: Any,
        fut: ReplyFuture,
        by: Addressee | None,
        seq: int,
        start: int,
        is_cancelling: bool = False,
    ) -> None:
        self._incarnation, self.message, self._fut, self._by, self._seq, self._start = incarnation, message, fut, by, seq, start
        self._is_cancelling = is_cancelling  # and `_due`, which only a call with a timeout has; `_task`, if a reentrant handler has it

    @property
    def ref(self) -> Ref | None:
        """The ref of the calling agent, or None for plain code."""
        return self._by.ref if self._by is not None else None

    def reply(self, value: object) -> None:
        """Answer the call, from any agent, loop or thread; the first answer counts, a late one is dropped.

        Parameters
        ----------
        value : object
            What the call gives; to raise an error there instead, raise `ReplyError` in the handler.
        """
        host = self._incarnation.host
        if not host.is_here:
            host.post(self.reply, value)
            return
        by = CURRENT_AGENT.get()
        if by is not None and by.fenced:
            return
        self._answer(value)
        if self._incarnation.pending_replies:
            self._incarnation.pending_replies.discard(self)

    def _answer(self, value: object) -> None:
        """`reply` with `value`, on the host's loop, while the call is being handled."""
        fut = self._fut
        if fut.done():
            self._incarnation.clear_cancel(self)
            return
        log, now = self._incarnation.log, perf_counter_ns()
        what = value if value.__class__ in PLAIN else log.describe(value)
        by = self._by
        sender = None if by is None else by.pid
        record: KeptRecord = (next(log.count), now, "reply", self._incarnation.pid, (what, now - self._start, None), self._seq, sender)
        log.add(record)
        if log.watchers:
            log.notify(record)
        fut.set_result(value)

    def _fail(self, error: BaseException) -> None:
        """Raise `error` in the caller."""
        if not self._fut.done():
            took = perf_counter_ns() - self._start
            self._incarnation.note("reply", (None, took, f"{type(error).__name__}: {error}"), self._seq, self._by)
            self._fut.set_exception(error)
        if self._incarnation.pending_replies:
            self._incarnation.pending_replies.discard(self)

    def _down(self, reason: object) -> None:
        """Report to the caller that the agent ended by `reason`."""
        if not self._fut.done():
            try:
                self._fut.set_exception(AgentDown(reason, self._incarnation.name))
            except RuntimeError:  # its loop is closed: nobody waits
                pass

    def _expire(self, seconds: float) -> None:
        """Report to the caller that its `seconds` are over."""
        self._fut.set_exception(CallTimeout(self._incarnation.name, seconds, str(self._incarnation.host.log.describe(self.message))))
        if self._is_cancelling:
            self._incarnation.cancel_call(self)

    def __repr__(self) -> str:
        return f"<Caller {self._by.address if self._by is not None else 'outside'} of {self._incarnation.address}>"


class SystemMessage:
    """A system message: `run(incarnation)` is called between two messages, in order of arrival, also while the agent is suspended.

    What it gives is read as a handler's return value, and awaited before.
    """

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Addressee], object]) -> None:
        self.run = run


class InternalMessage:
    """Like `SystemMessage`, but treated as a user's message: it waits while the agent is suspended, and ends its idle time."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Addressee], object]) -> None:
        self.run = run


#: a cast or info: number, 0, kind, None, message, cause, number of the sender
OneWayMessage = tuple[int, int, str, int | None, object, int | None, int | None]
#: what a mailbox holds
Envelope = OneWayMessage | Caller | SystemMessage | InternalMessage
