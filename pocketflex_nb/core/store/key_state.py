"""The state of one key of a store: its live value, last frozen copy, version and writer."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.store.writer import Writer

__all__ = ["UNTRACKED", "KeyState"]


class KeyState:
    """The state of one key, made when the key is first read or written.

    Attributes
    ----------
    value : object
        The live value, as in the dict.
    frozen : object
        Its last frozen copy.
    plain : bool
        Whether the value can never change in place, or is not to be looked at.
    is_fast_path : bool
        Whether a write may take the short way: plain, of a key that is a `str`, neither transient nor deleted.
    tracked_by : object
        The frame that has the key among those to look at again, None for code outside of any run, `UNTRACKED` for nobody.
    version : int
        The store's version that the last write made.
    writer : Writer
        Who made it.
    kept : list or None
        The record of that write, once its page is gone.
    views : dict or None
        What nodes in flight were handed instead of the store's own object (:mod:`pocketflex_nb.core.store.working_copies`).
    """

    __slots__ = ("frozen", "is_fast_path", "kept", "key", "plain", "tracked_by", "value", "version", "views", "writer")

    def __init__(self, key: Any, value: Any, frozen: Any, version: int, writer: Writer, kept: list[Any] | None = None) -> None:
        self.key, self.value, self.frozen, self.version, self.writer, self.kept = key, value, frozen, version, writer, kept
        self.plain = self.is_fast_path = False
        self.tracked_by: Any = UNTRACKED
        self.views: dict[Any, Any] | None = None

    def set_kind(self, plain: bool, hidden: bool) -> None:
        """Record the kind of its value: immutable, or exempt from tracking."""
        self.plain, self.is_fast_path = plain or hidden, plain and not hidden and self.key.__class__ is str


class _Untracked:
    __slots__ = ()

UNTRACKED = _Untracked()
