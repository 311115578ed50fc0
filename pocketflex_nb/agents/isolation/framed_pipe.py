"""Length-prefixed frames over a pair of pipes; payloads are unpickled by the receiver, which can report a failure.

A frame is ``(kind, number, told, data)``: plain values except for `data`, the pickled payload, which `told` describes by a short text.
So a payload that can be pickled here and not unpickled there breaks no connection.
"""

from __future__ import annotations

import pickle
import reprlib
import struct
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO

from pocketflex_nb.agents.messaging.portability import dumps, loads
from pocketflex_nb.agents.protocol.errors import NotPortable, ReplyError

__all__ = ["FramedPipe", "PipeFrame", "PipeWriter", "pack_frame", "portable_error", "unpack_frame"]

PipeFrame = tuple[str, int, str, bytes]

_HEAD = struct.Struct("!Q")
#: types whose values unpickle everywhere
_PLAIN = frozenset({bool, bytearray, bytes, complex, float, int, str, type(None)})
#: characters of an error's text that travel when the error itself cannot
_LONG = 4_000


class FramedPipe:
    """Two one-way byte streams, as frames."""

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._reading, self._writing = reading, writing
        self._lock = threading.Lock()

    def send(self, kind: str, number: int, *payload: object) -> None:
        """Send, and wait until it is written.

        Raises
        ------
        NotPortable
            It cannot be pickled: nothing was written.
        OSError
            Nobody reads any more.
        """
        self.write(pack_frame(kind, number, payload))

    def write(self, data: bytes) -> None:
        """Write a packed frame."""
        with self._lock:
            self._writing.write(_HEAD.pack(len(data)) + data)
            self._writing.flush()

    def receive(self) -> PipeFrame | None:
        """The next frame; None when the other side has closed."""
        head = self._exactly(_HEAD.size)
        data = self._exactly(_HEAD.unpack(head)[0]) if head is not None else None
        if data is None:
            return None
        frame: PipeFrame = pickle.loads(data)
        return frame

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


class PipeWriter:
    """A thread that writes to a pipe, so that a reader that has stopped blocks only this thread."""

    def __init__(self, pipe: FramedPipe, name: str) -> None:
        self._pipe = pipe
        self._frames: deque[bytes | None] = deque()
        self._more = threading.Event()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def send(self, kind: str, number: int, *payload: object) -> None:
        """Queue a frame; raises at once for what cannot be pickled.

        Raises
        ------
        NotPortable
            It cannot be pickled.
        """
        self._put(pack_frame(kind, number, payload))

    def close(self) -> None:
        """Close the pipe when all is written."""
        self._put(None)

    def _put(self, data: bytes | None) -> None:
        self._frames.append(data)
        self._more.set()

    def _work(self) -> None:
        try:
            while True:
                self._more.wait()
                self._more.clear()
                while self._frames:
                    data = self._frames.popleft()
                    if data is None:
                        return
                    self._pipe.write(data)
        except (OSError, ValueError):  # it is gone: whoever reads from it tells
            pass
        finally:
            self._pipe.close()


def pack_frame(kind: str, number: int, payload: tuple[object, ...]) -> bytes:
    """A frame as bytes."""
    data = dumps(payload)
    return pickle.dumps((kind, number, _told(payload), data))


def _told(payload: tuple[object, ...]) -> str:
    if all(type(value) in _PLAIN for value in payload):
        return ""
    return _safe(reprlib.repr, payload[-1])[:_LONG]


def unpack_frame(frame: PipeFrame) -> tuple[Any, ...]:
    """The payload of `frame`.

    Raises
    ------
    NotPortable
        It cannot be unpickled here; the message has its text.
    """
    try:
        payload: tuple[Any, ...] = loads(frame[3])
    except BaseException as exc:  # the values' own code runs here, and this thread serves others
        why = f"{type(exc).__name__}: {_safe(str, exc)}"
        raise NotPortable(
            f"{frame[2] or 'a value'} was sent by another process and cannot be read in this one ({why}); send plain data instead"
        ) from exc
    return payload


def portable_error(error: BaseException, told: str) -> BaseException:
    """`error` in a form that can be sent, with the traceback of this process as a note; else its text in a `RuntimeError`."""
    error.__traceback__ = None
    if isinstance(error, ReplyError):  # the caller's error: the agent continues
        return ReplyError(portable_error(error.exc, told))
    try:
        if not isinstance(loads(dumps(error)), BaseException):
            raise TypeError("it comes back as something else")
    except BaseException:  # many errors pickle and do not unpickle: their `__init__` wants more than their `args`
        error = RuntimeError(f"{type(error).__name__}: {_safe(str, error)}"[:_LONG])
    error.add_note(told)
    return error


def _safe(form: Callable[[Any], str], value: object) -> str:
    try:
        return form(value)
    except BaseException as exc:  # a method of the user's that raises must not lose the rest
        return f"<{type(value).__name__} whose text raises {type(exc).__name__}>"
