"""The engine thread: a daemon thread whose event loop runs launched flows and agents, with a pool for blocking steps.

The kernel's own loop is used only on request: an agent that does not await would block every cell there.
"""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pocketflex_nb.concurrency.interruptible import hold_interrupts
from pocketflex_nb.concurrency.thread_pool import Pool
from pocketflex_nb.core.errors import CannotAsk

__all__ = ["POOL_SIZE", "EngineLoop", "EngineThread", "engine_thread"]

#: threads for plain `exec`s: they wait for the network far more often than they compute
POOL_SIZE = 64
#: seconds for which plain code lets a borrowed loop turn before it looks again
_TURN = 0.01

ResultT = TypeVar("ResultT")

_BaseLoop: Any = asyncio.ProactorEventLoop if os.name == "nt" else asyncio.SelectorEventLoop  # type: ignore[attr-defined]


class EngineLoop(_BaseLoop):  # type: ignore[misc]
    """The event loop class of the engine thread, by which code recognises that it runs there."""

    #: an interrupt that leaves a task's step does not stop it
    _pfx_goes_on = True


class EngineThread:
    """A daemon thread that runs one event loop, started at first use.

    Attributes
    ----------
    loop : asyncio.AbstractEventLoop
        The loop; the thread is started when it is first asked for.
    pool : Pool
        For blocking steps.
    """

    def __init__(self, name: str = "pocketflex-engine") -> None:
        self.name = name
        self._lock = threading.Lock()
        self._loop: Any = None
        self._thread: threading.Thread | None = None
        self.pool = Pool(POOL_SIZE)
        self._due: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._is_woken = False
        self._own: tuple[object, threading.Thread | None] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop; starts the thread on first access."""
        loop: asyncio.AbstractEventLoop | None = self._loop
        return loop if loop is not None else self._start()

    def _start(self) -> Any:
        with self._lock:
            if self._loop is None:
                loop = EngineLoop()
                ready = threading.Event()
                thread = threading.Thread(target=self._serve, args=(loop, ready), name=self.name, daemon=True)
                thread.start()
                ready.wait()
                self._thread, self._loop = thread, loop
                self.guard_input()
        return self._loop

    def guard_input(self, read: Callable[..., object] | None = None) -> Callable[..., object]:
        """`input` (default: the built-in, which is replaced) as a function that raises on this thread instead of stopping every run."""
        original = builtins.input if read is None else read
        if getattr(original, "_pfx_guards", None) is self:
            return original

        @functools.wraps(original)
        def guarded(prompt: object = "") -> str:
            if self.is_here and not self.is_adopted:
                raise CannotAsk(f"input({prompt!r}) would stop every run on the engine thread; write `await ask({str(prompt)!r})`")
            return str(original(prompt))

        guarded._pfx_guards = self  # type: ignore[attr-defined]
        if read is None:
            builtins.input = guarded
        return guarded

    def _serve(self, loop: asyncio.AbstractEventLoop, ready: threading.Event) -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(ready.set)
        while True:
            try:
                loop.run_forever()
                return
            except (KeyboardInterrupt, SystemExit):
                # asyncio lets these out of a task's step and stops the loop; the task has it too, and it ends that run alone
                continue

    @property
    def is_here(self) -> bool:
        """Whether the calling code runs on this engine's thread."""
        return threading.current_thread() is self._thread

    # a loop of somebody else's ----------------------------------------------------------------------------------------
    @property
    def is_adopted(self) -> bool:
        """Whether runs use a loop that `adopt_loop` was given, in the thread of that loop."""
        return self._own is not None

    def adopt_loop(self, loop: Any) -> None:
        """Run what is launched from now on on `loop`, which runs in the calling thread and can be left (`cannot_nest`).

        Nothing may be running on the engine's loop meanwhile. A second call changes nothing before `restore_loop`.
        """
        with self._lock:
            if self._own is None:
                self._own = self._loop, self._thread
                self._loop, self._thread = loop, threading.current_thread()
                loop._pfx_is_borrowed = True

    def restore_loop(self) -> Any:
        """Return to the engine's own loop; returns the loop that was borrowed."""
        with self._lock:
            borrowed = self._loop
            if self._own is not None:
                borrowed._pfx_is_borrowed = False
                (self._loop, self._thread), self._own = self._own, None
        return borrowed

    def run_once(self, seconds: float) -> bool:
        """Run a borrowed loop for at most `seconds`, for plain code that waits in its thread; False when there is none to run."""
        if not (self.is_adopted and self.is_here):
            return False
        from pocketflex_nb.concurrency.reentrancy import run_nested

        run_nested(self._loop, asyncio.sleep(min(seconds, _TURN)))
        return True

    @property
    def ident(self) -> int | None:
        """The thread's identifier, or None before it was started."""
        return self._thread.ident if self._thread else None

    def submit(self, coro: Coroutine[object, object, ResultT]) -> Future[ResultT]:
        """Start `coro` on the engine's loop from any thread; the task inherits the caller's context variables."""
        return asyncio.run_coroutine_threadsafe(coro, self.loop)

    def call_soon(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` on the engine's loop soon, from any thread."""
        self.loop.call_soon_threadsafe(fn, *args)

    def call_together(self, fn: Callable[..., object], *args: object) -> None:
        """`call_soon` for many calls: the loop is woken once for all that arrive before it runs."""
        self._due.append((fn, args))
        if not self._is_woken:
            with hold_interrupts():  # an interrupt between the two would leave every later call waiting
                self._is_woken = True
                self.loop.call_soon_threadsafe(self._call_due)

    def _call_due(self) -> None:
        self._is_woken = False  # first: what comes from now on wakes the loop again
        while self._due:
            fn, args = self._due.popleft()
            self._loop.call_soon(fn, *args)

    def in_pool(self, fn: Callable[..., ResultT], *args: object) -> Future[ResultT]:
        """Call `fn` in the pool, with the caller's context variables."""
        return self.pool.submit(contextvars.copy_context().run, fn, *args)


#: the engine of this process
engine_thread = EngineThread()
