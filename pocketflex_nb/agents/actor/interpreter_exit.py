"""Ends all agents when Python exits or the kernel shuts down: `terminate` runs, the last started first."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures as cf
import os
import time
from typing import Any

from pocketflex_nb.agents.actor.stop_agent import stop_life
from pocketflex_nb.agents.host.agent_host import homes
from pocketflex_nb.agents.protocol.exit_reasons import DEAD

__all__ = ["LAST", "end_everybody", "part_at_exit"]

#: seconds that ending everybody takes at most
LAST = 2.0
_of_process = 0


def part_at_exit() -> None:
    """Register the handler that ends agents in order when this process exits."""
    global _of_process
    if _of_process != os.getpid():
        if not _of_process:
            atexit.register(_part)
        _of_process = os.getpid()


def _part() -> None:
    if _of_process == os.getpid():  # a fork has the agents of its parent, and no thread that runs them
        end_everybody()


def end_everybody(seconds: float = LAST) -> None:
    """End all agents on loops of other threads, the last started first, as ``"shutdown"``.

    Parameters
    ----------
    seconds : float
        For all together. Who takes more than a fair share of what is left is killed, and the next one comes.
    """
    until = time.monotonic() + seconds
    tops: dict[Any, list[Any]] = {}
    for home in homes():
        if home.loop.is_running() and not home.is_here:
            tops.setdefault(home.loop, []).extend(life for life in list(home.lives.values()) if life.boss is None and life.type != "task")
    waits = [asyncio.run_coroutine_threadsafe(_end(sorted(lives, key=_number), until), loop) for loop, lives in tops.items()]
    cf.wait(waits, timeout=max(until - time.monotonic(), 0.0))


def _number(life: Any) -> int:
    return int(life.pid)


async def _end(lives: list[Any], until: float) -> None:
    while lives:
        share = max((until - time.monotonic()) / len(lives), 0.0)
        life = lives.pop()
        task = asyncio.ensure_future(stop_life(life, None))
        await asyncio.wait([task], timeout=share)
        if life.status is not DEAD:
            life.kill()
        task.cancel()
