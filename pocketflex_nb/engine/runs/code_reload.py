"""The current classes of a run: those that the notebook's names are bound to when it is launched.

Editing a node's class and running its cell makes a new class; flows built before still hold instances of the old one. One map per
run, from old class to the one now bound at the same name, lets the next launch use the new code, while a run in progress keeps its own.
"""

from __future__ import annotations

import re
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.flow.function_nodes import FunctionNode
from pocketflex_nb.core.flow.node_ids import nodes_by_path
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.engine.runs.run import Run, lifecycle_of

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow

__all__ = ["class_now", "classes_now", "function_now", "is_stale", "name_the_cell"]


def class_now(cls: type) -> type:
    """The class now bound in ``__main__`` at the qualified name of `cls`, or `cls` itself."""
    found = _bound(cls)
    return found if isinstance(found, type) and issubclass(found, BaseNode) else cls


def function_now(fn: object) -> object:
    """The function now bound in ``__main__``, plain or as a node, at the qualified name of `fn`, or `fn` itself."""
    found = _bound(fn)
    if isinstance(found, FunctionNode):
        found = found._pfx_fn
    return found if isinstance(found, FunctionType) else fn


def _bound(thing: object) -> object:
    name = getattr(thing, "__qualname__", "")
    if getattr(thing, "__module__", None) != "__main__" or not name or "<" in name:  # <locals>, <lambda>
        return None
    found: object = sys.modules.get("__main__")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def classes_now(flow: Flow) -> dict[object, object] | None:
    """Old class or function to new, for the nodes of `flow` whose code has been redefined; None when there are none."""
    changed: dict[object, object] = {}
    for node in (flow, *nodes_by_path(flow).values()):
        cls = type(node)
        new = class_now(cls)
        if new is not cls:
            changed[cls] = new
        fn = node.__dict__.get("_pfx_fn")
        if fn is not None and (now := function_now(fn)) is not fn:
            changed[fn] = now
    return changed or None


def is_stale(run: Run) -> list[str]:
    """Names of the node classes and functions of which `run` uses old code."""
    used = lifecycle_of(run).classes or {}
    names = []
    for node in nodes_by_path(run.flow).values():
        cls = used.get(type(node), type(node))
        if class_now(cls) is not cls and cls.__name__ not in names:
            names.append(cls.__name__)
        fn = node.__dict__.get("_pfx_fn")
        fn = used.get(fn, fn)
        if fn is not None and function_now(fn) is not fn and fn.__name__ not in names:
            names.append(fn.__name__)
    return names


def name_the_cell(error: AttributeError, node: BaseNode, run: Any) -> None:
    """Add to `error` which cell to run again, when it is about an attribute that the new ``__init__`` of a class would have set.

    A visit gives the old instance its new class and no ``__init__``: an attribute that only the new code sets is missing.
    """
    new = run.current_class(type(node))
    if new is type(node) or type(getattr(error, "obj", None)) is not new or not error.args or not isinstance(error.args[0], str):
        return
    error.args = (
        f"{error.args[0]}: this node was made before the class {new.__name__} was defined anew, and nothing has set it; "
        f"run {_cell_that_makes(new.__name__)} again", *error.args[1:],
    )


def _cell_that_makes(name: str) -> str:
    """The text that names the notebook's last cell that calls the class `name`."""
    cells = getattr(sys.modules.get("__main__"), "In", None)
    calls = re.compile(rf"(?<![\w.])(?<!class ){re.escape(name)}\s*\(")
    for number, text in reversed(list(enumerate(cells if isinstance(cells, list) else []))):
        if isinstance(text, str) and calls.search(text):
            return f"cell [{number}], which makes {name}(...),"
    return f"the cell that makes {name}(...)"
