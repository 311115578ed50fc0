"""A message as a backend keeps it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["StoredMessage", "begin_anew", "new_id", "stored_message"]


NumberT = TypeVar("NumberT", int, float)

_process = os.urandom(10).hex()

_count = itertools.count(1)


def new_id() -> str:
    """A unique text: 80 random bits for the process, and a number. Takes a third of the time of a `uuid4`."""
    return f"{_process}-{next(_count):x}"


def begin_anew() -> None:
    """Restart the message ids in a forked child, which would repeat those of its parent."""
    global _process
    _process = os.urandom(10).hex()


@dataclass(slots=True)
class StoredMessage:
    """A message as a queue keeps it.

    Attributes
    ----------
    id : str
        The same over every delivery.
    body, headers : str
        As :mod:`pocketflex_nb.core.codec.encoder` wrote them.
    key : str or None
        The idempotency key, if one was given.
    put_at : float
        Seconds since 1970, UTC.
    deliveries : int
        How often it was handed to a consumer, this time included.
    error : str
        Why it was last given back.
    tag : object
        What the kind of queue finds it by.
    broken : str
        Why an entry is no message, though it stands among them; empty for a message.
    """

    id: str
    body: str
    headers: str = "{}"
    key: str | None = None
    put_at: float = field(default_factory=time.time)
    deliveries: int = 0
    error: str = ""
    tag: Any = None
    broken: str = ""


def stored_message(
    found: str, tag: object, *, id: object, body: object, headers: object = None, key: object = None, put_at: object = 0.0,
    count: object = 0, error: object = "",
) -> StoredMessage:
    """A message from a backend's entry, whatever that contains: an invalid entry says why, and does not affect the others.

    Parameters
    ----------
    found : str
        What names the entry where it has no id of its own.
    tag : object
        What the kind of queue finds it by.
    """
    wrong = []
    if not isinstance(id, str) or not id:
        wrong.append("it has no id")
        id = f"unreadable-{found}"
    if not isinstance(body, str):
        wrong.append("it has no text as its body")
        body = "" if body is None else repr(body)
    headers = "{}" if headers is None else headers if isinstance(headers, str) else repr(headers)
    when, times = _read(float, put_at), _read(int, count)
    if when is None:
        wrong.append(f"its time is {str(put_at)[:40]!r}")
    if times is None:
        wrong.append(f"its count is {str(count)[:40]!r}")
    broken = f"unreadable: {', '.join(wrong)}" if wrong else ""
    return StoredMessage(id, body, headers, None if key is None else str(key), when or 0.0, times or 0, str(error or ""), tag, broken)


def _read(kind: Callable[[Any], NumberT], found: object) -> NumberT | None:
    try:
        return kind(found)
    except (TypeError, ValueError, OverflowError):
        return None
