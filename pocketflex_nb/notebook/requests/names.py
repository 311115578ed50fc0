"""Looks up the notebook's names: flows and runs; holds the flows that are pinned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakSet

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.requests.option_values import evaluated
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["FlowEntry", "as_flow", "entries_of", "find_flow", "find_run", "pinned", "runs_of"]


class FlowEntry(NamedTuple):
    """One flow to run, with its name, and a store of its own, where the body gives them."""

    name: str | None
    flow: BaseNode
    store: object = None


#: flows that `%pf pin` froze
pinned: WeakSet[BaseNode] = WeakSet()


def find_flow(name: str, names: Mapping[str, object]) -> Flow:
    """The flow bound to `name` in the notebook, or the value of an expression."""
    known = {n: v for n, v in names.items() if isinstance(v, BaseNode) and not n.startswith("_")}
    found = names.get(name)
    if isinstance(found, BaseNode):
        return found if isinstance(found, Flow) else Flow(found, name=name)
    if name.isidentifier():
        if name in names:
            raise usage(f"{name!r} is {type(names[name]).__name__}, no flow{nearest(name, known)}")
        raise usage(f"no flow {name!r}{nearest(name, known)}")
    value = evaluated(name, names, "flow")
    if not isinstance(value, BaseNode):
        raise usage(f"{name!r} gives {type(value).__name__}, no flow")
    return value if isinstance(value, Flow) else Flow(value)


def find_run(name: str, names: Mapping[str, object]) -> Run | RunGroup:
    """The run of that name, or the Run or RunGroup bound to it in the notebook."""
    from pocketflex_nb.engine.runs.run import runs

    bound = names.get(name)
    if isinstance(bound, (Run, RunGroup)):
        return bound
    made: list[Run] = runs()
    for run in reversed(made):
        if run.name == name:
            return run
    known = {run.name for run in made} | {n for n, v in names.items() if isinstance(v, (Run, RunGroup)) and not n.startswith("_")}
    raise usage(f"no run {name!r}{nearest(name, known)}")


def entries_of(value: object) -> list[FlowEntry] | None:
    """What the value of a body's last expression runs; None when it is nothing that can be run."""
    if isinstance(value, BaseNode):
        return [FlowEntry(None, value)]
    found: list[FlowEntry | None]
    if isinstance(value, Mapping) and not isinstance(value, Store) and value:
        found = [_entry(str(name), entry) for name, entry in value.items()]
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], BaseNode) and not isinstance(value[1], BaseNode):
        found = [_entry(None, value)]
    elif isinstance(value, (list, tuple)) and value:
        found = [_entry(None, entry) for entry in value]
    else:
        return None
    entries = [entry for entry in found if entry is not None]
    return entries if len(entries) == len(found) else None


def _entry(name: str | None, value: object) -> FlowEntry | None:
    flow, store = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
    return FlowEntry(name, flow, store) if isinstance(flow, BaseNode) else None


def as_flow(node: BaseNode) -> Flow:
    """The flow itself, or a node as a flow of its own."""
    return node if isinstance(node, Flow) else Flow(node, name=getattr(node, "name", None) or type(node).__name__)


def runs_of(thing: Run | RunGroup) -> list[Run]:
    """The runs of either."""
    return [thing] if isinstance(thing, Run) else list(thing)
