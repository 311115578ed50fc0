"""The outcomes of work done in parallel: results in order, and each failure with its index and its cause."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.item_failure import ItemFailure

__all__ = ["Outcomes", "given", "is_awaited"]


class Outcomes(list[Any]):
    """Results in the order of the items; a failed item is represented by its exception.

    Attributes
    ----------
    failures : list of ItemFailure
        Those that failed, in the order of the items.
    """

    def __init__(self, results: Iterable[object] = (), failures: Iterable[ItemFailure] = ()) -> None:
        super().__init__(results)
        self.failures = sorted(failures, key=lambda failure: failure.index)


def given(items: object) -> Any:
    """The items that `prep` returned: an iterable of either kind as it is; none for None, and for a falsy value that is not iterable.

    An array is asked for its items and never for its truth: one that holds a single zero is false.
    """
    if items is None or not (hasattr(items, "__iter__") or hasattr(items, "__aiter__") or hasattr(items, "__getitem__") or items):
        return []
    return items


def is_awaited(items: object) -> bool:
    """Whether `items` can only be iterated by ``async for``."""
    return hasattr(items, "__aiter__") and not hasattr(items, "__iter__")
