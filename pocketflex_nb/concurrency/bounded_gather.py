"""Gathers awaitables, at most n at once; the first failure cancels the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeVar

from pocketflex_nb.concurrency.reentrancy import cancel_task

__all__ = ["cancel_and_wait", "gather_all"]

ResultT = TypeVar("ResultT")


async def gather_all(tasks: Iterable[asyncio.Task[ResultT]]) -> list[ResultT]:
    """Wait for all tasks; the first that fails cancels the others, which are waited for, and is raised."""
    tasks = list(tasks)
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = next((t for t in tasks if t.done() and (t.cancelled() or t.exception() is not None)), None)
        if failed is None:
            return [t.result() for t in tasks]
    finally:
        await cancel_and_wait([t for t in tasks if not t.done()])
        for task in tasks:  # every outcome is looked at, so that none is reported as never retrieved
            if not task.cancelled():
                task.exception()
    return [failed.result()]


async def cancel_and_wait(tasks: list[asyncio.Task[ResultT]]) -> None:
    """Cancel `tasks` and wait until they are done; a cancellation of the waiter meanwhile is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    for task in tasks:
        cancel_task(task)
    while left := [t for t in tasks if not t.done()]:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as exc:
            cancelled = exc
            for task in left:
                cancel_task(task)
    if cancelled is not None:
        raise cancelled
