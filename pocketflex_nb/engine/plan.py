"""How is a node of this class visited? Looked up once per class and walk.

PocketFlow programs override the private hooks ``_run``, ``_exec``, ``_orch`` and ``get_next_node``; whoever does is visited through
them, everybody else by the short way that the walkers have inline.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from pocketflex_nb.core.flow import BatchFlow, Flow
from pocketflex_nb.core.nodes import BaseNode, BatchNode, Node

__all__ = ["BASE", "BATCH", "CALL", "FLOW", "NODE", "SPELLED", "is_async", "is_exec_step", "is_simple_copy", "is_step", "kind_of", "overrides_flow_hooks"]

#: kinds: a plain Node; a BaseNode without retries; a BatchNode; a flow; a node that overrides a hook; a `*_async` spelling
NODE, BASE, BATCH, FLOW, CALL, SPELLED = range(6)

_FLOW_HOOKS = ("_run", "_orch", "_run_async", "_orch_async")


def kind_of(cls: type) -> int:
    """Which of the kinds above nodes of `cls` are."""
    run, exec_ = getattr(cls, "_run", None), getattr(cls, "_exec", None)
    if getattr(cls, "_pfx_spelled", False):
        return SPELLED
    if issubclass(cls, Flow):
        return FLOW
    if run is not BaseNode._run:
        return CALL
    if exec_ is Node._exec:
        return NODE
    if exec_ is BatchNode._exec:
        return BATCH
    return BASE if exec_ is BaseNode._exec else CALL


def overrides_flow_hooks(flow: Any) -> bool:
    """Whether the flow, or an instance patch, replaces a sync private hook, so that it must be walked by the sync walker."""
    cls = type(flow)
    home: Any = BatchFlow if issubclass(cls, BatchFlow) else Flow
    return cls._run is not home._run or cls._orch is not home._orch or "_run" in flow.__dict__ or "_orch" in flow.__dict__


def is_simple_copy(cls: type) -> bool:
    """Whether ``copy.copy`` of an instance of `cls` only copies its ``__dict__``."""
    return (
        getattr(cls, "__copy__", None) is None
        and cls.__reduce_ex__ is object.__reduce_ex__
        and cls.__reduce__ is object.__reduce__
        and getattr(cls, "__getstate__", None) is getattr(object, "__getstate__", None)
        and not hasattr(cls, "__setstate__")
        and not hasattr(cls, "__getnewargs_ex__")
        and not hasattr(cls, "__getnewargs__")
        and cls.__new__ is object.__new__
        and not any("__slots__" in base.__dict__ for base in cls.__mro__[:-1])
    )


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives a coroutine to await, decorated functions and callable objects included."""
    fn = inspect.unwrap(fn) if hasattr(fn, "__wrapped__") and not inspect.iscoroutinefunction(fn) else fn
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(type(fn), "__call__", None))


def is_step(result: Any, fn: Callable[..., Any]) -> bool:
    """Whether `result`, which `fn` returned, is an ``async def`` step to await rather than a value that happens to be a coroutine."""
    return result.__class__ is CoroutineType and is_async(fn)


def is_exec_step(node: Any) -> bool:
    """Whether a coroutine that `_exec` returned is the step itself, not its result."""
    return is_async(node.exec) or is_async(node._exec) or is_async(getattr(node, "exec_fallback", node.exec))
