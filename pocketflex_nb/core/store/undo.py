"""Undoes the writes of a failed attempt, key by key, except keys that another writer has changed since.

`set_out` begins an attempt; while it lasts, stores save the values that it replaces in the frame's `undo`. When it fails, `put_back`
writes them again, and restores values that were changed in place, in place, so that everyone who holds them sees that, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflex_nb.core.context import walked_with
from pocketflex_nb.core.frozen.copies import NotCopied
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.store.change_log import Record, places_in, record_at
from pocketflex_nb.core.store.store import Store

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame
    from pocketflex_nb.core.store.key_state import KeyState

__all__ = ["Undo", "is_tracking", "put_back", "set_out"]


class Undo(dict[tuple[int, object], object]):
    """The values that an attempt replaced, by store (its `id`) and key.

    Attributes
    ----------
    began : int
        Number of changes that the node in flight had made when the try began.
    """

    __slots__ = ("changes_before",)

    changes_before: int


def is_tracking(frame: WalkFrame) -> bool:
    """Whether the current node has read or written any store."""
    return bool(frame.touched) or frame.page is not None


def set_out(frame: WalkFrame) -> None:
    """Begin an attempt: what the node has changed so far stays."""
    touched: dict[KeyState, Store] = frame.touched or {}
    for state, store in list(touched.items()):
        store._record_so_far(state, frame)
    frame.undo = Undo()
    frame.undo.changes_before = len(_changes(frame))


def put_back(frame: WalkFrame) -> tuple[list[tuple[object, str]], dict[int, tuple[object, object]]]:
    """Undo what the attempt wrote.

    Returns
    -------
    list of (key, reason)
        What could not be taken back.
    dict of id to (object, object)
        Values that were handed out and had to be replaced, each with what took its place.
    """
    undo: Undo = frame.undo
    frame.undo = None
    failed: list[tuple[object, str]] = []
    swapped: dict[int, tuple[object, object]] = {}
    touched: dict[KeyState, Store] = dict(frame.touched or {})
    known = (walked_with(frame), frame.run.store, frame.store, *touched.values())
    stores = {id(store): store for store in known if isinstance(store, Store)}
    for first, last in _written(frame, undo.changes_before).values():
        for store in stores.values():
            try:
                if store._undo_write(last, first.old, undo.get((id(store), last.key), MISSING), frame):
                    break
            except (NotCopied, RuntimeError) as exc:
                failed.append((last.key, str(exc)))
                break
    for state, store in touched.items():
        try:
            given = store._restore_in_place(state, frame)
        except (NotCopied, RuntimeError) as exc:
            failed.append((state.key, str(exc)))
            continue
        if given is not None:
            swapped[id(given[0])] = given
    return failed, swapped


def _changes(frame: WalkFrame) -> list[object]:
    """The positions of the changes that the current node has made."""
    if frame.page is None:
        return []
    return frame.changes if frame.changes is not None else [frame.page, frame.at]


def _written(frame: WalkFrame, changes_before: int) -> dict[object, tuple[Record, Record]]:
    """The first and the last record of each key that the attempt wrote."""
    changes = _changes(frame)
    begin = changes_before if len(changes) >= changes_before else 0  # a node that writes in a long loop shortens them
    found: dict[object, tuple[Record, Record]] = {}
    for record in map(record_at, places_in(changes[begin:])):
        found[record.key] = (found[record.key][0] if record.key in found else record, record)
    return found
