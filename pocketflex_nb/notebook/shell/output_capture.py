"""Redirects prints of launched runs to their lanes, by context variable, wherever the printing code runs.

The proxies stand before the kernel's own streams. IPython assigns ``stream.write`` on every cell (its tee), so `write` and `flush`
are attributes of the proxy and never forwarded assignments. They hold interrupts while the kernel's stream writes: `OutStream.flush` waits
for a `threading.Event`, and an interrupt that comes when its lock has just been acquired leaves it so, which stops the thread that sends
every print of the kernel.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO
from weakref import WeakSet

from pocketflex_nb.concurrency.interruptible import uninterrupted
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.store.store import ConflictWarning
from pocketflex_nb.engine.records.emit import is_logging
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.shell.agent_lines import AgentLines
from pocketflex_nb.views.text.redaction import redacted_pieces
from pocketflex_nb.views.text.safe_text import inert

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode
    from pocketflex_nb.engine.records.lifecycle import Handle

__all__ = ["Lane", "finish_lines", "hidden_output", "install_output_capture", "mirrored_output", "remove_output_capture"]

_lanes: WeakSet[Lane] = WeakSet()
#: characters of a line that are kept to know what goes on in it
_BEGUN = 4_096

#: numbers of the runs whose prints also go to the cell (`--tee`)
mirrored_output: set[int] = set()
#: numbers of the runs whose prints are not shown (`--quiet`)
hidden_output: set[int] = set()


@dataclass(slots=True)
class _Line:
    """A line whose end was not printed yet; `told` when a part of it was, because the printing code flushed."""

    frame: Frame
    node: BaseNode | None
    text: str = ""
    told: bool = False


class Lane:
    """A text stream that passes prints of a launched run to the run, and everything else to the wrapped stream."""

    def __init__(self, behind: TextIO) -> None:
        self._behind = behind
        self._open: dict[tuple[int, int, int], _Line] = {}  # one per walk, thread and task: lines of siblings never mix
        self._begun: dict[tuple[int, int, int], str] = {}  # what the lines that go to the cell as well have had so far
        self._followed: set[int] = set()
        self._agents = AgentLines(behind)
        _lanes.add(self)

    def write(self, text: str) -> int:
        """Write `text` to the lane of the run that prints, else to the wrapped stream."""
        frame = CURRENT_FRAME.get()
        lane = None if frame is None else frame.lane_run
        if lane is None:
            life = CURRENT_AGENT.get()
            if life is None or not isinstance(text, str):
                return int(uninterrupted(self._behind.write)(text) or 0)
            return self._agents.write(life, text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if lane.number in mirrored_output:
            self._tee(frame, text)
        if not frame.fenced and lane.number not in hidden_output and not is_logging():
            self._keep(frame, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Show an incomplete line of the run that prints; flush the wrapped stream."""
        frame = CURRENT_FRAME.get()
        line = self._open.get(_key(frame)) if frame is not None else None
        if line is not None and line.text:
            line.frame.note("output", stream="token", text=line.text)
            line.text, line.told = "", True
        life = CURRENT_AGENT.get()
        if life is not None and (frame is None or frame.lane_run is None):
            self._agents.flush(life)
        uninterrupted(self._behind.flush)()

    def _tee(self, frame: Frame, text: str) -> None:
        """Write to the cell what goes to the lane as well: masked, with what the line has had so far."""
        key = _key(frame)
        before = self._begun.pop(key, "")
        told = redacted_pieces([before, text])[1]
        line = (before + text).rpartition("\n")[2]
        if line and frame.lane_run is not None:
            self._begun[key] = line[-_BEGUN:]
            self._follow(frame.run)
        uninterrupted(self._behind.write)(inert(told) if _is_terminal(self._behind) else told)

    def _keep(self, frame: Frame, text: str) -> None:
        """Whole lines become one event each; the rest waits for its end."""
        key = _key(frame)
        line = self._open.pop(key, None)
        if line is not None and line.node is not frame.node:
            _finish(line)
            line = None
        line = line or _Line(frame, frame.node)
        whole, newline, rest = (line.text + text).rpartition("\n")
        if newline:
            if line.told:  # the lane joins tokens: the line's end is one of them
                first, _, whole = (whole + "\n").partition("\n")
                frame.note("output", stream="token", text=first + "\n")
                whole = whole.removesuffix("\n")
                line.told = False
                lines = whole.split("\n") if whole else []
            else:
                lines = whole.split("\n")
            for one in lines:
                frame.note("output", stream="print", text=one)
        line.text = rest
        if rest or line.told:
            self._open[key] = line
            self._follow(frame.run)

    def _follow(self, run: Handle) -> None:
        """Ensure that a line without a newline is shown at the run's end."""
        if run.number not in self._followed:
            self._followed.add(run.number)
            run.add_done_callback(self.settle)

    def settle(self, run: Handle) -> None:
        """Pass the finished run what it printed without a newline."""
        self._followed.discard(run.number)
        self._begun.clear()
        for key, line in list(self._open.items()):
            if line.frame.run is run and self._open.pop(key, None) is not None:
                _finish(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._behind, name)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # a stand-in without the question, or closed
        return False


def _key(frame: Frame) -> tuple[int, int, int]:
    try:
        task = id(asyncio.current_task())
    except RuntimeError:  # a thread without a loop
        task = 0
    return id(frame), threading.get_ident(), task


def _finish(line: _Line) -> None:
    if line.text:
        now, line.frame.node = line.frame.node, line.node  # it belongs to the node that printed it
        line.frame.note("output", stream="token" if line.told else "print", text=line.text)
        line.frame.node = now


def finish_lines(run: Run) -> None:
    """Make every stream pass `run`, which is over, what it printed without a newline."""
    for lane in list(_lanes):
        lane.settle(run)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """Show a warning as ever, but for what a launched run's own events tell: its views mark that, once and without our file's name."""
    frame = CURRENT_FRAME.get()
    lane = None if frame is None else frame.lane_run
    if lane is None or lane.number in mirrored_output or not _is_told(message, category):
        _behind[0](message, category, filename, lineno, file, line)


def _is_told(message: Warning | str, category: type[Warning]) -> bool:
    return issubclass(category, ConflictWarning) or str(message).startswith("Flow ends: ")


#: what showed warnings before
_behind: list[Any] = []


def install_output_capture() -> None:
    """Put the proxies before `sys.stdout` and `sys.stderr`, and ours before what shows warnings."""
    if warnings.showwarning is not _show_warning:
        _behind[:] = [warnings.showwarning]
        warnings.showwarning = _show_warning
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Lane):
            setattr(sys, name, Lane(getattr(sys, name)))


def remove_output_capture() -> None:
    """Take them away."""
    if warnings.showwarning is _show_warning:
        warnings.showwarning = _behind[0]
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, Lane):
            setattr(sys, name, stream._behind)
