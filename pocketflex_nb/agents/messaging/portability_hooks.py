"""Serialisation of refs: in its own process a ref is itself again, in any other it is the ref of an ended agent."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from pocketflex_nb.agents.host.agent_host import Hosted, host_for, hosts
from pocketflex_nb.agents.host.inbox import Post
from pocketflex_nb.agents.messaging.envelopes import Addressee, Caller, Envelope, KeyTable, Watcher
from pocketflex_nb.agents.protocol.errors import NotRunning
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, Status
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.agents.protocol.tree_position import AgentInfo, TreePosition

__all__ = ["REMOTE_REFS", "AbsentIncarnation", "find_incarnation", "process_origin"]

#: in a process of its own, an agent's refs of the other process: filled by :mod:`pocketflex_nb.agents.isolation.worker`
REMOTE_REFS: list[Callable[[int, str, str, str], Ref]] = []
_origin: tuple[int, str] = (0, "")


def process_origin() -> str:
    """The identity of this process: numbers of agents are meaningful in one process only."""
    global _origin
    if _origin[0] != os.getpid():  # a fork is another process
        _origin = os.getpid(), os.urandom(16).hex()
    return _origin[1]


def find_incarnation(pid: int, of: str) -> Hosted | None:
    """The running agent of that number that was started in this process, or None."""
    if of == process_origin():
        for host in hosts():
            incarnation = host.incarnations.get(pid)
            if incarnation is not None:
                return incarnation
    return None


class _NoMailbox:
    """The mailbox of an absent incarnation: what is put into it is lost."""

    def __init__(self) -> None:
        self.queue: deque[Envelope] | None = None
        self.is_draining = self.is_suspended = self.is_blocked = False
        self.handled = 0

    def put(self, item: Envelope) -> None:
        """Does nothing."""


class AbsentIncarnation:
    """The incarnation that a ref has whose agent has ended or runs in another process: it takes nothing."""

    type = "worker"
    agent: Any = None
    cls: Any = None
    ref_class: builtins.type[Any]
    ref: Ref
    status: Status = DEAD
    reason: object = "noproc"
    cause: int | None = None
    ident: int | None = None
    fenced = is_open = is_listed = is_strict = is_busy = False
    backlog = 0
    supervisor: Addressee | None = None
    inbound: deque[Post] | None = None
    task: asyncio.Task[None] | None = None
    reentrant_tasks: set[asyncio.Task[None]] | None = None
    current_call: Caller | None = None
    pending_replies: set[Caller] | None = None
    pending_exit: tuple[object, bool] | None = None
    watchers: list[Watcher] | None = None
    links: set[Addressee] | None = None
    names: dict[tuple[KeyTable, Hashable], list[int]] | None = None
    known: Hashable | None = None
    cleanups: list[Callable[[Addressee], object]] | None = None

    def __init__(self, pid: int, name: str, address: str, of: str) -> None:
        self.pid, self.name, self.address, self.origin = pid, name, address, of
        self.slot = TreePosition(name)
        self.info = AgentInfo(self.slot, pid, self.type, "")
        self.host = host_for()
        self.loop, self.log = self.host.loop, self.host.log
        self.mailbox = _NoMailbox()

    def note(self, kind: str, data: object = None, cause: int | None = None, by: Hosted | None = None) -> int:
        """Does nothing."""
        return 0

    def on_exit_signal(self, reason: object, by: Hosted | None, cause: int | None = None, *, is_linked: bool = False) -> None:
        """Does nothing: the agent has ended."""

    def abandon(self) -> None:
        """Does nothing."""

    def put(self, item: Envelope) -> None:
        """Does nothing: the message is lost."""

    def cancel_call(self, caller: Caller) -> None:
        """Does nothing."""

    def clear_cancel(self, item: Caller) -> bool:
        """Always False."""
        return False

    async def successor(self, seconds: float) -> Addressee:
        """Raise: it has no name and no position in this process.

        Raises
        ------
        NotRunning
            Always.
        """
        raise NotRunning(self.name)
