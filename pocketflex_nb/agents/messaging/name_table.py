"""The names of this process's agents, and `wait_for_name`."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

from pocketflex_nb.agents.host.agent_host import host_for
from pocketflex_nb.agents.messaging.registry import NEAR, Registry, Via
from pocketflex_nb.agents.protocol.errors import NotRunning, check_time
from pocketflex_nb.agents.protocol.exit_reasons import short
from pocketflex_nb.core.errors import nearest

__all__ = ["names", "not_running", "registry_and_key", "wait_for_name"]


#: the default registry: where ``name="writer"`` goes
names = Registry()


def registry_and_key(name: Any) -> tuple[Registry, Hashable]:
    """The registry and key that a name means."""
    return (name.registry, name.key) if isinstance(name, Via) else (names, name)


def not_running(name: Any) -> NotRunning:
    """The error that no agent has `name`, with the nearest name."""
    registry, key = registry_and_key(name)
    known = registry.some_keys(NEAR)
    return NotRunning(key if isinstance(key, str) else short(key), nearest(str(key), known) if known else "")


async def wait_for_name(name: Any, seconds: float) -> Any:
    """The agent with `name`, as soon as there is one."""
    check_time(seconds, "wait")
    registry, key = registry_and_key(name)
    waiting = registry.expect(key)
    clock = host_for().clock
    timer = clock.call_later(seconds, waiting.future.cancel)
    try:
        ref = await waiting.future
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        ref = registry.whereis(key)
        if ref is None:
            raise not_running(name) from None
        return ref
    finally:
        timer.cancel()
    return ref
