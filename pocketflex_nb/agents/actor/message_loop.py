"""The message loop of an agent: its mailbox, and the task that takes its messages one at a time.

No task exists while the mailbox is empty: the first message starts one (`serve`), which ends a moment after the mailbox is empty again.
Everything here runs on the host's loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.actor.reentrant_handlers import absorb_cancel, spawn_reentrant
from pocketflex_nb.agents.actor.termination import AgentExit, RunningIncarnation
from pocketflex_nb.agents.host.agent_log import warn
from pocketflex_nb.agents.host.clock import Timer
from pocketflex_nb.agents.messaging.envelopes import INFO, Caller, Envelope, InternalMessage, MethodCall, OneWayMessage, SystemMessage
from pocketflex_nb.agents.protocol.directives import NO_REPLY, Continue, Idle, Stop
from pocketflex_nb.agents.protocol.errors import BadReturn, ReplyError, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, RUNNING, short

__all__ = ["BURST", "DIRECTIVES", "TIME_SLICE", "MessageLoop"]

#: messages handled before a look at the time; seconds of handling before the other tasks of the loop get their turn
BURST, TIME_SLICE = 32, 0.0003
#: what a handler may give besides None to say how to go on
DIRECTIVES = frozenset({Stop, Idle, Continue})


class MessageLoop:
    """The mailbox of an incarnation, and the task that empties it.

    Attributes
    ----------
    incarnation : RunningIncarnation
        Whose mailbox it is.
    queue : deque of Envelope, or None
        The messages; None while there are none and no task runs.
    is_draining : bool
        Whether the task takes messages now: then `queue` is there, and a message may simply be appended.
    is_suspended : bool
        No message is handled until `resume`.
    is_blocked : bool
        The queue must not simply be emptied: an exit is pending, or it is suspended.
    handled : int
        Number of messages handled.
    idle : float or None
        Seconds without a message after which `handle_info` gets ``"timeout"``; `timer` rings then.
    parked : asyncio.Future or None
        What the task waits for while it waits a moment for work; `is_parking` says that the host will end that wait.
    """

    __slots__ = (
        "handled", "idle", "incarnation", "is_blocked", "is_draining", "is_parking", "is_suspended", "loop", "parked", "queue", "timer",
    )

    def __init__(self, incarnation: RunningIncarnation, loop: asyncio.AbstractEventLoop) -> None:
        self.incarnation, self.loop = incarnation, loop
        self.queue: deque[Envelope] | None = None
        self.is_draining = self.is_suspended = self.is_blocked = self.is_parking = False
        self.handled = 0
        self.idle: float | None = None
        self.timer: Timer | None = None
        self.parked: asyncio.Future[None] | None = None

    def put(self, item: Envelope) -> None:
        """Put `item` into the mailbox."""
        incarnation = self.incarnation
        queue = self.queue
        if queue is None:
            queue = self.queue = deque()
        queue.append(item)
        parked = self.parked
        if parked is not None:
            if not parked.done() and not self.loop.is_closed():
                parked.set_result(None)
        elif incarnation.task is None and not self.loop.is_closed():
            incarnation.task = asyncio.Task(self.serve(), loop=self.loop, name="agent", context=incarnation.context)

    async def serve(self, first: object = None) -> None:
        """Handle the messages of the mailbox until it stays empty for a moment or the incarnation ends."""
        incarnation = self.incarnation
        self.stop_idle_timer()
        self.update_idle()
        self.is_draining = True
        while True:
            try:
                if first is not None:
                    out, first = first, None
                    await self.follow_directive(out)
                await self.drain()
                break
            except BaseException as exc:
                self.parked, self.is_draining = None, True
                if not isinstance(exc, ReplyError) or incarnation.pending_exit is not None:
                    await incarnation.conclude(exc)
                    return
                warn(f"agent {incarnation.name!r} raised {exc!r} outside a call")
        if incarnation.pending_exit is not None or incarnation.status is DEAD:
            await incarnation.conclude(None)
            return
        self.is_draining = False
        incarnation.task = incarnation.current_call = None
        if not self.queue:
            self.queue = None
            if self.idle is not None and not self.is_suspended:
                self.timer = incarnation.host.clock.call_later(self.idle, self.on_idle_timeout)

    async def drain(self) -> None:
        """The loop of `serve`, in one piece since it runs for each message; rare cases are checked behind `is_blocked` only."""
        incarnation = self.incarnation
        queue: deque[Any] | None = self.queue
        loop, until = self.loop, perf_counter() + TIME_SLICE
        while queue is not None:
            agent = incarnation.agent
            for handled in range(BURST):
                if not queue or self.is_blocked:
                    self.handled += handled
                    break
                item = queue.popleft()
                if item.__class__ is tuple:
                    incarnation.cause, _, verb, _, message, _, _ = item
                    if verb is INFO:
                        out = agent.handle_info(message)
                    elif message.__class__ is MethodCall:
                        out = self.start_method(item, message)
                    else:
                        out = agent.handle_cast(message)
                    if out.__class__ is CoroutineType:
                        out = await out
                    if out is not None:
                        await self.follow_directive(out)
                elif item.__class__ is Caller:
                    incarnation.current_call, incarnation.cause, message = item, item._seq, item.message
                    try:
                        out = agent.handle_call(message, item) if message.__class__ is not MethodCall else self.start_method(item, message)
                        if out.__class__ is CoroutineType:
                            out = await out
                    except ReplyError as exc:
                        item._fail(exc.exc)
                    except asyncio.CancelledError:
                        if not absorb_cancel(incarnation, item):
                            raise
                    else:
                        if out is NO_REPLY or out.__class__ in DIRECTIVES:
                            await self._without_reply(item, out)
                        elif incarnation.pending_exit is None:
                            item._answer(out)
                else:
                    await self.run_system_message(item)
                    agent = incarnation.agent
            else:
                self.handled += BURST
                if perf_counter() > until:
                    await asyncio.sleep(0)
                    until = perf_counter() + TIME_SLICE
            if self.is_blocked and incarnation.pending_exit is not None:
                return
            if self.is_blocked and self.is_suspended and not await self.run_next_system_message():
                return
            if not queue:
                if self.idle is not None:
                    return
                # Waking a task that waits a moment is cheaper than making one; the host wakes it when nothing comes.
                self.is_draining = False
                incarnation.current_call = item = message = out = None  # keep nothing of the last message alive meanwhile
                self.parked = parked = loop.create_future()
                if not self.is_parking:
                    incarnation.host.watch_park(self)
                await parked
                self.parked, self.is_draining = None, True
                if not queue:
                    return
                until = perf_counter() + TIME_SLICE

    def start_method(self, item: Caller | OneWayMessage, message: MethodCall) -> object:
        """Start a method that a message names."""
        incarnation = self.incarnation
        if message.is_reentrant:
            spawn_reentrant(incarnation, item, message)
            return NO_REPLY if item.__class__ is Caller else None
        out = message.on(incarnation.agent)
        return out if item.__class__ is Caller else _quietly(out)

    async def _without_reply(self, item: Caller, out: Any) -> None:
        """Handle a return value of `handle_call` that is no plain reply: `NO_REPLY`, or a directive, perhaps with the reply."""
        incarnation = self.incarnation
        if out.__class__ is Stop:
            raise AgentExit(out)
        if incarnation.pending_exit is not None:
            return  # `current_call` is told
        if out is not NO_REPLY and out.has_reply:
            item._answer(out.reply)
        elif not item._fut.done():
            incarnation.pending_replies = incarnation.pending_replies or set()
            incarnation.pending_replies.add(item)
        else:
            self.clear_cancel(item)
        incarnation.current_call = None  # what is handled from here on is not this call any more
        if out is not NO_REPLY:
            await self.follow_directive(out)

    async def follow_directive(self, out: Any) -> None:
        """Carry out the directive that a handler returned."""
        incarnation = self.incarnation
        while out is not None:
            cls = out.__class__
            if cls is Stop:
                raise AgentExit(out)
            if cls is Idle:
                check_time(out.seconds, "Idle: seconds", none=False)
                self.idle = out.seconds  # the time begins when the mailbox is empty
                self.update_idle()
                return
            if cls is not Continue:
                raise BadReturn(f"a handler of {incarnation.name!r} returned {short(out)}: give None, Idle, Continue or Stop")
            out = incarnation.agent.handle_continue(out.value)
            if out.__class__ is CoroutineType:
                out = await out

    async def run_system_message(self, order: SystemMessage | InternalMessage) -> None:
        """Run a system message, and follow what it returns."""
        incarnation = self.incarnation
        out: Any = order.run(incarnation)
        if out.__class__ is CoroutineType:
            out = await out
        if out is not None:
            await self.follow_directive(out)
        self.update_idle()

    async def run_next_system_message(self) -> bool:
        """While suspended: run the next system message of the mailbox, if there is one."""
        queue = self.queue
        for n, item in enumerate(queue or ()):
            if queue is not None and isinstance(item, SystemMessage):
                del queue[n]
                await self.run_system_message(item)
                return True
        return False

    # times -----------------------------------------------------------------------------------------------------------
    def stop_idle_timer(self) -> None:
        """Cancel the timer of the idle time."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def update_idle(self) -> None:
        """Any message ends the idle time; a system message only restarts it."""
        if self.idle is not None and self.queue and self.queue[0].__class__ is not SystemMessage:
            self.idle = None

    def on_idle_timeout(self) -> None:
        """Handle the end of the idle time."""
        incarnation = self.incarnation
        self.timer = None
        if incarnation.status is RUNNING and not self.is_draining and not self.queue and not self.is_suspended:
            self.idle = None
            incarnation.deliver_info("timeout")

    def cancel_call(self, caller: Caller) -> None:
        """Handle the end of a `caller` that no longer waits and wants the work cancelled."""
        incarnation = self.incarnation
        task = getattr(caller, "_task", None)
        if task is not None:
            task.cancel()
        elif incarnation.current_call is caller and incarnation.task is not None:
            incarnation.task.cancel()
        elif self.queue:
            for n, item in enumerate(self.queue):
                if item is caller:
                    del self.queue[n]
                    return

    def clear_cancel(self, item: Caller) -> bool:
        """Whether the running task was cancelled for `item`, whose caller no longer waits; clears that for the next message."""
        incarnation = self.incarnation
        if not item._is_cancelling or not item._fut.done():
            return False
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return False
        mine = getattr(item, "_task", None) or (incarnation.task if incarnation.current_call is item else None)
        if task is None or task is not mine or not task.cancelling():
            return False
        task.uncancel()
        return True


async def _quietly(out: Any) -> object:
    """The return value of a named cast handler, if it is a directive; any other is ignored."""
    if out.__class__ is CoroutineType:
        out = await out
    return out if out.__class__ in DIRECTIVES else None
