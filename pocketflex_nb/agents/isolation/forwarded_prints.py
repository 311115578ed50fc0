"""Forwards the prints of an agent's own process, line by line, to the process that started it."""

from __future__ import annotations

import contextvars
import io
import os
import sys
import threading
from collections.abc import Callable
from typing import Protocol, TextIO

__all__ = ["ForwardedStream", "InContext", "print_forwarded"]


class ForwardedStream(io.TextIOBase):
    """A text stream of a worker, whose lines are sent to the other process.

    Parameters
    ----------
    name : "stdout" or "stderr"
        Which stream it stands for.
    send : callable
        Gets `name` and a text.
    behind : text stream
        For what cannot travel: the other side is gone, or this is a fork.
    """

    encoding = "utf-8"

    def __init__(self, name: str, send: Callable[[str, str], None], behind: TextIO) -> None:
        super().__init__()
        self._name, self._send, self._behind = name, send, behind
        self._rest = threading.local()  # of each thread the line that is not ended yet
        self._pid = os.getpid()

    def writable(self) -> bool:
        """Always True."""
        return True

    def write(self, text: str) -> int:
        """Send the lines that `text` completes."""
        whole, newline, rest = (getattr(self._rest, "text", "") + text).rpartition("\n")
        self._rest.text = rest
        if newline:
            self._tell(whole + "\n")
        return len(text)

    def flush(self) -> None:
        """Send the incomplete line."""
        rest, self._rest.text = getattr(self._rest, "text", ""), ""
        if rest:
            self._tell(rest)

    def _tell(self, text: str) -> None:
        try:
            if os.getpid() == self._pid:
                self._send(self._name, text)
                return
        except (OSError, ValueError):  # the other side is gone
            pass
        self._behind.write(text)
        self._behind.flush()


class InContext(Protocol):
    """An incarnation as its prints see it."""

    @property
    def context(self) -> contextvars.Context | None:
        """The context of its task."""
        ...


def print_forwarded(incarnation: InContext, name: str, text: str) -> None:
    """Print in this process what the agent of `incarnation` printed in its own."""
    stream = sys.stderr if name == "stderr" else sys.stdout
    if incarnation.context is not None:
        incarnation.context.copy().run(stream.write, text)
    else:
        stream.write(text)
