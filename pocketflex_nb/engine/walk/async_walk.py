"""The walk of a flow on an event loop: the same hop as in :mod:`pocketflex_nb.engine.walk.sync_walk`, with awaits.

Nothing is awaited between two nodes unless the run is paused: the hand-over of a value from one node's `post` to the next one's `prep`
is atomic, as PocketFlow's programs expect. On the engine thread, which many runs share, every 2048th hop lets the others run.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task, sleep
from collections.abc import Coroutine, Iterable
from collections.abc import Set as AbstractSet
from time import perf_counter_ns as now
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.foreign_errors import step_error
from pocketflex_nb.concurrency.outcome import drained
from pocketflex_nb.concurrency.portal import call_on_engine
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.generator_steps import is_stream
from pocketflex_nb.core.flow.nodes import END, BaseNode, Fork
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.records.frame import LOOK_EVERY, TRIM_AT, Frame, Several, restore_frame
from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle
from pocketflex_nb.engine.walk.action_lists import is_chosen_by_flow, spread
from pocketflex_nb.engine.walk.batch_items import items_async
from pocketflex_nb.engine.walk.dispatch import (
    BATCH,
    FLOW,
    LEGACY_ASYNC,
    NODE,
    NodeKind,
    VisitPlan,
    full_copy,
    is_async,
    is_step,
    overrides_flow_hooks,
    plan_of,
    visit_copy,
)
from pocketflex_nb.engine.walk.flow_visit import visit_flow_async
from pocketflex_nb.engine.walk.fork import walk_fork
from pocketflex_nb.engine.walk.hop import on_unknown_action, record_changes, record_failure
from pocketflex_nb.engine.walk.steps import CALLER, ENGINE, USER, LoopOwner, attempt_async, fall_back, in_pool, mode_here, run_stream
from pocketflex_nb.engine.walk.streaming_steps import LAZY, watched

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import Node
    from pocketflex_nb.engine.records.visit_values import KeptVisit
    from pocketflex_nb.engine.walk.recorded_visit import RecordedVisit

__all__ = ["walk_async"]

#: hops before the first look at the size of the log, when a walk begins to remember how its nodes are visited; and before each later one.
#: The garbage collector visits no iterator of a range; one of a tuple makes no numbers
_FEW, _MANY = range(12), (None,) * LOOK_EVERY
_NO_PLANS: dict[Any, VisitPlan] = {}


async def walk_async(
    frame: Any, start: Any, shared: Any, params: dict[str, Any], stops: AbstractSet[Any] = frozenset(), self: Any = None
) -> Any:
    """Walk from `start` until there is no arrow or a node of `stops` comes next.

    Parameters
    ----------
    frame : Frame or None
        The cursor; None with `self`.
    start : BaseNode
        Where to begin.
    shared, params
        For every node.
    stops : set
        Joins of the forks around this walk.
    self : Flow, optional
        This walk is a whole run of that flow, which begins and finishes here: one coroutine less for each of ten thousand runs.
        Named so for PocketFlow's programs that look for the flows around them in the locals ``self`` of the call stack.

    Returns
    -------
    tuple
        The last action, and the stop that was reached or None; of a whole run the last action alone.
    """
    if self is not None:
        frame = RunLifecycle(self, shared).root
        frame.lifecycle.limit(self)
        outer = CURRENT_FRAME.get()
        CURRENT_FRAME.set(frame)
        frame.lifecycle.task = current_task()
        frame.lifecycle.begin()
    try:
        run, flow = frame.lifecycle, frame.flow
        if params:
            frame.given = params
        records, mode = run.records, mode_here()
        tracked = isinstance(shared, Store)
        own_next = is_chosen_by_flow(flow)
        inlines = mode == ENGINE or (mode == USER and flow._pfx_legacy_async)  # whether steps in the other spelling are awaited here
        plans: dict[Any, VisitPlan] = _NO_PLANS
        hops: Iterable[object] = _FEW  # most walks are short: ten thousand at once have no dict each
        node, action, t0 = start, None, now()
        while node is not None:
            for _ in hops:
                if stops and node in stops:
                    frame.node = None
                    return action, node
                if node.__class__ is Fork:
                    action, node = await walk_fork(walk_async, frame, node, shared, params, stops)
                    if node is None:
                        break
                    if node in stops:
                        frame.node = None
                        return action, node
                    t0 = now()
                frame.node = node
                if run.needs_check:
                    await run.hold_async(frame)
                    t0 = now()
                plan = plans.get(node)
                if plan is None:
                    plan = plan_of(node, run, own_next)
                    if plans is not _NO_PLANS:
                        plans[node] = plan
                if tracked:
                    frame.start_version = shared.version
                try:
                    if plan.is_plain or plan.is_legacy_async:
                        c = visit_copy(node, plan.cls, params) if plan.needs_copy else node
                        if plan.is_legacy_async and inlines and c.max_retries == 1 and not c._pfx_has_retry_policy:
                            p = await c.prep_async(shared)
                            try:
                                e = await c.exec_async(p)
                            except (Exception, CancelledError) as exc:
                                e = await c.exec_fallback_async(p, step_error(exc))
                            action = await c.post_async(shared, p, e)
                        elif plan.is_async and mode != CALLER and c.max_retries == 1 and not c._pfx_has_retry_policy:
                            p = await c.prep(shared)
                            try:
                                e = await c.exec(p)
                            except (Exception, CancelledError) as exc:
                                e = await fall_back(c, p, step_error(exc), mode)
                            action = await c.post(shared, p, e)
                        elif plan.is_plain:
                            action = await _visit_plain(c, shared, plan, mode)
                        else:
                            action = await _visit_other(frame, c, shared, plan.kind, mode)
                    else:
                        c, kept = full_copy(node, plan, params), None
                        if plan.keeps:
                            kept = run.values.begin(frame, t0)
                            if kept is None:  # its next visit is as short as it can be
                                plans.pop(node, None)
                        if not run.is_stepwise:
                            action = await _visit_other(frame, c, shared, plan.kind, mode, kept)
                        else:
                            action = await _visit_recorded(frame, c, shared, plan.kind, mode, kept)
                    if action is not None and type(action) is not str:
                        action = spread(frame, c, action)
                    if tracked and (frame.page is not None or frame.touched):
                        record_changes(frame)
                except BaseException as exc:
                    await drained(exc)
                    node, action = record_failure(frame, node, exc, t0), None
                    if node is None:
                        break
                    t0 = now()
                    continue
                t1 = now()
                records += (frame, node, action, t0, t1)
                run.hops += 1
                t0 = t1
                if own_next:
                    node = action.node if action.__class__ is Several else flow.get_next_node(c, action)
                else:
                    node = c.successors.get(action or "default")
                    if not node and c.successors:
                        node = on_unknown_action(frame, c, action)
                if not node or node is END:
                    node = None
                    break
            if len(records) > TRIM_AT:
                run.log.trim()
            elif plans is _NO_PLANS:
                plans, hops = {}, _MANY
            elif mode == ENGINE:
                await sleep(0)  # a flow that never waits must not keep all others, and its own clock, waiting
        frame.node = None
        if frame.touched or frame.page is not None:  # of a store that is not the run's own
            record_changes(frame)
        if action.__class__ is Several:
            action = action.last
        if self is None:
            return action, None
        if getattr(run.task, "_must_cancel", False):  # as rarely as plain code waits in a step: no coroutine for each of ten thousand runs
            await drained()
        run.conclude(action)
        return action
    except BaseException as exc:
        if self is not None:
            frame.lifecycle.fail(exc)
        raise
    finally:
        if self is not None:
            restore_frame(frame, outer)


async def _visit_plain(c: Node, shared: object, plan: VisitPlan, mode: LoopOwner) -> object:
    """Visit a plain node whose steps are not all async."""
    p = c.prep(shared)
    if type(p) is CoroutineType and is_step(p, c.prep):
        p = await (p if mode != CALLER else call_on_engine(p))
    if (plan.is_inline or mode == USER) and c.max_retries == 1 and not c._pfx_has_retry_policy:
        try:
            e = c.exec(p)
            if type(e) is CoroutineType and is_step(e, c.exec):
                e = await (e if mode != CALLER else call_on_engine(e))
        except (Exception, CancelledError) as exc:
            e = await fall_back(c, p, step_error(exc), mode)
    else:
        e = await attempt_async(c, p, mode)
    action = c.post(shared, p, e)
    return await (action if mode != CALLER else call_on_engine(action)) if type(action) is CoroutineType else action


async def _visit_other(frame: Frame, c: Any, shared: object, kind: NodeKind, mode: LoopOwner, kept: KeptVisit | None = None) -> object:
    """Visit a node that is not plain: a batch, a flow, the `*_async` spelling, or a node that overrides a private hook."""
    if kind <= BATCH:
        return await _visit_steps(frame, c, shared, kind, mode, None, kept)
    if kind == LEGACY_ASYNC:
        if _refuses(frame, mode):
            return c._run(shared)
        if kept is not None:
            return await (call_on_engine(_visit_spelled(c, shared, kept)) if mode == CALLER else _visit_spelled(c, shared, kept))
        return await (call_on_engine(c._run_async(shared)) if mode == CALLER else c._run_async(shared))
    if kind == FLOW and not overrides_flow_hooks(c):
        return await visit_flow_async(c, shared)
    action = c._run(shared) if mode == USER else await in_pool(frame, c._run, shared)
    if action.__class__ is CoroutineType:
        action = await (call_on_engine(action) if mode == CALLER else action)
    return action


async def _visit_spelled(c: Any, shared: object, kept: KeptVisit) -> object:
    """Visit a node in the `*_async` spelling whose hooks are its own class's, and keep its values."""
    p = await c.prep_async(shared)
    kept.prepared(p)
    e = await c._exec(p)
    kept.gave(e)
    return await c.post_async(shared, p, e)


