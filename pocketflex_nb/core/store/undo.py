"""Undoes the writes of a failed attempt, key by key, except keys that another writer has changed since.

`set_out` begins an attempt; while it lasts, stores save the values that it replaces in the frame's `undo`. When it fails, `put_back`
writes them again, and restores values that were changed in place, in place, so that everyone who holds them sees that, too.
"""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.context import walked_with
from pocketflex_nb.core.frozen.copies import NotCopied
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.store.change_log import FIELDS, KEY, OLD, places_in
from pocketflex_nb.core.store.store import Store

__all__ = ["Undo", "is_tracking", "put_back", "set_out"]


class Undo(dict[Any, Any]):
    """The values that an attempt replaced, by store (its `id`) and key.

    Attributes
    ----------
    began : int
        Number of changes that the node in flight had made when the try began.
    """

    __slots__ = ("changes_before",)

    changes_before: int


def is_tracking(frame: Any) -> bool:
    """Whether the current node has read or written any store."""
    return bool(frame.touched) or frame.page is not None


def set_out(frame: Any) -> None:
    """Begin an attempt: what the node has changed so far stays."""
    for state, store in list((frame.touched or {}).items()):
        store._record_so_far(state, frame)
    frame.undo = Undo()
    frame.undo.changes_before = len(_changes(frame))


def put_back(frame: Any) -> tuple[list[tuple[Any, str]], dict[int, tuple[Any, Any]]]:
    """Undo what the attempt wrote.

    Returns
    -------
    list of (key, reason)
        What could not be taken back.
    dict of id to (object, object)
        Values that were handed out and had to be replaced, each with what took its place.
    """
    undo, frame.undo = frame.undo, None
    failed: list[tuple[Any, str]] = []
    swapped: dict[int, tuple[Any, Any]] = {}
    touched = dict(frame.touched or {})
    known = (walked_with(frame), frame.run.store, frame.store, *touched.values())
    stores = {id(store): store for store in known if isinstance(store, Store)}
    for first, last in _written(frame, undo.changes_before).values():
        for store in stores.values():
            try:
                if store._undo_write(last, first[OLD], undo.get((id(store), last[KEY]), MISSING), frame):
                    break
            except (NotCopied, RuntimeError) as exc:
                failed.append((last[KEY], str(exc)))
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


def _changes(frame: Any) -> list[Any]:
    """The positions of the changes that the current node has made."""
    if frame.page is None:
        return []
    return frame.changes if frame.changes is not None else [frame.page, frame.at]


def _written(frame: Any, changes_before: int) -> dict[Any, tuple[list[Any], list[Any]]]:
    """The first and the last record of each key that the attempt wrote."""
    changes = _changes(frame)
    begin = changes_before if len(changes) >= changes_before else 0  # a node that writes in a long loop shortens them
    found: dict[Any, tuple[list[Any], list[Any]]] = {}
    for page, at in places_in(changes[begin:]):
        record = page[at : at + FIELDS]
        found[record[KEY]] = (found[record[KEY]][0] if record[KEY] in found else record, record)
    return found
