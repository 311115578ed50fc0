"""The transport between a replica and its backend: requests that survive a broken connection, and the end of all requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pocketflex_nb.core.errors import StoreError, Unreachable
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, ConnectionLost, StoreBackend

__all__ = ["Transport"]

ResultT = TypeVar("ResultT")

#: connections after which a write whose fate is unknown is given up
_ATTEMPTS = 5


class Transport:
    """Round trips to one backend.

    Attributes
    ----------
    backend : StoreBackend
        Where the store is kept.
    is_closed : bool
        Whether the store was closed: every request raises from then on.
    """

    __slots__ = ("__weakref__", "backend", "is_closed")

    def __init__(self, backend: StoreBackend) -> None:
        self.backend, self.is_closed = backend, False

    @property
    def url(self) -> str:
        """The store's URL, without secrets."""
        return self.backend.address.safe

    def closed_error(self) -> StoreError:
        """The error of a request to a store that was closed."""
        return StoreError(f"the store {self.url} is closed; open it again: open_store(...)")

    def request(self, ask: Callable[[StoreBackend], ResultT]) -> ResultT:
        """Send a request that may be repeated safely, again after each loss of the connection."""
        while True:
            if self.is_closed:
                raise self.closed_error()
            try:
                return ask(self.backend)
            except ConnectionLost:
                self.backend.reopen()

    def resume(self, mark: str, known: int, send: Callable[[], ResultT], read: Callable[[ChangeRow], ResultT]) -> ResultT:
        """Complete a write during which the connection broke: ``read(row)`` if it was done, ``send()`` if it was not.

        Parameters
        ----------
        mark : str
            What the provenance of this change alone contains.
        known : int
            The version known here before it was sent.

        Raises
        ------
        Unreachable
            Whether it was done cannot be told.
        """
        for _ in range(_ATTEMPTS):
            self.backend.reopen()
            try:
                version, rows = self.backend.since(known)
                if version != known and not (rows and rows[0][0] == known + 1):
                    break
                done = next((row for row in rows if mark in row[3]), None)
                return send() if done is None else read(done)
            except ConnectionLost:
                continue
        address = self.backend.address
        raise Unreachable(
            f"the connection to {self.url} broke while a value was being written, and whether it was written cannot be told; "
            "read it before writing again", url=self.url, host=address.host, port=address.port,
        )
