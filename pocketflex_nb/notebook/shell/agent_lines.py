"""Routes agents' prints, line by line under the agent's name, to the run whose node started the agent, else to the cell that did."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TextIO

from pocketflex_nb.concurrency.interruptible import uninterrupted
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.views.text.page_text import clean

if TYPE_CHECKING:
    from pocketflex_nb.agents.actor.incarnation import Incarnation
    from pocketflex_nb.agents.tasks.task_incarnation import TaskIncarnation

__all__ = ["AgentLines"]

_OVER = frozenset({"done", "failed", "cancelled"})


class AgentLines:
    """Prints of agents to one stream: whole lines, so that those of several never mix.

    Notes
    -----
    An agent's code runs with the context variables of the cell that started it, and so does its supervisor's restart of it: the kernel's
    stream finds that cell by them.
    """

    def __init__(self, behind: TextIO) -> None:
        self._behind = behind
        self._open: dict[tuple[int, int, int], str] = {}  # one per life, thread and task

    def write(self, life: Incarnation | TaskIncarnation, text: str) -> int:
        """Write the lines that `text` completes; the rest waits for its end. Prints of a zombie are dropped."""
        if life.fenced:
            return len(text)
        key = _key(life)
        whole, newline, rest = (self._open.pop(key, "") + text).rpartition("\n")
        if newline:
            for line in whole.split("\n"):
                self._tell(life, line)
        if rest:
            self._open[key] = rest
            if self._end not in (life.cleanups or ()):
                life.cleanups = [*(life.cleanups or ()), self._end]
        return len(text)

    def flush(self, life: Incarnation | TaskIncarnation) -> None:
        """Show the incomplete line."""
        rest = self._open.pop(_key(life), "")
        if rest and not life.fenced:
            self._tell(life, rest)

    def _end(self, life: Any) -> None:
        """At the agent's end: show what it printed without a newline."""
        for key in [key for key in list(self._open) if key[0] == id(life)]:
            rest = self._open.pop(key)
            if life.context is not None and not life.fenced:
                life.context.copy().run(self._tell, life, rest)

    def _tell(self, life: Incarnation | TaskIncarnation, line: str) -> None:
        line = f"[{clean(life.name, 80)}] {line}"
        frame = life.lane
        run = frame.lane_run if isinstance(frame, Frame) else None
        if isinstance(frame, Frame) and run is not None and run.status not in _OVER and not frame.fenced:
            frame.note("output", stream="print", text=line)
        else:
            uninterrupted(self._behind.write)(f"{line}\n")


def _key(life: Incarnation | TaskIncarnation) -> tuple[int, int, int]:
    try:
        task = id(asyncio.current_task())
    except RuntimeError:  # a thread without a loop
        task = 0
    return id(life), threading.get_ident(), task
