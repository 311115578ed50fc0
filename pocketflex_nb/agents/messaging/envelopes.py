"""What a mailbox holds: calls, casts, infos and system messages, and the return address of a call.

A cast or info is a plain tuple, shaped as a record of the log with the message instead of its label; a call, and the system's own
messages, are objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from pocketflex_nb.agents.host.agent_log import PLAIN
from pocketflex_nb.agents.protocol.errors import AgentDown, CallTimeout
from pocketflex_nb.agents.protocol.exit_reasons import short
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["CAST", "INFO", "Caller", "InternalMessage", "MethodCall", "SystemMessage"]

CAST, INFO = "cast", "info"


class MethodCall:
    """A message that names one of the agent's methods: what ``ref.pop(1)`` sends."""

    __slots__ = ("args", "is_reentrant", "kwargs", "label")
    #: a mark on our own class: the label of a user's message is the name of its class
    pfx_label = True

    def __init__(self, label: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, is_reentrant: bool = False) -> None:
        self.label, self.args, self.kwargs, self.is_reentrant = label, args, kwargs, is_reentrant

    def on(self, agent: Any) -> Any:
        """Call the method."""
        method = getattr(agent, self.label)
        return method(*self.args, **self.kwargs) if self.kwargs else method(*self.args)

    def told(self) -> str:
        """The call as text, as it was written."""
        parts = [short(arg) for arg in self.args]
        parts += [f"{name}={short(value)}" for name, value in (self.kwargs or {}).items()]
        return f"{self.label}({', '.join(parts)})"

    def __repr__(self) -> str:
        return self.told()


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

    __slots__ = ("by", "due", "fut", "incarnation", "is_cancelling", "message", "seq", "start", "task")
    due: float
    task: asyncio.Task[Any]

    def __init__(self, incarnation: Any, message: Any, fut: Any, by: Any, seq: int, start: int, is_cancelling: bool = False) -> None:
        self.incarnation, self.message, self.fut, self.by, self.seq, self.start = incarnation, message, fut, by, seq, start
        self.is_cancelling = is_cancelling  # and `due`, which only a call with a timeout has; `task`, if a reentrant handler has it

    @property
    def ref(self) -> Any:
        """The ref of the calling agent, or None for plain code."""
        return self.by.ref if self.by is not None else None

    def reply(self, value: Any) -> None:
        """Answer the call, from any agent, loop or thread; the first answer counts, a late one is dropped.

        Parameters
        ----------
        value : object
            What the call gives; to raise an error there instead, raise `ReplyError` in the handler.
        """
        host = self.incarnation.host
        if not host.is_here:
            host.post(self.reply, value)
            return
        by = CURRENT_AGENT.get()
        if by is not None and by.fenced:
            return
        self.answer(value)
        if self.incarnation.pending_replies:
            self.incarnation.pending_replies.discard(self)

    def answer(self, value: Any) -> None:
        """`reply` with `value`, on the host's loop, while the call is being handled; for use in this room."""
        fut = self.fut
        if fut.done():
            self.incarnation.clear_cancel(self)
            return
        log, now = self.incarnation.log, perf_counter_ns()
        what = value if value.__class__ in PLAIN else log.describe(value)
        by = self.by
        record = (next(log.count), now, "reply", self.incarnation.pid, (what, now - self.start, None), self.seq, by and by.pid)
        log.add(record)
        if log.watchers:
            log.tell(record)
        fut.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Raise `error` in the caller; for use in this room."""
        if not self.fut.done():
            took = perf_counter_ns() - self.start
            self.incarnation.note("reply", (None, took, f"{type(error).__name__}: {error}"), self.seq, self.by)
            self.fut.set_exception(error)
        if self.incarnation.pending_replies:
            self.incarnation.pending_replies.discard(self)

    def down(self, reason: Any) -> None:
        """Report to the caller that the agent ended by `reason`; for use in this room."""
        if not self.fut.done():
            try:
                self.fut.set_exception(AgentDown(reason, self.incarnation.name))
            except RuntimeError:  # its loop is closed: nobody waits
                pass

    def expire(self, seconds: float) -> None:
        """Report to the caller that its `seconds` are over; for use in this room."""
        self.fut.set_exception(CallTimeout(self.incarnation.name, seconds, str(self.incarnation.host.log.describe(self.message))))
        if self.is_cancelling:
            self.incarnation.cancel_call(self)

    def __repr__(self) -> str:
        return f"<Caller {self.by.address if self.by is not None else 'outside'} of {self.incarnation.address}>"


class SystemMessage:
    """A system message: `run(incarnation)` is called between two messages, in order of arrival, also while the agent is suspended.

    What it gives is read as a handler's return value, and awaited before.
    """

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Any], Any]) -> None:
        self.run = run


class InternalMessage:
    """Like `SystemMessage`, but treated as a user's message: it waits while the agent is suspended, and ends its idle time."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Any], Any]) -> None:
        self.run = run


