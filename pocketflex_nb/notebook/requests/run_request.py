"""What does a cell start? From options and flows to runs, one function for the cell magic and for ``%pocketflex run``."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from pocketflex_nb.core.errors import CheckError, nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.mermaid.builder import rebuild
from pocketflex_nb.core.store.store import Store, as_store
from pocketflex_nb.engine.launch import all_or_none, begin_group, make_run
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.requests.option_line import Options, pairs, value_of
from pocketflex_nb.notebook.requests.run_options import Terms
from pocketflex_nb.notebook.shell import output_capture as lanes
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = [
    "as_flow", "checked", "entries_of", "find_flow", "find_run", "fresh", "pinned", "plan_text", "runs_of", "seeds", "start", "stores_of",
    "when_over",
]

#: flows that `%pf pin` froze
pinned: WeakSet[Any] = WeakSet()


def find_flow(name: str, names: Mapping[str, Any]) -> Flow:
    """The flow bound to `name` in the notebook, or the value of an expression."""
    known = {n: v for n, v in names.items() if isinstance(v, BaseNode) and not n.startswith("_")}
    if name in names and isinstance(names[name], BaseNode):
        found = names[name]
        return found if isinstance(found, Flow) else Flow(found, name=name)
    if name.isidentifier():
        if name in names:
            raise usage(f"{name!r} is {type(names[name]).__name__}, no flow{nearest(name, known)}")
        raise usage(f"no flow {name!r}{nearest(name, known)}")
    value = value_of(name, names, "flow")
    if not isinstance(value, BaseNode):
        raise usage(f"{name!r} gives {type(value).__name__}, no flow")
    return value if isinstance(value, Flow) else Flow(value)


def find_run(name: str, names: Mapping[str, Any]) -> Run | RunGroup:
    """The run of that name, or the Run or RunGroup bound to it in the notebook."""
    from pocketflex_nb.engine.runs.run_registry import runs

    bound = names.get(name)
    if isinstance(bound, (Run, RunGroup)):
        return bound
    made: list[Run] = runs()
    for run in reversed(made):
        if run.name == name:
            return run
    known = {run.name for run in made} | {n for n, v in names.items() if isinstance(v, (Run, RunGroup)) and not n.startswith("_")}
    raise usage(f"no run {name!r}{nearest(name, known)}")


def entries_of(value: Any) -> list[tuple[str | None, Any, Any]] | None:
    """What a body's last expression asks to run: (name, flow, store) each; None when it is nothing to run."""
    if isinstance(value, BaseNode):
        return [(None, value, None)]
    found: list[tuple[str | None, Any, Any]]
    if isinstance(value, Mapping) and not isinstance(value, Store) and value:
        found = [(str(name), *_pair(entry)) for name, entry in value.items()]
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], BaseNode) and not isinstance(value[1], BaseNode):
        found = [(None, *_pair(value))]
    elif isinstance(value, (list, tuple)) and value:
        found = [(None, *_pair(entry)) for entry in value]
    else:
        return None
    return found if all(isinstance(flow, BaseNode) for _, flow, _ in found) else None


def _pair(entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, tuple) and len(entry) == 2:
        return entry
    return entry, None


def seeds(options: Options, names: Mapping[str, Any]) -> dict[str, Any]:
    """The starting store that ``--seed`` gives."""
    store: dict[str, Any] = {}
    for text in options.all("--seed"):
        if text.startswith("@") and "=" not in text.split("[")[0]:
            given = value_of(text, names, "--seed")
            if not isinstance(given, Mapping):
                raise usage(f"--seed {text}: a mapping is needed, got {type(given).__name__}")
            store.update({key: _copied(value) for key, value in dict(given).items()})
            continue
        for key, value in pairs(text, "--seed"):
            store[key] = value_of(value, names, f"--seed {key}")
    return store


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # a client or a lock: kept as it is
        return value


def _items(options: Options, names: Mapping[str, Any]) -> tuple[str | None, list[Any]] | None:
    text = options.one("--each")
    if text is None:
        return None
    key, equals, expression = text.partition("=")
    if not equals or not key.isidentifier():
        key, expression = "", text
    value = value_of(expression, names, "--each")
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise usage(f"--each {text}: a list is needed, got {type(value).__name__}")
    items = list(value)
    if not items:
        raise usage(f"--each {text}: the list is empty, there is nothing to run")
    return (key or None), items


