"""Runs as text where no widget can be shown: a few lines, updated in place in a kernel and as one line in a terminal."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pocketflex_nb.core.state import State
from pocketflex_nb.notebook.run_data.pending import crowd_waits, waits_told
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.run_labels import origin_text, unfinished_text
from pocketflex_nb.views.text.page_text import clean

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

__all__ = ["LINES", "TextView"]

#: runs that have a line each; for more there is one line for all
LINES = 12
#: seconds between two updates
_EVERY, _TERMINAL_EVERY = 0.5, 2.0
#: seconds between two updates of a line that is written over
_LIVE_EVERY = 0.25
_BAR = 20
#: back to the line's begin, and the line emptied
_CLEAR = "\r\x1b[K"


class TextView:
    """Runs as text, kept up to date by the refresh loop.

    Parameters
    ----------
    runs : list of Run
        What to show.
    name : str or None
        What they are called together.
    is_kernel : bool
        Whether an output can be written anew.

    Notes
    -----
    A terminal has one line that is written over while a cell waits, cut to its width, and the lines of all runs at the end; between
    the cells it is left alone, since somebody may be typing. A pipe gets new lines.
    """

    def __init__(self, runs: Sequence[ViewedRun], name: str | None, *, is_kernel: bool) -> None:
        self.runs, self.name = list(runs), name
        self._handle: DisplayHandle | None = None
        self._said = ""
        self._over = self._is_open = False
        self._refreshing = threading.Lock()
        self._every = _EVERY if is_kernel else _LIVE_EVERY if _is_terminal() else _TERMINAL_EVERY
        self._next = time.monotonic() + self._every
        if is_kernel:
            from IPython.display import display

            self._said = self.text()
            self._handle = display({"text/plain": self._said}, raw=True, display_id=True)

    def add(self, runs: Sequence[ViewedRun]) -> None:
        """Show more runs in the same text."""
        self.runs.extend(run for run in runs if run not in self.runs)
        self._over = False

    @property
    def is_last(self) -> bool:
        """Whether all its runs are over, so that the next update is the last."""
        return all(run.done() for run in self.runs)

    def refresh(self) -> bool:
        """Print what changed; False when every run is over."""
        with self._refreshing:  # a cell's end looks as well, and must not overtake the refresh loop
            live = not all(run.done() for run in self.runs)
            if not live and not self._over:
                self._over = True
                self._say()
            elif live and time.monotonic() >= self._next:
                self._next = time.monotonic() + self._every
                self._say()
            return live

    def _say(self) -> None:
        text = self.text()
        if text == self._said:
            return
        self._said = text
        if self._handle is None:
            self._say_in_terminal(text)
            return
        with contextlib.suppress(Exception):  # the page may be gone
            self._handle.update({"text/plain": text}, raw=True)

    def _say_in_terminal(self, text: str) -> None:
        if not _is_terminal():
            print(text, flush=True)
        elif self._over:
            print(f"{_CLEAR if self._is_open else ''}{text}", flush=True)
            self._is_open = False
        elif _cell_waits():
            print(f"{_CLEAR}{self.line()[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
            self._is_open = True

    def text(self) -> str:
        """The status of each run or, when there are many, of all in one line."""
        if len(self.runs) <= LINES:
            return "\n".join(_line(run) for run in self.runs)
        failed = [_line(run) for run in self.runs if run.status == "failed"][:5]
        return "\n".join([self.line(), *failed])

    def line(self) -> str:
        """The status in one line."""
        if len(self.runs) == 1:
            return _line(self.runs[0])
        counts = Counter(run.status for run in self.runs)
        order = ("done", "failed", "cancelled", "unfinished", "running", "asking", "paused", "pending")
        told = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
        over = sum(run.done() for run in self.runs)
        waits = waits_told(crowd_waits(self.runs))
        return f"{clean(self.name or 'runs', 200)}: {told}  {_bar(over, len(self.runs))}{f'  waits: {waits}' if waits else ''}"


def _is_terminal() -> bool:
    """Whether what is printed is seen on a terminal, which can go back to a line's begin."""
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):  # a stand-in without the question, or closed
        return False


def _cell_waits() -> bool:
    """Whether a cell is running, so that the user is not typing."""
    from IPython import get_ipython

    return bool(getattr(getattr(get_ipython(), "display_trap", None), "is_active", False))


def _line(run: ViewedRun) -> str:
    state: State = run.state()
    at = f" at {', '.join(run.in_flight()[:3])}" if not run.done() and run.in_flight() else ""
    name = clean(run.name, 200)
    parts = [f"{name}: {run.status}{clean(at, 400)}", f"{state.steps} step{'s' if state.steps != 1 else ''}", f"{run.seconds:.1f} s"]
    if state.tokens:
        parts.append(f"{state.tokens:g} tokens")
    if state.total:
        parts.append(_bar(state.done or 0, state.total))
    if state.error and run.status == "failed":
        parts.append(clean(state.error.splitlines()[0], 200))
    if origin := origin_text(run):
        parts.append(clean(origin, 120))
    if unfinished := unfinished_text(run):
        parts.append(clean(unfinished.partition(": ")[2], 400))
    if waits := waits_told([wait for wait in state.waits if wait.kind not in ("question", "pause")]):
        parts.append(f"waits: {waits}")
    for event in state.asking.values() if not run.done() else ():
        parts.append(f"asks: {clean(str(event['question']), 200)} (%pocketflex answer {name} ...)")
    return ", ".join(parts)


def _bar(done: float, total: float) -> str:
    part = min(max(done / total, 0.0), 1.0)
    full = round(part * _BAR)
    return f"{'█' * full}{'·' * (_BAR - full)} {part:4.0%} {done:g}/{total:g}"
