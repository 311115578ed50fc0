"""How an incarnation ends: its exit reason, `terminate`, and the steps of the end in their order.

The functions take the incarnation. The order of `FINAL_STEPS` is a contract: a name is free, and a caller has its error, before a monitor,
a linked agent or the supervisor is told.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from types import CoroutineType
from typing import Protocol

from pocketflex_nb.agents.host.agent_host import Hosted
from pocketflex_nb.agents.host.watchdog import AsyncKill
from pocketflex_nb.agents.messaging.envelopes import Addressee, Caller, Mailbox, Watcher
from pocketflex_nb.agents.protocol.directives import IGNORE, Stop
from pocketflex_nb.agents.protocol.errors import ReplyError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, STARTING, STOPPING, Crash, format_reason, where
from pocketflex_nb.core.port_types import WalkFrame

__all__ = [
    "FINAL_STEPS", "TERMINATE_TIMEOUT", "AgentExit", "FailedStart", "Final", "Loop", "RunningIncarnation", "conclude", "exit_reason",
    "finalize", "run_terminate",
]

#: seconds that `terminate` may take when the supervisor itself was killed and no longer limits it
TERMINATE_TIMEOUT = 5.0


class AgentExit(BaseException):
    """Raised to end the agent: it returned `Stop`, or called `exit`. Not an Exception, so that no handler catches it by accident."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)  # which lets it travel from a process of its own
        self.stop = stop


class Loop(Mailbox, Protocol):
    """A mailbox as the end of its incarnation sees it."""

    def stop_idle_timer(self) -> None:
        """Cancel the timer of the idle time."""
        ...


class RunningIncarnation(Addressee, Protocol):
    """An incarnation as the functions see it that run and end it.

    Attributes
    ----------
    context : contextvars.Context or None
        Of its task.
    lane : WalkFrame or None
        Of the node that started it.
    started : asyncio.Future or None
        What its starter waits for.
    on_exit : callable or None
        The supervisor's callback.
    """

    reason: object
    is_open: bool
    task: asyncio.Task[None] | None
    reentrant_tasks: set[asyncio.Task[None]] | None
    context: contextvars.Context | None
    lane: WalkFrame | None
    started: asyncio.Future[object] | None
    on_exit: Callable[[Addressee, object], object] | None

    @property
    def mailbox(self) -> Loop:
        """Its messages."""
        ...

    def deliver_info(self, message: object, by: Hosted | None = None, cause: int | None = None) -> None:
        """Put a message for `handle_info` into the mailbox."""
        ...

    async def conclude(self, exc: BaseException | None) -> None:
        """End, as the last action of the task."""
        ...

    def exit_facts(self) -> dict[str, object]:
        """Further facts of its exit event."""
        ...

    async def run_terminate(self, reason: object) -> object:
        """Run `terminate`, if there is one."""
        ...

    def end(self, reason: object, *, polite: bool = False, cause: int | None = None) -> None:
        """Cancel what is running, and end with `reason`."""
        ...

    def finalize(self, reason: object, zombie: bool = False) -> None:
        """End it."""
        ...


def exit_reason(incarnation: Addressee, exc: BaseException | None) -> tuple[object, bool, Stop | None]:
    """Exit reason, whether `terminate` runs, and the `Stop` that requested it."""
    if incarnation.pending_exit is not None:
        return (*incarnation.pending_exit, None)
    if isinstance(exc, AsyncKill):
        return "killed", False, None
    if isinstance(exc, AgentExit):
        return exc.stop.reason, True, exc.stop
    if isinstance(exc, ReplyError):
        exc = exc.exc
    assert exc is not None
    return Crash(exc), not isinstance(exc, GeneratorExit), None


async def conclude(incarnation: RunningIncarnation, exc: BaseException | None) -> None:
    """The last action of an incarnation's task: `terminate`, the reply of a `Stop`, and the end."""
    if incarnation.status is DEAD or incarnation.host.loop.is_closed():
        incarnation.host.zombies.discard(incarnation)
        return
    if isinstance(exc, asyncio.CancelledError) and incarnation.pending_exit is None and incarnation.host.is_closing():
        incarnation.host.close()
        return
    reason, polite, stop = exit_reason(incarnation, exc)
    if polite:
        incarnation.status = STOPPING
        reason = await incarnation.run_terminate(reason)
    if incarnation.status is DEAD:
        incarnation.host.zombies.discard(incarnation)
        return
    if stop is not None and stop.has_reply and incarnation.current_call is not None:
        incarnation.current_call.reply(stop.reply)
    incarnation.finalize(reason)


