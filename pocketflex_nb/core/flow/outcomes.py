"""The outcomes of work done in parallel: results in order, and each failure with its index and its cause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["ItemFailure", "Outcomes", "given", "is_awaited"]


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """One item, or one branch, that failed for good where failures are collected.

    Parameters
    ----------
    index : int
        Its place among the items, or among the branches in written order; from 0.
    cause : Exception
        What was raised: the very object.
    item : object
        The item, the params of a `BatchFlow`'s item, or the id of the node that a branch began with.

    Examples
    --------
    >>> from pocketflex_nb import BatchNode
    >>> class Halve(BatchNode):
    ...     def prep(self, shared):
    ...         return [2, "two", 4]
    ...     def exec(self, item):
    ...         return item / 2
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["halves"] = [half for half in exec_res if isinstance(half, float)]
    ...         shared["failed"] = [(lost.index, lost.item, type(lost.cause).__name__) for lost in exec_res.failures]
    >>> Halve(on_error="collect").run(store := {})
    >>> store
    {'halves': [1.0, 2.0], 'failed': [(1, 'two', 'TypeError')]}
    """

    index: int
    cause: Exception
    item: Any = None


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
