"""Ends all agents when Python exits or the kernel shuts down: `terminate` runs, the last started first."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures as cf
import os
import time

from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.actor.stop_agent import stop_incarnation
from pocketflex_nb.agents.host.agent_host import hosts
from pocketflex_nb.agents.protocol.exit_reasons import DEAD

__all__ = ["EXIT_TIMEOUT", "register_exit_handler", "stop_all"]

#: seconds that ending everybody takes at most
EXIT_TIMEOUT = 2.0
_of_process = 0


def register_exit_handler() -> None:
    """Register the handler that ends agents in order when this process exits."""
    global _of_process
    if _of_process != os.getpid():
        if not _of_process:
            atexit.register(_end_process)
        _of_process = os.getpid()


def _end_process() -> None:
    if _of_process == os.getpid():  # a fork has the agents of its parent, and no thread that runs them
        stop_all()


def stop_all(seconds: float = EXIT_TIMEOUT) -> None:
    """End all agents on loops of other threads, the last started first, as ``"shutdown"``.

    Parameters
    ----------
    seconds : float
        For all together. Who takes more than a fair share of what is left is killed, and the next one comes.
    """
    until = time.monotonic() + seconds
    tops: dict[asyncio.AbstractEventLoop, list[Incarnation]] = {}
    for host in hosts():
        if host.loop.is_running() and not host.is_here:
            here = list(host.incarnations.values())
            tops.setdefault(host.loop, []).extend(
                one for one in here if isinstance(one, Incarnation) and one.supervisor is None and one.type != "task"
            )
    waits = [asyncio.run_coroutine_threadsafe(_end(sorted(incarnations, key=_number), until), loop) for loop, incarnations in tops.items()]
    cf.wait(waits, timeout=max(until - time.monotonic(), 0.0))


def _number(incarnation: Incarnation) -> int:
    return int(incarnation.pid)


async def _end(incarnations: list[Incarnation], until: float) -> None:
    while incarnations:
        share = max((until - time.monotonic()) / len(incarnations), 0.0)
        incarnation = incarnations.pop()
        task = asyncio.ensure_future(stop_incarnation(incarnation, None))
        await asyncio.wait([task], timeout=share)
        if incarnation.status is not DEAD:
            incarnation.kill()
        task.cancel()
