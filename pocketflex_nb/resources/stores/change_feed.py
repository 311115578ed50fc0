"""The change feed: a thread that waits for changes of other writers, and iterators that wake when one comes."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from pocketflex_nb.concurrency.interruptible import Latch
from pocketflex_nb.core.context import still_wanted
from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.core.store.changes import Change
from pocketflex_nb.core.store.watch import StoreListener, Watch
from pocketflex_nb.resources.connections.sqlite_file_checks import FOLLOWER
from pocketflex_nb.resources.stores.transport import Transport

__all__ = ["Finalizer", "FollowedStore", "SharedWatch", "follow"]

#: seconds of one wait, after which the thread looks whether it is still wanted
_TURN = 1.0
#: seconds before the next attempt when the backend cannot be reached
_PAUSE = 0.2
_log = logging.getLogger("pocketflex_nb")


class SharedWatch(Watch):
    """The changes of some keys, by whichever process: ``async for change in watch``, or ``for change in watch`` in a thread.

    Attributes
    ----------
    missed : int
        Changes that were dropped because nobody read them in time.
    """

    def __init__(self, keys: tuple[object, ...], limit: int, forget: Callable[[StoreListener], None]) -> None:
        super().__init__(keys, limit, forget)
        self._latches: list[Latch] = []

    def _wake(self) -> None:
        super()._wake()
        latches, self._latches = self._latches, []
        for latch in latches:
            latch.open()

    def __iter__(self) -> SharedWatch:
        return self

    def __next__(self) -> Change:
        change = self.next()
        if change is None:
            raise StopIteration
        return change

    def next(self, timeout: float | None = None) -> Change | None:
        """Wait for a change, at most `timeout` seconds; None when none came, or the watch was closed. Blocks the thread."""
        until = None if timeout is None else time.monotonic() + timeout
        is_wanted = still_wanted()
        while is_wanted():
            change = self.take()
            if change is not None or self._closed:
                return change
            left = _TURN if until is None else min(_TURN, until - time.monotonic())  # in slices, to look whether it is still wanted
            if left <= 0:
                return None
            self._wait(left)
        return None

    def _wait(self, seconds: float) -> None:
        """Wait for a change that was not taken, or the end, by a latch: an interrupt of it leaves no lock behind that writers need."""
        latch = Latch()
        self._latches.append(latch)
        if not self._pending and not self._closed:  # nothing came before the latch was there
            latch.wait(seconds)
        with suppress(ValueError):  # whoever opened it has removed it
            self._latches.remove(latch)


class Finalizer(Protocol):
    """What closes the backend at the store's end, such as `weakref.finalize`."""

    @property
    def alive(self) -> bool:
        """Whether that is still to come."""
        ...


class FollowedStore(Protocol):
    """The part of a store that the change feed uses.

    Attributes
    ----------
    version : int
        Number of the last change known here.
    """

    version: int

    def _pull(self) -> None: ...


def follow(store: FollowedStore, transport: Transport, finish: Finalizer) -> threading.Thread:
    """Pull changes of other writers into `store` in a daemon thread, until it is closed, unreferenced, or the interpreter ends."""
    arguments = (weakref.ref(store), transport, finish)
    thread = threading.Thread(target=_follow, args=arguments, name=FOLLOWER, daemon=True)
    thread.start()
    return thread


def _follow(reference: Callable[[], FollowedStore | None], transport: Transport, finish: Finalizer) -> None:
    is_reported = False
    while (version := _version(reference, transport)) is not None:
        try:
            transport.backend.wait(version, _TURN)
            if _version(reference, transport) == version:  # else it has moved on by itself, and the next wait tells whether there is more
                _pull(reference)
            is_reported = False
        except Exception as exc:  # a sink: the thread must go on when the server comes back
            if transport.is_closed or not finish.alive:
                return
            if not is_reported:
                _log.warning("a store's changes cannot be followed now: %s", exc if isinstance(exc, PocketflexError) else repr(exc))
                is_reported = True
            time.sleep(_PAUSE)


def _version(reference: Callable[[], FollowedStore | None], transport: Transport) -> int | None:
    """The version of the store, which is not held while waiting; None when it needs no changes any more."""
    store = reference()
    return None if store is None or transport.is_closed else store.version


def _pull(reference: Callable[[], FollowedStore | None]) -> None:
    store = reference()
    if store is not None:
        store._pull()
