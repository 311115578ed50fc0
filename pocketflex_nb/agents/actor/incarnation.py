"""One incarnation of an agent, from its start through its signals to its end.

An incarnation is one execution of an agent's or task's code: a restart makes a new one. Everything here runs on the host's loop.

How it ends: a handler fails or returns `Stop`; or an exit is set as pending and the task is cancelled. Without a pending exit, a
`CancelledError` is the user's own. The last action is `die`, which never waits.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections import deque
from collections.abc import Callable
from itertools import count
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.actor.message_loop import DIRECTIVES, Ending, Mailbox
from pocketflex_nb.agents.host.agent_host import GRACE, Home, admit
from pocketflex_nb.agents.host.agent_log import name_of
from pocketflex_nb.agents.host.watchdog import AsyncKill, watch_over
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import INFO, Caller, Order
from pocketflex_nb.agents.messaging.method_proxies import ref_type
from pocketflex_nb.agents.protocol.directives import IGNORE, Idle, Stop
from pocketflex_nb.agents.protocol.errors import BadReturn, ReplyError, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, RUNNING, STARTING, STOPPING, Crash, is_reason, short, tell, where
from pocketflex_nb.agents.protocol.info_messages import Exit
from pocketflex_nb.agents.protocol.tree_position import Place, Slot
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME

__all__ = ["LAST_WORDS", "Life"]

#: seconds that `terminate` may take when the supervisor itself was killed and no longer limits it
LAST_WORDS = 5.0

_pids = count(1)


class Life(Mailbox):
    """One incarnation of an agent.

    Attributes
    ----------
    place : Place
        Number, slot and name: what the log keeps of it.
    ref : AgentRef
        What outsiders hold.
    status : str
        "starting", "running", "stopping" or "dead".
    hand : Caller or None
        The call being handled, or handled last.
    cause : int or None
        Number of the event that is being handled.
    doom : tuple or None
        The exit reason that was decided from outside, and whether `terminate` runs.
    boss : Life or None
        Its supervisor.
    fenced : bool
        A zombie: what it still does is dropped.
    is_held : bool
        Whether the mailbox must not simply be emptied: a doom, or `suspend`.
    is_awake : bool
        Whether the task is emptying the mailbox now.
    is_open : bool
        Whether messages may simply be laid in the mailbox: alive, not strict.
    known : Via or None
        The first unique name it had: where its successor is looked for.
    names : dict
        What it is registered under now: of ``(registry, key)``, the numbers of its entries.
    inbound, is_listed
        See :mod:`pocketflex_nb.agents.host.inbox`.
    lane : Frame or None
        Of the node that started it: where its prints go while that run lasts.
    idle : float or None
        Seconds without a message after which `handle_info` gets ``"timeout"``.
    """

    __slots__ = (
        "__weakref__",
        "ancestry",
        "birth",
        "boss",
        "callers",
        "cleanups",
        "cls",
        "fenced",
        "ident",
        "is_open",
        "is_strict",
        "isolation",
        "known",
        "lane",
        "links",
        "log",
        "names",
        "on_exit",
        "pid",
        "place",
        "reason",
        "ref",
        "started",
        "watchers",
    )
    type = "worker"
    ref_class = AgentRef

    def __init__(self, home: Home, cls: Any, slot: Slot, boss: Life | None = None) -> None:
        by: Life | None = CURRENT_AGENT.get()
        self.loop, self.log, self.ident = home.loop, home.log, home.ident
        self.home, self.cls, self.boss = home, cls, boss
        self.pid = next(_pids)
        self.place = Place(slot, self.pid, self.type, name_of(cls))
        self.ref = (ref_type(cls, self.ref_class) if isinstance(cls, type) and self.type != "task" else self.ref_class)(self)
        self.status = STARTING
        self.agent: Any = None
        self.box: deque[Any] | None = None
        self.task: asyncio.Task[Any] | None = None
        self.context: contextvars.Context | None = None
        self.hand: Any = None
        self.cause: int | None = by.cause if by is not None else None
        self.birth = self.cause
        self.doom: tuple[Any, bool] | None = None
        self.owed: set[Caller] | None = None
        self.side: set[asyncio.Task[Any]] | None = None
        self.watchers: list[Any] | None = None
        self.links: set[Life] | None = None
        self.names: dict[tuple[Any, Any], list[int]] | None = None
        self.known: Any = None
        self.lane: Any = by.lane if by is not None else None
        self.cleanups: list[Callable[[Life], Any]] | None = None
        self.on_exit: Callable[[Life, Any], Any] | None = None
        self.timer: Any = None
        self.idle: float | None = None
        self.inbound: deque[Any] | None = None
        self.is_listed = False
        self.started: asyncio.Future[Any] | None = None
        self.reason: Any = None
        self.isolation: str | None = None
        self.handled = 0
        self.is_parking = False
        self.fenced = self.is_suspended = self.is_strict = self.is_held = self.is_awake = False
        self.parked: asyncio.Future[None] | None = None
        self.is_open = True
        self.callers: tuple[AgentRef, ...] = ()
        self.ancestry: tuple[Any, ...] = (by.ref, by.ancestry) if by is not None else ()

    @property
    def ancestors(self) -> tuple[AgentRef, ...]:
        """The agents that started it, directly or indirectly, the nearest first."""
        found, left = [], self.ancestry
        while left:
            ref, left = left
            found.append(ref)
        return tuple(found)

    @property
    def slot(self) -> Slot:
        """Its position in the supervision tree."""
        return self.place.slot

    @property
    def name(self) -> str:
        """The name that messages to people use."""
        return str(self.slot.id)

    @property
    def address(self) -> str:
        """Its path in the supervision tree."""
        return self.slot.path

    @property
    def caller(self) -> Caller | None:
        """The caller whose call is being handled."""
        return self.hand if self.hand is not None and not self.hand.fut.done() else None

    def __repr__(self) -> str:
        return f"<Life {self.pid} {self.address} {self.status}>"

    # start -----------------------------------------------------------------------------------------------------------
    def begin(self, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Start it; the future's result is True, IGNORE, or the exit reason of a start that failed, in a tuple."""
        admit(self)
        if not self.home.is_watched:
            watch_over(self.home)
        self.context = context = contextvars.copy_context()
        context.run(self._enter)
        self.started = self.home.loop.create_future()
        self.task = self.home.loop.create_task(self.boot(args, kwargs), context=context)
        return self.started

    def _enter(self) -> None:
        CURRENT_AGENT.set(self)
        frame = CURRENT_FRAME.get()
        if frame is not None:  # started by a node: this is a life of its own, not a part of that run
            self.lane = frame
            CURRENT_FRAME.set(None)

    def make(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """The agent, and what its `init` returned."""
        made: tuple[Any, Any] = self.cls._pfx_make(self, args, kwargs)
        return made

    async def boot(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run `init`, then handle messages."""
        try:
            self.agent, out = self.make(args, kwargs)
            if out.__class__ is CoroutineType:
                out = await out
            if out.__class__ is Stop:
                raise Ending(out)
            if not (out is None or out is IGNORE or out.__class__ in DIRECTIVES):
                raise BadReturn(f"init of {self.name!r} returned {short(out)}: give None, Idle, Continue, IGNORE or Stop")
            if out.__class__ is Idle:
                check_time(out.seconds, "Idle: seconds", none=False)
        except BaseException as exc:
            self.die(self._reason_of(exc)[0])
            return
        if self.status is DEAD:  # given up meanwhile, as a zombie
            self.home.zombies.discard(self)
            return
        if out is IGNORE:
            self.die(IGNORE)
            return
        self.status = RUNNING
        self.note("start", None, self.birth)
        self.is_up()
        await self.serve(out)

    def is_up(self) -> None:
        """Report the start to those who wait for it."""
        started, self.started = self.started, None
        if started is not None and not started.done():
            started.set_result(True)

    # messages --------------------------------------------------------------------------------------------------------
    def inform(self, message: Any, by: Life | None = None, cause: int | None = None) -> None:
        """Put a message for `handle_info` into the mailbox."""
        if self.status is not DEAD:
            seq = self.note(INFO, self.home.log.describe(message), cause, by)
            self.put((seq, 0, INFO, None, message, None, None))

    def note(self, kind: str, data: Any = None, cause: int | None = None, by: Any = None) -> int:
        """Record an event of this incarnation."""
        return self.log.note(kind, self.place, data, cause, by.place if by is not None else None)

    # ends ------------------------------------------------------------------------------------------------------------
    @property
    def traps(self) -> bool:
        """Whether exit signals arrive as messages."""
        return bool(getattr(self.agent, "trap_exit", False))

    @property
    def _terminates(self) -> bool:
        return self.agent is not None and not getattr(type(self.agent).terminate, "is_default", False)

    def hit(self, reason: Any, by: Life | None, cause: int | None = None, *, is_linked: bool = False) -> None:
        """Handle an exit signal from `by`: by ``ref.exit``, or over a link, where ``"kill"`` is a reason like any other."""
        if self.status is DEAD:
            return
        if is_reason(reason, "kill") and not is_linked:
            self.kill(cause)
        elif by is not None and by is self.boss:
            self.end(reason, polite=self.status is not STARTING, cause=cause)
            self.home.clock.call_later(LAST_WORDS, self.kill)
        elif self.traps:
            self.inform(Exit(by.ref if by is not None else None, reason), by, cause)
        elif not is_reason(reason, "normal"):
            self.end(reason, cause=cause)
            self._guard()

    def shutdown(self, reason: Any = "shutdown", cause: int | None = None) -> None:
        """Handle the supervisor's request to end in an orderly way, `terminate` included."""
        if self.status is RUNNING and self.traps:
            self.put(Order(lambda life: Stop(reason)))
        else:
            self.end(reason, polite=self.status is not STARTING, cause=cause)

    def end(self, reason: Any, *, polite: bool = False, cause: int | None = None) -> None:
        """Drop the mailbox, cancel what is running, and end with `reason`; with `terminate` if `polite`.

        In the midst of `terminate` only an impolite end makes a difference: it cuts that short.
        """
        if self.status is DEAD or (self.status is STOPPING and polite) or (self.doom is not None and not self.doom[1]):
            return
        self.is_held = True
        self.doom, self.cause = (reason, polite), cause if cause is not None else self.cause
        task = self.task
        if task is not None and not task.done() and not _is_fresh(task):
            task.cancel()
            return
        if task is not None:
            task.cancel()
        if polite and self._terminates:
            self.task = self.home.loop.create_task(self._conclude(None), context=self.context)
        else:
            self.die(reason)

    def leave(self, reason: Any) -> None:
        """End with `reason`, `terminate` included: `exit` was called beside the agent's own task."""
        self.end(reason, polite=self.status is not STARTING)

    def kill(self, cause: int | None = None) -> None:
        """End it as ``"killed"``: no `terminate`; code that still runs after a grace time is abandoned."""
        if self.status is DEAD:
            return
        self.is_held = True
        self.doom, self.cause = ("killed", False), cause if cause is not None else self.cause
        task = self.task
        if task is not None:
            task.cancel()
        if task is None or task.done() or _is_fresh(task):
            self.die("killed")
        else:
            self._guard()

    def _guard(self) -> None:
        if self.status is not DEAD:
            self.home.clock.call_later(GRACE, self.fence)

    def fence(self) -> None:
        """Abandon it: it has ended for everybody else, though its code still runs."""
        if self.status is DEAD or self.doom is None:
            return
        self.fenced = True
        self.home.zombies.add(self)
        self.die(self.doom[0], zombie=True)

    def _reason_of(self, exc: BaseException | None) -> tuple[Any, bool, Stop | None]:
        """Exit reason, whether terminate runs, and the Stop that requested it."""
        if self.doom is not None:
            return (*self.doom, None)
        if isinstance(exc, AsyncKill):
            return "killed", False, None
        if isinstance(exc, Ending):
            return exc.stop.reason, True, exc.stop
        if isinstance(exc, ReplyError):
            exc = exc.exc
        assert exc is not None
        return Crash(exc), not isinstance(exc, GeneratorExit), None

    async def _conclude(self, exc: BaseException | None) -> None:
        """The last action of the task."""
        if self.status is DEAD or self.home.loop.is_closed():
            self.home.zombies.discard(self)
            return
        if isinstance(exc, asyncio.CancelledError) and self.doom is None and self.home.is_closing():
            self.home.close()
            return
        reason, polite, stop = self._reason_of(exc)
        if polite:
            self.status = STOPPING
            reason = await self._terminate(reason)
        if self.status is DEAD:
            self.home.zombies.discard(self)
            return
        if stop is not None and stop.has_reply and self.hand is not None:
            self.hand.reply(stop.reply)
        self.die(reason)

    async def _terminate(self, reason: Any) -> Any:
        """Run `terminate` and return the reason, which is replaced when it fails."""
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()
        try:
            out = self.agent.terminate(reason)
            if out.__class__ is CoroutineType:
                await out
        except BaseException as exc:
            if self.doom is None or self.doom[1]:
                return Crash(exc)
        return self.doom[0] if self.doom is not None and not self.doom[1] else reason

    def die(self, reason: Any, zombie: bool = False) -> None:
        """End it: names are freed, then callers, monitors, links and the supervisor are notified, in this order."""
        if self.status is DEAD:
            return
        has_started = self.status is not STARTING
        self.status, self.reason, self.is_open = DEAD, reason, False
        self.home.lives.pop(self.pid, None)
        for registry, key in list(self.names or ()):
            registry.forget(key, self)
        for cleanup in self.cleanups or ():
            cleanup(self)
        self._quiet()
        seq = self.cause = self._note_exit(reason, zombie) if has_started else None
        told = "normal" if reason is IGNORE else reason
        self._fail_callers(told)
        for task in self.side or ():
            task.cancel()
        watchers, links = self.watchers or (), self.links or ()
        self.agent = self.context = self.box = self.hand = self.side = self.owed = self.watchers = self.links = self.names = None
        self.lane = None
        if self.task is not None and not zombie:
            self.task = None
        if self.started is not None and not self.started.done():
            self.started.set_result(IGNORE if reason is IGNORE else (reason,))
        for watcher in watchers:
            watcher.down(self, told, zombie, seq)
        for peer in links:
            if peer.links:
                peer.links.discard(self)
            if peer is not self.boss:
                self.home.signals.append((peer, told, self, seq))
        if self.on_exit is not None:
            self.on_exit(self, told)
        self.home.deliver()

    def _note_exit(self, reason: Any, zombie: bool) -> int:
        error = reason.error if isinstance(reason, Crash) else None
        facts = {
            "reason": "crash" if error is not None else tell(reason),
            "error": tell(reason).removeprefix("crash: ") if error is not None else None,
            "where": where(error) if error is not None else None,
            "zombie": zombie,
            "type": self.type,
            **self._facts(),
        }
        seq = self.note("exit", facts, self.cause)
        if zombie:
            self.note("zombie", {"reason": tell(reason)}, seq)
        return seq

    def _facts(self) -> dict[str, Any]:
        """Further facts of its exit event."""
        return {}

    def _fail_callers(self, reason: Any) -> None:
        waiting = [self.hand, *(self.box or ()), *(self.owed or ())]
        for item in waiting:
            if item.__class__ is Caller:
                item.down(reason)


def _is_fresh(task: asyncio.Task[Any]) -> bool:
    """Whether the task has not run a single line yet: if it is cancelled now, it never will."""
    coro = task.get_coro()
    return inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED
