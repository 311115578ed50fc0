"""Optimistic writes: read, compute, and send on the condition that nobody has written in between; again if somebody has."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pocketflex_nb.resources.stores.backends.backend import VersionConflict

__all__ = ["EXACT", "is_exact", "retrying"]

ReadT = TypeVar("ReadT")
ResultT = TypeVar("ResultT")
ComputedT = TypeVar("ComputedT")

#: whole numbers up to here are exact in every backend
EXACT = 2**53
#: seconds of the first pause after a conflict, and of the longest; each is twice the one before, at random below that
_FIRST, _LONGEST = 0.0005, 0.05


def retrying(read: Callable[[], ReadT], compute: Callable[[ReadT], ComputedT], send: Callable[[ReadT, ComputedT], ResultT]) -> ResultT:
    """The result of ``send(found, compute(found))`` with ``found = read()``, all three again after each `VersionConflict`.

    Parameters
    ----------
    read : callable
        Asks the backend for what is new, and returns what `compute` needs.
    compute : callable
        What to write, from what was read. Called once for each attempt.
    send : callable
        Writes it, on the condition that it is based on the present version.

    Examples
    --------
    >>> versions = iter([1, 2])
    >>> def send(version, value):
    ...     if version == 1:
    ...         raise VersionConflict
    ...     return value
    >>> retrying(lambda: next(versions), lambda version: version * 10, send)
    20
    """
    pause = _FIRST
    while True:
        found = read()
        computed = compute(found)
        try:
            return send(found, computed)
        except VersionConflict:
            time.sleep(random.uniform(0, pause))
            pause = min(pause * 2, _LONGEST)


def is_exact(number: object) -> bool:
    """Whether every backend computes with this number exactly.

    Examples
    --------
    >>> is_exact(2.5), is_exact(True), is_exact(2**60)
    (True, False, False)
    """
    return (number.__class__ is int or number.__class__ is float) and -EXACT <= number <= EXACT
