"""Decides which object a node gets for a key: the store's own, or a copy while another running node holds that one.

Two nodes that run at the same time must not change one list or dict together: their changes could not be told apart, and a lost update
could not be found. The first node that reads a key gets the store's own object; one that reads it while the first still runs gets a
copy. When its node ends, each copy is merged with the store's present value, against the value it started from
(:mod:`pocketflex_nb.core.frozen.three_way_merge`). Where both changed the same path, that is a lost update.

A step that was abandoned keeps the object that it got; the store continues with another.
"""

from __future__ import annotations

from collections.abc import ItemsView, Sequence, ValuesView
from time import monotonic
from time import time as now
from typing import TYPE_CHECKING, Any, TypeGuard

from pocketflex_nb.core.context import CURRENT_FRAME, walked_with
from pocketflex_nb.core.frozen.copies import NotCopied, copy_of, restore
from pocketflex_nb.core.frozen.freezer import MISSING, Freezer, Opaque, is_plain
from pocketflex_nb.core.store.bounded_copies import WRITTEN_BOUND, frozen_within, too_large
from pocketflex_nb.core.store.conflicts import ConflictPolicy, ConflictRules, is_fenced, replaced_values
from pocketflex_nb.core.store.exclusive import exclusive
from pocketflex_nb.core.store.key_state import UNTRACKED, KeyState, Tracking, WorkingCopy
from pocketflex_nb.core.store.writer import Writer, writer_of

if TYPE_CHECKING:
    from threading import RLock

    from pocketflex_nb.core.frozen.three_way_merge import Merge
    from pocketflex_nb.core.port_types import WalkFrame
    from pocketflex_nb.core.store.change_log import ChangeLog, Record, RecordPos
    from pocketflex_nb.core.store.watch import Listeners

__all__ = ["MANY", "READS", "SECONDS", "WorkingCopies", "holds", "is_related", "loan", "owner_of"]

#: reads, and seconds, after which a node that only reads its copy is given the present state
READS, SECONDS = 8, 0.1
#: nodes at work on one key, beyond which one that waits is shown what they did at their ends only
MANY = 64
_frame = CURRENT_FRAME.get
_set = dict.__setitem__


def owner_of(frame: WalkFrame) -> WalkFrame:
    """The walk that a step belongs to: steps of one node share their copies."""
    while getattr(frame, "step", False) and frame.parent is not None:
        frame = frame.parent
    return frame


def _is_above(frame: WalkFrame, other: WalkFrame | None) -> bool:
    """Whether `other` was entered from `frame`."""
    while other is not None:
        if other is frame:
            return True
        other = other.parent
    return False


def is_related(frame: WalkFrame, other: WalkFrame) -> bool:
    """Whether two frames belong to one walk, or one of their walks was entered from the other's."""
    mine, theirs = owner_of(frame), owner_of(other)
    return _is_above(mine, theirs) or _is_above(theirs, mine)


def holds(frame: WalkFrame | Tracking | None, state: object) -> TypeGuard[WalkFrame]:
    """Whether a running node got the store's own object of this key."""
    if frame is UNTRACKED or frame is None:
        return False
    touched = frame.touched
    return touched is not None and state in touched


