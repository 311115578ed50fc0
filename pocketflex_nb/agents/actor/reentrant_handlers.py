"""Handlers marked ``reentrant=True``: each runs in a task of its own, while the agent takes the next message."""

from __future__ import annotations

import asyncio
from types import CoroutineType

from pocketflex_nb.agents.actor.termination import RunningIncarnation, exit_reason
from pocketflex_nb.agents.messaging.envelopes import Addressee, Caller, MethodCall, OneWayMessage
from pocketflex_nb.agents.protocol.errors import ReplyError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD

__all__ = ["absorb_cancel", "spawn_reentrant"]


def spawn_reentrant(incarnation: RunningIncarnation, item: Caller | OneWayMessage, message: MethodCall) -> None:
    """Handle `message` in a task of its own; `item` is the envelope it came in."""
    if incarnation.reentrant_tasks is None:
        incarnation.reentrant_tasks = set()
    task = incarnation.host.loop.create_task(_run(incarnation, item, message), context=incarnation.context)
    if isinstance(item, Caller):
        item._task = task
    incarnation.reentrant_tasks.add(task)
    task.add_done_callback(incarnation.reentrant_tasks.discard)


async def _run(incarnation: RunningIncarnation, item: Caller | OneWayMessage, message: MethodCall) -> None:
    caller = item if isinstance(item, Caller) else None
    if caller is not None:
        incarnation.pending_replies = incarnation.pending_replies or set()
        incarnation.pending_replies.add(caller)
    try:
        out = message.on(incarnation.agent)
        if out.__class__ is CoroutineType:
            out = await out
        if caller is not None:
            caller.reply(out)
    except ReplyError as exc:
        if caller is not None:
            caller._fail(exc.exc)
    except BaseException as exc:
        if caller is not None and isinstance(exc, asyncio.CancelledError) and absorb_cancel(incarnation, caller):
            if incarnation.pending_replies:
                incarnation.pending_replies.discard(caller)
            return
        if incarnation.pending_exit is None and incarnation.status is not DEAD:
            incarnation.end(exit_reason(incarnation, exc)[0], polite=True)


def absorb_cancel(incarnation: Addressee, item: Caller) -> bool:
    """Whether a cancellation was meant for the call `item` only, whose caller no longer waits, so that the agent continues."""
    return incarnation.pending_exit is None and incarnation.clear_cancel(item)
