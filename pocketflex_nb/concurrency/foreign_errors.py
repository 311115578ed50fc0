"""Errors of steps that asyncio would misread: a `CancelledError` that nobody here requested, and `StopIteration`.

A client whose pool was closed raises `asyncio.CancelledError` in a step that nobody cancelled: passed on, it would look like the end of
the run, or of the task that walks. And a coroutine turns `StopIteration` into another error, so that `run_async` and `launch` would
raise differently from `run`. Both are ordinary failures, with the original error as their cause.
"""

from __future__ import annotations

import asyncio

from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import StepCancelled

__all__ = ["as_failure", "cut", "is_cut", "is_ours", "raised_by_step", "step_error"]


def cut() -> asyncio.CancelledError:
    """The error for plain code that waits on a loop's thread when its task, or what it waits for, was cancelled."""
    error = asyncio.CancelledError()  # no class of its own: `asyncio.timeout` knows the very class only
    error._pfx_cut = True  # type: ignore[attr-defined]
    return error


def is_cut(error: BaseException) -> bool:
    """Whether `error` was made by `cut`."""
    return getattr(error, "_pfx_cut", False) is True


def is_ours(error: BaseException) -> bool:
    """Whether the cancellation `error` was requested here: of the running task, of the run or an outer one, or of this attempt."""
    if is_cut(error):
        return True
    frame = CURRENT_FRAME.get()
    if frame is not None and frame.is_cancelled():
        return True
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return False
    return task is not None and task.cancelling() > 0


def as_failure(error: asyncio.CancelledError) -> StepCancelled:
    """The failure for a cancellation that nobody here requested; one that was requested is raised."""
    if is_ours(error):
        raise error
    frame = CURRENT_FRAME.get()
    where = f"node {frame.node_id!r}" if frame is not None and frame.node is not None else "a step"
    failure = StepCancelled(
        f"{where} was left by {type(error).__name__}, which nobody here asked for: something that it awaited was cancelled or closed from "
        "elsewhere, a client's pool say; it counts as a failure like any other"
    )
    failure.__cause__ = error
    return failure


def raised_by_step(error: BaseException) -> BaseException:
    """`error` in the form that is the same in each way to run: a `StopIteration` as the RuntimeError that a coroutine makes of it."""
    if isinstance(error, asyncio.CancelledError):
        return error if is_ours(error) else as_failure(error)
    stop = error if isinstance(error, StopIteration) else None
    if type(error) is RuntimeError and isinstance(error.__cause__, StopIteration) and error.args == ("coroutine raised StopIteration",):
        stop = error.__cause__
    if stop is None:
        return error
    frame = CURRENT_FRAME.get()
    where = f"node {frame.node_id!r}" if frame is not None and frame.node is not None else "a step"
    failure = RuntimeError(f"{where} raised StopIteration, which no coroutine lets out; give next(...) a default, or catch it")
    failure.__cause__ = stop
    return failure


def step_error(error: BaseException, *, is_plain: bool = False) -> Exception:
    """The error of `exec` as its fallback gets it; a cancellation that was requested is raised.

    Of a plain `exec` it is the StopIteration itself, though that came through a coroutine of ours.
    """
    if isinstance(error, asyncio.CancelledError):
        return as_failure(error)
    assert isinstance(error, Exception)
    if is_plain and type(error) is RuntimeError and isinstance(error.__cause__, StopIteration):
        return error.__cause__
    return error
