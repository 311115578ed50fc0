"""Delivery of messages to a mailbox: from the same loop, from another one, or from a thread."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Any

from pocketflex_nb.agents.host.agent_log import PLAIN, warn
from pocketflex_nb.agents.host.deadlines import ReplyFuture
from pocketflex_nb.agents.messaging.envelopes import Addressee, Caller, InternalMessage, SystemMessage
from pocketflex_nb.agents.messaging.monitors import DeathFuture
from pocketflex_nb.agents.messaging.strict_copy import copy_message
from pocketflex_nb.agents.protocol.directives import Stop
from pocketflex_nb.agents.protocol.errors import AgentDown, CallingSelf, CallTimeout, NotRunning
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, short
from pocketflex_nb.concurrency.interruptible import keep_loop_awake
from pocketflex_nb.concurrency.portal_future import PortalFuture
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.wait_marks import waiting

__all__ = [
    "CALL_MARGIN", "call_across_loops", "enqueue_call", "enqueue_message", "enqueue_posted_call", "enqueue_system_message", "portable",
    "put_if_alive", "stop_and_wait",
]

#: seconds a waiting thread or foreign loop allows beyond a call's timeout for the agent's own clock to say so
CALL_MARGIN = 1.0


def enqueue_call(
    incarnation: Addressee, message: object, fut: ReplyFuture, by: Addressee | None, timeout: float | None, is_cancelling: bool
) -> None:
    """Put a call into the mailbox; on the host's loop."""
    if by is not None:
        if by is incarnation:
            raise CallingSelf(incarnation.name)
        if by.fenced:
            raise AgentDown("killed", by.name)
    if incarnation.status is DEAD:
        raise NotRunning(incarnation.name)
    if incarnation.is_strict:
        message = copy_message(message)
    log = incarnation.log
    seq, now = next(log.count), perf_counter_ns()
    what = message if message.__class__ in PLAIN else log.describe(message)
    record = (seq, now, "call", incarnation.pid, what, None if by is None else by.cause, None if by is None else by.pid)
    log.add(record)
    if log.watchers:
        log.notify(record)
    caller = Caller(incarnation, message, fut, by, seq, now, is_cancelling)
    if timeout is not None:
        incarnation.host.deadlines.add(timeout, caller)
    mailbox = incarnation.mailbox
    if mailbox.is_draining:
        mailbox.queue.append(caller)  # type: ignore[union-attr]  # a draining one has a queue
    else:
        mailbox.put(caller)


def enqueue_posted_call(
    incarnation: Addressee, message: object, fut: ReplyFuture, by: Addressee | None, timeout: float | None, is_cancelling: bool
) -> None:
    """`enqueue_call`, posted by another thread: errors go to the future."""
    if fut.done():
        return
    try:
        enqueue_call(incarnation, message, fut, by, timeout, is_cancelling)
    except Exception as exc:
        fut.set_exception(exc)


async def call_across_loops(incarnation: Addressee, message: object, timeout: float | None, is_cancelling: bool) -> Any:
    """Call an agent from another loop than its own."""
    if incarnation.status is DEAD or incarnation.host.loop.is_closed():
        raise NotRunning(incarnation.name)
    loop = asyncio.get_running_loop()
    reply = PortalFuture(loop)
    message = portable(incarnation, message)
    incarnation.host.post_to(incarnation, enqueue_posted_call, incarnation, message, reply, CURRENT_AGENT.get(), timeout, is_cancelling)
    timer = None
    if timeout is not None and incarnation.host.is_real:
        timer = loop.call_later(timeout + CALL_MARGIN, reply.set_exception, CallTimeout(incarnation.name, timeout))
    try:
        with keep_loop_awake(), waiting("reply", f"reply of {incarnation.name}", timeout=timeout):
            return await reply
    finally:
        if timer is not None:
            timer.cancel()


def portable(incarnation: Addressee, message: object) -> object:
    """`message` in the form in which that agent may get it."""
    return copy_message(message) if incarnation.is_strict else message


def enqueue_message(incarnation: Addressee, verb: str, message: object, by: Addressee | None) -> None:
    """Put a cast or info into the mailbox; on the host's loop."""
    if incarnation.status is DEAD or (by is not None and by.fenced):
        if incarnation.is_strict or getattr(incarnation.cls, "strict_cast", False):
            warn(f"a message to {incarnation.name!r} was dropped, the agent is dead: {short(message)}")
        return
    seq = incarnation.note(verb, incarnation.log.describe(message), None if by is None else by.cause, by)
    incarnation.put((seq, 0, verb, None, message, None, None))


def enqueue_system_message(incarnation: Addressee, order: SystemMessage | InternalMessage) -> None:
    """Put a system message into the mailbox, after what other threads have sent before it; on the host's loop."""
    if incarnation.inbound:
        incarnation.host.post_to(incarnation, put_if_alive, incarnation, order)
    else:
        put_if_alive(incarnation, order)


def put_if_alive(incarnation: Addressee, order: SystemMessage | InternalMessage) -> None:
    """Put a system message into the mailbox; on the host's loop."""
    if incarnation.status is not DEAD:
        incarnation.put(order)


async def stop_and_wait(incarnation: Addressee, reason: object, timeout: float | None) -> None:
    """Request the end and wait for it; on the host's loop."""
    if incarnation.status is DEAD:
        raise NotRunning(incarnation.name)
    gone = DeathFuture(incarnation)
    enqueue_system_message(incarnation, SystemMessage(lambda incarnation: Stop(reason)))
    timer = None
    if timeout is not None:
        timer = incarnation.host.clock.call_later(timeout, gone.expire, CallTimeout(incarnation.name, timeout, "stop"))
    try:
        ended, _ = await gone.future
    finally:
        gone.detach()
        if timer is not None:
            timer.cancel()
    if not _same(ended, reason):
        raise AgentDown(ended, incarnation.name)


def _same(one: object, other: object) -> bool:
    """Whether two exit reasons are equal; those that cannot be compared are not."""
    try:
        return one is other or bool(one == other)
    except Exception:  # an `==` of the user's that raises
        return False
