"""The backend port of `Topic`; each other file here implements it for one kind of server or file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol

from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address

__all__ = ["Feed", "TopicBackend", "followed"]


class Feed(Protocol):
    """The receiver of what a backend publishes."""

    def push(self, messages: list[StoredMessage], missed: int) -> bool:
        """News, oldest first, and how many were lost before them; False when no more are wanted. Any thread, never waits."""

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""


class TopicBackend(Protocol):
    """One topic at one server or in one file.

    Attributes
    ----------
    address : Address
        Where it is.
    """

    address: Address

    async def open(self) -> None:
        """Connect, and make what the topic needs there. Raises `Unreachable` or `Refused` within 5 s."""

    async def publish(self, stored: StoredMessage) -> None:
        """Deliver it to all who are attached; return when the backend has it. On any loop."""

    async def attach(self, feed: Feed) -> Callable[[], None]:
        """Push what is published from now on to `feed`; returns a function that ends this, for any thread. On the room's own loop."""

    async def close(self) -> None:
        """End the connections."""


def followed(follow: Coroutine[object, None, None], feed: Feed) -> Callable[[], None]:
    """Run `follow` on the running loop and tell `feed` when it fails; returns a function that cancels it from any thread."""
    loop = asyncio.get_running_loop()

    async def run() -> None:
        try:
            await follow
        except Exception as exc:
            feed.fail(exc)

    task = loop.create_task(run())

    def end() -> None:
        try:
            loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # that loop was closed
            pass

    return end
