"""Stops the threads of loops that were left with greenlet when Python exits, so that none of them ends on a stack of its own.

Before 3.14, Python ends a daemon thread that takes the GIL during finalisation by `pthread_exit`. That unwinds the thread's C++ frames:
on a stack that greenlet has switched to, this is a segmentation fault. A thread that waits for a lock takes the GIL no more.
"""

from __future__ import annotations

import asyncio
import atexit
import operator
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from types import CodeType

from pocketflex_nb.concurrency.interruptible import wait_in_slices

__all__ = ["LAST", "hold_at_exit"]

#: seconds for which the end of Python waits for a step that does not return to its loop
LAST = 0.5

#: loop to its thread and the main function of the stacks that run it
_left: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[int, CodeType]] = weakref.WeakKeyDictionary()
_never = threading.Lock()
_never.acquire()


def hold_at_exit(loop: asyncio.AbstractEventLoop, main: CodeType) -> None:
    """Stop the calling thread, which runs `loop`, when Python exits.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        A loop that runs on stacks of its own; it is not kept.
    main : code object
        That of the function each such stack begins with.
    """
    _left[loop] = threading.get_ident(), main


@atexit.register  # on import: what users register later, and runs before, still has its threads
def _hold() -> None:
    """Suspended runs stay suspended, as the steps of any daemon thread do: a journal has them as under way."""
    if not _left:
        return
    import ctypes  # not with the package: it takes a tenth of the import's time

    for loop in list(_left):  # collected while Python finalises, its suspended stacks would be unwound there, by code that still waits
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(loop))
    alive = sys._current_frames()
    loops = {loop: there for loop, there in _left.items() if there[0] in alive and there[0] != threading.get_ident() and loop.is_running()}
    idents, held = {ident for ident, _ in loops.values()}, SimpleQueue[int]()
    for loop, (ident, _) in loops.items():
        try:
            loop.call_soon_threadsafe(_wait_for_ever, held, ident)
        except RuntimeError:  # closed meanwhile
            idents.discard(ident)
    if not _all_held(idents, held):
        for ident, main in set(loops.values()):
            if ident in idents and _first_code(ident) is main:  # it computes: its step ends as on a main thread that exits
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
        _all_held(idents, held)


def _wait_for_ever(held: SimpleQueue[int], ident: int) -> None:
    # both in one call of C: the interpreter cannot take the GIL away in between, so who gets the ident knows that the thread waits
    calls: tuple[Callable[[], object], ...] = (partial(held.put, ident), _never.acquire)
    list(map(operator.methodcaller("__call__"), calls))


def _all_held(idents: set[int], held: SimpleQueue[int]) -> bool:
    """Take those that wait out of `idents`, for at most `LAST` seconds; returns whether none is left."""

    def is_over(seconds: float) -> bool:
        if idents:
            with suppress(Empty):
                idents.discard(held.get(timeout=seconds))
        return not idents

    return wait_in_slices(is_over, LAST)


def _first_code(ident: int) -> CodeType | None:
    frame = sys._current_frames().get(ident)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code if frame is not None else None
