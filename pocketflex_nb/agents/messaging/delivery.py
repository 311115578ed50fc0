"""Delivery of messages to a mailbox: from the same loop, from another one, or from a thread."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Any

from pocketflex_nb.agents.host.agent_log import PLAIN, warn
from pocketflex_nb.agents.messaging.envelopes import Caller, Order
from pocketflex_nb.agents.messaging.monitors import Gone
from pocketflex_nb.agents.messaging.name_table import wait_for_name
from pocketflex_nb.agents.messaging.reply_futures import CrossFuture
from pocketflex_nb.agents.messaging.strict_copy import copied
from pocketflex_nb.agents.protocol.directives import Stop
from pocketflex_nb.agents.protocol.errors import AgentDown, CallingSelf, CallTimeout, NotRunning, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, short
from pocketflex_nb.concurrency.interruptible import pulse
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["LATE", "ask", "ask_across", "ask_late", "portable", "put", "put_now", "put_order", "stop_it", "successor"]

#: seconds a waiting thread or foreign loop allows beyond a call's timeout for the agent's own clock to say so
LATE = 1.0


def ask(life: Any, message: Any, fut: Any, by: Any, timeout: float | None, is_cancelling: bool) -> None:
    """Put a call into the mailbox; on the host's loop."""
    if by is not None:
        if by is life:
            raise CallingSelf(life.name)
        if by.fenced:
            raise AgentDown("killed", by.name)
    if life.status is DEAD:
        raise NotRunning(life.name)
    if life.is_strict:
        message = copied(message)
    log = life.log
    seq, now = next(log.count), perf_counter_ns()
    what = message if message.__class__ in PLAIN else log.describe(message)
    record = (seq, now, "call", life.pid, what, by and by.cause, by and by.pid)
    log.add(record)
    if log.watchers:
        log.tell(record)
    caller = Caller(life, message, fut, by, seq, now, is_cancelling)
    if timeout is not None:
        life.home.deadlines.add(timeout, caller)
    if life.is_awake:
        life.box.append(caller)
    else:
        life.put(caller)


def ask_late(life: Any, message: Any, fut: Any, by: Any, timeout: float | None, is_cancelling: bool) -> None:
    """`ask`, posted by another thread: errors go to the future."""
    if fut.done():
        return
    try:
        ask(life, message, fut, by, timeout, is_cancelling)
    except Exception as exc:
        fut.set_exception(exc)


async def ask_across(life: Any, message: Any, timeout: float | None, is_cancelling: bool) -> Any:
    """Call an agent from another loop than its own."""
    if life.status is DEAD or life.home.loop.is_closed():
        raise NotRunning(life.name)
    loop = asyncio.get_running_loop()
    waiting = CrossFuture(loop)
    life.home.post_to(life, ask_late, life, portable(life, message), waiting, CURRENT_AGENT.get(), timeout, is_cancelling)
    timer = None
    if timeout is not None and life.home.is_real:
        timer = loop.call_later(timeout + LATE, waiting._set, waiting.future.set_exception, CallTimeout(life.name, timeout))
    try:
        with pulse():
            return await waiting.future
    finally:
        if timer is not None:
            timer.cancel()


async def successor(life: Any, seconds: float) -> Any:
    """The next incarnation, within `seconds`, with the name of the ended `life` or, if it had none, in its tree position.

    Raises
    ------
    NotRunning
        Nobody came.
    """
    if life.known is not None:
        return (await wait_for_name(life.known, seconds))._life
    check_time(seconds, "wait")
    slot, waiting = life.slot, CrossFuture(asyncio.get_running_loop())
    if life.boss is not None:
        slot.waiting = slot.waiting or []
        slot.waiting.append(waiting)
        found = slot.tenant() if slot.tenant is not None else None
        if found is not None and found.ref.is_alive:  # it came before the wait began
            waiting.set_result(found.ref)
        try:
            async with asyncio.timeout(seconds):
                with pulse():
                    return (await waiting.future)._life
        except TimeoutError:
            pass
    raise NotRunning(life.name)


def portable(life: Any, message: Any) -> Any:
    """`message` in the form in which that agent may get it."""
    return copied(message) if life.is_strict else message


def put(life: Any, verb: str, message: Any, by: Any) -> None:
    """Put a cast or info into the mailbox; on the host's loop."""
    if life.status is DEAD or (by is not None and by.fenced):
        if life.is_strict or getattr(life.cls, "strict_cast", False):
            warn(f"a message to {life.name!r} was lost, it is dead: {short(message)}")
        return
    seq = life.note(verb, life.log.describe(message), None if by is None else by.cause, by)
    life.put((seq, 0, verb, None, message, None, None))


def put_order(life: Any, order: Any) -> None:
    """Put a system message into the mailbox, after what other threads have sent before it; on the host's loop."""
    if life.inbound:
        life.home.post_to(life, put_now, life, order)
    else:
        put_now(life, order)


def put_now(life: Any, order: Any) -> None:
    """Put a system message into the mailbox; on the host's loop."""
    if life.status is not DEAD:
        life.put(order)


async def stop_it(life: Any, reason: Any, timeout: float | None) -> None:
    """Request the end and wait for it; on the host's loop."""
    if life.status is DEAD:
        raise NotRunning(life.name)
    gone = Gone(life)
    put_order(life, Order(lambda life: Stop(reason)))
    timer = None
    if timeout is not None:
        timer = life.home.clock.call_later(timeout, gone.expire, CallTimeout(life.name, timeout, "stop"))
    try:
        ended, _ = await gone.future
    finally:
        gone.detach()
        if timer is not None:
            timer.cancel()
    if not _same(ended, reason):
        raise AgentDown(ended, life.name)


def _same(one: Any, other: Any) -> bool:
    """Whether two exit reasons are equal; those that cannot be compared are not."""
    try:
        return one is other or bool(one == other)
    except Exception:  # an `==` of the user's that raises
        return False
