"""Runs one step where it may wait: in this task, in the pool, or on the engine thread.

The choice follows from the loop that is running: on the caller's own loop everything runs inline, as in PocketFlow; on the engine's
loop a plain `exec` goes to the pool; on the private loop of a waiting `run` it does too, and ``async def`` steps run on the engine
thread, where clients that are bound to a loop stay usable from run to run.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
from asyncio import get_running_loop
from collections.abc import Callable
from enum import Enum
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import EngineLoop, engine_thread
from pocketflex_nb.concurrency.foreign_errors import step_error
from pocketflex_nb.concurrency.outcome import unwrap
from pocketflex_nb.concurrency.portal import call_on_engine
from pocketflex_nb.concurrency.private_loop import CallerLoop
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.generator_steps import is_stream
from pocketflex_nb.core.flow.nodes import BaseNode, Node
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.engine.control.attempt_clock import limit
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.record import format_error
from pocketflex_nb.engine.walk.dispatch import is_async, is_exec_step, is_step
from pocketflex_nb.engine.walk.failed_attempts import begin_try, end_tries, take_back, withdraw
from pocketflex_nb.engine.walk.streaming_steps import LAZY, streamed, watched

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.visit_values import KeptVisit

__all__ = [
    "CALLER", "ENGINE", "USER", "LoopOwner", "abandon", "attempt_async", "fall_back", "finish_visit", "in_pool", "mode_here", "next_try",
    "once", "patience", "retried", "run_stream", "with_tries",
]


class LoopOwner(Enum):
    """On whose loop a task runs.

    Attributes
    ----------
    USER
        The caller's own: everything runs inline.
    ENGINE
        The engine thread's: a plain `exec` goes to the pool.
    CALLER
        The private loop of a waiting `run`: a plain `exec` goes to the pool, an async step to the engine thread.
    """

    USER = "user"
    ENGINE = "engine"
    CALLER = "caller"


#: names of this module, since an attribute of an enum is looked up slowly
USER, ENGINE, CALLER = LoopOwner
_HAS_THREADS = sys.platform != "emscripten"


def mode_here() -> LoopOwner:
    """The owner of the loop on which the running task is."""
    loop = get_running_loop().__class__
    if not _HAS_THREADS:
        return USER
    if loop is EngineLoop or loop is CallerLoop:
        return ENGINE if loop is EngineLoop else CALLER
    frame = CURRENT_FRAME.get()
    if frame is None:
        return USER
    if frame.lifecycle.crosses:
        return CALLER
    return ENGINE if engine_thread.is_adopted and frame.lifecycle.launched else USER


def _parcelled(fn: Callable[..., object], *args: object) -> tuple[object, BaseException | None]:
    try:
        return fn(*args), None
    except BaseException as exc:
        return None, exc


async def in_pool(frame: Frame, fn: Callable[..., object], *args: object) -> object:
    """Call `fn` in the pool, as a step of the current node.

    When the caller is cancelled while the thread works, the thread is abandoned: it is reported, and what it writes to a `Store`
    from then on is dropped.
    """
    step = frame.step_frame(frame.item if frame.step else None)
    context = contextvars.copy_context()
    context.run(CURRENT_FRAME.set, step)
    marks: list[waiting] = []

    def full(text: str) -> None:
        step.note("pool_full", text=text)
        if not marks:
            marks.append(waiting("thread", lambda: "" if future.running() or future.done() else "a thread of the pool", frame=step))
            marks[0].__enter__()

    future = engine_thread.pool.submit(context.run, _parcelled, fn, *args, told=full)
    try:
        return unwrap(await asyncio.wrap_future(future))
    except asyncio.CancelledError:
        if not future.cancel() and future.running():
            abandon(step, future)
        raise
    finally:
        for mark in marks:
            mark.__exit__()
        frame.absorb(step)


def abandon(step: Frame, future: Any) -> None:
    """Report a thread that is not waited for any more, abandon its step, and let the pool replace it."""
    step.fenced = True
    step.lifecycle.abandon_step(step)
    withdraw(step)
    step.note("abandoned", what="thread", text=f"{step.node_id}: a thread could not be stopped; its late writes are dropped")
    pool = engine_thread.pool
    pool.abandon()
    future.add_done_callback(lambda _: pool.reclaim())


async def once(node: Any, prep_res: object, mode: LoopOwner, frame: Frame) -> object:
    """One attempt of `exec`, where it may run and for as long as it may."""
    seconds = node._pfx_timeout
    if seconds is None:
        return await _exec_once(node, prep_res, mode, frame, False)
    async with limit(seconds, frame):
        return await _exec_once(node, prep_res, mode, frame, True)


async def _exec_once(node: BaseNode, prep_res: object, mode: LoopOwner, frame: Frame, limited: bool) -> object:
    fn = node.exec
    if is_async(fn):
        return await (call_on_engine(fn(prep_res)) if mode == CALLER else fn(prep_res))
    if getattr(fn, "__func__", None) is BaseNode.exec:
        return None
    if is_stream(fn):
        return await run_stream(fn(prep_res), mode)
    if limited or (mode != USER and getattr(node, "blocking", True)):
        result = await in_pool(frame, fn, prep_res)
    else:
        result = fn(prep_res)
    return watched(result, node, "exec") if result.__class__ in LAZY else result


async def run_stream(pieces: Any, mode: LoopOwner) -> object:
    """The result of an async generator step, with its texts emitted as they come; on the engine thread, as any async step."""
    return await (call_on_engine(streamed(pieces)) if mode == CALLER else streamed(pieces))


def patience(node: Any) -> tuple[int, Any, Callable[[int, BaseException], float]]:
    """Number of attempts, the errors that are retried, and the wait in seconds after attempt number k, which failed with an error."""
    retry = node._pfx_retry
    if retry is None:
        return node.max_retries, Exception, lambda failed, exc: node.wait
    from random import random

    from pocketflex_nb.core.flow.retry_policy import asked_delay

    return retry.attempts, retry.on, lambda failed, exc: retry.delay(failed, random, after=asked_delay(exc))


def retried(node: BaseNode, frame: Frame | None, number: int, exc: BaseException) -> None:
    """Note that attempt `number` failed and another follows."""
    if frame is not None:
        if frame.lifecycle.values is not None:
            from pocketflex_nb.engine.records.visit_values import note_try

            note_try(frame, number, exc)
        frame.note("node_retried", attempt=number, error=format_error(exc))


def next_try(number: int, tries: int, exc: BaseException, seconds: float) -> waiting:
    """Marks the wait of `seconds` after attempt `number` of `tries` failed with `exc`."""
    return waiting("retry", f"try {number + 2} of {tries}", seconds=seconds, detail=type(exc).__name__)


async def attempt_async(node: Any, prep_res: object, mode: LoopOwner | None = None) -> Any:
    """`exec` with its attempts and its fallback, awaited."""
    mode = mode_here() if mode is None else mode
    frame = CURRENT_FRAME.get()
    tries, on, wait = patience(node)
    recording = None if frame is None else frame.lifecycle.recording
    spent = 0 if recording is None else max(0, min(recording.attempts(frame), tries - 1))  # those of an earlier process count
    undoes = tries > 1 or node._pfx_timeout is not None
    for number in range(spent, tries):
        node.cur_retry = number
        if undoes:
            begin_try(frame)
        try:
            return await once(node, prep_res, mode, frame)
        except (Exception, asyncio.CancelledError) as caught:
            exc = step_error(caught, is_plain=not is_async(node.exec))
            if undoes:
                prep_res = take_back(frame, prep_res)
            if number == tries - 1 or not isinstance(exc, on):
                if frame is not None and frame.call is not None:  # what stands in for a result is not cached
                    frame.call.is_kept = False
                return await fall_back(node, prep_res, exc, mode)
            retried(node, frame, number, exc)
            if recording is not None:
                await recording.attempt(frame, number, format_error(exc))
        finally:
            if undoes:
                end_tries(frame)
        if (seconds := wait(number, exc)) > 0:
            with next_try(number, tries, exc, seconds):
                await asyncio.sleep(seconds)
    return None


async def fall_back(node: Any, prep_res: object, exc: Exception, mode: LoopOwner) -> object:
    """`exec_fallback`, awaited when it is async; it raises `exc` unless it is overridden."""
    result = node.exec_fallback(prep_res, exc)
    if result.__class__ is CoroutineType and is_step(result, node.exec_fallback):
        return await (call_on_engine(result) if mode == CALLER else result)
    if result.__class__ in LAZY:
        return await run_stream(result, mode) if is_stream(node.exec_fallback) else watched(result, node, "exec_fallback")
    return result


def with_tries(node: BaseNode, prep_res: object, coro: Any) -> object:
    """`coro` as `exec` returned it, not begun yet, with the node's attempts and fallback unless it has them already."""
    if coro.cr_code is attempt_async.__code__ or not isinstance(node, Node) or not is_async(node.exec):
        return coro
    if coro.cr_code is not getattr(inspect.unwrap(node.exec), "__code__", None):
        return coro
    coro.close()
    return attempt_async(node, prep_res)


async def finish_visit(
    node: Any, shared: object, prep_res: Any, exec_res: Any, stage: int, kept: KeptVisit | None = None
) -> Any:
    """The rest of a visit whose `prep` (stage 0) or `_exec` (stage 1) turned out to be async: that one is awaited first."""
    if stage == 0:
        prep_res = await prep_res
        if kept is not None:
            kept.prepared(prep_res)
        if type(node)._exec is Node._exec and "_exec" not in node.__dict__:
            exec_res = await attempt_async(node, prep_res)
        else:
            exec_res = node._exec(prep_res)
            if exec_res.__class__ is CoroutineType and is_exec_step(node):
                exec_res = await exec_res
            elif exec_res.__class__ in LAZY and is_stream(node.exec):
                exec_res = await streamed(exec_res)
    else:
        exec_res = await exec_res
    if kept is not None:
        kept.gave(exec_res)
    action = node.post(shared, prep_res, exec_res)
    if action.__class__ in LAZY:
        return watched(action, node, "post")
    return await action if action.__class__ is CoroutineType else action
