"""The backend port of `SharedStore`; each other file here implements it for one kind of server or file.

A backend keeps, for one store, the present text of every key, the last changes in the order of their numbers, and locks. The number of
a change is the store's version: 1, 2, 3 ... without gaps, and given in the order in which the changes become visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pocketflex_nb.resources.connections.urls import Address

__all__ = ["ChangeRow", "ConnectionLost", "FencingTokens", "StoreBackend", "VersionConflict", "checked_row"]

#: version, key as text, value as text (None: deleted), and who wrote it, as text
ChangeRow = tuple[int, str, str | None, str]
#: names of locks, each with the token that it must still have
FencingTokens = tuple[tuple[str, int], ...]


def checked_row(row: Sequence[object]) -> ChangeRow:
    """A row as a backend gave it, with texts where anything else was written."""
    version, name, text, who = row
    if version.__class__ is int and name.__class__ is str and who.__class__ is str and (text is None or text.__class__ is str):
        return version, name, text, who
    return version if version.__class__ is int else 0, _text(name), None if text is None else _text(text), _text(who)


def _text(found: object) -> str:
    if found.__class__ is str:
        return str(found)
    if isinstance(found, (bytes, bytearray, memoryview)):
        return bytes(found).decode("utf-8", "backslashreplace")
    return repr(found)


class VersionConflict(Exception):
    """The key is no longer at the expected version; nothing was written."""


class ConnectionLost(Exception):
    """The connection broke. The request may have been carried out, or not."""


class StoreBackend(Protocol):
    """One store at one server or in one file. Every method but `wait` may be called by any thread, one at a time.

    Attributes
    ----------
    address : Address
        Where it is.
    keep : int
        Changes kept, at least.
    """

    address: Address
    keep: int

    def load(self) -> tuple[int, list[ChangeRow]]:
        """The version, and for each key its last row."""

    def since(self, version: int) -> tuple[int, list[ChangeRow]]:
        """The version now, and the kept changes after `version`, oldest first."""

    def past(self, version: int) -> list[ChangeRow]:
        """The kept changes up to `version`, oldest first."""

    def write(self, key: str, text: str | None, who: str, expect: int | None, fence: FencingTokens) -> int:
        """Set a key, or delete it if `text` is None; returns the new version.

        `expect` is the version at which the key must be, 0 for missing, None for whatever. Raises `VersionConflict`, or `LockLost` when a
        lock of `fence` has another token now, or none.
        """

    def add(self, key: str, n: float, limit: float | None, reset: float | None, who: str, fence: FencingTokens) -> tuple[int, str] | None:
        """Add to a number; the version and the new text. None when the present value is not a number that the backend can add to."""

    def take_lock(self, name: str, owner: str, lease: float) -> int:
        """Acquire a lock for `lease` seconds; its token, higher than any before, or 0 if it is held."""

    def keep_lock(self, name: str, token: int, lease: float) -> bool:
        """Extend it to `lease` seconds from now; False if it is no longer held with that token."""

    def drop_lock(self, name: str, token: int) -> bool:
        """Release it; False if it was no longer held with that token."""

    def has_lock(self, name: str) -> bool:
        """Whether it is held."""

    def wait(self, version: int, timeout: float) -> None:
        """Wait until there is a change after `version`, at most `timeout` seconds. One thread calls it, beside all others."""

    def wake(self) -> None:
        """Wake the waiting thread, since this process has written."""

    def reopen(self) -> None:
        """Reconnect after `ConnectionLost`; `Unreachable` after some seconds of trying."""

    def close(self) -> None:
        """Close connections and files."""
