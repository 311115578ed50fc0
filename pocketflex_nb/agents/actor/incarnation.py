"""One incarnation of an agent, from its start through its signals to its end.

An incarnation is one execution of an agent's or task's code: a restart makes a new one. Everything here runs on the host's loop.

How it ends: a handler fails or returns `Stop`; or an exit is set as pending and the task is cancelled. Without a pending exit, a
`CancelledError` is the user's own. :mod:`pocketflex_nb.agents.actor.termination` does the rest.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections import deque
from collections.abc import Callable, Hashable
from itertools import count
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.actor.message_loop import DIRECTIVES, MessageLoop
from pocketflex_nb.agents.actor.persistence import Persistence, PersistentLoop
from pocketflex_nb.agents.actor.termination import (
    TERMINATE_TIMEOUT,
    AgentExit,
    conclude,
    exit_reason,
    finalize,
    run_terminate,
)
from pocketflex_nb.agents.host.agent_host import KILL_GRACE, AgentHost, Hosted, register_incarnation
from pocketflex_nb.agents.host.agent_log import callable_name
from pocketflex_nb.agents.host.inbox import Post
from pocketflex_nb.agents.host.watchdog import watch_over
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import INFO, Addressee, Caller, Envelope, KeyTable, SystemMessage, Watcher
from pocketflex_nb.agents.messaging.method_proxies import ref_type
from pocketflex_nb.agents.messaging.name_table import successor
from pocketflex_nb.agents.protocol.directives import IGNORE, Idle, Stop
from pocketflex_nb.agents.protocol.errors import BadReturn, BadSpec, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, RUNNING, STARTING, STOPPING, Status, is_reason, short
from pocketflex_nb.agents.protocol.info_messages import Exit
from pocketflex_nb.agents.protocol.tree_position import AgentInfo, TreePosition
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["Ancestry", "Incarnation"]

#: who started an incarnation: its ref and that one's own ancestry; empty for plain code
Ancestry = tuple[()] | tuple[AgentRef, "Ancestry"]

_pids = count(1)


class Incarnation:
    """One incarnation of an agent.

    Attributes
    ----------
    info : AgentInfo
        Number, slot and name: what the log keeps of it.
    ref : AgentRef
        What outsiders hold.
    status : str
        "starting", "running", "stopping" or "dead".
    current_call : Caller or None
        The call being handled, or handled last.
    cause : int or None
        Number of the event that is being handled.
    pending_exit : tuple or None
        The exit reason that was decided from outside, and whether `terminate` runs.
    supervisor : Incarnation or None
        Its supervisor.
    fenced : bool
        A zombie: what it still does is dropped.
    mailbox : MessageLoop
        Its messages, and the task that handles them.
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
    persistence : Persistence or None
        Where its state is kept.
    """

    __slots__ = (
        "__weakref__",
        "agent",
        "ancestry",
        "callers",
        "cause",
        "cleanups",
        "cls",
        "context",
        "current_call",
        "fenced",
        "host",
        "ident",
        "inbound",
        "info",
        "is_listed",
        "is_open",
        "is_strict",
        "isolation",
        "known",
        "lane",
        "links",
        "log",
        "loop",
        "mailbox",
        "names",
        "on_exit",
        "pending_exit",
        "pending_replies",
        "persistence",
        "pid",
        "reason",
        "reentrant_tasks",
        "ref",
        "start_cause",
        "started",
        "status",
        "supervisor",
        "task",
        "watchers",
    )
    type = "worker"
    ref_class = AgentRef

    def __init__(self, host: AgentHost, cls: Any, slot: TreePosition, supervisor: Incarnation | None = None) -> None:
        by: Incarnation | None = CURRENT_AGENT.get()
        self.loop, self.log, self.ident = host.loop, host.log, host.ident
        self.host, self.cls, self.supervisor = host, cls, supervisor
        self.pid = next(_pids)
        self.info = AgentInfo(slot, self.pid, self.type, callable_name(cls))
        self.ref = (ref_type(cls, self.ref_class) if isinstance(cls, type) and self.type != "task" else self.ref_class)(self)
        self.status: Status = STARTING
        self.agent: Any = None
        self.task: asyncio.Task[None] | None = None
        self.context: contextvars.Context | None = None
        self.current_call: Caller | None = None
        self.cause: int | None = by.cause if by is not None else None
        self.start_cause = self.cause
        self.pending_exit: tuple[object, bool] | None = None
        self.pending_replies: set[Caller] | None = None
        self.reentrant_tasks: set[asyncio.Task[None]] | None = None
        self.watchers: list[Watcher] | None = None
        self.links: set[Addressee] | None = None
        self.names: dict[tuple[KeyTable, Hashable], list[int]] | None = None
        self.known: Hashable | None = None
        self.lane: WalkFrame | None = by.lane if by is not None else None
        self.cleanups: list[Callable[[Addressee], object]] | None = None
        self.on_exit: Callable[[Addressee, object], object] | None = None
        self.inbound: deque[Post] | None = None
        self.is_listed = False
        self.started: asyncio.Future[object] | None = None
        self.reason: object = None
        self.isolation: str | None = None
        self.persistence: Persistence | None = None
        self.fenced = self.is_strict = False
        self.mailbox = MessageLoop(self, host.loop)
        self.is_open = True
        self.callers: tuple[AgentRef, ...] = ()
        self.ancestry: Ancestry = (by.ref, by.ancestry) if by is not None else ()

    @property
    def ancestors(self) -> tuple[AgentRef, ...]:
        """The agents that started it, directly or indirectly, the nearest first."""
        found, left = [], self.ancestry
        while left:
            ref, left = left
            found.append(ref)
        return tuple(found)

    @property
    def slot(self) -> TreePosition:
        """Its position in the supervision tree."""
        return self.info.slot

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
        return self.current_call if self.current_call is not None and not self.current_call._fut.done() else None

    def __repr__(self) -> str:
        return f"<Incarnation {self.pid} {self.address} {self.status}>"

    # start -----------------------------------------------------------------------------------------------------------
    def begin(self, *args: object, **kwargs: object) -> asyncio.Future[object]:
        """Start it; the future's result is True, IGNORE, or a `FailedStart`."""
        register_incarnation(self)
        if not self.host.is_watched:
            watch_over(self.host)
        self.context = context = contextvars.copy_context()
        context.run(self._enter)
        self.started = self.host.loop.create_future()
        self.task = self.host.loop.create_task(self.boot(args, kwargs), context=context)
        return self.started

    def _enter(self) -> None:
        CURRENT_AGENT.set(self)
        frame = CURRENT_FRAME.get()
        if frame is not None:  # started by a node: it is on its own, not a part of that run
            self.lane = frame
            CURRENT_FRAME.set(None)

    def make(self, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[Any, object]:
        """The agent, and what its `init` returned."""
        made: tuple[Any, object] = self.cls._pfx_make(self, args, kwargs)
        return made

    async def boot(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Run `init`, then handle messages."""
        try:
            if self.persistence is not None:  # held before `init` does anything
                await self.persistence.take()
            self.agent, out = self.make(args, kwargs)
            if out.__class__ is CoroutineType:
                out = await out
            if out.__class__ is Stop:
                raise AgentExit(out)
            if not (out is None or out is IGNORE or out.__class__ in DIRECTIVES):
                raise BadReturn(f"init of {self.name!r} returned {short(out)}: give None, Idle, Continue, IGNORE or Stop")
            if out.__class__ is Idle:
                check_time(out.seconds, "Idle: seconds", none=False)
            if self.persistence is not None and out is not IGNORE:
                await self.persistence.restore(self.agent)
        except BaseException as exc:
            self.finalize(exit_reason(self, exc)[0])
            return
        if self.status is DEAD:  # given up meanwhile, as a zombie
            self.host.zombies.discard(self)
            return
        if out is IGNORE:
            self.finalize(IGNORE)
            return
        self.status = RUNNING
        self.note("start", None, self.start_cause)
        self.is_up()
        await self.mailbox.serve(out)

    def is_up(self) -> None:
        """Report the start to those who wait for it."""
        started, self.started = self.started, None
        if started is not None and not started.done():
            started.set_result(True)

    def keep_state(self, path: object, name: str | None) -> None:
        """Have its state kept in the file at `path`, from its start on, by its `name`, its path below a named supervisor, or its id."""
        self.persistence = Persistence(path, name if name is not None else self._lasting_name())
        self.mailbox = PersistentLoop(self, self.host.loop)
        self.cleanups = [*(self.cleanups or ()), self._let_state_go]

    def _lasting_name(self) -> str:
        """The name that the next kernel gives the agent in this position, too."""
        if self.supervisor is None:
            raise BadSpec(f"{self.cls.__name__}: persist= needs a name, by which the next kernel finds the state: start(name=...)")
        top = self.supervisor
        while top.supervisor is not None:
            top = top.supervisor
        return self.slot.path if top.names else self.slot.path.partition("/")[2]

    def _let_state_go(self, _: object) -> None:
        if self.persistence is not None:
            self.persistence.release()

    # messages --------------------------------------------------------------------------------------------------------
    def put(self, item: Envelope) -> None:
        """Put `item` into the mailbox."""
        self.mailbox.put(item)

    def cancel_call(self, caller: Caller) -> None:
        """Cancel the work for a `caller` that no longer waits."""
        self.mailbox.cancel_call(caller)

    def clear_cancel(self, item: Caller) -> bool:
        """Whether the running task was cancelled for the call `item` only; clears that for the next message."""
        return self.mailbox.clear_cancel(item)

    @property
    def backlog(self) -> int:
        """Number of messages that wait."""
        return len(self.mailbox.queue or ()) + len(self.inbound or ())

    @property
    def is_busy(self) -> bool:
        """Whether its code runs now."""
        return self.mailbox.is_draining

    def deliver_info(self, message: object, by: Hosted | None = None, cause: int | None = None) -> None:
        """Put a message for `handle_info` into the mailbox."""
        if self.status is not DEAD:
            seq = self.note(INFO, self.host.log.describe(message), cause, by)
            self.put((seq, 0, INFO, None, message, None, None))

    def note(self, kind: str, data: object = None, cause: int | None = None, by: Hosted | None = None) -> int:
        """Record an event of this incarnation."""
        return self.log.note(kind, self.info, data, cause, by.info if by is not None else None)

    # ends ------------------------------------------------------------------------------------------------------------
    @property
    def traps(self) -> bool:
        """Whether exit signals arrive as messages."""
        return bool(getattr(self.agent, "trap_exit", False))

    @property
    def has_terminate(self) -> bool:
        """Whether its class has a `terminate` of its own."""
        return self.agent is not None and not getattr(type(self.agent).terminate, "is_default", False)

    def on_exit_signal(self, reason: object, by: Hosted | None, cause: int | None = None, *, is_linked: bool = False) -> None:
        """Handle an exit signal from `by`: by ``ref.exit``, or over a link, where ``"kill"`` is a reason like any other."""
        if self.status is DEAD:
            return
        if is_reason(reason, "kill") and not is_linked:
            self.kill(cause)
        elif by is not None and by is self.supervisor:
            self.end(reason, polite=self.status is not STARTING, cause=cause)
            self.host.clock.call_later(TERMINATE_TIMEOUT, self.kill)
        elif self.traps:
            self.deliver_info(Exit(by.ref if by is not None else None, reason), by, cause)
        elif not is_reason(reason, "normal"):
            self.end(reason, cause=cause)
            self._guard()

    def shutdown(self, reason: object = "shutdown", cause: int | None = None) -> None:
        """Handle the supervisor's request to end in an orderly way, `terminate` included."""
        if self.status is RUNNING and self.traps:
            self.put(SystemMessage(lambda incarnation: Stop(reason)))
        else:
            self.end(reason, polite=self.status is not STARTING, cause=cause)

    def end(self, reason: object, *, polite: bool = False, cause: int | None = None) -> None:
        """Drop the mailbox, cancel what is running, and end with `reason`; with `terminate` if `polite`.

        In the midst of `terminate` only an impolite end makes a difference: it cuts that short.
        """
        if self.status is DEAD or (self.status is STOPPING and polite) or (self.pending_exit is not None and not self.pending_exit[1]):
            return
        self.mailbox.is_blocked = True
        self.pending_exit, self.cause = (reason, polite), cause if cause is not None else self.cause
        task = self.task
        if task is not None and not task.done() and not _is_fresh(task):
            task.cancel()
            return
        if task is not None:
            task.cancel()
        if polite and self.has_terminate:
            self.task = self.host.loop.create_task(self.conclude(None), context=self.context)
        else:
            self.finalize(reason)

    def abandon(self) -> None:
        """End it without another word: its loop is closed, so nothing can be awaited or restarted."""
        self.on_exit = self.links = None
        try:
            self.finalize("shutdown")
        except RuntimeError:  # whoever waited did so on the closed loop
            pass

    async def successor(self, seconds: float) -> Addressee:
        """The next incarnation of its name or position, within `seconds`; see `name_table.successor`."""
        return await successor(self, seconds)

    def leave(self, reason: object) -> None:
        """End with `reason`, `terminate` included: `exit` was called beside the agent's own task."""
        self.end(reason, polite=self.status is not STARTING)

    def kill(self, cause: int | None = None) -> None:
        """End it as ``"killed"``: no `terminate`; code that still runs after a grace time is abandoned."""
        if self.status is DEAD:
            return
        self.mailbox.is_blocked = True
        self.pending_exit, self.cause = ("killed", False), cause if cause is not None else self.cause
        task = self.task
        if task is not None:
            task.cancel()
        if task is None or task.done() or _is_fresh(task):
            self.finalize("killed")
        else:
            self._guard()

    def _guard(self) -> None:
        if self.status is not DEAD:
            self.host.clock.call_later(KILL_GRACE, self.fence)

    def fence(self) -> None:
        """Abandon it: it has ended for everybody else, though its code still runs."""
        if self.status is DEAD or self.pending_exit is None:
            return
        self.fenced = True
        self.host.zombies.add(self)
        self.finalize(self.pending_exit[0], zombie=True)

    async def conclude(self, exc: BaseException | None) -> None:
        """End, as the last action of its task: by the error `exc`, or by the pending exit."""
        await conclude(self, exc)

    async def run_terminate(self, reason: object) -> object:
        """Run `terminate` and return the reason, which is replaced when it fails."""
        return await run_terminate(self, reason)

    def finalize(self, reason: object, zombie: bool = False) -> None:
        """End it: names are freed, then callers, monitors, links and the supervisor are notified; see `FINAL_STEPS`. Never waits."""
        if self.status is not DEAD:
            finalize(self, reason, zombie)

    def exit_facts(self) -> dict[str, object]:
        """Further facts of its exit event."""
        return {}


def _is_fresh(task: asyncio.Task[None]) -> bool:
    """Whether the task has not run a single line yet: if it is cancelled now, it never will."""
    coro = task.get_coro()
    return inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED
