"""Runs whose handle an interrupt lost: it broke off the expression in which they were launched, before that bound or used the handle.

``await flow.launch_each(...)`` launches, and waits. An interrupt that comes after the one and before the other would leave runs that
nobody holds. So each launch of a notebook's cell notes where it was called, and a cell that was interrupted ends what was launched by a
call whose expression the traceback shows to be unfinished. Runs that were bound to a name, or given to anything before, go on.
"""

from __future__ import annotations

import dis
import sys
import threading
import weakref
from collections.abc import Iterable
from time import monotonic
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING

from pocketflex_nb.core.context import CURRENT_CELL

if TYPE_CHECKING:
    from pocketflex_nb.engine.runs.run import Run

__all__ = ["LaunchCall", "end_lost", "forget_calls", "launch_call"]

#: seconds that the runs get to end
_GRACE = 5.0
#: calls that are remembered until the cell is over
_KEPT = 1_000
#: instructions after which a value that a call returned is bound, or was given away
_TAKEN = ("STORE_", "POP_TOP", "LIST_APPEND", "SET_ADD", "MAP_ADD", "JUMP_BACKWARD", "RETURN_", "YIELD_VALUE")
#: those among them that waiting for the very value consists of
_WAITS = ("JUMP_BACKWARD_NO_INTERRUPT",)
_PACKAGE = __name__.partition(".")[0] + "."

_calls: dict[tuple[int, int], LaunchCall] = {}


class LaunchCall:
    """One call of `launch` or `launch_each` in code of the user's."""

    __slots__ = ("_at", "_code", "_key", "_runs")

    def __init__(self, frame: FrameType) -> None:
        self._code, self._at = frame.f_code, frame.f_lasti
        self._key = id(frame), frame.f_lasti
        self._runs: list[weakref.ref[Run]] = []
        _calls.pop(self._key, None)  # it is called again: what it gave the last time has been dealt with

    def returns(self, made: Iterable[Run]) -> None:
        """Note what the call gives back."""
        self._runs = [weakref.ref(run) for run in made]
        _calls[self._key] = self
        if len(_calls) > _KEPT:
            del _calls[next(iter(_calls))]

    def lost(self, frame: FrameType, at: int) -> list[Run]:
        """The runs, if `frame`, which was left at instruction `at`, made the call and had not bound what it gave."""
        if (id(frame), self._at) != self._key or frame.f_code is not self._code or not _is_on_stack(self._code, self._at, at):
            return []
        return [run for run in (ref() for ref in self._runs) if run is not None]


def launch_call() -> LaunchCall | None:
    """The call that is being made; None outside of a notebook's cell, whose main thread the stop button interrupts."""
    if CURRENT_CELL.get() is None or threading.get_ident() != threading.main_thread().ident:
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith((_PACKAGE, "contextlib")):
        frame = frame.f_back
    return None if frame is None else LaunchCall(frame)


def end_lost(traceback: TracebackType | None) -> None:
    """End the runs that the expressions broken off in `traceback` had launched and not bound, and wait until they are over."""
    lost: list[Run] = []
    while traceback is not None and _calls:
        for call in list(_calls.values()):
            lost += call.lost(traceback.tb_frame, traceback.tb_lasti)
        traceback = traceback.tb_next
    for run in lost:
        run.cancel()
    until = monotonic() + _GRACE
    for run in lost:
        run.wait(max(0.0, until - monotonic()))


def forget_calls() -> None:
    """Drop what is remembered: the cell is over."""
    _calls.clear()


def _is_on_stack(code: CodeType, call: int, now: int) -> bool:
    """Whether the value of the call at instruction `call` is still on the stack of `code` before instruction `now`."""
    if now < call:
        return False
    between = (i for i in dis.get_instructions(code) if call < i.offset < now)
    return not any(i.opname.startswith(_TAKEN) and i.opname not in _WAITS for i in between)
