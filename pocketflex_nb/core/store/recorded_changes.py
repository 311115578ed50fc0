"""A store as it was recorded elsewhere: each change is laid into its history with who wrote it then, as if it had been written here."""

from __future__ import annotations

from pocketflex_nb.core.frozen.freezer import is_plain
from pocketflex_nb.core.frozen.frozen_tree import MISSING
from pocketflex_nb.core.store.change_log import TIME, RecordPos
from pocketflex_nb.core.store.key_state import UNTRACKED, KeyState
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.store.writer import Writer

__all__ = ["lay_change", "recorded_store", "recorded_writer"]

#: bytes of old values that the store of a reopened run keeps: the whole of it is there to be looked at
_BYTES = 512 * 2**20


def recorded_store(content: dict[object, object], changes: int, begun: float) -> Store:
    """A store that began with `content`, and keeps so many changes.

    Parameters
    ----------
    content : dict
        What it held before the first of them.
    changes : int
        How many will be laid into it.
    begun : float
        Wall clock, in seconds since the epoch.
    """
    store = Store(content, on_conflict="ignore", history=max(changes, 1))
    store._change_log.most_bytes = _BYTES
    store._begin[TIME] = begun
    return store


def recorded_writer(run: str, path: str) -> Writer:
    """Who wrote: the run of that name, and the node at that graph path."""
    writer = Writer(None)
    writer.run, writer.path = run, path
    return writer


def lay_change(store: Store, key: object, value: object, writer: Writer, step: int, time: float) -> RecordPos:
    """Write `key`, or remove it when `value` is `MISSING`, as `writer` did at that step and time; where its record lies.

    For a store of `recorded_store` that nobody else has yet: it takes no lock.

    Parameters
    ----------
    step : int
        Number of the hop that wrote, from 1; 0 outside of any.
    time : float
        Wall clock, in seconds since the epoch.
    """
    state, log = store._state_of(key), store._change_log
    old = MISSING if state is None else state.frozen
    if value is MISSING:
        place = store._lay([store.version + 1, key, "delete", old, MISSING, writer, step, time, -1])
        store._states.pop(key, None)
        dict.pop(store, key, None)
        log.tombstones[key] = store.version, writer
        log.weigh(1, store.version)
        return place
    frozen, weight = store._frozen(key, value, old)
    place = store._lay([store.version + 1, key, "set", old, frozen, writer, step, time, -weight])
    if state is None:
        state = store._states[key] = KeyState(key, value, frozen, store.version, writer)
        log.tombstones.pop(key, None)
    state.value, state.frozen, state.version, state.writer, state.tracked_by = value, frozen, store.version, writer, UNTRACKED
    state.set_kind(is_plain(value), False)
    dict.__setitem__(store, key, value)
    if weight:
        log.weigh(weight, store.version)
    return place
