"""Starts runs from options and flows: one function for the cell magic and for ``%pocketflex run``."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pocketflex_nb.core.errors import CheckError, nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.mermaid.builder import rebuild
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.launch import all_or_none, begin_group, make_run
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.requests.input_stores import stored, stores_of
from pocketflex_nb.notebook.requests.names import as_flow, pinned, runs_of
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.run_options import RunOptions
from pocketflex_nb.notebook.shell import output_capture as lanes
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["checked", "fresh", "plan_text", "start", "when_over"]


def fresh(flow: Any, names: Mapping[str, Any]) -> Any:
    """The flow rebuilt with the present bindings of its names, unless it is pinned."""
    return flow if flow in pinned else rebuild(flow, names)


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
        if not isinstance(node, Flow):
            node._pfx_timeout, node._pfx_has_retry_policy = seconds, True
    return twin


#: the attributes of nodes that are wires
_WIRES = ("successors", "start_node", "_pfx_on_error")


def plan_text(entries: list[tuple[str | None, Any, Any]], options: ParsedLine, terms: RunOptions, names: Mapping[str, Any]) -> str:
    """What would run, as text."""
    made = _made(entries, options, terms, names)
    lines = []
    for name, flow, store in made:
        keys = ", ".join(map(str, store)) or "empty"
        lines.append(f"{name or getattr(flow, 'name', None) or type(flow).__name__}: store with {keys}")
    number = f"{len(lines)} run{'s' if len(lines) != 1 else ''}"
    return "\n".join([f"would start {number}, {min(terms.at_once, len(lines))} at once:", *lines])


def start(
    entries: list[tuple[str | None, Any, Any]], options: ParsedLine, terms: RunOptions, names: Mapping[str, Any], after: Any = None
) -> Run | RunGroup:
    """Start the requested runs, and return the Run, or the RunGroup for several.

    Parameters
    ----------
    after : Run or RunGroup, optional
        Wait for its end before anything moves.
    """
    made = _made(entries, options, terms, names)
    for _, flow, _ in made:
        checked(flow)
    terms = replace(terms, breaks=frozenset().union(*(_breaks(flow, terms.breaks, names) for _, flow, _ in made)))
    with all_or_none([]) as tell:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the checks say was said
            runs = [tell(make_run(flow, store, label, terms.limits)) for label, flow, store in made]
        group = RunGroup(runs, on_error="stop" if terms.on_error == "stop" else "others", name=terms.name)
        for run in group:
            _prepare(run, options, terms, names)
            if terms.on_error == "pause":
                run.add_done_callback(lambda over: group.pause() if over.status == "failed" else None)
        at_once = terms.at_once if len(runs) > 1 else None
        if after is None:
            begin_group(group, at_once)
        else:
            when_over(after, lambda: begin_group(group, at_once))
    return group if len(runs) > 1 else group[0]


def when_over(thing: Run | RunGroup, fn: Callable[[], Any]) -> None:
    """Call `fn` when all of it is over, in the thread that ends the last."""
    runs = runs_of(thing)
    left = [len(runs)]

    def over(_: Run) -> None:
        left[0] -= 1
        if left[0] == 0:
            fn()

    for run in runs:
        run.add_done_callback(over)


def _made(
    entries: Iterable[tuple[str | None, Any, Any]], options: ParsedLine, terms: RunOptions, names: Mapping[str, Any]
) -> list[tuple[str | None, Flow, Store]]:
    """Name, flow and store of each run."""
    stores = stores_of(options, terms, names)
    made: list[tuple[str | None, Flow, Store]] = []
    for key, flow, own in entries:
        flow = _limited(as_flow(fresh(flow, names)), terms.node_timeout)
        name = f"{terms.name}-{key}" if terms.name and key else key or terms.name
        made += [(name, flow, stored(store, own)) for store in ([own] if isinstance(own, Store) else stores)]
    return made


def _breaks(flow: Flow, breaks: Iterable[str], names: Mapping[str, Any]) -> frozenset[str]:
    """Ids of nodes; a node may also be named as the notebook names it."""
    paths = nodes_by_path(flow)
    known = {*paths, *(path.rsplit("/", 1)[-1] for path in paths)}
    own = {id(node): path for path, node in paths.items()}
    found = set()
    for node in breaks:
        path = node if node in known else own.get(id(names.get(node)))
        if path is None:
            raise usage(f"--break {node}: the flow has no such node{nearest(node, known)}")
        found.add(path)
    return frozenset(found)


def _prepare(run: Run, options: ParsedLine, terms: RunOptions, names: Mapping[str, Any]) -> None:
    """Breakpoints, and where prints go."""
    if options.has("--tee"):
        lanes.mirrored_output.add(run.number)
    if options.has("--quiet"):
        lanes.hidden_output.add(run.number)
    lifecycle = lifecycle_of(run)
    if terms.breaks:
        lifecycle.ensure_controller().gate.breaks = terms.breaks
        lifecycle.needs_check = True
    code = terms.break_if
    if code is not None:
        lifecycle.ensure_controller().gate.break_if = lambda frame: _holds(code, run, names)
        lifecycle.needs_check = True


def _holds(code: Any, run: Run, names: Mapping[str, Any]) -> bool:
    try:
        return bool(eval(code, {**names, "store": run.store}))
    except Exception:  # a key that is not there yet: not true yet
        return False
