"""The topic backend in this process: ``memory:news`` is the same topic wherever it is opened."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pocketflex_nb.resources.connections.stored_message import StoredMessage
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.topics.backends.backend import Feed

__all__ = ["MemoryTopicBackend"]


class _Board:
    """The subscribers of one topic."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.feeds: dict[int, Feed] = {}


_boards: dict[str, _Board] = {}
_guard = threading.Lock()


def _board(name: str) -> _Board:
    if not name:
        return _Board()
    with _guard:
        return _boards.setdefault(name, _Board())


class MemoryTopicBackend:
    """See `TopicBackend`."""

    def __init__(self, address: Address) -> None:
        self.address, self._board = address, _board(address.name)

    async def open(self) -> None:
        """Does nothing."""

    async def publish(self, stored: StoredMessage) -> None:
        """Push it to every subscriber."""
        board = self._board
        with board.lock:
            feeds = list(board.feeds.items())
        for key, feed in feeds:  # without the lock: a subscriber's function may publish or subscribe
            if not feed.push([stored], 0):
                board.feeds.pop(key, None)

    async def attach(self, feed: Feed) -> Callable[[], None]:
        """Add the subscriber."""
        board = self._board
        with board.lock:
            board.feeds[id(feed)] = feed

        def end() -> None:
            with board.lock:
                board.feeds.pop(id(feed), None)

        return end

    async def close(self) -> None:
        """Does nothing."""
