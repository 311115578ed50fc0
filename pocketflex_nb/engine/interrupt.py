"""How is work begun so that the stop button cannot fall between its start and its handle? By holding the interrupt back.

Python raises `KeyboardInterrupt` between any two instructions of the main thread: also after a task was handed to the engine thread,
and before its handle has a name here. Nobody could stop that task any more.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["unbroken"]


@contextmanager
def unbroken() -> Iterator[None]:
    """Hold an interrupt back until the block is over. Changes nothing outside of the main thread, where none is raised."""
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before):  # ignored, the system's own way, or set from outside of Python
        yield
        return
    came: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *args: came.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[-1])
