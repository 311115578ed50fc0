"""The address of an agent, as code below `AgentRef` sees it."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Ref"]


class Ref(Protocol):
    """What every address offers: an `AgentRef` in the agents' process, a `RemoteRef` in an agent's own one."""

    @property
    def name(self) -> str:
        """The id as text."""
        ...

    @property
    def pid(self) -> int:
        """Number of the incarnation."""
        ...

    @property
    def address(self) -> str:
        """Path in the supervision tree."""
        ...

    async def call(self, message: object, *, timeout: float | None = 5.0) -> Any:
        """Send a call and return its reply."""
        ...

    def cast(self, message: object) -> None:
        """Send a message for `handle_cast`."""
        ...

    def send(self, message: object) -> None:
        """Send a message for `handle_info`."""
        ...

    def exit(self, reason: object = "shutdown") -> None:
        """Send an exit signal."""
        ...

    def __getattr__(self, name: str) -> Any:
        """The other methods of the ref, among them those that the agent's class marks as handlers."""
