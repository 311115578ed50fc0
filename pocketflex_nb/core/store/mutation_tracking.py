"""Finds nested changes of values that a node read, and collects them at the end of a hop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.store.change_log import changes_of
from pocketflex_nb.core.store.key_state import UNTRACKED
from pocketflex_nb.core.store.working_copies import holds

if TYPE_CHECKING:
    pass

__all__ = ["collect_changes"]


def collect_changes(frame: Any) -> list[Any] | None:
    """Close the changes of the current node: find the nested ones, and return the positions of all their records.

    Parameters
    ----------
    frame : frame
        Its `touched` and its changes are read and emptied. They may belong to several stores.

    Returns
    -------
    list, or None
        In the order they were found, of each record its page and where it begins there, in turn; None when there are none.
        `places_in` goes along them, `Changes` reads them, `numbered` tells them the hop's number.
    """
    touched, error = frame.touched, None
    if touched:
        frame.touched = None
        for state, store in touched.items():
            if state.tracked_by is frame or not holds(state.tracked_by, state):
                state.tracked_by = UNTRACKED
            try:
                if state.views is not None:
                    store._end_view(state, frame)
                elif not state.plain:
                    store._detect_mutation(state, frame)
            except Exception as exc:  # a conflict, or what a shared store refuses: the other keys are looked at first
                error = error or exc
    if error is not None:
        raise error
    return changes_of(frame)
