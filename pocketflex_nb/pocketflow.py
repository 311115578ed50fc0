"""PocketFlow's own eleven names: change one import line, and a PocketFlow program gets events, views and the journal.

::

    from pocketflex_nb.pocketflow import Node, Flow, AsyncNode, AsyncFlow

Semantics after PocketFlow's repository (https://github.com/The-Pocket/PocketFlow, head of March 2026). The ``*_async`` classes are
thin spellings of what plain nodes do with ``async def``. Where PocketFlow is plainly wrong it is not followed: items of an
`AsyncParallelBatchNode` have a retry counter each, so that an item that failed every try cannot come back as None.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterable
from types import AsyncGeneratorType
from typing import Any

from pocketflex_nb.concurrency.foreign_errors import step_error
from pocketflex_nb.core import ports
from pocketflex_nb.core.flow.flow import BatchFlow, Flow
from pocketflex_nb.core.flow.item_failure import ItemFailure
from pocketflex_nb.core.flow.nodes import BaseNode, BatchNode, Node
from pocketflex_nb.core.flow.outcomes import Outcomes, given, is_awaited
from pocketflex_nb.core.wait_marks import waiting

__all__ = [
    "AsyncBatchFlow", "AsyncBatchNode", "AsyncFlow", "AsyncNode", "AsyncParallelBatchFlow", "AsyncParallelBatchNode", "BaseNode",
    "BatchFlow", "BatchNode", "Flow", "Node",
]


class AsyncNode(Node):
    """A node in the `*_async` spelling: `prep_async`, `exec_async`, `post_async`, `exec_fallback_async`.

    Parameters
    ----------
    max_retries, wait, timeout, retry, name
        As for `Node`.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.pocketflow import AsyncNode
    >>> class Shout(AsyncNode):
    ...     async def prep_async(self, shared):
    ...         return shared["text"]
    ...     async def exec_async(self, prep_res):
    ...         return prep_res.upper()
    ...     async def post_async(self, shared, prep_res, exec_res):
    ...         shared["text"] = exec_res
    >>> shared = {"text": "hello"}
    >>> asyncio.run(Shout().run_async(shared))
    >>> shared
    {'text': 'HELLO'}
    """

    _pfx_legacy_async = True
    _pfx_own: tuple[object, ...]

    async def prep_async(self, shared: Any) -> Any:
        """Read from `shared` what `exec_async` needs.

        Parameters
        ----------
        shared : dict or Store
            The shared store.
        """

    async def exec_async(self, prep_res: Any) -> Any:
        """Do the work.

        Parameters
        ----------
        prep_res : object
            What `prep_async` returned; in a batch one item of it.
        """

    async def exec_fallback_async(self, prep_res: Any, exc: Exception) -> Any:
        """What stands in when every try failed; raises `exc` unless overridden.

        Parameters
        ----------
        prep_res : object
            What `exec_async` was given.
        exc : Exception
            What the last try raised.
        """
        raise exc

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        """Write to `shared` and return the action.

        Parameters
        ----------
        shared : dict or Store
            The shared store.
        prep_res : object
            What `prep_async` returned.
        exec_res : object
            What `exec_async` returned; in a batch the list of it.
        """

    async def _exec(self, prep_res: object) -> object:
        if self._pfx_has_retry_policy:
            return await ports.engine.attempt_legacy_async(self, prep_res)
        for number in range(self.max_retries):
            self.cur_retry = number
            try:
                result: Any = self.exec_async(prep_res)
                return await (ports.engine.streamed(result) if result.__class__ is AsyncGeneratorType else result)
            except (Exception, asyncio.CancelledError) as caught:
                exc = step_error(caught)
                if number == self.max_retries - 1:
                    return await self.exec_fallback_async(prep_res, exc)
                ports.engine.retried(self, number, exc)
                if self.wait > 0:
                    with waiting("retry", f"try {number + 2} of {self.max_retries}", seconds=self.wait, detail=type(exc).__name__):
                        await asyncio.sleep(self.wait)
        return None

    async def run_async(self, shared: object) -> Any:
        """Visit this node alone, and give its action. The successors are not run.

        Parameters
        ----------
        shared : dict or Store
            The shared store; it is changed in place.
        """
        if self.successors:
            warnings.warn("Node won't run successors. Use AsyncFlow.", stacklevel=2)
        return await self._run_async(shared)

    async def _run_async(self, shared: object) -> object:
        p = await self.prep_async(shared)
        e = await self._exec(p)
        return await self.post_async(shared, p, e)

    def _run(self, shared: object) -> object:
        raise RuntimeError("Use run_async.")


#: the hooks of an `AsyncNode` whose visit is nothing but its steps
AsyncNode._pfx_own = (AsyncNode._run_async, AsyncNode._exec)


class AsyncBatchNode(AsyncNode, BatchNode):
    """A node whose `exec_async` runs once per item that `prep_async` gives, one after the other.

    Parameters
    ----------
    max_retries, wait, timeout, retry, name
        As for `Node`, the first four per item.
    max_concurrency, on_error
        As for `BatchNode`.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.pocketflow import AsyncBatchNode
    >>> class Square(AsyncBatchNode):
    ...     async def prep_async(self, shared):
    ...         return shared["numbers"]
    ...     async def exec_async(self, prep_res):
    ...         return prep_res * prep_res
    ...     async def post_async(self, shared, prep_res, exec_res):
    ...         shared["squares"] = exec_res
    >>> shared = {"numbers": [1, 2, 3]}
    >>> asyncio.run(Square().run_async(shared))
    >>> shared["squares"]
    [1, 4, 9]
    """

    async def _exec(self, items: Any) -> object:
        if self._pfx_max_concurrency != 1 or self._pfx_on_item_error != "raise" or is_awaited(items):
            return await _each(self, super()._exec, items)
        return [await super(AsyncBatchNode, self)._exec(i) for i in items]


class AsyncParallelBatchNode(AsyncNode, BatchNode):
    """A node whose `exec_async` runs once per item that `prep_async` returns, all in parallel; when one fails the others continue.

    Parameters
    ----------
    max_retries, wait, timeout, retry, name
        As for `Node`, the first four per item.
    max_concurrency, on_error
        As for `BatchNode`; all items at once, unless told otherwise.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.pocketflow import AsyncParallelBatchNode
    >>> class Fetch(AsyncParallelBatchNode):
    ...     async def prep_async(self, shared):
    ...         return [0.02, 0.01]
    ...     async def exec_async(self, prep_res):
    ...         await asyncio.sleep(prep_res)
    ...         return prep_res
    ...     async def post_async(self, shared, prep_res, exec_res):
    ...         shared["waited"] = exec_res              # in the order of the items
    >>> shared = {}
    >>> asyncio.run(Fetch().run_async(shared))
    >>> shared["waited"]
    [0.02, 0.01]
    """

    _pfx_max_concurrency: int | None = None

    def __init__(self, max_retries: int = 1, wait: float = 0, *, max_concurrency: int | None = None, **options: Any) -> None:
        super().__init__(max_retries, wait, max_concurrency=max_concurrency, **options)

    async def _exec(self, items: Any) -> object:
        if self._pfx_max_concurrency is not None or self._pfx_on_item_error != "raise" or is_awaited(items):
            return await _each(self, super()._exec, items)
        return await asyncio.gather(*(super(AsyncParallelBatchNode, self)._exec(i) for i in items))


async def _each(node: Any, attempt: Callable[[object], Awaitable[object]], items: Any) -> list[object]:
    """Every item of a batch, as many at once as the node says; an error in place of its result when the node collects them."""
    collects = node._pfx_on_item_error == "collect"
    failures: list[ItemFailure] = []
    items = [item async for item in items] if is_awaited(items) else given(items)

    async def one(pair: tuple[int, object]) -> object:
        index, item = pair
        try:
            return await attempt(item)
        except Exception as exc:
            if not collects or not ports.engine.collected(exc, index, item):
                raise
            failures.append(ItemFailure(index, exc, item))
            return exc

    results = await _gathered(one, enumerate(items), node._pfx_max_concurrency)
    return Outcomes(results, failures) if collects else results


async def _gathered(work: Callable[[Any], Awaitable[object]], things: Iterable[object], limit: int | None) -> list[object]:
    """The results of `work`, in order, at most `limit` in parallel; as with `asyncio.gather`, the others continue when one fails."""
    if limit is None:
        return await asyncio.gather(*map(work, things))
    gate = asyncio.Semaphore(limit)

    async def through(thing: object) -> object:
        async with gate:
            return await work(thing)

    return await asyncio.gather(*map(through, things))


class AsyncFlow(Flow, AsyncNode):
    """A flow in the `*_async` spelling; its nodes may be of either.

    Parameters
    ----------
    start, name, strict, max_steps, timeout, budget, max_concurrency, inputs, outputs, merge, on_error
        As for `Flow`.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.pocketflow import AsyncFlow, AsyncNode, Node
    >>> class Fetch(AsyncNode):
    ...     async def post_async(self, shared, prep_res, exec_res):
    ...         shared["page"] = "tides"
    >>> class Count(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["letters"] = len(shared["page"])
    >>> fetch = Fetch()
    >>> _ = fetch >> Count()
    >>> shared = {}
    >>> asyncio.run(AsyncFlow(start=fetch).run_async(shared))
    >>> shared
    {'page': 'tides', 'letters': 5}
    """

    _pfx_bare: tuple[object, ...]

    async def _run_async(self, shared: object) -> object:
        p = await self.prep_async(shared)
        o = await (self._orch_async(shared) if self._pfx_private is None else ports.engine.walk_private(self, shared))
        return await self.post_async(shared, p, o)

    def run_async(self, shared: object) -> Any:
        """Walk the flow on the caller's event loop: ``await flow.run_async(shared)`` gives the last action.

        Parameters
        ----------
        shared : object
            The shared store, usually a dict or a `Store`; it is changed in place.
        """
        if self.successors:
            warnings.warn("Node won't run successors. Use AsyncFlow.", stacklevel=2)
        return ports.engine.run_async(self, shared)

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        """Pass the last action on.

        Parameters
        ----------
        shared : dict or Store
            The shared store.
        prep_res : object
            What the flow's own `prep_async` returned.
        exec_res : str or None
            The last action.
        """
        return None if isinstance(exec_res, Outcomes) else exec_res


# it returns a coroutine without being a coroutine function; code that asks (starlette's background tasks) learns that it must be awaited
if sys.version_info >= (3, 12):
    inspect.markcoroutinefunction(AsyncFlow.run_async)
else:
    AsyncFlow.run_async._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]

#: the hooks of an `AsyncFlow` whose visit is nothing but its walk
AsyncFlow._pfx_bare = (AsyncFlow._run_async, AsyncFlow._orch_async, AsyncFlow.prep_async, AsyncFlow.post_async)


def _is_more(flow: BatchFlow, items: object) -> bool:
    """Whether a batch flow is asked for more than PocketFlow's: stores of its items' own, failures collected, items that are awaited."""
    return flow._pfx_private is not None or flow._pfx_on_item_error == "collect" or is_awaited(items)


class AsyncBatchFlow(AsyncFlow, BatchFlow):
    """The flow once per item of params that `prep_async` gives, one after the other.

    Parameters
    ----------
    start, **options
        As for `Flow`.
    max_concurrency, on_error
        As for `BatchFlow`.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.pocketflow import AsyncBatchFlow, Node
    >>> class Square(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["squares"].append(self.params["n"] ** 2)
    >>> class Squares(AsyncBatchFlow):
    ...     async def prep_async(self, shared):
    ...         return [{"n": n} for n in (1, 2, 3)]
    >>> shared = {"squares": []}
    >>> asyncio.run(Squares(start=Square()).run_async(shared))
    >>> shared["squares"]
    [1, 4, 9]
    """

    async def _run_async(self, shared: object) -> object:
        pr = given(await self.prep_async(shared))
        if _is_more(self, pr):
            return await self.post_async(shared, pr, await ports.engine.walk_items(self, shared, pr))
        if self._pfx_items_at_once != 1:
            await _gathered(lambda bp: self._orch_async(shared, {**self.params, **bp}), pr, self._pfx_items_at_once)
        else:
            for bp in pr:
                await self._orch_async(shared, {**self.params, **bp})
        return await self.post_async(shared, pr, None)


class AsyncParallelBatchFlow(AsyncFlow, BatchFlow):
    """The flow once per item of params, all at once.

    Parameters
    ----------
    start, **options
        As for `Flow`.
    max_concurrency
        As for `BatchFlow`; all items at once, unless told otherwise.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.pocketflow import AsyncNode, AsyncParallelBatchFlow
    >>> class Fetch(AsyncNode):
    ...     async def post_async(self, shared, prep_res, exec_res):
    ...         await asyncio.sleep(0)
    ...         shared[self.params["page"]] = "read"
    >>> class Pages(AsyncParallelBatchFlow):
    ...     async def prep_async(self, shared):
    ...         return [{"page": page} for page in ("a", "b")]
    >>> shared = {}
    >>> asyncio.run(Pages(start=Fetch()).run_async(shared))
    >>> sorted(shared)
    ['a', 'b']
    """

    _pfx_items_at_once: int | None = None

    def __init__(self, start: BaseNode | None = None, *, max_concurrency: int | None = None, **options: Any) -> None:
        super().__init__(start, max_concurrency=max_concurrency, **options)

    async def _run_async(self, shared: object) -> object:
        pr = given(await self.prep_async(shared))
        if _is_more(self, pr):
            return await self.post_async(shared, pr, await ports.engine.walk_items(self, shared, pr))
        await _gathered(lambda bp: self._orch_async(shared, {**self.params, **bp}), pr, self._pfx_items_at_once)
        return await self.post_async(shared, pr, None)
