"""How does a method of a store have the store for itself? Under its lock, with no quick write beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["alone"]


def alone(method: Callable[..., Any]) -> Any:
    """Have a method of a store run under its lock, with every write on the long way, and call subscribers after it."""

    @wraps(method)
    def locked(self: Any, *args: Any, **options: Any) -> Any:
        with self._lock:
            self._busy += 1
            self._ledger.room = 0
            try:
                given = method(self, *args, **options)
            finally:
                self._busy -= 1
                if not self._busy:
                    self._ledger.room = self._ledger.end
        if self._outbox:
            self._deliver()
        return given

    return locked
