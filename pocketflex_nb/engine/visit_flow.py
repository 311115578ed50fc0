"""How is a whole flow visited? `prep`, the walk, `post`; once, or per item of a `BatchFlow`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CoroutineType
from typing import Any

from pocketflex_nb.core.context import FRAME
from pocketflex_nb.core.flow import BatchFlow
from pocketflex_nb.engine.crossing import cross
from pocketflex_nb.engine.frame import Frame
from pocketflex_nb.engine.hop import keep
from pocketflex_nb.engine.items import each
from pocketflex_nb.engine.run import Run
from pocketflex_nb.engine.scope import counted, has_limits, is_timed, timed
from pocketflex_nb.engine.steps import CALLER, mode_here
from pocketflex_nb.engine.wait import wait_here, wait_step

__all__ = ["entered", "item", "settled", "visit_batch_flow", "visit_flow", "visit_flow_async", "walk_items"]


@contextmanager
def entered(flow: Any, shared: Any, is_item: bool = False) -> Iterator[Frame]:
    """The frame of a walk of `flow`: the one made for it that waits to be used, or a new one inside the current walk.

    `is_item`: it is one of several walks of this flow, each with params of its own, that may go on at the same time.

    A private hook called outside of any run makes a run of its own, so that it leaves its record too.
    """
    outer: Frame | None = FRAME.get()
    if outer is not None and outer.node is None and outer.flow is flow:
        if not is_item or outer.item is not None:
            yield outer
            return
        with item(outer, flow, outer.items) as walk:
            yield walk
            return
    run = None
    if outer is None:
        run = Run(flow, shared)
        run.begin()
        frame = run.root
    else:
        frame = Frame(outer.run, outer, flow)
        frame.error = outer.error
        outer.run.enter(frame)
    token = FRAME.set(frame)
    try:
        yield frame
    except BaseException as exc:
        if run is not None:
            run.finish(error=exc)
        raise
    else:
        if run is not None:
            run.finish()
    finally:
        FRAME.reset(token)
        frame.run.leave(frame)


def settled(frame: Frame) -> None:
    """Note what the flow's own prep or post changed."""
    if frame.touched or frame.page is not None:
        keep(frame)


def visit_flow(flow: Any, shared: Any) -> Any:
    """`Flow._run`: the flow's own prep, its walk, its post."""
    return _bounded(_visit_flow, flow, shared) if has_limits(flow) and _is_inside(flow) else _visit_flow(flow, shared)


def _is_inside(flow: Any) -> bool:
    """Whether `flow` is entered inside of another; the limits of the outermost are the run's."""
    outer = FRAME.get()
    return outer is not None and not (outer.node is None and outer.flow is flow)


def _bounded(visit: Callable[[Any, Any], Any], flow: Any, shared: Any) -> Any:
    """Visit a flow within the limits that it has of its own."""
    if is_timed(flow):
        return wait_here(visit_flow_async(flow, shared), FRAME.get())
    with entered(flow, shared) as frame, counted(frame, flow):
        return visit(flow, shared)


def _visit_flow(flow: Any, shared: Any) -> Any:
    with entered(flow, shared) as frame:
        p = _now(flow.prep(shared), frame)
        last = flow._orch(shared)
        if last.__class__ is CoroutineType:
            last = wait_step(last, frame)
        action = _now(flow.post(shared, p, last), frame)
        settled(frame)
        return action


async def visit_flow_async(flow: Any, shared: Any) -> Any:
    """The same, awaited, for a flow whose private hooks are its own class's."""
    visit = _visit_batch_flow_async if isinstance(flow, BatchFlow) else _visit_flow_async
    if not (has_limits(flow) and _is_inside(flow)):
        return await visit(flow, shared)
    with entered(flow, shared) as frame, counted(frame, flow) as scope:
        if not is_timed(flow):
            return await visit(flow, shared)
        async with timed(scope):
            return await visit(flow, shared)


async def _visit_flow_async(flow: Any, shared: Any) -> Any:
    with entered(flow, shared) as frame:
        p = await _then(flow.prep(shared))
        last = await flow._orch_async(shared)
        action = await _then(flow.post(shared, p, last))
        settled(frame)
        return action


def visit_batch_flow(flow: Any, shared: Any) -> Any:
    """`BatchFlow._run`: the walk once per item of params that prep gives."""
    return _bounded(_visit_batch_flow, flow, shared) if has_limits(flow) and _is_inside(flow) else _visit_batch_flow(flow, shared)


def _visit_batch_flow(flow: Any, shared: Any) -> Any:
    with entered(flow, shared) as frame:
        items = _now(flow.prep(shared), frame) or []
        if flow._pfx_items_at_once == 1:
            for index, params in enumerate(items):
                with item(frame, flow, index):
                    flow._orch(shared, {**flow.params, **params})
        else:
            wait_here(walk_items(frame, flow, shared, items, flow._pfx_items_at_once), frame)
        action = _now(flow.post(shared, items, None), frame)
        settled(frame)
        return action


async def _visit_batch_flow_async(flow: Any, shared: Any) -> Any:
    with entered(flow, shared) as frame:
        items = await _then(flow.prep(shared)) or []
        await walk_items(frame, flow, shared, items, flow._pfx_items_at_once)
        action = await _then(flow.post(shared, items, None))
        settled(frame)
        return action


async def walk_items(frame: Frame, flow: Any, shared: Any, items: Any, limit: int | None) -> list[Any]:
    """Walk `flow` once per item, at most `limit` at once; the first failure cancels the others."""

    async def one(params: Any, index: int) -> Any:
        with item(frame, flow, index):
            return await flow._orch_async(shared, {**flow.params, **params})

    return await each(one, items, limit)


@contextmanager
def item(frame: Frame, flow: Any, index: int) -> Iterator[Frame]:
    """The frame for one item of a batch flow, which the walk inside will use."""
    walk = Frame(frame.run, frame, flow, item=index)
    frame.items = index + 1
    walk.error = frame.error
    token = FRAME.set(walk)
    frame.run.enter(walk)
    try:
        yield walk
    finally:
        frame.run.leave(walk)
        FRAME.reset(token)


def _now(result: Any, frame: Frame) -> Any:
    """The result of a flow's own prep or post, which may be async, in plain code."""
    return wait_step(result, frame) if result.__class__ is CoroutineType else result


async def _then(result: Any) -> Any:
    if result.__class__ is not CoroutineType:
        return result
    return await (cross(result) if mode_here() == CALLER else result)
