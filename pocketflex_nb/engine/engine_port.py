"""The functions of the engine that nodes and flows call through `core.ports.engine`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from threading import current_thread, main_thread
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.foreign_errors import raised_by_step
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.user_traceback import shorten_in_notebook
from pocketflex_nb.engine.launch import drive, launch, launch_each
from pocketflex_nb.engine.records.frame import restore_frame
from pocketflex_nb.engine.runs.code_reload import classes_now
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle
from pocketflex_nb.engine.walk.async_walk import walk_async as walk_nodes_async
from pocketflex_nb.engine.walk.batch_items import ends_run, note_failure
from pocketflex_nb.engine.walk.dispatch import is_bare
from pocketflex_nb.engine.walk.flow_visit import entered, visit_batch_flow, visit_flow, walk_items, walk_private
from pocketflex_nb.engine.walk.steps import retried as note_retry
from pocketflex_nb.engine.walk.streaming_steps import streamed
from pocketflex_nb.engine.walk.sync_attempt import attempt, attempt_items, attempt_legacy_async
from pocketflex_nb.engine.walk.sync_walk import visit
from pocketflex_nb.engine.walk.sync_walk import walk as walk_nodes
from pocketflex_nb.engine.walk.wait_for_step import loop_here, wait_step

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.core.flow.nodes import BaseNode

__all__ = [
    "attempt", "attempt_items", "attempt_legacy_async", "collected", "fork", "launch", "launch_each", "reopened", "retried", "run",
    "run_async",
    "run_node", "streamed", "visit", "visit_batch_flow", "visit_flow", "walk", "walk_async", "walk_items", "walk_private", "whole",
]


def fork(run: Run, at: int | None = None, **options: Any) -> Run:
    """`Run.fork`."""
    from pocketflex_nb.engine.resume import fork as forked  # a run without a journal needs nothing of it

    return forked(run, at, **options)


def reopened(recorded: Any, flow: object = None) -> Run:
    """A run of a journal as a handle."""
    from pocketflex_nb.engine.runs.recorded_run import reopened as made

    return made(recorded, flow)


def whole(run: Run) -> Run:
    """`run` with all its steps: of one that another process began, or that was forked, its journal tells the first ones."""
    life = lifecycle_of(run)
    if life.recording is None or not (life.recording.is_resumed or life.origin):
        return run
    from pocketflex_nb.engine.runs.recorded_run import as_recorded

    return as_recorded(run)


def run(flow: Flow, shared: object) -> Any:
    """`Flow.run`."""
    this, outer = RunLifecycle(flow, shared), CURRENT_FRAME.get()
    try:  # an interrupt may come between any two instructions: all that it could leave behind is done inside
        this.blocks = current_thread() is main_thread()
        this.limit(flow)
        if "IPython" in sys.modules:
            this.use_classes(classes_now(flow))
        if this.outer is not None and (loop := loop_here(this)) is not None:  # in a step of another run, which is not to stop the others
            this.loop_below, this.needs_check = loop, True
        CURRENT_FRAME.set(this.root)
        this.begin()
        action = flow._run(shared)
        if action.__class__ is CoroutineType:
            action = wait_step(action, this.root)
        this.conclude(action)
        return action
    except BaseException as caught:
        exc = raised_by_step(caught)
        this.fail(exc)
        if this.outer is None:
            shorten_in_notebook(exc)
        if exc is caught:
            raise
        raise exc  # noqa: B904 - it has its cause
    finally:
        this.loop_below = None  # what is remembered of a run keeps no loop alive
        CURRENT_FRAME.set(outer)


def run_async(flow: Any, shared: object) -> Awaitable[object]:
    """`Flow.run_async`: the coroutine of a whole run."""
    if is_bare(flow):
        return walk_nodes_async(None, flow.start_node, shared, {**flow.params}, self=flow)
    return _run_async(flow, shared)


async def _run_async(flow: Flow, shared: object) -> object:
    this = RunLifecycle(flow, shared)
    outer = CURRENT_FRAME.get()
    CURRENT_FRAME.set(this.root)
    try:
        this.limit(flow)
        this.task = asyncio.current_task()
        this.begin()
        action = await drive(flow, shared)
        this.conclude(action)
        return action
    except BaseException as exc:
        this.fail(exc)
        if this.outer is None:
            shorten_in_notebook(exc)
        raise
    finally:
        restore_frame(this.root, outer)


def run_node(node: Any, shared: object) -> object:
    """`BaseNode.run`: one visit, alone, without a copy and without a record."""
    action = node._run(shared)
    if action.__class__ is CoroutineType:
        with entered(node, shared) as frame:
            frame.node = node
            if isinstance(shared, Store):
                frame.start_version = shared.version  # its `prep` has just begun: what was written before conflicts with nothing
            return wait_step(action, frame)
    return action


def retried(node: BaseNode, number: int, exc: BaseException) -> None:
    """Note that attempt `number` of a node in the `*_async` spelling failed and another follows."""
    note_retry(node, CURRENT_FRAME.get(), number, exc)


def collected(error: Exception, index: int, item: Any) -> bool:
    """Note that a batch in the `*_async` spelling collected a failure; False when it must not, since the error ends the run."""
    frame = CURRENT_FRAME.get()
    if ends_run(frame, error):
        return False
    from pocketflex_nb.core.flow.item_failure import ItemFailure

    note_failure(frame, ItemFailure(index, error, item))
    return True


def walk(flow: Any, shared: object, params: dict[str, object] | None) -> object:
    """`Flow._orch`."""
    with entered(flow, shared, params is not None) as frame:
        return walk_nodes(frame, flow.start_node, shared, params or {**flow.params})


async def walk_async(flow: Any, shared: Any, params: dict[str, Any] | None) -> Any:
    """`Flow._orch_async`."""
    with entered(flow, shared, params is not None) as frame:
        action, _ = await walk_nodes_async(frame, flow.start_node, shared, params or {**flow.params})
        return action
