"""The decorator of store methods that need the store to themselves: under its lock, with the lock-free write path off."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["exclusive"]


def exclusive(method: Callable[..., Any]) -> Any:
    """Run a method of a store under its lock, with the fast write path off, and call subscribers after it."""

    @wraps(method)
    def locked(self: Any, *args: Any, **options: Any) -> Any:
        with self._lock:
            self._busy += 1
            self._change_log.fast_limit = 0
            try:
                given = method(self, *args, **options)
            finally:
                self._busy -= 1
                if not self._busy:
                    self._change_log.fast_limit = self._change_log.end
        if self._outbox:
            self._deliver()
        return given

    return locked
