"""Frozen copies of stored values, within a bound of work."""

from __future__ import annotations

from pocketflex_nb.core.frozen.freezer import Freezer
from pocketflex_nb.core.frozen.frozen_tree import Opaque

__all__ = ["TOUCHED_BOUND", "WRITTEN_BOUND", "frozen_within", "too_large"]

#: estimated bytes of work to look at one touched key at a node's end; beyond it the change is "maybe"
TOUCHED_BOUND = 64 * 1024
#: the same for the first copy of a value that is written
WRITTEN_BOUND = 16 * TOUCHED_BOUND


def too_large(value: object) -> Opaque:
    """The marker for a value that is too large to be copied."""
    try:
        size = f" of {len(value)}"  # type: ignore[arg-type]  # what has no length raises
    except Exception:  # a class may lie about anything
        size = ""
    return Opaque(type(value), f"<{type(value).__name__}{size}, too large to compare>", id(value))


def frozen_within(value: object, base: object, bound: int = TOUCHED_BOUND) -> object | None:
    """The frozen `value`, which shares what it can with `base`; None when it is too large, or a thread changes it meanwhile."""
    try:
        frozen: object = Freezer(bound).freeze(value, base)
        return frozen
    except Exception:
        return None
