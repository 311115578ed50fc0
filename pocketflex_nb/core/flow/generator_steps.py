"""Steps written with ``yield``: which of them the engine streams, and which would never run.

Calling such a function runs none of its body: it returns a generator. The engine iterates an ``async def`` `exec` with ``yield`` (it
streams); a plain generator is left to PocketFlow's semantics: `exec` gets what `prep` returned, `post` what `exec` returned, and a
batch iterates its items.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator

from pocketflex_nb.core.flow.function_nodes import FunctionNode
from pocketflex_nb.core.flow.nodes import BaseNode, BatchNode, Node

__all__ = ["is_lazy", "is_stream", "unrun_steps"]

_MEND = {
    "prep": "return the value, or read it in exec or post",
    "exec": "return the value, read it in post, or make exec async: its texts are streamed as tokens then",
    "exec_fallback": "return the value, or read it in post",
    "post": "return the action",
}


def _unwrapped(fn: Callable[..., object]) -> object:
    """The function that a call ends at: below partials, decorators and callable objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if hasattr(fn, "__wrapped__"):
        fn = inspect.unwrap(fn)
    return fn if inspect.isroutine(fn) or not callable(fn) else type(fn).__call__


def is_stream(fn: Callable[..., object]) -> bool:
    """Whether `fn` is an async generator function: ``async def`` with ``yield``, decorated, partial or a callable object included."""
    return inspect.isasyncgenfunction(fn) or inspect.isasyncgenfunction(_unwrapped(fn))


def is_lazy(fn: Callable[..., object]) -> bool:
    """Whether calling `fn` runs none of its body because it has a ``yield``."""
    if inspect.iscoroutinefunction(fn):
        return False
    return inspect.isgeneratorfunction(fn) or inspect.isgeneratorfunction(_unwrapped(fn)) or is_stream(fn)


def unrun_steps(node: BaseNode) -> Iterator[tuple[str, str]]:
    """The steps of `node` whose body would never run, by name, each with its mend."""
    function = node.__dict__.get("_pfx_fn")
    if function is not None:
        if is_lazy(function) and not is_stream(function) and type(node).exec in _OURS:
            yield "the function", "return the action, or make it async: its texts are streamed as tokens then"
        return
    if not _is_visited_step_by_step(node):
        return
    ending = "_async" if getattr(type(node), "_pfx_legacy_async", False) else ""
    is_flow = hasattr(node, "start_node")
    reads_exec, reads_prep = _is_own(node, f"post{ending}"), _is_own(node, f"exec{ending}") and not is_flow
    walks_items = isinstance(node, BatchNode) or hasattr(node, "_pfx_items_at_once")
    for step in ("prep", "exec", "exec_fallback", "post"):
        fn = getattr(node, f"{step}{ending}", None)
        if fn is None or not is_lazy(fn) or (is_flow and step.startswith("exec")):
            continue
        is_run = {
            "prep": walks_items or reads_prep or reads_exec,
            "exec": reads_exec or is_stream(fn),
            "exec_fallback": reads_exec or is_stream(fn),
            "post": False,
        }[step]
        if not is_run:
            yield f"{step}{ending}", _MEND[step]


_OURS = (FunctionNode.exec, Node.exec)


def _is_own(node: BaseNode, step: str) -> bool:
    """Whether a step is the user's own."""
    if step in node.__dict__:
        return True
    return not (getattr(getattr(type(node), step, None), "__module__", "") or "").startswith("pocketflex_nb.")


def _is_visited_step_by_step(node: BaseNode) -> bool:
    """Whether the private hooks are this package's, so that nothing else may run a step's body."""
    return isinstance(node, BaseNode) and not any(_is_own(node, hook) for hook in ("_run", "_exec", "_run_async") if hasattr(node, hook))
