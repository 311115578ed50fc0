"""The state of one key of a store: its live value, last frozen copy, version and writer."""

from __future__ import annotations

from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING, Final

from pocketflex_nb.core.store.writer import Writer

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["UNTRACKED", "KeyState", "Tracking", "WorkingCopy"]


class Tracking(Enum):
    """Stands for a frame where there is none."""

    UNTRACKED = "nobody looks at the key at the end of a node"


UNTRACKED: Final = Tracking.UNTRACKED


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

    __slots__ = ("copies", "frozen", "is_fast_path", "kept", "key", "plain", "tracked_by", "value", "version", "writer")

    def __init__(
        self, key: object, value: object, frozen: object, version: int, writer: Writer, kept: list[object] | None = None
    ) -> None:
        self.key, self.value, self.frozen, self.version, self.writer, self.kept = key, value, frozen, version, writer, kept
        self.plain = self.is_fast_path = False
        self.tracked_by: WalkFrame | Tracking | None = UNTRACKED
        self.copies: dict[WalkFrame, WorkingCopy] | None = None

    def set_kind(self, plain: bool, hidden: bool) -> None:
        """Record the kind of its value: immutable, or exempt from tracking."""
        self.plain, self.is_fast_path = plain or hidden, plain and not hidden and self.key.__class__ is str


class WorkingCopy:
    """The copy that one node got instead of the store's own object.

    Attributes
    ----------
    value : object
        Its own object.
    base : object
        The frozen value that it began with.
    is_first : bool
        Whether that object was the store's own, until another node's took its place.
    reads, since : int, float
        Reads since it was made or renewed, and when that was.
    """

    __slots__ = ("base", "is_first", "reads", "since", "value")

    def __init__(self, value: object, base: object, is_first: bool = False) -> None:
        self.value, self.base, self.is_first, self.reads, self.since = value, base, is_first, 0, monotonic()
