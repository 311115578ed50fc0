"""Where do prints of a launched run go? To its lane, by context variable, wherever the printing code runs.

The proxies stand before the kernel's own streams. IPython assigns ``stream.write`` on every cell (its tee), so `write` and `flush`
are attributes of the proxy and never forwarded assignments.
"""

from __future__ import annotations

import sys
from typing import Any

from pocketflex_nb.core.context import FRAME

__all__ = ["Lane", "install", "quiet", "remove", "teed"]

#: numbers of the runs whose prints also go to the cell (`--tee`)
teed: set[int] = set()
#: numbers of the runs whose prints nobody wants to see (`--quiet`)
quiet: set[int] = set()


class Lane:
    """A text stream that gives what a launched run prints to the run, and everything else to the stream behind it."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind
        self._open: dict[int, str] = {}

    def write(self, text: str) -> int:
        """Write `text` to the lane of the run that prints, else to the stream behind."""
        frame = FRAME.get()
        if frame is None or not frame.run.launched:
            return int(self._behind.write(text) or 0)
        if not frame.fenced and frame.run.number not in quiet:
            self._keep(frame, text)
        if frame.run.number in teed:
            self._behind.write(text)
        return len(text)

    def _keep(self, frame: Any, text: str) -> None:
        """Whole lines become one event each; the rest waits for its end."""
        key = id(frame.node)
        whole, newline, rest = (self._open.pop(key, "") + text).rpartition("\n")
        if newline:
            for line in whole.split("\n"):
                frame.note("output", stream="print", text=line)
        if rest:
            self._open[key] = rest

    def flush(self) -> None:
        """Flush the stream behind."""
        self._behind.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


def install() -> None:
    """Put the proxies before `sys.stdout` and `sys.stderr`."""
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Lane):
            setattr(sys, name, Lane(getattr(sys, name)))


def remove() -> None:
    """Take them away."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, Lane):
            setattr(sys, name, stream._behind)
