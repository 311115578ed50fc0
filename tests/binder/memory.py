"""How much memory did a process and all its children hold at once, at most?"""

from __future__ import annotations

import threading

import psutil

__all__ = ["Peak"]


class Peak:
    """Watch a process and its children while the block runs: ``with Peak(pid) as peak: ...`` and then `peak.megabytes`.

    Parameters
    ----------
    pid : int
        The process.
    every : float
        Seconds between two looks.

    Notes
    -----
    Resident sizes are added, so that pages which processes share count more than once: an upper bound.
    """

    def __init__(self, pid: int, every: float = 0.05) -> None:
        self._process, self._every = psutil.Process(pid), every
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self.megabytes = 0.0

    def __enter__(self) -> Peak:
        self._look()
        self._watcher.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every):
            self._look()

    def _look(self) -> None:
        held = 0
        try:
            for process in [self._process, *self._process.children(recursive=True)]:
                try:
                    held += process.memory_info().rss
                except psutil.Error:    # it ended between two looks
                    continue
        except psutil.NoSuchProcess:
            return
        self.megabytes = max(self.megabytes, held / 1e6)
