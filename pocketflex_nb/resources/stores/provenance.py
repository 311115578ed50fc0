"""The provenance of a change in a shared store: run, node and step, and the process and host that they ran in."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.core.store.changes import Change, Written
from pocketflex_nb.core.store.writer import Writer

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["Elsewhere", "SharedChange", "SharedWritten", "Who", "kernel_name", "read_who", "who_text"]


@dataclass(frozen=True, slots=True)
class SharedChange(Change):
    """A `Change` with the kernel that made it.

    Attributes
    ----------
    kernel : str
        Host and process id: ``"lab-1:4711"``.
    """

    kernel: str = ""


@dataclass(frozen=True, slots=True)
class SharedWritten(Written):
    """A `Written` with the kernel: host and process id."""

    kernel: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """The writer of one change; `mark` is the change's own, given by the store object that sent it."""

    run: str
    node: str
    step: int
    kernel: str
    time: float
    mark: str


class Elsewhere(Writer):
    """A writer that is not a walk of this process: never related to one that is."""

    __slots__ = ("_text", "kernel")

    def __init__(self, text: str) -> None:
        super().__init__(None)
        self._text = text

    def resolve(self) -> Elsewhere:
        """Read the names, when they are first needed."""
        if self._text:
            who, self._text = read_who(self._text), ""
            self.run, self.path, self.kernel = who.run, who.node, who.kernel
        return self

    def is_related(self, frame: WalkFrame | None) -> bool:
        """False."""
        return False

    @property
    def name(self) -> str:
        """For messages, with the kernel."""
        self.resolve()
        who = f"node {self.path!r} of run {self.run!r}" if self.run else "code outside of any run"
        return f"{who} in kernel {self.kernel}"


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()


def kernel_name() -> str:
    """This process as others name it: ``host:pid``."""
    return f"{_host()}:{pid()}"


def who_text(frame: WalkFrame | None, mark: str) -> str:
    """The present writer, as text stored beside the value; `frame` is that of the running step, or None."""
    if frame is None:
        return f'{_nobodies.get(pid()) or _nobody(pid())}{time.time():.3f},"{mark}"]'
    run = frame.run
    node = "" if frame.node is None else str(frame.path(frame.node))
    step = _step_text(str(getattr(run, "name", "") or ""), node)
    return f'{step},{getattr(run, "hops", 0) + 1},{_kernel_text(pid())},{time.time():.3f},"{mark}"]'


@lru_cache(maxsize=256)
def _step_text(run: str, node: str) -> str:
    return json.dumps([run, node])[:-1]


_nobodies: dict[int, str] = {}


def _nobody(number: int) -> str:
    return _nobodies.setdefault(number, f'["","",0,{_kernel_text(number)},')


@lru_cache(maxsize=4)
def _kernel_text(number: int) -> str:
    return json.dumps(f"{_host()}:{number}")


def read_who(text: str) -> Who:
    """The writer that `who_text` encoded; unknown, if the text is not its own."""
    try:
        run, node, step, kernel, when, mark = json.loads(text)
        return Who(str(run), str(node), int(step), str(kernel), float(when), str(mark))
    except (ValueError, TypeError):
        return Who("", "", 0, "", 0.0, "")