def stores_of(options: Options, terms: Terms, names: Mapping[str, Any]) -> list[Any]:
    """One starting store per run, from ``--seed``, ``--each`` and ``-n``; with ``--share`` the same one for all."""
    number = terms.number
    if options.has("--share"):
        return [_common(options, names)] * (number or 1)
    base = seeds(options, names)
    each = _items(options, names)
    key, items = each if each is not None else (None, [{}])
    made = []
    for item in items:
        own = dict(item) if key is None and isinstance(item, Mapping) else {key or "item": item}
        agents: list[dict[str, Any]] = [{}] if number is None else [{"agent": k} for k in range(number)]
        made += [{**base, **own, **agent} for agent in agents]
    return made


def _common(options: Options, names: Mapping[str, Any]) -> Store:
    """The one store of ``--share``: the very one that ``--seed @store`` names, else a new one."""
    given = options.all("--seed")
    if len(given) == 1 and given[0].startswith("@"):
        value = value_of(given[0], names, "--seed")
        if isinstance(value, Store):
            return value
    return Store(seeds(options, names))


def fresh(flow: Any, names: Mapping[str, Any]) -> Any:
    """The flow with what its names mean now, unless it is pinned."""
    return flow if flow in pinned else rebuild(flow, names)


def as_flow(node: Any) -> Flow:
    """The flow itself, or a node as a flow of its own."""
    return node if isinstance(node, Flow) else Flow(node, name=getattr(node, "name", None) or type(node).__name__)


def checked(flow: Flow) -> list[str]:
    """Look at the flow; the warnings as text."""
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
            node._pfx_timeout, node._pfx_tuned = seconds, True
    return twin


#: the attributes of nodes that are wires
_WIRES = ("successors", "start_node", "_pfx_on_error")


def plan_text(entries: list[tuple[str | None, Any, Any]], options: Options, terms: Terms, names: Mapping[str, Any]) -> str:
    """What would run, as text."""
    made = _made(entries, options, terms, names)
    lines = []
    for name, flow, store in made:
        keys = ", ".join(map(str, store)) or "empty"
        lines.append(f"{name or getattr(flow, 'name', None) or type(flow).__name__}: store with {keys}")
    number = f"{len(lines)} run{'s' if len(lines) != 1 else ''}"
    return "\n".join([f"would start {number}, {min(terms.at_once, len(lines))} at once:", *lines])


def start(
    entries: list[tuple[str | None, Any, Any]], options: Options, terms: Terms, names: Mapping[str, Any], after: Any = None
) -> Run | RunGroup:
    """Start what was asked for, and return its Run, or the RunGroup when it is several.

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


def runs_of(thing: Run | RunGroup) -> list[Run]:
    """The runs of either."""
    return [thing] if isinstance(thing, Run) else list(thing)


def when_over(thing: Run | RunGroup, fn: Callable[[], Any]) -> None:
    """Have `fn` called when all of it is over, in the thread that ends the last."""
    runs = runs_of(thing)
    left = [len(runs)]

    def over(_: Run) -> None:
        left[0] -= 1
        if left[0] == 0:
            fn()

    for run in runs:
        run.add_done_callback(over)


def _made(
    entries: Iterable[tuple[str | None, Any, Any]], options: Options, terms: Terms, names: Mapping[str, Any]
) -> list[tuple[str | None, Flow, Store]]:
    """Name, flow and store of each run."""
    stores = stores_of(options, terms, names)
    made: list[tuple[str | None, Flow, Store]] = []
    for key, flow, own in entries:
        flow = _limited(as_flow(fresh(flow, names)), terms.node_timeout)
        name = f"{terms.name}-{key}" if terms.name and key else key or terms.name
        made += [(name, flow, _stored(store, own)) for store in ([own] if isinstance(own, Store) else stores)]
    return made


def _stored(store: Any, own: Any) -> Store:
    """A store of its own, but for one that is shared on purpose; what a pair brings stands above ``--seed``."""
    if isinstance(store, Store):
        return store
    try:
        return as_store({key: _copied(value) for key, value in store.items()} | dict(as_store({} if own is None else own)))
    except TypeError as exc:
        raise usage(str(exc)) from None


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


def _prepare(run: Run, options: Options, terms: Terms, names: Mapping[str, Any]) -> None:
    """Breakpoints, and where prints go."""
    if options.has("--tee"):
        lanes.teed.add(run.number)
    if options.has("--quiet"):
        lanes.quiet.add(run.number)
    if terms.breaks:
        run.hold_state().breaks = terms.breaks
        run.signal = True
    code = terms.break_if
    if code is not None:
        run.hold_state().break_if = lambda frame: _holds(code, run, names)
        run.signal = True


def _holds(code: Any, run: Run, names: Mapping[str, Any]) -> bool:
    try:
        return bool(eval(code, {**names, "store": run.store}))
    except Exception:  # a key that is not there yet: not true yet
        return False
