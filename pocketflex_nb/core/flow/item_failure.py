"""`ItemFailure`: one item, or one branch, that failed where failures are collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["ItemFailure"]


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
