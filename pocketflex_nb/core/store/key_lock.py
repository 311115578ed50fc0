"""Locks by name, for threads and for tasks on any loop, granted in the order of arrival."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from itertools import count

from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.core.wait_marks import waiting

__all__ = ["KeyLock", "Lock"]

#: fencing tokens: each acquisition gets a higher one
_tokens = count(1)


def _here() -> tuple[object, object]:
    """The running loop and the owner of locks taken here: the running task, else the thread."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None, threading.get_ident()
    return loop, asyncio.current_task(loop) or threading.get_ident()


class KeyLock:
    """One named lock: its owner, and its waiters."""

    __slots__ = ("_guard", "_loop", "_owner", "_waiting", "key")

    def __init__(self, key: object) -> None:
        self.key = key
        self._guard = threading.Lock()
        self._owner: object = None
        self._loop: object = None
        self._waiting: deque[tuple[Future[None], object, object]] = deque()

    @property
    def is_held(self) -> bool:
        """Whether the lock is taken."""
        return self._owner is not None

    def ask(self, blocking: bool) -> Future[None] | None:
        """Acquire the lock and return None, or queue up and return a future that is done when the lock is handed over."""
        loop, me = _here()
        with self._guard:
            if self._owner is None:
                self._owner, self._loop = me, loop
                return None
            if self._owner == me:
                raise StoreError(f"lock({self.key!r}) is held by this {_kind(me)} already: acquiring it again would deadlock")
            if blocking and loop is not None and self._loop is loop:
                raise StoreError(
                    f"lock({self.key!r}) is held by another task of this loop: waiting with `with` would block the loop forever; "
                    "write `async with store.lock(...)`"
                )
            turn: Future[None] = Future()
            self._waiting.append((turn, me, loop))
            return turn

    def leave(self, turn: Future[None]) -> None:
        """Stop waiting; pass the lock on when it has been handed over in the meantime."""
        if not turn.cancel():
            self.release()

    def release(self) -> None:
        """Hand the lock to the next waiter."""
        with self._guard:
            self._owner = self._loop = None
            while self._waiting:
                turn, owner, loop = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    self._owner, self._loop = owner, loop
                    turn.set_result(None)
                    return


def _kind(owner: object) -> str:
    return "thread" if isinstance(owner, int) else "task"


class Lock:
    """One acquisition of a named lock: ``with store.lock("k"):`` or ``async with store.lock("k"):``. Made by `Store.lock`.

    Attributes
    ----------
    token : int
        Higher for each later acquisition in this process; 0 before.
    """

    __slots__ = ("_lock", "_timeout", "token")

    def __init__(self, lock: KeyLock, timeout: float | None) -> None:
        if timeout is not None and timeout < 0:
            raise ValueError(f"lock({lock.key!r}, timeout={timeout!r}): a number of seconds, 0 or more, is needed")
        self._lock, self._timeout, self.token = lock, timeout, 0

    def __repr__(self) -> str:
        return f"<Lock {self.key!r}, {'held' if self.is_held else 'free'}>"

    @property
    def key(self) -> object:
        """The lock's name."""
        return self._lock.key

    @property
    def is_held(self) -> bool:
        """Whether the lock is taken now."""
        return self._lock.is_held

    def __enter__(self) -> Lock:
        turn = self._lock.ask(blocking=True)
        if turn is not None:
            try:
                with self._waiting():
                    turn.result(self._timeout)
            except TimeoutError as exc:
                self._lock.leave(turn)
                raise TimeoutError(self._late()) from exc
            except BaseException:
                self._lock.leave(turn)
                raise
        self.token = next(_tokens)
        return self

    async def __aenter__(self) -> Lock:
        turn = self._lock.ask(blocking=False)
        if turn is not None:
            try:
                with self._waiting():
                    async with asyncio.timeout(self._timeout):
                        await asyncio.shield(asyncio.wrap_future(turn))
            except TimeoutError as exc:
                self._lock.leave(turn)
                raise TimeoutError(self._late()) from exc
            except BaseException:
                self._lock.leave(turn)
                raise
        self.token = next(_tokens)
        return self

    def _waiting(self) -> waiting:
        return waiting("lock", lambda: f"lock {value_text(self.key, 40)}", timeout=self._timeout)

    def _late(self) -> str:
        return f"lock({self.key!r}) was not free within {self._timeout} s"

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    async def __aexit__(self, *exc: object) -> None:
        self._lock.release()
