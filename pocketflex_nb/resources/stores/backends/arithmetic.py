"""Exact sums of numbers in text form."""

from __future__ import annotations

import json

__all__ = ["exact_sum"]


_EXACT = 2**53


def exact_sum(text: str | None, n: float, limit: float | None, reset: float | None) -> str | None:
    """The text of the number in `text` (None: 0) plus `n`, within its bounds; None if it is not a plain number."""
    try:
        value = 0 if text is None else int(text) if text.isdigit() else json.loads(text)
    except (ValueError, RecursionError):
        return None
    if value.__class__ not in (int, float):
        return None
    total = value + n
    if limit is not None and (total > limit if n >= 0 else total < limit):
        total = limit if reset is None else reset
    if not -_EXACT <= total <= _EXACT:  # also what is infinite, or no number
        return None
    return repr(total)