async def _visit_recorded(frame: Frame, c: Node, shared: object, kind: NodeKind, mode: LoopOwner, kept: KeptVisit | None = None) -> object:
    """Visit a node of any kind in a run with a journal, a tape or a cache."""
    from pocketflex_nb.engine.walk.recorded_visit import visit_recorded


    async def visit(recorded: RecordedVisit) -> object:
        if kind <= BATCH:
            return await _visit_steps(frame, c, shared, kind, mode, recorded, kept)
        if kind == LEGACY_ASYNC and mode == ENGINE and _has_own_steps(c):
            return await _visit_legacy(frame, c, shared, recorded, kept)
        return await _visit_other(frame, c, shared, kind, mode, kept)

    return await visit_recorded(frame, frame.node, visit)


async def _visit_steps(
    frame: Frame, c: Node, shared: object, kind: NodeKind, mode: LoopOwner, recorded: RecordedVisit | None = None,
    kept: KeptVisit | None = None,
) -> object:
    """Visit a node or batch with this package's own private hooks, step by step; `recorded` knows results of the visit."""
    p = c.prep(shared)
    if p.__class__ is CoroutineType and is_step(p, c.prep):
        p = await (p if mode != CALLER else call_on_engine(p))
    elif p.__class__ in LAZY:
        watched(p, c, "prep")
    if kept is not None:
        kept.prepared(p)
    if recorded is not None and kind != BATCH and getattr(c.exec, "__func__", None) is BaseNode.exec:
        e = None
    elif recorded is None or kind == BATCH:  # of a batch each item is known by itself
        e = await _exec(frame, c, p, kind, mode)
    else:
        e = await recorded.exec(frame, c, p, lambda: _exec(frame, c, p, kind, mode))
    if kept is not None:
        kept.gave(e)
    action = c.post(shared, p, e)
    if action.__class__ in LAZY:
        return watched(action, c, "post")
    return await (action if mode != CALLER else call_on_engine(action)) if action.__class__ is CoroutineType else action


