"""Plain code waits in the thread of a running loop by running that loop inside itself, where greenlet cannot be imported.

nest-asyncio2 (https://github.com/Chaoses-Ib/nest-asyncio2) makes that possible: one plain run at a time, with those inside it. Any other
is refused at once, since it could not end before that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import nullcontext
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from pocketflex_nb.concurrency.nested_waits import NESTED_BEAT, Cancelling, nested_outcome, no_wait_here, soon
from pocketflex_nb.concurrency.outcome import capture, close_all

__all__ = ["NestedLoops"]

ResultT = TypeVar("ResultT")
#: the innermost nested wait that this code runs in
_NESTED: ContextVar[object] = ContextVar("pocketflex_nb_nested", default=None)


class _NestedWait:
    """Plain code below which the loop is nested."""

    __slots__ = ("inner", "is_cut", "outer", "requests")

    def __init__(self, outer: asyncio.Task[object] | None, inner: asyncio.Future[ResultT]) -> None:
        self.outer, self.inner = outer, inner
        self.requests = outer.cancelling() if outer is not None else 0
        self.is_cut = False

    def cancel(self) -> None:
        """Cancel what it waits for; when that is done already, note that a cancellation came."""
        if not self.inner.cancel():
            self.is_cut = True


class NestedLoops:
    """The nested runs of one loop, where greenlet cannot be imported.

    Nested runs end last in, first out. So plain code may wait only where nothing waits, or inside what the innermost one waits for: it ends
    before that one in any case. Other plain code is refused, since the two may need each other.

    Attributes
    ----------
    waiting : dict
        The task whose step waits, or an object of its own, to its wait.
    """

    def __init__(self, loop: Any, why: str) -> None:
        from nest_asyncio2 import _patch_loop

        own = type(loop)
        loop.__class__ = type(own.__name__, (own,), {})  # only this loop is patched
        _patch_loop(loop)
        self.loop, self._why = loop, why
        self.waiting: dict[object, _NestedWait] = {}
        self._chain: list[object] = []

    def wait(self, coro: Coroutine[object, object, ResultT], cancelling: Cancelling | None) -> ResultT | None:
        """Run `coro` as a task, and the loop inside itself until it is done."""
        if self._chain and _NESTED.get() is not self._chain[-1]:
            close_all(coro)
            raise no_wait_here(f"another plain run waits on this loop, and only one can; {self._why}")
        loop, outer, mark, context = self.loop, asyncio.current_task(self.loop), object(), copy_context()
        context.run(_NESTED.set, mark)
        inner: asyncio.Task[tuple[ResultT | None, BaseException | None]] = loop.create_task(capture(coro), context=context)
        wait = _NestedWait(outer, inner)
        key = outer if outer is not None else wait
        with cancelling(lambda: soon(loop, wait.cancel)) if cancelling is not None else nullcontext():
            self._chain.append(mark)
            self.waiting[key] = wait
            alarm = loop.call_later(NESTED_BEAT, self._look)
            try:
                loop.run_until_complete(inner)
            except asyncio.CancelledError:
                if not inner.cancelled():
                    raise
            finally:
                alarm.cancel()
                self._chain.pop()
                del self.waiting[key]
                if not inner.done():
                    inner.cancel()
        return nested_outcome(coro, inner, wait.is_cut)

    def raise_in_cell(self) -> None:
        """Nothing: the interrupt reaches what is nested below by itself."""

    def _look(self) -> None:
        """A task that was cancelled meanwhile cancels what its step waits for."""
        for wait in list(self.waiting.values()):
            if wait.outer is not None and wait.outer.cancelling() > wait.requests:
                wait.requests = wait.outer.cancelling()
                wait.cancel()
        if self.waiting:
            self.loop.call_later(NESTED_BEAT, self._look)
