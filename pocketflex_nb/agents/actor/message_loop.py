"""The mailbox of an agent, and the task that takes its messages one at a time.

No task exists while the mailbox is empty: the first message starts one (`serve`), which ends a moment after the mailbox is empty again.
Everything here runs on the host's loop.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from time import perf_counter
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.host.agent_host import Home
from pocketflex_nb.agents.host.agent_log import warn
from pocketflex_nb.agents.messaging.envelopes import INFO, Ask, Caller, Order, Turn
from pocketflex_nb.agents.protocol.directives import NO_REPLY, Continue, Idle, Stop
from pocketflex_nb.agents.protocol.errors import BadReturn, ReplyError, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, RUNNING, short

__all__ = ["BURST", "DIRECTIVES", "SLOT", "Ending", "Mailbox"]

#: messages handled before a look at the time; seconds of handling before the other tasks of the loop get their turn
BURST, SLOT = 32, 0.0003
#: what a handler may give besides None to say how to go on
DIRECTIVES = frozenset({Stop, Idle, Continue})


class Ending(BaseException):
    """Raised to end the agent: it returned `Stop`, or called `exit`. Not an Exception, so that no handler catches it by accident."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)  # which lets it travel from a process of its own
        self.stop = stop


class Mailbox:
    """The half of a `Life` that handles messages; see there for the attributes."""

    __slots__ = (
        "agent",
        "box",
        "cause",
        "context",
        "doom",
        "hand",
        "handled",
        "home",
        "idle",
        "inbound",
        "is_awake",
        "is_held",
        "is_listed",
        "is_parking",
        "is_suspended",
        "loop",
        "owed",
        "parked",
        "side",
        "status",
        "task",
        "timer",
    )

    agent: Any
    box: deque[Any] | None
    cause: int | None
    context: contextvars.Context | None
    doom: tuple[Any, bool] | None
    hand: Caller | None
    handled: int
    home: Home
    idle: float | None
    inbound: deque[Any] | None
    is_awake: bool
    is_held: bool
    is_listed: bool
    is_parking: bool
    is_suspended: bool
    loop: asyncio.AbstractEventLoop
    owed: set[Caller] | None
    parked: asyncio.Future[None] | None
    side: set[asyncio.Task[Any]] | None
    status: str
    task: asyncio.Task[Any] | None
    timer: Any

    @property
    def name(self) -> str:
        """The name that messages to people use."""
        raise NotImplementedError

    def inform(self, message: Any) -> None:
        """Put a message for `handle_info` into the mailbox."""
        raise NotImplementedError

    def end(self, reason: Any, *, polite: bool = False) -> None:
        """End with `reason`."""
        raise NotImplementedError

    async def _conclude(self, exc: BaseException | None) -> None:
        raise NotImplementedError

    def _reason_of(self, exc: BaseException | None) -> tuple[Any, bool, Stop | None]:
        raise NotImplementedError

    def put(self, item: Any) -> None:
        """Put `item` into the mailbox."""
        box = self.box
        if box is None:
            box = self.box = deque()
        box.append(item)
        parked = self.parked
        if parked is not None:
            if not parked.done() and not self.loop.is_closed():
                parked.set_result(None)
        elif self.task is None and not self.loop.is_closed():
            self.task = asyncio.Task(self.serve(), loop=self.loop, name="agent", context=self.context)

    async def serve(self, first: Any = None) -> None:
        """Handle the messages of the mailbox until it stays empty for a moment or the incarnation ends."""
        self._quiet()
        self._stay_idle()
        self.is_awake = True
        while True:
            try:
                if first is not None:
                    out, first = first, None
                    await self._follow(out)
                await self._empty()
                break
            except BaseException as exc:
                self.parked, self.is_awake = None, True
                if not isinstance(exc, ReplyError) or self.doom is not None:
                    await self._conclude(exc)
                    return
                warn(f"agent {self.name!r} raised {exc!r} where nobody waits for a reply")
        if self.doom is not None or self.status is DEAD:
            await self._conclude(None)
            return
        self.is_awake = False
        self.task = self.hand = None
        if not self.box:
            self.box = None
            if self.idle is not None and not self.is_suspended:
                self.timer = self.home.clock.call_later(self.idle, self._idle_over)

    async def _empty(self) -> None:
        """The loop of `serve`, in one piece since it runs for each message; rare cases are checked behind `is_held` only."""
        box, loop, until = self.box, self.loop, perf_counter() + SLOT
        while box is not None:
            agent = self.agent
            for handled in range(BURST):
                if not box or self.is_held:
                    self.handled += handled
                    break
                item = box.popleft()
                if item.__class__ is tuple:
                    self.cause, verb, message = item[0], item[2], item[4]
                    if verb is INFO:
                        out = agent.handle_info(message)
                    elif message.__class__ is Ask:
                        out = self._asked(item, message)
                    else:
                        out = agent.handle_cast(message)
                    if out.__class__ is CoroutineType:
                        out = await out
                    if out is not None:
                        await self._follow(out)
                elif item.__class__ is Caller:
                    self.hand, self.cause, message = item, item.seq, item.message
                    try:
                        out = agent.handle_call(message, item) if message.__class__ is not Ask else self._asked(item, message)
                        if out.__class__ is CoroutineType:
                            out = await out
                    except ReplyError as exc:
                        item.fail(exc.exc)
                    except asyncio.CancelledError:
                        if not self._lets_go(item):
                            raise
                    else:
                        if out is NO_REPLY or out.__class__ in DIRECTIVES:
                            await self._without_reply(item, out)
                        elif self.doom is None:
                            item.answer(out)
                else:
                    await self._obey(item)
                    agent = self.agent
            else:
                self.handled += BURST
                if perf_counter() > until:
                    await asyncio.sleep(0)
                    until = perf_counter() + SLOT
            if self.is_held and (self.doom is not None or (self.is_suspended and not await self._obey_first())):
                return
            if not box:
                if self.idle is not None:
                    return
                # Waking a task that waits a moment is cheaper than making one; the host wakes it when nothing comes.
                self.is_awake = False
                self.hand = item = message = out = None  # keep nothing of the last message alive meanwhile
                self.parked = parked = loop.create_future()
                if not self.is_parking:
                    self.home.watch_park(self)
                await parked
                self.parked, self.is_awake = None, True
                if not box:
                    return
                until = perf_counter() + SLOT

    def _asked(self, item: Any, message: Ask) -> Any:
        """Start a method that a message names."""
        if message.is_reentrant:
            self._beside(item, message)
            return NO_REPLY if item.__class__ is Caller else None
        out = message.on(self.agent)
        return out if item.__class__ is Caller else _quietly(out)

    async def _without_reply(self, item: Caller, out: Any) -> None:
        """Handle a return value of `handle_call` that is no plain reply: `NO_REPLY`, or a directive, perhaps with the reply."""
        if out.__class__ is Stop:
            raise Ending(out)
        if self.doom is not None:
            return  # `hand` is told
        if out is not NO_REPLY and out.has_reply:
            item.answer(out.reply)
        elif not item.fut.done():
            self.owed = self.owed or set()
            self.owed.add(item)
        else:
            self.calm(item)
        self.hand = None  # what is handled from here on is not this call any more
        if out is not NO_REPLY:
            await self._follow(out)

    async def _follow(self, out: Any) -> None:
        """Carry out the directive that a handler returned."""
        while out is not None:
            cls = out.__class__
            if cls is Stop:
                raise Ending(out)
            if cls is Idle:
                check_time(out.seconds, "Idle: seconds", none=False)
                self.idle = out.seconds  # the time begins when the mailbox is empty
                self._stay_idle()
                return
            if cls is not Continue:
                raise BadReturn(f"a handler of {self.name!r} returned {short(out)}: give None, Idle, Continue or Stop")
            out = self.agent.handle_continue(out.value)
            if out.__class__ is CoroutineType:
                out = await out

    async def _obey(self, order: Order | Turn) -> None:
        out = order.run(self)
        if out.__class__ is CoroutineType:
            out = await out
        if out is not None:
            await self._follow(out)
        self._stay_idle()

    async def _obey_first(self) -> bool:
        """While suspended: run the next system message of the mailbox, if there is one."""
        box = self.box or ()
        for n, item in enumerate(box):
            if item.__class__ is Order:
                del box[n]  # type: ignore[union-attr]  # it was just iterated
                await self._obey(item)
                return True
        return False

    def _beside(self, item: Any, message: Ask) -> None:
        """Handle a message of a reentrant handler in a task of its own."""
        if self.side is None:
            self.side = set()
        task = self.home.loop.create_task(self._aside(item, message), context=self.context)
        if item.__class__ is Caller:
            item.task = task
        self.side.add(task)
        task.add_done_callback(self.side.discard)

    async def _aside(self, item: Any, message: Ask) -> None:
        caller = item if item.__class__ is Caller else None
        if caller is not None:
            self.owed = self.owed or set()
            self.owed.add(caller)
        try:
            out = message.on(self.agent)
            if out.__class__ is CoroutineType:
                out = await out
            if caller is not None:
                caller.reply(out)
        except ReplyError as exc:
            if caller is not None:
                caller.fail(exc.exc)
        except BaseException as exc:
            if caller is not None and isinstance(exc, asyncio.CancelledError) and self._lets_go(caller):
                if self.owed:
                    self.owed.discard(caller)
                return
            if self.doom is None and self.status is not DEAD:
                self.end(self._reason_of(exc)[0], polite=True)

    # times -----------------------------------------------------------------------------------------------------------
    def _quiet(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _stay_idle(self) -> None:
        """Any message ends the idle time; a system message only restarts it."""
        if self.idle is not None and self.box and self.box[0].__class__ is not Order:
            self.idle = None

    def _idle_over(self) -> None:
        self.timer = None
        if self.status is RUNNING and not self.is_awake and not self.box and not self.is_suspended:
            self.idle = None
            self.inform("timeout")

    def give_up(self, caller: Caller) -> None:
        """Handle the end of a `caller` that no longer waits and wants the work cancelled."""
        task = getattr(caller, "task", None)
        if task is not None:
            task.cancel()
        elif self.hand is caller and self.task is not None:
            self.task.cancel()
        elif self.box:
            for n, item in enumerate(self.box):
                if item is caller:
                    del self.box[n]
                    return

    def _lets_go(self, item: Caller) -> bool:
        """Whether a cancellation came from `give_up`, so that the agent continues."""
        return self.doom is None and self.calm(item)

    def calm(self, item: Caller) -> bool:
        """Whether the running task was cancelled for `item`, whose caller no longer waits; clears that for the next message."""
        if not item.is_cancelling or not item.fut.done():
            return False
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return False
        mine = getattr(item, "task", None) or (self.task if self.hand is item else None)
        if task is None or task is not mine or not task.cancelling():
            return False
        task.uncancel()
        return True


async def _quietly(out: Any) -> Any:
    """The return value of a named cast handler, if it is a directive; any other is ignored."""
    if out.__class__ is CoroutineType:
        out = await out
    return out if out.__class__ in DIRECTIVES else None
