"""Starts runs of flows: one function for the cell magic, for ``%pocketflex run`` and for the Launcher."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from functools import partial

from pocketflex_nb.core.errors import CheckError, nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.keeping import keep_runs
from pocketflex_nb.engine.launch import all_or_none, begin_group, make_run
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.requests.input_stores import Inputs, Item, run_items, stored, stores_of
from pocketflex_nb.notebook.requests.names import FlowEntry, as_flow, runs_of
from pocketflex_nb.notebook.requests.run_options import RunOptions, StoreExpression
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.shell.output_capture import hidden_output, mirrored_output

__all__ = ["checked", "plan_text", "start", "when_over"]


def checked(flow: Flow) -> list[str]:
    """Check the flow; returns the warnings as text."""
    try:
        return [str(problem) for problem in flow.check()]
    except CheckError as exc:
        raise usage(str(exc)) from None


def _limited(flow: Flow, seconds: float | None) -> Flow:
    """A copy of the flow whose nodes have the time limit of ``--node-timeout``; what the nodes hold is not copied."""
    if seconds is None:
        return flow
    held = {}
    for node in (flow, *nodes_by_path(flow).values()):
        held.update({id(value): value for name, value in node.__dict__.items() if name not in _WIRES})
    twin = copy.deepcopy(flow, held)
    for node in nodes_by_path(twin).values():
        if isinstance(node, Node):
            node._pfx_timeout, node._pfx_has_retry_policy = seconds, True
    return twin


#: the attributes of nodes that are wires
_WIRES = ("successors", "start_node", "_pfx_on_error")


def plan_text(entries: Iterable[FlowEntry], options: RunOptions, inputs: Inputs) -> str:
    """What would run, as text."""
    lines = []
    for name, flow, store, _ in _requested(entries, options, inputs):
        keys = ", ".join(map(str, store)) or "empty"
        lines.append(f"{name or flow.name or type(flow).__name__}: store with {keys}")
    number = f"{len(lines)} run{'s' if len(lines) != 1 else ''}"
    return "\n".join([f"would start {number}, {min(options.concurrency, len(lines))} at once:", *lines])


def start(
    entries: Iterable[FlowEntry], options: RunOptions, inputs: Inputs, *, after: Run | RunGroup | None = None, is_checked: bool = False
) -> Run | RunGroup:
    """Start the requested runs, and return the Run, or the RunGroup for several.

    Parameters
    ----------
    after : Run or RunGroup, optional
        Wait for its end before anything moves.
    is_checked : bool
        Whether the flows were checked already, when they were built.
    """
    requested = _requested(entries, options, inputs)
    flows = list({id(flow): flow for _, flow, _, _ in requested}.values())
    for flow in flows if not is_checked else ():
        checked(flow)
    breaks = frozenset().union(*(_breaks(flow, inputs) for flow in flows))
    limits = {"timeout": options.timeout, "budget": options.budget}
    with all_or_none([]) as register:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the checks say was said
            runs = [register(make_run(flow, store, label, limits)) for label, flow, store, _ in requested]
        for run, (*_, item) in zip(runs, requested, strict=True):
            lifecycle_of(run).item = item
        group = RunGroup(runs, on_error="stop" if options.on_error == "stop" else "others", name=options.name)
        for run in group:
            _prepare(run, options, breaks)
            if options.on_error == "pause":
                run.add_done_callback(lambda over: group.pause() if over.status == "failed" else None)
        keep_runs(runs, options.keeping)
        limit = options.concurrency if len(runs) > 1 else None
        if after is None:
            begin_group(group, limit)
        else:
            when_over(after, lambda: begin_group(group, limit))
    return group if len(runs) > 1 else group[0]


def when_over(thing: Run | RunGroup, fn: Callable[[], object]) -> None:
    """Call `fn` when all of it is over, in the thread that ends the last."""
    runs = runs_of(thing)
    left = [len(runs)]

    def over(_: Run) -> None:
        left[0] -= 1
        if left[0] == 0:
            fn()

    for run in runs:
        run.add_done_callback(over)


def _requested(entries: Iterable[FlowEntry], options: RunOptions, inputs: Inputs) -> list[tuple[str | None, Flow, Store, Item | None]]:
    """Name, flow and store of each run, and the item that it is for."""
    stores, items = stores_of(inputs, options.number), run_items(inputs, options.number)
    requested: list[tuple[str | None, Flow, Store, Item | None]] = []
    for key, node, own in entries:
        flow = _limited(as_flow(node), options.node_timeout)
        name = f"{options.name}-{key}" if options.name and key else key or options.name
        if isinstance(own, Store):
            requested.append((name, flow, stored(own, own), None))
        else:
            requested += [(name, flow, stored(store, own), item) for store, item in zip(stores, items, strict=True)]
    return requested


def _breaks(flow: Flow, inputs: Inputs) -> frozenset[str]:
    """Ids of nodes; a node may also be named as the notebook names it."""
    paths = nodes_by_path(flow)
    known = {*paths, *(path.rsplit("/", 1)[-1] for path in paths)}
    own = {id(node): path for path, node in paths.items()}
    found = set()
    for node, bound in inputs.breaks.items():
        path = node if node in known else own.get(id(bound))
        if path is None:
            raise usage(f"--break {node}: the flow has no such node{nearest(node, known)}")
        found.add(path)
    return frozenset(found)


def _prepare(run: Run, options: RunOptions, breaks: frozenset[str]) -> None:
    """Set breakpoints, and where prints go."""
    if options.is_tee:
        mirrored_output.add(run.number)
    if options.is_quiet:
        hidden_output.add(run.number)
    lifecycle = lifecycle_of(run)
    if breaks:
        lifecycle.ensure_controller().gate.breaks = breaks
        lifecycle.needs_check = True
    if options.break_if is not None:
        lifecycle.ensure_controller().gate.break_if = partial(_holds, options.break_if, run)
        lifecycle.needs_check = True


def _holds(condition: StoreExpression, run: Run, frame: object) -> bool:
    try:
        return bool(condition(run.store))
    except Exception:  # a key that is not there yet: not true yet
        return False
