"""Lookup of the notebook's names: flows, runs and pins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.requests.option_values import evaluated
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["as_flow", "entries_of", "find_flow", "find_run", "pinned", "runs_of"]


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
    value = evaluated(name, names, "flow")
    if not isinstance(value, BaseNode):
        raise usage(f"{name!r} gives {type(value).__name__}, no flow")
    return value if isinstance(value, Flow) else Flow(value)


def find_run(name: str, names: Mapping[str, Any]) -> Run | RunGroup:
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


def entries_of(value: Any) -> list[tuple[str | None, Any, Any]] | None:
    """The entries of a body's last expression: (name, flow, store) each; None when it is nothing that can be run."""
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


def as_flow(node: Any) -> Flow:
    """The flow itself, or a node as a flow of its own."""
    return node if isinstance(node, Flow) else Flow(node, name=getattr(node, "name", None) or type(node).__name__)


def runs_of(thing: Run | RunGroup) -> list[Run]:
    """The runs of either."""
    return [thing] if isinstance(thing, Run) else list(thing)
