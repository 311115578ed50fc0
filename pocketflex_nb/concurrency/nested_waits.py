"""What both ways to wait in plain code on a running loop have in common: `greenlet_stacks` and `nested_loops`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import TypeVar

from pocketflex_nb.concurrency.foreign_errors import cut
from pocketflex_nb.concurrency.outcome import close_all, unwrap

__all__ = ["NESTED_BEAT", "Cancelling", "nested_outcome", "no_wait_here", "soon"]

ResultT = TypeVar("ResultT")
#: gets the way to cancel a wait, from any thread; gives the context that holds meanwhile
Cancelling = Callable[[Callable[[], object]], AbstractContextManager[object]]
#: seconds between two turns of a user's loop while plain code waits on it: no signal wakes an idle one, nor a kernel's stop button
NESTED_BEAT = 0.05


def no_wait_here(why: str) -> RuntimeError:
    """The error where plain code may not wait; `why` says why not, with the mend."""
    return RuntimeError(f"plain code that waits inside an async step leaves its stack, which is not possible here: {why}")


def soon(loop: asyncio.AbstractEventLoop, fn: Callable[[], object]) -> None:
    """Call `fn` on `loop`, from any thread; not at all when it is closed."""
    try:
        loop.call_soon_threadsafe(fn)
    except RuntimeError:  # the loop was closed meanwhile: there is nothing to cancel
        pass


def nested_outcome(
    coro: Coroutine[object, object, ResultT], inner: asyncio.Task[tuple[ResultT | None, BaseException | None]], is_cut: bool
) -> ResultT | None:
    """What `coro` gave as the task `inner`; raises the cut when it was cancelled, or is to be given up."""
    close_all(coro)  # if it was cancelled before it began
    if inner.cancelled() or is_cut:
        raise cut()
    return unwrap(inner.result())
