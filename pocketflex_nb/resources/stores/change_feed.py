"""The change feed: a thread that waits for changes of other writers, and iterators that wake when one comes."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import Any

from pocketflex_nb.core.context import still_wanted
from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.core.store.changes import Change
from pocketflex_nb.core.store.watch import Watch

__all__ = ["SharedWatch", "follow"]

#: seconds of one wait, after which the thread looks whether it is still wanted
_TURN = 1.0
_log = logging.getLogger("pocketflex_nb")


class SharedWatch(Watch):
    """The changes of some keys, by whichever process: ``async for change in watch``, or ``for change in watch`` in a thread.

    Attributes
    ----------
    missed : int
        Changes that were dropped because nobody read them in time.
    """

    def __init__(self, keys: tuple[Any, ...], limit: int, forget: Any) -> None:
        super().__init__(keys, limit, forget)
        self._arrived = threading.Event()

    def _wake(self) -> None:
        super()._wake()
        self._arrived.set()

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
            self._arrived.clear()
            change = self.take()
            if change is not None or self._closed:
                return change
            left = _TURN if until is None else min(_TURN, until - time.monotonic())  # in slices: Ctrl-C must arrive
            if left <= 0:
                return None
            self._arrived.wait(left)
        return None


def follow(store: Any) -> threading.Thread:
    """Pull changes of other writers into `store` in a daemon thread, until it is closed or unreferenced."""
    thread = threading.Thread(target=_follow, args=(weakref.ref(store),), name="pocketflex-follow", daemon=True)
    thread.start()
    return thread


def _follow(reference: Any) -> None:
    is_told = False
    while True:
        store = reference()
        if store is None or store._closed:
            return
        backend, version = store._backend, store.version
        del store  # not held while waiting
        try:
            backend.wait(version, _TURN)
            store = reference()
            if store is None or store._closed:
                return
            if store.version == version:  # else it has moved on by itself, and the next wait tells whether there is more
                store._pull()
            is_told = False
        except Exception as exc:  # a sink: the thread must go on when the server comes back
            store = reference()
            if store is None or store._closed or not store._finish.alive:  # that is the end of the interpreter
                return
            if not is_told:
                _log.warning("a store's changes cannot be followed now: %s", exc if isinstance(exc, PocketflexError) else repr(exc))
                is_told = True
            time.sleep(0.2)
        del store
