"""Plain code waits in the thread of a running loop by leaving its stack, with greenlet, to another one that runs the loop.

Each loop that is waited on in this way has its `Stacks`: those that wait for something, and one that runs the loop. The first that is
ready continues first: nested loops, as nest-asyncio makes them, end last in, first out, and two that need each other never end. Tasks
stay asyncio's own, and a loop on which nothing waits in this way is untouched.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import nullcontext
from contextvars import Context
from typing import Any, Protocol, TypeVar

from pocketflex_nb.concurrency.held_threads import hold_at_exit
from pocketflex_nb.concurrency.nested_waits import NESTED_BEAT, Cancelling, nested_outcome, soon
from pocketflex_nb.concurrency.outcome import capture
from pocketflex_nb.core.context import CURRENT_FRAME

__all__ = ["KEPT", "Stacks", "cannot_nest"]

ResultT = TypeVar("ResultT")
#: stacks that have nothing to do and are kept
KEPT = 8
_AWAIT = "or write `await flow.run_async(shared)`"


def cannot_nest(loop: asyncio.AbstractEventLoop) -> str | None:
    """Why plain code may not wait in the thread of `loop`, which runs, with the mend; None when it may."""
    if not isinstance(loop, asyncio.BaseEventLoop):
        return f"{type(loop).__module__}.{type(loop).__name__} is not asyncio's own event loop: use that, {_AWAIT}"
    if getattr(loop, "_nest_patched", False):
        return f"nest_asyncio.apply() has patched this loop, and nested loops end last in, first out: take that call out, {_AWAIT}"
    try:
        import greenlet  # noqa: F401
    except ImportError as exc:
        return f"greenlet cannot be imported here ({exc}): pip install greenlet, {_AWAIT}"
    return None


class _Stack(Protocol):
    """A greenlet: the package that makes them has no types."""

    @property
    def parent(self) -> _Stack | None: ...
    @parent.setter
    def parent(self, stack: _Stack, /) -> None: ...
    def switch(self) -> object: ...
    def throw(self, *error: BaseException) -> object: ...


class _Wait:
    """Plain code that suspended its stack."""

    __slots__ = ("inner", "is_cut", "is_launched", "is_stopped", "outer", "requests", "stack")

    def __init__(self, stack: _Stack, outer: asyncio.Task[object] | None, inner: asyncio.Future[ResultT]) -> None:
        self.outer, self.inner = outer, inner
        self.stack: Any = stack  # None once it goes on
        frame = CURRENT_FRAME.get()
        self.is_launched = frame is not None and frame.lane_run is not None
        self.requests = outer.cancelling() if outer is not None else 0
        self.is_cut = self.is_stopped = False

    def cancel(self) -> None:
        """Cancel what it waits for; when that is done already, note that a cancellation came."""
        if not self.inner.cancel():
            self.is_cut = True


class _Ready(deque[Any]):
    """A loop's ready handles, for iterations that were suspended midway: handles that they still count on may have run since.

    A handle whose context a suspended stack has entered is held back until that stack has left it: a context cannot be entered twice, and
    the handle would be lost. ipykernel 7 runs every cell in one context.
    """

    def __init__(self, handles: Iterable[object], waiting: dict[object, _Wait]) -> None:
        super().__init__(handles)
        self._waiting = waiting
        self._held: deque[Any] = deque()

    def popleft(self) -> Any:
        if not self:
            return _NOTHING
        handle = deque.popleft(self)
        if self._waiting and _is_entered(handle._context):
            self._held.append(handle)
            return _NOTHING
        return handle

    def release(self) -> None:
        """Put back, in order and before others, what was held back and can run now."""
        if self._held:
            held, self._held = self._held, deque()
            free: list[Any] = []
            for handle in held:
                (self._held if _is_entered(handle._context) else free).append(handle)
            self.extendleft(reversed(free))


def _is_entered(context: Context) -> bool:
    try:
        context.run(int)
    except RuntimeError:
        return True
    return False


class _Nothing:
    """The placeholder of a handle that is to be skipped."""

    _cancelled = True


_NOTHING = _Nothing()


class Stacks:
    """The stacks of one loop: those that wait, one that runs the loop, and some that are idle.

    Attributes
    ----------
    waiting : dict
        The task whose step waits, or an object of its own, to its wait.
    """

    def __init__(self, loop: Any) -> None:
        from greenlet import getcurrent, greenlet

        self._current, self._new = getcurrent, greenlet
        self._root = getcurrent()
        while self._root.parent is not None:
            self._root = self._root.parent
        self.loop, self._once = loop, loop._run_once
        self.waiting: dict[object, _Wait] = {}
        self._over: deque[_Wait] = deque()
        self._resting: list[_Stack] = []
        self._main: _Stack | None = None  # the stack of the loop's `run_forever`, when it rests
        self._maker: _Stack | None = None
        self._alarm: asyncio.TimerHandle | None = None
        hold_at_exit(loop, Stacks._turn.__code__)
        self._ready = loop._ready = _Ready(loop._ready, self.waiting)
        loop._run_once = self._run_once

    def wait(self, coro: Coroutine[object, object, ResultT], cancelling: Cancelling | None) -> ResultT | None:
        """Run `coro` as a task, and return to this stack when it is done."""
        loop, outer = self.loop, asyncio.current_task(self.loop)
        inner: asyncio.Task[tuple[ResultT | None, BaseException | None]] = loop.create_task(capture(coro))
        wait = _Wait(self._current(), outer, inner)
        key = outer if outer is not None else wait

        def over(_: object) -> None:
            if wait.stack is not None:  # else an interrupt has sent it on already
                self._over.append(wait)

        inner.add_done_callback(over)
        with cancelling(lambda: soon(loop, wait.cancel)) if cancelling is not None else nullcontext():
            self.waiting[key] = wait
            self._keep_turning()
            if outer is not None:
                _leave_task(loop, outer)
            try:
                self._leave()
            finally:  # also when an interrupt was thrown in here
                wait.stack = None
                del self.waiting[key]
                if outer is not None:
                    _enter_task(loop, outer)
                if not inner.done():
                    inner.cancel()
        return nested_outcome(coro, inner, wait.is_cut)

    def _keep_turning(self) -> None:
        """Start to wake the loop regularly, unless it is the engine's, which gets no signals."""
        if self._alarm is None and not getattr(self.loop, "_pfx_goes_on", False):
            self._alarm = self.loop.call_later(NESTED_BEAT, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        if self.waiting:
            self._keep_turning()

    # the stacks ----------------------------------------------------------------------------------------------------------
    def _leave(self) -> None:
        """Let another stack run the loop; returns when one switches back to this one."""
        if self._resting:
            other = self._resting.pop()
        else:
            if self._maker is None:
                self._maker = self._new(self._make, self._root)
            other = self._maker
        other.switch()

    def _make(self) -> None:
        """Create stacks, all from the same depth: created on demand, each would nest on the one before, until the stack overflows."""
        while True:
            self._new(self._turn, self._root).switch()

    def _run_once(self) -> None:
        """One iteration of the loop, as its own `run_forever` does it."""
        while self._look():
            me = self._main = self._current()
            self._resting.insert(0, me)  # taken last: it is the only one that cannot end
            self._over.popleft().stack.switch()
        self._main = None
        self._ready.release()
        try:
            self._once()
        except (KeyboardInterrupt, SystemExit) as exc:
            if self._cell() is None:
                raise
            self._interrupt(exc)
        if self.loop._stopping:
            self._end_resting()

    def _turn(self) -> None:
        """The main function of a stack that runs the loop."""
        loop, me = self.loop, self._current()
        while True:
            if self._look():
                wait = self._over.popleft()
                if len(self._resting) >= KEPT:
                    me.parent = wait.stack  # where this stack's end leads
                    return
                self._resting.append(me)
                wait.stack.switch()
                continue
            if loop._stopping and self._main is not None:
                me.parent = self._main
                self._end_resting()
                return
            if loop._stopping:
                self._release_main()
            self._ready.release()
            try:
                self._once()
            except (KeyboardInterrupt, SystemExit) as exc:
                # asyncio lets these out of a task's step; the task has it too
                if not getattr(loop, "_pfx_goes_on", False):
                    self._interrupt(exc)

    def _release_main(self) -> None:
        """Cancel the plain code that stands on the stack of `run_forever`: a loop that stops could not return from there before its end."""
        for wait in self.waiting.values():
            if wait.stack is self._root and not wait.is_stopped:
                wait.is_stopped = True
                wait.cancel()

    def _look(self) -> bool:
        """Whether a waiting stack may continue. A task that was cancelled meanwhile cancels what its step waits for."""
        for wait in list(self.waiting.values()):
            if wait.outer is not None and wait.outer.cancelling() > wait.requests:
                wait.requests = wait.outer.cancelling()
                wait.cancel()
        return bool(self._over)

    def _interrupt(self, exc: BaseException) -> None:
        """Raise `exc` in the loop's own `run_forever`, or in the call for which that was suspended.

        A kernel's loop must not end: there the cell that waits gets it.
        """
        me = self._current()
        main = self._cell()
        if main is None:
            main = self._main if self._main is not None else self._oldest()
        if main is None:
            raise exc
        if main in self._resting:
            self._resting.remove(main)
        self._over = deque(wait for wait in self._over if wait.stack is not main)
        if me is self._root:
            self._main = me
            self._resting.insert(0, me)
        else:
            self._resting.append(me)
        main.throw(exc)

    def raise_in_cell(self) -> None:
        """Raise `KeyboardInterrupt` out of this iteration of the loop, if a cell waits for it."""
        if self._cell() is not None:
            raise KeyboardInterrupt

    def _cell(self) -> _Stack | None:
        """The stack of the kernel's cell, when the loop is a kernel's, which `EngineThread.borrow` was given."""
        if not getattr(self.loop, "_pfx_is_borrowed", False):
            return None
        return next((wait.stack for wait in self.waiting.values() if not wait.is_launched), None)

    def _oldest(self) -> _Stack | None:
        return next((wait.stack for wait in self.waiting.values()), None)

    def _end_resting(self) -> None:
        """When the loop stops: idle stacks end, and its own continues."""
        me = self._current()
        ending = [stack for stack in (*self._resting, self._maker) if stack is not None and stack is not self._main]
        self._resting, self._maker = [], None
        for stack in ending:  # else they would keep the loop alive: no garbage collector sees into them
            stack.parent = me
            stack.throw()
