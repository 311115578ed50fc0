"""The decorator of store methods that need the store to themselves: under its lock, with the lock-free write path off."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from threading import RLock

    from pocketflex_nb.core.store.change_log import ChangeLog
    from pocketflex_nb.core.store.watch import Listeners

__all__ = ["exclusive"]


class _Locked(Protocol):
    """What the decorator needs of a store."""

    _lock: RLock
    _busy: int
    _change_log: ChangeLog
    _listeners: Listeners | None


_Owner = TypeVar("_Owner", bound=_Locked)
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def exclusive(method: Callable[Concatenate[_Owner, _Given], _Result]) -> Callable[Concatenate[_Owner, _Given], _Result]:
    """Run a method of a store under its lock, with the fast write path off, and call subscribers after it."""

    @wraps(method)
    def locked(self: _Owner, /, *args: _Given.args, **options: _Given.kwargs) -> _Result:
        with self._lock:
            self._busy += 1
            self._change_log.fast_limit = 0
            try:
                result = method(self, *args, **options)
            finally:
                self._busy -= 1
                if not self._busy:
                    self._change_log.fast_limit = self._change_log.end
        if self._listeners is not None:
            self._listeners.deliver(self._lock)
        return result

    return locked
