"""The id of this process, cached, and corrected after a fork; every write needs it."""

from __future__ import annotations

import os

__all__ = ["pid"]

_here = [os.getpid()]


def _note() -> None:
    _here[0] = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)


def pid() -> int:
    """The id of this process, also in a child of `fork`."""
    return _here[0]
