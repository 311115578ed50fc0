"""Optimistic writes to a shared store: one round trip per method; conflicting writes are detected, nested changes are sent."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.errors import DecodingError, EncodingError, LockLost
from pocketflex_nb.core.store.conflicts import ConflictPolicy
from pocketflex_nb.core.store.key_state import UNTRACKED
from pocketflex_nb.core.store.writer import OUTSIDE, Writer
from pocketflex_nb.resources.stores.backends.backend import ConnectionLost, VersionConflict
from pocketflex_nb.resources.stores.leases import HELD, tokens_of
from pocketflex_nb.resources.stores.nested_merge import Nested
from pocketflex_nb.resources.stores.provenance import who_text
from pocketflex_nb.resources.stores.replica import Entry
from pocketflex_nb.resources.stores.replicated_reads import ReadMark

__all__ = ["Writable"]

_EXACT = 2**53
_frame, _agent, _held = CURRENT_FRAME.get, CURRENT_AGENT.get, HELD.get


class Writable(Nested):
    """A store's writing methods, and what finds nested changes."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in self._transient:
            self._set_aside(key, value)
            return
        frame = _frame()
        if (frame is not None or _agent() is not None) and self._is_late(frame):
            return
        text = self._encoded(key, value)
        if frame is None:
            self._set_outside(key, value, text)
        else:
            self._set_inside(key, value, text, frame)

    def _set_outside(self, key: Any, value: Any, text: str) -> None:
        """Write a key from code outside of runs: it overwrites the present value."""
        if self._untracked and (before := self._replica.entries.get(key)) is not None:
            self._untracked.pop(before, None)  # type: ignore[call-overload]  # what was changed in the value before is written over
        self._send(key, text, None, None, value)
        entry = self._replica.entries.get(key)
        if entry is not None and not entry.plain and entry.value is value:
            self._touch(entry)  # type: ignore[arg-type]  # as above

    def _set_inside(self, key: Any, value: Any, text: str, frame: Any) -> None:
        """Write a key from a step of a run: what others wrote since the step began is detected."""
        mark = self._refresh()
        before = self._replica.entries.get(key)
        if frame.touched and before is not None:
            frame.touched.pop(before, None)  # as above
        while True:
            other, expect, merged = None, None, value
            if mark is not None and getattr(frame.run, "store", None) is self:
                other, expect = self._other_since(key, mark.since, frame)
                if other is not None and key in self._conflicts.merge:
                    base = self._replica.after(max(mark.since, self._replica.floor)).get(key)
                    merged, other = self._merged_with(key, value, base), None
                    text = self._encoded(key, merged)
                elif other is not None and self._conflicts.policy is ConflictPolicy.RAISE:
                    self._report_conflict(key, frame, other, False)
            try:
                self._send(key, text, frame, expect, merged)
                break
            except VersionConflict:
                self._pull()
        entry = self._replica.entries.get(key)
        if entry is not None and not entry.plain and entry.value is merged:
            self._touch(entry)  # type: ignore[arg-type]  # as above
        if other is not None:
            self._report_conflict(key, frame, other, True)

    def _set_aside(self, key: Any, value: Any) -> None:
        self._transient_values[key] = value
        dict.__setitem__(self, key, value)

    def _other_since(self, key: Any, since: int, frame: Any) -> tuple[Writer | None, int]:
        """Another writer of `key` after version `since`, if any, and the present version."""
        entry = self._replica.entries.get(key)
        version, writer = self._replica.gone.get(key, (0, OUTSIDE)) if entry is None else (entry.version, entry.writer)
        is_lost = version > since and writer is not OUTSIDE and not writer.is_related(frame)
        return (writer.resolve() if is_lost else None), 0 if entry is None else version

    def _merged_with(self, key: Any, mine: Any, base: Any) -> Any:
        """The result of the merge rule of `key` for the present value and the one written; `base` is the text before both."""
        rule, takes_base = self._conflicts.merge[key]
        entry = self._replica.entries.get(key)
        if entry is None:
            return mine
        try:
            theirs = self._decoded(entry)
        except DecodingError:  # there is nothing to merge with: it is overwritten
            return mine
        if not takes_base:
            return rule(theirs, mine)
        try:
            before = decode(base) if isinstance(base, str) else None
        except DecodingError:
            before = None
        return rule(before, theirs, mine)

    def _remove(self, key: Any, check: bool) -> Any:
        if key in self._transient_values:
            dict.pop(self, key, None)
            return self._transient_values.pop(key)
        frame = _frame()
        mark = self._refresh()
        while True:
            entry = self._replica.entries.get(key)
            if entry is None:
                raise KeyError(key)
            if self._is_late(frame):
                return entry.value
            other, value = None, entry.value if check else self._value_of(entry)
            if check and mark is not None and getattr(frame.run, "store", None) is self:
                other, _ = self._other_since(key, mark.since, frame)
                if other is not None and self._conflicts.policy is ConflictPolicy.RAISE:
                    self._report_conflict(key, frame, other, False)
            try:
                self._send(key, None, frame, entry.version)
            except VersionConflict:
                self._pull()
                continue
            if other is not None:
                self._report_conflict(key, frame, other, True)
            return value

    def _value_of(self, entry: Entry) -> Any:
        return entry.value if entry.is_whole else self._decoded(entry)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the newest key and return it with its value."""
        while True:
            keys = list(self._whole())
            if not keys:
                raise KeyError("popitem(): dictionary is empty")
            try:
                return keys[-1], self._remove(keys[-1], check=False)
            except KeyError:  # somebody else was quicker
                continue

    def _change(self, key: Any, fn: Callable[[Any], Any], default: Any) -> Any:
        frame = _frame()
        if key in self._transient:
            value = fn(self._transient_values.get(key, default))
            self._set_aside(key, value)
            return value
        turn = 0
        while True:
            self._refresh()
            entry = self._replica.entries.get(key)
            value = default if entry is None else self._decoded(entry)
            if self._is_late(frame):
                return value
            value = fn(value)
            try:
                self._send(key, self._encoded(key, value), frame, 0 if entry is None else entry.version, value)
                return value
            except VersionConflict:
                turn += 1
                time.sleep(random.uniform(0, min(0.05, 0.0005 * 2**turn)))

    def increment(self, key: Any, n: Any = 1, limit: Any = None, reset: Any = None) -> Any:
        """Add `n` atomically and return the new value, as `Store.increment` does; one round trip, even with concurrent adds."""
        frame = _frame()
        is_exact = _is_small(n) and (limit is None or (_is_small(limit) and (reset is None or _is_small(reset))))
        if not is_exact or key in self._transient:
            return super().increment(key, n, limit, reset)
        if self._closed or ((frame is not None or _agent() is not None) and self._is_late(frame)):
            return self._change(key, lambda value: value, 0)
        if frame is not None:
            self._refresh()
        name, mark = self._names.get(key) or self._name(key), f"{self._mark}.{next(self._marks)}"
        who, fence = who_text(frame, mark), tokens_of(self._mark) if _held() else ()
        with self._lock:
            try:
                added = self._backend.add(name, n, limit, reset, who, fence)
            except LockLost as exc:
                raise self._fenced(exc, key) from None
            except ConnectionLost:
                return self[key] if self._was_added(mark) else super().increment(key, n, limit, reset)
            if added is None:
                return super().increment(key, n, limit, reset)
            version, text = added
            value = int(text) if text.isdigit() else decode(text)
            if frame is None and not self._following:  # the replica takes it in when it is next asked
                if version > self.version:
                    self.version = version
                return value
            self._apply_own_write((version, name, text, who), value, frame, None)
        if self._listeners is not None:
            self._listeners.deliver(self._lock)
        return value

    def _was_added(self, mark: str) -> bool:
        """Whether the sum that was sent when the connection broke was written."""

        def refuse() -> int:
            raise _NotDone

        try:
            self._again(mark, refuse)
        except _NotDone:
            return False
        return True

    def insert_new(self, key: Any, value: Any) -> bool:
        """Set `key` unless it exists; returns whether it was set. Atomic."""
        frame = _frame()
        if self._is_late(frame) or key in self._transient_values:
            return False
        if key in self._transient:
            self._set_aside(key, value)
            return True
        self._refresh()
        try:
            self._send(key, self._encoded(key, value), frame, 0, value)
        except VersionConflict:
            return False
        return True

    def cas(self, key: Any, old: Any, new: Any) -> bool:
        """Set `key` to `new` if it is equal to `old`; returns whether it was set. False when it is missing. Atomic."""
        frame = _frame()
        while True:
            entry = self._entry(key)
            if entry is None or not bool(self._value_of(entry) == old) or self._is_late(frame):
                return False
            try:
                self._send(key, self._encoded(key, new), frame, entry.version, new)
                return True
            except VersionConflict:
                continue

    # nested changes --------------------------------------------------------------------------------------------------
    def _detect_mutation(self, cell: Any, frame: Any) -> None:
        if cell.__class__ is ReadMark:
            cell.is_over = cell.tracked_by is UNTRACKED
            return
        if cell.plain or (frame is not None and self._is_late(frame)):
            return
        try:
            text = self._encoded(cell.key, cell.value)
        except EncodingError:
            self._put_back(cell)
            raise
        if text != cell.text:
            self._send_nested(cell, text, frame)

    def _put_back(self, cell: Any) -> None:
        """Restore the live value to the stored one: its nested changes cannot be sent."""
        with self._lock:
            current: Any = self._replica.entries.get(cell.key)
            if current is cell:
                cell.holds(decode(cell.text, unloaded="keep"), cell.text, cell.version, cell.who, cell.writer)
                dict.__setitem__(self, cell.key, cell.value)


class _NotDone(Exception):
    """What was sent before the connection broke was not carried out."""


def _is_small(number: Any) -> bool:
    return number.__class__ in (int, float) and -_EXACT <= number <= _EXACT
