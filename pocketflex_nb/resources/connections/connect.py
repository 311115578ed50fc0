"""Connects to servers within a time limit that holds whatever the client does, name resolution included."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar, cast

from pocketflex_nb.core.errors import Unreachable
from pocketflex_nb.resources.connections.urls import CONNECT, Address, unreachable

__all__ = ["QUEUE_KINDS", "connect_within", "reconnect"]

_T = TypeVar("_T")


def connect_within(address: Address, connect: Callable[[], _T], *, within: float = CONNECT + 0.5) -> _T:
    """The result of `connect`; `Unreachable` when it takes longer than `within` seconds. Its own errors are passed on.

    Notes
    -----
    `connect` runs in a daemon thread, which is left behind when it does not come back.
    """
    outcome: list[tuple[_T | None, BaseException | None]] = []

    def attempt() -> None:
        try:
            outcome.append((connect(), None))
        except BaseException as exc:
            outcome.append((None, exc))

    thread = threading.Thread(target=attempt, name="pocketflex-connect", daemon=True)
    thread.start()
    thread.join(within)
    if not outcome:
        raise unreachable(address, f"no answer within {within:g} s")
    made, error = outcome[0]
    if error is not None:
        raise error
    return cast(_T, made)


def reconnect(connect: Callable[[], _T], *, within: float = CONNECT) -> _T:
    """The result of `connect`, retried for `within` seconds, because a server that restarts comes back."""
    until, pause = time.monotonic() + within, 0.02
    while True:
        try:
            return connect()
        except Unreachable:
            if time.monotonic() + pause > until:
                raise
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

#: kinds of URL that a queue may have
QUEUE_KINDS = ("memory", "sqlite", "redis", "amqp")
