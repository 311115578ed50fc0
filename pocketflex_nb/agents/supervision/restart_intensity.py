"""`Intensity` and `needs_restart`: how many restarts are too many, and which ends need one."""

from __future__ import annotations

from collections import deque

from pocketflex_nb.agents.protocol.errors import BadSpec, check_time
from pocketflex_nb.agents.protocol.exit_reasons import is_abnormal

__all__ = ["Intensity", "needs_restart"]


def needs_restart(restart: str, reason: object) -> bool:
    """Whether a child that ended by itself is started again."""
    return restart == "permanent" or (restart == "transient" and is_abnormal(reason))


class Intensity:
    """Decides how many restarts within how many seconds are too many.

    Parameters
    ----------
    max_restarts : int
        One more than these within `max_seconds` (an entry exactly that old still counts) is too many.
    """

    __slots__ = ("entries", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: int, max_seconds: float) -> None:
        if isinstance(max_restarts, bool) or not isinstance(max_restarts, int) or max_restarts < 0:
            raise BadSpec(f"max_restarts={max_restarts!r}: give a whole number, 0 or more")
        if max_seconds is None:
            raise BadSpec("max_seconds=None: give seconds, more than 0")
        check_time(max_seconds, "max_seconds", zero=False)
        self.max_restarts, self.max_seconds = max_restarts, max_seconds
        self.entries: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Count one restart; False when it is one too many."""
        entries = self.entries
        entries.append(now)
        while entries and now - entries[0] > self.max_seconds + 1e-9:
            entries.popleft()
        return len(entries) <= self.max_restarts
