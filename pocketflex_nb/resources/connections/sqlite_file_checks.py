"""Checks that an SQLite file is still the one that was opened and private to its user; a clock that never runs backwards."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from pocketflex_nb.core.errors import ResourceError
from pocketflex_nb.resources.connections.urls import Address

__all__ = ["FOLLOWER", "Execute", "OpenedFile", "SteadyClock", "made_private", "raw_of", "readable_name", "refuse_triggers", "sqlite_text"]

#: name of the thread that follows a store
FOLLOWER = "pocketflex-follow"


class Execute(Protocol):
    """Runs one statement: the `execute` of a connection or cursor."""

    def __call__(self, sql: str, parameters: Sequence[object] = ..., /) -> sqlite3.Cursor:
        """The cursor with its rows."""
        ...


def made_private(path: str | os.PathLike[str]) -> None:
    """Create the file, if there is none, readable by its user only; SQLite gives its helper files the same mode."""
    with contextlib.suppress(OSError):  # it is there, or its folder is not, which who opens it tells
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


#: what a text begins with that stands for bytes that are no text; no JSON does
_MARK = "\ufffd"
_ESCAPED = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def sqlite_text(data: bytes) -> str:
    """A text of the file; a marked one, which `raw_of` turns back, when its bytes are not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _marked("text", data)


def readable_name(found: object) -> str:
    """A name as the file has it: a text as it is, anything else as a marked text, which no other name has.

    Examples
    --------
    >>> readable_name("a"), raw_of("a")
    ('a', None)
    >>> raw_of(readable_name(b"a"))
    (b'a', 'blob')
    """
    if found.__class__ is str:
        return str(found)
    return _marked("blob", found) if isinstance(found, bytes) else repr(found)


def raw_of(name: str) -> tuple[bytes, str] | None:
    """The bytes that a marked text stands for, and ``"text"`` or ``"blob"``: how the file has them; None for any other text."""
    if not name.startswith((f"{_MARK}text:", f"{_MARK}blob:")):
        return None
    escaped = name[6:].encode("utf-8", "surrogatepass")
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]) if found[1] else b"\\", escaped), name[1:5]


def _marked(kind: str, data: bytes) -> str:
    return f"{_MARK}{kind}:" + data.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


class OpenedFile:
    """The identity of the opened file in the file system."""

    __slots__ = ("_address", "_known", "_path")

    def __init__(self, path: str | os.PathLike[str], address: Address) -> None:
        self._path, self._address = os.fspath(path), address
        self._known = self._now()

    def _now(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def check(self) -> None:
        """Raise unless the file is still the same.

        Raises
        ------
        ResourceError
            It was removed or replaced: what is written to it would be read by nobody.
        """
        try:  # at every verb: two microseconds
            found = os.stat(self._path)
            if self._known == (found.st_dev, found.st_ino):
                return
        except OSError:
            pass
        now = self._now()
        if now != self._known:
            what = "removed" if now is None else "replaced by another"
            raise ResourceError(
                f"the file of {self._address.safe} was {what} while it was open here, so that nothing more reaches it; open it again, "
                "or put the file back from a copy first", url=self._address.safe,
            )


def refuse_triggers(do: Execute, address: Address) -> None:
    """Raise if our tables have triggers that are not ours.

    Raises
    ------
    ResourceError
        One does: it could change or drop what is written.
    """
    found = do("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'pfx\\_%' ESCAPE '\\' "
               "AND name NOT LIKE 'pfx\\_guard\\_%' ESCAPE '\\'").fetchone()
    if found is not None:
        raise ResourceError(
            f"{address.safe}: a trigger {found[0]!r} stands on the table {found[1]}, and could change or drop what is written; "
            f"remove it: DROP TRIGGER {found[0]}", url=address.safe,
        )


class SteadyClock:
    """Seconds since 1970, as of `time.time`, but never going back: a clock that is set back delays no message.

    Notes
    -----
    It goes on from the latest time that was known: here, or, by `saw`, to another process that shares a file.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest, self._at = time.time(), time.monotonic()

    def now(self) -> float:
        """The time now."""
        with self._lock:
            wall, tick = time.time(), time.monotonic()
            self._latest, self._at = max(wall, self._latest + tick - self._at), tick
            return self._latest

    def saw(self, when: float) -> None:
        """Continue from `when`, a time that another process has seen."""
        if when > self.now():
            with self._lock:
                self._latest = max(self._latest, when)

