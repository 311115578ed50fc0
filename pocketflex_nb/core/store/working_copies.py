"""Decides which object a node gets for a key: the store's own, or a copy while another running node holds that one.

Two nodes that run at the same time must not change one list or dict together: their changes could not be told apart, and a lost update
could not be found. The first node that reads a key gets the store's own object; one that reads it while the first still runs gets a
copy. When its node ends, each copy is merged with the store's present value, against the value it started from
(:mod:`pocketflex_nb.core.frozen.three_way_merge`). Where both changed the same path, that is a lost update.

A step that was abandoned keeps the object that it got; the store continues with another.
"""

from __future__ import annotations

from time import monotonic
from time import time as now
from typing import Any

from pocketflex_nb.core.context import CURRENT_FRAME, walked_with
from pocketflex_nb.core.frozen.copies import NotCopied, copy_of, restore
from pocketflex_nb.core.frozen.freezer import MISSING, Freezer, Opaque, is_plain
from pocketflex_nb.core.frozen.three_way_merge import Merge
from pocketflex_nb.core.store.change_log import KEY, OLD, VERSION, WRITER
from pocketflex_nb.core.store.exclusive import exclusive
from pocketflex_nb.core.store.key_state import UNTRACKED, KeyState
from pocketflex_nb.core.store.writer import writer_of

__all__ = [
    "MANY", "READS", "SECONDS", "TOUCHED_BOUND", "WRITTEN_BOUND", "Handed", "View", "holds", "is_fenced", "is_related", "loan", "owner_of",
    "too_large",
]

#: estimated bytes of work to look at one touched key at a node's end; beyond it the change is "maybe"
TOUCHED_BOUND = 64 * 1024
#: the same for the first copy of a value that is written
WRITTEN_BOUND = 16 * TOUCHED_BOUND
#: reads, and seconds, after which a node that only reads its copy is given the present state
READS, SECONDS = 8, 0.1
#: nodes at work on one key, beyond which one that waits is shown what they did at their ends only
MANY = 64
_frame = CURRENT_FRAME.get
_set = dict.__setitem__


class View:
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

    def __init__(self, value: Any, base: Any, is_first: bool = False) -> None:
        self.value, self.base, self.is_first, self.reads, self.since = value, base, is_first, 0, monotonic()


def owner_of(frame: Any) -> Any:
    """The walk that a step belongs to: steps of one node share their copies."""
    while getattr(frame, "step", False):
        frame = frame.parent
    return frame


def _is_above(frame: Any, other: Any) -> bool:
    """Whether `other` was entered from `frame`."""
    while other is not None:
        if other is frame:
            return True
        other = other.parent
    return False


def is_related(frame: Any, other: Any) -> bool:
    """Whether two frames belong to one walk, or one of their walks was entered from the other's."""
    mine, theirs = owner_of(frame), owner_of(other)
    return _is_above(mine, theirs) or _is_above(theirs, mine)


def holds(frame: Any, state: Any) -> bool:
    """Whether a running node got the store's own object of this key."""
    if frame is UNTRACKED or frame is None:
        return False
    touched = frame.touched
    return touched is not None and state in touched


