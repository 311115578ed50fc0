"""A cell for one visit: the code of its node, what it was given, and the calls that make it again."""

from __future__ import annotations

import inspect
import linecache
import re
import textwrap
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from pocketflex_nb.core.flow.code_marks import code_of
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.flow.input_keys import keys_read
from pocketflex_nb.core.flow.nodes import BaseNode, BatchNode, Node
from pocketflex_nb.notebook.run_data.run_labels import variable_of
from pocketflex_nb.notebook.run_data.visits import Visit
from pocketflex_nb.notebook.widgets.run_view.value_source import value_source

__all__ = ["cell_text", "node_of", "source_of"]

_STEPS = ("prep", "exec", "post")
_OWN_INIT = (BaseNode.__init__, Node.__init__, BatchNode.__init__)
_NAME = re.compile(r"\W+")


def node_of(visit: Visit) -> Any:
    """The node that a visit is of, as it is wired now; None where the flow has it no more."""
    return nodes_by_path(visit.run.flow).get(visit.node)


def source_of(node: object) -> str:
    """The source of a node's function or class; ``""`` where there is none."""
    code = code_of(node)
    try:
        return textwrap.dedent(inspect.getsource(code)).rstrip()
    except (OSError, TypeError):  # a class of a cell: `inspect` looks for a file of its module
        return _source_of_class(code) if isinstance(code, type) else ""


def _source_of_class(cls: type) -> str:
    """The source of a class by the place of one of its functions."""
    for step in vars(cls).values():
        found = inspect.unwrap(step) if callable(step) else None
        if not isinstance(found, FunctionType):
            continue
        lines = linecache.getlines(found.__code__.co_filename)
        begins = re.compile(rf"\s*class\s+{re.escape(cls.__name__)}\b")
        for at in range(min(found.__code__.co_firstlineno, len(lines)) - 1, -1, -1):
            if not begins.match(lines[at]):
                continue
            while at and lines[at - 1].lstrip().startswith("@"):
                at -= 1
            return textwrap.dedent("".join(inspect.getblock(lines[at:]))).rstrip()
    return ""


def cell_text(visit: Visit, number: int, content: Mapping[Any, Any], version: int | None) -> str:
    """The text of a cell that makes a visit again.

    Parameters
    ----------
    number : int
        Which visit of its node it is.
    content : mapping
        The store as it was when the visit began.
    version : int or None
        The version of the run's store that this is; None where that is not known.
    """
    node = node_of(visit)
    source = source_of(node)
    lines = [f"# {visit.node}, visit {number} of run {visit.run.name!r}: its code, and what it was given then", source, ""]
    lines += [*_store_lines(visit, node, content, version), ""]
    lines += _function_lines(node) if getattr(node, "_pfx_fn", None) is not None else _class_lines(node, visit.node)
    return "\n".join(lines)


def _store_lines(visit: Visit, node: object, content: Mapping[Any, Any], version: int | None) -> list[str]:
    """What makes `shared`: values that can be written out are, the others are taken from the run's store."""
    keys: list[Any] = [key for key in keys_read(node) if key in content] or list(content)
    sources = {key: value_source(content[key], key) for key in keys}
    from_run = version is not None and None in sources.values()
    lines = []
    if from_run:
        lines += [
            "from pocketflex_nb import runs", "",
            f"then = next(run for run in runs() if run.name == {visit.run.name!r}).store.at({version})",
        ]
    lines.append("shared = {")
    for key, source in sources.items():
        if source is not None:
            lines.append(textwrap.indent(f"{key!r}: {source},", "    ").replace("\n", "\n    "))
        elif from_run:
            lines.append(f"    {key!r}: then[{key!r}],")
        else:
            lines.append(f"    # {key!r}: it cannot be written out")
    return [*lines, "}"]


def _function_lines(node: Any) -> list[str]:
    name = getattr(node._pfx_fn, "__name__", "step")
    return [f"action = {name}.run(shared)", "action, shared"]


def _class_lines(node: object, path: str) -> list[str]:
    cls, name = type(node), _NAME.sub("_", path.rpartition("/")[2]).lower() or "step"
    if name == cls.__name__:
        name = f"{name}_step"
    lines = []
    variable = variable_of(node)
    if cls.__init__ in _OWN_INIT:
        lines.append(f"{name} = {cls.__name__}()")
    elif variable:
        name = f"{name}_again"
        lines += ["import copy", "", f"{name} = copy.copy({variable})", f"{name}.__class__ = {cls.__name__}      # with the code above"]
    else:
        lines.append(f"{name} = {cls.__name__}(...)      # with the arguments that your flow gives it")
    if getattr(cls, "_pfx_legacy_async", False):
        return [*lines, f"action = await {name}.run_async(shared)", "action, shared"]
    if isinstance(node, BatchNode):
        return [*lines, f"action = {name}.run(shared)", "action, shared"]
    return [
        *lines, f"prep_res = {_awaited(node, 'prep')}{name}.prep(shared)", f"exec_res = {_awaited(node, 'exec')}{name}.exec(prep_res)",
        f"action = {_awaited(node, 'post')}{name}.post(shared, prep_res, exec_res)", "prep_res, exec_res, action",
    ]


def _awaited(node: object, step: str) -> str:
    """``await`` where the step is async."""
    return "await " if inspect.iscoroutinefunction(getattr(node, step, None)) else ""
