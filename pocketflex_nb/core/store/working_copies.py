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

from pocketflex_nb.core.context import FRAME, walked_with
from pocketflex_nb.core.frozen.copies import NotCopied, copy_of, restore
from pocketflex_nb.core.frozen.freezer import MISSING, Opaque, Work, is_plain
from pocketflex_nb.core.frozen.three_way_merge import Merge
from pocketflex_nb.core.store.change_log import KEY, OLD, VERSION, WRITER
from pocketflex_nb.core.store.exclusive import alone
from pocketflex_nb.core.store.key_state import UNMARKED, Cell
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
_frame = FRAME.get
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


def holds(frame: Any, cell: Any) -> bool:
    """Whether a running node got the store's own object of this key."""
    if frame is UNMARKED or frame is None:
        return False
    touched = frame.touched
    return touched is not None and cell in touched


class Handed(dict[Any, Any]):
    """The part of a store that decides which objects readers get."""

    __slots__ = ()

    _cells: Any
    _commit: Any
    _frozen: Any
    _ledger: Any
    _lock: Any
    _merge: Any
    _nested_rules: Any
    _on_conflict: Any
    version: Any
    _is_late: Any
    _lay: Any
    _look: Any
    _note: Any
    _tell: Any
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

    def _hand(self, cell: Cell) -> Any:
        """The object of a key with a mutable value, for the current node."""
        frame = _frame()
        if frame is None:
            if not holds(cell.mark, cell):
                self._touch(cell)
            return cell.value
        if (
            cell.mark is UNMARKED and cell.views is None and not frame.fenced
            and (frame.parent is None or not is_fenced(frame.parent)) and not self._nested_rules
        ):
            self._touch(cell)
            return cell.value
        return self._hand_apart(cell, frame)

    @alone
    def _hand_apart(self, cell: Cell, frame: Any) -> Any:
        if self._is_late(frame, told=False):
            return loan(cell)
        owner = owner_of(frame)
        view = cell.views.get(owner) if cell.views else None
        if view is None:
            view = self._view(cell, frame, owner)
            if view is None:
                self._touch(cell)
                return cell.value
            if cell.views is None:
                cell.views = {}
            cell.views[owner] = view
        for walk in (frame, owner):
            if walk.touched is None:
                walk.touched = {}
            walk.touched[cell] = self
        view.reads += 1
        if view.reads >= READS and monotonic() - view.since >= SECONDS:
            self._renew(cell, view, owner)
        return view.value

    def _view(self, cell: Cell, frame: Any, owner: Any) -> View | None:
        """A copy for `owner`, or None when it may have the store's own object."""
        base = cell.frozen
        if self._nested_rules and cell.key in self._nested_rules:
            base = self._as_it_began(cell, frame)
        if base is cell.frozen:
            holder = cell.mark
            if not holds(holder, cell):
                return None
            if is_related(holder, owner):
                return None
        try:
            return View(copy_of(base, cell.value), base)
        except (NotCopied, RuntimeError):  # too large, of parts that cannot be copied, or changed by a thread meanwhile
            return None

    def _as_it_began(self, cell: Cell, frame: Any) -> Any:
        """The frozen value of a key when the current node began, if another one has written it since."""
        if cell.version <= frame.began or walked_with(frame) is not self or cell.writer.is_related(frame):
            return cell.frozen
        base = [page[at + OLD] for page, at in self._ledger.after(frame.began, self.version) if page[at + KEY] == cell.key]
        return base[-1] if base and base[-1] is not MISSING and not isinstance(base[-1], Opaque) else cell.frozen

    def _renew(self, cell: Cell, view: View, owner: Any) -> None:
        """Show running nodes each other's changes when one reads repeatedly, since it waits for the others."""
        view.reads, view.since = 0, monotonic()
        if self._cells.get(cell.key) is not cell or cell.plain:
            return
        views = list((cell.views or {}).items())
        for other, known in views if len(views) <= MANY else [(owner, view)]:
            for path, writer, done in self._merge_view(cell, other, known, ends=False):
                self._tell(path[0], other, writer, done, path)
        if holds(cell.mark, cell):
            self._look(cell, cell.mark)
        if cell.frozen is view.base or _frozen(view.value, view.base) is not view.base:
            return
        try:
            view.value = restore(view.value, cell.frozen)
            view.base = cell.frozen
        except (NotCopied, RuntimeError):
            pass

    # the object that a node got is separated from its successor -----------------------------------------------------------
    def _set_aside_views(self, cell: Cell, frame: Any, keeps: bool = False) -> bool:
        """`frame` replaces the store's own object: others that work on it keep it, and `frame` what it was handed if it `keeps` that.

        Whether somebody works on it. The lock is held.
        """
        owner = None if frame is None else owner_of(frame)
        if cell.views and not keeps:
            _drop_view(cell, owner)
        holder = cell.mark
        if not holds(holder, cell):
            return False
        other = owner_of(holder)
        if owner is not None and is_related(other, owner):
            return False
        cell.mark = UNMARKED
        if cell.views is None:
            cell.views = {}
        cell.views.setdefault(other, View(cell.value, cell.frozen, is_first=True))
        return True

    @alone
    def _apart(self, cell: Cell, frame: Any) -> Any:
        """The starting value of an atomic change: the value without the changes that other running nodes have made to it so far."""
        owner = None if frame is None else owner_of(frame)
        if cell.views and owner in cell.views:
            self._merge_view(cell, owner, cell.views[owner], ends=False)
        if not holds(cell.mark, cell):
            return cell.value
        if owner is not None and is_related(cell.mark, owner):
            return cell.value
        try:
            return copy_of(cell.frozen, cell.value)
        except (NotCopied, RuntimeError):
            return cell.value

    @alone
    def _withdraw(self, cell: Cell, frame: Any) -> tuple[Any, Any] | None:
        """Replace the store's object that an abandoned step got by a new one; returns that one, and the other."""
        owner = owner_of(frame)
        view = cell.views.get(owner) if cell.views else None
        if view is not None:
            old, base = view.value, view.base
        elif self._cells.get(cell.key) is cell and not cell.plain:
            old, base = cell.value, cell.frozen
        else:
            return None
        new = copy_of(base, old)
        if view is None:
            cell.value, cell.mark = new, UNMARKED
            _set(self, cell.key, new)
        else:
            view.value, view.is_first = new, False
        return old, new

    # a try that failed ------------------------------------------------------------------------------------------------
    def _look_now(self, cell: Cell, frame: Any) -> None:
        """Record what the current node has changed so far."""
        owner = owner_of(frame)
        if cell.views and owner in cell.views:
            self._merge_view(cell, owner, cell.views[owner], ends=False)
        elif not cell.plain:
            self._look(cell, frame)

    @alone
    def _take_back(self, last: list[Any], old: Any, before: Any, frame: Any) -> bool:
        """Restore a key to its value before an attempt wrote it; False for another store, or if another writer has changed it since.

        `last` is the try's last record of the key, `old` the frozen value before its first, `before` the live one, where it is known.
        """
        key = last[KEY]
        cell = self._cells.get(key)
        if cell is None:
            if self._ledger.gone.get(key, (0,))[0] != last[VERSION]:
                return False
        elif cell.version != last[VERSION] or cell.writer is not last[WRITER]:
            return False
        if old is MISSING:
            if cell is not None:
                self._take(key, frame, False)
            return True
        if before is MISSING and cell is not None:
            before = cell.value
        value = before if key in self._transient else restore(before, old)
        self._commit(key, cell, value, self._frozen(key, value, old), frame)
        return True

    @alone
    def _look_back(self, cell: Cell, frame: Any) -> tuple[Any, Any] | None:
        """Restore a value that an attempt got to its content when the attempt began, in place."""
        owner = owner_of(frame)
        view = cell.views.get(owner) if cell.views else None
        if view is not None:
            given, base = view.value, view.base
        elif self._cells.get(cell.key) is cell and not cell.plain and (not holds(cell.mark, cell) or owner_of(cell.mark) is owner):
            given, base = cell.value, cell.frozen
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
            cell.value = now
            _set(self, cell.key, now)
        return given, now

    # at a node's end -------------------------------------------------------------------------------------------------
    def _end_view(self, cell: Cell, frame: Any) -> None:
        """Merge the changes of the current node's copy with the store's value."""
        view = cell.views.get(frame) if cell.views else None
        if view is None:
            if not cell.plain:
                self._look(cell, frame)
            return
        lost = self._merge_view(cell, frame, view, ends=True)
        for path, other, done in lost:
            self._tell(path[0], frame, other, done, path)

    @alone
    def _merge_view(self, cell: Cell, frame: Any, view: View, ends: bool) -> list[Any]:
        """Bring the changes of one view into the store; the places of lost updates, each with who else wrote and whether it was done."""
        if ends:
            _drop_view(cell, frame)
        if self._is_late(frame) or self._cells.get(cell.key) is not cell:
            return []
        mine = _frozen(view.value, view.base, WRITTEN_BOUND)
        if mine is None and ends:  # it has grown too large to be compared
            mine = too_large(view.value)
        if mine is None or mine is view.base:
            return []
        own, other = view.value, cell.writer
        if not ends:  # it goes on working with its own object
            try:
                own = copy_of(mine, own)
            except (NotCopied, RuntimeError):
                return []
        merge = Merge(self._merge or {})
        merged = own if cell.frozen is view.base else self._merged_view(merge, cell, view, mine, own)
        lost = [path for path in merge.lost if not other.is_related(frame) and other.resolve().name]
        done = not lost or self._on_conflict != "raise"
        if done:
            self._put_view(cell, frame, view, merged, ends)
            view.base = mine
        return [(path, other, done) for path in lost]

    def _merged_view(self, merge: Merge, cell: Cell, view: View, mine: Any, own: Any) -> Any:
        theirs = cell.frozen
        try:
            live = copy_of(theirs, cell.value)
        except (NotCopied, RuntimeError):
            merge.lost.append((cell.key,))
            return own
        return merge.value((cell.key,), view.base, theirs, mine, live, own)

    def _put_view(self, cell: Cell, frame: Any, view: View, merged: Any, ends: bool) -> None:
        """Store the merged value, in the present object where no other node uses that one."""
        work = Work(WRITTEN_BOUND)
        try:
            frozen: Any = work.freeze(merged, cell.frozen)
        except Exception:  # too large, or changed by a thread meanwhile
            frozen = too_large(merged)
        if frozen is cell.frozen and not view.is_first:
            return
        is_held = self._set_aside_views(cell, frame, keeps=not ends)
        is_home = view.is_first and ends
        try:
            value = merged if is_held and not is_home else restore(view.value if is_home else cell.value, frozen)
        except (NotCopied, RuntimeError):
            value = merged
        cell.value = value
        _set(self, cell.key, value)
        cell.is_of(is_plain(value), False)
        if frozen is cell.frozen:
            return
        writer = writer_of(frame, self._ledger.unresolved)
        place = self._lay([self.version + 1, cell.key, "set", cell.frozen, frozen, writer, 0, now(), -work.fresh])
        cell.frozen, cell.version, cell.writer = frozen, self.version, writer
        self._note(place, frame)


def is_fenced(frame: Any) -> bool:
    """Whether a frame, or one that it was entered from, was abandoned."""
    while frame is not None:
        if frame.fenced:
            return True
        frame = frame.parent
    return False


def loan(cell: Cell) -> Any:
    """An object that an abandoned step may change freely."""
    try:
        return copy_of(cell.frozen, cell.value)
    except (NotCopied, RuntimeError):
        return cell.value


def _drop_view(cell: Cell, owner: Any) -> None:
    if cell.views is not None:
        cell.views.pop(owner, None)
        if not cell.views:
            cell.views = None


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
        return Work(bound).freeze(value, base)
    except Exception:
        return None