def _exec(frame: Frame, c: Node, prep_res: object, kind: NodeKind, mode: LoopOwner) -> Coroutine[object, object, object]:
    """`exec` of a node, or of each item of a batch."""
    if kind == BATCH:
        return items_async(c, prep_res, mode)
    return attempt_async(c, prep_res, mode) if kind == NODE else _exec_base(frame, c, prep_res, mode)


def _has_own_steps(c: Any) -> bool:
    """Whether a node in the `*_async` spelling is visited by this package's own hook."""
    return c._run_async.__func__ is c._pfx_own[0]


async def _visit_legacy(frame: Frame, c: Any, shared: object, recorded: RecordedVisit, kept: KeptVisit | None) -> object:
    """Visit a node in the `*_async` spelling, step by step; a batch is one step."""
    p = await c.prep_async(shared)
    if kept is not None:
        kept.prepared(p)
    if c.exec_async.__module__ == "pocketflex_nb.pocketflow":  # it has no `exec_async` of its own
        return await c.post_async(shared, p, await c._exec(p))
    falls_back = c.exec_fallback_async

    async def fall_back(prep_res: object, exc: Exception) -> object:
        if frame.call is not None:
            frame.call.is_kept = False
        return await falls_back(prep_res, exc)

    c.exec_fallback_async = fall_back
    e = await recorded.exec(frame, c, p, lambda: c._exec(p))
    if kept is not None:
        kept.gave(e)
    return await c.post_async(shared, p, e)


async def _exec_base(frame: Frame, c: Any, prep_res: object, mode: LoopOwner) -> object:
    """`exec` of a bare `BaseNode`: once."""
    if mode == USER or c.exec.__func__ is BaseNode.exec or is_async(c.exec) or not getattr(c, "blocking", True):
        result = c.exec(prep_res)
        if result.__class__ is CoroutineType and is_step(result, c.exec):
            return await (call_on_engine(result) if mode == CALLER else result)
    elif is_stream(c.exec):
        return await run_stream(c.exec(prep_res), mode)
    else:
        result = await in_pool(frame, c.exec, prep_res)
    if result.__class__ in LAZY:
        return await run_stream(result, mode) if is_stream(c.exec) else watched(result, c, "exec")
    return result


def _refuses(frame: Frame, mode: LoopOwner) -> bool:
    """Whether an async-spelled node is part of a plain `Flow` that an `AsyncFlow` awaits: PocketFlow runs that flow synchronously."""
    if mode != USER or getattr(type(frame.flow), "_pfx_legacy_async", False):
        return mode is CALLER
    outer = frame.parent
    while outer is not None:
        if getattr(type(outer.flow), "_pfx_legacy_async", False):
            return True
        outer = outer.parent
    return False
