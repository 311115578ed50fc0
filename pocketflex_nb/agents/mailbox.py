"""How does an agent come to its messages? The mailbox, and the task that empties it.

No task exists while the mailbox is empty: the first message starts one (`serve`), which ends a moment after the mailbox is empty again.
Everything here happens on the home's loop.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.errors import BadReturn, ReplyError, check_time
from pocketflex_nb.agents.home import Home
from pocketflex_nb.agents.log import warn
from pocketflex_nb.agents.mail import INFO, Ask, Caller, Order
from pocketflex_nb.agents.reasons import DEAD, NO_REPLY, RUNNING, Continue, Crash, Idle, Stop

__all__ = ["BURST", "DIRECTIVES", "Ending", "Mailbox"]

#: messages handled before the other tasks of the loop get their turn
BURST = 256
#: what a handler may give besides None to say how to go on
DIRECTIVES = frozenset({Stop, Idle, Continue})


class Ending(Exception):
    """The agent gave `Stop`."""

    def __init__(self, stop: Stop) -> None:
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
        "is_awake",
        "is_held",
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
    is_awake: bool
    is_held: bool
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
        """How messages to people call it."""
        raise NotImplementedError

    def inform(self, message: Any) -> None:
        """Lay a message for `handle_info` in the mailbox."""
        raise NotImplementedError

    def end(self, reason: Any, *, polite: bool = False) -> None:
        """End with `reason`."""
        raise NotImplementedError

    async def _conclude(self, exc: BaseException | None) -> None:
        raise NotImplementedError

    def put(self, item: Any) -> None:
        """Lay `item` in the mailbox."""
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
        """Handle what lies in the mailbox until it stays empty for a moment or this life ends."""
        self._quiet()
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

    async def _empty(self) -> None:
        """The loop of `serve`, in one piece since it is run for each message; what is rare is looked at behind `is_held` only."""
        box, loop = self.box, self.loop
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
                await asyncio.sleep(0)
            if self.is_held and (self.doom is not None or (self.is_suspended and not await self._obey_first())):
                return
            if not box:
                if self.timer is not None:
                    return
                # Waking a task that waits a moment is cheaper than making one; the home wakes it when nothing comes.
                self.is_awake = False
                self.hand = item = message = out = None  # keep nothing of the last message alive meanwhile
                self.parked = parked = loop.create_future()
                if not self.is_parking:
                    self.home.watch_park(self)
                await parked
                self.parked, self.is_awake = None, True
                if not box:
                    return

    def _asked(self, item: Any, message: Ask) -> Any:
        """Start a method that a message names."""
        if message.is_reentrant:
            self._beside(item, message)
            return NO_REPLY if item.__class__ is Caller else None
        out = message.on(self.agent)
        return out if item.__class__ is Caller else _quietly(out)

    async def _without_reply(self, item: Caller, out: Any) -> None:
        if out.__class__ is Stop:
            raise Ending(out)
        if not item.fut.done():
            self.owed = self.owed or set()
            self.owed.add(item)
        if out is not NO_REPLY:
            await self._follow(out)

    async def _follow(self, out: Any) -> None:
        """Do what a handler's return value asks for."""
        while out is not None:
            cls = out.__class__
            if cls is Stop:
                raise Ending(out)
            if cls is Idle:
                check_time(out.seconds, "Idle: seconds", none=False)
                if self.box:
                    return  # a message waits: no time to be idle
                self.timer = self.home.clock.call_later(out.seconds, self._idle_over)
                return
            if cls is not Continue:
                raise BadReturn(f"a handler of {self.name!r} returned {out!r}: give None, Idle, Continue or Stop")
            out = self.agent.handle_continue(out.value)
            if out.__class__ is CoroutineType:
                out = await out

    async def _obey(self, order: Order) -> None:
        out = order.run(self)
        if out.__class__ is CoroutineType:
            out = await out
        if out is not None:
            await self._follow(out)

    async def _obey_first(self) -> bool:
        """Suspended: carry out the next order of the mailbox, if there is one."""
        for item in self.box or ():
            if item.__class__ is Order:
                self.box.remove(item)  # type: ignore[union-attr]  # it was just iterated
                await self._obey(item)
                return True
        return False

    def _beside(self, item: Any, message: Ask) -> None:
        """Handle a message of a reentrant handler in a task of its own."""
        if self.side is None:
            self.side = set()
        task = self.home.loop.create_task(self._aside(item, message), context=self.context)
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
            if self.doom is None and self.status is not DEAD:
                self.end(Crash(exc), polite=True)

    # times -----------------------------------------------------------------------------------------------------------
    def _quiet(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _idle_over(self) -> None:
        self.timer = None
        if self.status is RUNNING and not self.is_awake and not self.box:
            self.inform("timeout")

    def give_up(self, caller: Caller) -> None:
        """Nobody waits for `caller` any more, and it asked for its work to be cancelled."""
        if self.hand is caller and self.task is not None:
            self.task.cancel()
        elif self.box and caller in self.box:
            self.box.remove(caller)

    def _lets_go(self, item: Caller) -> bool:
        """Whether a cancellation came from `give_up`, so that the agent goes on."""
        task = asyncio.current_task()
        if self.doom is None and item.is_cancelling and item.fut.done() and task is not None and task.cancelling():
            task.uncancel()
            return True
        return False


async def _quietly(out: Any) -> Any:
    """What a named cast handler returns counts only when it directs the agent."""
    if out.__class__ is CoroutineType:
        out = await out
    return out if out.__class__ in DIRECTIVES else None
