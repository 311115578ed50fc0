"""`node`: a decorator that makes a node of a plain or async function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import AsyncGeneratorType, GeneratorType
from typing import Any, overload

from pocketflex_nb.core import ports
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.nodes import Node

__all__ = ["AsyncFunctionNode", "FunctionNode", "node"]


class FunctionNode(Node):
    """A node made of one function by `node`: the function is its `exec`, and its return value is the action."""

    def __init__(self, fn: Callable[..., object], **options: Any) -> None:
        if not callable(fn):
            raise TypeError(f"@node needs a function, not {fn!r}")
        super().__init__(**options)
        self._pfx_fn = fn
        self._pfx_takes_shared = _takes_an_argument(fn)
        self.name = self.name or getattr(fn, "__name__", type(fn).__name__)
        self.__doc__ = fn.__doc__

    def prep(self, shared: object) -> object:
        """Return the store itself."""
        return shared

    def exec(self, prep_res: object) -> object:
        """Call the function."""
        return self._pfx_call(prep_res)

    def _pfx_call(self, shared: object) -> Any:
        """Call the function, or the one now bound to its name if the run uses that because its cell ran again."""
        fn, frame = self._pfx_fn, CURRENT_FRAME.get()
        if frame is not None:
            fn = frame.current_class(fn)
            if fn is not self._pfx_fn:
                return fn(shared) if _takes_an_argument(fn) else fn()
        return fn(shared) if self._pfx_takes_shared else fn()

    def post(self, shared: object, prep_res: object, exec_res: object) -> object:
        """Return the function's return value as the action."""
        if exec_res is None or isinstance(exec_res, str):
            return exec_res
        if exec_res == [] or (self.successors and isinstance(exec_res, (list, tuple))):  # several at once; the walk looks at each
            return exec_res
        if exec_res.__class__ is GeneratorType:
            raise TypeError(
                f"node {self.name!r} is written with yield, so its body never runs: return the action, or make it `async def`: "
                f"its texts are streamed as tokens then"
            )
        raise TypeError(
            f"node {self.name!r} returned {exec_res!r}: a function node returns its action, a str, None, or a list; "
            f"write results to the store: shared[{self.name!r}] = ..."
        )


class AsyncFunctionNode(FunctionNode):
    """A `FunctionNode` of an ``async def`` function."""

    async def exec(self, prep_res: object) -> object:
        """Await the function. One with ``yield`` streams: its texts are tokens of its lane, and its action is the default one."""
        called = self._pfx_call(prep_res)
        if called.__class__ is AsyncGeneratorType:
            await ports.engine.streamed(called)
            return None
        return await called


def _takes_an_argument(fn: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return True
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


@overload
def node(fn: Callable[..., object], /) -> Node: ...


@overload
def node(**options: object) -> Callable[[Callable[..., object]], Node]: ...


def node(fn: Callable[..., object] | None = None, /, **options: object) -> object:
    """Make a node of a plain or async function.

    Parameters
    ----------
    fn : callable
        Takes the shared store (or nothing) and returns the action: a str, or None for ``"default"``.
    **options
        As for `Node`: ``@node(max_retries=3, wait=1)``. ``name=``: default is the function's own.

    Notes
    -----
    The function is the node's `exec`, so it is retried as a whole, and a plain one runs in the thread pool when launched.

    Examples
    --------
    >>> from pocketflex_nb import Flow, node
    >>> @node
    ... def greet(shared):
    ...     shared["greeting"] = f"hello {shared['who']}"
    >>> store = {"who": "you"}
    >>> Flow(greet).run(store)
    >>> store["greeting"]
    'hello you'
    """
    if fn is None:
        return lambda function: node(function, **options)
    kind = AsyncFunctionNode if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn) else FunctionNode
    return kind(fn, **options)
