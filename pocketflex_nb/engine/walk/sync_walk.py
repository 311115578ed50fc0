"""The walk of `run`: in the caller's thread, with no event loop until a step needs one.

The hop is written out once here and once in :mod:`pocketflex_nb.engine.walk.async_walk`. A hop takes 0.6 µs; one more Python call costs
0.05 to 0.09 µs with its arguments, so that a shared body of three parts (begin, record, next node) would exceed the mark of 3 % several
times over. What both walks share is called off the plain path only: changes, failures and unknown actions in `hop`, the choice of a visit
in `dispatch`, attempts in `sync_attempt`, forks in `fork`, waiting in `wait_for_step`.
"""

from __future__ import annotations

from asyncio import CancelledError
from itertools import repeat
from time import perf_counter_ns as now
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.foreign_errors import step_error
from pocketflex_nb.core.flow.generator_steps import is_stream
from pocketflex_nb.core.flow.nodes import END, Fork
from pocketflex_nb.core.store.change_log import HOP_START, STEP, TIME
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.records.frame import LOOK_EVERY, TRIM_AT, Frame, Several
from pocketflex_nb.engine.walk.action_lists import is_chosen_by_flow, spread
from pocketflex_nb.engine.walk.async_walk import walk_async
from pocketflex_nb.engine.walk.dispatch import VisitPlan, full_copy, is_exec_step, is_step, plan_of, visit_copy
from pocketflex_nb.engine.walk.fork import walk_fork
from pocketflex_nb.engine.walk.hop import on_unknown_action, record_changes, record_failure
from pocketflex_nb.engine.walk.steps import finish_visit, with_tries
from pocketflex_nb.engine.walk.streaming_steps import LAZY, streamed, watched
from pocketflex_nb.engine.walk.sync_attempt import attempt
from pocketflex_nb.engine.walk.wait_for_step import wait_here, wait_step

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.visit_values import KeptVisit

__all__ = ["visit", "walk"]

_NONE: frozenset[Any] = frozenset()
#: hops before the first look at the size of the log, when a walk begins to remember how its nodes are visited
_FEW = 12
_NO_PLANS: dict[Any, VisitPlan] = {}


def visit(node: Any, shared: object, kept: KeptVisit | None = None) -> object:
    """One visit of `node` (`BaseNode._run`): its action, or a coroutine that returns it when a step is async."""
    p = node.prep(shared)
    if p.__class__ is CoroutineType and is_step(p, node.prep):
        return finish_visit(node, shared, p, None, 0, kept)
    if p.__class__ in LAZY:
        watched(p, node, "prep")
    if kept is not None:
        kept.prepared(p)
    e = node._exec(p)
    if e.__class__ is CoroutineType and is_exec_step(node):
        return finish_visit(node, shared, p, e, 1, kept)
    if e.__class__ in LAZY:
        if is_stream(node.exec):  # of a `BaseNode`, which has no tries
            return finish_visit(node, shared, p, streamed(e), 1, kept)
        watched(e, node, "exec")
    if kept is not None:
        kept.gave(e)
    action = node.post(shared, p, e)
    return watched(action, node, "post") if action.__class__ in LAZY else action


def walk(frame: Frame, start: Any, shared: Any, params: dict[str, Any]) -> Any:
    """Walk from `start` until there is no arrow, and return the last action."""
    run, flow = frame.lifecycle, frame.flow
    note = run.records.extend
    tracked = isinstance(shared, Store)
    own_next = is_chosen_by_flow(flow)
    plans, hops = _NO_PLANS, _FEW
    frame.timed = False
    if params:
        frame.given = params
    if tracked:
        run.has_changes = True
    node, action, t0 = start, None, now()
    while node is not None:
        for _ in repeat(None, hops):
            if node.__class__ is Fork:
                action, node = wait_here(walk_fork(walk_async, frame, node, shared, params, _NONE), frame)
                if node is None:
                    break
                t0 = now()
            frame.node = node
            if run.needs_check:
                run.hold(frame)
                t0 = now()
            plan = plans.get(node)
            if plan is None:
                plan = plan_of(node, run, own_next)
                if plans is not _NO_PLANS:
                    plans[node] = plan
            if tracked:
                frame.start_version = shared.version
            try:
                if plan.is_plain:
                    c = visit_copy(node, plan.cls, params) if plan.needs_copy else node
                    p = c.prep(shared)
                    if type(p) is CoroutineType and is_step(p, c.prep):
                        action = finish_visit(c, shared, p, None, 0)
                    else:
                        if c.max_retries == 1 and not c._pfx_has_retry_policy:
                            try:
                                e = c.exec(p)
                            except (Exception, CancelledError) as exc:
                                e = c.exec_fallback(p, step_error(exc))
                        else:
                            e = attempt(c, p)
                        if type(e) is CoroutineType and is_exec_step(c):
                            action = finish_visit(c, shared, p, with_tries(c, p, e), 1)
                        else:
                            action = c.post(shared, p, e)
                else:
                    c = full_copy(node, plan, params)
                    if plan.keeps:
                        assert run.values is not None  # as its plan says
                        kept = run.values.begin(frame, t0)
                        if kept is None:  # its next visit is as short as it can be
                            plans.pop(node, None)
                        action = visit(c, shared, kept)
                    else:
                        action = c._run(shared)
                if action is not None and type(action) is not str:
                    if type(action) is CoroutineType:
                        action = wait_step(action, frame)
                    if action is not None and type(action) is not str:
                        action = spread(frame, c, action)
                if tracked and (frame.touched or frame.changes is not None or (run.needs_check and frame.page is not None)):
                    record_changes(frame)
            except BaseException as exc:
                node, action = record_failure(frame, node, exc, t0), None
                if node is None:
                    break
                t0 = now()
                continue
            t1 = now()
            if tracked and (page := frame.page) is not None:  # one change of a plain value, as most are
                frame.page, at = None, frame.at
                run.hops = page[at + STEP] = run.hops + 1
                page[at + TIME], page[at + HOP_START] = t1, t0
                note((frame, node, action, page, at))
            else:
                note((frame, node, action, t0, t1))
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
        if len(run.records) > TRIM_AT:
            run.log.trim()
        elif plans is _NO_PLANS:
            plans, hops = {}, LOOK_EVERY
    frame.node = None
    if frame.touched or frame.page is not None:  # of a store that is not the run's own
        record_changes(frame)
    return action if action.__class__ is not Several else action.last
