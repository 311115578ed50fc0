"""The names of this process's agents, and the waits for the next agent of a name or position."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from pocketflex_nb.agents.host.agent_host import host_for
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import Addressee
from pocketflex_nb.agents.messaging.registry import NEAR, Registry, Via
from pocketflex_nb.agents.protocol.errors import NotRunning, check_time
from pocketflex_nb.agents.protocol.exit_reasons import short
from pocketflex_nb.concurrency.interruptible import keep_loop_awake
from pocketflex_nb.concurrency.portal_future import PortalFuture
from pocketflex_nb.core.errors import nearest

__all__ = ["names", "not_running", "registry_and_key", "successor", "wait_for_name"]


#: the default registry: where ``name="writer"`` goes
names = Registry()


def registry_and_key(name: Hashable) -> tuple[Registry, Hashable]:
    """The registry and key that a name means."""
    return (name.registry, name.key) if isinstance(name, Via) else (names, name)


def not_running(name: Hashable) -> NotRunning:
    """The error that no agent has `name`, with the nearest name."""
    registry, key = registry_and_key(name)
    known = registry._some_keys(NEAR)
    return NotRunning(key if isinstance(key, str) else short(key), nearest(str(key), known) if known else "")


async def wait_for_name(name: Hashable, seconds: float) -> AgentRef:
    """The agent with `name`, as soon as there is one."""
    check_time(seconds, "wait")
    registry, key = registry_and_key(name)
    waiting = registry._expect(key)
    clock = host_for().clock
    timer = clock.call_later(seconds, waiting.give_up)
    try:
        ref: AgentRef = await waiting
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        found = registry.whereis(key)
        if found is None:
            raise not_running(name) from None
        return found
    finally:
        timer.cancel()
    return ref


async def successor(incarnation: Addressee, seconds: float) -> Addressee:
    """The next incarnation, within `seconds`, with the name of the ended `incarnation` or, if it had none, in its tree position.

    Raises
    ------
    NotRunning
        Nobody came.
    """
    if incarnation.known is not None:
        return (await wait_for_name(incarnation.known, seconds))._incarnation
    check_time(seconds, "wait")
    slot, waiting = incarnation.slot, PortalFuture(asyncio.get_running_loop())
    if incarnation.supervisor is not None:
        slot._waiting = slot._waiting or []
        slot._waiting.append(waiting)
        found = slot._occupant() if slot._occupant is not None else None
        if found is not None and found.ref.is_alive:  # it came before the wait began
            waiting.set_result(found.ref)
        try:
            async with asyncio.timeout(seconds):
                with keep_loop_awake():
                    ref: AgentRef = await waiting
                    return ref._incarnation
        except TimeoutError:
            pass
    raise NotRunning(incarnation.name)
