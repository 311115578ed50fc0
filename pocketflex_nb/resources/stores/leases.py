"""Leases: locks that end by themselves, with fencing tokens that tell a late holder from the present one.

References
----------
C. Gray and D. Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed file cache consistency" (1989);
M. Kleppmann, "How to do distributed locking" (2016), for the fencing token.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

from pocketflex_nb.core.context import CURRENT_FRAME, still_wanted
from pocketflex_nb.core.errors import LockLost, PocketflexError, StoreError
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.resources.stores.backends.backend import FencingTokens, StoreBackend

__all__ = ["HELD", "Lease", "LockingStore", "Request", "fenced", "tokens_of"]

ResultT = TypeVar("ResultT")

#: seconds between two tries of who waits for a lock
_TRY = 0.02


class _Held:
    """A held lock: of which store object, under which name, with which token, taken in which run.

    Tasks, threads and runs that begin inside of ``with`` inherit it with their context, and may live on after it: then it is over.
    """

    __slots__ = ("is_over", "name", "run", "token", "where")

    def __init__(self, where: str, name: str, token: int) -> None:
        self.where, self.name, self.token, self.is_over = where, name, token, False
        self.run = getattr(CURRENT_FRAME.get(), "run", None)

    def is_ours(self, where: str) -> bool:
        """Whether the running code writes to `where` under this lock: its taker, and what that waits for, but no run launched meanwhile."""
        if self.is_over or self.where != where:
            return False
        frame = CURRENT_FRAME.get()
        return frame is None or frame.run is self.run or frame.lane_run is not frame.run


#: the locks that were taken around what runs now
HELD: ContextVar[tuple[_Held, ...]] = ContextVar("pocketflex_nb_locks", default=())


def tokens_of(where: str) -> FencingTokens:
    """The locks of the store object `where` that the running task or thread writes under."""
    return tuple((held.name, held.token) for held in HELD.get() if held.is_ours(where))


@contextmanager
def fenced(where: str, name: str, token: int) -> Iterator[None]:
    """Write under a lock that another process took."""
    held = _hold(where, name, token)
    try:
        yield
    finally:
        _let_go(held)


def _hold(where: str, name: str, token: int) -> _Held:
    held = _Held(where, name, token)
    HELD.set((*(known for known in HELD.get() if not known.is_over), held))
    return held


def _let_go(held: _Held) -> None:
    held.is_over = True
    # not `reset`: `async with` may end in another context than it began in
    HELD.set(tuple(known for known in HELD.get() if not known.is_over))


class LockingStore(Protocol):
    """The part of a shared store that its locks use."""

    _origin: str

    @property
    def url(self) -> str:
        """Its URL, without secrets."""
        ...

    @property
    def _request(self) -> Request: ...


class Request(Protocol):
    """Sends a request to a store's backend, again after each loss of the connection."""

    def __call__(self, ask: Callable[[StoreBackend], ResultT], /) -> ResultT:
        """The result of `ask`."""
        ...


class Lease:
    """One acquisition of a lock: ``with store.lock("k"):`` or ``async with store.lock("k"):``. Made by `SharedStore.lock`.

    Attributes
    ----------
    key : object
        The lock's name.
    token : int
        The fencing token: higher for each later acquisition of this lock, by anybody; 0 before.
    lease : float
        Seconds after which the lock ends by itself when its holder no longer renews it.
    """

    def __init__(self, store: LockingStore, key: object, name: str, *, timeout: float | None, lease: float, renew: bool) -> None:
        if timeout is not None and timeout < 0:
            raise ValueError(f"lock({key!r}, timeout={timeout!r}): seconds, 0 or more")
        if not lease > 0:
            raise ValueError(f"lock({key!r}, lease={lease!r}): seconds, more than 0")
        self.key, self.lease, self.token = key, float(lease), 0
        self._store, self._name, self._timeout, self._renews = store, name, timeout, renew
        self._ended: threading.Event | None = None
        self._held: _Held | None = None

    def __repr__(self) -> str:
        return f"<lock {self.key!r}, token {self.token}>"

    @property
    def is_held(self) -> bool:
        """Whether the lock is held now. Asks the server."""
        return bool(self._store._request(lambda backend: backend.has_lock(self._name)))

    def _try(self) -> bool:
        token = self._store._request(lambda backend: backend.take_lock(self._name, self._store._origin, self.lease))
        self.token = int(token or self.token)
        return bool(token)

    def _before(self) -> float | None:
        if any(held.name == self._name and held.is_ours(self._store._origin) for held in HELD.get()):
            raise StoreError(f"lock({self.key!r}) is held here already: it would wait for itself")
        return None if self._timeout is None else time.monotonic() + self._timeout

    def _pause(self, until: float | None) -> float:
        left = float("inf") if until is None else until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"lock({self.key!r}) of {self._store.url} was not free within {self._timeout} s")
        return min(left, _TRY * random.uniform(0.5, 1.5))

    def _begin(self) -> Lease:
        self._held = _hold(self._store._origin, self._name, self.token)
        if self._renews:
            self._ended = threading.Event()
            arguments = (weakref.ref(self._store), self._name, self.token, self.lease, self._ended)
            threading.Thread(target=_renew, args=arguments, name=f"pocketflex-lease-{value_text(self.key, 20)}", daemon=True).start()
        return self

    def _end(self, failed: bool) -> None:
        if self._ended is not None:
            self._ended.set()
        held, self._held = self._held, None
        if held is not None:
            _let_go(held)
        if not self._store._request(lambda backend: backend.drop_lock(self._name, self.token)) and not failed:
            raise LockLost(
                f"the lease of lock({self.key!r}) had ended before its holder did, after {self.lease:g} s without renewal: "
                "somebody else may have held it meanwhile; give it a longer lease="
            )

    def __enter__(self) -> Lease:
        until = self._before()
        is_wanted = still_wanted()
        if self._try():
            return self._begin()
        with self._waiting():
            while True:
                time.sleep(self._pause(until))
                if not is_wanted():
                    raise StoreError(f"lock({self.key!r}) of {self._store.url}: the step that waited for it has ended")
                if self._try():
                    return self._begin()

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._end(kind is not None)

    async def __aenter__(self) -> Lease:
        until = self._before()
        if await self._tried():
            return self._begin()
        with self._waiting():
            while True:
                await asyncio.sleep(self._pause(until))
                if await self._tried():
                    return self._begin()

    def _waiting(self) -> waiting:
        return waiting("lock", lambda: f"lock {value_text(self.key, 40)}", timeout=self._timeout)

    async def _tried(self) -> bool:
        """Try in a thread; a lock that is granted after the task was cancelled is released."""
        trying = asyncio.ensure_future(asyncio.to_thread(self._try))
        try:
            return await asyncio.shield(trying)
        except asyncio.CancelledError:
            if await trying:
                await asyncio.to_thread(self._store._request, lambda backend: backend.drop_lock(self._name, self.token))
            raise

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        # shielded: a lock must be given back even while its holder is being cancelled
        held = self._held
        try:
            await asyncio.shield(asyncio.to_thread(self._end, kind is not None))
        finally:
            if held is not None:
                _let_go(held)  # here as well: the thread had a copy of the context


def _renew(store: Callable[[], LockingStore | None], name: str, token: int, lease: float, ended: threading.Event) -> None:
    """Renew a lease three times within its length, until it is released or lost."""
    while not ended.wait(lease / 3):
        held = store()
        if held is None:
            return
        try:
            if not held._request(lambda backend: backend.keep_lock(name, token, lease)):
                return
        except PocketflexError:  # not reachable now: the next turn tries again, and a write would be refused
            pass
        del held