async def run_terminate(incarnation: RunningIncarnation, reason: object) -> object:
    """Run `terminate` and return the reason, which is replaced when it fails."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
    try:
        out = incarnation.agent.terminate(reason)
        if out.__class__ is CoroutineType:
            await out
    except BaseException as exc:
        if incarnation.pending_exit is None or incarnation.pending_exit[1]:
            return Crash(exc)
    pending = incarnation.pending_exit
    return pending[0] if pending is not None and not pending[1] else reason


@dataclass(frozen=True, slots=True)
class FailedStart:
    """What the starter of an incarnation gets that did not start.

    Parameters
    ----------
    reason : object
        Exit reason.
    """

    reason: object


@dataclass(slots=True)
class Final:
    """What the steps of one end share.

    Parameters
    ----------
    reason : object
        Exit reason, or `IGNORE`.
    zombie : bool
        Its code still runs, abandoned.
    has_started : bool
        Whether it has had a start event, and so gets an exit event.
    watchers, links : sequence of Watcher, set of Incarnation
        Those to tell.
    seq : int or None
        Number of the exit event.
    """

    reason: object
    zombie: bool
    has_started: bool
    watchers: Sequence[Watcher] = ()
    links: Collection[Addressee] = ()
    seq: int | None = None

    @property
    def told(self) -> object:
        """The reason as others hear it: `IGNORE` is a normal end."""
        return "normal" if self.reason is IGNORE else self.reason


def finalize(incarnation: RunningIncarnation, reason: object, zombie: bool) -> None:
    """Take `FINAL_STEPS`; nothing here waits."""
    final = Final(reason, zombie, incarnation.status is not STARTING)
    for step in FINAL_STEPS:
        step(incarnation, final)


def _mark_dead(incarnation: RunningIncarnation, final: Final) -> None:
    incarnation.status, incarnation.reason, incarnation.is_open = DEAD, final.reason, False
    incarnation.host.incarnations.pop(incarnation.pid, None)


def _free_names(incarnation: RunningIncarnation, final: Final) -> None:
    for registry, key in list(incarnation.names or ()):
        registry._forget(key, incarnation)


def _run_cleanups(incarnation: RunningIncarnation, final: Final) -> None:
    for cleanup in incarnation.cleanups or ():
        cleanup(incarnation)
    incarnation.mailbox.stop_idle_timer()


def _record_exit(incarnation: RunningIncarnation, final: Final) -> None:
    if final.has_started:
        final.seq = _note_exit(incarnation, final.reason, final.zombie)
    incarnation.cause = final.seq


def _note_exit(incarnation: RunningIncarnation, reason: object, zombie: bool) -> int:
    error = reason.error if isinstance(reason, Crash) else None
    facts = {
        "reason": "crash" if error is not None else format_reason(reason),
        "error": format_reason(reason).removeprefix("crash: ") if error is not None else None,
        "where": where(error) if error is not None else None,
        "zombie": zombie,
        "type": incarnation.type,
        **incarnation.exit_facts(),
    }
    seq = incarnation.note("exit", facts, incarnation.cause)
    if zombie:
        incarnation.note("zombie", {"reason": format_reason(reason)}, seq)
    return seq


def _fail_callers(incarnation: RunningIncarnation, final: Final) -> None:
    for item in [incarnation.current_call, *(incarnation.mailbox.queue or ()), *(incarnation.pending_replies or ())]:
        if isinstance(item, Caller):
            item._down(final.told)


def _cancel_reentrant_handlers(incarnation: RunningIncarnation, final: Final) -> None:
    for task in incarnation.reentrant_tasks or ():
        task.cancel()


def _release_state(incarnation: RunningIncarnation, final: Final) -> None:
    """Keep nothing of the agent alive: a ref of an ended agent may be kept for long."""
    final.watchers, final.links = incarnation.watchers or (), incarnation.links or ()
    incarnation.agent = incarnation.context = incarnation.mailbox.queue = incarnation.current_call = None
    incarnation.reentrant_tasks = incarnation.pending_replies = None
    incarnation.watchers = incarnation.links = incarnation.names = incarnation.lane = None
    if incarnation.task is not None and not final.zombie:
        incarnation.task = None


def _answer_starter(incarnation: RunningIncarnation, final: Final) -> None:
    if incarnation.started is not None and not incarnation.started.done():
        incarnation.started.set_result(IGNORE if final.reason is IGNORE else FailedStart(final.reason))


def _tell_watchers(incarnation: RunningIncarnation, final: Final) -> None:
    for watcher in final.watchers:
        watcher._down(incarnation, final.told, final.zombie, final.seq)


def _signal_links(incarnation: RunningIncarnation, final: Final) -> None:
    for peer in final.links:
        if peer.links:
            peer.links.discard(incarnation)
        if peer is not incarnation.supervisor:
            incarnation.host.signals.append((peer, final.told, incarnation, final.seq))


def _tell_supervisor(incarnation: RunningIncarnation, final: Final) -> None:
    if incarnation.on_exit is not None:
        incarnation.on_exit(incarnation, final.told)
    incarnation.host.deliver()


#: what happens at an end, in this order
FINAL_STEPS: tuple[Callable[[RunningIncarnation, Final], None], ...] = (
    _mark_dead,
    _free_names,
    _run_cleanups,
    _record_exit,
    _fail_callers,
    _cancel_reentrant_handlers,
    _release_state,
    _answer_starter,
    _tell_watchers,
    _signal_links,
    _tell_supervisor,
)
