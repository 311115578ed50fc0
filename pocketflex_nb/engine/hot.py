"""Which code does a run use? The classes that are bound in the notebook when it is launched.

Editing a node's class and running its cell makes a new class; flows built before still hold instances of the old one. One map per
run, from old class to the one now bound at the same name, lets the next launch use the new code, while a run in progress keeps its own.
"""

from __future__ import annotations

import sys
from typing import Any

from pocketflex_nb.core.graph import nodes_by_path
from pocketflex_nb.core.nodes import BaseNode

__all__ = ["class_now", "classes_now", "is_stale"]


def class_now(cls: type) -> type:
    """The class now bound in ``__main__`` at the qualified name of `cls`, or `cls` itself."""
    if cls.__module__ != "__main__" or "<locals>" in cls.__qualname__:
        return cls
    found: Any = sys.modules.get("__main__")
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, BaseNode) else cls


def classes_now(flow: Any) -> dict[type, type] | None:
    """Old class to new, for the nodes of `flow` whose class was bound anew; None when there are none."""
    changed = {}
    for node in (flow, *nodes_by_path(flow).values()):
        cls = type(node)
        new = class_now(cls)
        if new is not cls:
            changed[cls] = new
    return changed or None


def is_stale(run: Any) -> list[str]:
    """Names of the node classes of which `run` uses old code."""
    used = run._classes or {}
    names = []
    for node in nodes_by_path(run.flow).values():
        cls = used.get(type(node), type(node))
        if class_now(cls) is not cls and cls.__name__ not in names:
            names.append(cls.__name__)
    return names
