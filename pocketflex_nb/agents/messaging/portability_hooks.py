"""Serialisation of refs: in its own process a ref is itself again, in any other it is the ref of an ended agent."""

from __future__ import annotations

import os
from typing import Any

from pocketflex_nb.agents.host.agent_host import host_for, hosts
from pocketflex_nb.agents.protocol.exit_reasons import DEAD
from pocketflex_nb.agents.protocol.tree_position import TreePosition

__all__ = ["REMOTE_REFS", "AbsentIncarnation", "find_incarnation", "process_origin"]

#: in a process of its own, an agent's refs of the other process: filled by :mod:`pocketflex_nb.agents.isolation.worker`
REMOTE_REFS: list[Any] = []
_origin: tuple[int, str] = (0, "")


def process_origin() -> str:
    """The identity of this process: numbers of agents are meaningful in one process only."""
    global _origin
    if _origin[0] != os.getpid():  # a fork is another process
        _origin = os.getpid(), os.urandom(16).hex()
    return _origin[1]


def find_incarnation(pid: int, of: str) -> Any:
    """The running agent of that number that was started in this process, or None."""
    if of == process_origin():
        for host in hosts():
            incarnation = host.incarnations.get(pid)
            if incarnation is not None:
                return incarnation
    return None


class AbsentIncarnation:
    """The part of an incarnation that a ref uses, for an agent that has ended or runs in another process."""

    status, reason = DEAD, "noproc"
    fenced = is_open = is_draining = is_listed = is_suspended = is_strict = False
    agent = queue = inbound = names = known = supervisor = ident = cause = cls = None
    handled = 0
    type = "worker"
    ref_class: Any = None

    def __init__(self, pid: int, name: str, address: str, of: str) -> None:
        self.pid, self.name, self.address, self.origin = pid, name, address, of
        self.slot = TreePosition(name)
        self.host = host_for()
        self.loop, self.log = self.host.loop, self.host.log

    def note(self, kind: str, data: Any = None, cause: Any = None, by: Any = None) -> int:
        """Does nothing."""
        return 0

    def on_exit_signal(self, reason: Any, by: Any, cause: Any = None) -> None:
        """Does nothing: the agent has ended."""
