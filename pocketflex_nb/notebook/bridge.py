"""How do views follow runs without sitting in their way? One thread that looks ten times a second, and tells only what changed.

A run never calls a view. A view that failed is closed and reported once in the log; display code never raises into the user's code.
"""

from __future__ import annotations

import logging
import threading
from typing import Protocol

__all__ = ["BEAT", "Follower", "Pump", "pump"]

#: seconds between two looks: ten screen updates a second at most
BEAT = 0.1


class Follower(Protocol):
    """A view that the pump keeps up to date."""

    def look(self) -> bool:
        """Send what changed; return False when there is nothing more to follow."""
        ...


class Pump:
    """Calls `look` of every open view, from one daemon thread that ends when none is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Follower] = []
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def follow(self, view: Follower) -> None:
        """Keep `view` up to date until it says that it is done."""
        with self._lock:
            if view not in self._open:
                self._open.append(view)
            if self._thread is None:
                self._thread = threading.Thread(target=self._turn, name="pocketflex-views", daemon=True)
                self._thread.start()

    def hurry(self) -> None:
        """Look now: somebody pressed a button."""
        self._wake.set()

    def close(self, view: Follower) -> None:
        """Follow `view` no longer."""
        with self._lock:
            self._open = [v for v in self._open if v is not view]

    def _turn(self) -> None:
        while True:
            for view in list(self._open):
                if not self._look(view):
                    self.close(view)
            with self._lock:
                if not self._open:
                    self._thread = None
                    return
            self._wake.wait(BEAT)
            self._wake.clear()

    def _look(self, view: Follower) -> bool:
        try:
            return view.look()
        except Exception:
            logging.getLogger("pocketflex_nb").exception("a view could not be brought up to date and was closed")
            return False


#: the pump of this process
pump = Pump()
