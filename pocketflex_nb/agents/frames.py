"""How do two processes speak? Length-prefixed pickles over a pair of pipes."""

from __future__ import annotations

import struct
import threading
from typing import Any, BinaryIO

from pocketflex_nb.agents.pickling import dumps, loads

__all__ = ["Pipe", "portable_error"]

_HEAD = struct.Struct("!Q")


class Pipe:
    """Two one-way byte streams, as messages."""

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._reading, self._writing = reading, writing
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        """Send; what cannot be pickled is refused before a byte is written.

        Raises
        ------
        NotPortable
            It cannot be pickled.
        OSError
            Nobody reads any more.
        """
        data = dumps(message)
        with self._lock:
            self._writing.write(_HEAD.pack(len(data)) + data)
            self._writing.flush()

    def receive(self) -> Any:
        """The next message; None when the other side is gone."""
        head = self._exactly(_HEAD.size)
        data = self._exactly(_HEAD.unpack(head)[0]) if head is not None else None
        return loads(data) if data is not None else None

    def _exactly(self, size: int) -> bytes | None:
        parts = []
        while size:
            part = self._reading.read(size)
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the writing end, which ends the other side."""
        try:
            self._writing.close()
        except OSError:  # it is gone already
            pass


def portable_error(error: BaseException, told: str) -> BaseException:
    """`error` as it can travel, with the traceback of this process as a note."""
    error.__traceback__ = None
    try:
        dumps(error)
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(told)
    return error
