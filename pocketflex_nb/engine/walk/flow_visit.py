"""The visit of a whole flow: `prep`, the walk, `post`; once, or per item of a `BatchFlow`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.portal import call_on_engine
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.flow import BatchFlow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.flow.outcomes import given, is_awaited
from pocketflex_nb.engine.control.flow_limits import counted, has_limits, is_timed, timed
from pocketflex_nb.engine.records.addresses import walk_address
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle
from pocketflex_nb.engine.walk.flow_items import ItemWalks, item, privately, settled
from pocketflex_nb.engine.walk.steps import CALLER, mode_here
from pocketflex_nb.engine.walk.wait_for_step import wait_here, wait_step

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow

__all__ = ["entered", "visit_batch_flow", "visit_flow", "visit_flow_async", "walk_items", "walk_private"]


def entered(flow: Flow, shared: object, is_item: bool = False) -> AbstractContextManager[Frame]:
    """The frame of a walk of `flow`: the one that was prepared for it, or a new one inside the current walk.

    `is_item`: it is one of several walks of this flow, each with params of its own, that may go on at the same time.

    A private hook called outside of any run makes a run of its own, so that it leaves its record too.
    """
    outer: Frame | None = CURRENT_FRAME.get()
    if outer is not None and outer.node is None and outer.flow is flow:
        return nullcontext(outer) if not is_item or outer.item is not None else item(outer, flow, outer.items)
    return _begun(flow, shared, outer)


@contextmanager
def _begun(flow: Flow, shared: object, outer: Frame | None) -> Iterator[Frame]:
    """A new frame of a walk of `flow` inside `outer`, the current one, if there is one."""
    run = None
    if outer is None:
        run = RunLifecycle(flow, shared)
        run.begin()
        frame = run.root
    else:
        frame = Frame(outer.lifecycle, outer, flow)
        frame.error = outer.error
        outer.lifecycle.enter(frame)
    token = CURRENT_FRAME.set(frame)
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
        CURRENT_FRAME.reset(token)
        frame.lifecycle.leave(frame)


def visit_flow(flow: Flow, shared: object) -> object:
    """`Flow._run`: the flow's own prep, its walk, its post."""
    return _bounded(_visit_flow, flow, shared) if has_limits(flow) and _is_inside(flow) else _visit_flow(flow, shared)


def _is_inside(flow: Flow) -> bool:
    """Whether `flow` is entered inside of another; the limits of the outermost are the run's."""
    outer = CURRENT_FRAME.get()
    return outer is not None and not (outer.node is None and outer.flow is flow)


def _bounded(visit: Callable[[Any, Any], Any], flow: Any, shared: Any) -> object:
    """Visit a flow within its own limits."""
    if is_timed(flow):
        return wait_here(visit_flow_async(flow, shared), CURRENT_FRAME.get())
    with entered(flow, shared) as frame, counted(frame, flow):
        return visit(flow, shared)


def _visit_flow(flow: Flow, shared: object) -> object:
    with entered(flow, shared) as frame:
        p = _now(flow.prep(shared), frame)
        if flow._pfx_private is None:
            last = _walked(flow, shared, frame)
        else:
            with privately(frame, flow, shared) as store:
                last = _walked(flow, store, frame)
        action = _now(flow.post(shared, p, last), frame)
        settled(frame)
        return action


def _walked(flow: Flow, shared: object, frame: Frame) -> object:
    last = flow._orch(shared)
    return wait_step(last, frame) if last.__class__ is CoroutineType else last


async def visit_flow_async(flow: Flow, shared: object) -> object:
    """The same, awaited, for a flow that overrides no private hook."""
    visit = _visit_batch_flow_async if isinstance(flow, BatchFlow) else _visit_flow_async
    if not (has_limits(flow) and _is_inside(flow)):
        return await visit(flow, shared)
    with entered(flow, shared) as frame, counted(frame, flow) as scope:
        if not is_timed(flow):
            return await visit(flow, shared)
        async with timed(scope):
            return await visit(flow, shared)


async def _visit_flow_async(flow: Flow, shared: object) -> object:
    with entered(flow, shared) as frame:
        p = await _prepared(frame, flow, shared)
        if flow._pfx_private is None:
            last = await flow._orch_async(shared)
        else:
            with privately(frame, flow, shared) as store:
                last = await flow._orch_async(store)
        action = await _then(flow.post(shared, p, last))
        settled(frame)
        return action


def visit_batch_flow(flow: Flow, shared: object) -> object:
    """`BatchFlow._run`: the walk once per item of params that prep gives."""
    return _bounded(_visit_batch_flow, flow, shared) if has_limits(flow) and _is_inside(flow) else _visit_batch_flow(flow, shared)


def _visit_batch_flow(flow: Any, shared: object) -> object:
    with entered(flow, shared) as frame:
        items = given(_now(flow.prep(shared), frame))
        walks = ItemWalks(frame, flow, shared)
        if flow._pfx_items_at_once != 1 or is_awaited(items):
            outcome = wait_here(walks.walk_all(items), frame)
        else:
            count = 0
            for index, params in enumerate(items):
                with walks.one(params, index) as (store, own):
                    walks.actions[index] = flow._orch(store, own)
                count = index + 1
            outcome = walks.gathered(count)
        action = _now(flow.post(shared, items, outcome), frame)
        settled(frame)
        return action


async def _visit_batch_flow_async(flow: Flow, shared: object) -> object:
    with entered(flow, shared) as frame:
        items = given(await _prepared(frame, flow, shared))
        outcome = await ItemWalks(frame, flow, shared).walk_all(items)
        action = await _then(flow.post(shared, items, outcome))
        settled(frame)
        return action


async def _prepared(frame: Frame, flow: Flow, shared: object) -> object:
    """What the flow's own prep gives: with a journal only once: it is kept together with what it changed."""
    recording = frame.lifecycle.recording
    if recording is None or (type(flow).prep is BaseNode.prep and "prep" not in flow.__dict__):
        return await _then(flow.prep(shared))
    address = f"{walk_address(frame)} prep"
    is_known, prepared = recording.result(address)
    if is_known:
        return prepared
    prepared = await _then(flow.prep(shared))
    settled(frame)
    await recording.prepared(frame, address, prepared)
    return prepared


async def walk_private(flow: Flow, shared: object) -> object:
    """The walk of a flow in the `*_async` spelling on a private store."""
    with entered(flow, shared) as frame, privately(frame, flow, shared) as store:
        return await flow._orch_async(store)


async def walk_items(flow: Flow, shared: object, items: object) -> object:
    """The walks of a batch flow in the `*_async` spelling; returns the `exec_res` for its `post_async`."""
    with entered(flow, shared) as frame:
        return await ItemWalks(frame, flow, shared).walk_all(items)


def _now(result: object, frame: Frame) -> object:
    """The result of a flow's own prep or post, which may be async, in plain code."""
    return wait_step(result, frame) if result.__class__ is CoroutineType else result


async def _then(result: object) -> object:
    if result.__class__ is not CoroutineType:
        return result
    return await (call_on_engine(result) if mode_here() == CALLER else result)