class WorkingCopies(dict[Any, Any]):
    """The part of a store that decides which objects readers get."""

    __slots__ = ()

    _states: dict[object, KeyState]
    _change_log: ChangeLog
    _conflicts: ConflictRules
    _transient: frozenset[object]
    _lock: RLock
    _listeners: Listeners | None
    _busy: int
    version: int

    if TYPE_CHECKING:  # the store's own, which the copies need

        def _is_late(self, frame: WalkFrame | None, told: bool = True) -> bool: ...
        def _touch(self, state: KeyState) -> None: ...
        def _frozen(self, key: object, value: object, old: object) -> tuple[object, int]: ...
        def _detect_mutation(self, state: KeyState, frame: WalkFrame | None) -> None: ...
        def _report_conflict(
            self, key: object, frame: WalkFrame, other: Writer, done: bool, path: tuple[object, ...] = ()
        ) -> None: ...
        def _commit(
            self, key: object, state: KeyState | None, value: object, frozen: tuple[object, int], frame: WalkFrame | None
        ) -> None: ...
        def _take(self, key: object, frame: WalkFrame | None, check: bool) -> tuple[object, Writer | None, bool]: ...
        def _lay(self, record: Sequence[object]) -> RecordPos: ...
        def _note(self, place: RecordPos, frame: WalkFrame | None, weight: int) -> None: ...

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # of a plain dict, inside of a run
        """The values; inside of a run those that the current node gets."""
        return dict.values(self) if _frame() is None else self._handed().values()

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]  # as above
        """The keys with their values; inside of a run those that the current node gets."""
        return dict.items(self) if _frame() is None else self._handed().items()

    def _handed(self) -> dict[object, object]:
        """A plain dict of the objects that the current node gets for every key."""
        found = {key: self.get(key, MISSING) for key in list(dict.keys(self))}
        return {key: value for key, value in found.items() if value is not MISSING}

    def _hand(self, state: KeyState) -> object:
        """The object of a key with a mutable value, for the current node."""
        frame = _frame()
        if frame is None:
            if not holds(state.tracked_by, state):
                self._touch(state)
            return state.value
        if (
            state.tracked_by is UNTRACKED and state.copies is None and not frame.fenced
            and (frame.parent is None or not is_fenced(frame.parent)) and not self._conflicts.nested_keys
        ):
            self._touch(state)
            return state.value
        return self._hand_apart(state, frame)

    @exclusive
    def _hand_apart(self, state: KeyState, frame: WalkFrame) -> object:
        if self._is_late(frame, told=False):
            return loan(state)
        owner = owner_of(frame)
        view = state.copies.get(owner) if state.copies else None
        if view is None:
            view = self._copy_for(state, frame, owner)
            if view is None:
                self._touch(state)
                return state.value
            if state.copies is None:
                state.copies = {}
            state.copies[owner] = view
        for walk in (frame, owner):
            if walk.touched is None:
                walk.touched = {}
            walk.touched[state] = self
        view.reads += 1
        if view.reads >= READS and monotonic() - view.since >= SECONDS:
            self._renew(state, view, owner)
        return view.value

    def _copy_for(self, state: KeyState, frame: WalkFrame, owner: WalkFrame) -> WorkingCopy | None:
        """A copy for `owner`, or None when it may have the store's own object."""
        base = state.frozen
        if self._conflicts.nested_keys and state.key in self._conflicts.nested_keys:
            base = self._as_it_began(state, frame)
        if base is state.frozen:
            holder = state.tracked_by
            if not holds(holder, state):
                return None
            if is_related(holder, owner):
                return None
        try:
            return WorkingCopy(copy_of(base, state.value), base)
        except (NotCopied, RuntimeError):  # too large, of parts that cannot be copied, or changed by a thread meanwhile
            return None

    def _as_it_began(self, state: KeyState, frame: WalkFrame) -> object:
        """The frozen value of a key when the current node began, if another one has written it since."""
        if state.version <= frame.start_version or walked_with(frame) is not self or state.writer.is_related(frame):
            return state.frozen
        base = list(replaced_values(self._change_log, state.key, frame.start_version, self.version))
        return base[-1] if base and base[-1] is not MISSING and not isinstance(base[-1], Opaque) else state.frozen

    def _renew(self, state: KeyState, view: WorkingCopy, owner: WalkFrame) -> None:
        """Show running nodes each other's changes when one reads repeatedly, since it waits for the others."""
        view.reads, view.since = 0, monotonic()
        if self._states.get(state.key) is not state or state.plain:
            return
        copies = list((state.copies or {}).items())
        for other, known in copies if len(copies) <= MANY else [(owner, view)]:
            for path, writer, done in self._merge_copy(state, other, known, ends=False):
                self._report_conflict(path[0], other, writer, done, path)
        if holds(state.tracked_by, state):
            self._detect_mutation(state, state.tracked_by)
        if state.frozen is view.base or frozen_within(view.value, view.base) is not view.base:
            return
        try:
            view.value = restore(view.value, state.frozen)
            view.base = state.frozen
        except (NotCopied, RuntimeError):
            pass

    # the object that a node got is separated from its successor -----------------------------------------------------------
    def _set_aside_copies(self, state: KeyState, frame: WalkFrame | None, keeps: bool = False) -> bool:
        """`frame` replaces the store's own object: others that work on it keep it, and `frame` what it was handed if it `keeps` that.

        Whether somebody works on it. The lock is held.
        """
        owner = None if frame is None else owner_of(frame)
        if state.copies and not keeps:
            _drop_copy(state, owner)
        holder = state.tracked_by
        if not holds(holder, state):
            return False
        other = owner_of(holder)
        if owner is not None and is_related(other, owner):
            return False
        state.tracked_by = UNTRACKED
        if state.copies is None:
            state.copies = {}
        state.copies.setdefault(other, WorkingCopy(state.value, state.frozen, is_first=True))
        return True

    @exclusive
    def _apart(self, state: KeyState, frame: WalkFrame | None) -> object:
        """The starting value of an atomic change: the value without the changes that other running nodes have made to it so far."""
        owner = None if frame is None else owner_of(frame)
        if owner is not None and state.copies and owner in state.copies:
            self._merge_copy(state, owner, state.copies[owner], ends=False)
        if not holds(state.tracked_by, state):
            return state.value
        if owner is not None and is_related(state.tracked_by, owner):
            return state.value
        try:
            return copy_of(state.frozen, state.value)
        except (NotCopied, RuntimeError):
            return state.value

    @exclusive
    def _withdraw(self, state: KeyState, frame: WalkFrame) -> tuple[object, object] | None:
        """Replace the store's object that an abandoned step got by a new one; returns that one, and the other."""
        owner = owner_of(frame)
        view = state.copies.get(owner) if state.copies else None
        if view is not None:
            old, base = view.value, view.base
        elif self._states.get(state.key) is state and not state.plain:
            old, base = state.value, state.frozen
        else:
            return None
        new = copy_of(base, old)
        if view is None:
            state.value, state.tracked_by = new, UNTRACKED
            _set(self, state.key, new)
        else:
            view.value, view.is_first = new, False
        return old, new

    # a try that failed ------------------------------------------------------------------------------------------------
    def _record_so_far(self, state: KeyState, frame: WalkFrame) -> None:
        """Record what the current node has changed so far."""
        owner = owner_of(frame)
        if state.copies and owner in state.copies:
            self._merge_copy(state, owner, state.copies[owner], ends=False)
        elif not state.plain:
            self._detect_mutation(state, frame)

    @exclusive
    def _undo_write(self, last: Record, old: object, before: object, frame: WalkFrame) -> bool:
        """Restore a key to its value before an attempt wrote it; False for another store, or if another writer has changed it since.

        `last` is the try's last record of the key, `old` the frozen value before its first, `before` the live one, where it is known.
        """
        key = last.key
        state = self._states.get(key)
        if state is None:
            if self._change_log.tombstones.get(key, (0,))[0] != last.version:
                return False
        elif state.version != last.version or state.writer is not last.writer:
            return False
        if old is MISSING:
            if state is not None:
                self._take(key, frame, False)
            return True
        if before is MISSING and state is not None:
            before = state.value
        value = before if key in self._transient else restore(before, old)
        self._commit(key, state, value, self._frozen(key, value, old), frame)
        return True

    @exclusive
    def _restore_in_place(self, state: KeyState, frame: WalkFrame) -> tuple[object, object] | None:
        """Restore a value that an attempt got to its content when the attempt began, in place."""
        owner = owner_of(frame)
        view = state.copies.get(owner) if state.copies else None
        if view is not None:
            given, base = view.value, view.base
        elif (
            self._states.get(state.key) is state and not state.plain
            and (not holds(state.tracked_by, state) or owner_of(state.tracked_by) is owner)
        ):
            given, base = state.value, state.frozen
        else:
            return None
        now = frozen_within(given, base)
        if now is None or now is base:
            return None
        now = restore(given, base)
        if now is given:
            return None
        if view is not None:
            view.value = now
        else:
            state.value = now
            _set(self, state.key, now)
        return given, now

    # at a node's end -------------------------------------------------------------------------------------------------
    def _end_copy(self, state: KeyState, frame: WalkFrame) -> None:
        """Merge the changes of the current node's copy with the store's value."""
        view = state.copies.get(frame) if state.copies else None
        if view is None:
            if not state.plain:
                self._detect_mutation(state, frame)
            return
        lost = self._merge_copy(state, frame, view, ends=True)
        for path, other, done in lost:
            self._report_conflict(path[0], frame, other, done, path)

    @exclusive
    def _merge_copy(self, state: KeyState, frame: WalkFrame, view: WorkingCopy, ends: bool) -> list[tuple[tuple[Any, ...], Writer, bool]]:
        """Bring the changes of one view into the store; the places of lost updates, each with who else wrote and whether it was done."""
        if ends:
            _drop_copy(state, frame)
        if self._is_late(frame) or self._states.get(state.key) is not state:
            return []
        mine = frozen_within(view.value, view.base, WRITTEN_BOUND)
        if mine is None and ends:  # it has grown too large to be compared
            mine = too_large(view.value)
        if mine is None or mine is view.base:
            return []
        own, other = view.value, state.writer
        if not ends:  # it goes on working with its own object
            try:
                own = copy_of(mine, own)
            except (NotCopied, RuntimeError):
                return []
        from pocketflex_nb.core.frozen.three_way_merge import Merge

        merge = Merge(self._conflicts.merge)
        merged = own if state.frozen is view.base else self._merged_copy(merge, state, view, mine, own)
        lost = [path for path in merge.lost if not other.is_related(frame) and other.resolve().name]
        done = not lost or self._conflicts.policy is not ConflictPolicy.RAISE
        if done:
            self._put_copy(state, frame, view, merged, ends)
            view.base = mine
        return [(path, other, done) for path in lost]

    def _merged_copy(self, merge: Merge, state: KeyState, view: WorkingCopy, mine: object, own: object) -> object:
        theirs = state.frozen
        try:
            live = copy_of(theirs, state.value)
        except (NotCopied, RuntimeError):
            merge.lost.append((state.key,))
            return own
        return merge.value((state.key,), view.base, theirs, mine, live, own)

    def _put_copy(self, state: KeyState, frame: WalkFrame, view: WorkingCopy, merged: object, ends: bool) -> None:
        """Store the merged value, in the present object where no other node uses that one."""
        freezer = Freezer(WRITTEN_BOUND)
        try:
            frozen: object = freezer.freeze(merged, state.frozen)
        except Exception:  # too large, or changed by a thread meanwhile
            frozen = too_large(merged)
        if frozen is state.frozen and not view.is_first:
            return
        is_held = self._set_aside_copies(state, frame, keeps=not ends)
        is_home = view.is_first and ends
        try:
            value = merged if is_held and not is_home else restore(view.value if is_home else state.value, frozen)
        except (NotCopied, RuntimeError):
            value = merged
        state.value = value
        _set(self, state.key, value)
        state.set_kind(is_plain(value), False)
        if frozen is state.frozen:
            return
        writer = writer_of(frame, self._change_log.unresolved)
        place = self._lay([self.version + 1, state.key, "set", state.frozen, frozen, writer, 0, now(), -freezer.fresh])
        state.frozen, state.version, state.writer = frozen, self.version, writer
        self._note(place, frame, freezer.fresh)


def loan(state: KeyState) -> object:
    """An object that an abandoned step may change freely."""
    try:
        return copy_of(state.frozen, state.value)
    except (NotCopied, RuntimeError):
        return state.value


def _drop_copy(state: KeyState, owner: WalkFrame | None) -> None:
    if state.copies is not None:
        if owner is not None:
            state.copies.pop(owner, None)
        if not state.copies:
            state.copies = None
