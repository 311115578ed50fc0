"""The backend port of `Queue`; each other file here implements it for one kind of server or file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address

__all__ = ["QueueBackend", "QueueStats"]


class QueueBackend(Protocol):
    """One queue at one server or in one file; its methods may be awaited on any loop, by several tasks at once.

    Attributes
    ----------
    address : Address
        Where it is.
    is_leased : bool
        Whether what is held must be renewed. False where the place sees by itself that a consumer is gone.
    """

    address: Address
    is_leased: bool

    async def open(self) -> None:
        """Connect, and make what the queue needs there. Raises `Unreachable` or `Refused` within 5 s."""

    async def put(self, stored: StoredMessage, delay: float) -> None:
        """Store a message; return when it is stored."""

    async def receive(self, until: float | None, is_open: Callable[[], bool]) -> StoredMessage | None:
        """Deliver the next message and count it; None when the monotonic clock reads `until`, or `is_open` returns False."""

    async def ack(self, stored: StoredMessage) -> bool:
        """Delete a message; False if this consumer no longer holds it."""

    async def nack(self, stored: StoredMessage, delay: float) -> bool:
        """Make it available again after `delay` seconds."""

    async def dead_letter(self, stored: StoredMessage) -> bool:
        """Make it a dead letter."""

    async def renew(self, messages: Iterable[StoredMessage]) -> list[StoredMessage]:
        """Renew the leases of these messages; returns those that were lost."""

    async def stats(self) -> QueueStats:
        """The numbers of messages by state."""

    async def dead(self, limit: int) -> list[StoredMessage]:
        """The oldest dead letters."""

    async def requeue(self, ids: frozenset[str]) -> int:
        """Make dead letters available again, with a new count; all of them if `ids` is empty."""

    async def discard(self, ids: frozenset[str]) -> int:
        """Delete dead letters; all of them if `ids` is empty."""

    def drop(self, stored: StoredMessage) -> None:
        """Handle a message that was dropped unanswered, on any thread. Never waits."""

    async def close(self) -> None:
        """End the connections."""


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The numbers of messages by state.

    Attributes
    ----------
    ready : int
        Can be taken now.
    delayed : int
        Wait for their time. At RabbitMQ, those with lengths of delay that this queue object has used.
    held : int or None
        In the hands of consumers. None at RabbitMQ: AMQP tells what is ready, and to nobody what is unacknowledged.
    dead : int
        Dead letters.
    """

    ready: int
    delayed: int
    held: int | None
    dead: int