class Handed(dict[Any, Any]):
    """The part of a store that decides which objects readers get."""

    __slots__ = ()

    _states: Any
    _commit: Any
    _frozen: Any
    _change_log: Any
    _lock: Any
    _merge: Any
    _nested_rules: Any
    _on_conflict: Any
    version: Any
    _is_late: Any
    _lay: Any
    _detect_mutation: Any
    _note: Any
    _report_conflict: Any
    _take: Any
    _touch: Any
    _transient: Any

    def values(self) -> Any:
        """The values; inside of a run those that the current node gets."""
        return dict.values(self) if _frame() is None else self._handed().values()

    def items(self) -> Any:
        """The keys with their values; inside of a run those that the current node gets."""
        return dict.items(self) if _frame() is None else self._handed().items()

    def _handed(self) -> dict[Any, Any]:
        """A plain dict of the objects that the current node gets for every key."""
        found = {key: self.get(key, MISSING) for key in list(dict.keys(self))}
        return {key: value for key, value in found.items() if value is not MISSING}

    def _hand(self, state: KeyState) -> Any:
        """The object of a key with a mutable value, for the current node."""
        frame = _frame()
        if frame is None:
            if not holds(state.tracked_by, state):
                self._touch(state)
            return state.value
        if (
            state.tracked_by is UNTRACKED and state.views is None and not frame.fenced
            and (frame.parent is None or not is_fenced(frame.parent)) and not self._nested_rules
        ):
            self._touch(state)
            return state.value
        return self._hand_apart(state, frame)

    @exclusive
    def _hand_apart(self, state: KeyState, frame: Any) -> Any:
        if self._is_late(frame, told=False):
            return loan(state)
        owner = owner_of(frame)
        view = state.views.get(owner) if state.views else None
        if view is None:
            view = self._view(state, frame, owner)
            if view is None:
                self._touch(state)
                return state.value
            if state.views is None:
                state.views = {}
            state.views[owner] = view
        for walk in (frame, owner):
            if walk.touched is None:
                walk.touched = {}
            walk.touched[state] = self
        view.reads += 1
        if view.reads >= READS and monotonic() - view.since >= SECONDS:
            self._renew(state, view, owner)
        return view.value

    def _view(self, state: KeyState, frame: Any, owner: Any) -> View | None:
        """A copy for `owner`, or None when it may have the store's own object."""
        base = state.frozen
        if self._nested_rules and state.key in self._nested_rules:
            base = self._as_it_began(state, frame)
        if base is state.frozen:
            holder = state.tracked_by
            if not holds(holder, state):
                return None
            if is_related(holder, owner):
                return None
        try:
            return View(copy_of(base, state.value), base)
        except (NotCopied, RuntimeError):  # too large, of parts that cannot be copied, or changed by a thread meanwhile
            return None

    def _as_it_began(self, state: KeyState, frame: Any) -> Any:
        """The frozen value of a key when the current node began, if another one has written it since."""
        if state.version <= frame.start_version or walked_with(frame) is not self or state.writer.is_related(frame):
            return state.frozen
        base = [page[at + OLD] for page, at in self._change_log.after(frame.start_version, self.version) if page[at + KEY] == state.key]
        return base[-1] if base and base[-1] is not MISSING and not isinstance(base[-1], Opaque) else state.frozen

    def _renew(self, state: KeyState, view: View, owner: Any) -> None:
        """Show running nodes each other's changes when one reads repeatedly, since it waits for the others."""
        view.reads, view.since = 0, monotonic()
        if self._states.get(state.key) is not state or state.plain:
            return
        views = list((state.views or {}).items())
        for other, known in views if len(views) <= MANY else [(owner, view)]:
            for path, writer, done in self._merge_view(state, other, known, ends=False):
                self._report_conflict(path[0], other, writer, done, path)
        if holds(state.tracked_by, state):
            self._detect_mutation(state, state.tracked_by)
        if state.frozen is view.base or _frozen(view.value, view.base) is not view.base:
            return
        try:
            view.value = restore(view.value, state.frozen)
            view.base = state.frozen
        except (NotCopied, RuntimeError):
            pass

    # the object that a node got is separated from its successor -----------------------------------------------------------
    def _set_aside_views(self, state: KeyState, frame: Any, keeps: bool = False) -> bool:
        """`frame` replaces the store's own object: others that work on it keep it, and `frame` what it was handed if it `keeps` that.

        Whether somebody works on it. The lock is held.
        """
        owner = None if frame is None else owner_of(frame)
        if state.views and not keeps:
            _drop_view(state, owner)
        holder = state.tracked_by
        if not holds(holder, state):
            return False
        other = owner_of(holder)
        if owner is not None and is_related(other, owner):
            return False
        state.tracked_by = UNTRACKED
        if state.views is None:
            state.views = {}
        state.views.setdefault(other, View(state.value, state.frozen, is_first=True))
        return True

    @exclusive
    def _apart(self, state: KeyState, frame: Any) -> Any:
        """The starting value of an atomic change: the value without the changes that other running nodes have made to it so far."""
        owner = None if frame is None else owner_of(frame)
        if state.views and owner in state.views:
            self._merge_view(state, owner, state.views[owner], ends=False)
        if not holds(state.tracked_by, state):
            return state.value
        if owner is not None and is_related(state.tracked_by, owner):
            return state.value
        try:
            return copy_of(state.frozen, state.value)
        except (NotCopied, RuntimeError):
            return state.value

    @exclusive
    def _withdraw(self, state: KeyState, frame: Any) -> tuple[Any, Any] | None:
        """Replace the store's object that an abandoned step got by a new one; returns that one, and the other."""
        owner = owner_of(frame)
        view = state.views.get(owner) if state.views else None
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
    def _record_so_far(self, state: KeyState, frame: Any) -> None:
        """Record what the current node has changed so far."""
        owner = owner_of(frame)
        if state.views and owner in state.views:
            self._merge_view(state, owner, state.views[owner], ends=False)
        elif not state.plain:
            self._detect_mutation(state, frame)

    @exclusive
    def _undo_write(self, last: list[Any], old: Any, before: Any, frame: Any) -> bool:
        """Restore a key to its value before an attempt wrote it; False for another store, or if another writer has changed it since.

        `last` is the try's last record of the key, `old` the frozen value before its first, `before` the live one, where it is known.
        """
        key = last[KEY]
        state = self._states.get(key)
        if state is None:
            if self._change_log.tombstones.get(key, (0,))[0] != last[VERSION]:
                return False
        elif state.version != last[VERSION] or state.writer is not last[WRITER]:
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
    def _restore_in_place(self, state: KeyState, frame: Any) -> tuple[Any, Any] | None:
        """Restore a value that an attempt got to its content when the attempt began, in place."""
        owner = owner_of(frame)
        view = state.views.get(owner) if state.views else None
        if view is not None:
            given, base = view.value, view.base
        elif (
            self._states.get(state.key) is state and not state.plain
            and (not holds(state.tracked_by, state) or owner_of(state.tracked_by) is owner)
        ):
            given, base = state.value, state.frozen
        else:
            return None
        now = _frozen(given, base)
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
    def _end_view(self, state: KeyState, frame: Any) -> None:
        """Merge the changes of the current node's copy with the store's value."""
        view = state.views.get(frame) if state.views else None
        if view is None:
            if not state.plain:
                self._detect_mutation(state, frame)
            return
        lost = self._merge_view(state, frame, view, ends=True)
        for path, other, done in lost:
            self._report_conflict(path[0], frame, other, done, path)

    @exclusive
    def _merge_view(self, state: KeyState, frame: Any, view: View, ends: bool) -> list[Any]:
        """Bring the changes of one view into the store; the places of lost updates, each with who else wrote and whether it was done."""
        if ends:
            _drop_view(state, frame)
        if self._is_late(frame) or self._states.get(state.key) is not state:
            return []
        mine = _frozen(view.value, view.base, WRITTEN_BOUND)
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
        merge = Merge(self._merge or {})
        merged = own if state.frozen is view.base else self._merged_view(merge, state, view, mine, own)
        lost = [path for path in merge.lost if not other.is_related(frame) and other.resolve().name]
        done = not lost or self._on_conflict != "raise"
        if done:
            self._put_view(state, frame, view, merged, ends)
            view.base = mine
        return [(path, other, done) for path in lost]

    def _merged_view(self, merge: Merge, state: KeyState, view: View, mine: Any, own: Any) -> Any:
        theirs = state.frozen
        try:
            live = copy_of(theirs, state.value)
        except (NotCopied, RuntimeError):
            merge.lost.append((state.key,))
            return own
        return merge.value((state.key,), view.base, theirs, mine, live, own)

    def _put_view(self, state: KeyState, frame: Any, view: View, merged: Any, ends: bool) -> None:
        """Store the merged value, in the present object where no other node uses that one."""
        freezer = Freezer(WRITTEN_BOUND)
        try:
            frozen: Any = freezer.freeze(merged, state.frozen)
        except Exception:  # too large, or changed by a thread meanwhile
            frozen = too_large(merged)
        if frozen is state.frozen and not view.is_first:
            return
        is_held = self._set_aside_views(state, frame, keeps=not ends)
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
        self._note(place, frame)


def is_fenced(frame: Any) -> bool:
    """Whether a frame, or one that it was entered from, was abandoned."""
    while frame is not None:
        if frame.fenced:
            return True
        frame = frame.parent
    return False


def loan(state: KeyState) -> Any:
    """An object that an abandoned step may change freely."""
    try:
        return copy_of(state.frozen, state.value)
    except (NotCopied, RuntimeError):
        return state.value


def _drop_view(state: KeyState, owner: Any) -> None:
    if state.views is not None:
        state.views.pop(owner, None)
        if not state.views:
            state.views = None


def too_large(value: Any) -> Opaque:
    """The marker for a value that is too large to be copied."""
    try:
        size = f" of {len(value)}"
    except Exception:  # a class may lie about anything
        size = ""
    return Opaque(type(value), f"<{type(value).__name__}{size}, too large to compare>", id(value))


def _frozen(value: Any, base: Any, bound: int = TOUCHED_BOUND) -> Any:
    """The frozen `value`; None when it has become too large, or a thread changes it meanwhile."""
    try:
        return Freezer(bound).freeze(value, base)
    except Exception:
        return None
