"""How do runs look where there is no widget? A few lines of text: brought up to date in a kernel, one after the other in a terminal."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import Any

from pocketflex_nb.core.state import State
from pocketflex_nb.views.secrets import redacted

__all__ = ["LINES", "TextView"]

#: runs that have a line each; for more there is one line for all
LINES = 12
#: seconds between two updates
_EVERY, _TERMINAL_EVERY = 0.5, 2.0
_BAR = 20


class TextView:
    """Runs as text. Followed by the pump of views.

    Parameters
    ----------
    runs : list of Run
        What to show.
    name : str or None
        What they are called together.
    is_kernel : bool
        Whether an output can be written anew; a terminal gets new lines instead.
    """

    def __init__(self, runs: list[Any], name: str | None, *, is_kernel: bool) -> None:
        self.runs, self.name, self._is_kernel = runs, name, is_kernel
        self._handle: Any = None
        self._said = ""
        self._next = time.monotonic() + (_EVERY if is_kernel else _TERMINAL_EVERY)
        self._over = False
        if is_kernel:
            from IPython.display import display

            self._said = self.text()
            self._handle = display({"text/plain": self._said}, raw=True, display_id=True)

    def add(self, runs: list[Any]) -> None:
        """Show more runs in the same text."""
        self.runs.extend(run for run in runs if run not in self.runs)
        self._over = False

    def look(self) -> bool:
        """Say what changed; False when every run is over."""
        live = not all(run.done() for run in self.runs)
        if not live and not self._over:
            self._over = True
            self._say()
        elif live and time.monotonic() >= self._next:
            self._next = time.monotonic() + (_EVERY if self._is_kernel else _TERMINAL_EVERY)
            self._say()
        return live

    def _say(self) -> None:
        text = self.text()
        if text == self._said:
            return
        self._said = text
        if self._handle is None:
            print(text, flush=True)
            return
        with contextlib.suppress(Exception):  # the page may be gone
            self._handle.update({"text/plain": text}, raw=True)

    def text(self) -> str:
        """How it stands, for each run or, when there are many, in one line."""
        if len(self.runs) <= LINES:
            return "\n".join(_line(run) for run in self.runs)
        counts = Counter(run.status for run in self.runs)
        order = ("done", "failed", "cancelled", "running", "asking", "paused", "pending")
        told = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
        over = sum(run.done() for run in self.runs)
        failed = [_line(run) for run in self.runs if run.status == "failed"][:5]
        return "\n".join([f"{self.name or 'runs'}: {told}  {_bar(over, len(self.runs))}", *failed])


def _line(run: Any) -> str:
    state: State = run.state()
    at = f" at {', '.join(run.in_flight()[:3])}" if not run.done() and run.in_flight() else ""
    parts = [f"{run.name}: {run.status}{at}", f"{state.steps} step{'s' if state.steps != 1 else ''}", f"{run.seconds:.1f} s"]
    if state.tokens:
        parts.append(f"{state.tokens:g} tokens")
    if state.total:
        parts.append(_bar(state.done or 0, state.total))
    if state.error and run.status == "failed":
        parts.append(redacted(state.error.splitlines()[0][:200]))
    for event in state.asking.values():
        parts.append(f"asks: {str(event['question'])[:200]} (%pocketflex answer {run.name} ...)")
    return ", ".join(parts)


def _bar(done: float, total: float) -> str:
    part = min(max(done / total, 0.0), 1.0)
    full = round(part * _BAR)
    return f"{'█' * full}{'·' * (_BAR - full)} {part:4.0%} {done:g}/{total:g}"
