"""The refresh loop: one thread that updates all views, ten times a second at most, and sends only what changed.

A run never calls a view. A slow update is followed by a longer pause, so that all views together cost a few hundredths of the time,
whatever they show. A view that failed, whatever a value raised that it was to show, is closed and reported once in the log, with that
value's class and key; display code never raises into the user's code.

The thread stays when no view is open: a kernel gives each thread that sends messages to the page a pipe of its own, and closes it ten
seconds after the thread's end. Quick cells with a new thread each would run out of file descriptors.
"""

from __future__ import annotations

import logging
import threading
from math import inf
from time import perf_counter, process_time, sleep, thread_time
from typing import Protocol

from pocketflex_nb.core.user_traceback import is_engine_file
from pocketflex_nb.core.value_text import class_name
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["BEAT", "CELL_END_TIMEOUT", "HEAVY", "PER_SECOND", "REST", "SLOWEST", "RefreshLoop", "Refreshable", "refresh_loop"]

#: seconds between two looks: ten screen updates a second at most
BEAT = 0.1
#: messages a second that all views send together at most; the front end's server drops what is above 1 000
PER_SECOND = 200
#: a look that took a second would be followed by so many seconds of rest, but by `SLOWEST` seconds at most
REST, SLOWEST = 30.0, 1.0
#: seconds of a look that rests by the processor's time, and twice as long by the clock's: on a machine that others use too, the clock
#: runs on while the runs stand
HEAVY = 0.008


#: seconds that a cell's end waits for the last look of views, at most
CELL_END_TIMEOUT = 0.5
#: seconds that the thread rests at least, whatever is due
_LEAST = 0.005
_NOW: tuple[float, float] = (0.0, 0.0)
_IN_PROGRESS: tuple[float, float] = (-1.0, -1.0)


_log = logging.getLogger("pocketflex_nb")


class Refreshable(Protocol):
    """A view that the refresh loop keeps up to date."""

    def refresh(self) -> bool:
        """Send what changed; return False when there is nothing more to follow."""
        ...


class RefreshLoop:
    """Calls `refresh` of every open view, from one daemon thread that is idle when none is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Refreshable] = []
        self._due: dict[int, tuple[float, float]] = {}  # id of a view: by which clock, or which processor time, it is looked after
        self._thread: threading.Thread | None = None
        self._rests = False  # whether the thread waits for a view
        self._wake = threading.Event()
        self._refreshing = threading.RLock()  # held during a look
        self._is_refreshing = False

    @property
    def is_running(self) -> bool:
        """Whether any view is open or being updated."""
        return bool(self._open) or self._is_refreshing

    def follow(self, view: Refreshable) -> None:
        """Keep `view` up to date until it reports that it is done. It gets at least one update that begins after this call."""
        with self._lock:
            if not any(known is view for known in self._open):
                self._open.append(view)
            self._due[id(view)] = _NOW
            if self._thread is None or not self._thread.is_alive():  # the first time, and in a forked child
                self._thread = threading.Thread(target=self._loop, name="pocketflex-views", daemon=True)
                self._thread.start()
            elif self._rests:
                self._rests = False
                self._wake.set()

    def hurry(self) -> None:
        """Update now: a button was pressed."""
        self._wake.set()

    def finish(self, *_: object) -> None:
        """Give the views that are due for their last update that update, at a cell's end.

        What they tell belongs to the cell: a client such as nbclient drops what comes between it and the next one, and the saved
        notebook would show runs that are over as running.
        """
        last = [view for view in self._open if getattr(view, "is_last", False)]
        if not last:
            return
        try:
            for view in last:
                self.follow(view)
            self.hurry()
            until = perf_counter() + CELL_END_TIMEOUT
            while any(view in last for view in self._open) and perf_counter() < until:
                sleep(_LEAST)
        except KeyboardInterrupt:  # the stop button, when there is nothing left to stop: the cell is over
            return

    def rested(self, seconds: float = CELL_END_TIMEOUT) -> bool:
        """Wait, at most so many `seconds`, until there is nothing to update; returns whether there is nothing."""
        until = perf_counter() + seconds
        while self.is_running and perf_counter() < until:
            sleep(_LEAST)
        return not self.is_running

    def last(self, view: Refreshable) -> None:
        """Update `view` for the last time, here and now, when a running update, if any, is over."""
        self.close(view)
        with self._refreshing:
            view.refresh()

    def close(self, view: Refreshable) -> None:
        """Stop following `view`."""
        with self._lock:
            self._drop(view)

    def _drop(self, view: Refreshable) -> None:
        self._open = [known for known in self._open if known is not view]
        self._due.pop(id(view), None)

    def _loop(self) -> None:
        while True:
            try:
                self._loop_once()
            except BaseException:  # code of the user's, such as a signal handler's or a finalizer's, may raise anywhere
                _log.exception("the views' thread was disturbed and goes on")

    def _loop_once(self) -> None:
        self._is_refreshing = True
        try:
            for view in list(self._open):
                clock, processor = self._due.get(id(view), _NOW)
                if clock <= perf_counter() or processor <= process_time():
                    self._serve(view)
        finally:
            self._is_refreshing = False
        with self._lock:
            self._rests = not self._open
            first = min((clock for clock, _ in self._due.values()), default=inf)
        self._wake.wait(None if self._rests else min(max(first - perf_counter(), _LEAST), BEAT))
        self._wake.clear()

    def _serve(self, view: Refreshable) -> None:
        with self._lock:
            self._due[id(view)] = _IN_PROGRESS  # `follow` puts `_NOW` here: somebody wants one more look
            beat = max(BEAT, len(self._open) / PER_SECOND)
        began, begun = perf_counter(), thread_time()  # what it took from others: not what it waited for them, with a busy main thread
        goes_on = self._refresh(view)
        spent, ended = thread_time() - begun, perf_counter()
        with self._lock:
            if self._due.get(id(view)) is not _IN_PROGRESS:  # asked for again meanwhile, or closed
                return
            if goes_on:
                self._due[id(view)] = _after(spent, ended, began + beat)
            else:
                self._drop(view)

    def _refresh(self, view: Refreshable) -> bool:
        try:
            with self._refreshing:
                return view.refresh()
        except BaseException as error:  # a value's own code may raise SystemExit, too, and must not end this thread
            _log.exception("a view could not be brought up to date and was closed%s", _culprit(error))
            return False


def _culprit(error: BaseException) -> str:
    """Which value was being shown when `error` was raised, as far as our own steps on the way tell."""
    where, key, trace = "", "", error.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_locals
        if is_engine_file(trace.tb_frame.f_code.co_filename):
            key = key if not isinstance(names.get("key"), (str, int, tuple)) else shown(f"{names['key']!r}"[:200])
            if "value" in names:
                where = class_name(names["value"])
        trace = trace.tb_next
    return f": a value of class {where}{f' under {key}' if key else ''} raised {class_name(error)}" if where else ""


def _after(spent: float, ended: float, beat: float) -> tuple[float, float]:
    """When to update again after an update of `spent` seconds that ended at `ended`, not before `beat`."""
    rest = spent * REST
    if spent < HEAVY:
        return max(ended + rest - BEAT, beat), inf
    return ended + min(2 * rest, SLOWEST), process_time() + rest


#: the refresh loop of this process
refresh_loop = RefreshLoop()
