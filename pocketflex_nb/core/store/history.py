"""What a store held before, and who wrote it: functions of its change log and key states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.frozen.frozen_tree import MISSING, Opaque, thaw
from pocketflex_nb.core.frozen.persistent_map import PersistentMap
from pocketflex_nb.core.store.change_log import record_at
from pocketflex_nb.core.store.key_state import KeyState

if TYPE_CHECKING:
    from pocketflex_nb.core.frozen.diff import Difference
    from pocketflex_nb.core.store.change_log import ChangeLog
    from pocketflex_nb.core.store.changes import Change

__all__ = ["changes_since", "content_at", "differences", "kept_changes", "map_at", "past_values"]


def kept_changes(log: ChangeLog, version: int, key: object) -> list[Change]:
    """The kept changes of `key`, or of all keys for `MISSING`, oldest first, of a store at `version`."""
    from pocketflex_nb.core.store.changes import change_of  # a quarter of the import's time, which most flows never need

    kept = [pos for pos in log.after(0, version) if key is MISSING or record_at(pos).key == key]
    return [change_of(pos) for pos in reversed(kept)]


def changes_since(log: ChangeLog, since: int, version: int) -> list[object]:
    """The keys that were written after `since`, in the order of their first change."""
    return list(reversed({record_at(pos).key: None for pos in log.after(since, version)}))


def map_at(
    known: PersistentMap | None, log: ChangeLog, version: int, state_of: Callable[[object], KeyState | None], keys: Iterable[object]
) -> PersistentMap:
    """The persistent map of a store at `version`: the `known` one with what changed since, if that is kept."""

    def entries(names: Iterable[object]) -> Iterator[tuple[object, tuple[int, object] | None]]:
        for key in names:
            state = state_of(key)
            yield key, None if state is None else (state.version, state.frozen)

    if known is None or known.version < log.floor(version):
        return PersistentMap(version, ((key, entry) for key, entry in entries(keys) if entry is not None))
    return known.after(version, entries(changes_since(log, known.version, version)))


def past_values(log: ChangeLog, then: int, version: int) -> dict[object, object]:
    """The frozen values at version `then` of the keys that were written since, in a store at `version`."""
    if not isinstance(then, int) or not 0 <= then <= version:
        raise StoreError(f"version {then!r} of a store at version {version}: a number from 0 to {version}")
    floor = log.floor(version)
    if then < floor:
        raise StoreError(
            f"version {then} is no longer kept, the history begins at {floor}; keep more: Store(history=...), now {log.limit}"
        )
    return {record.key: record.old for record in map(record_at, log.after(then, version))}


def content_at(
    past: dict[object, object], state_of: Callable[[object], KeyState | None], keys: Iterable[object]
) -> dict[object, object]:
    """A plain copy of what the store held when `past` gives the values of the keys that were written since."""
    present = {key: past.pop(key) if key in past else state_of(key) for key in keys}
    return {key: _plain_copy(found) for key, found in {**present, **past}.items() if found is not MISSING}


def _plain_copy(found: object) -> object:
    """A plain copy of a key's value or of a frozen one; the live value where there is no copy."""
    if not isinstance(found, KeyState):
        return thaw(found)
    return found.value if isinstance(found.frozen, Opaque) else thaw(found.frozen)


def differences(
    first: dict[object, object], last: dict[object, object], state_of: Callable[[object], KeyState | None]
) -> list[Difference]:
    """The differences of two versions, each given by the values of the keys that were written since."""
    from pocketflex_nb.core.frozen.diff import compare_values

    found: list[Difference] = []
    for key in [*reversed(first), *(key for key in reversed(last) if key not in first)]:
        state = state_of(key)
        now = MISSING if state is None else state.frozen
        found += compare_values(first.get(key, now), last.get(key, now), (key,))
    return found
