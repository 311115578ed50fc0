"""`SharedStore`: a `Store` shared by several kernels, kept by a backend and replicated here.

Every write goes to the backend first, in one round trip, and is done when the backend confirms it. Every read first asks for what
changed since the last one, also in one round trip, so that it sees all that was written before it; only what changed is sent. The
replica serves values, history and pictures.
"""

from __future__ import annotations

import time
import warnings
from contextlib import AbstractContextManager
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.frozen.diff import Difference
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.frozen.persistent_map import Snapshot
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.store.watch import Listeners, StoreListener
from pocketflex_nb.resources.stores.async_api import AsyncApi
from pocketflex_nb.resources.stores.change_feed import SharedWatch, follow
from pocketflex_nb.resources.stores.leases import Lease, fenced
from pocketflex_nb.resources.stores.optimistic_writes import Writable
from pocketflex_nb.resources.stores.provenance import SharedWritten
from pocketflex_nb.resources.stores.replica import Replica
from pocketflex_nb.resources.stores.replication import REPLICA_ONLY

__all__ = ["SharedStore"]


class SharedStore(AsyncApi, Writable):
    """A `Store` that several kernels, processes or machines share. Made by `open_store`.

    Attributes
    ----------
    url : str
        Where it is, without secrets.
    version : int
        Number of the last change that is known here.

    Notes
    -----
    It is used as a `Store` is, and as a flow's ``shared``. What differs:

    - Values are kept as text (:mod:`pocketflex_nb.core.codec.encoder`): another process reads an equal value, not the same object; what
      cannot be written is an `EncodingError` at the write. `transient` keys stay in this process.
    - Reading and writing cost a round trip each: some 50 us to a local Redis or PostgreSQL, 10 us to SQLite. They block the
      thread: plain prep and post of a launched run stand on the engine thread, so on slow networks write ``async def``
      steps and the awaited twins (`aget`, `aset`, `aupdate`, `aincrement`, `ainsert_new`, `acas`).
    - `update` calls its function again when somebody else wrote in between, each time with a fresh copy of the present value.
    - Nested changes are sent at the node's end, whatever the size. Outside of runs they are sent when something is next written, when
      the past is asked for, and by `close`: there, use `update`.
    - `lock` has a lease, and writes inside it carry its fencing token: when the lease has ended they are refused (`LockLost`).
    - A replica of the whole content is kept in memory.

    It is safe to use from any thread; its operations come one after the other.
    """

    # the past --------------------------------------------------------------------------------------------------------
    def _catch_up(self) -> None:
        super()._catch_up()
        self._pull()

    def _deep(self) -> Replica:
        """The replica, with all the history that is kept."""
        self._catch_up()
        replica = self._replica
        if replica.is_shallow and not REPLICA_ONLY.get():
            with self._lock:
                replica.deepen(self._request(lambda backend: backend.past(replica.floor)))
        return replica

    def who(self, key: Any) -> SharedWritten:
        """The last writer of `key`, when, and in which kernel; KeyError if the key is missing."""
        self._catch_up()
        with self._lock:
            return self._replica.written(key)

    def history(self, key: Any = MISSING) -> list[Any]:
        """The kept changes of `key`, or of all keys, by whichever kernel, oldest first."""
        replica = self._deep()
        with self._lock:
            return replica.history(key)

    def snapshot(self) -> Snapshot:
        """The whole store as it is now, frozen."""
        self._catch_up()
        with self._lock:
            return Snapshot(self._replica.versions(), time.time())

    def at(self, version: int) -> dict[Any, Any]:
        """A plain copy of the store as it was at that `version`; `StoreError` if that is no longer kept."""
        replica = self._deep()
        with self._lock:
            return replica.at(version)

    def diff(self, a: int | Snapshot, b: int | Snapshot | None = None) -> list[Difference]:
        """The changes from `a` to `b`, versions or snapshots; `b` is the present one when it is left out."""
        if isinstance(a, Snapshot) and (b is None or isinstance(b, Snapshot)):
            return a.diff(self.snapshot() if b is None else b)
        replica = self._deep()
        with self._lock:
            last = replica.version if b is None else b.version if isinstance(b, Snapshot) else b
            return replica.diff(a.version if isinstance(a, Snapshot) else a, last)

    # others ----------------------------------------------------------------------------------------------------------
    def lock(  # type: ignore[override]  # with a lease
        self, key: Any, *, timeout: float | None = None, lease: float = 30.0, renew: bool = True
    ) -> Lease:
        """A lock named `key` for all who share the store, for ``with`` in threads and ``async with`` on any loop.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; `TimeoutError` after that.
        lease : float
            Seconds after which the lock ends when its holder is killed or stopped.
        renew : bool
            Have a thread renew the lease while the holder lives; False bounds the time under the lock.

        Notes
        -----
        Writes of the same task or thread inside ``with``, and of the tasks and plain runs that it waits for, carry the lock's token;
        once the lease has ended, or somebody else has the lock, they raise `LockLost` and change nothing. A run that is launched inside
        is on its own. `fenced` does the same for another thread or process. Who waits asks every 20 ms; the order among those who wait
        is not kept.
        """
        return Lease(self, key, self._name(key), timeout=timeout, lease=lease, renew=renew)

    def fenced(self, key: Any, token: int) -> AbstractContextManager[None]:
        """Inside, writes are refused unless lock `key` is held with `token`, as ``with store.lock(key) as lock`` gave it."""
        return fenced(self._mark, self._name(key), token)

    def mirrored(self) -> AbstractContextManager[None]:
        """The former name of `replica_only`."""
        warnings.warn("SharedStore.mirrored() is now called replica_only()", DeprecationWarning, stacklevel=2)
        return self.replica_only()

    def follow(self) -> None:
        """Keep the replica up to date in a thread, and notify watches. Calling it twice does nothing."""
        self._deep()
        with self._lock:
            if self._following is None or not self._following.is_alive():
                self._following = follow(self)

    def watch(self, *keys: Any, limit: int = 1_000) -> SharedWatch:
        """An iterator of the changes of `keys`, or of all keys, from now on: ``async for``, or ``for`` in a thread.

        Notes
        -----
        Changes by other processes arrive within milliseconds, those in a SQLite file within 40 ms. Changes of one key that were not
        read yet become one.
        """
        watch = SharedWatch(keys, limit, self._forget)
        self._listen(watch)
        return watch

    def _listen(self, listener: StoreListener) -> None:
        self._pull()
        with self._lock:
            if self._listeners is None:
                self._listeners = Listeners()
            self._listeners.add(listener)
        self.follow()

    def _forget(self, listener: StoreListener | None) -> None:
        with self._lock:
            if self._listeners is not None:
                self._listeners.remove(listener)

    def close(self) -> None:
        """Close connections and files; stored data stays. Closing twice does nothing."""
        if not self._closed:
            try:
                if self._untracked:
                    self._flush()
            finally:
                self._closed = True
                for listener in self._listeners or ():
                    if isinstance(listener, SharedWatch):
                        listener.close()
                self._finish()

    def __enter__(self) -> SharedStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def copy(self) -> Store:
        """A `Store` of this process with the same keys and values."""
        return Store(self._whole())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Store:
        return Store({key: decode(entry.text, unloaded="keep") for key, entry in self._replica.entries.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reopen, (self._backend.address, self._backend.keep, self._options())
