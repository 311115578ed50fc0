"""Finds nested changes of values that a node read, and collects them at the end of a hop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pocketflex_nb.core.frozen.freezer import Freezer
from pocketflex_nb.core.store.bounded_copies import TOUCHED_BOUND, too_large
from pocketflex_nb.core.store.change_log import changes_of
from pocketflex_nb.core.store.exclusive import exclusive
from pocketflex_nb.core.store.key_state import UNTRACKED, KeyState
from pocketflex_nb.core.store.working_copies import WorkingCopies, holds, owner_of
from pocketflex_nb.core.store.writer import writer_of

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["collect_changes", "detect_mutation", "detect_mutations_so_far"]


def collect_changes(frame: WalkFrame) -> list[object] | None:
    """Close the changes of the current node: find the nested ones, and return the positions of all their records.

    Parameters
    ----------
    frame : WalkFrame
        Its `touched` and its changes are read and emptied. They may belong to several stores.

    Returns
    -------
    list, or None
        In the order they were found, of each record its page and where it begins there, in turn; None when there are none.
        `places_in` goes along them, `Changes` reads them, `numbered` tells them the hop's number.
    """
    error = None
    touched: dict[KeyState, WorkingCopies] | None = frame.touched
    if touched:
        frame.touched = None
        for state, store in touched.items():
            if state.tracked_by is frame or not holds(state.tracked_by, state):
                state.tracked_by = UNTRACKED
            try:
                if state.copies is not None:
                    store._end_copy(state, frame)
                elif not state.plain:
                    store._detect_mutation(state, frame)
            except Exception as exc:  # a conflict, or what a shared store refuses: the other keys are looked at first
                error = error or exc
    if error is not None:
        raise error
    return changes_of(frame)


def detect_mutations_so_far(store: WorkingCopies, frame: WalkFrame) -> None:
    """Find the nested changes that the current node has made to `store` so far."""
    touched: dict[KeyState, WorkingCopies] = frame.touched or {}
    for state, its_store in list(touched.items()):
        if its_store is store and not (state.copies and owner_of(frame) in state.copies):
            store._detect_mutation(state, frame)


def detect_mutation(store: WorkingCopies, state: KeyState, frame: WalkFrame | None) -> None:
    """Compare a value with its last copy, and record its changes, unless the step that made them was abandoned."""
    if frame is not None and store._is_late(frame):
        return
    done = state.plain
    while not done:
        value, before = state.value, state.frozen
        freezer = Freezer(TOUCHED_BOUND)
        try:
            frozen, op = freezer.freeze(value, before), "set"
        except Exception:  # too much, changed by another thread meanwhile, or of a class of the user's that raises
            frozen, op = too_large(value), "maybe"
        done = frozen is before or _record_mutation(store, state, value, before, op, (frozen, freezer.fresh), frame)


@exclusive
def _record_mutation(
    store: WorkingCopies, state: KeyState, value: object, before: object, op: str, frozen: tuple[object, int], frame: WalkFrame | None
) -> bool:
    """Record a nested change; False if another writer changed the key meanwhile, so that it must be compared again."""
    if store._states.get(state.key) is not state:
        return True  # deleted meanwhile
    if state.value is not value or state.frozen is not before:
        return state.plain or (state.copies is not None and frame is not None and frame in state.copies)
    copy, weight = frozen
    writer = writer_of(frame, store._change_log.unresolved)
    place = store._lay([store.version + 1, state.key, op, before, copy, writer, 0, time.time(), -weight])
    state.frozen = copy
    if op == "set":  # of a "maybe" nobody knows who wrote, or whether
        state.version, state.writer = store.version, writer
    store._note(place, frame, weight)
    return True
