"""The input keys of a flow: those that its nodes read before any node has written them.

Read from the source of `prep`, `post` and function nodes: ``shared["topic"]`` is needed, ``shared.get("depth", 2)`` may be left out.
Keys that are put together at run time, or read by a function that the store is handed to, are not seen. Nodes of this package, whose
keys are arguments, name them in `_pfx_reads` and `_pfx_writes`; a flow whose inputs come from elsewhere has `_pfx_has_own_inputs`.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from types import CodeType, FunctionType

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.user_traceback import is_engine_file

__all__ = ["InputField", "input_fields", "keys_read"]

_STEPS = ("prep", "prep_async", "post", "post_async")
#: methods of a store that read a key, if it is there
_ASKS = {"get", "pop", "setdefault", "increment", "insert_new"}
_WRITES = {"setdefault", "increment", "insert_new", "update"}


@dataclass(frozen=True, slots=True)
class InputField:
    """A key that a flow reads.

    Attributes
    ----------
    key : str
        The key in the store.
    is_needed : bool
        Whether a node reads it without asking if it is there, and no other node of the flow writes it.
    default : str
        What the node takes when it is not there, as Python source; ``""`` where that is unknown.
    node : str
        Graph path of the first node that reads it.
    """

    key: str
    is_needed: bool
    default: str
    node: str


@dataclass(frozen=True, slots=True)
class _Use:
    """One place where a step reads or writes a key."""

    key: str
    does: str
    default: str = ""


def input_fields(flow: Flow) -> list[InputField]:
    """The keys that must or may be in the store when `flow` starts, in the order in which its nodes read them.

    Examples
    --------
    >>> from pocketflex_nb import Flow, node
    >>> @node
    ... def search(shared):
    ...     shared["found"] = [shared["topic"]] * shared.get("depth", 2)
    >>> @node
    ... def write(shared):
    ...     shared["text"] = str(shared["found"])
    >>> _ = search >> write
    >>> [(field.key, field.is_needed, field.default) for field in input_fields(Flow(search))]
    [('topic', True, ''), ('depth', False, '2')]
    """
    found: dict[str, InputField] = {}
    written: set[str] = set()
    writers: dict[str, set[str]] = {}
    nodes = [("", flow), *nodes_by_path(flow).items()]
    apart = tuple(f"{path}/" for path, node in nodes if path and getattr(node, "_pfx_has_own_inputs", False))
    for path, node in nodes:
        for use in () if apart and path.startswith(apart) else _uses(node):
            if use.does == "write":
                written.add(use.key)
                writers.setdefault(use.key, set()).add(path)
            elif use.key not in written and use.key not in found:
                found[use.key] = InputField(use.key, use.does == "need", use.default, path)
    return [replace(field, is_needed=field.is_needed and not writers.get(field.key, set()) - {field.node}) for field in found.values()]


def keys_read(node: object) -> list[str]:
    """The keys that the steps of one node read, in their order.

    Examples
    --------
    >>> from pocketflex_nb import node
    >>> @node
    ... def search(shared):
    ...     shared["found"] = [shared["topic"]] * shared.get("depth", 2)
    >>> keys_read(search)
    ['topic', 'depth']
    """
    return list(dict.fromkeys(use.key for use in _uses(node) if use.does != "write"))


def _uses(node: object) -> Iterator[_Use]:
    """What the steps of one node do with keys, in their order; what cannot be read counts as nothing."""
    yield from (_Use(key, "need") for key in getattr(node, "_pfx_reads", ()))
    yield from _uses_in_steps(node)
    yield from (_Use(key, "write") for key in getattr(node, "_pfx_writes", ()))


def _uses_in_steps(node: object) -> Iterator[_Use]:
    fn = node.__dict__.get("_pfx_fn")
    steps: list[tuple[object, int]] = [(fn, 0)] if fn is not None else [(getattr(type(node), name, None), 1) for name in _STEPS]
    for step, place in steps:
        step = inspect.unwrap(step) if callable(step) else None
        code = step.__code__ if isinstance(step, FunctionType) else None
        if code is not None and code.co_argcount > place and not is_engine_file(code.co_filename):
            yield from _scanned(code, code.co_varnames[place])


@lru_cache(maxsize=1_024)
def _scanned(code: CodeType, store: str) -> tuple[_Use, ...]:
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    try:
        tree = ast.parse(textwrap.dedent("".join(inspect.getblock(lines))))
    except (SyntaxError, ValueError):  # typed at a prompt, made by exec, or a lambda in the middle of a line
        return ()
    reader = _Reader(store)
    reader.visit(tree)
    return tuple(reader.uses)


class _Reader(ast.NodeVisitor):
    """Goes through a step in the order in which Python evaluates it."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.uses: list[_Use] = []

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._key(node.target, "need")
        self.visit(node.value)
        self.visit(node.target)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._key(node, "need" if isinstance(node.ctx, ast.Load) else "write")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)) and self._is_store(right):
                self._use(node.left, "ask")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        called = node.func
        if not isinstance(called, ast.Attribute) or not self._is_store(called.value):
            return
        if called.attr in _ASKS and node.args:
            default = node.args[1] if len(node.args) > 1 and called.attr != "increment" else None
            self._use(node.args[0], "ask", _plain(default))
        if called.attr == "update":
            self._update(node)
        elif called.attr in _WRITES and node.args:
            self._use(node.args[0], "write")

    def _update(self, node: ast.Call) -> None:
        """Both forms: a dict's, and a store's ``update(key, fn)``."""
        first = node.args[0] if node.args else None
        if len(node.args) == 2 and first is not None:
            self._use(first, "ask")
            self._use(first, "write")
        for key in first.keys if isinstance(first, ast.Dict) else ():
            self._use(key, "write")
        for word in node.keywords:
            if word.arg is not None:
                self.uses.append(_Use(word.arg, "write"))

    def _key(self, node: ast.expr, does: str) -> None:
        if isinstance(node, ast.Subscript) and self._is_store(node.value):
            self._use(node.slice, does)

    def _use(self, key: ast.expr | None, does: str, default: str = "") -> None:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            self.uses.append(_Use(key.value, does, default))

    def _is_store(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.store


def _plain(node: ast.expr | None) -> str:
    """A default that is a plain value, as source; others are not for a form."""
    if node is None:
        return ""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return ""
    return "" if value is None else repr(value)
