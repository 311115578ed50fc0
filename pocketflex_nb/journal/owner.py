"""Who holds a run: this process by a name of its own, and whether another one still lives."""

from __future__ import annotations

import functools
import os
import socket
import sys
import time
from pathlib import Path

__all__ = ["LEASE", "is_surely_dead", "lease_left", "owner_name", "owner_text"]

#: seconds that a process holds its runs for, unless it renews them
LEASE = 10.0
#: seconds by which a lease may seem longer than it is
_ROUNDING = 0.001
_SEPARATOR = "|"


def owner_name() -> str:
    """The name of this process: host, process namespace, number and time of start, and what it runs."""
    return _named(os.getpid())


@functools.cache
def _named(pid: int) -> str:
    program = "kernel" if "ipykernel" in sys.modules else Path(sys.argv[0] or "python").name
    parts = (socket.gethostname(), _namespace(), str(pid), _started(pid), program.replace(_SEPARATOR, "_"))
    return _SEPARATOR.join(parts)


def owner_text(owner: str) -> str:
    """An owner as people read it."""
    host, _, pid, _, program = (owner.split(_SEPARATOR, 4) + [""] * 5)[:5]
    return f"{program or 'a program'}, process {pid} on {host}"


def is_surely_dead(owner: str) -> bool:
    """Whether `owner` was a process of this machine that is not there any more. False when that cannot be told."""
    host, namespace, pid, started, _ = (owner.split(_SEPARATOR, 4) + [""] * 5)[:5]
    if not started or not pid.isdecimal() or (host, namespace) != (socket.gethostname(), _namespace()):
        return False
    return _started(int(pid)) != started


def _namespace() -> str:
    """Which numbers of processes this one sees: a container has its own."""
    try:
        return os.readlink("/proc/self/ns/pid") + os.readlink("/proc/self/ns/time")[5:] + _boot()
    except OSError:
        return ""


@functools.cache
def _boot() -> str:
    """Which start of the machine this is."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process was started, in ticks since the machine was; ``""`` when there is none, or the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]  # a zombie does nothing any more


def lease_left(until: object, lease: object) -> float:
    """The seconds that an owner's lease goes on for, by the clock that no one sets and all processes of a machine share; 0: it is over.

    After a restart of the machine that clock begins anew: the lease then ends too far ahead, or within its own length.
    """
    if not isinstance(until, float) or not isinstance(lease, float):
        return 0.0
    left = until - time.monotonic()
    return left if 0 < left <= lease + _ROUNDING else 0.0


