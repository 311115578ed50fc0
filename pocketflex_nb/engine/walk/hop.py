"""The parts of a hop beyond the plain case: changes of the store, a failure, an action without an arrow."""

from __future__ import annotations

import asyncio
import warnings
from time import perf_counter_ns as now
from types import NoneType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.foreign_errors import raised_by_step
from pocketflex_nb.core.errors import RunCancelled, UnknownAction, nearest
from pocketflex_nb.core.flow.nodes import END
from pocketflex_nb.core.store.change_log import numbered, places_in
from pocketflex_nb.core.store.mutation_tracking import collect_changes
from pocketflex_nb.engine.records.frame import Frame, Several
from pocketflex_nb.engine.records.record import CHANGED, Failure
from pocketflex_nb.engine.runs.code_reload import name_the_cell

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.core.flow.nodes import BaseNode

__all__ = ["on_unknown_action", "record_changes", "record_failure"]


def record_changes(frame: Frame) -> None:
    """At the node's end: find nested changes of the store, and record all changes."""
    changes = collect_changes(frame)
    if changes:
        run = frame.lifecycle
        ns = now()
        numbered(places_in(changes), run.hops + 1, ns)
        run.records.extend((frame, frame.node, CHANGED, changes, -ns))
        recorded: Any = run
        while recorded.recording is None and recorded.outer is not None:  # a run inside may change the store of the one around it
            recorded = recorded.outer.lifecycle
        if recorded.recording is not None:
            recorded.recording.changed(frame, changes)
        if run.controller is not None and run.controller.subscribers:
            run.controller.subscribers.tell()


def record_failure(frame: Frame, node: BaseNode, error: BaseException, start: int) -> Any:
    """Record that a visit failed, and return the node behind its error edge, None for `END`; raise `error` when there is none."""
    run = frame.lifecycle
    error = raised_by_step(error)
    if frame.touched or frame.page is not None:
        record_changes(frame)
    if run.classes is not None and isinstance(error, AttributeError):
        name_the_cell(error, node, run)
    handler = getattr(node, "_pfx_on_error", None)
    takes = handler is not None and isinstance(error, Exception) and error is not run.ending
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, RunCancelled, GeneratorExit)):
        status = "cancelled"
    else:
        status = "failed"
    failure, end = Failure(error, takes, status), now()
    run.records.extend((frame, node, failure, start, end))
    if frame.kept is not None and frame.kept.began == start:
        frame.kept.error = error
    run.hops += 1
    if not takes:
        if run.recording is not None:
            run.recording.failed_at_last(frame, node, failure, start, end)
        raise error
    frame.error = error
    return None if handler is END else handler


def on_unknown_action(frame: Frame, node: Any, action: object) -> Any:
    """The next node for an action that is no arrow's name: the fork for several actions; else none.

    An action without an arrow ends the flow: noted, marked in every view, and an error in a strict flow.

    The warning is PocketFlow's, word for word, given by `Flow.get_next_node`; behind a nested flow a second one names the node that ended
    it. In a strict flow a node that names no action may end the flow: it is drawn with named ways only, and returning None takes none.
    """
    if action.__class__ is Several:
        return action.node
    if frame.flow._pfx_strict and action in (None, "", "default"):
        return None
    known = list(node.successors)
    assert frame.node is not None  # it is in flight
    name = frame.lifecycle.log._id(frame, frame.node)
    last = _last_of(frame, node, action)
    where = f", which its node {last!r} ended it with" if last else ""
    text = f"{name}: no arrow for action {action!r}{where}; the flow ended there{nearest(str(action), known)}"
    frame.note("unknown_action", action=action, known=known, text=text)
    if frame.flow._pfx_strict:
        raise UnknownAction(
            f"node {name!r} of flow {frame.lifecycle.name!r} returned {action!r}{where}, and no arrow has that name"
            f"{nearest(str(action), known)}", node=name, action=action, known=known,
        )
    frame.flow.get_next_node(node, action)
    if last:  # PocketFlow's warning does not say where in the nested flow the action comes from
        warnings.warn(f"Flow ends: {text}", RuntimeWarning, stacklevel=2)
    return None


def _last_of(frame: Frame, flow: Flow, action: object) -> str:
    """The graph path of the node that ended the nested flow just visited with `action`; ``""`` for what is no flow, or ended otherwise."""
    if not hasattr(flow, "start_node"):
        return ""
    records = frame.lifecycle.records
    for at in range(len(records) - 10, max(-1, len(records) - 5_000), -5):  # the very last one is the visit of the flow itself
        inner = records[at]
        if inner is frame:
            return ""
        if isinstance(inner, Frame) and inner.parent is frame and isinstance(records[at + 2], (str, NoneType)):
            return str(inner.path(records[at + 1])) if records[at + 2] == action else ""
    return ""
