"""What becomes of a ref that travels? In its own process it is itself again."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.agents.errors import NotRunning
from pocketflex_nb.agents.home import homes

__all__ = ["REMOTE", "revive"]

#: in a process of its own, an agent's refs of the other process: filled by :mod:`pocketflex_nb.agents.worker`
REMOTE: list[Any] = []


def revive(pid: int, name: str, address: str) -> Any:
    """The ref of a life of this process, or, in an agent's own process, one that speaks through the pipe."""
    if REMOTE:
        return REMOTE[0](pid, name, address)
    for home in homes():
        life = home.lives.get(pid)
        if life is not None:
            return life.ref
    raise NotRunning(name)
