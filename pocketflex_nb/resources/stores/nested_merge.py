"""Nested changes by parallel nodes of one key of a shared store: each works on its own copy, merged when it is sent.

It works as for a store of this process (:mod:`pocketflex_nb.core.store.working_copies`); here the common base is the text that the
backend keeps.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.errors import EncodingError
from pocketflex_nb.core.frozen.copies import NotCopied
from pocketflex_nb.core.frozen.freezer import MISSING, freeze, thaw
from pocketflex_nb.core.frozen.three_way_merge import Merge
from pocketflex_nb.core.store.change_log import Record
from pocketflex_nb.core.store.conflicts import ConflictPolicy
from pocketflex_nb.core.store.key_state import UNTRACKED
from pocketflex_nb.core.store.working_copies import READS, SECONDS, holds, is_related, owner_of
from pocketflex_nb.core.store.writer import OUTSIDE
from pocketflex_nb.resources.stores.backends.backend import VersionConflict
from pocketflex_nb.resources.stores.replica import Entry
from pocketflex_nb.resources.stores.replicated_reads import Readable, ReadMark

__all__ = ["Nested"]


class _Twin(Entry):
    """A separate entry for one node, beside the one that others work on."""

    __slots__ = ("reads", "since")

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.key)
        self.reads, self.since = 0, monotonic()
        value = decode(entry.text, unloaded="keep")
        self.holds(value, entry.text, entry.version, entry.who, entry.writer)


class Nested(Readable):
    """The part of a shared store that gives lists and dicts to nodes, and sends their nested changes."""

    _merged_with: Any

    def _live(self, entry: Entry) -> Any:
        frame = None if entry.plain else self._asking()
        if frame is None or entry.tracked_by is frame:
            return super()._live(entry)
        owner = owner_of(frame)
        twins = owner.__dict__.setdefault("twins", {})
        twin: _Twin | None = twins.get((id(self), entry.key))
        if twin is not None and (owner.touched is None or twin not in owner.touched):
            twin = None
        if twin is not None:
            twin.reads += 1
            if twin.reads < READS or monotonic() - twin.since < SECONDS or self._encoded(twin.key, twin.value) != twin.text:
                return twin.value
            if owner.touched is not None:
                owner.touched.pop(twin, None)  # it waits for others, and has changed nothing
        if not self._is_late(frame, told=False) and (not holds(entry.tracked_by, entry) or is_related(entry.tracked_by, frame)):
            return super()._live(entry)
        twin = twins[id(self), entry.key] = _Twin(entry)
        if not self._is_late(frame, told=False):
            for walk in (frame, owner):
                walk.touched = walk.touched if walk.touched is not None else {}
                walk.touched[twin] = self
        return twin.value

    # sending ---------------------------------------------------------------------------------------------------------
    def _send_nested(self, cell: Any, text: str, frame: Any) -> None:
        """Send a value that was changed in place, merged with the present value, if that differs."""
        key, value = cell.key, cell.value
        rule = key in self._conflicts.merge
        while True:
            current: Entry | None = self._replica.entries.get(key)
            lost: list[tuple[Any, ...]] = []
            is_other = current is not cell
            if is_other:
                if current is None or self._is_own(current, cell, frame):
                    return  # deleted, or written over meanwhile
                if rule and current.text != cell.text:
                    value = self._merged_with(key, cell.value, cell.text)
                else:
                    value, lost = self._merged_nested(cell, current)
                if lost and frame is not None and self._conflicts.policy is ConflictPolicy.RAISE:
                    self._report_conflict(key, frame, current.writer.resolve(), False, lost[0])
                text = self._encoded(key, value)
            try:
                if current is None or text != current.text:
                    self._send(key, text, frame, 0 if current is None else current.version, value, None if is_other else cell)
            except VersionConflict:
                self._pull()
                continue
            if frame is not None and current is not None:
                for path in lost:
                    self._report_conflict(key, frame, current.writer.resolve(), True, path)
            return

    def _is_own(self, current: Entry, cell: Any, frame: Any) -> bool:
        """Whether the present value was written by the same node, or by code of this process outside of nodes."""
        if current.text == cell.text:
            return False
        writer = current.writer
        return writer is OUTSIDE or (frame is not None and writer.is_related(frame))

    def _merged_nested(self, cell: Any, current: Entry) -> tuple[Any, list[tuple[Any, ...]]]:
        """The merged value, and the paths that both changed."""
        base, theirs = (freeze(decode(text, unloaded="keep")) for text in (cell.text, current.text))
        merge = Merge(self._conflicts.merge, joins=False)
        live = decode(current.text, unloaded="keep")
        value = merge.value((cell.key,), base, theirs, freeze(cell.value, base), live, cell.value)
        return value, merge.lost

    # tries that failed, and steps that were abandoned ----------------------------------------------------------------
    def _record_so_far(self, cell: Any, frame: Any) -> None:
        if cell.__class__ is not ReadMark:
            self._detect_mutation(cell, frame)

    def _restore_in_place(self, cell: Any, frame: Any) -> tuple[Any, Any] | None:
        if cell.__class__ is ReadMark or cell.plain or self._encoded(cell.key, cell.value) == cell.text:
            return None
        return self._withdraw(cell, frame)

    def _withdraw(self, cell: Any, frame: Any) -> tuple[Any, Any] | None:
        if cell.__class__ is ReadMark or cell.plain:
            return None
        with self._lock:
            old = cell.value
            cell.holds(decode(cell.text, unloaded="keep"), cell.text, cell.version, cell.who, cell.writer)
            cell.tracked_by = UNTRACKED
            current: Any = self._replica.entries.get(cell.key)
            if current is cell:
                dict.__setitem__(self, cell.key, cell.value)
        return old, cell.value

    def _undo_write(self, last: Record, old: Any, before: Any, frame: Any) -> bool:
        key = last.key
        entry = self._replica.entries.get(key)
        if entry is None:
            if self._replica.gone.get(key, (0, OUTSIDE))[0] != last.version:
                return False
        elif entry.version != last.version:
            return False
        value = thaw(old)
        try:
            text = None if old is MISSING else self._encoded(key, value)
            self._send(key, text, frame, 0 if entry is None else entry.version, value)
        except VersionConflict:  # by somebody else meanwhile
            pass
        except EncodingError as exc:
            raise NotCopied(str(exc)) from exc
        return True
