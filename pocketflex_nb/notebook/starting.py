"""What does a cell start? From options and flows to runs, one function for the cell magic and for ``%pocketflex run``."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from pocketflex_nb.core.errors import CheckError, nearest
from pocketflex_nb.core.flow import Flow
from pocketflex_nb.core.graph import nodes_by_path
from pocketflex_nb.core.nodes import BaseNode
from pocketflex_nb.core.store import Store
from pocketflex_nb.core.wiring import rebuild
from pocketflex_nb.engine.group import RunGroup
from pocketflex_nb.engine.launch import begin_group, make_run
from pocketflex_nb.engine.run import Run
from pocketflex_nb.notebook import lanes
from pocketflex_nb.notebook.options import Options, amount, duration, pairs, value_of, whole
from pocketflex_nb.notebook.short import usage

__all__ = [
    "AT_ONCE", "budget_of", "checked", "entries_of", "find_flow", "find_run", "fresh", "pinned", "plan_text", "seeds", "start",
    "stores_of",
]

#: runs at once unless -j says otherwise
AT_ONCE = 32
#: names of flows that `%pf pin` froze
pinned: set[int] = set()


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
    from pocketflex_nb.engine.run import runs

    bound = names.get(name)
    if isinstance(bound, (Run, RunGroup)):
        return bound
    made = runs()
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
    """The starting store that ``--seed`` gives; lists, dicts and sets are copied."""
    store: dict[str, Any] = {}
    for text in options.all("--seed"):
        if text.startswith("@") and "=" not in text.split("[")[0]:
            given = value_of(text, names, "--seed")
            if not isinstance(given, Mapping):
                raise usage(f"--seed {text}: a mapping is needed, got {type(given).__name__}")
            store.update(copy.deepcopy(dict(given)))
            continue
        for key, value in pairs(text, "--seed"):
            store[key] = _copied(value_of(value, names, f"--seed {key}"))
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


def stores_of(options: Options, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One starting store per run, from ``--seed``, ``--each`` and ``-n``."""
    base = seeds(options, names)
    each = _items(options, names)
    number = whole(options.one("-n") or "1", "-n")
    if each is None:
        return [{**base, "agent": k} for k in range(number)] if options.has("-n") else [base]
    key, items = each
    made = []
    for item in items:
        own = dict(item) if key is None and isinstance(item, Mapping) else {key or "item": item}
        made += [{**base, **own, "agent": k} for k in range(number)] if options.has("-n") else [{**base, **own}]
    return made


def fresh(flow: Any, names: Mapping[str, Any]) -> Any:
    """The flow with what its names mean now, unless it is pinned."""
    return flow if id(flow) in pinned else rebuild(flow, names)


def checked(flow: Flow) -> list[str]:
    """Look at the flow; the warnings as text."""
    try:
        return [str(problem) for problem in flow.check()]
    except CheckError as exc:
        raise usage(str(exc)) from None


def _limited(flow: Flow, options: Options) -> Flow:
    """A copy of the flow whose nodes have the time limit of ``--node-timeout``."""
    text = options.one("--node-timeout")
    if text is None:
        return flow
    seconds = duration(text, "--node-timeout")
    twin = copy.deepcopy(flow)
    for node in nodes_by_path(twin).values():
        if not isinstance(node, Flow):
            node._pfx_timeout, node._pfx_tuned = seconds, True
    return twin


def budget_of(options: Options) -> dict[str, float] | None:
    """What ``--budget`` allows."""
    text = options.one("--budget")
    if text is None:
        return None
    budget = {}
    for what, value in pairs(text, "--budget"):
        if what not in ("steps", "seconds", "tokens", "cost"):
            raise usage(f"--budget {what}: not counted{nearest(what, ('steps', 'seconds', 'tokens', 'cost'))}")
        budget[what] = duration(value, "--budget seconds") if what == "seconds" else amount(value, f"--budget {what}")
    return budget


def plan_text(entries: list[tuple[str | None, Any, Any]], options: Options, names: Mapping[str, Any]) -> str:
    """What would run, as text."""
    stores = stores_of(options, names)
    lines = []
    for name, flow, own in entries:
        for store in [own] if own is not None else stores:
            keys = ", ".join(map(str, store)) or "empty"
            lines.append(f"{name or options.one('--name') or getattr(flow, 'name', None) or type(flow).__name__}: store with {keys}")
    at_once = options.one("-j") or min(AT_ONCE, len(lines))
    return "\n".join([f"would start {len(lines)} run{'s' if len(lines) != 1 else ''}, {at_once} at once:", *lines])


def start(entries: list[tuple[str | None, Any, Any]], options: Options, names: Mapping[str, Any]) -> Run | RunGroup:
    """Start what was asked for, and return its Run, or the RunGroup when it is several."""
    policy = options.one("--on-error", "others")
    if policy not in ("others", "stop", "pause"):
        raise usage(f"--on-error {policy!r}{nearest(str(policy), ('others', 'stop', 'pause'))}")
    limits: dict[str, Any] = {"budget": budget_of(options)}
    if options.has("--timeout"):
        limits["timeout"] = duration(options.one("--timeout") or "", "--timeout")
    at_once = whole(options.one("-j") or str(AT_ONCE), "-j")
    made = _entries(entries, options, names)
    for _, flow, _ in made:
        checked(flow)
        _check_breaks(flow, options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the checks say was said
        several = len(made) > 1
        named = options.one("--name")
        jobs = [(name or named, flow, store) for name, flow, store in made]
        made_runs = [make_run(flow, store, label, limits) for label, flow, store in jobs]
        group = RunGroup(made_runs, on_error="stop" if policy == "stop" else "others", name=named)
        for run in group:
            _prepare(run, options, names)
            if policy == "pause":
                run.add_done_callback(lambda over: group.pause() if over.status == "failed" else None)
        begin_group(group, at_once if several else None)
    return group if several else group[0]


def _entries(entries: list[tuple[str | None, Any, Any]], options: Options, names: Mapping[str, Any]) -> list[tuple[str | None, Flow, Any]]:
    stores = stores_of(options, names)
    common = Store(stores[0]) if options.has("--share") else None
    made: list[tuple[str | None, Flow, Any]] = []
    for name, flow, own in entries:
        flow = fresh(flow, names)
        flow = flow if isinstance(flow, Flow) else Flow(flow, name=getattr(flow, "name", None) or type(flow).__name__)
        flow = _limited(flow, options)
        if own is not None:
            made.append((name, flow, own))
        else:
            made += [(name, flow, common if common is not None else copy.copy(store)) for store in stores]
    return made


def _check_breaks(flow: Flow, options: Options) -> None:
    paths = list(nodes_by_path(flow))
    known = {*paths, *(path.rsplit("/", 1)[-1] for path in paths)}
    for node in options.all("--break"):
        if node not in known:
            raise usage(f"--break {node}: the flow has no such node{nearest(node, known)}")


def _prepare(run: Run, options: Options, names: Mapping[str, Any]) -> None:
    """Breakpoints, and where prints go."""
    if options.has("--tee"):
        lanes.teed.add(run.number)
    if options.has("--quiet"):
        lanes.quiet.add(run.number)
    nodes = options.all("--break")
    if nodes:
        run.hold_state().breaks = frozenset(nodes)
        run.signal = True
    condition = options.one("--break-if")
    if condition is not None:
        code = compile(condition, "<--break-if>", "eval")
        run.hold_state().break_if = lambda frame: bool(eval(code, dict(names), {"store": run.store}))
        run.signal = True
